//! Runs the whole `coiled setup aws` against the stand-in and the emulated account.

use coiled_world::World;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::policies::permissions;
use super::{GenuineClient, comparable, registration};
use crate::support::Deploy;

const SETUP: &str = include_str!("../../../policies/setup.json");
const ONGOING: &str = include_str!("../../../policies/ongoing.json");

async fn policy(world: &World, name: &str) -> Value {
    let document = world.document(name).await;
    serde_json::from_str(&percent_decode_str(&document).decode_utf8().unwrap()).unwrap()
}

#[tokio::test]
async fn setup_aws_with_an_access_key_connects_the_workspace() {
    let world = World::new().await;
    let client = GenuineClient::new(&world.coiled, &world.aws.url());
    client.set_up(&["--use-access-key", "--iam-user", "guest"]).await;

    let held = world.coiled.connection("ada").expect("a connection");
    assert_eq!(world.keys("guest").await, [held.access_key_id()]);
    assert_eq!(world.attached("guest").await, ["guest-ongoing", "guest-setup"]);
    let tags = world.user_tags("guest").await.expect("a user");
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("owner".to_owned(), "coiled".to_owned())]);
    for (name, ours) in [("guest-setup", SETUP), ("guest-ongoing", ONGOING)] {
        let ours = serde_json::from_str(ours).unwrap();
        assert_eq!(permissions(&policy(&world, name).await), permissions(&ours), "{name}");
    }
    // The command registers the same settings as the client's function `set_backend_options`.
    let [message] = world.coiled.registrations().try_into().expect("one registration");
    assert_eq!(comparable(&message), registration(json!({"aws_region": "us-east-2"})).await);
    assert_eq!(world.coiled.violations(), [""; 0]);
}

#[tokio::test]
async fn setup_aws_without_an_access_key_delegates_a_role() {
    let world = World::new().await;
    let client = GenuineClient::new(&world.coiled, &world.aws.url());
    client.set_up(&["--iam-user", "guest"]).await;

    let role = world.iam.get_role().role_name("guest-role-assumption").send().await.unwrap().role.unwrap();
    let held = world.coiled.connection("ada").expect("a connection");
    assert_eq!(held.data["options"]["account_role"], role.arn());
    assert_eq!((held.access_key_id().as_str(), held.region().as_str()), ("", "us-east-2"));
}
