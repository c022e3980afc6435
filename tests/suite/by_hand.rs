//! What people change by hand in the stack's user and policies. Delete removes whatever the user contains. It fails
//! before any change if the user is in a group or a policy is attached elsewhere, and names the command that
//! removes the obstacle.

use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::World;

async fn connected() -> World {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world
}

/// Deletes the key that Coiled holds and creates two others, so both key slots are taken.
async fn two_keys_by_hand(world: &World) -> [String; 2] {
    let registered = world.keys("coiled").await.remove(0);
    world.iam.delete_access_key().user_name("coiled").access_key_id(registered).send().await.unwrap();
    [world.create_key_by_hand("coiled").await, world.create_key_by_hand("coiled").await]
}

/// terraform-provider-aws#12903: IAM deletes a user only if it is empty.
#[tokio::test]
async fn delete_removes_everything_in_the_user_and_logs_each_item() {
    let world = connected().await;
    world.put_everything_into("coiled").await;
    let keys = two_keys_by_hand(&world).await;
    world.delete(json!({})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none());
    // Delete detaches the person's policy and MFA device from the user but does not delete them.
    assert_eq!(world.policies().await, ["own"]);
    assert!(world.snapshot().await.contains("mfa/phone"));
    let listed = ["login profile", "inline policy inline", "SSH public key", "signing certificate", "MFA device"];
    for item in listed.into_iter().chain(["ACCACREDENTIAL", "policy/own", &keys[0], &keys[1]]) {
        assert!(world.logs.text().contains(item), "{item} is not in the log");
    }
}

/// A rotation must not remove the user's other policies, password, MFA device or certificates.
#[tokio::test]
async fn a_rotation_of_a_user_with_other_contents_deletes_only_keys() {
    let world = connected().await;
    world.put_everything_into("coiled").await;
    two_keys_by_hand(&world).await;
    let without_keys = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with("workspace") && !line.starts_with("user"));
        let user = text.lines().find(|line| line.starts_with("user")).unwrap();
        lines.map(str::to_owned).chain([user.split(" attached ").nth(1).unwrap().to_owned()]).collect()
    };
    let before = without_keys(world.snapshot().await);
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected_beside("own").await;
    assert_eq!(before, without_keys(world.snapshot().await));
}

/// IAM allows two keys, so one must be deleted before the new one is created. Coiled needs the registered key until it
/// holds the new one.
#[tokio::test]
async fn a_rotation_deletes_a_key_created_by_hand_before_the_registered_key() {
    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    let by_hand = world.create_key_by_hand("coiled").await;
    world.aws.forget_calls();
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    let calls = world.aws.calls();
    let deleted: Vec<&str> =
        calls.iter().filter(|call| call.action == "DeleteAccessKey").map(|call| call.param("AccessKeyId")).collect();
    assert_eq!(deleted[..2], [by_hand.as_str(), registered.as_str()]);
    world.connected().await;
}

/// If both key slots are taken, Update has to delete one key before it can create its own.
#[tokio::test]
async fn a_failed_rotation_of_a_user_with_two_keys_deletes_one_and_logs_it() {
    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    let by_hand = world.create_key_by_hand("coiled").await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["no"]);
    // Coiled may have stored the key that it rejected, and its response does not show which key it holds. So the new
    // key is kept until a later run resolves the outcome.
    let keys = world.keys("coiled").await;
    assert!(keys.len() == 2 && keys.contains(&registered) && !keys.contains(&by_hand), "{keys:?}");
    assert!(world.logs.text().contains(&by_hand), "the log does not name the deleted key");
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    world.connected().await;
}

/// IAM authorizes RemoveUserFromGroup on the group. A permission for every group in the account would be too wide.
#[tokio::test]
async fn delete_changes_nothing_if_the_user_is_in_a_group_and_a_policy_is_attached_elsewhere() {
    let world = connected().await;
    world.put_everything_into("coiled").await;
    world.iam.create_group().group_name("admins").send().await.unwrap();
    world.iam.add_user_to_group().user_name("coiled").group_name("admins").send().await.unwrap();
    let arn = world.policy_arn("coiled-setup");
    world.attach_elsewhere("role", &arn).await;
    let before = world.snapshot().await;
    // One response names both, so one retry is enough.
    world.delete(json!({})).await.failed(&["--group-name admins", "role/theirs", &arn, "Nothing was deleted"]);
    assert_eq!(before, world.snapshot().await);
}

/// The error names where the policy is attached and the command that detaches it. Until someone runs it, the policy and
/// the registered key keep working.
#[tokio::test]
async fn delete_changes_nothing_until_a_policy_attached_elsewhere_is_detached() {
    for (kind, name) in [("role", "coiled-ongoing"), ("user", "coiled-setup"), ("group", "coiled-ongoing")] {
        let world = connected().await;
        let arn = world.policy_arn(name);
        world.attach_elsewhere(kind, &arn).await;
        let before = world.snapshot().await;
        let command = format!("aws iam detach-{kind}-policy --{kind}-name theirs --policy-arn {arn}");
        world.delete(json!({})).await.failed(&[&format!("{kind}/theirs"), &arn, &command, "Nothing was deleted"]);
        assert_eq!(before, world.snapshot().await, "{kind}");
        let held = world.coiled.connection("ada").expect("Coiled still holds the key").access_key_id();
        assert!(world.key_works(&held, "us-east-1").await);

        world.detach_elsewhere(kind, &arn).await;
        world.delete(json!({})).await.succeeded();
        assert!(world.policies().await.is_empty() && world.user_tags("coiled").await.is_none(), "{kind}");
        assert!(world.coiled.connection("ada").is_none());
        assert!(world.snapshot().await.contains("theirs"), "Delete removed {kind}/theirs");
    }
}

/// A person deletes a policy of the stack and creates another one of the same name. It has no ownership tags.
#[tokio::test]
async fn update_fails_and_delete_keeps_the_policy_if_a_person_replaced_it() {
    let world = connected().await;
    let arn = world.policy_arn("coiled-setup");
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    world.create_policy_by_hand("/", "coiled-setup").await;
    world.iam.attach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&[&arn, "not created by this stack"]);
    assert_eq!(before, world.snapshot().await);
    world.delete(json!({})).await.succeeded();
    assert_eq!(world.policies().await, ["coiled-setup"]);
    assert!(world.user_tags("coiled").await.is_none());
}
