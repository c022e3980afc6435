//! IAM may return fewer items of a list than exist. In these tests every page of every list has one item.

use coiled_world::World;
use coiled_world::aws::{Aim, AwsHow};
use coiled_world::by_hand::DOCUMENT;
use serde_json::json;

use crate::support::Deploy;

#[tokio::test]
async fn create_finds_both_attachments_and_update_repeats_neither() {
    let world = World::after_create().await;
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert!(!world.aws.actions().contains(&"AttachUserPolicy".to_owned()), "{:?}", world.aws.actions());
}

#[tokio::test]
async fn update_detaches_a_policy_on_the_second_page_of_the_attachments() {
    for first in ["coiled-ongoing", "coiled-setup"] {
        let world = World::after_create().await;
        let second = if first == "coiled-setup" { "coiled-ongoing" } else { "coiled-setup" };
        for name in [first, second] {
            let arn = world.policy_arn(name);
            world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
        }
        for name in [first, second] {
            let arn = world.policy_arn(name);
            world.iam.attach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
        }
        world.update(json!({}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
        assert_eq!(world.attached("coiled").await, ["coiled-ongoing"], "{first} first");
    }
}

/// IAM lists the new key after one that a person created.
#[tokio::test]
async fn a_rotation_finds_its_new_key_on_the_second_page_of_the_keys() {
    let world = World::after_create().await;
    let recorded = world.keys("coiled").await.remove(0);
    world.create_key_by_hand("coiled").await;
    world.iam.delete_access_key().user_name("coiled").access_key_id(recorded).send().await.unwrap();
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    let held = world.coiled.connection("ada").unwrap().access_key_id();
    assert!(world.keys("coiled").await.contains(&held));
}

#[tokio::test]
async fn delete_fails_without_changes_and_names_the_holders_of_a_policy_on_every_page() {
    let world = World::after_create().await;
    let kinds = ["user", "role", "group"];
    for kind in kinds {
        world.attach_elsewhere(kind, &world.policy_arn("coiled-ongoing")).await;
    }
    let before = world.snapshot().await;
    let commands = kinds.map(|kind| format!("detach-{kind}-policy --{kind}-name theirs"));
    world.delete(json!({})).await.failed(&commands.each_ref().map(|command| command.as_str()));
    assert_eq!(before, world.snapshot().await);
}

#[tokio::test]
async fn delete_names_the_groups_on_every_page() {
    let world = World::after_create().await;
    let groups = ["one", "two", "three"];
    for group in groups {
        world.iam.create_group().group_name(group).send().await.unwrap();
        world.iam.add_user_to_group().user_name("coiled").group_name(group).send().await.unwrap();
    }
    let commands = groups.map(|group| format!("--group-name {group}"));
    world.delete(json!({})).await.failed(&commands.each_ref().map(|command| command.as_str()));
}

#[tokio::test]
async fn delete_removes_a_policy_with_versions_on_every_page() {
    let world = World::after_create().await;
    for name in ["coiled-setup", "coiled-ongoing"] {
        for _ in 0..4 {
            let version = world.iam.create_policy_version().policy_arn(world.policy_arn(name));
            version.policy_document(DOCUMENT).send().await.unwrap();
        }
    }
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// Access to the second page is denied at first.
#[tokio::test]
async fn a_page_that_fails_is_retried_without_reading_the_earlier_pages_again() {
    let world = World::after_create().await;
    world.create_key_by_hand("coiled").await;
    world.aws.aim(Aim { name: "iam ListAccessKeys".into(), nth: 2, on: false, how: AwsHow::AccessDenied });
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    let lists = world.aws.calls().into_iter().filter(|call| call.action == "ListAccessKeys");
    let markers: Vec<bool> = lists.map(|call| !call.param("Marker").is_empty()).collect();
    assert_eq!(markers[..3], [false, true, true]);
}
