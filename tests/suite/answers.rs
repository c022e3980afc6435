//! One answer on every path, always the same bytes, never too long.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::aws::{AwsFault, AwsHow};

#[tokio::test]
async fn the_physical_id_never_changes_and_is_there_on_failure_too() {
    let mut world = World::new().await;
    let id = |value: &Value| value["PhysicalResourceId"].as_str().unwrap().to_owned();
    let created = world.create(json!({})).await.succeeded();
    let updated = world.update(json!({}), json!({"RotateKey": "1"})).await.succeeded();
    let failed = world.update(json!({}), json!({"UserName": "b"})).await.failed(&["UserName"]);
    let deleted = world.delete(json!({})).await.succeeded();
    for answer in [&updated, &failed, &deleted] {
        assert_eq!(id(&answer.value), id(&created.value));
    }
    world.stack = "second".into();
    assert_ne!(id(&world.delete(json!({})).await.value), id(&created.value));
}

/// crhelper#39, #41: the PUT failed once and nobody tried again.
#[tokio::test]
async fn a_put_that_is_refused_is_repeated_with_the_same_bytes() {
    let world = World::new().await;
    world.bucket.refuse(3);
    world.create(json!({})).await.succeeded();
    assert_eq!(world.bucket.puts().len(), 4);
}

#[tokio::test]
async fn a_put_that_never_works_ends_with_a_loud_log() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(2);
    world.bucket.refuse(u32::MAX);
    let event = world.event("Create", json!(null));
    let error = world.invoke(event).await.unwrap_err();
    assert!(error.contains("could not be delivered") && error.contains("503"), "{error}");
    assert!(world.logs.text().contains("CloudFormation waits for its ServiceTimeout now"));
    world.nothing_leaked();
}

#[tokio::test]
async fn without_an_address_nobody_is_answered_and_the_log_says_so() {
    let world = World::new().await;
    for url in [json!(null), json!("not an address"), json!(7)] {
        let mut event = world.event("Create", world.properties(json!({})));
        event["ResponseURL"] = url;
        world.invoke(event).await.unwrap();
    }
    assert!(world.bucket.puts().is_empty());
    assert!(world.logs.text().contains("there is no ResponseURL"));
    world.nothing_left().await;
}

/// aws-cdk#23958: an answer above 4,096 bytes is none.
#[tokio::test]
async fn whatever_the_services_say_fits() {
    let world = World::new().await;
    let words = "\u{1}ö\"".repeat(9000);
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError(words), times: 1 });
    let answer = world.create(json!({})).await.failed(&["register", "Log:"]);
    assert!(answer.reason().contains("/aws/lambda/coiled"));
}

/// aws-cdk#2126, copilot-cli#4868: hours without an answer.
#[tokio::test]
async fn a_service_that_hangs_is_answered_for_before_the_deadline() {
    for action in ["GetUser", "CreateUser", "GetSecretValue", "CreateAccessKey"] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(4);
        world.aws.fault(AwsFault { action, how: AwsHow::Hang, times: 1 });
        let began = Instant::now();
        world.create(json!({})).await.failed(&["time"]);
        assert!(began.elapsed() < world.timeout, "{action}");
        world.aws.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_coiled_that_hangs_is_answered_for_before_the_deadline() {
    for on in [Call::Me, Call::BackendOptions, Call::WsUpgrade, Call::WsGreeting, Call::WsMessage, Call::WsFinish] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(4);
        world.coiled.fault(Fault { on, how: How::Hang, times: u32::MAX });
        let began = Instant::now();
        let answer = world.create(json!({})).await;
        assert!(!answer.is_success() && began.elapsed() < world.timeout, "{on:?}");
        world.coiled.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// Garbage in place of an answer is an error like any other.
#[tokio::test]
async fn garbage_is_an_error_with_a_name() {
    for action in ["GetUser", "GetSecretValue", "CreatePolicy", "CreateAccessKey"] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::Garbage, times: 9 });
        world.create(json!({})).await.failed(&[action]);
        world.aws.clear_faults();
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::Memberships, how: How::Garbage, times: 1 });
    world.create(json!({})).await.failed(&["memberships", "not JSON"]);
}

/// The stand-in repeats token and keys in its words, as a server might: none of it gets through.
#[tokio::test]
async fn what_coiled_repeats_of_our_secrets_is_masked() {
    let world = World::new().await;
    let words = format!("token {} is bad", world.coiled.token());
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError(words), times: 1 });
    world.create(json!({})).await.failed(&["token *** is bad"]);
    let words = json!({"message": format!("no user with {}", world.coiled.token())});
    world.coiled.fault(Fault { on: Call::Me, how: How::Status(401, words), times: 1 });
    world.create(json!({})).await.failed(&["no user with ***"]);
}

#[tokio::test]
async fn the_log_tells_the_plan_and_each_step_with_its_time() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let log = world.logs.text();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let plan = lines.iter().find(|line| line["message"] == "plan").unwrap();
    assert!(plan["plan"].as_str().unwrap().starts_with("create user > "));
    for step in ["create user", "create key", "prove key", "register", "read back", "record", "release lease"] {
        let line = lines.iter().find(|line| line["step"] == step).unwrap_or_else(|| panic!("no line for {step}"));
        assert!(line["millis"].is_number(), "{line}");
    }
}

#[tokio::test]
async fn a_delete_logs_its_plan_and_its_steps_too() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    let log = world.logs.text();
    for words in [
        "take lease > disconnect > empty the user > delete policy",
        "\"step\":\"disconnect\",\"millis\":",
        "access key AKIA",
    ] {
        assert!(log.contains(words), "{words}");
    }
}
