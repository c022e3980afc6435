//! A snapshot of the whole account and of Coiled: the stack's resources and everyone else's.

use coiled_aws_stack::coiled::connection::Shown;
use coiled_aws_stack::properties::Spec;
use coiled_aws_stack::resource::record::Digests;
use coiled_world::snapshot::Detail;
use serde_json::{Map, Value, json};

use super::stage::Stage;

#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The stack's resources, without values that differ between accounts.
    pub stack: Value,
    /// All other resources, unchanged.
    pub foreign: Value,
    /// The id of the key that Coiled holds, if that key does not work.
    pub dead_key: Option<String>,
}

impl Truth {
    /// Takes a snapshot.
    pub async fn of(stage: &Stage) -> Self {
        let world = &stage.world;
        // Calls of a finished run may still be in progress and take effect later.
        world.aws.quiet().await;
        let mut state = world.state(Detail::WithoutContents).await;
        let held = world.coiled.connection("ada");
        let key = held.as_ref().map(|held| held.access_key_id()).filter(|id| !id.is_empty());
        let dead_key = match key {
            Some(id) if !world.key_works(&id, "us-east-1").await => Some(id),
            _ => None,
        };
        let stack = json!({
            "users": taken(&mut state["users"], &["coiled"]),
            "policies": taken(&mut state["policies"], &["coiled-setup", "coiled-ongoing"]),
            "coiled": taken(&mut state["workspaces"], &["ada"]).remove("ada"),
        });
        let foreign = state;
        Self { stack: normalized(stage, stack), foreign, dead_key }
    }

    /// A tag of the stack's user.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.stack["users"]["coiled"]["tags"][key].as_str()
    }

    /// Panics unless the connection is complete: one active key that Coiled holds, and no lease or pending key.
    pub fn assert_complete(&self) {
        let user = &self.stack["users"]["coiled"];
        assert_eq!(user["keys"], json!({"KEY": "Some(Active)"}));
        assert_eq!(self.stack["coiled"]["options"]["credentials"]["aws_access_key"], "KEY");
        let registered = self.tag("coiled-stack:registered").unwrap_or_default();
        assert!(registered.ends_with("target, as Coiled shows it"), "{registered}");
        assert!(!self.has_pending_key() && self.tag("coiled-stack:lease").is_none(), "{}", user["tags"]);
        assert_eq!(self.arns().len(), 3, "a user and two policies");
    }

    /// Panics if any resource or registration of the stack exists.
    pub fn assert_deleted(&self) {
        assert_eq!(self.arns(), Vec::<String>::new());
        assert_eq!(self.stack["coiled"], Value::Null);
    }

    /// Whether the outcome of a registration is unknown.
    pub fn has_pending_key(&self) -> bool {
        self.tag("coiled-stack:pending-access-key-id").is_some()
    }

    /// The ARNs of the stack's resources that are new or changed.
    pub fn arns_changed_since(&self, before: &Truth) -> Vec<String> {
        let resources = |part: &str| self.stack[part].as_object().cloned().unwrap_or_default();
        let changed = |part: &'static str| {
            let resources =
                resources(part).into_iter().filter(move |(name, resource)| before.stack[part][name] != *resource);
            resources.filter_map(|(_, resource)| resource["arn"].as_str().map(str::to_owned))
        };
        changed("users").chain(changed("policies")).collect()
    }

    /// The ARNs of the stack's resources.
    pub fn arns(&self) -> Vec<String> {
        self.arns_changed_since(&Truth { stack: Value::Null, ..self.clone() })
    }

    /// A copy without the user's keys and Coiled's credentials.
    pub fn without_keys(&self) -> Self {
        let mut truth = self.clone();
        if let Some(keys) = truth.stack.pointer_mut("/users/coiled/keys") {
            *keys = Value::Null;
        }
        if let Some(credentials) = truth.stack.pointer_mut("/coiled/options/credentials") {
            *credentials = Value::Null;
        }
        truth
    }

    /// A copy without the resources that no longer exist in `later`.
    pub fn without_deleted(&self, later: &Truth) -> Self {
        let mut truth = self.clone();
        for part in ["users", "policies"] {
            if let Some(resources) = truth.stack[part].as_object_mut() {
                resources.retain(|name, _| later.stack[part][name]["arn"].is_string());
            }
        }
        truth
    }

    /// A copy without the registration at Coiled.
    pub fn disconnected(&self) -> Self {
        let mut truth = self.clone();
        truth.stack["coiled"] = Value::Null;
        truth
    }

    /// Every difference between the stack's resources and the expected ones, with its JSON path.
    pub fn differences(&self, expected: &Truth) -> Vec<String> {
        let mut found = Vec::new();
        differ("", &expected.stack, &self.stack, &mut found);
        found
    }
}

fn differ(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    let (Value::Object(one), Value::Object(other)) = (expected, found) else {
        if expected != found {
            out.push(format!("{at}: expected {expected}, found {found}"));
        }
        return;
    };
    let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        differ(&format!("{at}/{key}"), &side(one), &side(other), out);
    }
}

/// Removes the resources with these names.
fn taken(all: &mut Value, names: &[&str]) -> Map<String, Value> {
    let all = all.as_object_mut().unwrap();
    names.iter().filter_map(|name| all.remove_entry(*name)).collect()
}

/// Replaces what differs between accounts: account id, key ids, secret keys and the port of the Coiled server.
fn normalized(stage: &Stage, stack: Value) -> Value {
    let mut stack = stack;
    let registered = stack["users"]["coiled"]["tags"]["coiled-stack:registered"].as_str().map(str::to_owned);
    if let Some(registered) = registered {
        stack["users"]["coiled"]["tags"]["coiled-stack:registered"] =
            Value::from(describe_registered(stage, &registered));
    }
    for (part, name) in [("options", "aws_secret_key"), ("registry", "aws_secret_access_key")] {
        if let Some(secret) = stack.pointer_mut(&format!("/coiled/{part}/credentials/{name}")) {
            *secret = Value::from("***");
        }
    }
    let active = stack["users"]["coiled"]["tags"]["coiled-stack:access-key-id"].as_str().map(str::to_owned);
    let ids = stack["users"]["coiled"]["keys"].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>());
    let world = &stage.world;
    let mut text = stack.to_string().replace(world.aws.account(), "ACCOUNT").replace(&world.coiled.url(), "COILED");
    for (number, id) in ids.unwrap_or_default().into_iter().enumerate() {
        let name = if active.as_ref() == Some(&id) { "KEY".to_owned() } else { format!("ANOTHER KEY {number}") };
        text = text.replace(&id, &name);
    }
    serde_json::from_str(&text).unwrap()
}

/// Which properties the recorded digest stands for, and whether Coiled still shows the same connection as then.
fn describe_registered(stage: &Stage, registered: &str) -> String {
    let Some(digests) = Digests::read(registered) else { return registered.to_owned() };
    let spec = |properties: &Value| Spec::parse(properties, "us-east-1", "aws").ok();
    let [old, new] = stage.targets();
    let is = |properties: &Value| spec(properties).is_some_and(|spec| Digests::wanted(&spec) == digests.wanted);
    let wanted = if is(&old) {
        "old target"
    } else if is(&new) {
        "new target"
    } else {
        "neither target"
    };
    let shown = stage.world.coiled.connection("ada").map(|connection| Shown::new(connection.readable()).digest());
    let same = if shown == Some(digests.shown) { "as Coiled shows it" } else { "Coiled shows something else" };
    format!("{wanted}, {same}")
}
