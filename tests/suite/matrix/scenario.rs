//! The requests that CloudFormation sends, and the state of the account and of Coiled when each arrives.

use coiled_world::account::AWS_POLICY;
use serde_json::{Value, json};

/// The state before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// No resource of the stack exists.
    Nothing,
    /// What `coiled setup aws` leaves.
    SetUpByCoiled,
    /// After a Create. All later variants start from here too.
    Created,
    /// A person changed one policy's document and deleted the other policy.
    Drifted,
    /// A person added one item of each kind to the user.
    ManualContents,
    /// Clusters are running, so Coiled asks for confirmation before it disconnects.
    ClustersRunning,
    /// Coiled rejected the registration of an Update.
    UpdateRejected,
    /// An Update was killed after Coiled received the key and before any tag recorded it.
    UpdateKilled,
}

/// A request, which also determines what CloudFormation sends if it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Create, then Delete.
    Create,
    /// Update, then the reversed Update.
    Update,
    /// The reversed Update, then the same again if a person continues the rollback.
    Rollback,
    /// Delete, then Delete again.
    Delete,
}

/// One request in one state.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The title of the table, and the first part of each cell's name.
    pub name: &'static str,
    pub before: Before,
    pub event: Event,
    /// The properties of a Create or a Delete, or the old properties of an Update.
    pub old: Value,
    /// The new properties of an Update.
    pub new: Value,
}

/// Placeholder in properties for the ARN of the secret that holds the Docker Hub token.
pub const HUB: &str = "HUB";

pub fn all() -> Vec<Scenario> {
    let mut all = creates();
    all.extend(updates().into_iter().map(|(name, old, new)| update(name, Before::Created, old, new)));
    all.push(update("update: drift repaired", Before::Drifted, json!({}), json!({"Release": "0.2.0"})));
    all.extend(rollbacks());
    all.extend(deletes());
    all
}

fn update(name: &'static str, before: Before, old: Value, new: Value) -> Scenario {
    Scenario { name, before, event: Event::Update, old, new }
}

fn creates() -> Vec<Scenario> {
    let create = |name, before, old| Scenario { name, before, event: Event::Create, old, new: json!(null) };
    vec![
        create("create", Before::Nothing, json!({})),
        create("create: every property", Before::Nothing, every_property()),
        create("create: adoption", Before::SetUpByCoiled, adoption()),
    ]
}

fn updates() -> Vec<(&'static str, Value, Value)> {
    let detached = json!({"AttachSetupPolicy": "false"});
    let bounded = json!({"PermissionsBoundaryArn": AWS_POLICY});
    let one_tag = json!({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}]});
    let other_tag = json!({"Tags": [{"Key": "team", "Value": "b"}]});
    vec![
        ("update: new release without changes", json!({}), json!({"Release": "0.2.0"})),
        ("update: setup policy detached", json!({}), detached.clone()),
        ("update: setup policy attached again", detached, json!({})),
        ("update: key rotated", json!({}), json!({"RotateKey": "2"})),
        ("update: region changed", json!({}), json!({"Region": "us-east-2"})),
        ("update: network and ingress changed", json!({}), network()),
        ("update: registry changed to Docker Hub", json!({}), docker_hub()),
        ("update: tags changed", one_tag, other_tag),
        ("update: boundary added", json!({}), bounded.clone()),
        ("update: boundary removed", bounded, json!({})),
    ]
}

fn rollbacks() -> Vec<Scenario> {
    let rollback = |name, before| Scenario {
        name,
        before,
        event: Event::Rollback,
        old: json!({}),
        new: json!({"Region": "us-east-2", "AttachSetupPolicy": "false"}),
    };
    vec![
        rollback("rollback: update rejected by Coiled", Before::UpdateRejected),
        rollback("rollback: update killed during registration", Before::UpdateKilled),
    ]
}

fn deletes() -> Vec<Scenario> {
    let delete = |name, before, old| Scenario { name, before, event: Event::Delete, old, new: json!(null) };
    vec![
        delete("delete", Before::Created, json!({})),
        delete("delete: user with manually added contents", Before::ManualContents, json!({})),
        delete("delete: disconnect forced", Before::ClustersRunning, json!({"ForceDisconnect": "true"})),
    ]
}

fn network() -> Value {
    json!({"NetworkId": "vpc-0123abcd", "Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}]})
}

fn docker_hub() -> Value {
    json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": HUB})
}

fn every_property() -> Value {
    let mut all = json!({"UserPath": "/teams/data/", "Workspace": "ada", "Region": "eu-central-1",
        "PermissionsBoundaryArn": AWS_POLICY, "AttachSetupPolicy": "false", "RotateKey": "1",
        "Tags": [{"Key": "Owner", "Value": "data"}]});
    let more = [network(), docker_hub()].into_iter().flat_map(|part| part.as_object().cloned().unwrap());
    all.as_object_mut().unwrap().extend(more);
    all
}

fn adoption() -> Value {
    json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "PermissionsBoundaryArn": AWS_POLICY,
        "Tags": [{"Key": "Owner", "Value": "data"}]})
}
