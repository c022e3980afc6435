//! The function as Lambda runs it: the binary `bootstrap`, which asks the Runtime API for events. Only a separate
//! process reads the environment, for example `SSL_CERT_FILE`.
//!
//! Source: "Using the Lambda runtime API for custom runtimes" in the Lambda developer guide.

use std::future::pending;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::aws::FUNCTION_KEY;
use super::serve::serve;
use super::{World, locked};

/// The settings of the function's process.
pub struct Process<'a> {
    /// The binary.
    pub program: &'a Path,
    /// Environment variables that only this binary knows.
    pub settings: Vec<(&'static str, String)>,
    pub authorities: &'a Path,
    pub aws: String,
    pub coiled: String,
    pub response_host: String,
    pub timeout: Duration,
}

struct Runtime {
    event: Mutex<Option<Value>>,
    deadline: u128,
    ended: mpsc::UnboundedSender<Result<(), String>>,
}

impl World {
    /// Starts the binary, lets it handle one event and stops it. Its log lines join those of this test.
    pub async fn run_binary(&self, process: Process<'_>, event: Value) -> Result<(), String> {
        self.deploy(&event);
        self.bucket.expect(&event);
        let deadline =
            (SystemTime::now() + process.timeout).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let (ended, mut ends) = mpsc::unbounded_channel();
        let runtime = Arc::new(Runtime { event: Mutex::new(Some(event)), deadline, ended });
        let server = serve(router(runtime)).await;
        let mut child = command(&process, &server.url().replace("http://", "")).spawn().expect("bootstrap starts");
        let mut output = child.stdout.take().expect("bootstrap has an output");
        let lines = tokio::spawn(async move {
            let mut lines = Vec::new();
            output.read_to_end(&mut lines).await.map(|_| lines)
        });
        let end = tokio::select! {
            end = ends.recv() => end.expect("the runtime is alive"),
            status = child.wait() => Err(format!("the process has ended: {status:?}")),
        };
        drop(child.kill().await);
        self.logs.clone().write_all(&lines.await.unwrap().unwrap()).unwrap();
        assert!(self.aws.denied().is_empty(), "calls that the role in template.yaml denies: {:#?}", self.aws.denied());
        self.nothing_leaked();
        end
    }
}

fn command(process: &Process<'_>, runtime_api: &str) -> Command {
    let mut command = Command::new(process.program);
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", "coiled")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", FUNCTION_KEY)
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_ENDPOINT_URL", &process.aws)
        .env("COILED_SERVER", &process.coiled)
        .env("RESPONSE_URL_HOSTS", &process.response_host)
        .env("SSL_CERT_FILE", process.authorities)
        .envs(process.settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn router(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(succeeded))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
        .route("/2018-06-01/runtime/init/error", post(failed))
        .with_state(runtime)
}

/// Returns the event to the first call. Later calls get no response, as from Lambda when there is no event.
async fn next(State(runtime): State<Arc<Runtime>>) -> Response {
    let event = locked(&runtime.event).take();
    let Some(event) = event else { return pending().await };
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", runtime.deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:111122223333:function:coiled".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn succeeded(State(runtime): State<Arc<Runtime>>) -> StatusCode {
    drop(runtime.ended.send(Ok(())));
    StatusCode::ACCEPTED
}

async fn failed(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    drop(runtime.ended.send(Err(body)));
    StatusCode::ACCEPTED
}
