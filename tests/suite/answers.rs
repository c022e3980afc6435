//! Every request gets one response of at most 4,096 bytes. A retried PUT sends the same bytes.

use std::time::{Duration, Instant};

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::support::Deploy;

#[tokio::test]
async fn all_responses_of_a_stack_have_the_same_physical_id_even_after_a_failure() {
    let mut world = World::new().await;
    let id = |value: &Value| value["PhysicalResourceId"].as_str().unwrap().to_owned();
    let created = world.create(json!({})).await.succeeded();
    let updated = world.update(json!({}), json!({"RotateKey": "1"})).await.succeeded();
    let failed = world.update(json!({}), json!({"UserName": "b"})).await.failed(&["UserName"]);
    let deleted = world.delete(json!({})).await.succeeded();
    for response in [&updated, &failed, &deleted] {
        assert_eq!(id(&response.value), id(&created.value));
    }
    world.stack = "second".into();
    assert_ne!(id(&world.delete(json!({})).await.value), id(&created.value));
}

/// crhelper#39, #41: a failed PUT was not retried.
#[tokio::test]
async fn a_put_is_retried_with_the_same_bytes_after_a_503() {
    let world = World::new().await;
    world.bucket.reject(3);
    world.create(json!({})).await.succeeded();
    assert_eq!(world.bucket.puts().len(), 4);
}

#[tokio::test]
async fn the_invocation_fails_and_the_log_names_the_service_timeout_if_every_put_fails() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(2);
    world.bucket.reject(u32::MAX);
    let event = world.event("Create", json!(null));
    let error = world.invoke(event).await.unwrap_err();
    assert!(error.contains("could not be delivered") && error.contains("503"), "{error}");
    assert!(world.logs.text().contains("CloudFormation now waits until ServiceTimeout"));
    world.nothing_leaked();
}

#[tokio::test]
async fn without_a_valid_response_url_nothing_is_sent_or_created_and_the_log_says_so() {
    let world = World::new().await;
    for url in [json!(null), json!("not an address"), json!(7)] {
        let mut event = world.event("Create", world.properties(json!({})));
        event["ResponseURL"] = url;
        world.invoke(event).await.unwrap();
    }
    assert!(world.bucket.puts().is_empty());
    assert!(world.logs.text().contains("the request has no valid ResponseURL"));
    world.nothing_left().await;
}

/// aws-cdk#23958: CloudFormation rejects a response above 4,096 bytes.
#[tokio::test]
async fn the_response_fits_even_if_coileds_message_is_too_long() {
    let world = World::new().await;
    let words = "\u{1}ö\"".repeat(9000);
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError(words), times: 1 });
    let response = world.create(json!({})).await.failed(&["register", "Log:"]);
    assert!(response.reason().contains("/aws/lambda/coiled"));
}

/// aws-cdk#2126, copilot-cli#4868: stacks waited for hours because no response was sent.
#[tokio::test]
async fn a_hanging_aws_call_fails_the_create_before_the_deadline() {
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
async fn a_hanging_call_to_coiled_fails_the_create_before_the_deadline() {
    for on in [Call::Me, Call::BackendOptions, Call::WsUpgrade, Call::WsGreeting, Call::WsMessage, Call::WsFinish] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(4);
        world.coiled.fault(Fault { on, how: How::Hang, times: u32::MAX });
        let began = Instant::now();
        let response = world.create(json!({})).await;
        assert!(!response.is_success() && began.elapsed() < world.timeout, "{on:?}");
        world.coiled.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_malformed_response_fails_the_create_and_the_reason_names_the_call() {
    for action in ["GetUser", "GetSecretValue", "CreatePolicy", "CreateAccessKey"] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(4);
        world.aws.fault(AwsFault { action, how: AwsHow::Garbage, times: u32::MAX });
        world.create(json!({})).await.failed(&[action]);
        world.aws.clear_faults();
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::Memberships, how: How::Garbage, times: 1 });
    world.create(json!({})).await.failed(&["memberships", "not JSON"]);
}

/// A server may echo the token in its error message.
#[tokio::test]
async fn a_token_in_coileds_error_message_is_masked() {
    let world = World::new().await;
    let words = format!("token {} is bad", world.coiled.token());
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError(words), times: 1 });
    world.create(json!({})).await.failed(&["token *** is bad"]);
    let words = json!({"message": format!("no user with {}", world.coiled.token())});
    world.coiled.fault(Fault { on: Call::Me, how: How::Status(401, words), times: 1 });
    world.create(json!({})).await.failed(&["no user with ***"]);
}

#[tokio::test]
async fn create_logs_its_plan_and_the_duration_of_each_step() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let log = world.logs.text();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let plan = lines.iter().find(|line| line["message"] == "plan").unwrap();
    assert!(plan["plan"].as_str().unwrap().starts_with("create user > "));
    for step in [
        "create user",
        "create access key",
        "wait for the key to work",
        "register the key",
        "read the registration back",
        "record the registration",
        "release the lease",
    ] {
        let line = lines
            .iter()
            .find(|line| line["step"] == step)
            .unwrap_or_else(|| panic!("the log has no line for step {step:?}"));
        assert!(line["millis"].is_number(), "{line}");
    }
}

/// A plan read from the log.
#[derive(Default)]
struct Planned {
    steps: Vec<String>,
    /// Pairs of steps. The first one ends before the second one begins.
    order: Vec<(String, String)>,
}

impl Planned {
    /// Reads `a > (b | c > d) > e`.
    fn read(plan: &str) -> Self {
        let (parts, are_parallel) = match split(plan, " > ") {
            parts if parts.len() > 1 => (parts, false),
            _ => match plan.strip_prefix('(').and_then(|plan| plan.strip_suffix(')')) {
                Some(lanes) => (split(lanes, " | "), true),
                None => return Self { steps: vec![plan.to_owned()], order: Vec::new() },
            },
        };
        parts.into_iter().map(Self::read).fold(Self::default(), |earlier, part| earlier.and(part, are_parallel))
    }

    fn and(mut self, part: Self, is_parallel: bool) -> Self {
        let pairs = self.steps.iter().flat_map(|first| part.steps.iter().map(|step| (first.clone(), step.clone())));
        let pairs: Vec<(String, String)> = pairs.filter(|_| !is_parallel).collect();
        self.order.extend(pairs.into_iter().chain(part.order));
        self.steps.extend(part.steps);
        self
    }
}

/// Splits at this separator, but not inside parentheses.
fn split<'p>(plan: &'p str, separator: &str) -> Vec<&'p str> {
    let is_outside = |at: &usize| plan[..*at].matches('(').count() == plan[..*at].matches(')').count();
    let mut from = 0;
    let mut parts = Vec::new();
    for at in plan.match_indices(separator).map(|(at, _)| at).filter(is_outside) {
        parts.push(&plan[from..at]);
        from = at + separator.len();
    }
    parts.push(&plan[from..]);
    parts
}

/// The last plan in the log, and the steps that were performed after it. Each is logged when it ends.
fn planned_and_performed(log: &str) -> (Planned, Vec<String>) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let at = lines.iter().rposition(|line| line["message"] == "plan").expect("the log has a plan");
    let step = |line: &Value| line["step"].as_str().map(str::to_owned);
    let performed = lines[at..].iter().filter_map(step).filter(|step| step != "check for blockers");
    (Planned::read(lines[at]["plan"].as_str().unwrap()), performed.collect())
}

#[tokio::test]
async fn the_steps_in_the_plan_are_the_steps_that_are_performed() {
    let world = World::new().await;
    let check = |step: &str| {
        let (Planned { mut steps, order }, performed) = planned_and_performed(&world.logs.text());
        assert!(steps.iter().any(|planned| planned.starts_with(step)), "{step} is not in {steps:?}");
        let ended = |step: &str| performed.iter().position(|performed| performed == step);
        for (first, second) in order {
            assert!(ended(&first) < ended(&second), "{second} ended before {first}: {performed:?}");
        }
        let mut performed = performed.clone();
        steps.sort();
        performed.sort();
        assert_eq!(steps, performed);
    };
    world.create(json!({})).await.succeeded();
    check("create user");
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    check("delete access keys");
    // Coiled holds neither key, so the recorded one makes room.
    world.create_key_by_hand("coiled").await;
    world.coiled.disconnect("ada");
    world.update(json!({"RotateKey": "2"}), json!({"RotateKey": "3"})).await.succeeded();
    check("make room for a new key");
    world.update(json!({"RotateKey": "3"}), json!({"RotateKey": "3", "AttachSetupPolicy": "false"})).await.succeeded();
    check("detach setup policy");
    world.delete(json!({"RotateKey": "3", "AttachSetupPolicy": "false"})).await.succeeded();
    check("delete the user's contents");
}

#[tokio::test]
async fn delete_logs_its_plan_and_the_duration_of_each_step() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.delete(json!({})).await.succeeded();
    let log = world.logs.text();
    for words in [
        "acquire the lease > disconnect the workspace > delete the user's contents > delete policy",
        "\"step\":\"disconnect the workspace\",\"millis\":",
        "access key AKIA",
    ] {
        assert!(log.contains(words), "{words:?} is not in the log");
    }
}
