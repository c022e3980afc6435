//! Full lifecycles in which every IAM read is stale, permissions take effect late, or a new key does not work yet.

use std::time::{Duration, Instant};

use coiled_aws_stack::config::Config;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::moments::Moment;
use serde_json::json;

use crate::support::{Deploy, config};

/// The age of the state that IAM shows. In AWS it is a few seconds, and the function allows for 120 s. The times in
/// these tests are about a twentieth of that.
const LAG: Duration = Duration::from_millis(150);

async fn world_with_lag() -> World {
    let world = World::with(Config { late_create: 3 * LAG, ..config() }).await;
    world.aws.lag_by(LAG);
    world
}

#[tokio::test]
async fn create_updates_and_delete_succeed_in_immediate_succession() {
    let world = world_with_lag().await;
    let versions = [
        json!({}),
        json!({"RotateKey": "2"}),
        json!({"RotateKey": "2", "AttachSetupPolicy": "false"}),
        json!({"RotateKey": "2", "Tags": [{"Key": "team", "Value": "data"}], "PermissionsBoundaryArn": AWS_POLICY}),
        json!({"RotateKey": "3", "Region": "us-east-2"}),
        json!({}),
    ];
    world.create(versions[0].clone()).await.succeeded();
    world.connected().await;
    for [old, new] in versions.array_windows() {
        let response = world.update(old.clone(), new.clone()).await;
        assert!(response.is_success(), "{old} to {new}: {}", response.reason());
        world.connected().await;
        let setup = if new.get("AttachSetupPolicy").is_some() { 1 } else { 2 };
        assert_eq!(world.attached("coiled").await.len(), setup, "{new}");
        assert_eq!(world.aws.boundary("coiled").as_deref(), new["PermissionsBoundaryArn"].as_str(), "{new}");
    }
    assert!(!world.logs.text().contains("another run was faster"), "a run mistook a stale read for a lost lease");
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn a_delete_right_after_a_create_leaves_nothing() {
    let world = world_with_lag().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// IAM still shows the deleted user with this stack's ownership tags.
#[tokio::test]
async fn a_delete_right_after_another_delete_succeeds() {
    let world = world_with_lag().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// The undo may not see resources that Create has just created. The Delete that follows may still see resources that
/// the undo has just deleted.
#[tokio::test]
async fn a_create_that_fails_at_any_call_to_coiled_leaves_nothing() {
    for on in [Call::WsUpgrade, Call::WsMessage, Call::BackendOptions] {
        let world = world_with_lag().await;
        if on == Call::BackendOptions {
            world.coiled.fault(Fault { on, how: How::Slow(Duration::ZERO), times: 1 });
        }
        let how =
            if on == Call::WsMessage { How::IsError("no".into()) } else { How::Status(400, json!({"detail": "no"})) };
        world.coiled.fault(Fault { on, how, times: 1 });
        let response = world.create(json!({})).await.failed(&["no"]);
        assert!(!response.reason().contains("Left in the account"), "{on:?}: {}", response.reason());
        world.nothing_left().await;
        let response = world.delete(json!({})).await;
        assert!(response.is_success(), "{on:?}: {}", response.reason());
        world.nothing_left().await;
    }
}

/// The step fails before IAM shows the resources of earlier steps, which the undo has to delete.
#[tokio::test]
async fn delete_leaves_nothing_no_matter_which_step_of_the_create_failed() {
    for action in ["CreatePolicy", "AttachUserPolicy", "CreateAccessKey", "TagUser", "UntagUser"] {
        let world = world_with_lag().await;
        let how = AwsHow::Error(400, "ValidationError", "not today");
        world.aws.fault(AwsFault { action, how, times: 1 });
        world.create(json!({})).await;
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// IAM does not show the killed Create's user at first. Once it does, Delete waits until the lease on the user expires.
#[tokio::test]
async fn a_delete_right_after_a_killed_create_leaves_nothing() {
    for (call, times) in [("iam:CreateUser", 1), ("iam:CreateAccessKey", 1)] {
        let mut world = world_with_lag().await;
        world.timeout = Duration::from_secs(5);
        let create = world.event("Create", world.properties(json!({})));
        world.kill(create, &Moment { call: call.into(), times }).await;
        world.timeout = Duration::from_secs(20);
        let response = world.delete(json!({})).await;
        assert!(response.is_success(), "{call}: {}", response.reason());
        world.nothing_left().await;
    }
}

/// Coiled rejects the new key, and the rollback follows while IAM reads are stale.
#[tokio::test]
async fn a_rollback_right_after_a_failed_rotation_restores_the_state() {
    let world = world_with_lag().await;
    world.create(json!({})).await.succeeded();
    let before = world.shape().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["no"]);
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(before, world.shape().await);
}

/// The response with the key is lost, and ListAccessKeys does not show the key yet.
#[tokio::test]
async fn a_rotation_deletes_a_key_whose_response_was_lost() {
    for full in [false, true] {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        if !full {
            world
                .iam
                .delete_access_key()
                .user_name("coiled")
                .access_key_id(world.keys("coiled").await.remove(0))
                .send()
                .await
                .unwrap();
        }
        world.aws.lag_by(LAG);
        world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::TookEffectThenDropped, times: 1 });
        world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
        world.connected().await;
    }
}

/// IAM does not show the lease yet when the run fails. If the run left it active, the next run would wait for it.
#[tokio::test]
async fn a_delete_that_fails_at_once_expires_its_lease() {
    let world = world_with_lag().await;
    world.create(json!({})).await.succeeded();
    world.coiled.fault(Fault { on: Call::Disconnect, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.delete(json!({})).await.failed(&["no"]);
    assert!(world.lease_has_ended().await, "{}", world.tag("coiled-stack:lease").await);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// IAM allows two keys. Update has to delete one first, and IAM still counts that key for a while.
#[tokio::test]
async fn a_rotation_succeeds_if_the_user_already_has_two_keys() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.create_key_by_hand("coiled").await;
    world.killed_run().await;
    world.aws.lag_by(LAG);
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
}

/// When Update checks for room, IAM already counts the second key but does not list it yet.
#[tokio::test]
async fn a_key_that_iam_does_not_list_yet_is_found_when_iam_rejects_another() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.aws.lag_by(LAG);
    let by_hand = world.create_key_by_hand("coiled").await;
    let keys = world.keys("coiled").await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["as IAM allows", &by_hand, "delete-access-key"]);
    assert_eq!(world.keys("coiled").await, keys);
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(world.keys("coiled").await, keys);
}

/// While the run is in progress, permissions reach different services and actions at different times.
#[tokio::test]
async fn create_update_and_delete_retry_until_late_permissions_take_effect() {
    let permissions =
        ["secretsmanager:*", "sts:*", "iam:*", "GetUser", "CreateUser", "CreatePolicy", "CreateAccessKey", "TagUser"];
    let delay = |world: &World, permissions: &[&'static str]| {
        for (n, permissions) in (1..).zip(permissions) {
            world.aws.permissions_arrive(permissions, n * LAG);
        }
    };
    let world = world_with_lag().await;
    delay(&world, &permissions);
    world.create(json!({})).await.succeeded();
    delay(&world, &["iam:*", "UntagUser", "CreatePolicyVersion", "DeleteAccessKey", "secretsmanager:*"]);
    world.update(json!({}), json!({"RotateKey": "2", "Tags": [{"Key": "a", "Value": "b"}]})).await.succeeded();
    world.connected().await;
    delay(
        &world,
        &[
            "GetUser",
            "TagUser",
            "secretsmanager:*",
            "DetachUserPolicy",
            "DeleteAccessKey",
            "DeletePolicy",
            "DeleteUser",
        ],
    );
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// Runs in real time with the function's default settings.
#[tokio::test]
async fn create_registers_a_key_that_works_after_8_seconds_and_then_fails_twice() {
    let mut world = World::with(Config { late_create: Duration::ZERO, ..Config::default() }).await;
    world.timeout = Duration::from_secs(120);
    world.aws.keys_work_after(Duration::from_secs(8));
    world.aws.key_pattern(&[true, true, false, true, false]);
    let began = Instant::now();
    world.create(json!({})).await.succeeded();
    assert!(began.elapsed() > Duration::from_secs(10), "{:?}: the key failed twice after 8 s", began.elapsed());
    world.connected().await;
    assert_eq!(world.coiled.registrations().len(), 1);
}
