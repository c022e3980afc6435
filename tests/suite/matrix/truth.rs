//! The whole truth: everything in the account and at Coiled, ours and other people's.

use std::collections::BTreeMap;

use coiled_aws_stack::coiled::connection::Shown;
use coiled_aws_stack::coiled::registration::Digests;
use coiled_aws_stack::properties::Spec;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::stage::Stage;
use crate::support::World;

/// What is there at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Of ours, without what differs from one account to the next.
    pub ours: Value,
    /// Of everybody else's, byte for byte.
    pub foreign: Value,
    /// Where Coiled holds a key that does not work: whose it is.
    pub dead_key: Option<String>,
}

impl Truth {
    /// Looks at everything.
    pub async fn of(stage: &Stage) -> Self {
        let world = &stage.world;
        // A run that was over left its last calls behind: what has arrived takes effect.
        world.aws.quiet().await;
        let (users, policies) = (users(world).await, policies(world).await);
        let held = world.coiled.connection("ada");
        let key = held.as_ref().map(|held| held.access_key_id()).filter(|id| !id.is_empty());
        let dead_key = match key {
            Some(id) if !world.key_works(&id, "us-east-1").await => Some(id),
            _ => None,
        };
        let is_ours = |name: &str| matches!(name, "coiled" | "coiled-setup" | "coiled-ongoing");
        let (our_users, other_users) = split(users, is_ours);
        let (our_policies, other_policies) = split(policies, is_ours);
        let at_coiled = held.as_ref().map(|held| held.data.clone());
        let ours = json!({"users": our_users, "policies": our_policies, "coiled": at_coiled});
        let team = world.coiled.connection("team").map(|connection| connection.data);
        let foreign = json!({"users": other_users, "policies": other_policies, "coiled": team});
        Self { ours: plain(stage, ours), foreign, dead_key }
    }

    /// A tag of our user.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.ours["users"]["coiled"]["tags"][key].as_str()
    }

    /// Panics unless all is there and works: one key, active, on record, held by Coiled; no trace of a run at work.
    pub fn assert_whole(&self) {
        let user = &self.ours["users"]["coiled"];
        assert_eq!(user["keys"], json!({"KEY": "Some(Active)"}));
        assert_eq!(self.ours["coiled"]["options"]["credentials"]["aws_access_key"], "KEY");
        let registered = self.tag("coiled-stack:registered").unwrap_or_default();
        assert!(registered.ends_with("target, as Coiled shows it"), "{registered}");
        assert!(!self.is_in_doubt() && self.tag("coiled-stack:lease").is_none(), "{}", user["tags"]);
        assert_eq!(self.arns().len(), 3, "a user and two policies");
    }

    /// Panics unless nothing of ours is left.
    pub fn assert_gone(&self) {
        assert_eq!(self.arns(), Vec::<String>::new());
        assert_eq!(self.ours["coiled"], Value::Null);
    }

    /// Whether a registration's outcome is unknown.
    pub fn is_in_doubt(&self) -> bool {
        self.tag("coiled-stack:pending-access-key-id").is_some()
    }

    /// The ARNs of what is there, and was not there before just so.
    pub fn arns_unlike(&self, before: &Truth) -> Vec<String> {
        let things = |part: &str| self.ours[part].as_object().cloned().unwrap_or_default();
        let changed = |part: &'static str| {
            let things = things(part).into_iter().filter(move |(name, thing)| before.ours[part][name] != *thing);
            things.filter_map(|(_, thing)| thing["arn"].as_str().map(str::to_owned))
        };
        changed("users").chain(changed("policies")).collect()
    }

    /// The ARNs of what is ours and there.
    pub fn arns(&self) -> Vec<String> {
        self.arns_unlike(&Truth { ours: Value::Null, ..self.clone() })
    }

    /// The same, whatever keys our user has.
    pub fn without_keys(&self) -> Self {
        let mut truth = self.clone();
        if let Some(keys) = truth.ours.pointer_mut("/users/coiled/keys") {
            *keys = Value::Null;
        }
        if let Some(credentials) = truth.ours.pointer_mut("/coiled/options/credentials") {
            *credentials = Value::Null;
        }
        truth
    }

    /// The same without what is not there any more later.
    pub fn but_for_what_is_gone(&self, later: &Truth) -> Self {
        let mut truth = self.clone();
        for part in ["users", "policies"] {
            if let Some(things) = truth.ours[part].as_object_mut() {
                things.retain(|name, _| later.ours[part][name]["arn"].is_string());
            }
        }
        truth
    }

    /// The same with nothing at Coiled.
    pub fn disconnected(&self) -> Self {
        let mut truth = self.clone();
        truth.ours["coiled"] = Value::Null;
        truth
    }

    /// How ours differs from what is expected, place by place.
    pub fn difference(&self, expected: &Truth) -> Vec<String> {
        let mut found = Vec::new();
        differ("", &expected.ours, &self.ours, &mut found);
        found
    }
}

fn differ(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    let (Value::Object(one), Value::Object(other)) = (expected, found) else {
        if expected != found {
            out.push(format!("{at}: {found} in place of {expected}"));
        }
        return;
    };
    let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for key in keys {
        let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        differ(&format!("{at}/{key}"), &side(one), &side(other), out);
    }
}

fn split(all: Map<String, Value>, is_ours: impl Fn(&str) -> bool) -> (Map<String, Value>, Map<String, Value>) {
    all.into_iter().partition(|(name, _)| is_ours(name))
}

/// Without what else may be in a user: IAM deletes none that has any of it, and nothing else here touches it.
async fn users(world: &World) -> Map<String, Value> {
    let mut all = Map::new();
    for user in world.iam.list_users().send().await.unwrap().users {
        let name = user.user_name;
        let keys = world.iam.list_access_keys().user_name(&name).send().await.unwrap().access_key_metadata;
        let keys: BTreeMap<_, _> = keys.into_iter().map(|key| (key.access_key_id.unwrap(), key.status)).collect();
        let keys: Map<String, Value> =
            keys.into_iter().map(|(id, status)| (id, format!("{status:?}").into())).collect();
        let thing = json!({
            "arn": user.arn,
            "tags": world.user_tags(&name).await,
            "keys": keys,
            "attached": world.attached(&name).await,
            "boundary": world.aws.boundary(&name),
        });
        all.insert(name, thing);
    }
    all
}

/// Without the number of versions: an old document is history, which IAM keeps and limits, and goes with its policy.
async fn policies(world: &World) -> Map<String, Value> {
    let mut all = Map::new();
    let listed = world.iam.list_policies().scope("Local".into()).send().await.unwrap().policies.unwrap_or_default();
    for listed in listed {
        let arn = listed.arn.unwrap();
        let policy = world.iam.get_policy().policy_arn(&arn).send().await.unwrap().policy.unwrap();
        let version = world.iam.get_policy_version().policy_arn(&arn).version_id(policy.default_version_id.unwrap());
        let document = version.send().await.unwrap().policy_version.unwrap().document.unwrap();
        let document = percent_decode_str(&document).decode_utf8().unwrap().into_owned();
        let tags = policy.tags.unwrap_or_default();
        let tags: BTreeMap<_, _> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        let document: Value = serde_json::from_str(&document).unwrap();
        all.insert(listed.policy_name.unwrap(), json!({"arn": arn, "tags": tags, "document": document}));
    }
    all
}

/// Without what differs from one account to the next: its number, ids and secrets of keys, the port of Coiled.
fn plain(stage: &Stage, ours: Value) -> Value {
    let mut ours = ours;
    let registered = ours["users"]["coiled"]["tags"]["coiled-stack:registered"].as_str().map(str::to_owned);
    if let Some(registered) = registered {
        ours["users"]["coiled"]["tags"]["coiled-stack:registered"] = Value::from(meaning(stage, &registered));
    }
    for (part, name) in [("options", "aws_secret_key"), ("registry", "aws_secret_access_key")] {
        if let Some(secret) = ours.pointer_mut(&format!("/coiled/{part}/credentials/{name}")) {
            *secret = Value::from("***");
        }
    }
    let on_record = ours["users"]["coiled"]["tags"]["coiled-stack:access-key-id"].as_str().map(str::to_owned);
    let ids = ours["users"]["coiled"]["keys"].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>());
    let world = &stage.world;
    let mut text = ours.to_string().replace(world.aws.account(), "ACCOUNT").replace(&world.coiled.url(), "COILED");
    for (number, id) in ids.unwrap_or_default().into_iter().enumerate() {
        let name = if on_record.as_ref() == Some(&id) { "KEY".to_owned() } else { format!("ANOTHER KEY {number}") };
        text = text.replace(&id, &name);
    }
    serde_json::from_str(&text).unwrap()
}

/// Which of the scenario's targets a digest says was registered, and whether Coiled still shows what it did then.
fn meaning(stage: &Stage, registered: &str) -> String {
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
