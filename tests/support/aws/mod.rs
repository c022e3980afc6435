//! The layer before the emulator: what AWS does and moto does not, faults on request, and a record of every call.
//!
//! Each test has a layer of its own, and behind it an account of its own, so tests run in parallel.

mod aim;
mod authorization;
mod call;
mod conflicts;
mod document;
mod fault;
mod iam;
mod keys;
mod lag;
mod limits;
mod reply;
mod role;
mod seen;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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

/// The key id of the function's own credentials.
pub const FUNCTION_KEY: &str = "ASIAFUNCTION00000000";

/// The path at which the stand-in asks whether a key works.
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
    /// Told of each call that is over.
    changes: Notify,
    /// How many calls are being answered.
    at_work: watch::Sender<usize>,
}

/// What the layer knows beside the emulator.
#[derive(Default)]
struct Facts {
    calls: Vec<AwsCall>,
    faults: Vec<AwsFault>,
    aimed: aim::Aimed,
    seen: Seen,
    keys: BTreeMap<String, Key>,
    /// How STS answers a new key, call after call, until it always works.
    key_pattern: Vec<bool>,
    /// How long STS does not know a new key.
    key_delay: Duration,
    /// When rights arrive: of a service (`iam:*`), or to one action.
    rights: BTreeMap<&'static str, Instant>,
    lag: Lag,
    disabled_regions: BTreeSet<String>,
    boundaries: BTreeMap<String, String>,
    /// What nobody may ever print: secret keys that were made, tokens that were read.
    secrets: BTreeSet<String>,
    credentials: BTreeMap<String, Vec<String>>,
    /// The KMS key of each secret that has one of its own.
    secret_keys: BTreeMap<String, String>,
    role: Option<Arc<Role>>,
    /// What the role was asked for and lacks.
    denied: BTreeSet<String>,
}

impl Facts {
    fn take_fault(&mut self, call: &AwsCall) -> Option<AwsHow> {
        self.aimed.take(call).or_else(|| fault::take(&mut self.faults, call))
    }
}

impl Aws {
    /// A new account.
    pub async fn start() -> Self {
        static ACCOUNTS: AtomicU64 = AtomicU64::new(100_000_000_001);
        let shared = Arc::new(Shared {
            account: ACCOUNTS.fetch_add(1, Ordering::SeqCst).to_string(),
            // All is on loopback: no certificate has to be read and trusted for each test.
            http: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap(),
            facts: Mutex::default(),
            changes: Notify::new(),
            at_work: watch::Sender::new(0),
        });
        let router = Router::new().fallback(handle).with_state(shared.clone());
        Self { shared, server: Arc::new(serve(router).await) }
    }

    /// The endpoint for every service.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The same for the stand-in, whose calls are not the function's.
    pub fn url_of_coiled(&self) -> String {
        format!("{}{COILED}", self.server.url())
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

    /// Waits until an action has been answered this many times.
    pub async fn until(&self, action: &str, times: usize) {
        loop {
            let change = self.shared.changes.notified();
            if self.actions().iter().filter(|other| *other == action).count() >= times {
                return;
            }
            change.await;
        }
    }

    /// Waits until every call that has arrived is done: a client that left does not stop them.
    pub async fn quiet(&self) {
        self.shared.at_work.subscribe().wait_for(|calls| *calls == 0).await.expect("the sender lives in self");
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: AwsFault) {
        locked(&self.shared.facts).faults.push(fault);
    }

    /// Lets one call go wrong, and perhaps those of its name that follow; an earlier aim is forgotten.
    pub fn aim(&self, aim: Aim) {
        locked(&self.shared.facts).aimed = aim::Aimed::at(aim);
    }

    /// How often the last aim has hit.
    pub fn hits(&self) -> usize {
        locked(&self.shared.facts).aimed.hits()
    }

    /// All goes well again.
    pub fn clear_faults(&self) {
        let mut facts = locked(&self.shared.facts);
        facts.faults.clear();
        facts.aimed = aim::Aimed::default();
    }

    /// How STS answers each new key from now on: `false` is InvalidClientTokenId, and after the last one it works.
    pub fn key_pattern(&self, pattern: &[bool]) {
        locked(&self.shared.facts).key_pattern = pattern.to_vec();
    }

    /// From now on IAM shows the function everything as it was this long ago.
    pub fn lag_by(&self, lag: Duration) {
        locked(&self.shared.facts).lag.by = lag;
    }

    /// STS knows no new key until this much later; the pattern comes then.
    pub fn keys_work_after(&self, delay: Duration) {
        locked(&self.shared.facts).key_delay = delay;
    }

    /// The function's role has the rights to a service (`iam:*`), or to one action, only after this time.
    pub fn rights_arrive(&self, rights: &'static str, after: Duration) {
        locked(&self.shared.facts).rights.insert(rights, Instant::now() + after);
    }

    /// A region that the account has not enabled.
    pub fn disable_region(&self, region: &str) {
        locked(&self.shared.facts).disabled_regions.insert(region.to_owned());
    }

    /// A service-specific credential in a user, which moto does not know.
    pub fn add_service_specific_credential(&self, user: &str, id: &str) {
        locked(&self.shared.facts).credentials.entry(user.to_owned()).or_default().push(id.to_owned());
    }

    /// Every secret key that was made here, and every token that was read: none of it may be printed anywhere.
    pub fn secrets(&self) -> Vec<String> {
        locked(&self.shared.facts).secrets.iter().cloned().collect()
    }

    /// The boundary of a user, if it has one.
    pub fn boundary(&self, user: &str) -> Option<String> {
        locked(&self.shared.facts).boundaries.get(user).cloned()
    }
}

/// In a task of its own: what has arrived is carried out, whether or not the client stays to hear of it.
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

/// One call that is being carried out.
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

/// A request as it arrived.
type Arrived = (Method, Uri, HeaderMap, Bytes);

async fn carry_out(shared: Arc<Shared>, at_work: AtWork, (method, uri, headers, body): Arrived) -> reply::Reply {
    let mut call = AwsCall::read(&headers, &body);
    call.by_coiled = uri.path().starts_with(COILED);
    let began = Instant::now();
    let refusal = shared.refusal(&call);
    let fault = locked(&shared.facts).take_fault(&call);
    // A call that hangs never does anything: nobody has to wait for its end.
    let _at_work = (!matches!(fault, Some(AwsHow::Hang))).then_some(at_work);
    let reply = match (refusal, fault) {
        (Some(refusal), _) => refusal,
        (None, Some(how)) => fault::play(&shared, how, &call, (method, uri, headers, body)).await,
        (None, None) => shared.answer(&call, method, uri, headers, body).await,
    };
    (call.status, call.error_code) = (reply.status, reply.error_code());
    call.span = Some((began, Instant::now()));
    if call.access_key_id != super::account::TEST_KEY {
        locked(&shared.facts).calls.push(call);
        shared.changes.notify_waiters();
    }
    reply
}

impl Shared {
    /// The answer of the layer where it has one, else of moto.
    async fn answer(&self, call: &AwsCall, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> reply::Reply {
        if let Some(denial) = self.not_yet_allowed(call) {
            return denial;
        }
        if call.service == "sts" {
            return self.caller_identity(call);
        }
        if let Some(reply) = Box::pin(self.answer_of_the_past(call)).await {
            return reply;
        }
        let past = Box::pin(self.before_change(call)).await;
        let reply = self.answer_now(call, (method, uri, headers, body)).await;
        if (200..300).contains(&reply.status) {
            self.note_change(past);
        }
        reply
    }

    async fn answer_now(&self, call: &AwsCall, (method, uri, headers, body): Arrived) -> reply::Reply {
        if let Some(reply) = Box::pin(self.before(call)).await {
            return reply;
        }
        let reply = Box::pin(self.forward(method, uri, headers, body)).await;
        match call.action.as_str() {
            "GetSecretValue" => self.note_secret(&reply),
            "CreateSecret" => self.note_key_of_secret(call, &reply),
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

    /// Asks moto's IAM something of the layer's own. Boxed, as it is used in many places and requests are large.
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

    /// Notes what a reply gave away that nobody may print.
    fn note_secret(&self, reply: &reply::Reply) {
        let value: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let Some(text) = value["SecretString"].as_str() else { return };
        let inner = serde_json::from_str(text)
            .ok()
            .and_then(|json: serde_json::Value| json["token"].as_str().map(str::to_owned));
        let token = inner.unwrap_or_else(|| text.trim().to_owned());
        // `{}` and the like are no secrets, and stand in every log line.
        if token.len() >= 8 {
            locked(&self.facts).secrets.insert(token);
        }
    }
}
