//! Lambda may deliver an event twice, in sequence or in parallel. A Delete may arrive while its Create still runs.

use std::time::Duration;

use coiled_aws_stack::config::Config;
use coiled_world::World;
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use crate::scenario::{Scenario, named};
use crate::support::{Deploy, config};

/// A world in which the scenario's request can arrive.
async fn ready_for(scenario: &Scenario) -> World {
    // Longer waits than in other tests, because calls are slow on a busy machine.
    let (lease_settle, late_create) = (Duration::from_millis(250), Duration::from_secs(5));
    let world = World::with(Config { lease_settle, late_create, ..config() }).await;
    scenario.clone().prepare(&world).await;
    world
}

/// The state after a single delivery.
async fn end(scenario: &Scenario) -> String {
    let world = ready_for(scenario).await;
    world.send(scenario.event(&world)).await.succeeded();
    world.shape().await
}

const SCENARIOS: [&str; 11] = [
    "create",
    "create: tags and boundary",
    "update: new release without changes",
    "update: setup policy detached",
    "update: setup policy attached again",
    "update: tags and boundary added",
    "update: tags and boundary removed",
    "update: key rotated",
    "update: region and network changed",
    "update: setup policy attached and ingress changed",
    "delete",
];

#[tokio::test]
async fn a_repeated_event_gets_the_same_response_and_changes_nothing() {
    for name in SCENARIOS {
        let scenario = named(name);
        let world = ready_for(&scenario).await;
        let event = scenario.event(&world);
        let first = world.send(event.clone()).await.succeeded();
        let (snapshot, asked) = (world.snapshot().await, world.coiled.requests().len());
        let second = world.send(event).await.succeeded();
        assert_eq!(first.value, second.value, "{name}");
        assert_eq!((snapshot, asked), (world.snapshot().await, world.coiled.requests().len()), "{name}");
    }
}

/// CloudFormation uses the first response, so both must be the same.
async fn both_responses_are_equal(world: &World, what: &str) {
    let puts: Vec<String> =
        world.bucket.puts().into_iter().rev().take(2).map(|put| String::from_utf8(put.body).unwrap()).collect();
    assert!(puts[0].contains("SUCCESS"), "{what}: {}", puts[0]);
    assert_eq!(puts[0], puts[1], "{what}");
}

#[tokio::test]
async fn two_parallel_deliveries_end_in_the_same_state_as_one() {
    for name in SCENARIOS {
        let scenario = named(name);
        let world = ready_for(&scenario).await;
        let event = scenario.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), world.invoke(event));
        first.and(second).unwrap();
        both_responses_are_equal(&world, name).await;
        assert_eq!(end(&scenario).await, world.shape().await, "{name}");
    }
}

/// Runs the event once for each change that it makes, and delivers it again at that moment.
async fn second_delivery_at_each_change(name: &str) {
    let scenario = named(name);
    let reference = ready_for(&scenario).await;
    let before = reference.tally();
    reference.send(scenario.event(&reference)).await.succeeded();
    let end = reference.shape().await;
    for moment in reference.moments_since(&before).into_iter().filter(Moment::changes_something) {
        let world = ready_for(&scenario).await;
        let event = scenario.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), async {
            world.until(&moment).await;
            world.invoke(event.clone()).await
        });
        first.and(second).unwrap();
        both_responses_are_equal(&world, &format!("{moment:?}")).await;
        assert_eq!(end, world.shape().await, "{name} {moment:?}");
    }
}

#[tokio::test]
async fn a_second_delivery_during_a_create_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change("create").await;
}

#[tokio::test]
async fn a_second_delivery_during_a_rotation_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change("update: key rotated").await;
}

#[tokio::test]
async fn a_second_delivery_during_a_policy_detach_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change("update: setup policy detached").await;
}

#[tokio::test]
async fn a_second_delivery_during_a_delete_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change("delete").await;
}

/// The Delete arrives once at each moment of the Create.
#[tokio::test]
async fn a_delete_during_its_create_leaves_no_resources() {
    let scenario = named("create");
    let reference = ready_for(&scenario).await;
    reference.send(scenario.event(&reference)).await.succeeded();
    for moment in reference.moments_since(&Default::default()) {
        let world = ready_for(&scenario).await;
        let (create, delete) = (scenario.event(&world), world.event("Delete", world.properties(json!({}))));
        let (created, deleted) = tokio::join!(world.invoke(create), async {
            world.until(&moment).await;
            world.invoke(delete).await
        });
        created.and(deleted).unwrap();
        let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
        assert!(response.contains("SUCCESS"), "{moment:?}: {response}");
        world.nothing_left().await;
    }
}

/// The Create arrives late, while its stack is being deleted or afterwards. It stops if it sees the Delete's lease.
/// After the Delete, it cannot know that it is late. Then it creates the complete connection with the stack's
/// ownership tags, so that another Delete of the stack finds every resource.
#[tokio::test]
async fn a_late_create_during_the_delete_creates_nothing_or_a_complete_connection() {
    let scenario = named("delete");
    let reference = ready_for(&scenario).await;
    let before = reference.tally();
    reference.send(scenario.event(&reference)).await.succeeded();
    let mut stopped = 0;
    for moment in reference.moments_since(&before) {
        let world = ready_for(&scenario).await;
        let (delete, create) = (scenario.event(&world), world.event("Create", world.properties(json!({}))));
        let (deleted, created) = tokio::join!(world.invoke(delete), async {
            world.until(&moment).await;
            world.invoke(create).await
        });
        deleted.and(created).unwrap();
        let responses: Vec<Value> =
            world.bucket.puts().iter().skip(1).map(|put| serde_json::from_slice(&put.body).unwrap()).collect();
        let response =
            |id: &str| responses.iter().find(|response| response["RequestId"].as_str().unwrap().ends_with(id)).unwrap();
        assert_eq!(response("2")["Status"], "SUCCESS", "{moment:?}: {}", response("2"));
        stopped += usize::from(response("3")["Reason"].as_str().is_some_and(|reason| reason.contains("a Delete")));
        if world.user_tags("coiled").await.is_some() {
            world.connected().await;
            assert_eq!(response("3")["Status"], "SUCCESS", "{moment:?}: {}", response("3"));
            world.delete(json!({})).await.succeeded();
        }
        world.nothing_left().await;
    }
    assert!(stopped > 5, "only {stopped} late Creates stopped because of the Delete's lease");
}

#[tokio::test]
async fn a_second_delete_removes_everything_that_a_create_after_the_first_delete_created() {
    let world = World::new().await;
    world.iam.create_user().user_name("theirs").send().await.unwrap();
    let before = world.snapshot().await;
    let create = world.event("Create", world.properties(json!({})));
    world.delete(json!({})).await.succeeded();
    world.send(create).await.succeeded();
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

/// A Create that responded has set the physical id. CloudFormation sends that id with the Delete, which then does not
/// wait.
#[tokio::test]
async fn delete_waits_for_a_late_create_only_if_the_create_never_responded() {
    let world = World::with(Config { late_create: Duration::from_secs(5), ..config() }).await;
    let waited = |world: &World| world.logs.text().contains("may be late; checking again");
    world.coiled.set_token("another-token-altogether");
    let failed = world.create(json!({})).await.failed(&["token"]);
    let mut delete = world.event("Delete", world.properties(json!({})));
    assert_eq!(delete["PhysicalResourceId"], failed.value["PhysicalResourceId"]);
    world.send(delete.clone()).await.succeeded();
    assert!(!waited(&world));
    delete["PhysicalResourceId"] = json!("coiled-Connection-1A2B3C4D5E6F");
    world.send(delete).await.succeeded();
    assert!(waited(&world));
}
