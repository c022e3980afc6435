//! Create either connects the workspace or leaves nothing behind.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow, round_trips};
use serde_json::json;

use crate::support::Deploy;

#[tokio::test]
async fn create_connects_the_workspace_and_returns_all_attributes() {
    let world = World::new().await;
    let response = world.create(json!({"Region": "us-east-2"})).await.succeeded();
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
        assert_eq!(response.data(name), expected, "{name}");
    }
    assert_eq!(response.value["Data"].as_object().unwrap().len(), 8);
    assert_eq!(world.coiled.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn create_sets_the_documented_tags_on_the_user_and_the_policies() {
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
async fn create_sends_at_most_five_requests_to_coiled() {
    for properties in [json!({}), json!({"Workspace": "ada"})] {
        let world = World::new().await;
        world.create(properties).await.succeeded();
        let requests: Vec<String> = world.coiled.requests().iter().map(|request| request.path.clone()).collect();
        assert!(requests.len() <= 5, "{requests:?}");
    }
}

#[tokio::test]
async fn create_uses_the_given_name_path_and_boundary() {
    let world = World::new().await;
    let boundary = AWS_POLICY;
    let properties = json!({"UserName": "Dask+1", "UserPath": "/teams/data/", "PermissionsBoundaryArn": boundary});
    let response = world.create(properties.clone()).await.succeeded();
    assert_eq!(response.data("UserArn"), format!("arn:aws:iam::{}:user/teams/data/Dask+1", world.aws.account()));
    assert!(response.data("SetupPolicyArn").ends_with(":policy/teams/data/Dask+1-setup"));
    assert_eq!(world.aws.boundary("Dask+1"), Some(boundary.to_owned()));
    world.delete(properties).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn the_setup_policy_is_created_but_not_attached_if_attach_setup_policy_is_false() {
    let world = World::new().await;
    world.create(json!({"AttachSetupPolicy": "false"})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing"]);
    assert_eq!(world.policies().await, ["coiled-ongoing", "coiled-setup"]);
}

/// The secret holds the token as plain text or as JSON. Coiled has two kinds of token, and only API tokens contain a
/// `-`.
#[tokio::test]
async fn create_accepts_both_kinds_of_token_as_plain_text_or_json() {
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

#[tokio::test]
async fn the_key_is_checked_in_the_region_that_coiled_uses() {
    let world = World::new().await;
    world.create(json!({"Region": "eu-central-1"})).await.succeeded();
    let calls = world.aws.calls();
    let regions: Vec<&str> =
        calls.iter().filter(|call| call.action == "GetCallerIdentity").map(|call| call.region.as_str()).collect();
    assert_eq!(regions[..4], ["eu-central-1"; 4]);
}

/// For some seconds, AWS denies the calls of a new role (aws-cdk#18237, #31429).
#[tokio::test]
async fn create_retries_calls_that_are_denied_to_a_new_role() {
    let world = World::new().await;
    for action in ["GetUser", "GetSecretValue", "CreateUser", "CreatePolicy"] {
        world.aws.fault(AwsFault { action, how: AwsHow::AccessDenied, times: 3 });
    }
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

/// If Lambda kills the run after it sent the registration, the next run needs the tag to know that Coiled may hold the
/// key.
#[tokio::test]
async fn the_pending_key_is_tagged_before_the_registration_is_sent() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::Progress(vec!["Making a VPC".into()]), times: 1 });
    world.create(json!({})).await.succeeded();
    let calls = world.aws.calls();
    let tagged =
        calls.iter().position(|call| call.params.values().any(|value| value == "coiled-stack:pending-access-key-id"));
    let verified = calls.iter().rposition(|call| call.action == "GetCallerIdentity");
    // The stand-in for Coiled makes the last check of the key, when the registration arrives.
    assert!(tagged.unwrap() < verified.unwrap(), "the registration arrived before the tag was set");
    assert!(world.logs.text().contains("Making a VPC"), "Coiled's progress is not in the log");
}

#[tokio::test]
async fn a_key_whose_secret_is_lost_with_the_response_is_deleted_and_replaced() {
    let world = World::new().await;
    world.aws.fault(AwsFault { action: "CreateAccessKey", how: AwsHow::TookEffectThenDropped, times: 1 });
    world.create(json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(world.aws.actions().iter().filter(|action| *action == "CreateAccessKey").count(), 2);
}

#[tokio::test]
async fn create_succeeds_if_the_response_to_an_iam_call_is_lost() {
    for action in ["CreateUser", "CreatePolicy", "AttachUserPolicy", "TagUser", "UntagUser"] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::TookEffectThenDropped, times: 1 });
        world.create(json!({})).await.succeeded();
        world.connected().await;
    }
}

#[tokio::test]
async fn create_undoes_its_changes_no_matter_which_step_fails() {
    for (action, code) in [
        ("CreateUser", "LimitExceeded"),
        ("CreatePolicy", "LimitExceeded"),
        ("AttachUserPolicy", "LimitExceeded"),
        ("CreateAccessKey", "ValidationError"),
        ("TagUser", "LimitExceeded"),
        ("ListAttachedUserPolicies", "ValidationError"),
        ("UntagUser", "ValidationError"),
    ] {
        let world = World::new().await;
        // A `Slow` fault without a delay lets the first call succeed. So only the calls that check the result fail.
        if action == "ListAttachedUserPolicies" {
            world.aws.fault(AwsFault { action, how: AwsHow::Slow(std::time::Duration::ZERO), times: 1 });
        }
        let times = if action == "UntagUser" { 1 } else { 9 };
        world.aws.fault(AwsFault { action, how: AwsHow::Error(400, code, "not today"), times });
        let response = world.create(json!({})).await.failed(&[action, code, "not today"]);
        world.aws.clear_faults();
        assert!(!response.reason().contains("Left in the account"), "{action}: {}", response.reason());
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn create_names_the_arn_of_a_policy_that_it_could_not_delete_and_delete_removes_it() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no quota".into()), times: 1 });
    world.aws.fault(AwsFault { action: "DeletePolicy", how: AwsHow::Error(400, "ValidationError", "no"), times: 1 });
    let response = world.create(json!({})).await.failed(&["register", "no quota", "Left in the account"]);
    assert!(response.reason().contains(&format!("arn:aws:iam::{}:policy/coiled-", world.aws.account())));
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// After a failed Create, CloudFormation sends a Delete.
#[tokio::test]
async fn create_shows_coileds_message_and_leaves_nothing_if_the_registration_is_rejected() {
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
async fn create_suggests_attach_setup_policy_if_coiled_lacks_a_permission_while_it_is_detached() {
    let world = World::new().await;
    world.coiled.fault(Fault {
        on: Call::WsMessage,
        how: How::IsError("not authorized to CreateVpc".into()),
        times: 1,
    });
    world.create(json!({"AttachSetupPolicy": "false"})).await.failed(&["CreateVpc", "AttachSetupPolicy"]);
}

/// If the WebSocket closes before FINISHED, Coiled may or may not hold the key.
#[tokio::test]
async fn the_same_registration_is_sent_again_if_its_outcome_is_unknown() {
    for (on, how) in [
        (Call::WsMessage, How::Reset),
        (Call::WsFinish, How::TookEffectThenDropped),
        (Call::WsFinish, How::CloseWith(1011)),
        (Call::WsGreeting, How::Reset),
        (Call::WsUpgrade, How::Status(503, json!({}))),
    ] {
        let world = World::new().await;
        world.coiled.fault(Fault { on, how: how.clone(), times: 1 });
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{on:?} {how:?}: {}", response.reason());
        world.connected().await;
        let sent = world.coiled.registrations();
        assert!(sent.iter().all(|message| message["data"] == sent[0]["data"]), "{on:?}");
    }
}

/// FINISHED alone does not prove that Coiled holds the key, so the Create also reads the workspace's backend options.
#[tokio::test]
async fn create_fails_if_coiled_sends_finished_but_shows_no_connection() {
    let world = World::new().await;
    let unconnected = json!({"backend": "vm", "options": {"aws_region_name": "us-east-1"}});
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Slow(std::time::Duration::ZERO), times: 1 });
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Status(200, unconnected), times: 1 });
    world.create(json!({})).await.failed(&["read the registration back", "not connected"]);
    world.nothing_left().await;
}

#[tokio::test]
async fn create_runs_independent_steps_in_parallel_and_needs_at_most_11_round_trips() {
    let world = World::new().await;
    // Long enough that parallel calls overlap even on a busy machine.
    let delay = std::time::Duration::from_millis(200);
    world.aws.fault(AwsFault { action: "*", how: AwsHow::Slow(delay), times: u32::MAX });
    world.create(json!({"Workspace": "ada"})).await.succeeded();
    let calls = world.aws.calls();
    // These are the 11: the first reads, the policies, the user, the key, three checks of the key and one by the
    // stand-in, a read after the registration, and two writes of tags. The lease check runs in parallel with the last
    // check of the key.
    let trips = round_trips(&calls);
    assert!(trips <= 11, "{trips} round trips for {} calls", calls.len());
}
