//! Delete removes all of the stack's resources and no others. It succeeds if some or all are already gone.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::{Value, json};

use crate::support::Deploy;

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world.aws.forget_calls();
    world
}

#[tokio::test]
async fn delete_removes_everything_and_succeeds_again_when_repeated() {
    let world = connected(json!({})).await;
    let response = world.delete(json!({})).await.succeeded();
    assert!(response.value.get("Data").is_none());
    world.nothing_left().await;
    world.delete(json!({})).await.succeeded();
}

/// For a missing user, IAM authorizes against the ARN without a path. The role's policy does not contain that ARN, so
/// the retried DeleteUser is denied.
#[tokio::test]
async fn delete_succeeds_if_the_response_to_delete_user_is_lost_and_the_user_has_a_path() {
    let mut world = World::where_role_lacks_something().await;
    world.role_lacks_something = false;
    let properties = json!({"UserPath": "/teams/"});
    world.create(properties.clone()).await.succeeded();
    world.role_lacks_something = true;
    world.aws.fault(AwsFault { action: "DeleteUser", how: AwsHow::TookEffectThenDropped, times: 1 });
    world.delete(properties).await.succeeded();
    world.nothing_left().await;
}

/// aws-lambda-go#237, crhelper#7: CloudFormation may send a Delete even if no Create has run.
#[tokio::test]
async fn delete_succeeds_without_a_request_to_coiled_if_no_create_has_run() {
    let world = World::new().await;
    for properties in [
        json!({}),
        json!({"UserName": "a".repeat(57)}),
        json!({"UserPath": "no path", "Region": "mars", "Nonsense": "x"}),
        json!({"CoiledTokenSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:gone"}),
        json!({"CoiledServer": "http://127.0.0.1:1"}),
    ] {
        world.delete(properties).await.succeeded();
    }
    assert_eq!(world.coiled.requests().len(), 0);
}

#[tokio::test]
async fn a_malformed_delete_succeeds_if_nothing_was_created() {
    let world = World::new().await;
    for properties in [json!(null), json!("text"), json!([1, 2]), json!({"UserName": {"a": 1}})] {
        world.send(world.event("Delete", properties)).await.succeeded();
    }
    for field in ["StackId", "LogicalResourceId", "RequestId", "ResourceProperties", "PhysicalResourceId"] {
        let mut event = world.event("Delete", world.properties(json!({})));
        event.as_object_mut().unwrap().remove(field);
        world.invoke(event).await.unwrap();
        let last = world.bucket.puts().pop().unwrap();
        let value: Value = serde_json::from_slice(&last.body).unwrap();
        assert_eq!(value["Status"], "SUCCESS", "{field}");
    }
}

/// An unusable token must not prevent the deletion of the user and its key.
#[tokio::test]
async fn delete_removes_the_aws_resources_and_logs_what_coiled_keeps_if_the_token_is_unusable() {
    for case in ["deleted", "scheduled for deletion", "empty", "expired", "expired, 403"] {
        let world = connected(json!({})).await;
        let secret = world.secret_arn.clone();
        match case {
            "deleted" => {
                world
                    .secrets
                    .delete_secret()
                    .secret_id(secret)
                    .force_delete_without_recovery(true)
                    .send()
                    .await
                    .map(|_| ())
                    .unwrap();
            }
            "scheduled for deletion" => {
                world.secrets.delete_secret().secret_id(secret).send().await.map(|_| ()).unwrap()
            }
            "empty" => {
                world.secrets.put_secret_value().secret_id(secret).secret_string("{}").send().await.map(|_| ()).unwrap()
            }
            "expired" => world.coiled.set_token("another-token-altogether"),
            _ => world.coiled.fault(Fault {
                on: Call::BackendOptions,
                how: How::Status(403, json!({"detail": "no"})),
                times: 9,
            }),
        }
        world.delete(json!({})).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty(), "{case}");
        assert!(world.coiled.connection("ada").is_some(), "{case}");
        assert!(world.logs.text().contains("the AWS credentials of workspace ada"), "{case}");
    }
}

/// The next Delete can probably read the secret, so this one does not abandon the registration.
#[tokio::test]
async fn delete_fails_and_keeps_the_key_on_a_transient_secrets_manager_error() {
    let mut world = connected(json!({})).await;
    let before = world.keys("coiled").await;
    world.timeout = std::time::Duration::from_secs(4);
    for (how, is_busy) in [(AwsHow::Reset, false), (AwsHow::Throttled, true)] {
        world.aws.fault(AwsFault { action: "GetSecretValue", how, times: u32::MAX });
        let response = world.delete(json!({})).await.failed(&["disconnect", "GetSecretValue"]);
        // Throttling ends by itself, so the status reason must not suggest abandoning the registration.
        assert_eq!(response.reason().contains("coiled-stack:force-disconnect"), !is_busy, "{}", response.reason());
        assert_eq!(world.keys("coiled").await, before);
        world.aws.clear_faults();
    }
    world.timeout = std::time::Duration::from_secs(20);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn delete_fails_while_coiled_is_down_unless_the_user_has_the_force_disconnect_tag() {
    for how in
        [How::Status(503, json!({"message": "maintenance until noon"})), How::Reset, How::Text(500, "oops".into())]
    {
        let world = connected(json!({})).await;
        world.coiled.fault(Fault { on: Call::BackendOptions, how: how.clone(), times: u32::MAX });
        let before = world.keys("coiled").await;
        let response =
            world.delete(json!({})).await.failed(&["disconnect", "coiled-stack:force-disconnect", "tag-user"]);
        if let How::Status(..) = how {
            assert!(response.reason().contains("maintenance until noon"), "{}", response.reason());
        }
        assert_eq!(world.keys("coiled").await, before, "{how:?}");
        world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
        world.delete(json!({})).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    }
}

#[tokio::test]
async fn delete_fails_if_coiled_asks_for_confirmation_unless_disconnect_is_forced() {
    let world = connected(json!({})).await;
    world.coiled.ask_for_confirmation("ada", "2 clusters are running");
    world.delete(json!({})).await.failed(&["2 clusters are running", "coiled-stack:force-disconnect"]);
    world.connected_but_for_lease().await;
    world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;

    let world = connected(json!({"ForceDisconnect": "true"})).await;
    world.coiled.ask_for_confirmation("ada", "2 clusters are running");
    world.delete(json!({"ForceDisconnect": "true"})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn a_failed_delete_expires_its_lease_so_the_next_one_does_not_wait() {
    let world = connected(json!({})).await;
    world.coiled.fault(Fault { on: Call::Disconnect, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.delete(json!({})).await.failed(&["no"]);
    world.delete(json!({})).await.succeeded();
    assert!(!world.logs.text().contains("another run is working on this user"));
    world.nothing_left().await;
}

/// IAM authorizes RemoveUserFromGroup on the group. A permission for every group in the account would be too wide.
#[tokio::test]
async fn delete_changes_nothing_while_the_user_is_in_a_group() {
    let world = connected(json!({})).await;
    world.iam.create_group().group_name("admins").send().await.unwrap();
    world.iam.add_user_to_group().user_name("coiled").group_name("admins").send().await.unwrap();
    let before = world.snapshot().await;
    world
        .delete(json!({}))
        .await
        .failed(&["admins", "aws iam remove-user-from-group --user-name coiled --group-name admins"]);
    assert_eq!(before, world.snapshot().await);
    world.iam.remove_user_from_group().user_name("coiled").group_name("admins").send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// DataDog/cloudformation-template#176: a resource that was already gone blocked the Delete.
#[tokio::test]
async fn delete_succeeds_if_some_resources_or_the_connection_are_already_gone() {
    let world = connected(json!({})).await;
    world.coiled.disconnect("ada");
    let arn = world.policy_arn("coiled-setup");
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;

    // Only the user is gone. The ownership tags of the policies still name this stack.
    let world = connected(json!({})).await;
    for name in ["coiled-setup", "coiled-ongoing"] {
        world.iam.detach_user_policy().user_name("coiled").policy_arn(world.policy_arn(name)).send().await.unwrap();
    }
    let key = world.keys("coiled").await.remove(0);
    world.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
    world.iam.delete_user().user_name("coiled").send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    assert!(world.policies().await.is_empty());
}

#[tokio::test]
async fn delete_keeps_a_connection_that_someone_else_made_later() {
    let world = connected(json!({})).await;
    let mut later = world.coiled.connection("ada").unwrap().data;
    later["options"]["aws_region_name"] = json!("eu-west-1");
    world.coiled.connect("ada", later.clone());
    world.delete(json!({})).await.succeeded();
    assert_eq!(world.coiled.connection("ada").unwrap().data, later);
    assert!(world.user_tags("coiled").await.is_none());
}

/// A Delete has the properties of the last Create or Update. It ignores those that matter only to a registration.
#[tokio::test]
async fn delete_needs_only_the_properties_that_name_secret_server_user_and_workspace() {
    let world = connected(json!({"Workspace": "ada", "Region": "us-east-2"})).await;
    world.delete(json!({"Workspace": "ada", "Region": "mars", "Ingress": "[", "Nonsense": "x"})).await.succeeded();
    world.nothing_left().await;
}
