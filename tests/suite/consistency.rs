//! IAM contradicts itself for a while after each change, and a new role is not known everywhere at once.

use serde_json::json;

use crate::support::World;
use crate::support::aws::{AwsFault, AwsHow};

fn fault(world: &World, action: &'static str, status: u16, code: &'static str, times: u32) {
    world.aws.fault(AwsFault { action, how: AwsHow::Error(status, code, "in a moment"), times });
}

/// What was made a moment ago is not known to every replica.
#[tokio::test]
async fn a_create_waits_for_what_it_made_itself() {
    for (action, code) in [
        ("AttachUserPolicy", "NoSuchEntity"),
        ("CreateAccessKey", "NoSuchEntity"),
        ("TagUser", "NoSuchEntity"),
        ("UntagUser", "NoSuchEntity"),
        ("CreateUser", "ConcurrentModification"),
        ("CreatePolicy", "ConcurrentModification"),
        ("TagUser", "EntityTemporarilyUnmodifiable"),
        // The first look finds no user either way; the later ones have to.
        ("GetUser", "NoSuchEntity"),
    ] {
        let world = World::new().await;
        fault(&world, action, if code == "NoSuchEntity" { 404 } else { 409 }, code, 4);
        let answer = world.create(json!({})).await;
        assert!(answer.is_success(), "{action} {code}: {}", answer.reason());
        world.connected().await;
    }
}

/// What was removed a moment ago still seems to be there.
#[tokio::test]
async fn a_delete_waits_for_what_it_removed_itself() {
    for (action, code) in [
        ("DeleteUser", "DeleteConflict"),
        ("DeletePolicy", "DeleteConflict"),
        ("DeleteUser", "EntityTemporarilyUnmodifiable"),
        ("DetachUserPolicy", "ConcurrentModification"),
    ] {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        fault(&world, action, 409, code, 4);
        let answer = world.delete(json!({})).await;
        assert!(answer.is_success(), "{action} {code}: {}", answer.reason());
        world.nothing_left().await;
    }
}

/// A stack that is launched again right after its deletion: names still seem to be taken.
#[tokio::test]
async fn a_name_that_was_given_up_a_moment_ago_is_waited_for() {
    for action in ["CreateUser", "CreatePolicy"] {
        let world = World::new().await;
        fault(&world, action, 409, "EntityAlreadyExists", 4);
        let answer = world.create(json!({})).await;
        assert!(answer.is_success(), "{action}: {}", answer.reason());
        world.connected().await;
    }
}

/// The user is there, and the replica that is asked does not know it: that Update may fail, but nothing is touched.
#[tokio::test]
async fn an_update_that_does_not_see_its_user_touches_nothing() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let before = world.snapshot().await;
    fault(&world, "GetUser", 404, "NoSuchEntity", 1);
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await;
    assert_eq!(before, world.snapshot().await);
    world.update(json!({"Release": "2"}), json!({"Release": "1"})).await.succeeded();
    world.connected().await;
}

/// A role written a moment ago is refused by every service for some seconds (aws-cdk#18237, #31429).
#[tokio::test]
async fn every_service_may_deny_a_fresh_role_at_first() {
    for action in ["iam:*", "secretsmanager:*", "sts:*"] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::AccessDenied, times: 6 });
        let answer = world.create(json!({})).await;
        assert!(answer.is_success(), "{action}: {}", answer.reason());
        world.connected().await;
    }
}

/// A right that is really missing is named in the end, and nothing is left.
#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreatePolicy", how: AwsHow::AccessDenied, times: u32::MAX });
    world.create(json!({})).await.failed(&["CreatePolicy", "AccessDenied", "role"]);
    world.nothing_left().await;
}

#[tokio::test]
async fn too_many_calls_are_no_reason_to_fail() {
    let world = World::new().await;
    for action in ["GetUser", "GetSecretValue", "CreateUser"] {
        world.aws.fault(AwsFault { action, how: AwsHow::Throttled, times: 1 });
    }
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

/// AWS refuses a boundary that is not there; an organisation may demand one (DataDog/cloudformation-template#35).
#[tokio::test]
async fn a_boundary_that_is_not_there_is_named() {
    let world = World::new().await;
    let arn = world.policy_arn("no-such-boundary");
    world.create(json!({"PermissionsBoundaryArn": arn})).await.failed(&["NoSuchEntity", &arn]);
    world.nothing_left().await;
    world.create(json!({})).await.succeeded();
    world.update(json!({}), json!({"PermissionsBoundaryArn": arn})).await.failed(&["NoSuchEntity", &arn]);
    world.update(json!({"PermissionsBoundaryArn": arn}), json!({})).await.succeeded();
    world.connected().await;
}
