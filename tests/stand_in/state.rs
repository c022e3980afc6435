//! What the stand-in knows: one user, the workspaces, what each holds, and all that was asked.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::faults::{Call, Faults, How};
use super::mask::masked;

/// What a workspace holds: the `data` of a registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    /// As it was registered, with its credentials.
    pub data: Value,
}

impl Connection {
    /// The id of the key that Coiled would use; empty where there is none.
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

    /// What the server shows of it: all but the credentials.
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

/// One HTTP request; a WebSocket is the request that asked for it.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, in the order of their arrival.
    pub headers: Vec<(String, String)>,
    /// The body; text where it isn't JSON, null where there is none.
    pub body: Value,
    /// The status that was answered; none while it hangs, or where the connection was dropped.
    pub status: Option<u16>,
    /// What the client said over the WebSocket; text where it isn't JSON.
    pub messages: Vec<Value>,
    /// The code that the client closed the WebSocket with.
    pub close_code: Option<u16>,
}

impl Request {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Which of the calls that can go wrong this is, if any.
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

/// How a WebSocket is turned down when the token or the workspace is wrong: real servers do either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The upgrade is answered 403.
    Upgrade,
    /// The upgrade succeeds, and the connection is closed with 4403.
    Close4403,
}

/// A workspace that the user belongs to.
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

/// All that changes while the stand-in runs.
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

/// The facts, shared between connections and tests.
#[derive(Debug)]
pub(super) struct State {
    facts: Mutex<Facts>,
    changes: watch::Sender<()>,
    say: fn(&str),
}

impl State {
    /// A user "ada" without workspaces.
    pub(super) fn new(token: &str, say: fn(&str)) -> Self {
        let facts = Facts {
            username: "ada".into(),
            token: token.into(),
            workspaces: Vec::new(),
            requests: Vec::new(),
            violations: Vec::new(),
            faults: Faults::default(),
            refusal: Refusal::Upgrade,
            // Nobody here knows what the real server answers; "vm" without a provider is the harder case to tell.
            unconfigured: (200, json!({"backend": "vm", "options": {"aws_region_name": "us-east-1"}})),
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

    /// Takes down a request; its place in the list is how it is spoken of later.
    pub(super) fn requested(&self, request: Request) -> usize {
        self.change(|facts| {
            facts.requests.push(request);
            facts.requests.len() - 1
        })
    }

    pub(super) fn annotate(&self, request: usize, note: impl FnOnce(&mut Request)) {
        self.change(|facts| facts.requests.get_mut(request).map(note));
    }

    /// The client broke the protocol: a test can ask for these at its end.
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
