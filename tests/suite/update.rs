//! Update: in place, and only what changed.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::account::AWS_POLICY;
use crate::support::aws::{AwsFault, AwsHow};

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world.aws.forget_calls();
    world
}

/// Neither Coiled nor the token is there any more.
async fn cut_off(world: &World) {
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
async fn detaching_the_setup_policy_keeps_it_and_touches_neither_key_nor_coiled() {
    let world = connected(json!({})).await;
    let (keys, asked) = (world.keys("coiled").await, world.coiled.requests().len());
    cut_off(&world).await;
    world.update(json!({}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing"]);
    world.connected().await;
    world.update(json!({"AttachSetupPolicy": "false"}), json!({})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    assert_eq!((world.keys("coiled").await, world.coiled.requests().len()), (keys, asked));
}

#[tokio::test]
async fn what_is_registered_brings_a_new_key_before_the_old_one_goes() {
    for change in
        [json!({"Region": "us-east-2"}), json!({"RotateKey": "2026-11"}), json!({"NetworkId": "vpc-0123abcd"})]
    {
        let world = connected(json!({})).await;
        let old = world.keys("coiled").await;
        let answer = world.update(json!({}), change.clone()).await.succeeded();
        world.connected().await;
        assert_ne!(world.keys("coiled").await, old, "{change}");
        assert_eq!(answer.data("AccessKeyId"), world.keys("coiled").await[0]);
        let actions = world.aws.actions();
        let position = |action: &str| actions.iter().position(|other| other == action).unwrap();
        assert!(position("CreateAccessKey") < position("DeleteAccessKey"), "{change}: make before break");
    }
}

#[tokio::test]
async fn a_rollback_to_what_is_still_registered_needs_neither_token_nor_coiled() {
    let world = connected(json!({})).await;
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no subnets there".into()), times: 1 });
    world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&["no subnets there"]);
    cut_off(&world).await;
    world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(before, world.snapshot().await);
}

/// The outcome of a rotation stays unknown to the end: both keys stay, for Coiled may hold either.
#[tokio::test]
async fn an_unknown_outcome_keeps_both_keys_until_coiled_answers_again() {
    let world = connected(json!({})).await;
    let old = world.keys("coiled").await.remove(0);
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::TookEffectThenDropped, times: u32::MAX });
    let mut quick = world;
    quick.timeout = std::time::Duration::from_secs(4);
    let world = quick;
    world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&[
        "register",
        "unknown",
        "the next run settles it",
    ]);
    let held = world.coiled.connection("ada").unwrap().access_key_id();
    let mut keys = world.keys("coiled").await;
    keys.sort();
    let mut both = [old, held.clone()];
    both.sort();
    assert_eq!(keys, both);
    assert_eq!(world.tag("coiled-stack:pending-access-key-id").await, held);

    // The rollback, with Coiled out of reach by either door: nothing works worse for it.
    for on in [Call::BackendOptions, Call::WsUpgrade] {
        world.coiled.clear_faults();
        world.coiled.fault(Fault { on, how: How::Reset, times: u32::MAX });
        world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
        assert_eq!(world.keys("coiled").await.len(), 2, "{on:?}");
        assert_eq!(world.tag("coiled-stack:pending-access-key-id").await, held, "{on:?}");
    }
    assert!(world.logs.text().contains("both stay"));

    // A run that tries to settle it and fails does not forget what it was about.
    world.coiled.clear_faults();
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(json!({"Region": "us-east-2"}), json!({})).await.failed(&["no"]);
    // What Coiled shows is the later registration's region: so that one is on record now.
    assert_eq!(world.tag("coiled-stack:access-key-id").await, held);
    assert_eq!(world.keys("coiled").await, [held.as_str()]);

    // And the next run, with Coiled back: settled.
    world.coiled.clear_faults();
    world.update(json!({"Region": "us-east-2"}), json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(world.coiled.connection("ada").unwrap().region(), "us-east-1");
}

#[tokio::test]
async fn a_change_of_identity_is_refused_and_its_rollback_passes() {
    for (name, value) in [
        ("UserName", "other"),
        ("UserPath", "/other/"),
        ("Workspace", "team"),
        ("CoiledServer", "https://coiled.example.com"),
    ] {
        let world = connected(json!({})).await;
        let before = world.snapshot().await;
        let changed = json!({name: value});
        world.update(json!({}), changed.clone()).await.failed(&[name, "Nothing was touched", "second one"]);
        assert_eq!(before, world.snapshot().await, "{name}");
        cut_off(&world).await;
        world.update(changed, json!({})).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{name}");
    }
}

/// The workspace is resolved once: naming the one that was the default changes nothing.
#[tokio::test]
async fn naming_the_resolved_workspace_is_no_change() {
    let world = connected(json!({})).await;
    world.coiled.add_workspace("team", "Team", true);
    world.update(json!({}), json!({"Workspace": "ada"})).await.succeeded();
    world.update(json!({"Workspace": "ada"}), json!({"RotateKey": "1"})).await.succeeded();
    world.connected().await;
    assert!(world.coiled.connection("team").is_none());
}

#[tokio::test]
async fn boundary_and_tags_change_in_place() {
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

/// A policy has five versions at most; the oldest that is not in force makes room (99designs/iamy#21).
#[tokio::test]
async fn a_new_release_puts_a_sixth_document_in_force() {
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
async fn a_policy_that_says_the_same_in_other_order_is_left_alone() {
    let world = connected(json!({})).await;
    world.update(json!({"Release": "0.1.0"}), json!({"Release": "0.2.0"})).await.succeeded();
    let writes = ["Create", "Put", "Tag", "Untag", "Attach", "Detach", "Delete"];
    let written: Vec<String> =
        world.aws.actions().into_iter().filter(|action| writes.iter().any(|verb| action.starts_with(verb))).collect();
    assert_eq!(written, Vec::<String>::new());
}

/// What was deleted by hand comes back with the next Update.
#[tokio::test]
async fn drift_is_repaired() {
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

/// A colleague has connected the workspace to something else: that is not replaced without being asked to.
#[tokio::test]
async fn a_connection_made_since_by_someone_else_is_not_replaced() {
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

/// A run that died after CreateAccessKey leaves a key nobody holds, and a lease as its trace.
#[tokio::test]
async fn a_key_that_a_dead_run_left_is_found_and_deleted() {
    let world = connected(json!({})).await;
    world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    world.tag_user("coiled", "coiled-stack:lease", "dead/1/1").await;
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    world.connected().await;
}

/// A person's key, in a user on which no run has died: an Update that fails, and its rollback, leave it alone.
#[tokio::test]
async fn a_failed_update_costs_nobody_a_key() {
    let world = connected(json!({})).await;
    let theirs = world.iam.create_access_key().user_name("coiled").send().await.unwrap().access_key.unwrap();
    let before = world.snapshot().await;
    let refused = json!({"PermissionsBoundaryArn": world.policy_arn("no-such-boundary")});
    world.update(json!({}), refused.clone()).await.failed(&["NoSuchEntity"]);
    world.update(refused, json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
    assert!(world.keys("coiled").await.contains(&theirs.access_key_id));
}

/// Somebody else's boundary bounds the user for a reason.
#[tokio::test]
async fn a_boundary_of_others_stays() {
    let world = connected(json!({})).await;
    let (put, policy) = (world.iam.put_user_permissions_boundary().user_name("coiled"), AWS_POLICY);
    put.permissions_boundary(policy).send().await.unwrap();
    world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
    assert_eq!(world.aws.boundary("coiled"), Some(policy.to_owned()));
}

/// CreateAccessKey is sent once for the sake of lost replies; "too many calls" is none.
#[tokio::test]
async fn a_key_is_asked_for_again_where_there_were_too_many_calls() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::Throttled, times: 3 });
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

#[tokio::test]
async fn a_full_user_makes_room_with_a_stray_key_first() {
    let world = connected(json!({})).await;
    world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
}

/// An Update that fails before its key reached Coiled takes that key back at once.
#[tokio::test]
async fn a_failed_rotation_leaves_no_second_key() {
    for fault in ["TagUser", "GetCallerIdentity"] {
        let world = connected(json!({})).await;
        let before = world.keys("coiled").await;
        // The first TagUser takes the lease; the second marks the key.
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
