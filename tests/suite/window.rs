//! The race window of a lease in tags. IAM has no compare-and-set for tags, so two runs can both write a lease.

use std::time::Duration;

use coiled_aws_stack::config::Config;
use coiled_world::World;
use coiled_world::aws::{AwsCall, AwsFault, AwsHow, round_trips};
use serde_json::json;

use crate::support::{Deploy, config};

fn is_lease(call: &AwsCall) -> bool {
    call.action == "TagUser" && call.params.values().any(|value| value == "coiled-stack:lease")
}

/// The window begins with the GetUser call that finds no lease, and ends when the TagUser call has written one.
/// `docs/guarantees.md` has the measured times.
#[tokio::test]
async fn no_call_comes_between_reading_and_writing_the_lease() {
    for latency in [20, 100].map(Duration::from_millis) {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        world.aws.forget_calls();
        world.aws.fault(AwsFault { action: "iam:*", how: AwsHow::Slow(latency), times: u32::MAX });
        world.update(json!({}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
        let mut calls = world.aws.calls();
        calls.sort_by_key(|call| call.span.map(|(arrived, _)| arrived));
        let written = calls.iter().position(is_lease).expect("a lease is written");
        let read = calls[..written].iter().rposition(|call| call.action == "GetUser").expect("the lease is read first");
        let (arrived, _) = calls[read].span.unwrap();
        let (_, done) = calls[written].span.unwrap();
        println!(
            "window at {latency:?} a call: {:?}, {} round trips",
            done - arrived,
            round_trips(&calls[read..=written])
        );
        assert_eq!(written - read, 1, "no call may come between reading and writing the lease");
        assert!(done - arrived >= 2 * latency);
    }
}

/// Writing the first lease takes longer than the second run's settle time, so the second run continues. It reads the
/// lease again before it registers its key, finds another one, and stops. The next Update completes the connection.
#[tokio::test]
async fn one_of_two_runs_with_overlapping_leases_stops_before_it_registers() {
    let (world, before) = two_runs_in_the_window(false).await;
    assert!(world.coiled.registrations().len() <= 2, "both runs registered their keys");
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(before, world.shape().await);
    world.connected().await;
}

/// The user has room for both runs' keys.
#[tokio::test]
async fn a_run_that_stops_for_another_lease_deletes_only_its_own_key() {
    let (world, _) = two_runs_in_the_window(true).await;
    assert_eq!(world.coiled.registrations().len(), 2, "expected one by the Create and one by one of the two runs");
    world.connected().await;
}

/// Delivers a rotation twice. The first delivery's lease is written late. Returns the state before both.
async fn two_runs_in_the_window(without_a_key: bool) -> (World, String) {
    let world = World::with(Config { lease_settle: Duration::from_millis(50), ..config() }).await;
    world.create(json!({})).await.succeeded();
    if without_a_key {
        let key = world.keys("coiled").await.remove(0);
        world.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
    }
    let before = world.shape().await;
    // The run that continues stays busy because its key does not work until then.
    world.aws.keys_work_after(Duration::from_millis(1500));
    world.aws.fault(AwsFault { action: "TagUser", how: AwsHow::Slow(Duration::from_millis(700)), times: 1 });
    let event = world.update_event(json!({}), json!({"RotateKey": "2"}));
    let reads = world.aws.actions().iter().filter(|action| *action == "GetUser").count();
    let (slow, fast) = tokio::join!(world.invoke(event.clone()), async {
        // After two reads the slow run is writing its lease.
        world.aws.until("GetUser", reads + 2).await;
        world.invoke(event.clone()).await
    });
    slow.and(fast).unwrap();
    assert!(world.logs.text().contains("another run is working on this user"), "neither run noticed the other");
    (world, before)
}
