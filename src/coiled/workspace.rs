//! Resolves the workspace that the stack connects.

use serde_json::Value;

use super::Coiled;
use crate::error::Error;
use crate::redact::shown;

/// A workspace that the token's owner is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Membership {
    slug: String,
    name: String,
    is_default: bool,
}

impl Coiled {
    /// The workspace's slug: `named` or, without a name, the default workspace of the token's owner.
    ///
    /// Fails if the token's owner is not a member of `named`.
    pub(crate) async fn workspace(&self, named: Option<&str>) -> Result<String, Error> {
        let (me, memberships) =
            tokio::join!(self.get(&["api", "v2", "user", "me"]), self.get(&["api", "v2", "user", "me", "memberships"]));
        let me = me?.json()?;
        let memberships = read(&memberships?.json()?);
        let username = me.get("username").and_then(Value::as_str).unwrap_or_default();
        resolve(named, username, &memberships).map_err(|text| Error::Workspace(shown(&text)))
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
            .ok_or_else(|| format!("the token has no default workspace; set Workspace to one of: {}", slugs()));
    };
    if by_slug(named).is_some() {
        return Ok(named.to_owned());
    }
    match memberships.iter().find(|membership| membership.name == named) {
        Some(titled) => Err(format!("\"{named}\" is a workspace title, not a slug; its slug is {}", titled.slug)),
        None => Err(format!("the token has no access to workspace \"{named}\", only to: {}", slugs())),
    }
}

/// Tries the candidates in the same order as Coiled's own client.
fn default(username: &str, memberships: &[Membership]) -> Option<String> {
    let lower = username.to_lowercase();
    let flagged = memberships.iter().find(|membership| membership.is_default);
    let only = || if let [only] = memberships { Some(only) } else { None };
    let named = |slug: &str| memberships.iter().find(|membership| membership.slug == slug);
    flagged.or_else(only).or_else(|| named(username)).or_else(|| named(&lower)).map(|found| found.slug.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(slug: &str, name: &str, is_default: bool) -> Membership {
        Membership { slug: slug.into(), name: name.into(), is_default }
    }

    #[test]
    fn the_default_workspace_is_chosen_as_in_coileds_client() {
        let two = [member("ada", "Ada", false), member("team", "Team", true)];
        assert_eq!(resolve(None, "ada", &two), Ok("team".into()));
        assert_eq!(resolve(None, "x", &[member("only", "Only", false)]), Ok("only".into()));
        let without_default = [member("ada", "Ada", false), member("team", "Team", false)];
        assert_eq!(resolve(None, "Ada", &without_default), Ok("ada".into()));
        let error = resolve(None, "bob", &without_default).unwrap_err();
        assert!(error.contains("ada, team"), "{error}");
    }

    #[test]
    fn a_title_or_an_unknown_workspace_is_rejected_with_the_right_slug() {
        let error = resolve(Some("Ada's team"), "ada", &[member("ada", "Ada's team", true)]).unwrap_err();
        assert!(error.contains("its slug is ada"), "{error}");
        let error = resolve(Some("other"), "ada", &[member("ada", "Ada's team", true)]).unwrap_err();
        assert!(error.contains("only to: ada"), "{error}");
    }
}
