//! IAM is eventually consistent: after each change, reads may be stale for seconds. A new role reaches different
//! services at different times.

use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::json;

use crate::support::Deploy;

fn fault(world: &World, action: &'static str, status: u16, code: &'static str, times: u32) {
    world.aws.fault(AwsFault { action, how: AwsHow::Error(status, code, "in a moment"), times });
}

/// An IAM replica may not know a new resource yet.
#[tokio::test]
async fn create_retries_while_iam_does_not_know_the_new_resources() {
    for (action, code) in [
        ("AttachUserPolicy", "NoSuchEntity"),
        ("CreateAccessKey", "NoSuchEntity"),
        ("TagUser", "NoSuchEntity"),
        ("UntagUser", "NoSuchEntity"),
        ("CreateUser", "ConcurrentModification"),
        ("CreatePolicy", "ConcurrentModification"),
        ("TagUser", "EntityTemporarilyUnmodifiable"),
        // There is no user at the first read. Later reads are stale.
        ("GetUser", "NoSuchEntity"),
    ] {
        let world = World::new().await;
        fault(&world, action, if code == "NoSuchEntity" { 404 } else { 409 }, code, 4);
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{action} {code}: {}", response.reason());
        world.connected().await;
    }
}

/// An IAM replica may still list a deleted resource.
#[tokio::test]
async fn delete_retries_while_iam_still_lists_deleted_resources() {
    for (action, code) in [
        ("DeleteUser", "DeleteConflict"),
        ("DeletePolicy", "DeleteConflict"),
        ("DeleteUser", "EntityTemporarilyUnmodifiable"),
        ("DetachUserPolicy", "ConcurrentModification"),
    ] {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        fault(&world, action, 409, code, 4);
        let response = world.delete(json!({})).await;
        assert!(response.is_success(), "{action} {code}: {}", response.reason());
        world.nothing_left().await;
    }
}

/// If a stack is deleted and created again at once, IAM may still report its names as taken.
#[tokio::test]
async fn create_retries_while_iam_still_lists_a_deleted_name() {
    for action in ["CreateUser", "CreatePolicy"] {
        let world = World::new().await;
        fault(&world, action, 409, "EntityAlreadyExists", 4);
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{action}: {}", response.reason());
        world.connected().await;
    }
}

/// If an IAM replica does not know the user, the Update may fail, but it must not change anything.
#[tokio::test]
async fn update_changes_nothing_if_a_stale_read_hides_the_user() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let before = world.snapshot().await;
    fault(&world, "GetUser", 404, "NoSuchEntity", 1);
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await;
    assert_eq!(before, world.snapshot().await);
    world.update(json!({"Release": "2"}), json!({"Release": "1"})).await.succeeded();
    world.connected().await;
}

/// Each service denies a new role for some seconds (aws-cdk#18237, #31429).
#[tokio::test]
async fn create_succeeds_if_a_service_denies_the_new_role_six_times() {
    for action in ["iam:*", "secretsmanager:*", "sts:*"] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::AccessDenied, times: 6 });
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{action}: {}", response.reason());
        world.connected().await;
    }
}

/// AccessDenied from a role that lacks the permission looks like AccessDenied from a new role, but does not end.
#[tokio::test]
async fn create_names_a_missing_permission_and_leaves_nothing() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreatePolicy", how: AwsHow::AccessDenied, times: u32::MAX });
    world.create(json!({})).await.failed(&["CreatePolicy", "AccessDenied", "role"]);
    world.nothing_left().await;
}

#[tokio::test]
async fn create_retries_throttled_calls() {
    let world = World::new().await;
    for action in ["GetUser", "GetSecretValue", "CreateUser"] {
        world.aws.fault(AwsFault { action, how: AwsHow::Throttled, times: 1 });
    }
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

/// An organization may require a permissions boundary (DataDog/cloudformation-template#35). IAM rejects a boundary that
/// does not exist.
#[tokio::test]
async fn create_and_update_name_a_permissions_boundary_that_does_not_exist() {
    let world = World::new().await;
    let arn = world.policy_arn("no-such-boundary");
    world.create(json!({"PermissionsBoundaryArn": arn})).await.failed(&["NoSuchEntity", &arn]);
    world.nothing_left().await;
    world.create(json!({})).await.succeeded();
    world.update(json!({}), json!({"PermissionsBoundaryArn": arn})).await.failed(&["NoSuchEntity", &arn]);
    world.update(json!({"PermissionsBoundaryArn": arn}), json!({})).await.succeeded();
    world.connected().await;
}
