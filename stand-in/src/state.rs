//! The stand-in's state: one user, its workspaces, their connections, and all requests so far.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::faults::{Call, Faults, How};
use super::mask::masked;

/// A workspace's connection: the `data` of a registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// The `data` as it was registered, including the credentials.
    pub data: Value,
}

impl Connection {
    /// The id of the key that Coiled would use. Empty if the connection has no key.
    pub fn access_key_id(&self) -> String {
        self.text("/options/credentials/aws_access_key")
    }

    /// The secret of that key.
    pub fn secret_access_key(&self) -> String {
        self.text("/options/credentials/aws_secret_key")
    }

    /// The default region.
    pub fn region(&self) -> String {
        self.text("/options/aws_region_name")
    }

    /// The part that the server shows: everything except the credentials.
    pub fn readable(&self) -> Value {
        let mut data = self.data.clone();
        for (part, secret) in [("options", "credentials"), ("registry", "credentials"), ("registry", "password")] {
            if let Some(fields) = data.get_mut(part).and_then(Value::as_object_mut) {
                fields.remove(secret);
            }
        }
        data
    }

    fn text(&self, pointer: &str) -> String {
        self.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// One HTTP request. A WebSocket counts as the request that opened it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// Names (in lower case) and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body: JSON, a string if it is not JSON, or null if it is empty.
    pub body: Value,
    /// The status of the response. `None` while there is no response, and if the connection was dropped.
    pub status: Option<u16>,
    /// The client's messages on the WebSocket: JSON, or a string if a message is not JSON.
    pub messages: Vec<Value>,
    /// The close code that the client sent.
    pub close_code: Option<u16>,
}

impl Request {
    /// The first header with that name. `name` must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The call that this request is, if faults can be injected into it.
    pub fn call(&self) -> Option<Call> {
        let path = self.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (self.method.as_str(), parts.as_slice()) {
            ("GET", ["api", "v2", "user", "me"]) => Some(Call::Me),
            ("GET", ["api", "v2", "user", "me", "memberships"]) => Some(Call::Memberships),
            ("GET", ["api", "v1", _, "backend_options", ""]) => Some(Call::BackendOptions),
            ("DELETE", ["api", "v2", "cloud-credentials", _, "aws"]) => Some(Call::Disconnect),
            ("GET", ["ws", "api", "v1", _, "cluster-info", ""]) => Some(Call::WsUpgrade),
            _ => None,
        }
    }
}

/// How the stand-in rejects a WebSocket if the token or the workspace is wrong. Real servers may do either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The upgrade fails with 403.
    Upgrade,
    /// The upgrade succeeds, and the server closes the connection with 4403.
    Close4403,
}

/// A workspace that the user is a member of.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) default: bool,
    pub(super) admin: bool,
    pub(super) connection: Option<Connection>,
    pub(super) confirmation: Option<String>,
}

impl Workspace {
    pub(super) fn new(slug: &str, name: &str, default: bool) -> Self {
        Self { slug: slug.into(), name: name.into(), default, admin: true, connection: None, confirmation: None }
    }
}

/// Everything that can change while the stand-in runs.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) username: String,
    pub(super) token: String,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) requests: Vec<Request>,
    pub(super) violations: Vec<String>,
    pub(super) faults: Faults,
    pub(super) refusal: Refusal,
    pub(super) unconfigured: (u16, Value),
    pub(super) sts: Option<String>,
}

impl Facts {
    pub(super) fn workspace(&self, slug: &str) -> Option<&Workspace> {
        self.workspaces.iter().find(|workspace| workspace.slug == slug)
    }

    pub(super) fn workspace_mut(&mut self, slug: &str) -> Option<&mut Workspace> {
        self.workspaces.iter_mut().find(|workspace| workspace.slug == slug)
    }
}

/// The facts, shared by all connections and the test.
#[derive(Debug)]
pub(super) struct State {
    facts: Mutex<Facts>,
    changes: watch::Sender<()>,
    say: fn(&str),
}

impl State {
    /// The state with a user `ada` who has no workspaces.
    pub(super) fn new(token: &str, say: fn(&str)) -> Self {
        let facts = Facts {
            username: "ada".into(),
            token: token.into(),
            workspaces: Vec::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            faults: Faults::default(),
            refusal: Refusal::Upgrade,
            // A new workspace runs on Coiled's own cloud, which the published client knows as `vm_aws` (its
            // `utils.is_customer_hosted`). It is unknown whether Coiled then shows a region. The stand-in shows one,
            // because that makes the workspace harder to recognize as unconnected.
            unconfigured: (200, json!({"backend": "vm_aws", "options": {"aws_region_name": "us-east-1"}})),
            sts: None,
        };
        Self { facts: Mutex::new(facts), changes: watch::Sender::new(()), say }
    }

    pub(super) fn look<T>(&self, at: impl FnOnce(&Facts) -> T) -> T {
        at(&self.facts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, with: impl FnOnce(&mut Facts) -> T) -> T {
        let changed = with(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_replace(());
        changed
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    pub(super) fn say(&self, line: &str) {
        (self.say)(line);
    }

    pub(super) fn fault(&self, call: Call) -> Option<How> {
        self.change(|facts| facts.faults.take(call))
    }

    /// Records a request and returns its index in the list of requests.
    pub(super) fn record_request(&self, request: Request) -> usize {
        self.change(|facts| {
            facts.requests.push(request);
            facts.requests.len() - 1
        })
    }

    pub(super) fn annotate(&self, request: usize, note: impl FnOnce(&mut Request)) {
        self.change(|facts| facts.requests.get_mut(request).map(note));
    }

    /// Records that the client violated the protocol. A test can check for violations at the end.
    pub(super) fn violated(&self, what: &str) {
        self.say(&format!("  VIOLATION: {what}"));
        self.change(|facts| facts.violations.push(what.to_owned()));
    }

    pub(super) fn connected(&self, slug: &str, connection: Connection) {
        self.say(&format!("  {slug} now holds {}", masked(&connection.data)));
        self.change(|facts| {
            if let Some(workspace) = facts.workspace_mut(slug) {
                workspace.connection = Some(connection);
            }
        });
    }
}
