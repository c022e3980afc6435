//! Delete when no tag says whether the stack registered a key. Coiled does not show a key, so Delete disconnects the
//! workspace only if a run of the stack has completed on the user. Otherwise it keeps the connection and says where to
//! look.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use crate::adopt::{adopt_existing, world_after_set_up};
use crate::support::Deploy;

const RECORDS: [&str; 2] = ["coiled-stack:access-key-id", "coiled-stack:registered"];
const HINT: &str = "disconnect the workspace in its settings";

/// What Coiled shows for a key in another account that someone registered with the stack's region and network.
fn look_alike() -> Value {
    json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": "us-east-1"}})
}

fn kept(world: &World, connection: &Value) {
    assert_eq!(world.coiled.connection("ada").expect("the connection is kept").data, *connection);
    let page = format!("{}/ada/settings/setup/credentials", world.coiled.url());
    assert!(world.logs.text().contains(HINT) && world.logs.text().contains(&page), "{}", world.logs.text());
}

async fn nothing_left_in_aws(world: &World) {
    assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
}

#[tokio::test]
async fn delete_disconnects_the_workspace_although_a_person_removed_both_records() {
    for properties in [json!({}), json!({"Workspace": "ada", "Region": "us-east-2", "NetworkId": "vpc-0123abcd"})] {
        let world = World::new().await;
        world.create(properties.clone()).await.succeeded();
        world.untag_user_by_hand(&RECORDS).await;
        world.delete(properties).await.succeeded();
        world.nothing_left().await;
    }
}

/// CloudFormation generates another physical ID if it never received the response of the Create.
#[tokio::test]
async fn delete_disconnects_the_workspace_although_cloudformation_received_no_response_of_the_create() {
    let workspace = json!({"Workspace": "ada"});
    let world = World::new().await;
    world.create(workspace.clone()).await.succeeded();
    world.untag_user_by_hand(&RECORDS).await;
    let mut delete = world.event("Delete", world.properties(workspace));
    delete["PhysicalResourceId"] = json!("coiled-Connection-1A2B3C4D5E6F");
    world.send(delete).await.succeeded();
    world.nothing_left().await;
}

/// The first Delete expires its lease. The second one must not take it for the lease of a Create that failed.
#[tokio::test]
async fn a_repeated_delete_fails_too_while_coiled_asks_for_confirmation() {
    let world = World::after_create().await;
    world.untag_user_by_hand(&RECORDS).await;
    world.coiled.ask_for_confirmation("ada", "2 clusters are running");
    for _ in 0..2 {
        world.delete(json!({})).await.failed(&["2 clusters are running", "coiled-stack:force-disconnect"]);
    }
    world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn delete_keeps_another_connection_after_a_person_removed_both_records() {
    for (option, value) in [("aws_region_name", "eu-west-1"), ("account_role", "arn:aws:iam::111122223333:role/theirs")]
    {
        let world = World::after_create().await;
        world.untag_user_by_hand(&RECORDS).await;
        let mut theirs = look_alike();
        theirs["options"][option] = json!(value);
        world.coiled.connect("ada", theirs.clone());
        world.delete(json!({})).await.succeeded();
        assert_eq!(world.coiled.connection("ada").unwrap().data, theirs, "{option}");
        nothing_left_in_aws(&world).await;
    }
}

/// A stack that was created with `Workspace` has a physical ID without a workspace. If neither the property nor the tag
/// names one either, the token's default may be another workspace by now.
#[tokio::test]
async fn delete_keeps_the_connection_if_only_the_tokens_default_names_the_workspace() {
    let mut world = World::after_create().await;
    world.forget_workspace_in_id();
    world.untag_user_by_hand(&[RECORDS[0], RECORDS[1], "coiled-stack:workspace"]).await;
    world.delete(json!({})).await.succeeded();
    kept(&world, &world.coiled.connection("ada").unwrap().data);
    nothing_left_in_aws(&world).await;
}

/// A Create fails before it sends its key, and its undo cannot delete the key or the user. Then someone else connects
/// the workspace with the same region and network.
#[tokio::test]
async fn delete_after_a_failed_create_keeps_a_connection_that_someone_else_made() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsUpgrade, how: How::Status(400, json!({"detail": "no quota"})), times: 1 });
    let how = AwsHow::Error(400, "ValidationError", "not today");
    world.aws.fault(AwsFault { action: "DeleteAccessKey", how, times: u32::MAX });
    world.create(json!({})).await.failed(&["no quota", "Left in the account"]);
    assert_eq!(world.keys("coiled").await.len(), 1);
    world.aws.clear_faults();
    world.coiled.connect("ada", look_alike());
    world.delete(json!({})).await.succeeded();
    kept(&world, &look_alike());
    nothing_left_in_aws(&world).await;
}

/// Only a policy is left, as if a person had deleted the user.
#[tokio::test]
async fn delete_of_the_policies_of_a_failed_create_keeps_a_connection_that_someone_else_made() {
    for plain_id in [false, true] {
        let mut world = World::new().await;
        if plain_id {
            world.forget_workspace_in_id();
        }
        let how = AwsHow::Error(400, "ValidationError", "not today");
        world.aws.fault(AwsFault { action: "DeletePolicy", how, times: u32::MAX });
        world.coiled.fault(Fault {
            on: Call::WsUpgrade,
            how: How::Status(400, json!({"detail": "no quota"})),
            times: 1,
        });
        world.create(json!({})).await.failed(&["no quota", "Left in the account"]);
        assert!(world.user_tags("coiled").await.is_none() && !world.policies().await.is_empty());
        world.aws.clear_faults();
        world.coiled.connect("ada", look_alike());
        world.delete(json!({})).await.succeeded();
        kept(&world, &look_alike());
        nothing_left_in_aws(&world).await;
    }
}

#[tokio::test]
async fn delete_keeps_the_connection_if_a_person_deleted_the_user_and_names_its_page() {
    let world = World::after_create().await;
    world.delete_user_by_hand().await;
    let connection = world.coiled.connection("ada").unwrap().data;
    world.delete(json!({})).await.succeeded();
    kept(&world, &connection);
    nothing_left_in_aws(&world).await;
}

/// Nothing that happens at Coiled fails such a Delete, because no tag could force the next one.
#[tokio::test]
async fn delete_of_a_deleted_user_succeeds_even_if_coiled_cannot_be_asked() {
    let world = World::after_create().await;
    world.delete_user_by_hand().await;
    world.coiled.fault(Fault { on: Call::BackendOptions, how: How::Reset, times: u32::MAX });
    world.delete(json!({})).await.succeeded();
    kept(&world, &world.coiled.connection("ada").unwrap().data);
    nothing_left_in_aws(&world).await;
}

/// No hint is needed if Coiled holds no key.
#[tokio::test]
async fn delete_of_a_deleted_user_names_no_page_if_the_workspace_is_not_connected() {
    let world = World::after_create().await;
    world.delete_user_by_hand().await;
    world.coiled.disconnect("ada");
    world.delete(json!({})).await.succeeded();
    assert!(!world.logs.text().contains(HINT) && world.logs.text().contains("the workspace is not connected"));
}

/// The user's key is that of `coiled setup aws`, although a person removed the killed run's lease.
#[tokio::test]
async fn delete_restores_a_killed_adoption_although_a_person_removed_its_lease() {
    let mut world = world_after_set_up(1).await;
    let (before, theirs) = (world.keys("coiled").await, world.coiled.connection("ada").unwrap().data);
    world.timeout = std::time::Duration::from_secs(4);
    let create = world.event("Create", world.properties(adopt_existing()));
    world.kill(create, &Moment { call: "iam:TagUser".into(), times: 1 }).await;
    world.untag_user_by_hand(&["coiled-stack:lease"]).await;
    world.timeout = std::time::Duration::from_secs(20);
    world.delete(adopt_existing()).await.succeeded();
    assert_eq!(world.keys("coiled").await, before);
    assert_eq!(world.coiled.connection("ada").unwrap().data, theirs);
}
