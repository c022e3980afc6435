//! AdoptExisting after `coiled setup aws`.

use coiled_world::World;
use serde_json::json;

use super::GenuineClient;
use crate::support::Deploy;

#[tokio::test]
async fn resources_that_setup_aws_created_are_adopted_and_deleted_with_the_stack() {
    let world = World::new().await;
    let client = GenuineClient::new(&world.coiled, &world.aws.url());
    client.set_up(&["--use-access-key", "--iam-user", "coiled"]).await;
    let before = world.snapshot().await;
    let old_key = world.keys("coiled").await;

    world.create(json!({})).await.failed(&["user/coiled", "already connected", "AdoptExisting"]);
    assert_eq!(before, world.snapshot().await);

    let adopt = json!({"AdoptExisting": "true", "Region": "us-east-2"});
    world.create(adopt.clone()).await.succeeded();
    world.connected().await;
    assert_ne!(world.keys("coiled").await, old_key);
    // Both policies already have the right document, so the function does not create a new version.
    assert!(!world.aws.actions().contains(&"CreatePolicyVersion".to_owned()));

    world.delete(adopt).await.succeeded();
    world.nothing_left().await;
}
