//! The window that a lease in tags can't close, measured; and what happens to a run that falls into it.

use std::time::Duration;

use coiled_aws_stack::config::Config;
use serde_json::json;

use crate::support::aws::{AwsCall, AwsFault, AwsHow, round_trips};
use crate::support::{World, config};

fn is_lease(call: &AwsCall) -> bool {
    call.action == "TagUser" && call.params.values().any(|value| value == "coiled-stack:lease")
}

/// From the look that finds no lease to the moment at which everybody can see this run's: two calls, one after the other.
/// `docs/guarantees.md` has the figures.
#[tokio::test]
async fn from_the_look_to_the_lease_it_is_two_calls() {
    for latency in [20, 100].map(Duration::from_millis) {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        world.aws.forget_calls();
        world.aws.fault(AwsFault { action: "iam:*", how: AwsHow::Slow(latency), times: u32::MAX });
        world.update(json!({}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
        let mut calls = world.aws.calls();
        calls.sort_by_key(|call| call.span.map(|(arrived, _)| arrived));
        let written = calls.iter().position(is_lease).expect("a lease is taken");
        let looked = calls[..written].iter().rposition(|call| call.action == "GetUser").expect("after a look");
        let (arrived, _) = calls[looked].span.unwrap();
        let (_, done) = calls[written].span.unwrap();
        println!(
            "window at {latency:?} a call: {:?}, {} round trips",
            done - arrived,
            round_trips(&calls[looked..=written])
        );
        assert_eq!(written - looked, 1, "nothing comes between the look and the lease");
        assert!(done - arrived >= 2 * latency);
    }
}

/// A lease whose writing takes longer than the pause after which the other run looks again: that run has gone on. It looks
/// once more before it registers, and stops there; whatever comes next finds one connection, and makes it whole.
#[tokio::test]
async fn a_run_that_falls_into_the_window_stops_before_it_registers() {
    let (world, before) = in_the_window(false).await;
    assert!(world.coiled.registrations().len() <= 2, "at most one of them has registered its key");
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(before, world.shape().await);
    world.connected().await;
}

/// Where there is room for both keys, the one that stops takes its own back, and the other's stays and is registered.
#[tokio::test]
async fn a_run_that_falls_into_the_window_takes_back_its_own_key_and_no_other() {
    let (world, _) = in_the_window(true).await;
    assert_eq!(world.coiled.registrations().len(), 2, "the Create's, and one of the two");
    world.connected().await;
}

/// Two deliveries of a rotation, of which the first one's lease is written late; and what was there before them.
async fn in_the_window(without_a_key: bool) -> (World, String) {
    let world = World::with(Config { lease_settle: Duration::from_millis(50), ..config() }).await;
    world.create(json!({})).await.succeeded();
    if without_a_key {
        let key = world.keys("coiled").await.remove(0);
        world.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
    }
    let before = world.shape().await;
    // Until then the key of the run that went on does not work.
    world.aws.keys_work_after(Duration::from_millis(1500));
    world.aws.fault(AwsFault { action: "TagUser", how: AwsHow::Slow(Duration::from_millis(700)), times: 1 });
    let event = world.update_event(json!({}), json!({"RotateKey": "2"}));
    let looks = world.aws.actions().iter().filter(|action| *action == "GetUser").count();
    let (slow, fast) = tokio::join!(world.invoke(event.clone()), async {
        // The slow one's lease is on its way: it has looked twice.
        world.aws.until("GetUser", looks + 2).await;
        world.invoke(event.clone()).await
    });
    slow.and(fast).unwrap();
    assert!(world.logs.text().contains("another run works on this user"), "one of them has noticed");
    (world, before)
}
