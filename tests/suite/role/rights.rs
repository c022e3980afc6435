//! Permissions that depend on the stack's parameters: KMS keys of secrets, user paths and boundaries.

use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::json;

use crate::support::Deploy;

const KEYS: [&str; 2] = [
    "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-0000-4000-8000-000000000001",
    "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-0000-4000-8000-000000000002",
];

/// Creates a secret that is encrypted with a customer managed KMS key and returns its ARN.
async fn secret(world: &World, name: &str, text: &str, key: &str) -> String {
    let secret = world.secrets.create_secret().name(name).secret_string(text).kms_key_id(key);
    secret.send().await.unwrap().arn.unwrap()
}

#[tokio::test]
async fn create_and_delete_succeed_with_secrets_that_have_customer_managed_kms_keys() {
    let world = World::new().await;
    let token = secret(&world, "team/coiled", &world.coiled.token(), KEYS[0]).await;
    let hub = secret(&world, "team/hub", "dckr_pat_0123456789", KEYS[1]).await;
    let properties = json!({"CoiledTokenSecretArn": token, "Registry": "docker_hub", "DockerHubUsername": "ada",
        "DockerHubTokenSecretArn": hub});
    world.create(properties.clone()).await.succeeded();
    world.connected().await;
    world.delete(properties).await.succeeded();
    world.nothing_left().await;
}

/// The most common mistake with an existing secret: without CoiledTokenKmsKeyArn, the role cannot decrypt it.
#[tokio::test]
async fn create_fails_and_names_the_kms_parameter_if_the_secrets_key_is_not_given() {
    let mut world = World::where_role_lacks_something().await;
    world.keys_are_named = false;
    let token = secret(&world, "team/coiled", &world.coiled.token(), KEYS[0]).await;
    world.create(json!({"CoiledTokenSecretArn": token})).await.failed(&[&token, "CoiledTokenKmsKeyArn"]);
    world.nothing_left().await;
}

/// IAM finds a user by name and then authorizes against its ARN with its path. The role therefore cannot even read a
/// user under another path. That user does not belong to the stack, so the Delete after the failed Create must succeed.
#[tokio::test]
async fn create_fails_and_delete_keeps_a_user_with_the_same_name_under_another_path() {
    let world = World::where_role_lacks_something().await;
    world.iam.create_user().user_name("coiled").path("/people/").send().await.unwrap();
    let before = world.snapshot().await;
    for properties in [json!({}), json!({"UserPath": "/vendors/"})] {
        world.create(properties.clone()).await.failed(&["AccessDenied", "another path", "UserName"]);
        world.delete(properties).await.succeeded();
        assert_eq!(before, world.snapshot().await);
    }
}

/// If the stack's policies exist, its user exists too. A Delete that cannot read the user has not deleted it.
#[tokio::test]
async fn delete_fails_if_the_user_cannot_be_read_while_the_stacks_policies_exist() {
    let mut world = World::where_role_lacks_something().await;
    world.role_lacks_something = false;
    world.create(json!({})).await.succeeded();
    let before = world.snapshot().await;
    world.aws.fault(AwsFault { action: "GetUser", how: AwsHow::AccessDenied, times: u32::MAX });
    world.delete(json!({})).await.failed(&["GetUser", "AccessDenied"]);
    world.aws.clear_faults();
    assert_eq!(before, world.snapshot().await);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// CloudFormation updates the role before it invokes the function. The function can therefore no longer read the user
/// under the old path.
#[tokio::test]
async fn an_update_of_the_user_path_fails_and_its_rollback_succeeds() {
    for (old, new) in [("/", "/vendors/"), ("/vendors/", "/"), ("/vendors/", "/others/")] {
        let mut world = World::where_role_lacks_something().await;
        world.role_lacks_something = false;
        world.create(json!({"UserPath": old})).await.succeeded();
        let before = (world.user_tags("coiled").await, world.keys("coiled").await);
        world.role_lacks_something = old != "/";
        let (old, new) = (json!({"UserPath": old}), json!({"UserPath": new}));
        world.update(old.clone(), new.clone()).await.failed(&["UserPath", "Nothing was changed"]);
        world.update(new, old).await.succeeded();
        assert_eq!(before, (world.user_tags("coiled").await, world.keys("coiled").await));
    }
}

/// The role can attach policies only to a user that has the boundary.
#[tokio::test]
async fn an_update_sets_the_boundary_before_it_attaches_policies() {
    let world = World::new().await;
    let without = json!({"AttachSetupPolicy": "false"});
    world.create(without.clone()).await.succeeded();
    world.update(without, json!({"PermissionsBoundaryArn": AWS_POLICY})).await.succeeded();
    assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY));
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
}
