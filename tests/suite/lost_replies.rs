//! Replies that do not show whether an AWS call took effect: a 5xx, a proxy's page, a reply without a request ID.

use std::time::Duration;

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{Aim, AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::adopt;
use crate::support::Deploy;

/// Replies that do not show whether the call took effect. In these tests it did.
const LOST: [AwsHow; 8] = [
    AwsHow::TookEffectThenDropped,
    AwsHow::TookEffectThenError(500, "ServiceFailure"),
    AwsHow::TookEffectThenError(503, "ServiceUnavailable"),
    AwsHow::TookEffectThenError(500, "Throttling"),
    AwsHow::TookEffectThenPage(502),
    AwsHow::TookEffectThenPage(200),
    AwsHow::TookEffectThenPage(403),
    AwsHow::WithoutRequestId,
];

fn fault(world: &World, action: &'static str, how: AwsHow, times: u32) {
    world.aws.fault(AwsFault { action, how, times });
}

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world
}

#[tokio::test]
async fn a_page_from_a_proxy_with_status_200_does_not_count_as_success_in_a_create() {
    for action in ["CreateUser", "CreatePolicy", "AttachUserPolicy", "CreateAccessKey", "TagUser", "UntagUser"] {
        let world = World::new().await;
        fault(&world, action, AwsHow::Page(200), 1);
        world.create(json!({})).await.succeeded();
        world.connected().await;
        assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"], "{action}");
    }
}

#[tokio::test]
async fn a_page_from_a_proxy_with_status_200_does_not_count_as_success_in_an_update() {
    let old = json!({"Tags": [{"Key": "team", "Value": "a"}], "PermissionsBoundaryArn": AWS_POLICY});
    let new = json!({"AttachSetupPolicy": "false", "RotateKey": "2"});
    for action in
        ["TagUser", "UntagUser", "UntagPolicy", "DetachUserPolicy", "DeleteAccessKey", "DeleteUserPermissionsBoundary"]
    {
        let world = connected(old.clone()).await;
        fault(&world, action, AwsHow::Page(200), 1);
        world.update(old.clone(), new.clone()).await.succeeded();
        world.connected().await;
        assert_eq!(world.attached("coiled").await, ["coiled-ongoing"], "{action}");
        assert_eq!(world.aws.boundary("coiled"), None, "{action}");
        assert!(!world.user_tags("coiled").await.unwrap().contains_key("team"), "{action}");
        // The Update back to the old properties handles such pages too.
        for action in ["PutUserPermissionsBoundary", "TagPolicy", "AttachUserPolicy"] {
            fault(&world, action, AwsHow::Page(200), 1);
        }
        world.update(new.clone(), old.clone()).await.succeeded();
        world.connected().await;
        assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"], "{action}");
        assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY), "{action}");
    }
}

#[tokio::test]
async fn a_page_from_a_proxy_with_status_200_does_not_count_as_success_in_a_delete() {
    for action in
        ["TagUser", "DetachUserPolicy", "DeleteAccessKey", "DeletePolicy", "DeleteUser", "DeletePolicyVersion"]
    {
        let world = connected(json!({})).await;
        let arn = world.policy_arn("coiled-setup");
        let version = world.iam.create_policy_version().policy_arn(arn).policy_document(OTHER_DOCUMENT);
        version.send().await.unwrap();
        fault(&world, action, AwsHow::Page(200), 1);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// The worst response would be SUCCESS when nothing has happened.
#[tokio::test]
async fn a_request_fails_if_a_proxy_answers_every_call_with_a_page() {
    for action in ["TagUser", "DetachUserPolicy", "DeleteAccessKey", "DeletePolicy", "DeleteUser"] {
        let mut world = connected(json!({})).await;
        world.timeout = Duration::from_secs(8);
        fault(&world, action, AwsHow::Page(200), u32::MAX);
        world.delete(json!({})).await.failed(&[action, "no AWS request ID", "tried for "]);
        world.aws.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn any_lost_reply_to_create_access_key_leaves_one_key() {
    for how in LOST {
        let world = World::new().await;
        fault(&world, "CreateAccessKey", how.clone(), 1);
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{how:?}: {}", response.reason());
        world.connected().await;
        fault(&world, "CreateAccessKey", how.clone(), 2);
        let response = world.update(json!({}), json!({"RotateKey": "2"})).await;
        assert!(response.is_success(), "{how:?}: {}", response.reason());
        world.connected().await;
    }
}

/// Throttling is not a lost reply, so the function repeats the call without reading the keys first.
#[tokio::test]
async fn create_access_key_is_repeated_after_throttling_without_listing_the_keys() {
    let lists = async |how: AwsHow| {
        let world = World::new().await;
        fault(&world, "CreateAccessKey", how, 1);
        world.create(json!({})).await.succeeded();
        world.connected().await;
        world.aws.actions().iter().filter(|action| *action == "ListAccessKeys").count()
    };
    let throttled = lists(AwsHow::Throttled).await;
    // The keys are listed once before the call is repeated, and once more at the end.
    assert_eq!(lists(AwsHow::TookEffectThenError(500, "ServiceFailure")).await, throttled + 2);
}

/// The Update fails because every reply is lost. If it leaves a new key, it also leaves a lease, and the rollback deletes
/// the key.
#[tokio::test]
async fn the_rollback_of_an_update_whose_replies_are_all_lost_leaves_no_new_key() {
    for how in [AwsHow::TookEffectThenError(500, "ServiceFailure"), AwsHow::TookEffectThenPage(200)] {
        for lag in [Duration::ZERO, Duration::from_millis(150)] {
            let mut world = connected(json!({})).await;
            let before = world.keys("coiled").await;
            world.aws.lag_by(lag);
            world.timeout = Duration::from_secs(8);
            fault(&world, "CreateAccessKey", how.clone(), u32::MAX);
            world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["CreateAccessKey", "tried for "]);
            world.aws.clear_faults();
            world.timeout = Duration::from_secs(20);
            let stray = world.keys("coiled").await.into_iter().any(|key| !before.contains(&key));
            let is_leased = !world.tag("coiled-stack:lease").await.is_empty();
            assert!(!stray || is_leased, "{how:?} {lag:?}: a stray key is left without a lease");
            world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
            assert_eq!(world.keys("coiled").await, before, "{how:?} {lag:?}");
            assert_eq!(world.tag("coiled-stack:lease").await, "", "{how:?} {lag:?}");
        }
    }
}

/// After a failed adoption, the user must not keep a key whose secret nobody has.
#[tokio::test]
async fn a_failed_adoption_deletes_a_key_whose_reply_was_lost() {
    for lag in [Duration::ZERO, Duration::from_millis(150)] {
        let mut world = adopt::world_after_set_up(1).await;
        let before = world.snapshot().await;
        world.aws.lag_by(lag);
        world.timeout = Duration::from_secs(10);
        fault(&world, "CreateAccessKey", AwsHow::TookEffectThenError(500, "InternalFailure"), u32::MAX);
        world.create(adopt::adopt_existing()).await.failed(&["CreateAccessKey"]);
        world.aws.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(adopt::adopt_existing()).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{lag:?}");
    }
}

const OTHER_DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// CreatePolicyVersion would create a second version if it were simply sent again.
#[tokio::test]
async fn any_lost_reply_to_create_policy_version_leaves_one_new_version() {
    for lag in [Duration::ZERO, Duration::from_millis(100)] {
        for how in LOST {
            let world = connected(json!({})).await;
            let arn = world.policy_arn("coiled-ongoing");
            let version = world.iam.create_policy_version().policy_arn(&arn).policy_document(OTHER_DOCUMENT);
            version.set_as_default(true).send().await.unwrap();
            world.aws.lag_by(lag);
            fault(&world, "CreatePolicyVersion", how.clone(), 1);
            let response = world.update(json!({"Release": "1"}), json!({"Release": "2"})).await;
            assert!(response.is_success(), "{how:?} {lag:?}: {}", response.reason());
            assert!(world.document("coiled-ongoing").await.contains("OngoingDestructive"), "{how:?} {lag:?}");
            if lag.is_zero() {
                let versions = world.iam.list_policy_versions().policy_arn(&arn).send().await.unwrap();
                assert_eq!(versions.versions().len(), 3, "{how:?}");
            }
        }
    }
}

/// Coiled may hold the new key although it still shows the earlier connection, so the key must keep working.
#[tokio::test]
async fn an_undo_keeps_a_key_that_coiled_may_hold_while_coiled_shows_the_earlier_connection() {
    let mut world = adopt::world_after_set_up(1).await;
    let before = world.keys("coiled").await;
    world.timeout = Duration::from_secs(8);
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::Hang, times: u32::MAX });
    world.create(adopt::adopt_existing()).await.failed(&["register", "Left in the account", "user/coiled"]);
    let keys = world.keys("coiled").await;
    assert!(keys.len() == 2 && before.iter().all(|key| keys.contains(key)), "{keys:?}");
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    assert!(!world.tag("coiled-stack:pending-access-key-id").await.is_empty());
}

/// If the reply to a read is lost, the function reads again.
#[tokio::test]
async fn replies_without_a_request_id_are_not_trusted() {
    for name in [
        "iam GetUser",
        "iam ListAccessKeys",
        "iam ListAttachedUserPolicies",
        "iam GetPolicy coiled-setup",
        "sts GetCallerIdentity as itself",
    ] {
        let world = World::new().await;
        world.aws.aim(Aim { name: name.into(), nth: 1, on: false, how: AwsHow::WithoutRequestId });
        world.create(json!({})).await.succeeded();
        assert_eq!(world.aws.hits(), 1, "{name}");
        world.connected().await;
    }
}
