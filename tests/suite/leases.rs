//! Leases: how two runs that meet are kept apart. `twice.rs` lets every kind of run meet every other.

use std::time::Duration;

use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::World;

/// Unix seconds: within the time that a run of Lambda's may have.
fn in_ten_minutes() -> u64 {
    coiled_aws_stack::deadline::unix(std::time::SystemTime::now()) + 600
}

/// An in-flight Create was cancelled: its Delete waits for its end, and finds everything.
#[tokio::test]
async fn a_delete_waits_for_a_create_at_work() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::Slow(Duration::from_millis(700)), times: 1 });
    let create = world.event("Create", world.properties(json!({})));
    let delete = world.event("Delete", world.properties(json!({})));
    let (created, deleted) = tokio::join!(world.invoke(create), async {
        // The Create holds its lease from the moment at which its message is on its way.
        world.coiled.until(|coiled| !coiled.calls(Call::WsUpgrade).is_empty()).await;
        world.invoke(delete).await
    });
    created.and(deleted).unwrap();
    world.nothing_left().await;
    assert!(world.logs.text().contains("another run works on this user"));
}

#[tokio::test]
async fn a_lease_whose_time_is_over_holds_nobody_up() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    // A run's time ends; and one that would end in years is no run's.
    for until in [1, 99_999_999_999_u64] {
        world.tag_user("coiled", "coiled-stack:lease", &format!("dead/1/{until}")).await;
        world.update(json!({}), json!({"Release": "2"})).await.succeeded();
        assert_eq!(world.tag("coiled-stack:lease").await, "", "it is cleaned up");
    }
}

/// The lease says until when: a run that can't wait so long says who is at work.
#[tokio::test]
async fn a_lease_that_outlasts_the_run_is_named() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.tag_user("coiled", "coiled-stack:lease", &format!("alive/1/{}", in_ten_minutes())).await;
    world.timeout = Duration::from_secs(4);
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "1"})).await.failed(&["another run", "request alive"]);
    assert_eq!(before, world.snapshot().await);
}

/// A Delete has taken over while the key was proved: the Create stops before it registers.
#[tokio::test]
async fn a_run_that_lost_its_lease_registers_nothing() {
    let world = World::new().await;
    world.aws.key_pattern(&[false; 40]);
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.coiled.until(|coiled| !coiled.calls(Call::WsUpgrade).is_empty()).await;
        world.tag_user("coiled", "coiled-stack:lease", &format!("other/1/{}", in_ten_minutes())).await;
    });
    created.unwrap();
    assert_eq!(world.coiled.registrations(), Vec::<serde_json::Value>::new());
    let answer = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(answer.contains("FAILED") && answer.contains("request other"), "{answer}");
}
