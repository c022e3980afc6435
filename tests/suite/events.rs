//! The files in `events/`, which people send to `make rie` by hand. Each must do what its name says.

use std::collections::BTreeSet;
use std::path::PathBuf;

use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use serde_json::Value;

use crate::support::Deploy;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("events")
}

/// Reads an event and replaces the URLs and secrets of `make rie` with those of this world.
async fn event(world: &World, name: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).expect(name);
    let mut event: Value = serde_json::from_str(&text).expect(name);
    let request_id = event["RequestId"].as_str().unwrap_or_default().to_owned();
    if event.get("ResponseURL").is_some() {
        event["ResponseURL"] = world.bucket.url(&request_id).into();
    }
    let hub = world.hub_secret().await;
    for field in ["ResourceProperties", "OldResourceProperties"] {
        let Some(properties) = event[field].as_object_mut() else { continue };
        for (name, value) in properties {
            match name.as_str() {
                "CoiledServer" => *value = world.coiled.url().into(),
                "CoiledTokenSecretArn" => *value = world.secret_arn.clone().into(),
                "DockerHubTokenSecretArn" => *value = hub.clone().into(),
                // IAM rejects a boundary that does not exist.
                "PermissionsBoundaryArn" => *value = AWS_POLICY.into(),
                _ => {}
            }
        }
    }
    event
}

async fn send(world: &World, name: &str) -> coiled_world::FunctionResponse {
    world.send(event(world, name).await).await
}

#[tokio::test]
async fn the_events_from_create_to_delete_succeed_in_sequence() {
    let world = World::new().await;
    send(&world, "create").await.succeeded();
    world.connected().await;
    send(&world, "update-detach-setup").await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing"]);
    let key = world.keys("coiled").await;
    send(&world, "update-new-release").await.succeeded();
    assert_eq!(world.keys("coiled").await, key);
    send(&world, "update-rotate-key").await.succeeded();
    assert_ne!(world.keys("coiled").await, key);
    send(&world, "update-new-region").await.succeeded();
    assert_eq!(world.coiled.connection("ada").unwrap().region(), "eu-central-1");
    send(&world, "rollback-update").await.succeeded();
    assert_eq!(world.coiled.connection("ada").unwrap().region(), "us-east-2");
    world.connected().await;
    send(&world, "delete").await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn the_create_event_with_every_property_succeeds() {
    let world = World::new().await;
    let properties = event(&world, "create-every-property").await["ResourceProperties"].clone();
    if let Some(slug) = properties["Workspace"].as_str() {
        world.coiled.add_workspace(slug, "Data science", false);
    }
    let response = send(&world, "create-every-property").await.succeeded();
    assert_eq!(response.data("UserName"), properties["UserName"]);
}

#[tokio::test]
async fn the_delete_event_succeeds_without_a_request_to_coiled_if_no_create_has_run() {
    let world = World::new().await;
    send(&world, "delete-after-no-create").await.succeeded();
    assert!(world.coiled.requests().is_empty());
}

#[tokio::test]
async fn broken_events_are_rejected_and_create_nothing() {
    let world = World::new().await;
    for (name, word) in [
        ("broken-properties-not-an-object", "ResourceProperties"),
        ("broken-unknown-request-type", "RequestType"),
        ("broken-unknown-property", "Regoin"),
        ("broken-several-properties", "Region"),
    ] {
        send(&world, name).await.failed(&[word]);
    }
    for name in ["broken-no-stack-id", "broken-no-response-url"] {
        world.invoke(event(&world, name).await).await.unwrap();
    }
    let last = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(last.contains("FAILED") && last.contains("StackId"), "{last}");
    world.nothing_left().await;
}

/// An event that no test sends could stop working unnoticed.
#[test]
fn every_file_is_sent_by_a_test() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    let source = include_str!("events.rs");
    let unsent: Vec<&String> = files.iter().filter(|name| !source.contains(&format!("\"{name}\""))).collect();
    assert!(unsent.is_empty(), "no test sends {unsent:?}");
}
