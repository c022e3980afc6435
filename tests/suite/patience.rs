//! If AWS throttles calls, is unavailable or does not know new credentials yet, the function waits, but never past the
//! deadline.

use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, Instant};

use coiled_aws_stack::config::Config;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::adopt;
use crate::support::{Deploy, config};

/// More than the four attempts that the SDK's own retries would make.
const OFTEN: u32 = 7;

/// Every error by which an AWS service throttles a call or reports that it is unavailable.
const BUSY: [AwsHow; 15] = [
    AwsHow::Throttled,
    AwsHow::Error(400, "ThrottlingException", "Rate exceeded"),
    AwsHow::Error(400, "ThrottledException", "slow down"),
    AwsHow::Error(400, "RequestThrottled", "slow down"),
    AwsHow::Error(400, "TooManyRequestsException", "slow down"),
    AwsHow::Error(503, "RequestLimitExceeded", "Request limit exceeded."),
    AwsHow::Error(503, "SlowDown", "Please reduce your request rate."),
    AwsHow::Error(400, "Odd", "Rate exceeded"),
    AwsHow::Error(503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
    AwsHow::Error(500, "ServiceFailure", "The request processing has failed."),
    AwsHow::Error(500, "InternalFailure", "The request processing has failed."),
    AwsHow::Error(500, "InternalServiceError", "An error occurred on the server side."),
    AwsHow::Page(429),
    AwsHow::Page(502),
    AwsHow::Page(503),
];

fn fault(world: &World, action: &'static str, how: AwsHow, times: u32) {
    world.aws.fault(AwsFault { action, how, times });
}

async fn connected() -> World {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world
}

#[tokio::test]
async fn create_retries_every_error_that_means_throttled_or_unavailable() {
    for how in BUSY {
        let world = World::new().await;
        for action in ["GetUser", "GetSecretValue", "GetCallerIdentity", "CreateUser", "AttachUserPolicy"] {
            fault(&world, action, how.clone(), OFTEN);
        }
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{how:?}: {}", response.reason());
        world.connected().await;
    }
}

#[tokio::test]
async fn an_update_retries_every_throttled_call() {
    for action in ["CreateAccessKey", "TagUser", "UntagUser", "DeleteAccessKey", "ListAttachedUserPolicies"] {
        let world = connected().await;
        fault(&world, action, AwsHow::Throttled, OFTEN);
        world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
        world.connected().await;
    }
}

#[tokio::test]
async fn a_delete_retries_every_throttled_call() {
    for action in ["GetSecretValue", "TagUser", "ListEntitiesForPolicy", "DeletePolicy", "DeleteUser"] {
        let world = connected().await;
        fault(&world, action, AwsHow::Error(400, "ThrottlingException", "Rate exceeded"), OFTEN);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn an_undo_retries_every_throttled_call() {
    for action in ["DeleteAccessKey", "DetachUserPolicy", "DeletePolicy", "DeleteUser"] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(40);
        world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        fault(&world, action, AwsHow::Page(503), 5);
        let response = world.create(json!({})).await.failed(&["no"]);
        assert!(!response.reason().contains("Left in the account"), "{action}: {}", response.reason());
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn the_check_of_a_new_key_is_retried_if_sts_throttles_or_denies_it() {
    for how in BUSY.into_iter().chain([AwsHow::AccessDenied, AwsHow::Error(403, "SignatureDoesNotMatch", "no")]) {
        let world = World::new().await;
        // The first call is made with the function's own credentials.
        fault(&world, "GetCallerIdentity", AwsHow::Slow(Duration::ZERO), 1);
        fault(&world, "GetCallerIdentity", how.clone(), OFTEN);
        let response = world.create(json!({})).await;
        assert!(response.is_success(), "{how:?}: {}", response.reason());
        world.connected().await;
    }
}

#[tokio::test]
async fn after_throttling_the_status_reason_says_how_long_the_run_tried_and_does_not_recommend_force() {
    for (action, how) in [
        ("GetSecretValue", AwsHow::Throttled),
        ("GetSecretValue", AwsHow::Page(503)),
        ("GetSecretValue", AwsHow::Error(500, "InternalServiceError", "busy")),
        ("DeleteUser", AwsHow::Page(429)),
    ] {
        let mut world = connected().await;
        world.timeout = Duration::from_secs(4);
        fault(&world, action, how.clone(), u32::MAX);
        let response = world.delete(json!({})).await.failed(&[action, "tried for ", "Wait a few minutes"]);
        assert!(!response.reason().contains("force"), "{how:?}: {}", response.reason());
        world.aws.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
    let mut world = connected().await;
    world.timeout = Duration::from_secs(4);
    let busy = How::Status(429, json!({"detail": "slow down"}));
    world.coiled.fault(Fault { on: Call::Disconnect, how: busy, times: u32::MAX });
    let response = world.delete(json!({})).await.failed(&["429"]);
    assert!(!response.reason().contains("force"), "{}", response.reason());
}

/// If the deletion is forced, retries of GetSecretValue must not use up the time that the deletion needs.
#[tokio::test]
async fn a_forced_delete_does_not_wait_for_a_throttled_secret_until_the_deadline() {
    let mut world = connected().await;
    world.timeout = Duration::from_secs(6);
    fault(&world, "GetSecretValue", AwsHow::Throttled, u32::MAX);
    world.delete(json!({"ForceDisconnect": "true"})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
}

#[tokio::test]
async fn a_throttled_region_is_not_reported_as_disabled() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(4);
    fault(&world, "GetCallerIdentity", AwsHow::Throttled, u32::MAX);
    let response = world.create(json!({})).await.failed(&["GetCallerIdentity", "Throttling", "tried for "]);
    assert!(!response.reason().contains("Enable the region"), "{}", response.reason());
}

/// Checks that the request fails before the deadline, and that the status reason says how long the run tried and
/// advises waiting.
async fn ends_before_the_deadline(world: &mut World, event: Value, case: &str) {
    world.timeout = Duration::from_secs(4);
    let began = Instant::now();
    let response = world.send(event).await.failed(&["tried for "]);
    assert!(began.elapsed() < world.timeout, "{case}: {:?}", began.elapsed());
    assert!(response.reason().contains("Wait a few minutes"), "{case}: {}", response.reason());
    world.aws.clear_faults();
    world.timeout = Duration::from_secs(20);
}

#[tokio::test]
async fn a_request_fails_before_the_deadline_if_aws_throttles_every_call() {
    for action in ["*", "iam:*", "sts:*", "secretsmanager:*"] {
        for request_type in ["Create", "Update", "Delete"] {
            // A Delete does not call STS. An Update calls it only to check the new key.
            if action == "sts:*" && request_type != "Create" {
                continue;
            }
            let mut world = World::new().await;
            if request_type != "Create" {
                world.create(json!({})).await.succeeded();
            }
            fault(&world, action, AwsHow::Throttled, u32::MAX);
            let event = match request_type {
                "Update" => world.update_event(json!({}), json!({"RotateKey": "2"})),
                other => world.event(other, world.properties(json!({}))),
            };
            ends_before_the_deadline(&mut world, event, &format!("{request_type} {action}")).await;
            world.delete(json!({})).await.succeeded();
            world.nothing_left().await;
        }
    }
}

#[tokio::test]
async fn an_undo_ends_before_the_deadline_and_one_throttled_call_leaves_time_for_the_others() {
    for action in ["DeletePolicy", "DeleteAccessKey", "GetUser", "UntagUser"] {
        for properties in [json!({}), adopt::adopt_existing()] {
            let mut world = World::new().await;
            if properties != json!({}) {
                adopt::set_up(&world, 1).await;
            }
            world.timeout = Duration::from_secs(4);
            world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
            let event = world.event("Create", world.properties(properties.clone()));
            let began = Instant::now();
            let throttled = async {
                world.coiled.until(|coiled| !coiled.registrations().is_empty()).await;
                fault(&world, action, AwsHow::Throttled, u32::MAX);
                pending::<Infallible>().await
            };
            // On a busy machine, the run can end before it registers. A `join!` would then wait forever.
            let sent = tokio::select! {
                sent = world.invoke(event) => sent,
                never = throttled => match never {},
            };
            sent.unwrap();
            assert!(!world.coiled.registrations().is_empty(), "{action}: the run ended before it registered");
            assert!(began.elapsed() < world.timeout, "{action}: {:?}", began.elapsed());
            if action == "DeletePolicy" && properties == json!({}) {
                assert_eq!(world.keys("coiled").await, Vec::<String>::new(), "the key was not deleted");
            }
            world.aws.clear_faults();
            world.timeout = Duration::from_secs(20);
            world.delete(properties).await.succeeded();
        }
    }
}

/// A hanging service uses up only the time of its own phase.
#[tokio::test]
async fn a_create_fails_before_the_deadline_if_a_service_never_responds() {
    for action in ["iam:*", "sts:*", "secretsmanager:*"] {
        let mut world = World::new().await;
        fault(&world, action, AwsHow::Hang, u32::MAX);
        world.timeout = Duration::from_secs(4);
        let began = Instant::now();
        world.create(json!({})).await.failed(&["no response", "tried for "]);
        assert!(began.elapsed() < world.timeout, "{action}: {:?}", began.elapsed());
    }
}

/// Without this limit, calls to a wrong endpoint would be retried until the deadline.
#[tokio::test]
async fn a_create_stops_retrying_an_unreachable_endpoint_after_the_grace_period() {
    let mut world = World::new().await;
    world.cannot_reach_aws();
    let began = Instant::now();
    world.create(json!({})).await.failed(&["could not be reached", "tried for "]);
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

/// For some seconds after a function is deployed, services may not know its credentials.
#[tokio::test]
async fn a_create_succeeds_if_a_service_does_not_know_the_functions_new_credentials_at_first() {
    for (action, status, code) in [
        ("iam:*", 403, "InvalidClientTokenId"),
        ("sts:*", 403, "InvalidClientTokenId"),
        ("secretsmanager:*", 400, "UnrecognizedClientException"),
        ("sts:*", 403, "AccessDenied"),
    ] {
        for times in [1, 5, 6] {
            let world = World::new().await;
            let how = AwsHow::Error(status, code, "The security token included in the request is invalid.");
            fault(&world, action, how, times);
            let response = world.create(json!({})).await;
            assert!(response.is_success(), "{action} {code} {times}: {}", response.reason());
            world.connected().await;
        }
    }
}

/// Slow checks must not use up the time that the permissions for new resources may need.
#[tokio::test]
async fn the_grace_period_for_new_permissions_restarts_when_the_user_is_created() {
    let config = Config { access_denied_grace: Duration::from_millis(600), ..config() };
    let world = World::with(config).await;
    world.coiled.fault(Fault { on: Call::Me, how: How::Slow(Duration::from_millis(900)), times: 1 });
    for (action, code) in [("AttachUserPolicy", "AccessDenied"), ("CreateAccessKey", "InvalidClientTokenId")] {
        fault(&world, action, AwsHow::Error(403, code, "not yet"), 3);
    }
    world.create(json!({})).await.succeeded();
    world.connected().await;
}

/// STS in the other region knows the credentials, so the first region is the cause.
#[tokio::test]
async fn a_disabled_region_is_distinguished_from_unknown_credentials_by_asking_another_region() {
    let config = Config { access_denied_grace: Duration::from_millis(100), ..config() };
    let world = World::with(config.clone()).await;
    world.aws.disable_region("af-south-1");
    let region = json!({"Region": "af-south-1"});
    world.create(region.clone()).await.failed(&["region af-south-1", "not enabled in this account"]);
    let asked: Vec<String> =
        world.aws.calls().into_iter().filter(|call| call.service == "sts").map(|call| call.region).collect();
    assert_eq!(asked.last().map(String::as_str), Some("us-east-1"));

    // Here neither region knows the credentials, so the region is not the cause.
    let world = World::with(config).await;
    for known in ["af-south-1", "us-east-1"] {
        world.aws.disable_region(known);
    }
    let response = world.create(region).await.failed(&["InvalidClientTokenId", "tried for "]);
    assert!(!response.reason().contains("not enabled"), "{}", response.reason());
}
