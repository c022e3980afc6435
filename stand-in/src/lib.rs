//! A stand-in for a Coiled server: stateful, over real HTTP and WebSocket, on loopback.
//!
//! It supports the calls that the genuine client makes to register an AWS key, and rejects everything that the client
//! would never send. A test can inject faults into every call.
//!
//! - `state`: the user, its workspaces and their connections.
//! - `http`, `websocket`: the two protocols. `roles`: role delegation.
//! - `rules`: the format of a registration. `verify`: checks a registered key with STS.
//! - `faults`: the faults that can be injected. `server`: connections, and how they break.
//!
//! Clusters, environments, login and everything else that Coiled does are not covered.

// A test that uses the stand-in wrongly must fail.
#![allow(clippy::expect_used)]

mod faults;
mod http;
mod mask;
mod roles;
mod rules;
mod server;
mod state;
mod verify;
mod websocket;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;

pub use faults::{Call, Fault, How};
pub use mask::masked;
pub use state::{Connection, Refusal, Request};

use server::Tasks;
use state::{State, Workspace};

/// The settings of a stand-in. The defaults suit tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1. 0 means any free port.
    pub port: u16,
    /// The only token that is accepted.
    pub token: String,
    /// The slug of the only workspace at the start.
    pub workspace: String,
    /// The display name of that workspace.
    pub workspace_name: String,
    /// The STS endpoint that verifies registered keys. Without one, every key is accepted.
    pub sts: Option<String>,
    /// Receives one line for each event, with secrets masked.
    pub say: fn(&str),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            token: "c4n4ry-of-ada-0123456789".into(),
            workspace: "ada".into(),
            workspace_name: "Ada's team".into(),
            sts: None,
            say: |_| {},
        }
    }
}

/// A running stand-in. Clones share it, and it stops when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct StandIn {
    state: Arc<State>,
    address: SocketAddr,
    // Dropping the last reference ends the server.
    _tasks: Arc<Tasks>,
}

impl StandIn {
    /// Starts on a free port. User `ada` has the token `c4n4ry-of-ada-0123456789` and is an admin of workspace `ada`.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts with other settings.
    ///
    /// # Panics
    ///
    /// If the port is in use.
    pub async fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await.expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State::new(&options.token, options.say));
        let workspace = Workspace::new(&options.workspace, &options.workspace_name, true);
        state.change(|facts| {
            facts.workspaces.push(workspace);
            facts.sts = options.sts;
        });
        let tasks = Arc::new(Tasks::default());
        let app = http::App { state: state.clone(), tasks: Arc::downgrade(&tasks) };
        tasks.spawn(server::serve(listener, http::router(app), Arc::downgrade(&tasks)));
        Self { state, address, _tasks: tasks }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that is accepted.
    pub fn token(&self) -> String {
        self.state.look(|facts| facts.token.clone())
    }

    /// Replaces the accepted token.
    pub fn set_token(&self, token: &str) {
        self.state.change(|facts| facts.token = token.into());
    }

    /// Renames the user.
    pub fn set_username(&self, username: &str) {
        self.state.change(|facts| facts.username = username.into());
    }

    /// Adds a workspace that the user administers. Replaces a workspace with the same slug. With `default`, no other
    /// workspace remains the default.
    pub fn add_workspace(&self, slug: &str, name: &str, default: bool) {
        self.state.change(|facts| {
            facts.workspaces.retain(|workspace| workspace.slug != slug);
            facts.workspaces.iter_mut().for_each(|workspace| workspace.default &= !default);
            facts.workspaces.push(Workspace::new(slug, name, default));
        });
    }

    /// Removes the user from a workspace.
    pub fn remove_workspace(&self, slug: &str) {
        self.state.change(|facts| facts.workspaces.retain(|workspace| workspace.slug != slug));
    }

    /// Removes the user from all workspaces.
    pub fn clear_workspaces(&self) {
        self.state.change(|facts| facts.workspaces.clear());
    }

    /// Sets whether the user is an admin. Other members can read the connection but not change it.
    pub fn set_admin(&self, slug: &str, admin: bool) {
        self.workspace(slug, |workspace| workspace.admin = admin);
    }

    /// The workspace's current connection.
    pub fn connection(&self, workspace: &str) -> Option<Connection> {
        self.state.look(|facts| facts.workspace(workspace)?.connection.clone())
    }

    /// The current connection of every workspace, with its slug.
    pub fn connections(&self) -> Vec<(String, Option<Connection>)> {
        let held = |workspace: &Workspace| (workspace.slug.clone(), workspace.connection.clone());
        self.state.look(|facts| facts.workspaces.iter().map(held).collect())
    }

    /// Connects the workspace without a registration, as a colleague could. `data` is not validated.
    pub fn connect(&self, workspace: &str, data: Value) {
        self.workspace(workspace, |workspace| workspace.connection = Some(Connection { data }));
    }

    /// Disconnects the workspace, as a colleague could.
    pub fn disconnect(&self, workspace: &str) {
        self.workspace(workspace, |workspace| workspace.connection = None);
    }

    /// Sets the response for the options of a workspace without a connection. The real server's response is unknown.
    pub fn when_unconfigured(&self, status: u16, body: Value) {
        self.state.change(|facts| facts.unconfigured = (status, body));
    }

    /// Makes DELETE fail with 409 unless the request has `?confirm=1`.
    pub fn ask_for_confirmation(&self, workspace: &str, detail: &str) {
        self.workspace(workspace, |workspace| workspace.confirmation = Some(detail.into()));
    }

    /// Sets how a WebSocket with a wrong token or workspace is rejected. By default, the upgrade fails.
    pub fn refuse_by(&self, refusal: Refusal) {
        self.state.change(|facts| facts.refusal = refusal);
    }

    /// From now on, verifies registered keys at this STS endpoint and rejects those that do not work.
    pub fn verify_keys_at(&self, sts: &str) {
        self.state.change(|facts| facts.sts = Some(sts.into()));
    }

    /// Queues a fault. It applies to the next `times` calls of its kind.
    pub fn fault(&self, fault: Fault) {
        self.state.change(|facts| facts.faults.push(fault));
    }

    /// Removes all queued faults and resets their count.
    pub fn clear_faults(&self) {
        self.state.change(|facts| facts.faults.clear());
    }

    /// The number of faults injected since the last [`StandIn::clear_faults`].
    pub fn faults_met(&self) -> usize {
        self.state.look(|facts| facts.faults.met)
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.look(|facts| facts.requests.clone())
    }

    /// The requests of one kind so far.
    pub fn calls(&self, call: Call) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.call() == Some(call)).collect()
    }

    /// All registrations received so far, whether or not they succeeded.
    pub fn registrations(&self) -> Vec<Value> {
        self.requests().into_iter().flat_map(|request| request.messages).collect()
    }

    /// All protocol violations so far. Each was also rejected, but a client that retries would hide that.
    pub fn violations(&self) -> Vec<String> {
        self.state.look(|facts| facts.violations.clone())
    }

    /// Waits until the condition holds. It is checked after every change of the state. Wrap this in a timeout.
    pub fn until(&self, condition: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let mut changes = self.state.changes();
        async move {
            while !condition(self) {
                // This cannot fail, because `self` owns the sender.
                changes.changed().await.unwrap_or_default();
            }
        }
    }

    fn workspace(&self, slug: &str, with: impl FnOnce(&mut Workspace)) {
        self.state.change(|facts| with(facts.workspace_mut(slug).expect("a workspace with this slug")));
    }
}
