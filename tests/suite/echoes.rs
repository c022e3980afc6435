//! Servers may repeat secrets: those of this run, and access keys of earlier runs, which this run cannot know. Longer
//! sequences of the same characters are not masked, and AWS's encoded authorization messages are not cut.

use std::time::Duration;

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::canaries::CANARY;
use serde_json::{Value, json};

use crate::support::{Deploy, config};

/// A connected stack whose first key was replaced. Coiled and AWS may repeat the old key, which later runs do not know.
async fn with_an_earlier_key() -> (World, Value) {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let registration = world.coiled.registrations().remove(0)["data"].clone();
    world.update(json!({}), json!({"RotateKey": "1"})).await.succeeded();
    world.logs.clear();
    (world, registration)
}

fn secret_of(registration: &Value) -> String {
    let secret = registration["options"]["credentials"]["aws_secret_key"].as_str().unwrap().to_owned();
    assert!(
        secret.len() == 40 && secret.contains(CANARY) && secret.contains("/+"),
        "the secret access key does not look like one from AWS"
    );
    secret
}

/// The ways in which a text may contain a registration or its secret.
fn echoes(registration: &Value) -> Vec<String> {
    let secret = secret_of(registration);
    let json = registration.to_string();
    vec![
        json.clone(),
        json.replace('/', "\\/"),
        json.replace('/', "\\u002f").replace('+', "\\u002B"),
        Value::from(json.clone()).to_string(),
        Value::from(json.replace('/', "\\/")).to_string(),
        format!("{registration:#}"),
        json!({ secret.clone(): 1 }).to_string(),
        format!("the key {secret} is not valid"),
        format!("aws_secret_key={secret}&region=us-east-1"),
        format!("?key={}", secret.replace('/', "%2F").replace('+', "%2B")),
        format!("<p>{}</p>", secret.replace('/', "&#x2F;").replace('+', "&#43;")),
        format!("first line\\n{secret}\\nlast line"),
        format!("'{secret}',\"{secret}\";[{secret}]"),
    ]
}

/// Each response and message that can contain text from Coiled.
fn faults(echo: &str) -> Vec<Fault> {
    let at = |on, how| Fault { on, how, times: 1 };
    let value = || serde_json::from_str(echo).unwrap_or_else(|_| Value::from(echo));
    let mut faults = vec![
        at(Call::WsMessage, How::IsError(echo.to_owned())),
        at(Call::Me, How::Text(400, echo.to_owned())),
        at(Call::WsMessage, How::Messages(vec![json!({"type": "other", "raise": true, "said": value()})])),
        at(Call::WsUpgrade, How::Text(500, echo.to_owned())),
        at(Call::Me, How::Text(200, format!("<p>{echo}"))),
    ];
    for on in [Call::Me, Call::Memberships, Call::WsUpgrade, Call::BackendOptions] {
        faults.push(at(on, How::Text(400, echo.to_owned())));
        faults.push(at(on, How::Status(403, json!({"detail": echo, "was": value()}))));
        faults.push(at(on, How::Status(401, json!({"was": value()}))));
    }
    faults
}

#[tokio::test]
async fn a_key_of_an_earlier_run_is_masked_in_everything_that_coiled_says() {
    let (world, registration) = with_an_earlier_key().await;
    let echoes = echoes(&registration);
    // Two kinds of response are sent with every encoding, and every kind of response with one encoding.
    let ways = echoes.iter().flat_map(|echo| faults(echo).into_iter().take(2));
    for (run, fault) in ways.chain(faults(&echoes[1])).enumerate() {
        world.coiled.clear_faults();
        world.coiled.fault(fault.clone());
        // Only a new connection asks Coiled for the workspaces.
        let response = match fault.on {
            Call::Me | Call::Memberships => world.create(json!({"UserName": "other"})).await,
            _ => world.update(json!({"RotateKey": "1"}), json!({"RotateKey": format!("run {run}")})).await,
        };
        assert!(response.reason().contains("***"), "{fault:?}: {}", response.reason());
        assert!(world.logs.text().contains("***"), "{fault:?}");
        world.logs.clear();
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_run_is_masked_in_progress_and_in_a_close_reason() {
    let (world, registration) = with_an_earlier_key().await;
    let (secret, json) = (secret_of(&registration), registration.to_string());
    let progress = json!({"type": "update_options", "message": format!("replacing {json}")});
    world.coiled.fault(Fault { on: Call::WsProgress, how: How::Messages(vec![progress]), times: 1 });
    world.update(json!({"RotateKey": "1"}), json!({"RotateKey": "2"})).await.succeeded();
    assert!(world.logs.text().contains("replacing"), "the log does not contain the progress");
    for on in [Call::WsGreeting, Call::WsMessage, Call::WsFinish] {
        world.coiled.clear_faults();
        let how = How::CloseSaying(1011, format!("key {secret} and {}", world.coiled.token()));
        world.coiled.fault(Fault { on, how, times: 1 });
        world.update(json!({"RotateKey": "2"}), json!({"RotateKey": format!("{on:?}")})).await;
        assert!(world.logs.text().contains("code 1011 key *** and ***"), "{on:?}: {}", world.logs.text());
        world.logs.clear();
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_run_is_masked_when_coiled_refuses_to_disconnect() {
    let (world, registration) = with_an_earlier_key().await;
    for how in [
        How::Status(409, json!({"action_required": "confirm", "detail": registration.to_string()})),
        How::Status(400, registration.clone()),
        How::Text(200, format!("<p>{registration}")),
    ] {
        world.coiled.clear_faults();
        world.coiled.fault(Fault { on: Call::Disconnect, how, times: 1 });
        world.delete(json!({})).await.failed(&["***"]);
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_run_is_masked_in_workspaces_and_connections() {
    let (world, registration) = with_an_earlier_key().await;
    let secret = secret_of(&registration);
    world.coiled.add_workspace("team", &secret, false);
    world.coiled.add_workspace(&secret, "Team", false);
    world.create(json!({"Workspace": "nowhere", "UserName": "other"})).await.failed(&["nowhere", "***"]);
    let shown = json!({"backend": "vm", "options": {"provider_name": secret, "aws_region_name": secret}});
    world.coiled.connect("team", shown);
    world.create(json!({"Workspace": "team", "UserName": "other"})).await.failed(&["already connected", "***"]);
}

/// The secrets of this run are also masked in responses to later HTTP calls.
#[tokio::test]
async fn everything_that_was_registered_is_masked_in_later_responses() {
    let world = World::new().await;
    let token = format!("dckr_{CANARY}_0123456789");
    let created = world.secrets.create_secret().name("docker-hub-token").secret_string(&token).send().await.unwrap();
    let hub =
        json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": created.arn.unwrap()});
    let slow = Fault { on: Call::BackendOptions, how: How::Slow(Duration::ZERO), times: 1 };
    for how in [
        How::Status(400, json!({"detail": format!("password {token}")})),
        How::Text(400, format!("password {}", token.replace('_', "%5F"))),
    ] {
        world.coiled.clear_faults();
        // The first request is sent before the registration.
        world.coiled.fault(slow.clone());
        world.coiled.fault(Fault { on: Call::BackendOptions, how, times: 1 });
        world.create(hub.clone()).await.failed(&["password ***"]);
        world.coiled.clear_faults();
        world.delete(hub.clone()).await.succeeded();
    }
}

/// Coiled tells people why it rejects them, and some of these messages contain the token.
#[tokio::test]
async fn the_token_is_masked_in_the_response_to_a_refused_websocket_upgrade() {
    let world = World::new().await;
    for status in [401, 403, 404, 500] {
        world.coiled.clear_faults();
        let how = How::Status(status, json!({"detail": format!("no access with {}", world.coiled.token())}));
        world.coiled.fault(Fault { on: Call::WsUpgrade, how, times: 1 });
        world.create(json!({})).await.failed(&["no access with ***"]);
    }
}

#[tokio::test]
async fn an_access_key_is_masked_in_messages_from_aws() {
    let (world, registration) = with_an_earlier_key().await;
    let secret = secret_of(&registration);
    for action in ["GetUser", "GetCallerIdentity", "CreateAccessKey", "GetSecretValue"] {
        let message: &'static str = format!("key {secret} is not valid").leak();
        world.aws.clear_faults();
        world.aws.fault(AwsFault { action, how: AwsHow::Error(400, "Odd", message), times: u32::MAX });
        world.update(json!({"RotateKey": "1"}), json!({"RotateKey": action})).await.failed(&["key *** is not valid"]);
    }
}

/// A message of the given length that uses the same characters as AWS's messages. Two of its dashes are 40 characters
/// apart, like the ends of a key.
fn encoded(length: usize) -> String {
    let key = "4GIOHlTkIaWHQD0Q0m6XSnuUMCm1abcdefghijkl";
    assert_eq!(key.len(), 40);
    let cycle: String = format!("{key}-{key}_{}-A_b", "xYz0123456789".repeat(5));
    let text: String = cycle.chars().cycle().take(length - 1).collect();
    format!("{text}.")
}

/// `aws sts decode-authorization-message` can decode only a complete message.
#[tokio::test]
async fn an_encoded_authorization_message_is_logged_in_full() {
    let world = World::with(coiled_aws_stack::config::Config { access_denied_grace: Duration::ZERO, ..config() }).await;
    for length in [1000, 9000] {
        let message: &'static str =
            format!("You are not authorized. Encoded authorization failure message: {}", encoded(length)).leak();
        for action in ["GetUser", "CreateAccessKey", "GetSecretValue", "GetCallerIdentity"] {
            world.aws.clear_faults();
            world.aws.fault(AwsFault { action, how: AwsHow::Error(400, "Odd", message), times: u32::MAX });
            world.create(json!({})).await.failed(&["Encoded authorization failure message: 4GIOHl", "Log:"]);
            assert!(world.logs.text().contains(message), "{action}: {length}");
            world.logs.clear();
        }
        world.aws.clear_faults();
        for (on, how) in [
            (Call::WsMessage, How::IsError(message.to_owned())),
            // The client can read only the part of the body that arrives together with the headers.
            (Call::WsUpgrade, How::Status(403, json!({"detail": message.get(..2000).unwrap_or(message)}))),
            (Call::Me, How::Status(400, json!({"message": message}))),
            (Call::Me, How::Text(400, message.to_owned())),
        ] {
            world.coiled.clear_faults();
            world.coiled.fault(Fault { on, how, times: 1 });
            world.create(json!({})).await.failed(&["Encoded authorization failure message: 4GIOHl", "Log:"]);
            let whole = if on == Call::WsUpgrade { message.get(..2000).unwrap_or(message) } else { message };
            assert!(world.logs.text().contains(whole), "{on:?}: {length}");
            world.logs.clear();
        }
    }
}

/// The status reason may name several causes. A long one must not crowd out the others.
#[tokio::test]
async fn a_long_cause_leaves_room_for_the_others_and_for_the_advice() {
    let world = World::new().await;
    world.iam.create_user().user_name("coiled").send().await.unwrap();
    let message: &'static str = format!("denied {}", encoded(9000)).leak();
    world.aws.fault(AwsFault { action: "GetSecretValue", how: AwsHow::Error(400, "Odd", message), times: u32::MAX });
    world.aws.disable_region("af-south-1");
    let words = ["3 causes", "GetSecretValue: Odd", "user/coiled", "af-south-1", "Enable", "Log:"];
    world.create(json!({"Region": "af-south-1"})).await.failed(&words);
}

/// The WebSocket library reads only the part of a rejection that arrives together with the headers.
#[tokio::test]
async fn a_truncated_key_in_a_refused_websocket_upgrade_is_not_printed() {
    let (world, registration) = with_an_earlier_key().await;
    let secret = secret_of(&registration);
    for cut in (0..40).step_by(7) {
        world.coiled.clear_faults();
        let text = format!("{}{}", ".".repeat(cut), secret.clone() + " ").repeat(300);
        world.coiled.fault(Fault { on: Call::WsUpgrade, how: How::Text(400, text), times: 1 });
        let rotated = json!({"RotateKey": format!("cut {cut}")});
        world.update(json!({"RotateKey": "1"}), rotated).await.failed(&["***"]);
    }
}

#[tokio::test]
async fn a_sequence_of_41_characters_is_not_masked_as_a_key() {
    let world = World::new().await;
    let run = format!("{}/+x", "abc0123456789".repeat(3)).replacen("abc", "ab", 1);
    assert_eq!(run.len(), 41);
    world.coiled.fault(Fault { on: Call::Me, how: How::Status(400, json!({"message": run})), times: 1 });
    world.create(json!({})).await.failed(&[&run]);
}
