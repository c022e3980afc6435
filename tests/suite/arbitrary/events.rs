//! Events handed to the function, whose answers arrive at a bucket as strict as CloudFormation.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::anything::{json, object};
use super::check;
use super::one_thing_wrong::{Wrong, changes};
use crate::support::World;

/// A world, and what drives it: the runner of cases knows no async.
struct Stage {
    runtime: Runtime,
    world: World,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // What the role lacks is not waited for: names are arbitrary, and the role is that of a stack with the defaults.
        let mut world = runtime.block_on(World::where_role_lacks_something());
        world.timeout = std::time::Duration::from_secs(5);
        world.deploy(&world.event("Create", world.properties(json!({}))));
        Self { runtime, world }
    }

    /// Hands an event over; one answer, and a valid one, where it says where to.
    fn hand_over(&self, event: &Value) -> Result<(), TestCaseError> {
        let before = self.world.bucket.puts().len();
        let ended = self.runtime.block_on(self.world.hand_over(event.clone()));
        prop_assert!(ended.is_ok(), "{ended:?}");
        let puts = self.world.bucket.puts().split_off(before);
        let expected = usize::from(event["ResponseURL"].as_str().is_some_and(|url| url.starts_with("http")));
        prop_assert_eq!(puts.len(), expected, "answers");
        for put in puts {
            let text = String::from_utf8_lossy(&put.body);
            prop_assert!(put.confirmed && put.faults.is_empty(), "{:?} in {}", put.faults, text);
            prop_assert!(!text.contains("a defect in the function"), "{}", text);
        }
        Ok(())
    }
}

/// Runs cases, some hundred in each world: what a world remembers is looked at after each case.
fn on_stages<S: Strategy>(
    what: &str,
    cases: u32,
    strategy: impl Fn(&World) -> S,
    event: impl Fn(&World, S::Value) -> Value,
) {
    const IN_ONE_WORLD: u32 = 250;
    for part in 0..cases / IN_ONE_WORLD {
        let stage = Stage::new();
        let strategy = strategy(&stage.world);
        check(&format!("{what}, part {part}"), IN_ONE_WORLD, &strategy, |value| {
            stage.hand_over(&event(&stage.world, value))
        });
        stage.world.nothing_leaked();
    }
}

/// Where an answer goes: mostly to the bucket, else to what is no web address. Never to another host.
#[derive(Debug, Clone)]
enum Url {
    Bucket,
    None,
    Nonsense(Value),
}

fn url() -> impl Strategy<Value = Url> {
    let nonsense = json().prop_filter("an address of somebody else", |value| !value.to_string().contains("http"));
    prop_oneof![6 => Just(Url::Bucket), 1 => Just(Url::None), 1 => nonsense.prop_map(Url::Nonsense)]
}

/// An event of any shape, to be answered at the bucket if anywhere.
fn any_event(world: &World, (fields, url, properties): (Map<String, Value>, Url, Value)) -> Value {
    let mut event = Value::Object(fields);
    // Coiled is asked nothing without a token, and no secret's name is guessed; but no other server is named either.
    event["ResourceProperties"] = properties;
    match url {
        Url::Bucket => event["ResponseURL"] = world.event("Create", Value::Null)["ResponseURL"].clone(),
        Url::Nonsense(value) => event["ResponseURL"] = value,
        Url::None => {}
    }
    // What an answer has to repeat may not fill it.
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        if event[name].as_str().is_some_and(|text| serde_json::to_string(text).unwrap().len() > 1000) {
            event[name] = json!("long");
        }
    }
    event
}

#[test]
fn events_of_any_shape_get_one_valid_answer() {
    let strategy = |_: &World| (object(json()), url(), prop_oneof![json(), object(json()).prop_map(Value::Object)]);
    on_stages("events of any shape", 8000, strategy, any_event);
}

#[test]
fn valid_events_with_one_thing_wrong_get_one_valid_answer() {
    on_stages("one thing wrong", 2500, |_| changes(), |world, change: Wrong| change.make(world));
}

/// What is not even an object is answered nowhere, and breaks nothing.
#[test]
fn what_is_no_object_is_no_event() {
    let stage = Stage::new();
    check("no event", 250, &json(), |value| {
        prop_assume!(!value.is_object());
        stage.hand_over(&json!({ "event": value }))?;
        let ended = stage.runtime.block_on(stage.world.hand_over(value));
        prop_assert!(ended.is_ok());
        Ok(())
    });
}
