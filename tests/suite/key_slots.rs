//! Making room for a new access key. IAM allows two keys per user. The function never deletes a key that Coiled may
//! hold before it has registered another. This also applies to a key that a person created or deactivated.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use serde_json::{Value, json};

use crate::support::Deploy;

async fn connected() -> World {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world
}

/// Does what `coiled setup aws` does if the user exists. Coiled then holds a key that no tag names, but shows the same
/// connection as before.
async fn set_up_again(world: &World) -> String {
    let key = world.create_key_by_hand("coiled").await;
    hold(world, &key);
    key
}

/// Replaces the key that Coiled holds.
fn hold(world: &World, key: &str) {
    let mut data = world.coiled.connection("ada").unwrap().data;
    data["options"]["credentials"]["aws_access_key"] = json!(key);
    world.coiled.connect("ada", data);
}

fn delete_command(id: &str) -> String {
    format!("aws iam delete-access-key --user-name coiled --access-key-id {id}")
}

fn rotated() -> Value {
    json!({"RotateKey": "2"})
}

/// Checks that an Update changes nothing and names every key, and that it succeeds after a person has deleted all keys
/// but the one that Coiled holds.
async fn rejected_until_a_person_deletes_the_other_keys(world: &World, case: &str) {
    let (before, keys) = (world.snapshot().await, world.keys("coiled").await);
    let held = world.coiled.connection("ada").unwrap().access_key_id();
    for change in [rotated(), json!({"Region": "us-east-2"}), json!({"NetworkId": "vpc-0123abcd"})] {
        let answer = world.update(json!({}), change.clone()).await.failed(&["as many access keys as IAM allows"]);
        for key in &keys {
            assert!(answer.reason().contains(&delete_command(key)), "{case}: {}", answer.reason());
        }
        assert_eq!(before, world.snapshot().await, "{case}: {change}");
    }
    for key in keys.iter().filter(|key| **key != held) {
        world.delete_key_by_hand(key).await;
    }
    world.update(json!({}), rotated()).await.succeeded();
    world.connected().await;
}

#[tokio::test]
async fn an_update_is_rejected_if_coiled_may_hold_either_of_two_keys() {
    let world = connected().await;
    world.create_key_by_hand("coiled").await;
    rejected_until_a_person_deletes_the_other_keys(&world, "a key created by hand").await;

    let world = connected().await;
    set_up_again(&world).await;
    rejected_until_a_person_deletes_the_other_keys(&world, "set up again").await;

    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    set_up_again(&world).await;
    world.deactivate_key_by_hand(&registered).await;
    rejected_until_a_person_deletes_the_other_keys(&world, "set up again, the registered key inactive").await;

    let world = connected().await;
    let by_hand = world.create_key_by_hand("coiled").await;
    world.deactivate_key_by_hand(&by_hand).await;
    rejected_until_a_person_deletes_the_other_keys(&world, "the key created by hand inactive").await;

    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    world.create_key_by_hand("coiled").await;
    world.delete_key_by_hand(&registered).await;
    set_up_again(&world).await;
    rejected_until_a_person_deletes_the_other_keys(&world, "the registered key deleted").await;
}

/// terraform-provider-aws#39693 reports a user with eight keys.
#[tokio::test]
async fn an_update_names_all_of_eight_keys_and_says_to_delete_seven() {
    let world = connected().await;
    world.create_key_by_hand("coiled").await;
    for n in 3..=8 {
        world.aws.add_further_key("coiled", &format!("AKIAFURTHERKEY00000{n}"));
    }
    let answer = world.update(json!({}), rotated()).await.failed(&["Delete 7 of these keys"]);
    assert!(answer.reason().contains("AKIAFURTHERKEY000008"), "{}", answer.reason());
    rejected_until_a_person_deletes_the_other_keys(&world, "eight keys").await;
}

#[tokio::test]
async fn a_registration_deletes_every_other_key() {
    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    world.create_key_by_hand("coiled").await;
    world.delete_key_by_hand(&registered).await;
    world.update(json!({}), rotated()).await.succeeded();
    world.connected().await;
}

/// A killed run never sent its new key to Coiled. A person's key must not be mistaken for such a key.
#[tokio::test]
async fn only_a_key_created_during_a_killed_run_is_deleted_to_make_room() {
    let world = connected().await;
    let stray = world.create_key_by_hand("coiled").await;
    world.killed_run().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&["no"]);
    assert!(!world.keys("coiled").await.contains(&stray));
    world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
    world.connected().await;

    let world = connected().await;
    world.tag_user("coiled", "coiled-stack:lease", "dead/1000000000000/1600/keys 1000 1010").await;
    let held = set_up_again(&world).await;
    world.update(json!({}), rotated()).await.failed(&[&delete_command(&held)]);
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert!(world.keys("coiled").await.contains(&held), "a person's key was deleted");
    assert_eq!(world.tag("coiled-stack:lease").await, "", "the lease was not cleaned up");
}

/// Anyone who may tag the user can make the key at Coiled look like one that a killed run left behind.
#[tokio::test]
async fn a_forged_lease_does_not_make_an_update_delete_the_key_that_coiled_holds() {
    let world = connected().await;
    let held = world.keys("coiled").await.remove(0);
    let by_hand = world.create_key_by_hand("coiled").await;
    world.untag_user_by_hand(&["coiled-stack:access-key-id"]).await;
    world.killed_run().await;
    world.update(json!({}), rotated()).await.failed(&[&delete_command(&held), &delete_command(&by_hand)]);
    let keys = world.keys("coiled").await;
    assert!(keys.contains(&held) && keys.contains(&by_hand), "{keys:?}");
    assert_eq!(world.coiled.connection("ada").unwrap().access_key_id(), held);
}

/// Coiled holds no key in this case. So a killed run's key can be deleted even if no tag names another key.
#[tokio::test]
async fn a_killed_runs_key_is_deleted_to_make_room_if_the_workspace_is_not_connected() {
    let world = connected().await;
    world.create_key_by_hand("coiled").await;
    world.untag_user_by_hand(&["coiled-stack:access-key-id"]).await;
    world.killed_run().await;
    world.coiled.disconnect("ada");
    world.update(json!({}), rotated()).await.succeeded();
    world.connected().await;
}

/// Coiled holds neither key, and the recorded one is the stack's own.
#[tokio::test]
async fn the_recorded_key_is_deleted_to_make_room_if_the_workspace_is_not_connected() {
    let world = connected().await;
    world.create_key_by_hand("coiled").await;
    world.coiled.disconnect("ada");
    world.update(json!({}), rotated()).await.succeeded();
    world.connected().await;
}

/// The rollback asks for what is already registered, so it needs neither a new key nor Coiled.
#[tokio::test]
async fn a_rollback_without_room_succeeds_if_a_person_has_replaced_the_recorded_key() {
    let world = connected().await;
    let registered = world.keys("coiled").await.remove(0);
    world.create_key_by_hand("coiled").await;
    world.delete_key_by_hand(&registered).await;
    let held = set_up_again(&world).await;
    let keys = world.keys("coiled").await;
    for change in [rotated(), json!({"Region": "us-east-2"})] {
        world
            .update(json!({}), change.clone())
            .await
            .failed(&["as many access keys as IAM allows", &delete_command(&held)]);
        world.update(change.clone(), json!({})).await.succeeded();
        let how = How::Status(400, json!({"detail": "no"}));
        world.coiled.fault(Fault { on: Call::BackendOptions, how, times: 1 });
        world.update(change, json!({})).await.succeeded();
        assert_eq!(world.keys("coiled").await, keys);
    }
    for words in ["keeping all keys, because", "cannot tell which key Coiled holds; keeping all keys"] {
        assert!(world.logs.text().contains(words), "{words}");
    }
}

/// After a rotation with an unknown outcome, Coiled may hold either key. If both have the same region, it shows the
/// same connection for both.
#[tokio::test]
async fn both_keys_are_kept_after_an_unknown_outcome_until_a_person_deletes_one() {
    for on in [Call::WsMessage, Call::WsFinish] {
        let world = connected().await;
        world.coiled.fault(Fault { on, how: How::IsError("no".into()), times: 2 });
        world.update(json!({}), rotated()).await.failed(&["no"]);
        let (keys, held) = (world.keys("coiled").await, world.coiled.connection("ada").unwrap().access_key_id());
        assert!(keys.len() == 2 && keys.contains(&held), "{keys:?}");
        world.update(rotated(), json!({})).await.succeeded();
        assert_eq!(world.keys("coiled").await, keys, "the rollback changed the keys");
        rejected_until_a_person_deletes_the_other_keys(&world, "unknown outcome").await;
    }
}

/// Coiled may have stored the key that it rejected, so the Update registers that key again with the earlier settings.
/// The rollback then has nothing to do at Coiled.
#[tokio::test]
async fn a_rejected_update_ends_with_one_key_that_coiled_holds() {
    for on in [Call::WsMessage, Call::WsFinish] {
        for change in ["RotateKey", "NetworkId", "Region"] {
            let world = connected().await;
            let value = if change == "NetworkId" { "vpc-0123abcd" } else { "us-east-2" };
            world.coiled.fault(Fault { on, how: How::IsError("no subnets".into()), times: 1 });
            let new = json!({change: value});
            world.update(json!({}), new.clone()).await.failed(&["no subnets"]);
            world.connected().await;
            assert_eq!(world.coiled.connection("ada").unwrap().region(), "us-east-1", "{change} {on:?}");
            for on in [Call::BackendOptions, Call::WsUpgrade] {
                world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
            }
            world.update(new, json!({})).await.succeeded();
            world.connected().await;
        }
    }
}

/// For a moment, IAM still counts a deleted key.
#[tokio::test]
async fn create_access_key_is_retried_if_iam_lists_fewer_keys_than_it_counts() {
    let world = connected().await;
    let how = coiled_world::aws::AwsHow::Error(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2");
    world.aws.fault(coiled_world::aws::AwsFault { action: "CreateAccessKey", how, times: 3 });
    world.update(json!({}), rotated()).await.succeeded();
    world.connected().await;
}
