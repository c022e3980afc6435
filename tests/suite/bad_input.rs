//! Invalid input is rejected before anything is created, and one response names every validation error.

use coiled_stand_in::{Call, Fault, How, StandIn};
use coiled_world::World;
use serde_json::{Value, json};

use crate::support::Deploy;

/// Sends a Create that must fail. Checks that it created nothing and that the Delete that follows succeeds.
async fn rejected(world: &World, event: Value, words: &[&str]) {
    let properties = event["ResourceProperties"].clone();
    world.send(event).await.failed(words);
    world.nothing_left().await;
    world.send(world.event("Delete", properties)).await.succeeded();
}

async fn create_rejected(world: &World, more: Value, words: &[&str]) {
    rejected(world, world.event("Create", world.properties(more)), words).await;
}

#[tokio::test]
async fn all_invalid_properties_are_named_in_one_response_before_any_request_to_coiled() {
    let world = World::new().await;
    let invalid = json!({
        "Regoin": "us-east-1",
        "UserName": "a".repeat(57),
        "Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/99"}],
        "WorkerSubnetId": "subnet-0123abcd",
        "Region": "us-east-2a",
    });
    let words =
        ["Regoin", "57 characters", "Ingress[0].Cidr", "10.0.0.0/99", "WorkerSubnetId", "NetworkId", "us-east-2a"];
    create_rejected(&world, invalid, &words).await;
    assert_eq!(world.coiled.requests().len(), 0);
    let actions = world.aws.actions();
    assert!(!actions.iter().any(|action| action.starts_with("Create")), "{actions:?}");
}

#[tokio::test]
async fn create_names_the_invalid_property_and_the_cause() {
    let world = World::new().await;
    for (more, words) in [
        (json!({"Region": "cn-north-1"}), ["Region", "aws-cn"]),
        (json!({"PolicyProfile": "hardened"}), ["PolicyProfile", "hardened"]),
        (json!({"PolicyProfile": "loose"}), ["PolicyProfile", "standard"]),
        (json!({"CoiledTokenSecretArn": null}), ["CoiledTokenSecretArn", "required"]),
        (json!({"CoiledServer": "http://coiled.example.com"}), ["CoiledServer", "https://"]),
        (json!({"Registry": "docker_hub"}), ["DockerHubUsername", "DockerHubTokenSecretArn"]),
        (json!({"Tags": [{"Key": "coiled-stack:stack-id", "Value": "x"}]}), ["Tags[0].Key", "reserved"]),
        (json!({"AttachSetupPolicy": "maybe"}), ["AttachSetupPolicy", "maybe"]),
    ] {
        create_rejected(&world, more, &words).await;
    }
}

#[tokio::test]
async fn create_fails_with_a_response_if_the_properties_are_not_an_object() {
    let world = World::new().await;
    for properties in [json!(null), json!("text"), json!([]), json!(7)] {
        rejected(&world, world.event("Create", properties), &["ResourceProperties"]).await;
    }
}

#[tokio::test]
async fn create_names_a_missing_request_field_in_its_response() {
    let world = World::new().await;
    for field in ["StackId", "RequestId", "LogicalResourceId"] {
        let mut event = world.event("Create", world.properties(json!({})));
        event[field] = Value::Null;
        world.invoke(event).await.unwrap();
        let value: Value = serde_json::from_slice(&world.bucket.puts().pop().unwrap().body).unwrap();
        assert_eq!(value["Status"], "FAILED");
        assert!(value["Reason"].as_str().unwrap().contains(field), "{value}");
        assert!(!value["PhysicalResourceId"].as_str().unwrap().is_empty());
    }
    world.nothing_left().await;
}

#[tokio::test]
async fn an_unknown_request_type_gets_a_failed_response() {
    let world = World::new().await;
    rejected(&world, world.event("Replace", world.properties(json!({}))), &["RequestType", "Replace"]).await;
}

#[tokio::test]
async fn create_fails_before_any_change_if_the_region_is_not_enabled() {
    let world = World::new().await;
    world.aws.disable_region("af-south-1");
    create_rejected(&world, json!({"Region": "af-south-1"}), &["af-south-1", "not enabled", "InvalidClientTokenId"])
        .await;
}

#[tokio::test]
async fn create_names_the_right_slug_if_the_workspace_is_given_by_its_display_name() {
    let world = World::new().await;
    create_rejected(&world, json!({"Workspace": "Ada's team"}), &["Ada's team", "slug is ada"]).await;
    create_rejected(&world, json!({"Workspace": "nowhere"}), &["nowhere", "only to: ada"]).await;
}

#[tokio::test]
async fn create_fails_if_the_tokens_owner_is_not_a_workspace_admin() {
    let world = World::new().await;
    world.coiled.set_admin("ada", false);
    create_rejected(&world, json!({}), &["ada", "admin"]).await;
}

#[tokio::test]
async fn create_asks_for_a_new_token_if_coiled_rejects_the_current_one() {
    let world = World::new().await;
    world.coiled.set_token("a-new-token");
    create_rejected(&world, json!({}), &["rejected the API token", "401", "new token"]).await;
}

#[tokio::test]
async fn create_names_the_coiled_server_if_it_is_unreachable() {
    let world = World::new().await;
    let server = "http://127.0.0.1:9";
    create_rejected(&world, json!({"CoiledServer": server}), &[server, "no response", "CoiledServer"]).await;
}

#[tokio::test]
async fn create_asks_for_the_newest_release_if_coiled_requires_an_upgrade() {
    let world = World::new().await;
    let how = How::Status(426, json!({"message": "please upgrade to 9.9"}));
    world.coiled.fault(Fault { on: Call::Me, how, times: u32::MAX });
    create_rejected(&world, json!({}), &["please upgrade to 9.9", "newest release"]).await;
}

#[tokio::test]
async fn create_names_the_cause_if_the_secret_cannot_be_read() {
    let world = World::new().await;
    let missing = world.secret_arn.replace("coiled-token", "no-such-token");
    create_rejected(&world, json!({"CoiledTokenSecretArn": missing}), &["ResourceNotFoundException", "no-such-token"])
        .await;

    let empty = world.secrets.create_secret().name("empty").secret_string("{}").send().await.unwrap().arn.unwrap();
    create_rejected(&world, json!({"CoiledTokenSecretArn": empty}), &["no token", "key `token`"]).await;

    // A secret that was deleted in the console has a recovery window. Until that ends, Secrets Manager returns
    // InvalidRequestException instead of ResourceNotFoundException.
    world.secrets.delete_secret().secret_id(&world.secret_arn).send().await.unwrap();
    create_rejected(&world, json!({}), &["InvalidRequestException", "Restore the secret"]).await;
}

/// Independent checks run in parallel, so one response can name all their errors.
#[tokio::test]
async fn all_failed_preflight_checks_are_named_in_one_response() {
    let world = World::new().await;
    world.iam.create_user().user_name("coiled").send().await.unwrap();
    world.aws.disable_region("af-south-1");
    let missing = world.secret_arn.replace("coiled-token", "no-such-token");
    let more = json!({"Region": "af-south-1", "CoiledTokenSecretArn": missing});
    let words = ["3 causes", "user/coiled", "af-south-1", "ResourceNotFoundException"];
    world.create(more).await.failed(&words);
    assert_eq!(world.keys("coiled").await, Vec::<String>::new());
}

/// Someone may paste the token where the ARN of its secret belongs.
#[tokio::test]
async fn a_token_pasted_into_another_property_is_not_echoed() {
    let world = World::new().await;
    let token = world.coiled.token();
    create_rejected(
        &world,
        json!({"CoiledTokenSecretArn": token}),
        &["CoiledTokenSecretArn", "not the ARN of a secret"],
    )
    .await;
    let server = format!("https://ada:{token}@cloud.coiled.io");
    create_rejected(&world, json!({"CoiledServer": server}), &["CoiledServer", "without a user name or password"])
        .await;
}

/// Anyone who may invoke the function can send it any event. An event must not be able to send the token to another
/// server.
#[tokio::test]
async fn the_token_is_sent_only_to_the_server_that_the_function_was_deployed_for() {
    let (mut world, elsewhere) = (World::new().await, StandIn::start().await);
    world.deployed_for(world.coiled.url());
    let other_server = json!({"CoiledServer": elsewhere.url()});
    create_rejected(&world, other_server.clone(), &["CoiledServer", "COILED_SERVER"]).await;
    world.create(json!({})).await.succeeded();
    world.create(other_server.clone()).await.failed(&["CoiledServer", "COILED_SERVER"]);
    world.update(json!({}), other_server.clone()).await.failed(&["CoiledServer", "cannot change"]);
    world.connected().await;
    world.delete(other_server).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none());
    assert!(elsewhere.requests().is_empty());
}

/// An Update is rejected only if it needs Coiled. It is rejected before it changes anything, so the rollback that
/// follows does not need Coiled.
#[tokio::test]
async fn an_update_is_rejected_if_it_needs_a_server_that_the_function_was_not_deployed_for() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.deployed_for("https://coiled.example.com".into());
    let before = world.snapshot().await;
    let asked = world.coiled.requests().len();
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["CoiledServer", "COILED_SERVER"]);
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
    assert_eq!(asked, world.coiled.requests().len());
}
