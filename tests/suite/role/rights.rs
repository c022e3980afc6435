//! Rights that depend on what the stack is given: keys of secrets, and what lies under another path.

use serde_json::json;

use crate::support::World;
use crate::support::account::AWS_POLICY;
use crate::support::aws::{AwsFault, AwsHow};

const KEYS: [&str; 2] = [
    "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-0000-4000-8000-000000000001",
    "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-0000-4000-8000-000000000002",
];

/// A secret of the user's own, encrypted with a KMS key.
async fn secret(world: &World, name: &str, text: &str, key: &str) -> String {
    let made = world.secrets.create_secret().name(name).secret_string(text).kms_key_id(key);
    made.send().await.unwrap().arn.unwrap()
}

#[tokio::test]
async fn secrets_with_keys_of_their_own_are_read_with_those() {
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

/// The commonest mistake with a secret of one's own: its key is not named, so the role may not use it.
#[tokio::test]
async fn a_key_that_the_stack_was_not_told_of_is_asked_for() {
    let mut world = World::where_role_lacks_something().await;
    world.keys_are_named = false;
    let token = secret(&world, "team/coiled", &world.coiled.token(), KEYS[0]).await;
    world.create(json!({"CoiledTokenSecretArn": token})).await.failed(&[&token, "CoiledTokenKmsKeyArn"]);
    world.nothing_left().await;
}

/// IAM finds a user by its name alone, and then asks for the right to where it is: so what is under another path can't
/// even be looked at. It is somebody else's; the clean-up Delete must not fail over it.
#[tokio::test]
async fn a_user_of_this_name_under_another_path_stays() {
    let world = World::where_role_lacks_something().await;
    world.iam.create_user().user_name("coiled").path("/people/").send().await.unwrap();
    let before = world.snapshot().await;
    for properties in [json!({}), json!({"UserPath": "/vendors/"})] {
        world.create(properties.clone()).await.failed(&["AccessDenied", "another path", "UserName"]);
        world.delete(properties).await.succeeded();
        assert_eq!(before, world.snapshot().await);
    }
}

/// But where our policies are, our user is too, and a Delete that can't see it has not removed it.
#[tokio::test]
async fn a_user_that_can_not_be_looked_at_fails_the_delete_where_its_policies_are_ours() {
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

/// The role is changed before the function is asked: so it can't see the user that it would have to compare with.
#[tokio::test]
async fn a_changed_path_is_refused_and_its_rollback_passes() {
    for (old, new) in [("/", "/vendors/"), ("/vendors/", "/"), ("/vendors/", "/others/")] {
        let mut world = World::where_role_lacks_something().await;
        world.role_lacks_something = false;
        world.create(json!({"UserPath": old})).await.succeeded();
        let before = (world.user_tags("coiled").await, world.keys("coiled").await);
        world.role_lacks_something = old != "/";
        let (old, new) = (json!({"UserPath": old}), json!({"UserPath": new}));
        world.update(old.clone(), new.clone()).await.failed(&["UserPath", "Nothing was touched"]);
        world.update(new, old).await.succeeded();
        assert_eq!(before, (world.user_tags("coiled").await, world.keys("coiled").await));
    }
}

/// The role attaches policies only to a user with the boundary: so the boundary has to come first.
#[tokio::test]
async fn a_boundary_comes_before_the_policies() {
    let world = World::new().await;
    let without = json!({"AttachSetupPolicy": "false"});
    world.create(without.clone()).await.succeeded();
    world.update(without, json!({"PermissionsBoundaryArn": AWS_POLICY})).await.succeeded();
    assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY));
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
}
