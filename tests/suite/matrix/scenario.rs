//! What CloudFormation asks for: every kind of request, and what is there when it comes.

use serde_json::{Value, json};

use crate::support::account::AWS_POLICY;

/// What is there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing of ours.
    Nothing,
    /// What `coiled setup aws` leaves.
    SetUpByCoiled,
    /// What a Create made.
    Created,
    /// That, and a policy's document was changed by hand, five times; the other policy was deleted.
    Drifted,
    /// That, and a person put one of each into the user.
    PutByHand,
    /// That, and clusters run: Coiled asks before it forgets.
    ClustersRun,
    /// That, and an Update that Coiled refused.
    Refused,
    /// That, and an Update that was killed when Coiled had the key and nobody had noted so.
    Killed,
}

/// Which request, and so what CloudFormation sends when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Create; then Delete.
    Create,
    /// Update; then the reversed Update.
    Update,
    /// The reversed Update; then the same again, when a person continues the rollback.
    Rollback,
    /// Delete; then Delete again.
    Delete,
}

/// One request in one situation.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// How the table calls it.
    pub name: &'static str,
    /// What is there.
    pub before: Before,
    /// What is asked.
    pub event: Event,
    /// The properties before; those of a Create or Delete.
    pub old: Value,
    /// The properties of an Update.
    pub new: Value,
}

/// Stands in properties for the ARN of the secret with Docker Hub's token.
pub const HUB: &str = "HUB";

/// All of them.
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
        ("update: new release, no change", json!({}), json!({"Release": "0.2.0"})),
        ("update: setup policy detached", json!({}), detached.clone()),
        ("update: setup policy attached again", detached, json!({})),
        ("update: key rotated", json!({}), json!({"RotateKey": "2"})),
        ("update: new region", json!({}), json!({"Region": "us-east-2"})),
        ("update: new network and ingress", json!({}), network()),
        ("update: registry to Docker Hub", json!({}), docker_hub()),
        ("update: tags", one_tag, other_tag),
        ("update: boundary put", json!({}), bounded.clone()),
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
        rollback("rollback: of a refused update", Before::Refused),
        rollback("rollback: of an update killed while it registered", Before::Killed),
    ]
}

fn deletes() -> Vec<Scenario> {
    let delete = |name, before, old| Scenario { name, before, event: Event::Delete, old, new: json!(null) };
    vec![
        delete("delete", Before::Created, json!({})),
        delete("delete: with things put in by hand", Before::PutByHand, json!({})),
        delete("delete: forced to disconnect", Before::ClustersRun, json!({"ForceDisconnect": "true"})),
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
