//! A layer in front of moto. It adds AWS behavior that moto lacks, injects faults and records every call.
//!
//! Each test has its own layer and its own account, so tests run in parallel.

mod aim;
mod authorization;
mod boundaries;
mod call;
mod conflicts;
mod document;
mod fault;
mod iam;
mod keys;
mod lag;
mod limits;
mod pages;
mod reply;
mod role;
mod seen;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

pub use aim::Aim;
pub use call::{AwsCall, round_trips};
pub use fault::{AwsFault, AwsHow};
use keys::Key;
use lag::Lag;
pub use role::Role;
use seen::Seen;

use super::serve::{Server, serve};
use super::{locked, moto};

/// The access key ID of the function's credentials.
pub const FUNCTION_KEY: &str = "ASIAFUNCTION00000000";

/// The URL path of the stand-in's calls, with which it checks whether a key works.
const COILED: &str = "/coiled";

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
    /// Notified when a call has completed.
    changes: Notify,
    /// The number of calls in progress.
    at_work: watch::Sender<usize>,
}

/// The state of the layer, in addition to moto's.
#[derive(Default)]
struct Facts {
    calls: Vec<AwsCall>,
    faults: Vec<AwsFault>,
    aimed: aim::Aimed,
    seen: Seen,
    keys: BTreeMap<String, Key>,
    /// The results of the first calls with a new key. After the last one, every call succeeds.
    key_pattern: Vec<bool>,
    /// How long STS rejects a new key.
    key_delay: Duration,
    /// When the permissions for a service (`iam:*`) or for one action take effect.
    permission_arrivals: BTreeMap<&'static str, Instant>,
    lag: Lag,
    disabled_regions: BTreeSet<String>,
    boundaries: BTreeMap<String, String>,
    /// Keys of a user beyond the two that moto allows.
    further_keys: BTreeMap<String, Vec<String>>,
    /// The secret access keys that were created and the tokens that were read. They must never be printed.
    secrets: BTreeSet<String>,
    credentials: BTreeMap<String, Vec<String>>,
    /// The customer managed KMS keys, by secret ARN.
    secret_keys: BTreeMap<String, String>,
    /// The full ARNs of the secrets.
    secret_arns: BTreeSet<String>,
    role: Option<Arc<Role>>,
    /// The requests that the role denied.
    denied: BTreeSet<String>,
}

impl Facts {
    fn take_fault(&mut self, call: &AwsCall) -> Option<AwsHow> {
        self.aimed.take(call).or_else(|| fault::take(&mut self.faults, call))
    }
}

impl Aws {
    /// Starts a layer with a new account.
    pub async fn start() -> Self {
        static ACCOUNTS: AtomicU64 = AtomicU64::new(100_000_000_001);
        let shared = Arc::new(Shared {
            account: ACCOUNTS.fetch_add(1, Ordering::SeqCst).to_string(),
            // All traffic is plain HTTP on the loopback interface. Loading the trusted certificates would slow every
            // test.
            http: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
            facts: Mutex::default(),
            changes: Notify::new(),
            at_work: watch::Sender::new(0),
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        Self { shared, server: Arc::new(serve(router).await) }
    }

    /// The endpoint of every service.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The endpoint for the stand-in. It separates the stand-in's calls from the function's.
    pub fn url_of_coiled(&self) -> String {
        format!("{}{COILED}", self.server.url())
    }

    /// The account ID, twelve digits.
    pub fn account(&self) -> &str {
        &self.shared.account
    }

    /// All calls so far in order of completion, without the test's own calls.
    pub fn calls(&self) -> Vec<AwsCall> {
        locked(&self.shared.facts).calls.clone()
    }

    /// Clears the recorded calls.
    pub fn forget_calls(&self) {
        locked(&self.shared.facts).calls.clear();
    }

    /// The action of every recorded call.
    pub fn actions(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.action).collect()
    }

    /// Waits until an action has completed this many times.
    pub async fn until(&self, action: &str, times: usize) {
        loop {
            let change = self.shared.changes.notified();
            if self.actions().iter().filter(|other| *other == action).count() >= times {
                return;
            }
            change.await;
        }
    }

    /// Waits until every received call has completed. Calls continue even if their client has disconnected.
    pub async fn quiet(&self) {
        self.shared.at_work.subscribe().wait_for(|calls| *calls == 0).await.expect("the sender lives in self");
    }

    /// Injects a fault.
    pub fn fault(&self, fault: AwsFault) {
        locked(&self.shared.facts).faults.push(fault);
    }

    /// Injects a fault into one call, or also into later calls with the same name. It replaces an earlier aim.
    pub fn aim(&self, aim: Aim) {
        locked(&self.shared.facts).aimed = aim::Aimed::at(aim);
    }

    /// How many calls the current aim has hit.
    pub fn hits(&self) -> usize {
        locked(&self.shared.facts).aimed.hits()
    }

    /// Removes all faults and the current aim.
    pub fn clear_faults(&self) {
        let mut facts = locked(&self.shared.facts);
        facts.faults.clear();
        facts.aimed = aim::Aimed::default();
    }

    /// Sets the results of the first calls with each new key. `false` means InvalidClientTokenId. After the last one,
    /// every call succeeds.
    pub fn key_pattern(&self, pattern: &[bool]) {
        locked(&self.shared.facts).key_pattern = pattern.to_vec();
    }

    /// Makes the function's IAM reads stale by this time from now on.
    pub fn lag_by(&self, lag: Duration) {
        locked(&self.shared.facts).lag.by = lag;
    }

    /// Makes STS reject each new key for this time. The key pattern applies after it.
    pub fn keys_work_after(&self, delay: Duration) {
        locked(&self.shared.facts).key_delay = delay;
    }

    /// Records that a key was used, as GetAccessKeyLastUsed shows it. Calls to this layer's STS are recorded
    /// automatically.
    pub fn key_was_used(&self, id: &str, service: &str, region: &str, at: SystemTime) {
        if let Some(key) = locked(&self.shared.facts).keys.get_mut(id) {
            key.was_used(service, region, at);
        }
    }

    /// Makes the role's permissions for a service (`iam:*`) or for one action take effect only after this time.
    pub fn permissions_arrive(&self, actions: &'static str, after: Duration) {
        locked(&self.shared.facts).permission_arrivals.insert(actions, Instant::now() + after);
    }

    /// Disables a region in this account.
    pub fn disable_region(&self, region: &str) {
        locked(&self.shared.facts).disabled_regions.insert(region.to_owned());
    }

    /// Adds a service-specific credential to a user. moto does not implement these credentials.
    pub fn add_service_specific_credential(&self, user: &str, id: &str) {
        locked(&self.shared.facts).credentials.entry(user.to_owned()).or_default().push(id.to_owned());
    }

    /// Every secret access key that was created and every token that was read. They must never be printed.
    pub fn secrets(&self) -> Vec<String> {
        locked(&self.shared.facts).secrets.iter().cloned().collect()
    }

    /// The permissions boundary of a user, if it has one.
    pub fn boundary(&self, user: &str) -> Option<String> {
        locked(&self.shared.facts).boundaries.get(user).cloned()
    }
}

/// Runs each call in its own task, because AWS completes a received call even if the client disconnects.
async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let at_work = AtWork::of(&shared);
    let reply = tokio::spawn(carry_out(shared, at_work, (method, uri, headers, body)));
    reply.await.expect("the layer does not panic").into_response()
}

/// Counts one call as in progress until it is dropped.
struct AtWork(watch::Sender<usize>);

impl AtWork {
    fn of(shared: &Shared) -> Self {
        shared.at_work.send_modify(|calls| *calls += 1);
        Self(shared.at_work.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

type Arrived = (Method, Uri, HeaderMap, Bytes);

async fn carry_out(shared: Arc<Shared>, at_work: AtWork, (method, uri, headers, body): Arrived) -> reply::Reply {
    let mut call = AwsCall::read(&headers, &body);
    call.by_coiled = uri.path().starts_with(COILED);
    let began = Instant::now();
    let denial = shared.denial(&call);
    let fault = locked(&shared.facts).take_fault(&call);
    // A call that hangs never completes, so `quiet` must not wait for it.
    let _at_work = (!matches!(fault, Some(AwsHow::Hang))).then_some(at_work);
    let reply = match (denial, fault) {
        (Some(denial), _) => denial,
        (None, Some(how)) => fault::play(&shared, how, &call, (method, uri, headers, body)).await,
        (None, None) => shared.respond(&call, method, uri, headers, body).await,
    }
    .with_request_id();
    (call.status, call.error_code) = (reply.status, reply.error_code());
    call.span = Some((began, Instant::now()));
    if call.access_key_id != super::account::TEST_KEY {
        locked(&shared.facts).calls.push(call);
        shared.changes.notify_waiters();
    }
    reply
}

impl Shared {
    /// The reply from this layer if it handles the call, otherwise from moto. If the reply is a list, only one page of
    /// it.
    async fn respond(&self, call: &AwsCall, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> reply::Reply {
        let body = pages::whole_list(call, body);
        let reply = self.respond_in_full(call, (method, uri, headers, body)).await;
        pages::page(call, self.with_bounded_entities(call, reply).await)
    }

    async fn respond_in_full(&self, call: &AwsCall, arrived: Arrived) -> reply::Reply {
        if let Some(denial) = self.not_yet_allowed(call) {
            return denial;
        }
        if call.service == "sts" {
            return self.caller_identity(call);
        }
        if let Some(reply) = Box::pin(self.stale_response(call)).await {
            return reply;
        }
        let past = Box::pin(self.before_change(call)).await;
        let reply = self.respond_now(call, arrived).await;
        if (200..300).contains(&reply.status) {
            self.note_change(past);
        }
        reply
    }

    async fn respond_now(&self, call: &AwsCall, (method, uri, headers, body): Arrived) -> reply::Reply {
        if let Some(reply) = Box::pin(self.before(call)).await {
            return reply;
        }
        let reply = Box::pin(self.forward(method, uri, headers, body)).await;
        match call.action.as_str() {
            "GetSecretValue" => self.note_secret(&reply),
            "CreateSecret" => self.note_new_secret(call, &reply),
            _ => {}
        }
        self.after(call, reply)
    }

    async fn forward(&self, method: Method, uri: Uri, mut headers: HeaderMap, body: Bytes) -> reply::Reply {
        headers.remove("host");
        headers.remove("content-length");
        let url = format!("{}{uri}", moto::url(&self.account));
        let request = self.http.request(method, url).headers(headers).header("x-moto-account-id", &self.account);
        reply::Reply::read(request.body(body).send().await.expect("moto answers")).await
    }

    /// Sends the layer's own IAM call to moto. The future is boxed because it is large and used in many places.
    fn look<'a>(&'a self, action: &'a str, params: &'a [(&'a str, &'a str)]) -> BoxFuture<'a, String> {
        let fields = [("Action", action), ("Version", "2010-05-08")].into_iter().chain(params.iter().copied());
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={FUNCTION_KEY}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x"
        );
        let request = self.http.post(moto::url(&self.account)).header("authorization", authorization);
        let request = request.header("x-moto-account-id", &self.account).header("host", "iam.amazonaws.com");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        Box::pin(async { request.send().await.expect("moto answers").text().await.expect("a text") })
    }

    /// Records the token in a reply to GetSecretValue as a secret.
    fn note_secret(&self, reply: &reply::Reply) {
        let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let Some(text) = value["SecretString"].as_str() else { return };
        let inner = serde_json::from_str(text)
            .ok()
            .and_then(|json: serde_json::Value| json["token"].as_str().map(str::to_owned));
        let token = inner.unwrap_or_else(|| text.trim().to_owned());
        // Short values such as `{}` are not secrets, and they occur in every log line.
        if token.len() >= 8 {
            locked(&self.facts).secrets.insert(token);
        }
    }
}
