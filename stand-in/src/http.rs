//! The HTTP API: the user, its workspaces, a workspace's connection, and disconnecting it.

use std::future::pending;
use std::sync::{Arc, Weak};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Query, Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::faults::How;
use super::server::{Ending, Tasks, dropped, is_dropped};
use super::state::{self, Facts, State, Workspace};
use super::{roles, websocket};

/// In bytes. Far larger than any request to Coiled.
const LARGEST_BODY: usize = 1 << 20;

/// The state that every handler receives.
#[derive(Clone)]
pub(super) struct App {
    pub(super) state: Arc<State>,
    pub(super) tasks: Weak<Tasks>,
}

/// A fault on the upgrade: close the WebSocket immediately with this code.
#[derive(Clone)]
pub(super) struct CloseAtOnce(pub(super) u16);

/// All supported paths. Everything else, including other features' endpoints, gets a 404.
pub(super) fn router(app: App) -> Router {
    let account = "/api/v2/cloud-credentials/account/{workspace}";
    Router::new()
        .route("/api/v2/user/me", get(me))
        .route("/api/v2/user/me/memberships", get(memberships))
        .route("/api/v1/{workspace}/backend_options/", get(backend_options))
        .route("/api/v2/cloud-credentials/{workspace}/aws", delete(disconnect))
        .route("/api/v2/interactions/interaction", post(interaction))
        .route(&format!("{account}/start-role-assumption-setup"), post(roles::start))
        .route(&format!("{account}/check-role-assumption"), post(roles::check))
        .route(&format!("{account}/complete-role-assumption-setup"), post(roles::complete))
        .route_layer(from_fn_with_state(app.clone(), authorized))
        // The WebSocket checks the token itself, because it can be rejected in two ways.
        .route("/ws/api/v1/{workspace}/cluster-info/", get(websocket::upgrade))
        .fallback(|| async { rejected(StatusCode::NOT_FOUND, "Not found.") })
        .layer(from_fn_with_state(app.clone(), record_and_inject))
        .with_state(app)
}

/// An error response in Coiled's format.
pub(super) fn rejected(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}

/// Records every request and injects the queued faults.
async fn record_and_inject(Shared(app): Shared<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return dropped();
    };
    let record = record(&parts, &body);
    let (method, path, call) = (record.method.clone(), record.path.clone(), record.call());
    let number = app.state.record_request(record);
    app.state.say(&format!("{method} {path}"));

    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(Number(number));
    let fault = call.and_then(|call| app.state.fault(call));
    let response = with_fault(fault, request, next).await;
    if is_dropped(&response) {
        app.state.say("  dropped");
    } else {
        app.state.say(&format!("  {}", response.status()));
        app.state.annotate(number, |record| record.status = Some(response.status().as_u16()));
    }
    response
}

/// The index of a request in the list of all requests.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) usize);

fn record(parts: &Parts, body: &Bytes) -> state::Request {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = parts.headers.iter();
    state::Request {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: match body.as_ref() {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes).unwrap_or_else(|_| Value::from(text(bytes))),
        },
        status: None,
        messages: Vec::new(),
        close_code: None,
    }
}

async fn with_fault(fault: Option<How>, mut request: Request, next: Next) -> Response {
    let ending = request.extensions().get::<Ending>().cloned().unwrap_or_default();
    match fault {
        Some(How::Status(status, body)) => (code(status), Json(body)).into_response(),
        Some(How::Text(status, body)) => (code(status), body).into_response(),
        Some(How::Garbage) => ([(header::CONTENT_TYPE, "text/html")], "<!doctype html><title>").into_response(),
        Some(How::Hang) => pending().await,
        Some(How::Reset) => {
            ending.reset();
            dropped()
        }
        Some(How::TookEffectThenDropped) => {
            next.run(request).await;
            dropped()
        }
        Some(How::Slow(time)) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Some(How::CloseWith(code)) => {
            request.extensions_mut().insert(CloseAtOnce(code));
            next.run(request).await
        }
        // No fault: `Fault::is_meaningful` rules out all others.
        _ => next.run(request).await,
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn authorized(Shared(app): Shared<App>, request: Request, next: Next) -> Response {
    match authorization_error(&app.state, request.headers()) {
        Some(rejection) => rejection,
        None => next.run(request).await,
    }
}

/// The error response if the request is not authorized.
pub(super) fn authorization_error(state: &State, headers: &HeaderMap) -> Option<Response> {
    if !headers.contains_key("client-version") {
        let message = "The header Client-Version is missing. Newer clients send it.";
        return Some((StatusCode::UPGRADE_REQUIRED, Json(json!({"message": message}))).into_response());
    }
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = state.look(|facts| facts.token.clone());
    if said == authorization(&token) {
        return None;
    }
    if said.ends_with(&token) {
        state.violated("the token is right, but its scheme must be ApiToken if it contains a '-', otherwise Token");
    }
    Some(rejected(StatusCode::UNAUTHORIZED, "Invalid token."))
}

/// Newer tokens contain a `-`. Each kind has its own scheme.
fn authorization(token: &str) -> String {
    let scheme = if token.contains('-') { "ApiToken" } else { "Token" };
    format!("{scheme} {token}")
}

async fn me(Shared(app): Shared<App>) -> Json<Value> {
    let user = app.state.look(|facts| {
        let default = facts.workspaces.iter().find(|workspace| workspace.default);
        let account = default.map(|workspace| json!({"slug": workspace.slug, "name": workspace.name}));
        json!({"username": facts.username, "default_account": account})
    });
    Json(user)
}

async fn memberships(Shared(app): Shared<App>) -> Json<Value> {
    let membership = |(number, workspace): (usize, &Workspace)| {
        json!({
            "account": {"id": number + 1, "slug": workspace.slug, "name": workspace.name},
            "is_admin": workspace.admin,
            "is_default_account": workspace.default,
        })
    };
    Json(app.state.look(|facts| facts.workspaces.iter().enumerate().map(membership).collect()))
}

async fn backend_options(Shared(app): Shared<App>, Path(slug): Path<String>) -> Response {
    app.state.look(|facts| {
        let Some(workspace) = facts.workspace(&slug) else {
            return not_a_member();
        };
        match &workspace.connection {
            Some(connection) => Json(connection.readable()).into_response(),
            None => unconfigured(facts),
        }
    })
}

fn unconfigured(facts: &Facts) -> Response {
    let (status, body) = &facts.unconfigured;
    (code(*status), Json(body.clone())).into_response()
}

/// Also the response for a workspace that does not exist, so only members can tell the difference.
pub(super) fn not_a_member() -> Response {
    rejected(StatusCode::FORBIDDEN, "You are not a member of this workspace.")
}

async fn disconnect(Shared(app): Shared<App>, Path(slug): Path<String>, uri: Uri) -> Response {
    let (response, disconnected) = app.state.change(|facts| {
        let Some(workspace) = facts.workspace_mut(&slug) else {
            return (not_a_member(), false);
        };
        let response = match &workspace.confirmation {
            _ if !workspace.admin => rejected(StatusCode::FORBIDDEN, "Only an admin can do this."),
            _ if workspace.connection.is_none() => rejected(StatusCode::NOT_FOUND, "Not found."),
            Some(detail) if !is_confirmed(&uri) => confirmation_required(detail),
            _ => {
                workspace.connection = None;
                return (Json(json!({})).into_response(), true);
            }
        };
        (response, false)
    });
    if disconnected {
        app.state.say(&format!("  {slug} now holds null"));
    }
    response
}

fn is_confirmed(uri: &Uri) -> bool {
    Query::<Vec<(String, String)>>::try_from_uri(uri)
        .is_ok_and(|Query(pairs)| pairs.iter().any(|(name, value)| name == "confirm" && value == "1"))
}

fn confirmation_required(detail: &str) -> Response {
    (StatusCode::CONFLICT, Json(json!({"action_required": "confirm", "detail": detail}))).into_response()
}

/// The client's telemetry. It is validated and discarded.
async fn interaction(Json(body): Json<Value>) -> Response {
    match (body.get("action").and_then(Value::as_str), body.get("success")) {
        (Some(_), Some(Value::Bool(_))) => Json(json!({})).into_response(),
        _ => rejected(StatusCode::BAD_REQUEST, "An interaction needs the fields action and success."),
    }
}
