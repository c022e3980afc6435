//! What is not ours is never changed and never removed.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::aws::{AwsFault, AwsHow};

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
    for (path, name) in [("/", "coiled-ongoing"), ("/other/", "coiled-ongoing"), ("/", "COILED-setup")] {
        let world = World::new().await;
        world.make_policy(path, name).await;
        left_alone(&world, &["policy", "coiled-", "not made by this stack"]).await;
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

/// Both looked before either made the user: whoever comes second is told whose it is, and takes nothing of the other's.
#[tokio::test]
async fn two_stacks_with_one_user_name_at_once_are_one_too_many() {
    let mut world = World::new().await;
    let first = world.event("Create", world.properties(json!({})));
    world.stack = "second".into();
    let second = world.event("Create", world.properties(json!({})));
    let (one, other) = tokio::join!(world.invoke(first), world.invoke(second));
    one.and(other).unwrap();
    let puts = world.bucket.puts();
    let answers: Vec<Value> = puts.iter().map(|put| serde_json::from_slice(&put.body).unwrap()).collect();
    let lost = answers.iter().find(|answer| answer["Status"] == "FAILED").expect("one of them fails");
    let won = answers.iter().find(|answer| answer["Status"] == "SUCCESS").expect("and one succeeds");
    let reason = lost["Reason"].as_str().unwrap();
    assert!(reason.contains(won["StackId"].as_str().unwrap()), "{reason}");
    world.connected().await;
    let before = world.snapshot().await;
    world.stack = if lost["StackId"] == world.stack_id() { "second".into() } else { "coiled".into() };
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
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

/// Even where it may be replaced, a Create that gets no key registered leaves it as it was.
#[tokio::test]
async fn a_connection_that_may_be_replaced_survives_a_create_that_fails_before_it_replaces_it() {
    let refused = Fault { on: Call::WsMessage, how: How::IsError("no quota".into()), times: 1 };
    let no_socket = Fault { on: Call::WsUpgrade, how: How::Status(400, json!({"detail": "no quota"})), times: 1 };
    let how = AwsHow::Error(400, "LimitExceeded", "no quota");
    for (coiled, aws) in [(Some(refused), None), (Some(no_socket), None), (None, Some("CreatePolicy"))] {
        let world = World::new().await;
        world.coiled.connect("ada", theirs("us-east-1"));
        coiled.into_iter().for_each(|fault| world.coiled.fault(fault));
        aws.into_iter().for_each(|action| world.aws.fault(AwsFault { action, how: how.clone(), times: 1 }));
        left_alone_with(&world, json!({"AdoptExisting": "true"}), &["no quota"]).await;
    }
}

/// Whatever they connected since: another cloud, the same region by role, another network.
#[tokio::test]
async fn a_connection_made_by_someone_else_since_survives_updates_and_the_delete() {
    let gcp = json!({"backend": "vm", "options": {"provider_name": "gcp", "gcp_region_name": "us-east1"}});
    let mut network = theirs("us-east-1");
    network["options"]["network"] = json!({"network_id": "vpc-0123abcd"});
    for theirs in [gcp, theirs("us-east-1"), network] {
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
