//! Update changes resources in place, and only those that differ from the properties.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::support::Deploy;

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world.aws.forget_calls();
    world
}

/// Deletes the secret with the token, and makes Coiled unreachable.
async fn remove_token_and_coiled(world: &World) {
    world
        .secrets
        .delete_secret()
        .secret_id(&world.secret_arn)
        .force_delete_without_recovery(true)
        .send()
        .await
        .unwrap();
    for on in [Call::Me, Call::Memberships, Call::BackendOptions, Call::WsUpgrade] {
        world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
    }
}

#[tokio::test]
async fn detaching_the_setup_policy_keeps_the_policy_and_the_key_without_calling_coiled() {
    let world = connected(json!({})).await;
    let (keys, requests) = (world.keys("coiled").await, world.coiled.requests().len());
    remove_token_and_coiled(&world).await;
    world.update(json!({}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing"]);
    world.connected().await;
    world.update(json!({"AttachSetupPolicy": "false"}), json!({})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    assert_eq!((world.keys("coiled").await, world.coiled.requests().len()), (keys, requests));
}

#[tokio::test]
async fn changing_a_registered_property_creates_the_new_key_before_deleting_the_old_one() {
    for change in
        [json!({"Region": "us-east-2"}), json!({"RotateKey": "2026-11"}), json!({"NetworkId": "vpc-0123abcd"})]
    {
        let world = connected(json!({})).await;
        let old = world.keys("coiled").await;
        let response = world.update(json!({}), change.clone()).await.succeeded();
        world.connected().await;
        assert_ne!(world.keys("coiled").await, old, "{change}");
        assert_eq!(response.data("AccessKeyId"), world.keys("coiled").await[0]);
        let actions = world.aws.actions();
        let position = |action: &str| actions.iter().position(|other| other == action).unwrap();
        assert!(position("CreateAccessKey") < position("DeleteAccessKey"), "{change}");
    }
}

#[tokio::test]
async fn rollback_to_the_current_registration_needs_neither_the_token_nor_coiled() {
    let world = connected(json!({})).await;
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no subnets there".into()), times: 1 });
    world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&["no subnets there"]);
    remove_token_and_coiled(&world).await;
    world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(before, world.snapshot().await);
}

/// The run never learns whether Coiled stored the new key, so Coiled may hold either key.
#[tokio::test]
async fn an_unknown_outcome_keeps_both_keys_until_coiled_responds_again() {
    let world = connected(json!({})).await;
    let old = world.keys("coiled").await.remove(0);
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::TookEffectThenDropped, times: u32::MAX });
    let mut quick = world;
    quick.timeout = std::time::Duration::from_secs(4);
    let world = quick;
    world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&[
        "register",
        "unknown",
        "the next run finds out",
    ]);
    let held = world.coiled.connection("ada").unwrap().access_key_id();
    let mut keys = world.keys("coiled").await;
    keys.sort();
    let mut both = [old, held.clone()];
    both.sort();
    assert_eq!(keys, both);
    assert_eq!(world.tag("coiled-stack:pending-access-key-id").await, held);

    // The rollback succeeds without Coiled, whether HTTP or the WebSocket is unreachable.
    for on in [Call::BackendOptions, Call::WsUpgrade] {
        world.coiled.clear_faults();
        world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
        world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
        assert_eq!(world.keys("coiled").await.len(), 2, "{on:?}");
        assert_eq!(world.tag("coiled-stack:pending-access-key-id").await, held, "{on:?}");
    }
    assert!(world.logs.text().contains("keeping all keys"));

    // The next run first resolves the outcome. Then Coiled rejects its registration for the old region.
    world.coiled.clear_faults();
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({"Region": "us-east-2"}), json!({})).await.failed(&["no"]);
    // Coiled shows the region of the pending registration. So its key is recorded as active, and the
    // old key is deleted.
    assert_eq!(world.tag("coiled-stack:access-key-id").await, held);
    assert_eq!(world.keys("coiled").await, [held.as_str()]);

    // The next run succeeds because Coiled accepts the registration again.
    world.coiled.clear_faults();
    world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(world.coiled.connection("ada").unwrap().region(), "us-east-1");
}

#[tokio::test]
async fn changing_an_immutable_property_fails_without_changes_and_its_rollback_succeeds() {
    for (name, value) in [
        ("UserName", "other"),
        ("UserPath", "/other/"),
        ("Workspace", "team"),
        ("CoiledServer", "https://coiled.example.com"),
    ] {
        let world = connected(json!({})).await;
        let before = world.snapshot().await;
        let changed = json!({name: value});
        world.update(json!({}), changed.clone()).await.failed(&[name, "Nothing was changed", "second stack"]);
        assert_eq!(before, world.snapshot().await, "{name}");
        remove_token_and_coiled(&world).await;
        world.update(changed, json!({})).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{name}");
    }
}

/// The Create resolved the default workspace to `ada`. A later default does not matter.
#[tokio::test]
async fn update_accepts_the_explicit_name_of_the_workspace_that_was_the_default() {
    let world = connected(json!({})).await;
    world.coiled.add_workspace("team", "Team", true);
    world.update(json!({}), json!({"Workspace": "ada"})).await.succeeded();
    world.update(json!({"Workspace": "ada"}), json!({"RotateKey": "1"})).await.succeeded();
    world.connected().await;
    assert!(world.coiled.connection("team").is_none());
}

#[tokio::test]
async fn changing_the_boundary_and_the_stack_tags_keeps_the_key() {
    let world = connected(json!({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}]})).await;
    let keys = world.keys("coiled").await;
    let old = json!({"Tags": [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "1"}]});
    let new = json!({"Tags": [{"Key": "team", "Value": "b"}], "PermissionsBoundaryArn": AWS_POLICY});
    world.update(old.clone(), new.clone()).await.succeeded();
    let tags = world.user_tags("coiled").await.unwrap();
    assert_eq!((tags.get("team").map(String::as_str), tags.get("cost")), (Some("b"), None));
    assert_eq!(world.aws.boundary("coiled"), Some(AWS_POLICY.to_owned()));
    world.update(new, old).await.succeeded();
    assert_eq!(world.aws.boundary("coiled"), None);
    assert_eq!(world.tag("cost").await, "1");
    assert_eq!(world.keys("coiled").await, keys);
}

/// A policy can have five versions (99designs/iamy#21).
#[tokio::test]
async fn a_sixth_policy_version_replaces_the_oldest_version_that_is_not_the_default() {
    let world = connected(json!({})).await;
    let arn = world.policy_arn("coiled-ongoing");
    for n in 0..4 {
        let document = json!({"Version": "2012-10-17", "Statement": [{"Sid": format!("V{n}"), "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]});
        let version = world.iam.create_policy_version().policy_arn(&arn).policy_document(document.to_string());
        version.set_as_default(true).send().await.unwrap();
    }
    let keys = world.keys("coiled").await;
    world.update(json!({"Release": "0.1.0"}), json!({"Release": "0.2.0"})).await.succeeded();
    assert!(world.document("coiled-ongoing").await.contains("OngoingDestructive"));
    let versions = world.iam.list_policy_versions().policy_arn(&arn).send().await.unwrap();
    let mut ids: Vec<&str> = versions.versions().iter().filter_map(|version| version.version_id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["v2", "v3", "v4", "v5", "v6"]);
    assert_eq!(world.keys("coiled").await, keys);
}

#[tokio::test]
async fn update_writes_nothing_if_a_policy_document_differs_only_in_order() {
    let world = connected(json!({})).await;
    world.update(json!({"Release": "0.1.0"}), json!({"Release": "0.2.0"})).await.succeeded();
    let writes = ["Create", "Put", "Tag", "Untag", "Attach", "Detach", "Delete"];
    let written: Vec<String> =
        world.aws.actions().into_iter().filter(|action| writes.iter().any(|verb| action.starts_with(verb))).collect();
    assert_eq!(written, Vec::<String>::new());
}

#[tokio::test]
async fn update_recreates_a_policy_and_a_key_that_a_person_deleted() {
    let world = connected(json!({})).await;
    let arn = world.policy_arn("coiled-ongoing");
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    let key = world.keys("coiled").await.remove(0);
    world.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    world.connected().await;
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
}

/// A colleague connected the workspace in another region.
#[tokio::test]
async fn update_replaces_someone_elses_connection_only_with_adopt_existing() {
    let world = connected(json!({})).await;
    let mut theirs = world.coiled.connection("ada").unwrap().data;
    theirs["options"]["aws_region_name"] = json!("eu-west-1");
    world.coiled.connect("ada", theirs.clone());
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["ada", "eu-west-1", "AdoptExisting"]);
    assert_eq!(before, world.snapshot().await);
    world.update(json!({}), json!({"RotateKey": "2", "AdoptExisting": "true"})).await.succeeded();
    world.connected().await;
}

/// A run that dies after CreateAccessKey leaves a stray key and its lease.
#[tokio::test]
async fn update_deletes_the_stray_key_of_a_run_that_died() {
    let world = connected(json!({})).await;
    world.create_key_by_hand("coiled").await;
    world.killed_run().await;
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    world.connected().await;
}

/// The user has no lease, so no run has died. The second key must therefore be a person's.
#[tokio::test]
async fn a_failed_update_and_its_rollback_keep_a_key_that_a_person_created() {
    let world = connected(json!({})).await;
    let theirs = world.iam.create_access_key().user_name("coiled").send().await.unwrap().access_key.unwrap();
    let before = world.snapshot().await;
    let missing = json!({"PermissionsBoundaryArn": world.policy_arn("no-such-boundary")});
    world.update(json!({}), missing.clone()).await.failed(&["NoSuchEntity"]);
    world.update(missing, json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
    assert!(world.keys("coiled").await.contains(&theirs.access_key_id));
}

/// The properties do not name a boundary.
#[tokio::test]
async fn update_keeps_a_boundary_that_a_person_set() {
    let world = connected(json!({})).await;
    let (put, policy) = (world.iam.put_user_permissions_boundary().user_name("coiled"), AWS_POLICY);
    put.permissions_boundary(policy).send().await.unwrap();
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert_eq!(world.aws.boundary("coiled"), Some(policy.to_owned()));
}

/// CreateAccessKey is not retried after a lost response, because the key may exist. A throttled call created no key.
#[tokio::test]
async fn create_access_key_is_retried_if_throttled() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::Throttled, times: 3 });
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

#[tokio::test]
async fn a_rotation_deletes_a_stray_key_if_the_user_already_has_two_keys() {
    let world = connected(json!({})).await;
    world.create_key_by_hand("coiled").await;
    world.killed_run().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
}

#[tokio::test]
async fn a_rotation_that_fails_before_registration_deletes_its_new_key() {
    for fault in ["TagUser", "GetCallerIdentity"] {
        let world = connected(json!({})).await;
        let before = world.keys("coiled").await;
        // The first TagUser call writes the lease. The second one records the pending key.
        if fault == "TagUser" {
            world.aws.fault(AwsFault { action: "TagUser", how: AwsHow::Slow(std::time::Duration::ZERO), times: 1 });
            world.aws.fault(AwsFault { action: "TagUser", how: AwsHow::Error(400, "ValidationError", "no"), times: 1 });
        } else {
            world.aws.fault(AwsFault {
                action: "GetCallerIdentity",
                how: AwsHow::Slow(std::time::Duration::ZERO),
                times: 1,
            });
            world.aws.fault(AwsFault {
                action: "GetCallerIdentity",
                how: AwsHow::Error(400, "ValidationError", "no"),
                times: 1,
            });
        }
        world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["ValidationError"]);
        assert_eq!(world.keys("coiled").await, before, "{fault}");
        world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
        world.connected().await;
    }
}
