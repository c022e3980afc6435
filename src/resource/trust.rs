//! Decides where secrets may go: which server receives the token, which secrets are read and sent, and which workspace
//! a key is registered in or removed from.
//!
//! The decision depends on the template's parameters, which the function receives as properties and environment
//! variables, and on the `PhysicalResourceId` that CloudFormation stores. It never depends on a tag, because anyone
//! with `iam:TagUser` can change a tag.

use crate::config::{Config, Pins};
use crate::error::{Error, InvalidProperty, NamedBy, OtherWorkspace};
use crate::properties::Spec;
use crate::properties::names::Server;
use crate::properties::registry::{DockerHub, Registry};
use crate::tag::{Tag, WORKSPACE, get};

/// A property, and the environment variable that contains the only value allowed for it.
type Pinned = (&'static str, &'static str);

/// Rejects properties that name a server, a secret or a registry that the function was not deployed for. Anyone who may
/// invoke the function can send it an event with any properties.
///
/// # Errors
/// All properties that are rejected.
pub(crate) fn check_pins(config: &Config, spec: &Spec) -> Result<(), Error> {
    let mut wrong = wrong_for_token(config, &spec.server, &spec.token_secret);
    if let Registry::DockerHub(hub) = &spec.registry {
        wrong.extend(config.pins.wrong_for_hub(hub));
    }
    all_pinned(wrong)
}

/// Like [`check_pins`], for a Delete. A Delete sends only the token, and only to the server.
///
/// # Errors
/// The server and the secret, if the function was not deployed for them.
pub(crate) fn check_token(config: &Config, server: &Server, secret: &str) -> Result<(), Error> {
    all_pinned(wrong_for_token(config, server, secret))
}

fn wrong_for_token(config: &Config, server: &Server, secret: &str) -> Vec<Pinned> {
    let checks = [(config.trusts(server), SERVER), (config.pins.allow_token(secret), TOKEN_SECRET)];
    checks.into_iter().filter(|(matches, _)| !matches).map(|(_, names)| names).collect()
}

fn all_pinned(wrong: Vec<Pinned>) -> Result<(), Error> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::Properties(wrong.into_iter().map(not_deployed_for).collect())) }
}

fn not_deployed_for((property, variable): Pinned) -> InvalidProperty {
    let problem = format!("does not match the function's environment variable {variable}; a stack update sets both");
    InvalidProperty::new(property, problem)
}

impl Pins {
    /// Whether this secret may be read as the Coiled token.
    fn allow_token(&self, secret: &str) -> bool {
        self.token_secret.as_ref().is_none_or(|pinned| pinned == secret)
    }

    /// The properties of a registry that do not match, each with its variable. Both sides are normalized, because only
    /// the value that is sent matters.
    fn wrong_for_hub(&self, hub: &DockerHub) -> Vec<Pinned> {
        let is = |pinned: &Option<String>, matches: &dyn Fn(&str) -> bool| pinned.as_deref().is_none_or(matches);
        let checks = [
            (is(&self.hub_token_secret, &|arn| arn == hub.token_secret), HUB_SECRET),
            (is(&self.hub_uri, &|uri| hub.has_uri(uri)), HUB_URI),
            (is(&self.hub_username, &|name| hub.has_username(name)), HUB_USERNAME),
        ];
        checks.into_iter().filter(|(matches, _)| !matches).map(|(_, names)| names).collect()
    }
}

const SERVER: Pinned = ("CoiledServer", "COILED_SERVER");
const TOKEN_SECRET: Pinned = ("CoiledTokenSecretArn", "COILED_TOKEN_SECRET_ARN");
const HUB_SECRET: Pinned = ("DockerHubTokenSecretArn", "DOCKER_HUB_TOKEN_SECRET_ARN");
const HUB_URI: Pinned = ("DockerHubUri", "DOCKER_HUB_URI");
const HUB_USERNAME: Pinned = ("DockerHubUsername", "DOCKER_HUB_USERNAME");

/// The workspace of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    /// Its slug.
    pub slug: String,
    /// Where the slug comes from.
    pub by: NamedBy,
}

impl Workspace {
    /// The workspace that the stack names. `None` means the token's default.
    pub(crate) fn named(property: Option<&str>, physical_id: Option<&str>) -> Option<Self> {
        let property = property.map(|slug| Self { slug: slug.to_owned(), by: NamedBy::Property });
        property.or_else(|| physical_id.map(|slug| Self { slug: slug.to_owned(), by: NamedBy::PhysicalId }))
    }

    /// The token's default workspace.
    pub(crate) fn of_token(slug: String) -> Self {
        Self { slug, by: NamedBy::Token }
    }

    /// Rejects a request for a workspace other than the one in the user's tag.
    ///
    /// # Errors
    /// Both workspaces, and where each name comes from.
    pub(crate) fn check_tag(&self, user: &str, tags: &[Tag]) -> Result<(), Error> {
        match get(tags, WORKSPACE) {
            Some(tagged) if tagged != self.slug => {
                let (slug, by) = (self.slug.clone(), self.by);
                let other = OtherWorkspace { user: user.to_owned(), slug, by, tagged: tagged.to_owned() };
                Err(Error::OtherWorkspace(Box::new(other)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:token-AbCdEf";
    const HUB: &str = "arn:aws:secretsmanager:us-east-1:111122223333:secret:hub-AbCdEf";

    fn hub(uri: &str, username: &str) -> DockerHub {
        DockerHub { username: username.into(), namespace: "team".into(), uri: uri.into(), token_secret: HUB.into() }
    }

    fn wrong(pins: &Pins, hub: &DockerHub) -> Vec<&'static str> {
        pins.wrong_for_hub(hub).into_iter().map(|(property, _)| property).collect()
    }

    #[test]
    fn an_empty_variable_allows_nothing_and_a_missing_one_everything() {
        let (missing, empty) = (Pins::read(|_| None), Pins::read(|_| Some(String::new())));
        assert!(missing.allow_token(TOKEN) && !empty.allow_token(TOKEN));
        let stranger = hub("registry.example.com", "eve");
        assert_eq!(wrong(&missing, &stranger), Vec::<&str>::new());
        assert_eq!(wrong(&empty, &stranger), ["DockerHubTokenSecretArn", "DockerHubUri", "DockerHubUsername"]);
        // Empty means Docker Hub itself.
        assert_eq!(wrong(&empty, &hub("docker.io", "eve")), ["DockerHubTokenSecretArn", "DockerHubUsername"]);
    }

    #[test]
    fn only_the_pinned_values_are_allowed() {
        let pins = Pins::read(|name| match name {
            "COILED_TOKEN_SECRET_ARN" => Some(TOKEN.into()),
            "DOCKER_HUB_TOKEN_SECRET_ARN" => Some(HUB.into()),
            "DOCKER_HUB_URI" => Some("hub.example.com".into()),
            _ => Some("Ada".into()),
        });
        assert!(pins.allow_token(TOKEN) && !pins.allow_token(HUB));
        assert_eq!(wrong(&pins, &hub("hub.example.com", "ada")), Vec::<&str>::new());
        assert_eq!(wrong(&pins, &hub("docker.io", "ada")), ["DockerHubUri"]);
        assert_eq!(wrong(&pins, &hub("hub.example.com", "eve")), ["DockerHubUsername"]);
    }

    #[test]
    fn the_property_workspace_takes_precedence_over_the_physical_id() {
        let named = |property, id| Workspace::named(property, id).map(|workspace| (workspace.slug, workspace.by));
        assert_eq!(named(Some("a"), Some("b")), Some(("a".into(), NamedBy::Property)));
        assert_eq!(named(None, Some("b")), Some(("b".into(), NamedBy::PhysicalId)));
        assert_eq!(named(None, None), None);
    }

    #[test]
    fn only_the_tokens_default_may_be_replaced_by_the_tagged_workspace() {
        let tags = [Tag::new(WORKSPACE, "team")];
        for by in [NamedBy::Property, NamedBy::PhysicalId, NamedBy::Token] {
            let workspace = Workspace { slug: "ada".into(), by };
            let error = workspace.check_tag("coiled", &tags).unwrap_err();
            assert!(error.fix().contains("Key=coiled-stack:workspace,Value=ada"), "{}", error.fix());
            assert_eq!(error.fix().contains("set Workspace to team"), by == NamedBy::Token);
            assert_eq!(workspace.check_tag("coiled", &[Tag::new(WORKSPACE, "ada")]), Ok(()));
            assert_eq!(workspace.check_tag("coiled", &[]), Ok(()));
        }
    }
}
