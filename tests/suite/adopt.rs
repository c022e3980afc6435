//! `AdoptExisting` takes over the user and policies that `coiled setup aws` created earlier. For speed, these tests
//! create them with direct API calls. `genuine_client/adoption.rs` runs Coiled's own client instead.

use std::time::SystemTime;

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use crate::support::Deploy;

const OLD_DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}]}"#;

/// A new world with everything that [`set_up`] creates.
pub async fn world_after_set_up(keys: usize) -> World {
    let world = World::new().await;
    set_up(&world, keys).await;
    world
}

/// Creates what `coiled setup aws` creates: a user `coiled` tagged `owner=coiled`, two policies without ownership tags,
/// `keys` access keys and a connection.
pub async fn set_up(world: &World, keys: usize) {
    let owner = aws_sdk_iam::types::Tag::builder().key("owner").value("coiled").build().unwrap();
    world.iam.create_user().user_name("coiled").tags(owner).send().await.unwrap();
    for name in ["coiled-setup", "coiled-ongoing"] {
        world.iam.create_policy().policy_name(name).policy_document(OLD_DOCUMENT).send().await.unwrap();
        world.iam.attach_user_policy().user_name("coiled").policy_arn(world.policy_arn(name)).send().await.unwrap();
    }
    for _ in 0..keys {
        world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    }
    let held = world.keys("coiled").await.pop().unwrap_or_default();
    let options =
        json!({"provider_name": "aws", "aws_region_name": "us-east-1", "credentials": {"aws_access_key": held}});
    world.coiled.connect("ada", json!({"backend": "vm", "options": options}));
}

pub fn adopt_existing() -> Value {
    json!({"AdoptExisting": "true"})
}

#[tokio::test]
async fn create_adopts_a_user_with_no_key_or_one_key_and_delete_removes_it() {
    for keys in [0, 1] {
        let world = world_after_set_up(keys).await;
        let before = world.keys("coiled").await;
        world.create(adopt_existing()).await.succeeded();
        world.connected().await;
        assert!(!before.contains(&world.keys("coiled").await[0]), "an old key was kept ({keys} keys before)");
        assert_eq!(world.tag("coiled-stack:stack-id").await, world.stack_id());
        assert!(world.document("coiled-ongoing").await.contains("OngoingDestructive"));
        world.delete(adopt_existing()).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn create_changes_nothing_if_the_user_exists_and_adoption_is_off() {
    let world = world_after_set_up(1).await;
    let before = world.snapshot().await;
    world.create(json!({})).await.failed(&["user/coiled", "AdoptExisting"]);
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

/// After a failed Create, CloudFormation sends a Delete. That Delete must not remove resources that existed before the
/// Create.
#[tokio::test]
async fn a_failed_adoption_restores_everything_and_delete_keeps_it() {
    let world = world_after_set_up(1).await;
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    let tagged =
        json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Tags": [{"Key": "Owner", "Value": "team"}]});
    world.create(tagged.clone()).await.failed(&["register"]);
    assert_eq!(before, world.snapshot().await, "after the Create");
    world.delete(tagged).await.succeeded();
    assert_eq!(before, world.snapshot().await, "after the Delete");
}

/// If Create cannot restore a resource, it keeps the ownership tags. Delete uses them to find and restore the rest.
#[tokio::test]
async fn delete_restores_what_a_failed_adoption_could_not() {
    for (action, region) in [
        ("UntagPolicy", "us-east-1"),
        ("SetDefaultPolicyVersion", "us-east-1"),
        ("AttachUserPolicy", "us-east-1"),
        ("DeleteAccessKey", "us-east-1"),
        // This failure also leaves the pending key's tag. Delete then has to tell the old connection from the rejected
        // one, which it can do only if their regions differ.
        ("UntagUser", "us-east-2"),
    ] {
        let world = world_after_set_up(1).await;
        let before = world.snapshot().await;
        world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        world.aws.fault(AwsFault { action, how: AwsHow::Error(400, "Odd", "odd"), times: u32::MAX });
        let detached = json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Region": region});
        world.create(detached.clone()).await.failed(&["register", "Left in the account", "user/coiled"]);
        world.aws.clear_faults();
        world.delete(detached).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{action}");
    }
}

/// A world in which Coiled rejected the key of a Create that adopts a user without keys. `faulty` is the IAM call that
/// fails in its undo.
async fn world_after_failed_adoption(faulty: &'static str) -> World {
    let world = world_after_set_up(0).await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.aws.fault(AwsFault { action: faulty, how: AwsHow::Error(400, "Odd", "odd"), times: u32::MAX });
    let detached = json!({"AdoptExisting": "true", "AttachSetupPolicy": "false"});
    world.create(detached).await.failed(&["register", "Left in the account"]);
    world.aws.clear_faults();
    world
}

/// Some time after the failed Create, a person creates a key for the user. Only the keys that the stack created go.
#[tokio::test]
async fn delete_keeps_a_key_that_a_person_created_after_a_failed_adoption() {
    // The second fault leaves the stack's own key too.
    for faulty in ["AttachUserPolicy", "DeleteAccessKey"] {
        let world = world_after_failed_adoption(faulty).await;
        world.minutes_pass_after_a_kill().await;
        let by_hand = world.create_key_by_hand("coiled").await;
        world.delete(adopt_existing()).await.succeeded();
        assert_eq!(world.keys("coiled").await, [by_hand.as_str()], "{faulty}");
        let kept = |line: &str| line.contains("a key that this stack did not create") && line.contains(&by_hand);
        assert!(world.logs.text().lines().any(kept), "{faulty}: the log does not name the key");
        assert!(!world.user_tags("coiled").await.unwrap().iter().any(|(key, _)| key.starts_with("coiled-stack:")));
    }
}

/// No tag names the key of a Create that was killed right after CreateAccessKey. The lease shows when it was created,
/// and each Delete must keep that, because it may fail or be killed too.
#[tokio::test]
async fn delete_finds_the_key_of_a_killed_adoption_even_after_another_delete_ended_early() {
    for is_killed in [false, true] {
        let world = world_after_set_up(0).await;
        let before = world.snapshot().await;
        let create = world.event("Create", world.properties(adopt_existing()));
        world.kill(create, &Moment { call: "iam:CreateAccessKey".into(), times: 1 }).await;
        world.lease_ends().await;
        let by_hand = world.create_key_by_hand("coiled").await;
        world.aws.key_was_used(&by_hand, "ec2", "us-east-1", SystemTime::now());
        if is_killed {
            let delete = world.event("Delete", world.properties(adopt_existing()));
            let times = world.tally()["iam:TagUser"] + 1;
            world.kill(delete, &Moment { call: "iam:TagUser".into(), times }).await;
            world.lease_ends().await;
        } else {
            world.aws.fault(AwsFault { action: "DeleteAccessKey", how: AwsHow::Error(400, "Odd", "odd"), times: 1 });
            world.delete(adopt_existing()).await.failed(&["restore the adopted resources"]);
        }
        world.delete(adopt_existing()).await.succeeded();
        assert_eq!(world.keys("coiled").await, [by_hand.as_str()], "killed: {is_killed}");
        world.delete_key_by_hand(&by_hand).await;
        assert_eq!(before, world.snapshot().await, "killed: {is_killed}");
    }
}

/// The function's role may set the boundary but not delete it, so a failed Create could not undo it. A person has to
/// set it before the adoption.
#[tokio::test]
async fn adoption_fails_unless_the_user_already_has_the_permissions_boundary() {
    let world = world_after_set_up(1).await;
    let (before, bounded) =
        (world.snapshot().await, json!({"AdoptExisting": "true", "PermissionsBoundaryArn": AWS_POLICY}));
    world.create(bounded.clone()).await.failed(&[
        "Nothing was changed",
        "put-user-permissions-boundary --user-name coiled ",
        AWS_POLICY,
    ]);
    world.delete(bounded.clone()).await.succeeded();
    assert_eq!(before, world.snapshot().await);

    world
        .iam
        .put_user_permissions_boundary()
        .user_name("coiled")
        .permissions_boundary(AWS_POLICY)
        .send()
        .await
        .unwrap();
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.create(bounded.clone()).await.failed(&["register"]);
    assert_eq!(before, world.snapshot().await);
    world.create(bounded).await.succeeded();
    world.connected().await;
    assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY));
}

/// IAM allows two keys, and nothing shows which of them Coiled holds.
#[tokio::test]
async fn adoption_of_a_user_with_two_keys_is_rejected_until_a_person_deletes_one() {
    let world = world_after_set_up(2).await;
    let (before, keys) = (world.snapshot().await, world.keys("coiled").await);
    let command = |id: &String| format!("aws iam delete-access-key --user-name coiled --access-key-id {id}");
    let answer = world.create(adopt_existing()).await.failed(&[&command(&keys[0]), &command(&keys[1])]);
    assert!(answer.reason().contains("active"), "{}", answer.reason());
    world.delete(adopt_existing()).await.succeeded();
    assert_eq!(before, world.snapshot().await);

    world.delete_key_by_hand(&keys[0]).await;
    world.create(adopt_existing()).await.succeeded();
    world.connected().await;
}

/// With role delegation, `coiled setup aws` creates a policy but no user. Without the user, nothing shows who owns it.
#[tokio::test]
async fn adoption_fails_if_a_policy_exists_without_its_user() {
    let world = World::new().await;
    world.iam.create_policy().policy_name("coiled-setup").policy_document(OLD_DOCUMENT).send().await.unwrap();
    world.create(adopt_existing()).await.failed(&["policy/coiled-setup"]);
    assert_eq!(world.policies().await, ["coiled-setup"]);
    assert!(world.user_tags("coiled").await.is_none());
}
