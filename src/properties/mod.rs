//! The properties of `Custom::CoiledConnection`. Create and Update validate them. Delete reads them leniently, because
//! it must not fail on invalid properties.

pub mod names;
pub mod network;
pub(crate) mod reader;
pub mod registry;
pub mod tags;

use serde_json::{Map, Value};

use crate::error::{Error, InvalidProperty};
use crate::redact::shorten;
use crate::tag::Tag;
use names::{Server, UserName, UserPath, is_name_char, is_region, partition_of};
use network::{Ingress, Network};
use reader::Reader;
use registry::Registry;

/// The validated properties of a Create or an Update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The ARN of the secret with the API token.
    pub token_secret: String,
    /// The Coiled server.
    pub server: Server,
    /// The workspace's slug. `None` means the default workspace of the token.
    pub workspace: Option<String>,
    /// The IAM user's name.
    pub user: UserName,
    /// The path of the user and its policies.
    pub path: UserPath,
    /// The region in which Coiled starts machines by default.
    pub region: String,
    /// The ARN of the user's permissions boundary.
    pub boundary: Option<String>,
    /// Whether the setup policy is attached.
    pub attach_setup: bool,
    /// An existing network. `None` means that Coiled creates one.
    pub network: Option<Network>,
    /// Who may reach the schedulers. Empty means Coiled's default, everyone.
    pub ingress: Vec<Ingress>,
    /// The registry for container images.
    pub registry: Registry,
    /// Whether to take over resources that `coiled setup aws` created.
    pub adopt: bool,
    /// Any text. Changing the text leads to a new key.
    pub rotate_key: Option<String>,
    /// The stack tags, from `Tags`.
    pub tags: Vec<Tag>,
}

impl Spec {
    /// Validates the properties and reports all errors together.
    ///
    /// `stack_region` is the default for `Region`. `partition` is the stack's partition: `Region` and all ARNs must
    /// belong to it.
    pub fn parse(properties: &Value, stack_region: &str, partition: &str) -> Result<Self, Error> {
        let Value::Object(map) = properties else {
            return Err(Error::Properties(vec![InvalidProperty::new("ResourceProperties", "must be an object")]));
        };
        let mut reader = Reader::new(map, "");
        let spec = Self::read(&mut reader, stack_region, partition);
        let invalid = reader.finish();
        match spec {
            Some(spec) if invalid.is_empty() => Ok(spec),
            _ => Err(Error::Properties(invalid)),
        }
    }

    /// Reads every property before it returns `None`, so that all errors are reported.
    fn read(reader: &mut Reader, stack_region: &str, partition: &str) -> Option<Self> {
        // CloudFormation adds the first two to the template's properties. Release exists only so that a new release
        // causes an Update. ForceDisconnect is validated here and used by Delete.
        ["ServiceToken", "ServiceTimeout", "Release"].into_iter().for_each(|name| reader.ignore(name));
        reader.flag("ForceDisconnect", false);
        let token_secret = reader.required("CoiledTokenSecretArn");
        let token_secret = token_secret
            .and_then(|text| reader.parse("CoiledTokenSecretArn", &text, |text| secret_arn(text, partition)));
        let server = read_or(reader, "CoiledServer", Server::DEFAULT, Server::parse);
        let workspace = reader.parsed("Workspace", workspace);
        let user = read_or(reader, "UserName", "coiled", UserName::parse);
        let path = read_or(reader, "UserPath", "/", user_path);
        let region = read_or(reader, "Region", stack_region, |text| region(text, partition));
        let boundary = reader.parsed("PermissionsBoundaryArn", |text| boundary(text, partition));
        policy_profile(reader);
        let attach_setup = reader.flag("AttachSetupPolicy", true);
        let network = network::network(reader);
        let ingress = network::ingress(reader);
        let registry = registry::registry(reader, partition);
        reject_shared_secret(reader, token_secret.as_deref(), registry.as_ref());
        let adopt = reader.flag("AdoptExisting", false);
        let rotate_key = reader.parsed("RotateKey", rotate_key);
        let tags = tags::tags(reader);
        Some(Self {
            token_secret: token_secret?,
            server: server?,
            workspace,
            user: user?,
            path: path?,
            region: region?,
            boundary,
            attach_setup,
            network,
            ingress,
            registry: registry?,
            adopt,
            rotate_key,
            tags,
        })
    }
}

fn read_or<T>(
    reader: &mut Reader,
    name: &'static str,
    default: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    let text = reader.text(name).unwrap_or_else(|| default.to_owned());
    reader.parse(name, &text, parse)
}

/// The slug becomes part of URLs. Coiled is asked later whether the workspace exists.
fn workspace(text: &str) -> Result<String, String> {
    let slug = text.trim();
    if slug.chars().count() > 200 || slug.chars().any(char::is_control) {
        return Err("is not a workspace slug".into());
    }
    Ok(slug.to_owned())
}

fn user_path(text: &str) -> Result<UserPath, String> {
    if text.len() > UserPath::LIMIT {
        return Err(format!("has {} characters, but must have at most {}", text.chars().count(), UserPath::LIMIT));
    }
    UserPath::parse(text)
}

fn rotate_key(text: &str) -> Result<String, String> {
    if text.chars().count() > 256 {
        return Err("must have at most 256 characters".into());
    }
    Ok(text.to_owned())
}

fn region(text: &str, partition: &str) -> Result<String, String> {
    if !is_region(text) {
        return Err("is not a region code such as us-east-2".into());
    }
    let theirs = partition_of(text);
    if theirs != partition {
        return Err(format!("is in partition {theirs}, but this stack is in {partition}"));
    }
    Ok(text.to_owned())
}

fn boundary(text: &str, partition: &str) -> Result<String, String> {
    match arn(text).as_slice() {
        ["arn", theirs, "iam", "", account, resource]
            if *theirs == partition && (is_account(account) || *account == "aws") && is_policy(resource) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(format!("is not a policy ARN (arn:{partition}:iam::ACCOUNT:policy/NAME)")),
    }
}

/// Whether this is `policy/NAME`, optionally with a path before the name.
fn is_policy(resource: &str) -> bool {
    let Some(path) = resource.strip_prefix("policy/") else { return false };
    let names_are_valid = path.split('/').all(|name| !name.is_empty() && name.chars().all(is_name_char));
    names_are_valid && path.rsplit('/').next().is_some_and(|name| name.len() <= 128)
}

fn secret_arn(text: &str, partition: &str) -> Result<String, String> {
    let name = match arn(text).as_slice() {
        ["arn", theirs, "secretsmanager", region, account, resource]
            if *theirs == partition && is_region(region) && is_account(account) =>
        {
            resource.strip_prefix("secret:").filter(|name| is_secret_name(name))
        }
        _ => None,
    };
    let Some(name) = name else {
        return Err(format!("is not the ARN of a secret (arn:{partition}:secretsmanager:REGION:ACCOUNT:secret:NAME)"));
    };
    if !has_random_suffix(name) {
        return Err(
            "lacks the hyphen and six characters that Secrets Manager appends to the name: copy the full ARN (aws \
                    secretsmanager describe-secret --secret-id NAME)"
                .into(),
        );
    }
    Ok(text.to_owned())
}

/// Secrets Manager allows 512 characters and appends seven.
fn is_secret_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    (1..=512 + 7).contains(&name.len()) && name.chars().all(is_allowed)
}

fn has_random_suffix(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(name, suffix)| {
        !name.is_empty() && suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Rejects the Coiled token's secret as a registry's secret. Otherwise the Coiled token would be sent to a registry.
fn reject_shared_secret(reader: &mut Reader, token_secret: Option<&str>, registry: Option<&Registry>) {
    let (Some(token), Some(Registry::DockerHub(hub))) = (token_secret, registry) else { return };
    if is_same_secret(token, &hub.token_secret) {
        reader.reject("DockerHubTokenSecretArn", "must not be the secret in CoiledTokenSecretArn");
    }
}

/// Whether two ARNs name the same secret. Secrets Manager also accepts an ARN without the six characters at its end,
/// and a replica in another region has the same ARN except for the region.
fn is_same_secret(one: &str, other: &str) -> bool {
    let parts = |text| arn(text).into_iter().enumerate().filter(|(n, _)| *n != 3).map(|(_, part)| part);
    let without_region = |text| parts(text).collect::<Vec<_>>().join(":");
    let (one, other) = (without_region(one), without_region(other));
    one == other || without_suffix(&one) == Some(&other) || without_suffix(&other) == Some(&one)
}

/// The ARN without the hyphen and the six characters that Secrets Manager adds to a secret's name.
fn without_suffix(arn: &str) -> Option<&str> {
    let (name, suffix) = arn.rsplit_once('-')?;
    (suffix.len() == 6 && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(name)
}

/// The parts of an ARN, up to six. The last part may contain more colons.
pub(crate) fn arn(text: &str) -> Vec<&str> {
    text.splitn(6, ':').collect()
}

fn policy_profile(reader: &mut Reader) {
    match reader.text("PolicyProfile").as_deref() {
        None | Some("standard") => {}
        Some("hardened") => reader.reject("PolicyProfile", "must be standard (hardened is not supported yet)"),
        Some(_) => reader.reject("PolicyProfile", "must be standard"),
    }
}

/// The properties that Delete needs, and the old properties of an Update. Invalid values are ignored, because failing
/// on them would make the stack impossible to delete or update.
#[derive(Debug, Clone)]
pub struct Remnant {
    /// The ARN of the secret with the API token.
    pub token_secret: Option<String>,
    /// The Coiled server. `None` if the value is invalid.
    pub server: Option<Server>,
    /// The workspace's slug. `None` if the property is missing or invalid.
    pub workspace: Option<String>,
    /// The IAM user's name. `None` if IAM does not allow such a name.
    pub user: Option<UserName>,
    /// The path of the user and its policies. `None` if the value is invalid.
    pub path: Option<UserPath>,
    /// The ARN of the user's permissions boundary.
    pub boundary: Option<String>,
    /// Whether Delete continues if Coiled asks for confirmation or does not respond.
    pub force_disconnect: bool,
}

impl Remnant {
    /// Reads the properties. Never fails.
    pub fn read(properties: &Value) -> Self {
        let nothing = Map::new();
        let mut reader = Reader::new(properties.as_object().unwrap_or(&nothing), "");
        Self {
            // A value that is not an ARN may be the token itself, so it must not reach a log line.
            token_secret: reader.text("CoiledTokenSecretArn").filter(|text| text.starts_with("arn:")),
            server: read_or(&mut reader, "CoiledServer", Server::DEFAULT, Server::parse),
            workspace: reader.parsed("Workspace", workspace),
            user: read_or(&mut reader, "UserName", "coiled", UserName::parse),
            path: read_or(&mut reader, "UserPath", "/", UserPath::parse),
            boundary: reader.text("PermissionsBoundaryArn"),
            force_disconnect: reader.flag("ForceDisconnect", false),
        }
    }
}

/// The names of the properties, without values, for a log line.
pub fn names(properties: &Value) -> String {
    let names = properties.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>().join(", "));
    shorten(&names.unwrap_or_default(), 500)
}

#[cfg(test)]
mod tests;
