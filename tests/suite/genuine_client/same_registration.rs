//! Compares the function's registrations with the client's for the same input. All fields except the keys must be
//! equal.

use coiled_world::World;
use serde_json::{Value, json};

use super::{comparable, registrations};
use crate::support::Deploy;

/// Pairs of function properties and equivalent client arguments.
fn inputs() -> Vec<(Value, Value)> {
    let (vpc, group) = ("vpc-0123456789abcdef0", "sg-0123456789abcdef3");
    let (first, second) = ("subnet-0123456789abcdef1", "subnet-0123456789abcdef2");
    let network = json!({
        "network_id": vpc, "scheduler_subnet_id": first, "worker_subnet_id": second, "firewall_id": group,
    });
    let ingress = json!([{"ports": [8786, 8787], "cidr": "10.0.0.0/16"}, {"ports": [443], "cidr": "0.0.0.0/0"}]);
    vec![
        (json!({"Region": "us-east-2"}), json!({"aws_region": "us-east-2"})),
        (
            json!({"NetworkId": vpc, "SchedulerSubnetId": first, "WorkerSubnetId": second, "FirewallId": group}),
            json!({"aws_region": "us-east-1", "network": network}),
        ),
        (json!({"NetworkId": vpc}), json!({"aws_region": "us-east-1", "network": {"network_id": vpc}})),
        (
            json!({"Ingress": [{"Ports": ["8786", "8787"], "Cidr": "10.0.0.0/16"},
                               {"Ports": ["443"], "Cidr": "0.0.0.0/0"}]}),
            json!({"aws_region": "us-east-1", "ingress": ingress}),
        ),
        // The client's own spelling, passed to both.
        (json!({"Ingress": ingress.to_string()}), json!({"aws_region": "us-east-1", "ingress": ingress})),
        (json!({"Ingress": ingress[0]}), json!({"aws_region": "us-east-1", "firewall": ingress[0]})),
        (
            json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": "<hub>"}),
            json!({"aws_region": "us-east-1", "registry_type": "docker_hub", "registry_username": "ada",
                   "registry_access_token": "hub-token"}),
        ),
        (
            json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubNamespace": "team",
                   "DockerHubUri": "hub.example", "DockerHubTokenSecretArn": "<hub>"}),
            json!({"aws_region": "us-east-1", "registry_type": "docker_hub", "registry_username": "ada",
                   "registry_access_token": "hub-token", "registry_namespace": "team",
                   "registry_uri": "hub.example"}),
        ),
        (
            json!({"Registry": "docker_hub", "DockerHubUsername": "gitlab+deploy-token-1",
                   "DockerHubNamespace": "group/project", "DockerHubUri": "registry.example.com:5000",
                   "DockerHubTokenSecretArn": "<hub>"}),
            json!({"aws_region": "us-east-1", "registry_type": "docker_hub",
                   "registry_username": "gitlab+deploy-token-1", "registry_access_token": "hub-token",
                   "registry_namespace": "group/project", "registry_uri": "registry.example.com:5000"}),
        ),
    ]
}

/// The function's registration in a Create with these properties, in a new account.
async fn functions_registration(mut properties: Value) -> Value {
    let world = World::new().await;
    let secret = world.secrets.create_secret().name("hub").secret_string("hub-token").send().await.unwrap();
    if properties.get("DockerHubTokenSecretArn").is_some() {
        properties["DockerHubTokenSecretArn"] = json!(secret.arn());
    }
    world.create(properties).await.succeeded();
    assert_eq!(world.coiled.violations(), [""; 0]);
    let [message] = world.coiled.registrations().try_into().expect("one registration");
    comparable(&message)
}

#[tokio::test]
async fn the_function_registers_the_same_as_the_client_for_the_same_input() {
    let (properties, arguments): (Vec<_>, Vec<_>) = inputs().into_iter().unzip();
    let recorded = registrations(&arguments).await;
    for (properties, recorded) in properties.into_iter().zip(recorded) {
        assert_eq!(functions_registration(properties.clone()).await, recorded, "{properties}");
    }
}
