//! States that no other test reaches, and in which one wrong comparison would do harm.

use std::time::Duration;

use aws_config::Region;
use aws_sdk_iam::types::StatusType;
use coiled_aws_stack::config::Config;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{Aim, AwsFault, AwsHow};
use coiled_world::by_hand::DOCUMENT;
use serde_json::json;

use crate::support::{Deploy, config};

/// A person revokes the new key while Coiled is registering it.
#[tokio::test]
async fn create_fails_and_leaves_nothing_if_its_key_is_inactive_at_the_end() {
    let world = World::with(Config { consistency: Duration::from_millis(300), ..config() }).await;
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::Slow(Duration::from_millis(500)), times: 1 });
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.coiled.until(|coiled| coiled.connection("ada").is_some()).await;
        let key = world.keys("coiled").await.remove(0);
        let revoke = world.iam.update_access_key().user_name("coiled").access_key_id(key);
        revoke.status(StatusType::Inactive).send().await.unwrap();
    });
    created.unwrap();
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("IAM does not list key"), "{response}");
    world.nothing_left().await;
}

/// As text, `v10` comes before `v8`.
#[tokio::test]
async fn a_new_policy_version_replaces_the_version_with_the_lowest_number() {
    let world = World::after_create().await;
    let arn = world.policy_arn("coiled-ongoing");
    for number in 2..=12 {
        if number > 5 {
            let oldest = format!("v{}", number - 5);
            world.iam.delete_policy_version().policy_arn(&arn).version_id(oldest).send().await.unwrap();
        }
        let version = world.iam.create_policy_version().policy_arn(&arn).policy_document(DOCUMENT);
        version.set_as_default(true).send().await.unwrap();
    }
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    let versions = world.iam.list_policy_versions().policy_arn(&arn).send().await.unwrap();
    let mut ids: Vec<&str> = versions.versions().iter().filter_map(|version| version.version_id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["v10", "v11", "v12", "v13", "v9"]);
}

/// The response to CreateAccessKey is lost, and the second attempt is rejected.
#[tokio::test]
async fn the_undo_of_a_lost_key_keeps_the_keys_that_existed_before() {
    let world = World::after_create().await;
    let before = world.keys("coiled").await;
    let rejected = AwsHow::Error(400, "ValidationError", "no");
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::TookEffectThenDropped, times: 1 });
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: rejected, times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["CreateAccessKey"]);
    assert_eq!(world.keys("coiled").await, before);
    world.connected_but_for_lease().await;
}

/// The outcome of an earlier registration is unknown, because Coiled's response fits both keys. The rotation fails
/// before its new key reaches Coiled.
#[tokio::test]
async fn a_failed_rotation_restores_the_tags_of_an_earlier_pending_key() {
    let world = World::after_create().await;
    let recorded = world.keys("coiled").await.remove(0);
    let pending = world.create_key_by_hand("coiled").await;
    world.iam.delete_access_key().user_name("coiled").access_key_id(recorded).send().await.unwrap();
    for (key, value) in [("pending-access-key-id", pending.as_str()), ("pending-region", "us-east-1")] {
        world.tag_user("coiled", &format!("coiled-stack:{key}"), value).await;
    }
    world.coiled.fault(Fault { on: Call::WsUpgrade, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["no"]);
    assert!(world.aws.actions().contains(&"CreateAccessKey".to_owned()));
    assert_eq!(world.keys("coiled").await, [pending.as_str()]);
    assert_eq!(world.tag("coiled-stack:pending-access-key-id").await, pending);
    assert_eq!(world.tag("coiled-stack:pending-region").await, "us-east-1");
}

/// Another run takes over the lease while Create waits for its key.
#[tokio::test]
async fn a_create_that_lost_its_lease_does_not_end_the_lease_of_the_other_run() {
    let world = World::new().await;
    world.aws.key_pattern(&[false; 40]);
    let until = coiled_aws_stack::deadline::unix(std::time::SystemTime::now()) + 600;
    let lease = format!("other/1/{until}");
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.coiled.until(|coiled| !coiled.calls(Call::WsUpgrade).is_empty()).await;
        world.tag_user("coiled", "coiled-stack:lease", &lease).await;
    });
    created.unwrap();
    assert_eq!(world.tag("coiled-stack:lease").await, lease);
}

/// For a missing user, IAM authorizes against the ARN without a path. So the role can read this user, whose path is not
/// the one in the properties.
#[tokio::test]
async fn create_does_not_adopt_a_user_under_another_path() {
    let world = World::new().await;
    let owner = aws_sdk_iam::types::Tag::builder().key("owner").value("coiled").build().unwrap();
    world.iam.create_user().user_name("coiled").tags(owner).send().await.unwrap();
    let before = world.snapshot().await;
    let properties = json!({"AdoptExisting": "true", "UserPath": "/teams/"});
    world.create(properties).await.failed(&["user/coiled", "not created by this stack"]);
    assert_eq!(before, world.snapshot().await);
}

/// Someone creates the policy after the checks and before CreatePolicy.
#[tokio::test]
async fn the_undo_keeps_a_policy_that_someone_else_created_meanwhile() {
    let world = World::new().await;
    let how = AwsHow::Slow(Duration::from_millis(500));
    world.aws.aim(Aim { name: "iam CreatePolicy coiled-ongoing".into(), nth: 1, on: false, how });
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.aws.until("CreateUser", 1).await;
        world.create_policy_by_hand("/", "coiled-ongoing").await;
    });
    created.unwrap();
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("policy/coiled-ongoing"), "{response}");
    assert_eq!(world.policies().await, ["coiled-ongoing"]);
    assert!(world.user_tags("coiled").await.is_none());
}

/// A secret that is shared by stacks in several regions.
#[tokio::test]
async fn a_secret_in_another_region_is_read_there() {
    let world = World::new().await;
    let there = world.secrets.config().to_builder().region(Region::new("eu-west-1")).build();
    let secrets = aws_sdk_secretsmanager::Client::from_conf(there);
    let made = secrets.create_secret().name("coiled-token").secret_string(world.coiled.token()).send().await.unwrap();
    world.create(json!({"CoiledTokenSecretArn": made.arn.unwrap()})).await.succeeded();
    let read = world.aws.calls().into_iter().find(|call| call.action == "GetSecretValue").unwrap();
    assert_eq!(read.region, "eu-west-1");
}

/// Coiled may still be processing a registration whose outcome is unknown, and may show it only later.
#[tokio::test]
async fn delete_disconnects_an_unconnected_workspace_only_while_a_key_is_pending() {
    for (is_pending, disconnects) in [(true, 1), (false, 0)] {
        let world = World::after_create().await;
        if is_pending {
            world.tag_user("coiled", "coiled-stack:pending-access-key-id", "AKIAPENDING000000000").await;
            world.tag_user("coiled", "coiled-stack:pending-region", "us-east-1").await;
        }
        world.coiled.disconnect("ada");
        world.delete(json!({})).await.succeeded();
        assert_eq!(world.coiled.calls(Call::Disconnect).len(), disconnects);
        world.nothing_left().await;
    }
}
