//! Authentication, workspace permissions, and the check of registered keys.

use coiled_stand_in::{Refusal, StandIn};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::client::*;
use crate::sts;

#[tokio::test]
async fn a_wrong_token_is_rejected_by_http_and_websocket() {
    let stand_in = StandIn::start().await;
    let rejected = open(&stand_in, "ada", "ada-wrong").await;
    assert!(matches!(rejected, Err(Error::Http(response)) if response.status() == 403));
    stand_in.refuse_by(Refusal::Close4403);
    let mut socket = open(&stand_in, "ada", "ada-wrong").await.unwrap();
    let heard = hear_all(&mut socket).await;
    assert_eq!((heard.close_code, heard.messages.len()), (Some(4403), 0));

    let url = format!("{}/api/v2/user/me", stand_in.url());
    for authorization in [None, Some("ApiToken wrong-one"), Some("c4n4ry-of-ada-0123456789")] {
        let mut request = reqwest::Client::new().get(&url).header("client-version", "0.0.0");
        request = authorization.into_iter().fold(request, |request, value| request.header("authorization", value));
        assert_eq!(request.send().await.unwrap().status(), 401, "{authorization:?}");
    }
}

#[tokio::test]
async fn the_authorization_scheme_must_match_the_form_of_the_token() {
    let stand_in = StandIn::start().await;
    let url = format!("{}/api/v2/user/me", stand_in.url());
    for (token, scheme, status) in [
        ("with-dash", "ApiToken", 200),
        ("with-dash", "Token", 401),
        ("without", "ApiToken", 401),
        ("without", "Token", 200),
    ] {
        stand_in.set_token(token);
        let request = reqwest::Client::new().get(&url).header("client-version", "0.0.0");
        let response = request.header("authorization", format!("{scheme} {token}")).send().await.unwrap();
        assert_eq!(response.status(), status, "{scheme} {token}");
    }
    assert_eq!(stand_in.violations().len(), 2);
}

#[tokio::test]
async fn a_request_without_a_client_version_is_rejected_with_426() {
    let stand_in = StandIn::start().await;
    let request = reqwest::Client::new().get(format!("{}/api/v2/user/me", stand_in.url()));
    assert_eq!(request.send().await.unwrap().status(), 426);
}

#[tokio::test]
async fn only_a_workspace_admin_can_open_the_websocket() {
    let stand_in = StandIn::start().await;
    stand_in.add_workspace("team", "The team", false);
    stand_in.set_admin("team", false);
    for workspace in ["team", "nowhere"] {
        let rejected = open(&stand_in, workspace, &stand_in.token()).await;
        assert!(matches!(rejected, Err(Error::Http(response)) if response.status() == 403), "{workspace}");
    }
    for (path, status) in [("team", 200), ("nowhere", 403)] {
        let path = format!("/api/v1/{path}/backend_options/");
        assert_eq!(call(&stand_in, "GET", &path).await.unwrap().0, status, "{path}");
    }
}

#[tokio::test]
async fn memberships_and_default_workspace_follow_the_configured_workspaces() {
    let stand_in = StandIn::start().await;
    stand_in.add_workspace("team", "The team", true);
    let (_, memberships) = call(&stand_in, "GET", "/api/v2/user/me/memberships").await.unwrap();
    assert_eq!(
        memberships,
        json!([
            {"account": {"id": 1, "slug": "ada", "name": "Ada's team"}, "is_admin": true, "is_default_account": false},
            {"account": {"id": 2, "slug": "team", "name": "The team"}, "is_admin": true, "is_default_account": true},
        ])
    );
    let (_, me) = call(&stand_in, "GET", "/api/v2/user/me").await.unwrap();
    assert_eq!(me, json!({"username": "ada", "default_account": {"slug": "team", "name": "The team"}}));
    stand_in.clear_workspaces();
    let (_, me) = call(&stand_in, "GET", "/api/v2/user/me").await.unwrap();
    assert_eq!(me["default_account"], Value::Null);
}

#[tokio::test]
async fn disconnecting_requires_confirmation_if_configured() {
    let stand_in = StandIn::start().await;
    let path = "/api/v2/cloud-credentials/ada/aws";
    assert_eq!(call(&stand_in, "DELETE", path).await.unwrap().0, 404);
    stand_in.connect("ada", valid()["data"].clone());
    stand_in.ask_for_confirmation("ada", "2 clusters run");
    let confirmation = (409, json!({"action_required": "confirm", "detail": "2 clusters run"}));
    assert_eq!(call(&stand_in, "DELETE", path).await.unwrap(), confirmation);
    assert_eq!(call(&stand_in, "DELETE", &format!("{path}?confirm=0")).await.unwrap(), confirmation);
    assert!(stand_in.connection("ada").is_some());
    assert_eq!(call(&stand_in, "DELETE", &format!("{path}?confirm=1")).await.unwrap().0, 200);
    assert_eq!(stand_in.connection("ada"), None);
}

#[tokio::test]
async fn a_key_that_aws_rejects_is_not_registered() {
    let stand_in = StandIn::start().await;
    stand_in.verify_keys_at(&sts::knowing(Some("AKIAANOTHER")).await);
    let heard = register(&stand_in, &valid()).await;
    assert_eq!((heard.errors().len(), heard.is_finished()), (1, false), "{heard:?}");
    assert!(heard.errors()[0].contains("InvalidClientTokenId"), "{heard:?}");
    assert_eq!(stand_in.connection("ada"), None);

    stand_in.verify_keys_at(&sts::knowing(Some("AKIAEXAMPLE")).await);
    assert!(register(&stand_in, &valid()).await.is_finished());
    assert_eq!(stand_in.violations(), [""; 0], "a key that does not work yet is not a protocol violation");
}

#[tokio::test]
async fn the_stand_in_stops_when_its_last_handle_is_dropped() {
    let stand_in = StandIn::start().await;
    let url = stand_in.url();
    let mut socket = opened(&stand_in).await;
    hear_one(&mut socket).await;
    let clone = stand_in.clone();
    drop(stand_in);
    assert_eq!(call(&clone, "GET", "/api/v2/user/me").await.unwrap().0, 200);
    drop(clone);
    assert!(hear_all(&mut socket).await.close_code.is_none());
    assert!(reqwest::get(url).await.unwrap_err().is_connect());
}
