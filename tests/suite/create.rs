//! Create: everything is made, proved and registered, or nothing is left.

use serde_json::json;

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::account::AWS_POLICY;
use crate::support::aws::{AwsFault, AwsHow, FUNCTION_KEY, round_trips};

#[tokio::test]
async fn a_create_makes_registers_and_answers() {
    let world = World::new().await;
    let answer = world.create(json!({"Region": "us-east-2"})).await.succeeded();
    world.connected().await;
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    let account = world.aws.account();
    for (name, expected) in [
        ("UserArn", format!("arn:aws:iam::{account}:user/coiled")),
        ("UserName", "coiled".into()),
        ("AccessKeyId", world.keys("coiled").await[0].clone()),
        ("SetupPolicyArn", format!("arn:aws:iam::{account}:policy/coiled-setup")),
        ("OngoingPolicyArn", format!("arn:aws:iam::{account}:policy/coiled-ongoing")),
        ("Workspace", "ada".into()),
        ("Region", "us-east-2".into()),
        ("SettingsUrl", format!("{}/ada/settings/setup/credentials", world.coiled.url())),
    ] {
        assert_eq!(answer.data(name), expected, "{name}");
    }
    assert_eq!(answer.value["Data"].as_object().unwrap().len(), 8);
    assert_eq!(world.coiled.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_marks_are_those_of_the_interface() {
    let world = World::new().await;
    world.create(json!({"Tags": [{"Key": "team", "Value": "data"}]})).await.succeeded();
    let tags = world.user_tags("coiled").await.unwrap();
    let keys: Vec<&str> = tags.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "coiled-stack:access-key-id",
            "coiled-stack:logical-id",
            "coiled-stack:registered",
            "coiled-stack:server",
            "coiled-stack:stack-id",
            "coiled-stack:workspace",
            "owner",
            "team"
        ]
    );
    assert_eq!(tags["coiled-stack:stack-id"], world.stack_id());
    assert_eq!(tags["coiled-stack:workspace"], "ada");
    let policy =
        world.iam.get_policy().policy_arn(world.policy_arn("coiled-setup")).send().await.unwrap().policy.unwrap();
    let mut keys: Vec<String> = policy.tags().iter().map(|tag| tag.key.clone()).collect();
    keys.sort();
    assert_eq!(keys, ["coiled-stack:logical-id", "coiled-stack:stack-id", "owner", "team"]);
}

#[tokio::test]
async fn coiled_is_asked_five_times_at_most() {
    for properties in [json!({}), json!({"Workspace": "ada"})] {
        let world = World::new().await;
        world.create(properties).await.succeeded();
        let requests: Vec<String> = world.coiled.requests().iter().map(|request| request.path.clone()).collect();
        assert!(requests.len() <= 5, "{requests:?}");
    }
}

#[tokio::test]
async fn path_boundary_and_names_are_the_users_choice() {
    let world = World::new().await;
    let boundary = AWS_POLICY;
    let properties = json!({"UserName": "Dask+1", "UserPath": "/teams/data/", "PermissionsBoundaryArn": boundary});
    let answer = world.create(properties.clone()).await.succeeded();
    assert_eq!(answer.data("UserArn"), format!("arn:aws:iam::{}:user/teams/data/Dask+1", world.aws.account()));
    assert!(answer.data("SetupPolicyArn").ends_with(":policy/teams/data/Dask+1-setup"));
    assert_eq!(world.aws.boundary("Dask+1"), Some(boundary.to_owned()));
    world.delete(properties).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn without_the_setup_policy_attached_it_is_still_made() {
    let world = World::new().await;
    world.create(json!({"AttachSetupPolicy": "false"})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing"]);
    assert_eq!(world.policies().await, ["coiled-ongoing", "coiled-setup"]);
}

/// A token may be plain or JSON, and tokens without `-` are of another kind.
#[tokio::test]
async fn every_form_of_token_is_understood() {
    for (token, secret) in [
        ("c4n4ry-of-ada-0123456789", r#"{"token": "c4n4ry-of-ada-0123456789"}"#),
        ("0123456789abcdef", " 0123456789abcdef\n"),
    ] {
        let world = World::new().await;
        world.coiled.set_token(token);
        world.secrets.put_secret_value().secret_id(&world.secret_arn).secret_string(secret).send().await.unwrap();
        world.create(json!({})).await.succeeded();
        world.connected().await;
    }
}

/// STS knows a key late, and flickers: three proofs in a row are needed, and one refusal starts the count anew.
#[tokio::test]
async fn a_key_is_registered_only_after_three_proofs_in_a_row() {
    let world = World::new().await;
    world.aws.key_pattern(&[false, false, true, true, false, true, false]);
    world.create(json!({})).await.succeeded();
    let proofs: Vec<bool> = world
        .aws
        .calls()
        .into_iter()
        .filter(|call| call.action == "GetCallerIdentity" && call.access_key_id != FUNCTION_KEY)
        .map(|call| call.status == 200)
        .collect();
    // The last one is the stand-in's own trial of the key.
    assert_eq!(proofs, [false, false, true, true, false, true, false, true, true, true, true]);
}

#[tokio::test]
async fn the_key_is_proved_at_the_region_that_coiled_uses() {
    let world = World::new().await;
    world.create(json!({"Region": "eu-central-1"})).await.succeeded();
    let calls = world.aws.calls();
    let regions: Vec<&str> =
        calls.iter().filter(|call| call.action == "GetCallerIdentity").map(|call| call.region.as_str()).collect();
    assert_eq!(regions[..4], ["eu-central-1"; 4]);
}

/// A role written a moment ago answers AccessDenied for some seconds (aws-cdk#18237, #31429).
#[tokio::test]
async fn a_fresh_role_is_waited_for() {
    let world = World::new().await;
    for action in ["GetUser", "GetSecretValue", "CreateUser", "CreatePolicy"] {
        world.aws.fault(AwsFault { action, how: AwsHow::AccessDenied, times: 3 });
    }
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

/// The pending mark is there before Coiled can hold the key, so that a run that dies leaves a trace.
#[tokio::test]
async fn the_pending_mark_is_set_before_the_registration_is_sent() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::Progress(vec!["Making a VPC".into()]), times: 1 });
    world.create(json!({})).await.succeeded();
    let calls = world.aws.calls();
    let tagged =
        calls.iter().position(|call| call.params.values().any(|value| value == "coiled-stack:pending-access-key-id"));
    let verified = calls.iter().rposition(|call| call.action == "GetCallerIdentity");
    assert!(tagged.unwrap() < verified.unwrap(), "the stand-in tries the key when the registration arrives");
    assert!(world.logs.text().contains("Making a VPC"), "Coiled's progress is in the log");
}

#[tokio::test]
async fn create_access_key_is_sent_once_and_a_lost_key_is_removed() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::TookEffectThenDropped, times: 1 });
    world.create(json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(world.aws.actions().iter().filter(|action| *action == "CreateAccessKey").count(), 2);
}

#[tokio::test]
async fn lost_replies_are_no_reason_to_fail() {
    for action in ["CreateUser", "CreatePolicy", "AttachUserPolicy", "TagUser", "UntagUser"] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::TookEffectThenDropped, times: 1 });
        world.create(json!({})).await.succeeded();
        world.connected().await;
    }
}

/// Each step of a Create refused in turn: all that was made before is unmade.
#[tokio::test]
async fn a_failed_create_undoes_what_it_made() {
    for (action, code) in [
        ("CreateUser", "LimitExceeded"),
        ("CreatePolicy", "LimitExceeded"),
        ("AttachUserPolicy", "LimitExceeded"),
        ("CreateAccessKey", "ServiceFailure"),
        ("TagUser", "LimitExceeded"),
        ("ListAttachedUserPolicies", "ValidationError"),
        ("UntagUser", "ValidationError"),
    ] {
        let world = World::new().await;
        // ListAttachedUserPolicies works at the first look, and fails at the last.
        if action == "ListAttachedUserPolicies" {
            world.aws.fault(AwsFault { action, how: AwsHow::Slow(std::time::Duration::ZERO), times: 1 });
        }
        let times = if action == "UntagUser" { 1 } else { 9 };
        world.aws.fault(AwsFault { action, how: AwsHow::Error(400, code, "not today"), times });
        let answer = world.create(json!({})).await.failed(&[action, code, "not today"]);
        world.aws.clear_faults();
        assert!(!answer.reason().contains("Left in the account"), "{action}: {}", answer.reason());
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn what_can_not_be_undone_is_named_by_its_arn_and_removed_by_the_delete_that_follows() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no quota".into()), times: 1 });
    world.aws.fault(AwsFault { action: "DeletePolicy", how: AwsHow::Error(400, "ValidationError", "no"), times: 1 });
    let answer = world.create(json!({})).await.failed(&["register", "no quota", "Left in the account"]);
    assert!(answer.reason().contains(&format!("arn:aws:iam::{}:policy/coiled-", world.aws.account())));
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// What CloudFormation does after a failed Create: the very id that was answered comes with a Delete.
#[tokio::test]
async fn a_refused_registration_is_told_in_coileds_words_and_leaves_nothing() {
    let world = World::new().await;
    world.coiled.fault(Fault {
        on: Call::WsFinish,
        how: How::IsError("VPC limit reached in us-east-1".into()),
        times: 1,
    });
    world.create(json!({})).await.failed(&["register", "VPC limit reached in us-east-1"]);
    world.nothing_left().await;
    world.delete(json!({})).await.succeeded();
}

#[tokio::test]
async fn with_the_setup_policy_detached_a_refusal_suggests_attaching_it() {
    let world = World::new().await;
    world.coiled.fault(Fault {
        on: Call::WsMessage,
        how: How::IsError("not authorized to CreateVpc".into()),
        times: 1,
    });
    world.create(json!({"AttachSetupPolicy": "false"})).await.failed(&["CreateVpc", "AttachSetupPolicy"]);
}

/// A connection lost before FINISHED says nothing; the same message is sent again.
#[tokio::test]
async fn an_unknown_outcome_is_settled_by_sending_the_same_message_again() {
    for (on, how) in [
        (Call::WsMessage, How::Reset),
        (Call::WsFinish, How::TookEffectThenDropped),
        (Call::WsFinish, How::CloseWith(1011)),
        (Call::WsGreeting, How::Reset),
        (Call::WsUpgrade, How::Status(503, json!({}))),
    ] {
        let world = World::new().await;
        world.coiled.fault(Fault { on, how: how.clone(), times: 1 });
        let answer = world.create(json!({})).await;
        assert!(answer.is_success(), "{on:?} {how:?}: {}", answer.reason());
        world.connected().await;
        let sent = world.coiled.registrations();
        assert!(sent.iter().all(|message| message["data"] == sent[0]["data"]), "{on:?}");
    }
}

/// A FINISHED that Coiled's own options don't bear out is no success.
#[tokio::test]
async fn what_coiled_shows_decides_and_not_what_it_says() {
    let world = World::new().await;
    let unconnected = json!({"backend": "vm", "options": {"aws_region_name": "us-east-1"}});
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Slow(std::time::Duration::ZERO), times: 1 });
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Status(200, unconnected), times: 1 });
    world.create(json!({})).await.failed(&["read back", "unconnected"]);
    world.nothing_left().await;
}

#[tokio::test]
async fn independent_steps_run_side_by_side() {
    let world = World::new().await;
    // Slow enough for what runs side by side to overlap on a busy machine too.
    let pause = std::time::Duration::from_millis(200);
    world.aws.fault(AwsFault { action: "*", how: AwsHow::Slow(pause), times: u32::MAX });
    world.create(json!({"Workspace": "ada"})).await.succeeded();
    let calls = world.aws.calls();
    // Looks · policies · user · key · three proofs (and the stand-in's own trial) · looks before and after · three marks.
    let trips = round_trips(&calls);
    assert!(trips <= 13, "{trips} round trips for {} calls", calls.len());
}
