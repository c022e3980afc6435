//! The stack never changes or deletes a resource that does not belong to it.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::support::Deploy;

/// Checks that the Create fails with these words, that the Delete that follows succeeds, and that nothing changes in
/// AWS or at Coiled.
async fn failed_create_changes_nothing(world: &World, words: &[&str]) {
    failed_create_changes_nothing_with(world, json!({}), words).await;
}

async fn failed_create_changes_nothing_with(world: &World, properties: Value, words: &[&str]) {
    let before = world.snapshot().await;
    world.create(properties.clone()).await.failed(words);
    assert_eq!(before, world.snapshot().await, "after the Create");
    world.delete(properties).await.succeeded();
    assert_eq!(before, world.snapshot().await, "after the Delete");
}

fn foreign_connection(region: &str) -> Value {
    json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": region, "account_role": "arn:aws:iam::1:role/x"}})
}

/// DataDog/cloudformation-template#124 and #107: the clean-up after a failed Create deleted the customer's resources.
#[tokio::test]
async fn create_fails_and_keeps_a_foreign_user_with_the_same_name() {
    let world = World::new().await;
    world.iam.create_user().user_name("coiled").send().await.unwrap();
    world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    let arn = format!("arn:aws:iam::{}:user/coiled", world.aws.account());
    failed_create_changes_nothing(&world, &[&arn, "not created by this stack", "AdoptExisting"]).await;
    failed_create_changes_nothing_with(&world, json!({"AdoptExisting": "true"}), &[&arn]).await;
}

#[tokio::test]
async fn create_fails_if_an_existing_user_name_differs_only_in_case() {
    let world = World::new().await;
    world.iam.create_user().user_name("Coiled").send().await.unwrap();
    failed_create_changes_nothing(&world, &["coiled", "case"]).await;
}

#[tokio::test]
async fn create_fails_and_keeps_a_foreign_policy_with_the_same_name() {
    for (path, name) in [("/", "coiled-ongoing"), ("/other/", "coiled-ongoing"), ("/", "COILED-setup")] {
        let world = World::new().await;
        world.create_policy_by_hand(path, name).await;
        failed_create_changes_nothing(&world, &["policy", "coiled-", "not created by this stack"]).await;
    }
}

#[tokio::test]
async fn create_fails_and_keeps_a_user_that_belongs_to_another_stack() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.stack = "second".into();
    failed_create_changes_nothing(&world, &["owned by stack", "stack/coiled/"]).await;
    failed_create_changes_nothing_with(&world, json!({"AdoptExisting": "true"}), &["owned by stack", "stack/coiled/"])
        .await;
}

/// Neither stack sees a user, so both try to create it. The failed stack's status reason names the other stack, and its
/// Delete does not change the other stack's resources.
#[tokio::test]
async fn one_of_two_concurrent_creates_with_the_same_user_name_fails() {
    let mut world = World::new().await;
    let first = world.event("Create", world.properties(json!({})));
    world.stack = "second".into();
    let second = world.event("Create", world.properties(json!({})));
    let (one, other) = tokio::join!(world.invoke(first), world.invoke(second));
    one.and(other).unwrap();
    let puts = world.bucket.puts();
    let responses: Vec<Value> = puts.iter().map(|put| serde_json::from_slice(&put.body).unwrap()).collect();
    let lost = responses.iter().find(|response| response["Status"] == "FAILED").expect("one Create fails");
    let won = responses.iter().find(|response| response["Status"] == "SUCCESS").expect("one Create succeeds");
    let reason = lost["Reason"].as_str().unwrap();
    assert!(reason.contains(won["StackId"].as_str().unwrap()), "{reason}");
    world.connected().await;
    let before = world.snapshot().await;
    world.stack = if lost["StackId"] == world.stack_id() { "second".into() } else { "coiled".into() };
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

#[tokio::test]
async fn create_fails_if_another_stack_has_connected_the_workspace() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.stack = "second".into();
    failed_create_changes_nothing_with(
        &world,
        json!({"UserName": "other"}),
        &["ada", "already connected", "AdoptExisting"],
    )
    .await;
    world.stack = "coiled".into();
    world.connected().await;
}

#[tokio::test]
async fn create_fails_and_keeps_a_connection_that_someone_else_made() {
    let world = World::new().await;
    world.coiled.connect("ada", foreign_connection("us-east-1"));
    failed_create_changes_nothing(&world, &["ada", "already connected", "us-east-1"]).await;
}

/// `AdoptExisting` allows the Create to replace the connection, but the Create fails before that.
#[tokio::test]
async fn an_adopting_create_that_registers_no_key_keeps_the_existing_connection() {
    let rejected = Fault { on: Call::WsMessage, how: How::IsError("no quota".into()), times: 1 };
    let no_socket = Fault { on: Call::WsUpgrade, how: How::Status(400, json!({"detail": "no quota"})), times: 1 };
    let how = AwsHow::Error(400, "LimitExceeded", "no quota");
    for (coiled, aws) in [(Some(rejected), None), (Some(no_socket), None), (None, Some("CreatePolicy"))] {
        let world = World::new().await;
        world.coiled.connect("ada", foreign_connection("us-east-1"));
        coiled.into_iter().for_each(|fault| world.coiled.fault(fault));
        aws.into_iter().for_each(|action| world.aws.fault(AwsFault { action, how: how.clone(), times: 1 }));
        failed_create_changes_nothing_with(&world, json!({"AdoptExisting": "true"}), &["no quota"]).await;
    }
}

/// The test tries three connections: one in another cloud, one in the same region with a role, and one in another
/// network.
#[tokio::test]
async fn update_and_delete_keep_a_connection_that_someone_else_made_after_the_create() {
    let gcp = json!({"backend": "vm", "options": {"provider_name": "gcp", "gcp_region_name": "us-east1"}});
    let mut network = foreign_connection("us-east-1");
    network["options"]["network"] = json!({"network_id": "vpc-0123abcd"});
    for theirs in [gcp, foreign_connection("us-east-1"), network] {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        world.coiled.connect("ada", theirs.clone());
        let before = world.snapshot().await;
        world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["ada", "already connected"]);
        world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{theirs}");
        world.delete(json!({})).await.succeeded();
        assert_eq!(world.coiled.connection("ada").unwrap().data, theirs);
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    }
}

/// Someone else connects the workspace after the Create has checked it and before its registration fails.
#[tokio::test]
async fn a_failed_create_keeps_a_connection_that_someone_else_made_meanwhile() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("refused".into()), times: 1 });
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Slow(std::time::Duration::ZERO), times: 1 });
    world.coiled.fault(Fault {
        on: Call::BackendOptions,
        how: How::Status(200, foreign_connection("eu-west-1")),
        times: u32::MAX,
    });
    world.create(json!({})).await.failed(&["refused"]);
    assert!(world.coiled.calls(Call::Disconnect).is_empty());
}

#[tokio::test]
async fn delete_fails_and_keeps_the_user_if_its_ownership_tag_was_removed() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let untag = world.iam.untag_user().user_name("coiled");
    untag.tag_keys("coiled-stack:stack-id").send().await.unwrap();
    // The stack's policies are attached to a user that no longer belongs to it. Only a person can detach them.
    world.delete(json!({})).await.failed(&["user/coiled", "detach-user-policy"]);
    assert!(world.user_tags("coiled").await.is_some());
}

/// A person revoked the key by deactivating it. Only an Update with a new `RotateKey` creates another one.
#[tokio::test]
async fn update_keeps_a_revoked_key_inactive_until_the_key_is_rotated() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let key = world.keys("coiled").await.remove(0);
    let revoke = world.iam.update_access_key().user_name("coiled").access_key_id(key);
    revoke.status(aws_sdk_iam::types::StatusType::Inactive).send().await.unwrap();
    let before = world.snapshot().await;
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
    // A rotation replaces the revoked key.
    world.update(json!({"Release": "2"}), json!({"Release": "2", "RotateKey": "1"})).await.succeeded();
    world.connected().await;
    assert_ne!(before, world.snapshot().await);
}

#[tokio::test]
async fn update_keeps_policies_that_a_person_added_to_the_user() {
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
