//! Role delegation: access by a role instead of a key. This is the client's default.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Connection;
use super::http::{App, not_a_member, rejected};

/// The fictitious account that assumes the role.
const PRINCIPAL: &str = "arn:aws:iam::444455556666:root";

/// Returns the principal and the external id for the role's trust policy.
pub(super) async fn start(Shared(app): Shared<App>, Path(slug): Path<String>) -> Response {
    if app.state.look(|facts| facts.workspace(&slug).is_none()) {
        return not_a_member();
    }
    Json(json!({"allowed_principal": PRINCIPAL, "external_id": external_id(&slug)})).into_response()
}

/// Whether the role can be assumed. The stand-in accepts every well-formed role.
pub(super) async fn check(Path(slug): Path<String>, Json(body): Json<Value>) -> Response {
    let ready = is_well_formed(&slug, &body);
    Json(json!(ready)).into_response()
}

/// Connects the workspace with the role.
pub(super) async fn complete(Shared(app): Shared<App>, Path(slug): Path<String>, Json(body): Json<Value>) -> Response {
    if app.state.look(|facts| facts.workspace(&slug).is_none()) {
        return not_a_member();
    }
    let region = body.get("default_region").and_then(Value::as_str).unwrap_or_default();
    if !is_well_formed(&slug, &body) || region.is_empty() {
        return rejected(StatusCode::BAD_REQUEST, "The role, the external id or the region is wrong.");
    }
    let data = json!({"backend": "vm", "options": {
        "provider_name": "aws",
        "aws_region_name": region,
        "account_role": body.get("role_arn"),
        "type": "aws_cloudbridge_backend_options",
    }});
    app.state.connected(&slug, Connection { data });
    Json(json!({})).into_response()
}

fn is_well_formed(slug: &str, body: &Value) -> bool {
    let text = |name| body.get(name).and_then(Value::as_str).unwrap_or_default();
    text("external_id") == external_id(slug) && text("role_arn").contains(":role/")
}

fn external_id(slug: &str) -> String {
    format!("external-id-of-{slug}")
}
