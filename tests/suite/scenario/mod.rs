//! The requests that CloudFormation sends, and the state of the account and of Coiled when each arrives. The fault matrix
//! and the tests of killed and repeated requests all take them from here.

mod before;

use coiled_world::World;
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
const HUB: &str = "HUB";

impl Scenario {
    /// Prepares the state in which the request arrives.
    pub async fn prepare(&mut self, world: &World) {
        for properties in [&mut self.old, &mut self.new] {
            if properties["DockerHubTokenSecretArn"] == HUB {
                properties["DockerHubTokenSecretArn"] = json!(world.hub_secret().await);
            }
        }
        before::reach(self, world).await;
    }

    /// The request.
    pub fn event(&self, world: &World) -> Value {
        match self.event {
            Event::Create => world.event("Create", world.properties(self.old.clone())),
            Event::Update => world.update_event(self.old.clone(), self.new.clone()),
            Event::Rollback => world.update_event(self.new.clone(), self.old.clone()),
            Event::Delete => self.delete(world),
        }
    }

    /// The request that CloudFormation sends if this one fails.
    pub fn next(&self, world: &World) -> Value {
        match self.event {
            Event::Create | Event::Delete => self.delete(world),
            Event::Update | Event::Rollback => world.update_event(self.new.clone(), self.old.clone()),
        }
    }

    fn delete(&self, world: &World) -> Value {
        world.event("Delete", world.properties(self.old.clone()))
    }

    /// The properties in the request.
    pub fn properties(&self) -> &Value {
        if self.event == Event::Update { &self.new } else { &self.old }
    }
}

/// The scenario with this name.
pub fn named(name: &str) -> Scenario {
    let mut all = matrix().into_iter().chain(several_changes());
    all.find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("there is no scenario {name}"))
}

/// The scenarios of the fault matrix. Each of its updates makes one change.
pub fn matrix() -> Vec<Scenario> {
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

fn create(name: &'static str, before: Before, old: Value) -> Scenario {
    Scenario { name, before, event: Event::Create, old, new: json!(null) }
}

fn creates() -> Vec<Scenario> {
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

/// Requests with several changes. Most faults hit them just as they hit a single change, so the matrix leaves them out.
fn several_changes() -> Vec<Scenario> {
    let detached = json!({"AttachSetupPolicy": "false"});
    let tagged = json!({"Tags": [{"Key": "team", "Value": "data"}], "PermissionsBoundaryArn": AWS_POLICY});
    let in_place = joined(&[detached.clone(), tagged.clone()]);
    let moved = json!({"Region": "us-east-2", "NetworkId": "vpc-0123abcd"});
    let ingress = json!({"Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}]});
    let updates = [
        ("update: tags and boundary added", json!({}), tagged.clone()),
        ("update: tags and boundary removed", tagged.clone(), json!({})),
        ("update: region and network changed", json!({}), moved),
        ("update: setup policy attached and ingress changed", detached, ingress),
        ("update: setup policy detached, tags and boundary added", json!({}), in_place),
    ];
    let mut all: Vec<_> = updates.into_iter().map(|(name, old, new)| update(name, Before::Created, old, new)).collect();
    all.push(create("create: tags and boundary", Before::Nothing, tagged));
    all
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
    let all = json!({"UserPath": "/teams/data/", "Workspace": "ada", "Region": "eu-central-1",
        "PermissionsBoundaryArn": AWS_POLICY, "AttachSetupPolicy": "false", "RotateKey": "1",
        "Tags": [{"Key": "Owner", "Value": "data"}]});
    joined(&[all, network(), docker_hub()])
}

/// One object with the fields of all.
fn joined(parts: &[Value]) -> Value {
    parts.iter().flat_map(|part| part.as_object().cloned().unwrap()).collect()
}

fn adoption() -> Value {
    json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "PermissionsBoundaryArn": AWS_POLICY,
        "Tags": [{"Key": "Owner", "Value": "data"}]})
}
