//! The bucket behind the ResponseURL, as strict as CloudFormation.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

use super::locked;
use super::serve::{Server, serve};

/// A recognisable signature: whoever has it could answer in the function's place.
pub const SIGNATURE: &str = "c0ffee5ignature0fthere5ponseur1";

/// One PUT.
#[derive(Debug, Clone)]
pub struct Put {
    /// The bytes.
    pub body: Vec<u8>,
    /// What CloudFormation would not take in it.
    pub faults: Vec<String>,
}

#[derive(Default)]
struct Facts {
    puts: Vec<Put>,
    refusals: u32,
}

/// A bucket that remembers.
#[derive(Clone)]
pub struct Bucket {
    facts: Arc<Mutex<Facts>>,
    server: Arc<Server>,
}

impl Bucket {
    /// An empty one.
    pub async fn start() -> Self {
        let facts = Arc::new(Mutex::new(Facts::default()));
        let router = Router::new().fallback(take).with_state(facts.clone());
        Self { facts, server: Arc::new(serve(router).await) }
    }

    /// The pre-signed URL for one request.
    pub fn url(&self, request_id: &str) -> String {
        format!(
            "{}/bucket/{request_id}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SIGNATURE}",
            self.server.url()
        )
    }

    /// Everything that was put, refused or not.
    pub fn puts(&self) -> Vec<Put> {
        locked(&self.facts).puts.clone()
    }

    /// Refuses the next PUTs with 503.
    pub fn refuse(&self, times: u32) {
        locked(&self.facts).refusals = times;
    }
}

async fn take(
    State(facts): State<Arc<Mutex<Facts>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let mut facts = locked(&facts);
    let faults = faults(&method, &uri, &headers, &body);
    facts.puts.push(Put { body: body.to_vec(), faults });
    if facts.refusals > 0 {
        facts.refusals -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

/// What is wrong with an answer, by "Custom resource response objects" of the CloudFormation user guide.
fn faults(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let data_is_text =
        value.get("Data").is_none_or(|data| data.as_object().is_some_and(|map| map.values().all(Value::is_string)));
    let known = ["Status", "Reason", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId", "Data"];
    let rules = [
        (*method == Method::PUT, "it is not a PUT"),
        (uri.query().is_some_and(|query| query.contains(SIGNATURE)), "the signature is missing"),
        // The URL is signed for an empty Content-Type.
        (headers.get("content-type").is_none_or(|value| value.is_empty()), "Content-Type is not empty"),
        (body.len() <= 4096, "it is longer than 4,096 bytes"),
        (matches!(text("Status"), "SUCCESS" | "FAILED"), "Status is neither SUCCESS nor FAILED"),
        (text("Status") != "FAILED" || !text("Reason").is_empty(), "Reason is missing"),
        ((1..=1024).contains(&text("PhysicalResourceId").len()), "PhysicalResourceId has not 1 to 1,024 bytes"),
        (
            ["StackId", "RequestId", "LogicalResourceId"].iter().all(|field| value.get(field).is_some()),
            "the request is not echoed",
        ),
        (data_is_text, "Data holds more than texts"),
        (value.as_object().is_some_and(|map| map.keys().all(|key| known.contains(&key.as_str()))), "an unknown field"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned()).collect()
}
