//! Stack tags on resources that also have ownership tags and state tags.
//!
//! IAM ignores case in the tag keys of users, but not in those of policies ("Rules for tagging in IAM and AWS STS").
//! moto ignores case for policies too, so these tests cannot detect two spellings of one key on a policy.

use std::collections::BTreeMap;

use coiled_world::World;
use serde_json::{Value, json};

use crate::support::Deploy;

async fn policy_tags(world: &World, name: &str) -> BTreeMap<String, String> {
    let response = world.iam.get_policy().policy_arn(world.policy_arn(name)).send().await.unwrap();
    let tags = response.policy.unwrap().tags.unwrap_or_default();
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// Checks the user and the policies.
#[tokio::test]
async fn an_owner_stack_tag_replaces_the_default_owner_tag_until_it_is_removed() {
    let world = World::new().await;
    let tagged = json!({"Tags": [{"Key": "Owner", "Value": "team"}]});
    world.create(tagged.clone()).await.succeeded();
    for tags in [world.user_tags("coiled").await.unwrap(), policy_tags(&world, "coiled-setup").await] {
        assert_eq!((tags.get("Owner").map(String::as_str), tags.get("owner")), (Some("team"), None));
    }
    world.update(tagged, json!({})).await.succeeded();
    for tags in [world.user_tags("coiled").await.unwrap(), policy_tags(&world, "coiled-setup").await] {
        assert_eq!((tags.get("Owner"), tags.get("owner").map(String::as_str)), (None, Some("coiled")));
    }
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// IAM allows 50 tags. The other 12 are for ownership tags and state tags, some of which exist only during a rotation.
#[tokio::test]
async fn the_maximum_of_38_stack_tags_leaves_room_for_every_state_tag() {
    let world = World::new().await;
    let tags: Vec<Value> = (0..38).map(|n| json!({"Key": format!("key-{n}"), "Value": "x".repeat(256)})).collect();
    let many = json!({"Tags": tags});
    world.create(many.clone()).await.succeeded();
    world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
    let rotated = json!({"Tags": many["Tags"], "RotateKey": "2"});
    world.update(many, rotated.clone()).await.succeeded();
    world.connected().await;
    world.delete(rotated).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn update_removes_its_stack_tags_but_keeps_tags_that_a_person_added() {
    let world = World::new().await;
    world.create(json!({"Tags": [{"Key": "team", "Value": "a"}]})).await.succeeded();
    world.tag_user("coiled", "cost", "7").await;
    world.update(json!({"Tags": [{"Key": "team", "Value": "a"}]}), json!({})).await.succeeded();
    let tags = world.user_tags("coiled").await.unwrap();
    assert_eq!((tags.get("cost").map(String::as_str), tags.get("team")), (Some("7"), None));
}

/// If one of the stack's policies still has its tags, an Update restores those of the user (see `recovery.rs`).
#[tokio::test]
async fn update_fails_without_changes_if_a_person_removed_all_ownership_tags() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.iam.untag_user().user_name("coiled").tag_keys("coiled-stack:stack-id").send().await.unwrap();
    for name in ["coiled-setup", "coiled-ongoing"] {
        let arn = world.policy_arn(name);
        world.iam.untag_policy().policy_arn(arn).tag_keys("coiled-stack:stack-id").send().await.unwrap();
    }
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["user/coiled", "not created by this stack"]);
    assert_eq!(before, world.snapshot().await);
}
