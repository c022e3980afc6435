//! A stand-in for Coiled's control plane: stateful, over real HTTP and WebSocket, on loopback.
//!
//! It answers what the genuine client asks on its way to register an AWS key, refuses whatever that client would never
//! send, and lets every call go wrong on request. `state` is what it knows, `http` and `websocket` what it says,
//! `rules` what it takes for a registration, `faults` what can go wrong, `server` how a connection can break.
//!
//! Not covered: clusters, environments, logging in, everything else that Coiled does.

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

/// How a stand-in starts; the default is what tests want.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 is any that is free.
    pub port: u16,
    /// The token that is let in.
    pub token: String,
    /// The slug of the one workspace that there is at first.
    pub workspace: String,
    /// The display name of that workspace.
    pub workspace_name: String,
    /// Where a registered key is tried out; no endpoint, no trial.
    pub sts: Option<String>,
    /// Gets a line for everything that happens, without secrets.
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

/// A running stand-in. Clones are the same one; it stops when the last is dropped.
#[derive(Debug, Clone)]
pub struct StandIn {
    state: Arc<State>,
    address: SocketAddr,
    // Held to be dropped: that ends the server.
    _tasks: Arc<Tasks>,
}

impl StandIn {
    /// A user "ada" with the token `c4n4ry-of-ada-0123456789`, admin of the workspace "ada", on a free port.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same, otherwise.
    ///
    /// # Panics
    ///
    /// Where the port is taken.
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

    /// The token that is let in.
    pub fn token(&self) -> String {
        self.state.look(|facts| facts.token.clone())
    }

    /// Lets another token in, and the old one no more.
    pub fn set_token(&self, token: &str) {
        self.state.change(|facts| facts.token = token.into());
    }

    /// Renames the user.
    pub fn set_username(&self, username: &str) {
        self.state.change(|facts| facts.username = username.into());
    }

    /// Makes the user an admin of another workspace; one of this slug is replaced, and `default` goes to one at most.
    pub fn add_workspace(&self, slug: &str, name: &str, default: bool) {
        self.state.change(|facts| {
            facts.workspaces.retain(|workspace| workspace.slug != slug);
            facts.workspaces.iter_mut().for_each(|workspace| workspace.default &= !default);
            facts.workspaces.push(Workspace::new(slug, name, default));
        });
    }

    /// Takes the user out of a workspace.
    pub fn remove_workspace(&self, slug: &str) {
        self.state.change(|facts| facts.workspaces.retain(|workspace| workspace.slug != slug));
    }

    /// Takes the user out of all workspaces.
    pub fn clear_workspaces(&self) {
        self.state.change(|facts| facts.workspaces.clear());
    }

    /// Who isn't an admin reads and can't register.
    pub fn set_admin(&self, slug: &str, admin: bool) {
        self.workspace(slug, |workspace| workspace.admin = admin);
    }

    /// What the workspace holds now.
    pub fn connection(&self, workspace: &str) -> Option<Connection> {
        self.state.look(|facts| facts.workspace(workspace)?.connection.clone())
    }

    /// What every workspace holds now, by slug.
    pub fn connections(&self) -> Vec<(String, Option<Connection>)> {
        let held = |workspace: &Workspace| (workspace.slug.clone(), workspace.connection.clone());
        self.state.look(|facts| facts.workspaces.iter().map(held).collect())
    }

    /// Connects the workspace as if a colleague had, by other means: `data` is not judged.
    pub fn connect(&self, workspace: &str, data: Value) {
        self.workspace(workspace, |workspace| workspace.connection = Some(Connection { data }));
    }

    /// Takes the connection away as if a colleague had.
    pub fn disconnect(&self, workspace: &str) {
        self.workspace(workspace, |workspace| workspace.connection = None);
    }

    /// What the options of a workspace without a connection are answered with: what the real server does is unknown.
    pub fn when_unconfigured(&self, status: u16, body: Value) {
        self.state.change(|facts| facts.unconfigured = (status, body));
    }

    /// DELETE is answered 409 until it comes with `?confirm=1`.
    pub fn ask_for_confirmation(&self, workspace: &str, detail: &str) {
        self.workspace(workspace, |workspace| workspace.confirmation = Some(detail.into()));
    }

    /// How a WebSocket with a wrong token or workspace is turned down; a refused upgrade is the default.
    pub fn refuse_by(&self, refusal: Refusal) {
        self.state.change(|facts| facts.refusal = refusal);
    }

    /// Tries each registered key out here from now on, and refuses what doesn't work.
    pub fn verify_keys_at(&self, sts: &str) {
        self.state.change(|facts| facts.sts = Some(sts.into()));
    }

    /// Queues a fault: each applies to the next `times` calls of its kind.
    pub fn fault(&self, fault: Fault) {
        self.state.change(|facts| facts.faults.push(fault));
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self) {
        self.state.change(|facts| facts.faults.clear());
    }

    /// How many faults have happened since they were cleared.
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

    /// The registrations that arrived, whatever became of them.
    pub fn registrations(&self) -> Vec<Value> {
        self.requests().into_iter().flat_map(|request| request.messages).collect()
    }

    /// How clients broke the protocol so far. What they did wrong was refused too, but a client that retries hides it.
    pub fn violations(&self) -> Vec<String> {
        self.state.look(|facts| facts.violations.clone())
    }

    /// Waits until something is so, looking again whenever anything changes here; wrap it in a timeout.
    pub fn until(&self, is_so: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let mut changes = self.state.changes();
        async move {
            while !is_so(self) {
                // The sender lives in `self`, so this can't fail.
                changes.changed().await.unwrap_or_default();
            }
        }
    }

    fn workspace(&self, slug: &str, with: impl FnOnce(&mut Workspace)) {
        self.state.change(|facts| with(facts.workspace_mut(slug).expect("a workspace of this slug")));
    }
}
