//! What is not ours is never changed and never removed.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;

/// Create fails and names it, its clean-up Delete succeeds, and all is as it was, byte for byte.
async fn left_alone(world: &World, words: &[&str]) {
    left_alone_with(world, json!({}), words).await;
}

async fn left_alone_with(world: &World, properties: Value, words: &[&str]) {
    let before = world.snapshot().await;
    world.create(properties.clone()).await.failed(words);
    assert_eq!(before, world.snapshot().await, "after the Create");
    world.delete(properties).await.succeeded();
    assert_eq!(before, world.snapshot().await, "after the Delete");
}

fn theirs(region: &str) -> Value {
    json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": region, "account_role": "arn:aws:iam::1:role/x"}})
}

/// DataDog/cloudformation-template#124, #107: a failed Create's clean-up removed the customer's own.
#[tokio::test]
async fn a_foreign_user_of_the_same_name_stays() {
    let world = World::new().await;
    world.iam.create_user().user_name("coiled").send().await.unwrap();
    world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    let arn = format!("arn:aws:iam::{}:user/coiled", world.aws.account());
    left_alone(&world, &[&arn, "not made by this stack", "AdoptExisting"]).await;
    left_alone_with(&world, json!({"AdoptExisting": "true"}), &[&arn]).await;
}

#[tokio::test]
async fn a_user_whose_name_differs_in_case_is_another_ones() {
    let world = World::new().await;
    world.iam.create_user().user_name("Coiled").send().await.unwrap();
    left_alone(&world, &["coiled", "case"]).await;
}

#[tokio::test]
async fn a_foreign_policy_of_the_same_name_stays() {
    for (path, name) in [("/", "coiled-ongoing"), ("/other/", "coiled-ongoing"), ("/", "Coiled-Setup")] {
        let world = World::new().await;
        let document =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
        world.iam.create_policy().path(path).policy_name(name).policy_document(document).send().await.unwrap();
        world.create(json!({})).await.failed(&["policy", "coiled-", "not made by this stack"]);
        assert_eq!(world.policies().await, [name], "{path}");
        world.delete(json!({})).await.succeeded();
        assert_eq!(world.policies().await, [name], "{path}");
        assert!(world.user_tags("coiled").await.is_none());
    }
}

#[tokio::test]
async fn another_stacks_user_stays() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.stack = "second".into();
    left_alone(&world, &["of stack", "stack/coiled/"]).await;
    left_alone_with(&world, json!({"AdoptExisting": "true"}), &["of stack", "stack/coiled/"]).await;
}

#[tokio::test]
async fn two_stacks_for_one_workspace_are_one_too_many() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.stack = "second".into();
    left_alone_with(&world, json!({"UserName": "other"}), &["ada", "already connected", "AdoptExisting"]).await;
    world.stack = "coiled".into();
    world.connected().await;
}

#[tokio::test]
async fn a_connection_made_by_someone_else_before_stays() {
    let world = World::new().await;
    world.coiled.connect("ada", theirs("us-east-1"));
    left_alone(&world, &["ada", "already connected", "us-east-1"]).await;
}

/// The connection appears between the look and the registration's failure.
#[tokio::test]
async fn a_failed_create_takes_no_connection_that_is_not_its_own() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("refused".into()), times: 1 });
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Slow(std::time::Duration::ZERO), times: 1 });
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Status(200, theirs("eu-west-1")), times: u32::MAX });
    world.create(json!({})).await.failed(&["refused"]);
    assert!(world.coiled.calls(Call::Disconnect).is_empty());
}

#[tokio::test]
async fn a_delete_leaves_a_foreign_user_and_takes_our_policies() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let untag = world.iam.untag_user().user_name("coiled");
    untag.tag_keys("coiled-stack:stack-id").send().await.unwrap();
    // Our policies hang on a user that is not ours any more: a person has to say what is meant.
    world.delete(json!({})).await.failed(&["user/coiled", "detach-user-policy"]);
    assert!(world.user_tags("coiled").await.is_some());
}

/// A person set the key inactive, which is how one revokes it: no Update of other things brings it back.
#[tokio::test]
async fn a_revoked_key_stays_revoked() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let key = world.keys("coiled").await.remove(0);
    let revoke = world.iam.update_access_key().user_name("coiled").access_key_id(key);
    revoke.status(aws_sdk_iam::types::StatusType::Inactive).send().await.unwrap();
    let before = world.snapshot().await;
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
    // A new one is made on request only, and takes the revoked one's place.
    world.update(json!({"Release": "2"}), json!({"Release": "2", "RotateKey": "1"})).await.succeeded();
    world.connected().await;
    assert_ne!(before, world.snapshot().await);
}

/// What a person added inside the user survives every Update.
#[tokio::test]
async fn what_a_person_added_stays_through_updates() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let document =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;
    world.iam.put_user_policy().user_name("coiled").policy_name("p").policy_document(document).send().await.unwrap();
    world.iam.create_policy().policy_name("theirs").policy_document(document).send().await.unwrap();
    let theirs = world.policy_arn("theirs");
    world.iam.attach_user_policy().user_name("coiled").policy_arn(&theirs).send().await.unwrap();
    for (old, new) in [
        (json!({}), json!({"AttachSetupPolicy": "false", "Release": "2"})),
        (json!({"AttachSetupPolicy": "false", "Release": "2"}), json!({"RotateKey": "1"})),
    ] {
        world.update(old, new).await.succeeded();
        let inline = world.iam.list_user_policies().user_name("coiled").send().await.unwrap();
        assert_eq!(inline.policy_names, ["p"]);
        assert!(world.attached("coiled").await.contains(&"theirs".to_owned()));
    }
}
