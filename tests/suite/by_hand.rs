//! Changes that people make by hand to the stack's user and policies. Delete removes everything that the user contains.
//! It fails before any change if the user is in a group or a policy is attached elsewhere, and names the command that
//! removes the obstacle.

use coiled_world::World;
use coiled_world::snapshot::Detail;
use serde_json::{Value, json};

use crate::support::Deploy;

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
    let registered = world.keys("coiled").await.remove(0);
    world.create_key_by_hand("coiled").await;
    world.delete_key_by_hand(&registered).await;
    let without_keys = |mut state: Value| {
        let user = state["users"]["coiled"].as_object_mut().unwrap();
        assert!(user.remove("keys").is_some() && user.remove("tags").is_some());
        state.as_object_mut().unwrap().remove("workspaces");
        state
    };
    let before = without_keys(world.state(Detail::Full).await);
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected_beside("own").await;
    assert_eq!(before, without_keys(world.state(Detail::Full).await));
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

/// A person deletes a policy of the stack and creates another with the same name. The new one has no ownership tags.
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

/// A policy of the stack may be the permissions boundary of a user or a role. IAM then rejects its deletion.
#[tokio::test]
async fn delete_fails_before_any_change_if_a_policy_is_a_permissions_boundary_elsewhere() {
    for (kind, name) in [("role", "coiled-setup"), ("user", "coiled-ongoing")] {
        let world = connected().await;
        let arn = world.policy_arn(name);
        world.bound_elsewhere(kind, &arn).await;
        let before = world.snapshot().await;
        let command = format!("aws iam delete-{kind}-permissions-boundary --{kind}-name theirs");
        let answer = world.delete(json!({})).await.failed(&[&arn, &command, "Nothing was deleted"]);
        assert!(!answer.reason().contains("detach-"), "{}", answer.reason());
        assert_eq!(before, world.snapshot().await, "{kind}");

        world.unbound_elsewhere(kind).await;
        world.delete(json!({})).await.succeeded();
        assert!(world.policies().await.is_empty() && world.user_tags("coiled").await.is_none(), "{kind}");
    }
}

/// One role uses a policy in both ways, and a group has it attached. One status reason names every command.
#[tokio::test]
async fn delete_names_the_command_for_each_use_of_a_policy() {
    let world = connected().await;
    let arn = world.policy_arn("coiled-setup");
    world.bound_elsewhere("role", &arn).await;
    world.iam.attach_role_policy().role_name("theirs").policy_arn(&arn).send().await.unwrap();
    world.attach_elsewhere("group", &arn).await;
    world.delete(json!({})).await.failed(&[
        "aws iam delete-role-permissions-boundary --role-name theirs",
        &format!("aws iam detach-role-policy --role-name theirs --policy-arn {arn}"),
        &format!("aws iam detach-group-policy --group-name theirs --policy-arn {arn}"),
    ]);
}

/// The role of the function may not be allowed to remove the boundary of the stack's own user.
#[tokio::test]
async fn delete_fails_before_any_change_if_a_policy_is_the_boundary_of_its_own_user() {
    let world = connected().await;
    let arn = world.policy_arn("coiled-ongoing");
    let put = world.iam.put_user_permissions_boundary().user_name("coiled").permissions_boundary(&arn);
    put.send().await.unwrap();
    let before = world.snapshot().await;
    let command = "aws iam delete-user-permissions-boundary --user-name coiled";
    let answer = world.delete(json!({})).await.failed(&[command, &arn]);
    assert_eq!(answer.reason().matches(command).count(), 1, "{}", answer.reason());
    assert_eq!(before, world.snapshot().await);
    // The list also names a role, which IAM lists after the user.
    world.bound_elsewhere("role", &arn).await;
    let answer = world.delete(json!({})).await.failed(&[command, "--role-name theirs"]);
    assert_eq!(answer.reason().matches(command).count(), 1, "{}", answer.reason());
    world.unbound_elsewhere("role").await;
    world.iam.delete_user_permissions_boundary().user_name("coiled").send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}
