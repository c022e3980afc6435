//! Keys of runs that were killed after CreateAccessKey. The next run finds and deletes them, and keeps every key
//! that a person created.

use std::time::{Duration, SystemTime};

use coiled_aws_stack::config::Config;
use coiled_aws_stack::deadline::unix;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use crate::support::{Deploy, config};

fn rotated() -> Value {
    json!({"RotateKey": "2"})
}

/// Kills an Update after its next call of this name.
async fn kill(world: &World, old: Value, new: Value, call: &str) {
    let times = world.tally().get(call).copied().unwrap_or_default() + 1;
    world.kill(world.update_event(old, new), &Moment { call: call.into(), times }).await;
}

async fn roll_back(world: &World) {
    world.update(rotated(), json!({})).await.succeeded();
    assert_eq!(world.tag("coiled-stack:lease").await, "", "the lease was not cleaned up");
}

/// The rotation is killed before CreateAccessKey. A person creates a key before its lease expires.
#[tokio::test]
async fn a_key_that_a_person_creates_during_the_lease_of_a_killed_run_is_kept() {
    let world = World::after_create().await;
    kill(&world, json!({}), rotated(), "iam:TagUser").await;
    world.minutes_pass_after_a_kill().await;
    let by_hand = world.create_key_by_hand("coiled").await;
    roll_back(&world).await;
    assert!(world.keys("coiled").await.contains(&by_hand));

    kill(&world, json!({}), json!({"AttachSetupPolicy": "false"}), "iam:TagUser").await;
    world.lease_ends().await;
    roll_back(&world).await;
    assert!(world.keys("coiled").await.contains(&by_hand), "an Update that registers nothing creates no key");
    world.update(json!({}), rotated()).await.failed(&["as many access keys as IAM allows", &by_hand]);
}

/// The date of the key fits, but a run only ever calls STS with its key.
#[tokio::test]
async fn a_key_that_is_in_use_is_not_mistaken_for_the_key_of_a_killed_run() {
    let world = World::after_create().await;
    let by_hand = world.create_key_by_hand("coiled").await;
    world.aws.key_was_used(&by_hand, "ec2", "us-east-1", SystemTime::now());
    world.killed_run().await;
    roll_back(&world).await;
    assert!(world.keys("coiled").await.contains(&by_hand));
    assert!(world.logs.text().contains("keeping a key that a killed run may have created"));
    world.killed_run().await;
    world.update(json!({}), rotated()).await.failed(&["as many access keys as IAM allows", &by_hand, "with ec2"]);
    assert!(world.keys("coiled").await.contains(&by_hand));
}

/// The lease of each run replaces the one before it, which said when the key was created.
#[tokio::test]
async fn the_key_of_a_killed_run_is_found_even_if_the_next_run_is_killed_or_fails() {
    let world = World::after_create().await;
    let before = world.keys("coiled").await;
    kill(&world, json!({}), rotated(), "iam:CreateAccessKey").await;
    world.lease_ends().await;
    kill(&world, rotated(), json!({}), "iam:TagUser").await;
    world.lease_ends().await;
    // This Update should register a key, but it fails before it deletes a key to make room.
    world.coiled.fault(Fault { on: Call::WsUpgrade, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.update(json!({}), rotated()).await.failed(&["no"]);
    assert_eq!(world.keys("coiled").await.len(), 2);
    roll_back(&world).await;
    assert_eq!(world.keys("coiled").await, before);
}

/// A world in which every attempt to create a key begins later than the lease says.
async fn with_late_attempts(times: u32) -> World {
    let world = World::with(Config { create_key: Duration::ZERO, ..config() }).await;
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::Throttled, times });
    world
}

#[tokio::test]
async fn the_lease_is_written_again_before_a_late_attempt_to_create_a_key() {
    let world = with_late_attempts(2).await;
    world.create(json!({})).await.succeeded();
    let calls = world.aws.actions();
    let last = calls.iter().rposition(|action| action == "CreateAccessKey").unwrap();
    let count = |name: &str| calls[..=last].iter().filter(|action| *action == name).count();
    assert_eq!((count("CreateAccessKey"), count("TagUser")), (3, 3));
}

/// Another run takes over the user while IAM throttles CreateAccessKey.
#[tokio::test]
async fn a_late_attempt_to_create_a_key_does_not_overwrite_the_lease_of_another_run() {
    let world = with_late_attempts(u32::MAX).await;
    let lease = format!("other/1/{}", unix(SystemTime::now()) + 600);
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.aws.until("CreateAccessKey", 2).await;
        world.tag_user("coiled", "coiled-stack:lease", &lease).await;
    });
    created.unwrap();
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("request other"), "{response}");
    assert_eq!(world.tag("coiled-stack:lease").await, lease);
}
