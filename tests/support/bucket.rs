//! The bucket behind the ResponseURL, as strict as CloudFormation.

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

/// A recognisable signature: whoever has it could answer in the function's place.
pub const SIGNATURE: &str = "c4n4ry5ignature0fthere5ponseur1";

/// One PUT.
#[derive(Debug, Clone)]
pub struct Put {
    /// The bytes.
    pub body: Vec<u8>,
    /// What CloudFormation would not take in it.
    pub faults: Vec<String>,
    /// Whether the function was told that it is stored.
    pub confirmed: bool,
}

/// What goes wrong with a PUT; but for the last, nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutHow {
    /// This status.
    Status(u16),
    /// The connection ends without an answer.
    Reset,
    /// No answer, the connection stays open.
    Hang,
    /// It is stored, and the connection ends without an answer.
    StoredThenReset,
}

#[derive(Default)]
struct Facts {
    puts: Vec<Put>,
    faults: Vec<(PutHow, u32)>,
    /// By path: what the answer has to repeat of its request.
    echoes: BTreeMap<String, BTreeMap<&'static str, Value>>,
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

    /// Notes what the answer to an event has to repeat, as far as the event has it.
    pub fn expect(&self, event: &Value) {
        let Some(url) = event["ResponseURL"].as_str().and_then(|url| url::Url::parse(url).ok()) else { return };
        let echo = ["StackId", "RequestId", "LogicalResourceId"].map(|field| (field, event[field].clone()));
        let echo = echo.into_iter().filter(|(_, value)| value.is_string()).collect();
        locked(&self.facts).echoes.insert(url.path().to_owned(), echo);
    }

    /// Everything that was put, refused or not.
    pub fn puts(&self) -> Vec<Put> {
        locked(&self.facts).puts.clone()
    }

    /// Forgets everything that was put.
    pub fn forget(&self) {
        locked(&self.facts).puts.clear();
    }

    /// Refuses the next PUTs with 503.
    pub fn refuse(&self, times: u32) {
        self.fault(PutHow::Status(503), times);
    }

    /// Lets the next PUTs go wrong; `u32::MAX` times is for ever.
    pub fn fault(&self, how: PutHow, times: u32) {
        locked(&self.facts).faults.push((how, times));
    }

    /// All goes well again.
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
        wrong.map(|(field, _)| format!("{field} is not the request's")).collect()
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
