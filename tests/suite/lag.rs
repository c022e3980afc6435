//! Whole life cycles in an IAM that is always behind, with rights that arrive late, and keys that take their time.

use std::time::{Duration, Instant};

use coiled_aws_stack::config::Config;
use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::account::AWS_POLICY;
use crate::support::aws::{AwsFault, AwsHow};
use crate::support::moments::Moment;
use crate::support::{World, config};

/// IAM is behind by some seconds at worst, and believed after 120 s: so it is here, twenty times as fast.
const LAG: Duration = Duration::from_millis(150);

async fn behind() -> World {
    let world = World::with(Config { late_create: 3 * LAG, ..config() }).await;
    world.aws.lag_by(LAG);
    world
}

#[tokio::test]
async fn a_whole_life_goes_on_without_a_pause() {
    let world = behind().await;
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
        let answer = world.update(old.clone(), new.clone()).await;
        assert!(answer.is_success(), "{old} to {new}: {}", answer.reason());
        world.connected().await;
        let setup = if new.get("AttachSetupPolicy").is_some() { 1 } else { 2 };
        assert_eq!(world.attached("coiled").await.len(), setup, "{new}");
        assert_eq!(world.aws.boundary("coiled").as_deref(), new["PermissionsBoundaryArn"].as_str(), "{new}");
    }
    assert!(!world.logs.text().contains("another run was faster"), "its own lease is late, and not lost");
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn a_delete_right_after_its_create_leaves_nothing() {
    let world = behind().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// The user still seems to be there, and ours.
#[tokio::test]
async fn a_delete_right_after_another_succeeds() {
    let world = behind().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// What the Create unmade still seems to be there for its clean-up Delete, and what it made is not there yet to be unmade.
#[tokio::test]
async fn a_create_that_fails_at_any_stage_leaves_nothing() {
    for on in [Call::WsUpgrade, Call::WsMessage, Call::BackendOptions] {
        let world = behind().await;
        if on == Call::BackendOptions {
            world.coiled.fault(Fault { on, how: How::Slow(Duration::ZERO), times: 1 });
        }
        let how =
            if on == Call::WsMessage { How::IsError("no".into()) } else { How::Status(400, json!({"detail": "no"})) };
        world.coiled.fault(Fault { on, how, times: 1 });
        let answer = world.create(json!({})).await.failed(&["no"]);
        assert!(!answer.reason().contains("Left in the account"), "{on:?}: {}", answer.reason());
        world.nothing_left().await;
        let answer = world.delete(json!({})).await;
        assert!(answer.is_success(), "{on:?}: {}", answer.reason());
        world.nothing_left().await;
    }
}

/// A step fails at once, and its undo looks for what is not shown yet.
#[tokio::test]
async fn a_step_that_fails_is_undone_before_it_is_shown() {
    for action in ["CreatePolicy", "AttachUserPolicy", "CreateAccessKey", "TagUser", "UntagUser"] {
        let world = behind().await;
        let how = AwsHow::Error(400, "ValidationError", "not today");
        world.aws.fault(AwsFault { action, how, times: 1 });
        world.create(json!({})).await;
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// A killed Create's user is a moment old when the Delete looks for it; its lease says how long it has to be waited for.
#[tokio::test]
async fn a_delete_right_after_a_killed_create_leaves_nothing() {
    for (call, times) in [("iam:CreateUser", 1), ("iam:CreateAccessKey", 1)] {
        let mut world = behind().await;
        world.timeout = Duration::from_secs(5);
        let create = world.event("Create", world.properties(json!({})));
        world.kill(create, &Moment { call: call.into(), times }).await;
        world.timeout = Duration::from_secs(20);
        let answer = world.delete(json!({})).await;
        assert!(answer.is_success(), "{call}: {}", answer.reason());
        world.nothing_left().await;
    }
}

/// The Update's key can't be registered, and goes again before IAM shows it.
#[tokio::test]
async fn a_rotation_that_fails_leaves_the_old_key() {
    let world = behind().await;
    world.create(json!({})).await.succeeded();
    let before = world.shape().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["no"]);
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(before, world.shape().await);
}

/// The reply with the key is lost, and the list does not show that key yet.
#[tokio::test]
async fn a_key_lost_with_its_reply_goes_in_the_end() {
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

/// IAM does not show the lease of a run that fails at once: it ends all the same, and nobody waits for it.
#[tokio::test]
async fn a_run_that_fails_at_once_gives_its_lease_back() {
    let world = behind().await;
    world.create(json!({})).await.succeeded();
    world.coiled.fault(Fault { on: Call::Disconnect, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.delete(json!({})).await.failed(&["no"]);
    assert!(world.tag("coiled-stack:lease").await.contains("/0/"), "{}", world.tag("coiled-stack:lease").await);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// Two keys of a person's: one has to go first, and its place seems to be taken a while longer.
#[tokio::test]
async fn a_full_user_makes_room_for_a_key() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    world.aws.lag_by(LAG);
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
}

/// Rights arrive service by service, and action by action, while the run is at work.
#[tokio::test]
async fn rights_that_arrive_late_are_waited_for() {
    let rights =
        ["secretsmanager:*", "sts:*", "iam:*", "GetUser", "CreateUser", "CreatePolicy", "CreateAccessKey", "TagUser"];
    let late = |world: &World, rights: &[&'static str]| {
        for (n, rights) in (1..).zip(rights) {
            world.aws.rights_arrive(rights, n * LAG);
        }
    };
    let world = behind().await;
    late(&world, &rights);
    world.create(json!({})).await.succeeded();
    late(&world, &["iam:*", "UntagUser", "CreatePolicyVersion", "DeleteAccessKey", "secretsmanager:*"]);
    world.update(json!({}), json!({"RotateKey": "2", "Tags": [{"Key": "a", "Value": "b"}]})).await.succeeded();
    world.connected().await;
    late(
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

/// In real time and with the function's own patience: a key that works after 8 s, and then flickers.
#[tokio::test]
async fn a_key_that_works_after_eight_seconds_and_then_flickers() {
    let mut world = World::with(Config { late_create: Duration::ZERO, ..Config::default() }).await;
    world.timeout = Duration::from_secs(120);
    world.aws.keys_work_after(Duration::from_secs(8));
    world.aws.key_pattern(&[true, true, false, true, false]);
    let began = Instant::now();
    world.create(json!({})).await.succeeded();
    assert!(began.elapsed() > Duration::from_secs(10), "{:?}: two refusals after 8 s", began.elapsed());
    world.connected().await;
    assert_eq!(world.coiled.registrations().len(), 1);
}
