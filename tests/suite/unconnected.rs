//! What counts as a connection. A workspace on Coiled's own cloud is not connected, no matter what else Coiled shows
//! about it.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use serde_json::{Value, json};

use crate::support::Deploy;

/// The responses that Coiled may send for a workspace without a customer's account. `vm_aws`, `vm_gcp` and `vm_azure` are
/// Coiled's own cloud: every new workspace runs there.
fn unconnected() -> Vec<(u16, Value)> {
    let hosted = |cloud: &str| json!({"backend": cloud, "options": {"aws_region_name": "us-east-2"}});
    let mut provider = hosted("vm_aws");
    provider["options"]["provider_name"] = json!("aws");
    let shown = [
        hosted("vm_aws"),
        hosted("vm_gcp"),
        hosted("vm_azure"),
        provider,
        json!({"backend": "vm_azure", "options": {"provider_name": "azure", "azure_region_name": "eastus"}}),
        json!(null),
        json!({}),
        json!({"backend": null, "options": null}),
        json!({"backend": "vm_aws", "options": null}),
        json!({"backend": "vm", "options": null}),
        json!({"backend": "vm", "options": {}}),
        json!({"backend": "vm", "options": {"aws_region_name": "us-east-1"}}),
        json!({"backend": "vm", "options": {"aws_region_name": "us-east-1", "provider_name": null}}),
        json!({"backend": "vm", "options": {"aws_region_name": "us-east-1", "provider_name": ""}}),
    ];
    let found = shown.into_iter().map(|body| (200, body));
    found.chain([(404, json!({"detail": "Not found."}))]).collect()
}

#[tokio::test]
async fn create_delete_and_create_again_succeed_for_every_form_of_an_unconnected_workspace() {
    for (status, body) in unconnected() {
        let world = World::new().await;
        world.coiled.when_unconfigured(status, body.clone());
        for _ in 0..2 {
            let answer = world.create(json!({})).await;
            assert!(answer.is_success(), "{body}: {}", answer.reason());
            world.connected().await;
            world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
            world.delete(json!({})).await.succeeded();
            world.nothing_left().await;
        }
    }
}

/// A person disconnected the workspace at Coiled.
#[tokio::test]
async fn update_and_delete_succeed_for_every_form_of_a_disconnected_workspace() {
    for (status, body) in unconnected() {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        world.coiled.when_unconfigured(status, body.clone());
        world.coiled.disconnect("ada");
        let answer = world.update(json!({}), json!({"Region": "us-east-2"})).await;
        assert!(answer.is_success(), "{body}: {}", answer.reason());
        world.connected().await;
        world.coiled.disconnect("ada");
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// Coiled reported success, but still shows its own cloud, so it does not hold the key.
#[tokio::test]
async fn create_fails_if_coiled_shows_an_unconnected_workspace_after_the_registration() {
    for (status, body) in unconnected() {
        let world = World::new().await;
        let look = |how, times| Fault { on: Call::BackendOptions, how, times };
        world.coiled.fault(look(How::Slow(std::time::Duration::ZERO), 1));
        world.coiled.fault(look(How::Status(status, body), u32::MAX));
        world.create(json!({})).await.failed(&["reported success", "ada"]);
        world.coiled.clear_faults();
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// The status reason says where to look and what the property does.
#[tokio::test]
async fn the_reason_for_rejecting_a_connection_names_its_page_at_coiled_and_what_adoption_does() {
    let world = World::new().await;
    let options = json!({"provider_name": "aws", "aws_region_name": "eu-west-1"});
    world.coiled.connect("ada", json!({"backend": "vm", "options": options}));
    let page = format!("{}/ada/settings/setup/credentials", world.coiled.url());
    world.create(json!({})).await.failed(&[
        "already connected (aws, eu-west-1)",
        &page,
        "AdoptExisting=true replaces the connection",
        "cannot be restored",
    ]);
}
