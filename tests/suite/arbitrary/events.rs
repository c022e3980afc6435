//! Passes arbitrary events to the function. The bucket checks each response as strictly as CloudFormation.

use coiled_world::World;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::anything::{json, object};
use super::check;
use super::one_thing_wrong::{Wrong, changes};
use crate::support::Deploy;

/// A world with its own runtime, because proptest does not support async.
struct Stage {
    runtime: Runtime,
    world: World,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // Arbitrary names do not match the role, which belongs to a stack with the default parameters. This world
        // retries AccessDenied for only 50 ms.
        let mut world = runtime.block_on(World::where_role_lacks_something());
        world.timeout = std::time::Duration::from_secs(5);
        world.deploy(&world.event("Create", world.properties(json!({}))));
        Self { runtime, world }
    }

    /// Passes an event to the function. If the event has a ResponseURL, exactly one valid response must arrive.
    fn hand_over(&self, event: &Value) -> Result<(), TestCaseError> {
        let before = self.world.bucket.puts().len();
        let ended = self.runtime.block_on(self.world.hand_over(event.clone()));
        prop_assert!(ended.is_ok(), "{ended:?}");
        let puts = self.world.bucket.puts().split_off(before);
        let expected = usize::from(event["ResponseURL"].as_str().is_some_and(|url| url.starts_with("http")));
        prop_assert_eq!(puts.len(), expected, "the number of responses is wrong");
        for put in puts {
            let text = String::from_utf8_lossy(&put.body);
            prop_assert!(put.confirmed && put.faults.is_empty(), "{:?} in {}", put.faults, text);
            prop_assert!(!text.contains("internal error"), "{}", text);
        }
        Ok(())
    }
}

/// Runs the cases, 250 in each world. A world keeps all PUTs, so more cases per world would be slow.
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

/// The ResponseURL of an event: usually the bucket, otherwise missing or not a URL. It never names another host.
#[derive(Debug, Clone)]
enum Url {
    Bucket,
    None,
    Nonsense(Value),
}

fn url() -> impl Strategy<Value = Url> {
    let nonsense = json().prop_filter("a URL of another host", |value| !value.to_string().contains("http"));
    prop_oneof![6 => Just(Url::Bucket), 1 => Just(Url::None), 1 => nonsense.prop_map(Url::Nonsense)]
}

/// An arbitrary event whose ResponseURL is the bucket or unusable.
fn any_event(world: &World, (fields, url, properties): (Map<String, Value>, Url, Value)) -> Value {
    let mut event = Value::Object(fields);
    // Arbitrary properties cannot lead to a call to another server: without the ARN of a real secret there is no token,
    // and without a token the function does not call Coiled.
    event["ResourceProperties"] = properties;
    match url {
        Url::Bucket => event["ResponseURL"] = world.event("Create", Value::Null)["ResponseURL"].clone(),
        Url::Nonsense(value) => event["ResponseURL"] = value,
        Url::None => {}
    }
    // The response must repeat these fields. Long values alone would exceed its limit of 4,096 bytes.
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        if event[name].as_str().is_some_and(|text| serde_json::to_string(text).unwrap().len() > 1000) {
            event[name] = json!("long");
        }
    }
    event
}

#[test]
fn an_event_of_any_shape_gets_exactly_one_valid_response() {
    let strategy = |_: &World| (object(json()), url(), prop_oneof![json(), object(json()).prop_map(Value::Object)]);
    on_stages("events of any shape", 8000, strategy, any_event);
}

#[test]
fn a_valid_event_with_one_error_gets_exactly_one_valid_response() {
    on_stages("events with one error", 2500, |_| changes(), |world, change: Wrong| change.make(world));
}

/// Without an object there is no ResponseURL to respond to.
#[test]
fn an_event_that_is_not_an_object_gets_no_response_and_causes_no_error() {
    let stage = Stage::new();
    check("events that are not objects", 250, &json(), |value| {
        prop_assume!(!value.is_object());
        stage.hand_over(&json!({ "event": value }))?;
        let ended = stage.runtime.block_on(stage.world.hand_over(value));
        prop_assert!(ended.is_ok());
        Ok(())
    });
}
