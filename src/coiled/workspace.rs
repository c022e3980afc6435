//! Which workspace a token works in.

use serde_json::Value;

use super::Coiled;
use crate::error::Error;

/// A workspace that the token's owner is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Membership {
    slug: String,
    name: String,
    is_default: bool,
}

impl Coiled {
    /// The slug of the workspace: the one that was named if the token is a member there, else the token's default.
    pub async fn workspace(&self, named: Option<&str>) -> Result<String, Error> {
        let (me, memberships) =
            tokio::join!(self.get(&["api", "v2", "user", "me"]), self.get(&["api", "v2", "user", "me", "memberships"]));
        let me = me?.json()?;
        let memberships = read(&memberships?.json()?);
        let username = me.get("username").and_then(Value::as_str).unwrap_or_default();
        resolve(named, username, &memberships).map_err(Error::Workspace)
    }
}

fn read(value: &Value) -> Vec<Membership> {
    let membership = |item: &Value| {
        let account = item.get("account")?;
        Some(Membership {
            slug: account.get("slug")?.as_str()?.to_owned(),
            name: account.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            is_default: item.get("is_default_account").and_then(Value::as_bool).unwrap_or(false),
        })
    };
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(membership).collect()
}

fn resolve(named: Option<&str>, username: &str, memberships: &[Membership]) -> Result<String, String> {
    let by_slug = |slug: &str| memberships.iter().find(|membership| membership.slug == slug);
    let slugs = || memberships.iter().map(|membership| membership.slug.as_str()).collect::<Vec<_>>().join(", ");
    let Some(named) = named else {
        return default(username, memberships)
            .ok_or_else(|| format!("the token has no default workspace; name one of: {}", slugs()));
    };
    if by_slug(named).is_some() {
        return Ok(named.to_owned());
    }
    match memberships.iter().find(|membership| membership.name == named) {
        Some(titled) => {
            Err(format!("\"{named}\" is a workspace's title; its slug is {}: set Workspace to that", titled.slug))
        }
        None => Err(format!("the token has no workspace \"{named}\"; it has: {}", slugs())),
    }
}

/// In the order of Coiled's own client.
fn default(username: &str, memberships: &[Membership]) -> Option<String> {
    let lower = username.to_lowercase();
    let marked = memberships.iter().find(|membership| membership.is_default);
    let only = || if let [only] = memberships { Some(only) } else { None };
    let named = |slug: &str| memberships.iter().find(|membership| membership.slug == slug);
    marked.or_else(only).or_else(|| named(username)).or_else(|| named(&lower)).map(|found| found.slug.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(slug: &str, name: &str, is_default: bool) -> Membership {
        Membership { slug: slug.into(), name: name.into(), is_default }
    }

    #[test]
    fn the_default_is_found_in_coileds_order() {
        let two = [member("ada", "Ada", false), member("team", "Team", true)];
        assert_eq!(resolve(None, "ada", &two), Ok("team".into()));
        assert_eq!(resolve(None, "x", &[member("only", "Only", false)]), Ok("only".into()));
        let none_marked = [member("ada", "Ada", false), member("team", "Team", false)];
        assert_eq!(resolve(None, "Ada", &none_marked), Ok("ada".into()));
        let error = resolve(None, "bob", &none_marked).unwrap_err();
        assert!(error.contains("ada, team"), "{error}");
    }

    #[test]
    fn a_title_is_answered_with_its_slug() {
        let error = resolve(Some("Ada's team"), "ada", &[member("ada", "Ada's team", true)]).unwrap_err();
        assert!(error.contains("its slug is ada"), "{error}");
        let error = resolve(Some("other"), "ada", &[member("ada", "Ada's team", true)]).unwrap_err();
        assert!(error.contains("it has: ada"), "{error}");
    }
}
