//! The S3 bucket behind the ResponseURL. It checks every response as strictly as CloudFormation.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::locked;
use super::serve::{Server, dropped, serve};

/// The signature of the ResponseURL. It is a secret: with it, anyone could respond in place of the function.
pub const SIGNATURE: &str = "c4n4ry5ignature0fthere5ponseur1";

/// One PUT request that the bucket received.
#[derive(Debug, Clone)]
pub struct Put {
    pub body: Vec<u8>,
    /// Why CloudFormation would not accept the response. Empty if it is valid.
    pub faults: Vec<String>,
    /// Whether the bucket replied with status 200.
    pub confirmed: bool,
}

/// An injected fault of a PUT. Only `StoredThenReset` stores the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutHow {
    /// The bucket replies with this HTTP status.
    Status(u16),
    /// The bucket closes the connection without a reply.
    Reset,
    /// The bucket sends no reply and keeps the connection open.
    Hang,
    /// The bucket stores the response and closes the connection without a reply.
    StoredThenReset,
}

#[derive(Default)]
struct Facts {
    puts: Vec<Put>,
    faults: Vec<(PutHow, u32)>,
    /// By URL path: the request fields that the response must repeat.
    echoes: BTreeMap<String, BTreeMap<&'static str, Value>>,
}

/// The bucket of one test. It keeps every PUT.
#[derive(Clone)]
pub struct Bucket {
    facts: Arc<Mutex<Facts>>,
    server: Arc<Server>,
}

impl Bucket {
    pub async fn start() -> Self {
        let facts = Arc::new(Mutex::new(Facts::default()));
        let router = Router::new().fallback(take).with_state(facts.clone());
        Self { facts, server: Arc::new(serve(router).await) }
    }

    /// Host and port.
    pub fn host(&self) -> String {
        self.server.url().replace("http://", "")
    }

    /// The presigned URL for the response to one request.
    pub fn url(&self, request_id: &str) -> String {
        format!(
            "{}/bucket/{request_id}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SIGNATURE}",
            self.server.url()
        )
    }

    /// Records which fields of the event its response must repeat. Fields that are not strings are left out.
    pub fn expect(&self, event: &Value) {
        let Some(url) = event["ResponseURL"].as_str().and_then(|url| url::Url::parse(url).ok()) else { return };
        let echo = ["StackId", "RequestId", "LogicalResourceId"].map(|field| (field, event[field].clone()));
        let echo = echo.into_iter().filter(|(_, value)| value.is_string()).collect();
        locked(&self.facts).echoes.insert(url.path().to_owned(), echo);
    }

    /// All PUTs in order of arrival, including those that were hit by a fault.
    pub fn puts(&self) -> Vec<Put> {
        locked(&self.facts).puts.clone()
    }

    /// Clears the recorded PUTs.
    pub fn forget(&self) {
        locked(&self.facts).puts.clear();
    }

    /// Rejects the next `times` PUTs with status 503.
    pub fn reject(&self, times: u32) {
        self.fault(PutHow::Status(503), times);
    }

    /// Injects a fault into the next `times` PUTs. `u32::MAX` means every PUT until the faults are cleared.
    pub fn fault(&self, how: PutHow, times: u32) {
        locked(&self.facts).faults.push((how, times));
    }

    pub fn clear_faults(&self) {
        locked(&self.facts).faults.clear();
    }
}

impl Facts {
    fn take_fault(&mut self) -> Option<PutHow> {
        let (how, times) = self.faults.iter_mut().find(|(_, times)| *times > 0)?;
        if *times != u32::MAX {
            *times -= 1;
        }
        Some(*how)
    }

    fn take(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Option<PutHow> {
        let how = self.take_fault();
        let mut faults = faults(method, uri, headers, body);
        faults.extend(self.not_echoed(uri, body));
        self.puts.push(Put { body: body.to_vec(), faults, confirmed: how.is_none() });
        how
    }

    fn not_echoed(&self, uri: &Uri, body: &[u8]) -> Vec<String> {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let echo = self.echoes.get(uri.path()).cloned().unwrap_or_default();
        let wrong = echo.into_iter().filter(|(field, expected)| value[*field] != *expected);
        wrong.map(|(field, _)| format!("{field} differs from the request")).collect()
    }
}

async fn take(
    State(facts): State<Arc<Mutex<Facts>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let how = locked(&facts).take(&method, &uri, &headers, &body);
    match how {
        None => StatusCode::OK.into_response(),
        Some(PutHow::Status(status)) => StatusCode::from_u16(status).expect("a status").into_response(),
        Some(PutHow::Hang) => pending().await,
        Some(PutHow::Reset | PutHow::StoredThenReset) => dropped(),
    }
}

/// Checks a response against "Custom resource response objects" in the CloudFormation user guide.
fn faults(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let data_is_text =
        value.get("Data").is_none_or(|data| data.as_object().is_some_and(|map| map.values().all(Value::is_string)));
    let known = ["Status", "Reason", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId", "Data"];
    let rules = [
        (*method == Method::PUT, "the method is not PUT"),
        (uri.query().is_some_and(|query| query.contains(SIGNATURE)), "the signature is missing"),
        // CloudFormation signs the URL for an empty Content-Type. S3 rejects any other.
        (headers.get("content-type").is_none_or(|value| value.is_empty()), "Content-Type is not empty"),
        (body.len() <= 4096, "the body is longer than 4,096 bytes"),
        (matches!(text("Status"), "SUCCESS" | "FAILED"), "Status is neither SUCCESS nor FAILED"),
        (text("Status") != "FAILED" || !text("Reason").is_empty(), "Reason is missing"),
        ((1..=1024).contains(&text("PhysicalResourceId").len()), "PhysicalResourceId is not 1 to 1,024 bytes long"),
        (
            ["StackId", "RequestId", "LogicalResourceId"].iter().all(|field| value.get(field).is_some()),
            "StackId, RequestId or LogicalResourceId is missing",
        ),
        (data_is_text, "Data is not an object of strings"),
        (
            value.as_object().is_some_and(|map| map.keys().all(|key| known.contains(&key.as_str()))),
            "a field is unknown",
        ),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned()).collect()
}
