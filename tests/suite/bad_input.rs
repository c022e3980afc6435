//! What can't be: a clear answer, every property fault at once, nothing made.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How, StandIn};
use crate::support::World;

/// Sends a Create that has to fail, and checks that nothing was made and that its Delete succeeds.
async fn refused(world: &World, event: Value, words: &[&str]) {
    let properties = event["ResourceProperties"].clone();
    world.send(event).await.failed(words);
    world.nothing_left().await;
    world.send(world.event("Delete", properties)).await.succeeded();
}

async fn create_refused(world: &World, more: Value, words: &[&str]) {
    refused(world, world.event("Create", world.properties(more)), words).await;
}

#[tokio::test]
async fn every_property_fault_is_named_at_once_and_nobody_is_asked() {
    let world = World::new().await;
    let faults = json!({
        "Regoin": "us-east-1",
        "UserName": "a".repeat(57),
        "Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/99"}],
        "WorkerSubnetId": "subnet-0123abcd",
        "Region": "us-east-2a",
    });
    let words =
        ["Regoin", "57 characters", "Ingress[0].Cidr", "10.0.0.0/99", "WorkerSubnetId", "NetworkId", "us-east-2a"];
    create_refused(&world, faults, &words).await;
    assert_eq!(world.coiled.requests().len(), 0);
    let actions = world.aws.actions();
    assert!(!actions.iter().any(|action| action.starts_with("Create")), "{actions:?}");
}

#[tokio::test]
async fn properties_are_refused_with_a_reason() {
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
        create_refused(&world, more, &words).await;
    }
}

#[tokio::test]
async fn properties_that_are_no_object_are_answered() {
    let world = World::new().await;
    for properties in [json!(null), json!("text"), json!([]), json!(7)] {
        refused(&world, world.event("Create", properties), &["ResourceProperties"]).await;
    }
}

#[tokio::test]
async fn a_missing_field_of_the_envelope_is_named() {
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
async fn an_unknown_request_type_is_answered() {
    let world = World::new().await;
    refused(&world, world.event("Replace", world.properties(json!({}))), &["RequestType", "Replace"]).await;
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_found_out_before_anything_is_made() {
    let world = World::new().await;
    world.aws.disable_region("af-south-1");
    create_refused(&world, json!({"Region": "af-south-1"}), &["af-south-1", "not enabled", "InvalidClientTokenId"])
        .await;
}

#[tokio::test]
async fn a_workspace_named_by_its_title_is_told_its_slug() {
    let world = World::new().await;
    create_refused(&world, json!({"Workspace": "Ada's team"}), &["Ada's team", "slug is ada"]).await;
    create_refused(&world, json!({"Workspace": "nowhere"}), &["nowhere", "it has: ada"]).await;
}

#[tokio::test]
async fn a_workspace_that_the_token_may_not_change_is_no_workspace() {
    let world = World::new().await;
    world.coiled.set_admin("ada", false);
    create_refused(&world, json!({}), &["ada", "admin"]).await;
}

#[tokio::test]
async fn an_expired_token_is_told_in_coileds_words() {
    let world = World::new().await;
    world.coiled.set_token("a-new-token");
    create_refused(&world, json!({}), &["does not accept the API token", "401", "new token"]).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let world = World::new().await;
    let server = "http://127.0.0.1:9";
    create_refused(&world, json!({"CoiledServer": server}), &[server, "no answer", "CoiledServer"]).await;
}

#[tokio::test]
async fn a_client_that_is_too_old_says_so() {
    let world = World::new().await;
    let how = How::Status(426, json!({"message": "please upgrade to 9.9"}));
    world.coiled.fault(Fault { on: Call::Me, how, times: u32::MAX });
    create_refused(&world, json!({}), &["please upgrade to 9.9", "newest release"]).await;
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_says_why() {
    let world = World::new().await;
    let missing = world.secret_arn.replace("coiled-token", "no-such-token");
    create_refused(&world, json!({"CoiledTokenSecretArn": missing}), &["ResourceNotFoundException", "no-such-token"])
        .await;

    let empty = world.secrets.create_secret().name("empty").secret_string("{}").send().await.unwrap().arn.unwrap();
    create_refused(&world, json!({"CoiledTokenSecretArn": empty}), &["no token", "key `token`"]).await;

    // A secret deleted in the console answers this, and not ResourceNotFound.
    world.secrets.delete_secret().secret_id(&world.secret_arn).send().await.unwrap();
    create_refused(&world, json!({}), &["InvalidRequestException", "Restore the secret"]).await;
}

/// What does not depend on each other is found out together.
#[tokio::test]
async fn all_remote_checks_that_fail_are_named_together() {
    let world = World::new().await;
    world.iam.create_user().user_name("coiled").send().await.unwrap();
    world.aws.disable_region("af-south-1");
    let missing = world.secret_arn.replace("coiled-token", "no-such-token");
    let more = json!({"Region": "af-south-1", "CoiledTokenSecretArn": missing});
    let words = ["3 causes", "user/coiled", "af-south-1", "ResourceNotFoundException"];
    world.create(more).await.failed(&words);
    assert_eq!(world.keys("coiled").await, Vec::<String>::new());
}

/// A person may well paste the token where its secret's ARN belongs.
#[tokio::test]
async fn a_token_in_the_wrong_place_is_not_repeated() {
    let world = World::new().await;
    let token = world.coiled.token();
    create_refused(
        &world,
        json!({"CoiledTokenSecretArn": token}),
        &["CoiledTokenSecretArn", "not the ARN of a secret"],
    )
    .await;
    let server = format!("https://ada:{token}@cloud.coiled.io");
    create_refused(&world, json!({"CoiledServer": server}), &["CoiledServer", "without user and password"]).await;
}

/// Whoever may invoke the function can send it any event: none of them gets the token sent to a server of his choice.
#[tokio::test]
async fn the_token_goes_to_the_server_alone_that_the_function_was_deployed_for() {
    let (mut world, elsewhere) = (World::new().await, StandIn::start().await);
    world.deployed_for(world.coiled.url());
    let by_hand = json!({"CoiledServer": elsewhere.url()});
    create_refused(&world, by_hand.clone(), &["CoiledServer", "COILED_SERVER"]).await;
    world.create(json!({})).await.succeeded();
    world.create(by_hand.clone()).await.failed(&["CoiledServer", "COILED_SERVER"]);
    world.update(json!({}), by_hand.clone()).await.failed(&["CoiledServer", "can't change"]);
    world.connected().await;
    world.delete(by_hand).await.succeeded();
    world.nothing_left().await;
    assert!(elsewhere.requests().is_empty());
}

/// CloudFormation may call before the function's environment is what it was: the way back is open all the same.
#[tokio::test]
async fn a_connection_that_is_there_keeps_its_server() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.deployed_for("https://coiled.example.com".into());
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}
