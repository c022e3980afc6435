//! A minimal STS that accepts one key or every key. It starts at once; moto takes a second.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;

/// Returns the URL of an STS that accepts only this key, or every key if `None`. It stops when the test ends.
pub async fn knowing(key_id: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", post(get_caller_identity)).with_state(key_id);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn get_caller_identity(State(known): State<Option<&'static str>>, headers: HeaderMap) -> Response {
    let signature = headers["authorization"].to_str().unwrap();
    if known.is_none_or(|key_id| signature.contains(&format!("Credential={key_id}/"))) {
        "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>".into_response()
    } else {
        let body = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>";
        (StatusCode::FORBIDDEN, body).into_response()
    }
}
