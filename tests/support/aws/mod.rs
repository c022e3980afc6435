//! The layer before the emulator: what AWS does and moto does not, faults on request, and a record of every call.
//!
//! Each test has a layer of its own, and behind it an account of its own, so tests run in parallel.

mod call;
mod fault;
mod iam;
mod keys;
mod reply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

pub use call::{AwsCall, round_trips};
pub use fault::{AwsFault, AwsHow};
use keys::Key;

use super::serve::{Server, serve};
use super::{locked, moto};

/// The key id of the function's own credentials.
pub const FUNCTION_KEY: &str = "ASIAFUNCTION00000000";

/// One account, as the function sees it.
#[derive(Clone)]
pub struct Aws {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

struct Shared {
    account: String,
    http: reqwest::Client,
    facts: Mutex<Facts>,
}

/// What the layer knows beside the emulator.
#[derive(Default)]
struct Facts {
    calls: Vec<AwsCall>,
    faults: Vec<AwsFault>,
    keys: BTreeMap<String, Key>,
    /// How STS answers a new key, call after call, until it always works.
    key_pattern: Vec<bool>,
    disabled_regions: BTreeSet<String>,
    boundaries: BTreeMap<String, String>,
    credentials: BTreeMap<String, Vec<String>>,
}

impl Aws {
    /// A new account.
    pub async fn start() -> Self {
        static ACCOUNTS: AtomicU64 = AtomicU64::new(100_000_000_001);
        let shared = Arc::new(Shared {
            account: ACCOUNTS.fetch_add(1, Ordering::SeqCst).to_string(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            facts: Mutex::default(),
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        Self { shared, server: Arc::new(serve(router).await) }
    }

    /// The endpoint for every service.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Twelve digits.
    pub fn account(&self) -> &str {
        &self.shared.account
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<AwsCall> {
        locked(&self.shared.facts).calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        locked(&self.shared.facts).calls.clear();
    }

    /// The names of the actions so far.
    pub fn actions(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.action).collect()
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: AwsFault) {
        locked(&self.shared.facts).faults.push(fault);
    }

    /// All goes well again.
    pub fn clear_faults(&self) {
        locked(&self.shared.facts).faults.clear();
    }

    /// How STS answers each new key from now on: `false` is InvalidClientTokenId, and after the last one it works.
    pub fn key_pattern(&self, pattern: &[bool]) {
        locked(&self.shared.facts).key_pattern = pattern.to_vec();
    }

    /// A region that the account has not enabled.
    pub fn disable_region(&self, region: &str) {
        locked(&self.shared.facts).disabled_regions.insert(region.to_owned());
    }

    /// A service-specific credential in a user, which moto does not know.
    pub fn add_service_specific_credential(&self, user: &str, id: &str) {
        locked(&self.shared.facts).credentials.entry(user.to_owned()).or_default().push(id.to_owned());
    }

    /// The boundary of a user, if it has one.
    pub fn boundary(&self, user: &str) -> Option<String> {
        locked(&self.shared.facts).boundaries.get(user).cloned()
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut call = AwsCall::read(&headers, &body);
    let began = std::time::Instant::now();
    let fault = fault::take(&mut locked(&shared.facts).faults, &call);
    let reply = match fault {
        Some(how) => fault::play(&shared, how, &call, (method, uri, headers, body)).await,
        None => shared.answer(&call, method, uri, headers, body).await,
    };
    (call.status, call.error_code) = (reply.status, reply.error_code());
    call.span = Some((began, std::time::Instant::now()));
    if call.access_key_id != super::account::TEST_KEY {
        locked(&shared.facts).calls.push(call);
    }
    reply.into_response()
}

impl Shared {
    /// The answer of the layer where it has one, else of moto.
    async fn answer(&self, call: &AwsCall, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> reply::Reply {
        if call.service == "sts" {
            return self.caller_identity(call).await;
        }
        if let Some(reply) = self.before(call).await {
            return reply;
        }
        let reply = self.forward(method, uri, headers, body).await;
        self.after(call, reply)
    }

    async fn forward(&self, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> reply::Reply {
        headers.remove("host");
        headers.remove("content-length");
        let url = format!("{}{uri}", moto::url(&self.account));
        let request = self.http.request(method, url).headers(headers).header("x-moto-account-id", &self.account);
        reply::Reply::read(request.body(body).send().await.expect("moto answers")).await
    }

    /// Asks moto something of the layer's own.
    async fn ask(&self, service: &str, params: &[(&str, &str)]) -> String {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={FUNCTION_KEY}/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        );
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let request = self.http.post(moto::url(&self.account)).header("authorization", authorization);
        let request = request
            .header("x-moto-account-id", &self.account)
            .header("host", format!("{service}.us-east-1.amazonaws.com"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        request.send().await.expect("moto answers").text().await.unwrap()
    }
}
