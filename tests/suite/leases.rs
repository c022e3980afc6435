//! Leases: how two runs that meet are kept apart. `twice.rs` lets every kind of run meet every other.

use std::time::Duration;

use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::World;

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
    let lease = aws_sdk_iam::types::Tag::builder().key("coiled-stack:lease").value("dead/1/1").build().unwrap();
    world.iam.tag_user().user_name("coiled").tags(lease).send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// The lease says until when: a run that can't wait so long says who is at work.
#[tokio::test]
async fn a_lease_that_outlasts_the_run_is_named() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    let lease =
        aws_sdk_iam::types::Tag::builder().key("coiled-stack:lease").value("alive/1/99999999999").build().unwrap();
    world.iam.tag_user().user_name("coiled").tags(lease).send().await.unwrap();
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
        let lease =
            aws_sdk_iam::types::Tag::builder().key("coiled-stack:lease").value("other/1/99999999999").build().unwrap();
        world.iam.tag_user().user_name("coiled").tags(lease).send().await.unwrap();
    });
    created.unwrap();
    assert_eq!(world.coiled.registrations(), Vec::<serde_json::Value>::new());
    let answer = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(answer.contains("FAILED") && answer.contains("request other"), "{answer}");
}
