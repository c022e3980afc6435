//! The properties of `Custom::CoiledConnection`: judged strictly for Create and Update, read leniently otherwise.

pub mod names;
pub mod network;
pub mod reader;
pub mod registry;
pub mod tags;

use serde_json::{Map, Value};

use crate::error::{Error, InvalidProperty};
use crate::iam::document::Kind;
use crate::redact::shorten;
use names::{Server, UserName, UserPath, is_region, partition_of};
use network::{Ingress, Network};
use reader::Reader;
use registry::Registry;
use tags::Tag;

/// What the connection shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The secret with the API token.
    pub token_secret: String,
    /// Coiled's control plane.
    pub server: Server,
    /// The workspace's slug, if the user named one.
    pub workspace: Option<String>,
    /// The IAM user.
    pub user: UserName,
    /// The path of the user and its policies.
    pub path: UserPath,
    /// Coiled's default AWS region.
    pub region: String,
    /// The user's permissions boundary.
    pub boundary: Option<String>,
    /// Whether the setup policy is attached.
    pub attach_setup: bool,
    /// An existing network; without one Coiled makes its own.
    pub network: Option<Network>,
    /// Who may reach the schedulers; empty: Coiled's default.
    pub ingress: Vec<Ingress>,
    /// Where images are kept.
    pub registry: Registry,
    /// Whether what `coiled setup aws` made may become ours.
    pub adopt: bool,
    /// Any text; a new one brings a new key.
    pub rotate_key: Option<String>,
    /// The user's own tags.
    pub tags: Vec<Tag>,
}

impl Spec {
    /// Judges the properties of a Create or an Update: every fault is named at once.
    ///
    /// `stack_region` and `partition` are those of the stack: the default of `Region`, and what it has to belong to.
    pub fn parse(properties: &Value, stack_region: &str, partition: &str) -> Result<Self, Error> {
        let Value::Object(map) = properties else {
            return Err(Error::Properties(vec![InvalidProperty::new("ResourceProperties", "has to be an object")]));
        };
        let mut reader = Reader::new(map, "");
        let spec = Self::read(&mut reader, stack_region, partition);
        let faults = reader.finish();
        match spec {
            Some(spec) if faults.is_empty() => Ok(spec),
            _ => Err(Error::Properties(faults)),
        }
    }

    /// Whether a policy is to be attached to the user; both are made.
    pub fn attaches(&self, kind: Kind) -> bool {
        kind == Kind::Ongoing || self.attach_setup
    }

    /// Reads everything before it gives up on anything, so that no fault is missed.
    fn read(reader: &mut Reader, stack_region: &str, partition: &str) -> Option<Self> {
        // CloudFormation adds these two to what the template says; Release is there to make an update happen, and
        // ForceDisconnect is read at Delete.
        ["ServiceToken", "ServiceTimeout", "Release"].into_iter().for_each(|name| reader.ignore(name));
        reader.flag("ForceDisconnect", false);
        let token_secret = reader.required("CoiledTokenSecretArn");
        let token_secret = token_secret
            .and_then(|text| reader.parse("CoiledTokenSecretArn", &text, |text| secret_arn(text, partition)));
        let server = read_or(reader, "CoiledServer", Server::DEFAULT, Server::parse);
        let workspace = reader.parsed("Workspace", workspace);
        let user = read_or(reader, "UserName", "coiled", UserName::parse);
        let path = read_or(reader, "UserPath", "/", UserPath::parse);
        let region = read_or(reader, "Region", stack_region, |text| region(text, partition));
        let boundary = reader.parsed("PermissionsBoundaryArn", |text| boundary(text, partition));
        policy_profile(reader);
        let attach_setup = reader.flag("AttachSetupPolicy", true);
        let network = network::network(reader);
        let ingress = network::ingress(reader);
        let registry = registry::registry(reader, partition);
        let adopt = reader.flag("AdoptExisting", false);
        let rotate_key = reader.text("RotateKey");
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

/// A slug goes into addresses; whether there is such a workspace, Coiled says.
fn workspace(text: &str) -> Result<String, String> {
    let slug = text.trim();
    if slug.chars().count() > 200 || slug.chars().any(char::is_control) {
        return Err("is not a workspace's slug".into());
    }
    Ok(slug.to_owned())
}

fn region(text: &str, partition: &str) -> Result<String, String> {
    if !is_region(text) {
        return Err("is not a region's code, such as us-east-2".into());
    }
    let theirs = partition_of(text);
    if theirs != partition {
        return Err(format!("is a region of partition {theirs}, and this stack is in {partition}"));
    }
    Ok(text.to_owned())
}

fn boundary(text: &str, partition: &str) -> Result<String, String> {
    match arn(text).as_slice() {
        ["arn", theirs, "iam", "", _, resource] if *theirs == partition && resource.starts_with("policy/") => {
            Ok(text.to_owned())
        }
        _ => Err(format!("is not the ARN of a policy, arn:{partition}:iam::ACCOUNT:policy/NAME")),
    }
}

/// Whether a text is the ARN of a Secrets Manager secret in this partition.
fn secret_arn(text: &str, partition: &str) -> Result<String, String> {
    match arn(text).as_slice() {
        ["arn", theirs, "secretsmanager", region, _, resource]
            if *theirs == partition && is_region(region) && resource.starts_with("secret:") =>
        {
            Ok(text.to_owned())
        }
        _ => Err(format!("it is not the ARN of a secret, arn:{partition}:secretsmanager:REGION:ACCOUNT:secret:NAME")),
    }
}

/// The six parts of an ARN; the last may hold more colons.
pub fn arn(text: &str) -> Vec<&str> {
    text.splitn(6, ':').collect()
}

fn policy_profile(reader: &mut Reader) {
    match reader.text("PolicyProfile").as_deref() {
        None | Some("standard") => {}
        Some("hardened") => reader.fault("PolicyProfile", "hardened is not part of this release yet; take standard"),
        Some(_) => reader.fault("PolicyProfile", "takes standard"),
    }
}

/// What a Delete, or the other half of an Update, needs to know; nothing in it is ever refused.
#[derive(Debug, Clone)]
pub struct Remnant {
    /// The secret with the API token, if one was named.
    pub token_secret: Option<String>,
    /// Coiled's control plane, as far as it can be read.
    pub server: Option<Server>,
    /// The IAM user; `None` where no user of that name can exist.
    pub user: Option<UserName>,
    /// The path of the user and its policies; `None` where there can't be one.
    pub path: Option<UserPath>,
    /// The user's boundary, if one was named.
    pub boundary: Option<String>,
    /// Whether to go on where Coiled asks, or does not answer.
    pub force_disconnect: bool,
}

impl Remnant {
    /// Reads leniently whatever is there.
    pub fn read(properties: &Value) -> Self {
        let nothing = Map::new();
        let mut reader = Reader::new(properties.as_object().unwrap_or(&nothing), "");
        Self {
            // Anything else can't be a secret's ARN, and may be the token itself.
            token_secret: reader.text("CoiledTokenSecretArn").filter(|text| text.starts_with("arn:")),
            server: read_or(&mut reader, "CoiledServer", Server::DEFAULT, Server::parse),
            user: read_or(&mut reader, "UserName", "coiled", UserName::parse),
            path: read_or(&mut reader, "UserPath", "/", UserPath::parse),
            boundary: reader.text("PermissionsBoundaryArn"),
            force_disconnect: reader.flag("ForceDisconnect", false),
        }
    }
}

/// A text for a log line about properties that may hold anything.
pub fn names(properties: &Value) -> String {
    let names = properties.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>().join(", "));
    shorten(&names.unwrap_or_default(), 500)
}

#[cfg(test)]
mod tests;
