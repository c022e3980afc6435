//! Runs the unchanged client against the stand-in, and checks how it reports rejections.

use coiled_stand_in::{Call, Fault, How, Refusal, StandIn};
use futures_util::future::join;
use serde_json::{Value, json};

use super::{GenuineClient, registrations};
use crate::sts;

async fn client(stand_in: &StandIn) -> GenuineClient {
    GenuineClient::new(stand_in, &sts::knowing(None).await)
}

fn registration_in(workspace: &str) -> (&'static str, Value) {
    let input = json!({
        "workspace": workspace, "aws_region": "us-east-2",
        "aws_access_key_id": "AKIAREGISTERED", "aws_secret_access_key": "registered-secret",
    });
    ("set_backend_options", input)
}

/// The registration for an automatic network in us-east-2, with ECR.
fn plain() -> Value {
    json!({"type": "update_options", "logging_context": {}, "data": {
        "backend": "vm",
        "options": {
            "aws_region_name": "us-east-2",
            "account_role": "",
            "credentials": {"aws_access_key": "<aws_access_key>", "aws_secret_key": "<aws_secret_key>"},
            "firewall": {},
            "firewall_spec": {},
            "network": {},
            "zone": null,
            "provider_name": "aws",
            "type": "aws_cloudbridge_backend_options",
        },
        "registry": {
            "type": "ecr",
            "public_ecr": false,
            "region": "us-east-2",
            "credentials": {
                "aws_access_key_id": "<aws_access_key_id>",
                "aws_secret_access_key": "<aws_secret_access_key>",
            },
        },
    }})
}

#[tokio::test]
async fn the_client_registers_every_kind_of_network_and_registry() {
    let network = json!({
        "network_id": "vpc-1", "scheduler_subnet_id": "subnet-1", "worker_subnet_id": "subnet-2", "firewall_id": "sg-1",
    });
    let ingress = json!([{"ports": [8786, 8787], "cidr": "10.0.0.0/16"}, {"ports": [443], "cidr": "0.0.0.0/0"}]);
    let recorded = registrations(&[
        json!({"aws_region": "us-east-2"}),
        json!({"aws_region": "us-east-2", "network": network}),
        json!({"aws_region": "us-east-2", "ingress": ingress}),
        json!({"aws_region": "us-east-2", "registry_type": "docker_hub", "registry_username": "ada",
               "registry_access_token": "hub-token"}),
        json!({"aws_region": "us-east-2", "registry_type": "docker_hub", "registry_username": "ada",
               "registry_access_token": "hub-token", "registry_namespace": "Team", "registry_uri": "hub.example"}),
    ])
    .await;

    let changed = |pointer: &str, value: Value| {
        let mut message = plain();
        *message.pointer_mut(pointer).unwrap() = value;
        message
    };
    let hub = |account: &str, uri: &str| {
        let (username, password) = ("ada", "hub-token");
        json!({"type": "docker_hub", "account": account, "username": username, "password": password, "uri": uri})
    };
    let expected = [
        plain(),
        changed("/data/options/network", network),
        changed("/data/options/firewall_spec", json!({"ingress": ingress})),
        changed("/data/registry", hub("ada", "docker.io")),
        changed("/data/registry", hub("Team", "hub.example")),
    ];
    for (recorded, expected) in recorded.iter().zip(&expected) {
        assert_eq!(recorded, expected);
    }
}

#[tokio::test]
async fn the_client_disconnects_workspaces_and_confirms_if_asked() {
    let stand_in = StandIn::start().await;
    stand_in.add_workspace("team", "The team", false);
    stand_in.connect("team", json!({"backend": "vm"}));
    stand_in.ask_for_confirmation("team", "2 clusters run");
    let unset = |workspace: &str| ("unset_aws_credentials", json!({"workspace": workspace}));
    let calls = [registration_in("ada"), unset("ada"), unset("ada"), unset("team")];
    let results = client(&stand_in).await.call(&calls).await;
    assert_eq!(results, [json!({"ok": null}), json!({"ok": 200}), json!({"ok": 404}), json!({"ok": 200})]);
    assert_eq!((stand_in.connection("ada"), stand_in.connection("team")), (None, None));
    let paths: Vec<_> = stand_in.calls(Call::Disconnect).into_iter().map(|request| request.path).collect();
    let (ada, team) = ("/api/v2/cloud-credentials/ada/aws", "/api/v2/cloud-credentials/team/aws");
    assert_eq!(paths, [ada, ada, team, &format!("{team}?confirm=1")]);
    assert_eq!(stand_in.violations(), [""; 0]);
}

#[tokio::test]
async fn the_client_raises_the_right_error_for_every_rejection() {
    let stand_in = StandIn::start().await;
    stand_in.add_workspace("team", "The team", false);
    stand_in.set_admin("team", false);
    let once = |on, how| stand_in.fault(Fault { on, how, times: 1 });
    once(Call::WsMessage, How::IsError("no such region".into()));
    once(Call::WsFinish, How::IsError("an error, then FINISHED".into()));
    let mut calls = vec![registration_in("team"), registration_in("ada"), registration_in("ada")];
    // A workspace name in place of its slug, and a workspace that the user is not a member of.
    calls.extend([registration_in("the team"), registration_in("theirs")]);
    let rejected = client(&stand_in).await.call(&calls).await;

    let closing = StandIn::start().await;
    closing.add_workspace("team", "The team", false);
    closing.set_admin("team", false);
    closing.refuse_by(Refusal::Close4403);
    let closed = client(&closing).await.call(&[registration_in("team")]).await;

    let expected = [
        ("ValueError", "do you have permissions"),
        ("ServerError", "no such region"),
        ("ServerError", "an error, then FINISHED"),
        ("PermissionsError", "'team'"),
        ("PermissionError", "['ada', 'team']"),
        ("ValueError", "Unauthorized"),
    ];
    let results = [rejected, closed].concat();
    assert_eq!(results.len(), expected.len());
    for (result, (class, text)) in results.iter().zip(expected) {
        assert_eq!(result["error"], class, "{result}");
        assert!(result["text"].as_str().unwrap().contains(text), "{result}");
    }
}

#[tokio::test]
async fn the_client_fails_before_it_creates_anything_if_the_token_is_wrong() {
    let stand_in = StandIn::start().await;
    // Nothing listens at this endpoint. A call to AWS would fail with a different error than a wrong token.
    let setup = GenuineClient::new(&stand_in, "http://127.0.0.1:9").with_token("ada-wrong");
    let library = client(&stand_in).await.with_token("wrong");
    let (setup, calls) = join(
        setup.coiled(&["setup", "aws", "--use-access-key", "--yes", "--workspace", "ada"]),
        library.call(&[registration_in("ada")]),
    )
    .await;
    assert!(!setup.is_ok && setup.text.contains("Invalid Coiled token"), "{}", setup.text);
    assert!(calls[0].get("error").is_some(), "{calls:?}");
    assert_eq!((stand_in.connection("ada"), stand_in.calls(Call::WsUpgrade).len()), (None, 0));
    assert_eq!(stand_in.calls(Call::Me).iter().filter(|request| request.status == Some(401)).count(), 2);
}
