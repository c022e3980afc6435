//! Tags: the user's own beside the marks.
//!
//! For users IAM ignores case in a tag's key, for policies it does not ("Rules for tagging in IAM and AWS STS"). moto has
//! one tag in a policy for all spellings, so these tests can't see two.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::World;

async fn policy_tags(world: &World, name: &str) -> BTreeMap<String, String> {
    let reply = world.iam.get_policy().policy_arn(world.policy_arn(name)).send().await.unwrap();
    let tags = reply.policy.unwrap().tags.unwrap_or_default();
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}

/// An `Owner` of the user's takes the place of our `owner`, and gives it back, on the user and on the policies.
#[tokio::test]
async fn an_owner_of_the_users_replaces_ours_and_leaves_no_trace() {
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

/// IAM allows fifty tags: those that are let in leave room for all marks, those of a rotation at work too.
#[tokio::test]
async fn as_many_tags_as_are_let_in_fit_beside_the_marks() {
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

/// A person's own tags, and CloudFormation's, stay where they are.
#[tokio::test]
async fn tags_of_others_stay() {
    let world = World::new().await;
    world.create(json!({"Tags": [{"Key": "team", "Value": "a"}]})).await.succeeded();
    world.tag_user("coiled", "cost", "7").await;
    world.update(json!({"Tags": [{"Key": "team", "Value": "a"}]}), json!({})).await.succeeded();
    let tags = world.user_tags("coiled").await.unwrap();
    assert_eq!((tags.get("cost").map(String::as_str), tags.get("team")), (Some("7"), None));
}

/// A person took the marks off the user: it is not this stack's any more, and an Update changes nothing in it.
#[tokio::test]
async fn an_update_of_a_user_that_lost_its_marks_touches_nothing() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.iam.untag_user().user_name("coiled").tag_keys("coiled-stack:stack-id").send().await.unwrap();
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["user/coiled", "not made by this stack"]);
    assert_eq!(before, world.snapshot().await);
}
