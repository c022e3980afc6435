//! Prepares the state in which a scenario's request arrives.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::by_hand::DOCUMENT;

use super::{Before, Scenario};
use crate::adopt;

pub async fn reach(scenario: &Scenario, world: &World) {
    match scenario.before {
        Before::Nothing => return,
        Before::SetUpByCoiled => set_up_by_coiled(scenario, world).await,
        _ => drop(world.create(scenario.old.clone()).await.succeeded()),
    }
    // A tag that a person added to the stack's user.
    world.tag_user("coiled", "note", "of a person").await;
    match scenario.before {
        Before::Drifted => drift(world).await,
        Before::ManualContents => world.put_everything_into("coiled").await,
        Before::ClustersRunning => world.coiled.ask_for_confirmation("ada", "2 clusters are running"),
        Before::UpdateRejected => update_rejected(scenario, world).await,
        Before::UpdateKilled => update_killed(scenario, world).await,
        Before::Nothing | Before::SetUpByCoiled | Before::Created => {}
    }
}

/// Adds the boundary that the scenario asks for. The function does not put a boundary on an adopted user, because its
/// role could not remove it.
async fn set_up_by_coiled(scenario: &Scenario, world: &World) {
    adopt::set_up(world, 1).await;
    if let Some(arn) = scenario.old["PermissionsBoundaryArn"].as_str() {
        let put = world.iam.put_user_permissions_boundary().user_name("coiled");
        put.permissions_boundary(arn).send().await.unwrap();
    }
}

async fn drift(world: &World) {
    let (iam, arn) = (&world.iam, |name| world.policy_arn(name));
    for _ in 0..4 {
        let version = iam.create_policy_version().policy_arn(arn("coiled-ongoing")).policy_document(DOCUMENT);
        version.set_as_default(true).send().await.unwrap();
    }
    iam.detach_user_policy().user_name("coiled").policy_arn(arn("coiled-setup")).send().await.unwrap();
    iam.delete_policy().policy_arn(arn("coiled-setup")).send().await.unwrap();
}

async fn update_rejected(scenario: &Scenario, world: &World) {
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.update(scenario.old.clone(), scenario.new.clone()).await.failed(&["register"]);
}

async fn update_killed(scenario: &Scenario, world: &World) {
    let reads = world.coiled.calls(Call::BackendOptions).len();
    tokio::select! {
        ended = world.invoke(world.update_event(scenario.old.clone(), scenario.new.clone())) => {
            panic!("the run was not killed: {ended:?}")
        }
        // The first read precedes the registration. The second one reads the registration back.
        () = world.coiled.until(|coiled| coiled.calls(Call::BackendOptions).len() > reads + 1) => {}
    }
    world.lease_ends().await;
}
