//! The function prints no secret at any log level. Other tests plant secrets on purpose, to check that the search for
//! them works.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::canaries::{CANARY, found};
use coiled_world::{World, bucket};
use serde_json::json;

use crate::support::Deploy;

/// The properties for Docker Hub, whose token has its own secret in Secrets Manager.
async fn with_docker_hub(world: &World) -> serde_json::Value {
    let token = format!("dckr_{CANARY}_0123456789");
    let created = world.secrets.create_secret().name("docker-hub-token").secret_string(token).send().await.unwrap();
    json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": created.arn.unwrap()})
}

/// Runs at every log level that Lambda offers, and at one that does not exist.
#[tokio::test]
async fn create_update_and_delete_print_no_secret_at_any_log_level() {
    for level in ["trace", "debug", "info", "warn", "error", "fatal", "TRACE", "nonsense"] {
        let world = World::new().await;
        let lines = coiled_aws_stack::log::lines(level, world.logs.clone());
        let _guard = tracing::subscriber::set_default(lines);
        let hub = with_docker_hub(&world).await;
        world.create(hub.clone()).await.succeeded();
        let mut rotated = hub.clone();
        rotated["RotateKey"] = json!("2");
        world.update(hub, rotated.clone()).await.succeeded();
        world.delete(rotated).await.succeeded();
        let kinds = world.known_secrets().iter().filter(|secret| secret.contains(CANARY)).count();
        assert!(kinds >= 5, "expected the token, two keys, Docker Hub's token and the signature, found {kinds}");
        world.nothing_leaked();
    }
}

#[tokio::test]
async fn a_secret_that_a_server_echoes_is_masked_in_every_encoding() {
    let world = World::new().await;
    let hub = with_docker_hub(&world).await;
    let token = world.coiled.token();
    let escaped: String = token.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    for how in [
        How::Status(400, json!({"detail": format!("token {token} in {{\"{token}\": 1}}")})),
        How::Status(400, json!({ token.clone(): [token.clone()] })),
        How::Text(400, format!("<p>{token}</p>")),
        How::Text(400, format!("{{\"detail\": \"{escaped}\"}}")),
        How::Text(400, format!("?token={}", token.replace('-', "%2D"))),
    ] {
        world.coiled.clear_faults();
        world.coiled.fault(Fault { on: Call::Me, how, times: 1 });
        world.create(hub.clone()).await.failed(&["***"]);
    }
    world.coiled.clear_faults();
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError(format!("{token} {token}")), times: 1 });
    world.create(hub).await.failed(&["*** ***"]);
}

/// The invocation then returns an error, and Lambda prints it.
#[tokio::test]
async fn no_secret_is_printed_if_the_response_cannot_be_delivered() {
    let mut world = World::new().await;
    world.timeout = std::time::Duration::from_secs(3);
    world.bucket.fault(bucket::PutHow::Reset, u32::MAX);
    world.invoke(world.event("Create", world.properties(json!({})))).await.unwrap_err();
    world.nothing_leaked();
}

#[tokio::test]
async fn no_secret_is_printed_if_aws_responses_are_malformed_lost_or_errors() {
    for how in [AwsHow::Garbage, AwsHow::TookEffectThenDropped, AwsHow::Error(400, "Odd", "odd")] {
        for action in ["GetSecretValue", "CreateAccessKey", "GetCallerIdentity"] {
            let mut world = World::new().await;
            world.timeout = std::time::Duration::from_secs(4);
            world.aws.fault(AwsFault { action, how: how.clone(), times: u32::MAX });
            world.create(json!({})).await.failed(&[]);
        }
    }
}

#[tokio::test]
async fn the_search_finds_every_secret_in_every_encoding() {
    let world = World::new().await;
    let hub = with_docker_hub(&world).await;
    world.create(hub).await.succeeded();
    assert_eq!(world.leak(), None);
    let secrets = world.known_secrets();
    assert!(secrets.len() >= 4, "expected the token, Docker Hub's token, the secret key and the signature");
    for secret in &secrets {
        let json = json!({ "planted": secret }).to_string();
        let forms = [
            secret.clone(),
            json,
            secret.replace('/', "\\/"),
            secret.bytes().map(|byte| format!("%{byte:02X}")).collect(),
            BASE64_STANDARD.encode(secret),
            BASE64_STANDARD.encode(format!("u:{secret}")),
            secret.get(CANARY.len()..CANARY.len() + 18).unwrap_or(secret).to_owned(),
        ];
        for form in forms {
            assert!(found(&format!("before {form} after"), &secrets).is_some(), "{form}");
        }
    }
    assert_eq!(found("nothing here, and no c4n-4ry", &secrets), None);
}

/// Each place gets its own world, so a secret found in one place cannot hide that another place was missed.
#[tokio::test]
async fn the_search_finds_a_secret_in_the_log_an_error_a_panic_or_a_response() {
    for place in ["the log", "an error", "a panic message", "a response"] {
        let world = World::new().await;
        let token = world.coiled.token();
        match place {
            "the log" => tracing::trace!(target: "coiled_aws_stack", token, "planted"),
            "an error" => world.plant_error(&token),
            "a response" => {
                let mut event = world.event("Delete", json!({}));
                event["LogicalResourceId"] = json!(token);
                world.hand_over_unseen(event).await;
            }
            _ => drop(std::panic::catch_unwind(|| panic!("{token}"))),
        }
        assert!(world.leak().is_some_and(|leak| leak.contains(place)), "{place}: {:?}", world.leak());
        world.forget_what_was_said();
        assert_eq!(world.leak(), None);
    }
}
