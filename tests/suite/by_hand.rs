//! What people do by hand to a user and policies of ours: what is in the user goes with it, what hangs on other things has
//! to be taken off by whoever hung it there, and until then nothing is removed.

use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::World;

async fn connected() -> World {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world
}

/// Takes away the key that Coiled holds, and fills the user with two others.
async fn two_keys_by_hand(world: &World) -> [String; 2] {
    let ours = world.keys("coiled").await.remove(0);
    world.iam.delete_access_key().user_name("coiled").access_key_id(ours).send().await.unwrap();
    [world.make_key("coiled").await, world.make_key("coiled").await]
}

/// terraform-provider-aws#12903: a user is deleted only when nothing is in it any more.
#[tokio::test]
async fn everything_in_the_user_goes_with_it_and_is_listed() {
    let world = connected().await;
    world.put_everything_into("coiled").await;
    let keys = two_keys_by_hand(&world).await;
    world.delete(json!({})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none());
    // The person's own policy and device stay; they are only taken out of the user.
    assert_eq!(world.policies().await, ["own"]);
    assert!(world.snapshot().await.contains("mfa/phone"));
    let listed = ["login profile", "inline policy inline", "SSH public key", "signing certificate", "MFA device"];
    for item in listed.into_iter().chain(["ACCACREDENTIAL", "policy/own", &keys[0], &keys[1]]) {
        assert!(world.logs.text().contains(item), "{item} is not in the log");
    }
}

/// All that Update takes out of the user is the keys, once ours is registered.
#[tokio::test]
async fn a_rotation_makes_room_and_leaves_the_rest() {
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

/// Of a key by hand and the one that Coiled holds it is the first that makes room; ours goes once the new one is registered.
#[tokio::test]
async fn the_key_that_coiled_holds_is_the_last_to_go() {
    let world = connected().await;
    let ours = world.keys("coiled").await.remove(0);
    let by_hand = world.make_key("coiled").await;
    world.aws.forget_calls();
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    let calls = world.aws.calls();
    let deleted: Vec<&str> =
        calls.iter().filter(|call| call.action == "DeleteAccessKey").map(|call| call.param("AccessKeyId")).collect();
    assert_eq!(deleted[..2], [by_hand.as_str(), ours.as_str()]);
    world.connected().await;
}

/// With its key slots full of a person's keys an Update that fails has taken no more than it had to, and says so in the log.
#[tokio::test]
async fn a_failed_rotation_of_a_full_user_takes_one_key_at_most() {
    let world = connected().await;
    let ours = world.keys("coiled").await.remove(0);
    let by_hand = world.make_key("coiled").await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["no"]);
    // Coiled may have stored what it refused, and shows nothing that would tell: so the new key stays until it is settled.
    let keys = world.keys("coiled").await;
    assert!(keys.len() == 2 && keys.contains(&ours) && !keys.contains(&by_hand), "{keys:?}");
    assert!(world.logs.text().contains(&by_hand), "the log names the key that made room");
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    world.connected().await;
}

/// RemoveUserFromGroup is authorised on the group, and a right over every group is too much.
#[tokio::test]
async fn groups_and_holders_elsewhere_stop_a_delete_before_anything_is_gone() {
    let world = connected().await;
    world.put_everything_into("coiled").await;
    world.iam.create_group().group_name("admins").send().await.unwrap();
    world.iam.add_user_to_group().user_name("coiled").group_name("admins").send().await.unwrap();
    let arn = world.policy_arn("coiled-setup");
    world.attach_elsewhere("role", &arn).await;
    let before = world.snapshot().await;
    // Both are named at once: nobody has to find out one after the other.
    world.delete(json!({})).await.failed(&["--group-name admins", "role/theirs", &arn, "Nothing was removed"]);
    assert_eq!(before, world.snapshot().await);
}

/// Whoever attached our policy to something of theirs is told to what, and can undo it: the policy is still there, and so
/// is the key that Coiled works with meanwhile.
#[tokio::test]
async fn a_policy_of_ours_on_something_of_theirs_has_to_be_taken_off_first() {
    for (kind, name) in [("role", "coiled-ongoing"), ("user", "coiled-setup"), ("group", "coiled-ongoing")] {
        let world = connected().await;
        let arn = world.policy_arn(name);
        world.attach_elsewhere(kind, &arn).await;
        let before = world.snapshot().await;
        let command = format!("aws iam detach-{kind}-policy --{kind}-name theirs --policy-arn {arn}");
        world.delete(json!({})).await.failed(&[&format!("{kind}/theirs"), &arn, &command, "Nothing was removed"]);
        assert_eq!(before, world.snapshot().await, "{kind}");
        let held = world.coiled.connection("ada").expect("Coiled still holds the key").access_key_id();
        assert!(world.key_works(&held, "us-east-1").await);

        world.detach_elsewhere(kind, &arn).await;
        world.delete(json!({})).await.succeeded();
        assert!(world.policies().await.is_empty() && world.user_tags("coiled").await.is_none(), "{kind}");
        assert!(world.coiled.connection("ada").is_none());
        assert!(world.snapshot().await.contains("theirs"), "what is theirs stays");
    }
}

/// A person put a policy of theirs in the place of ours: it is taken out of our user, and stays.
#[tokio::test]
async fn a_policy_of_theirs_in_the_place_of_ours_stays() {
    let world = connected().await;
    let arn = world.policy_arn("coiled-setup");
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    world.make_policy("/", "coiled-setup").await;
    world.iam.attach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&[&arn, "not made by this stack"]);
    assert_eq!(before, world.snapshot().await);
    world.delete(json!({})).await.succeeded();
    assert_eq!(world.policies().await, ["coiled-setup"]);
    assert!(world.user_tags("coiled").await.is_none());
}
