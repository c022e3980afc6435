//! Runs the client in a process with an empty environment. Its home is temporary and both its endpoints are local, so
//! it cannot reach a real service.

use std::process::Stdio;
use std::time::Duration;

use coiled_stand_in::StandIn;
use coiled_world::account::TEST_KEY;
use coiled_world::moto::python;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The time limit of one client process. The client polls AWS in whole seconds, and other tests run in parallel.
const PATIENCE: Duration = Duration::from_secs(180);

/// A Python script that makes the calls in its first argument and prints the result of each as one line of JSON.
const CALLS: &str = include_str!("calls.py");

/// The result of a client process.
#[derive(Debug)]
pub struct Ended {
    /// Whether the exit status was 0. Some of the client's commands exit with 0 even if they fail.
    pub is_ok: bool,
    /// The standard output, followed by the standard error.
    pub text: String,
}

/// The genuine client, configured for one stand-in and one AWS account.
#[derive(Debug)]
pub struct GenuineClient {
    home: TempDir,
    server: String,
    token: String,
    aws: String,
}

impl GenuineClient {
    /// A client with a valid token and this AWS endpoint.
    pub fn new(stand_in: &StandIn, aws: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder to write to");
        Self { home, server: stand_in.url(), token: stand_in.token(), aws: aws.into() }
    }

    pub fn with_token(mut self, token: &str) -> Self {
        self.token = token.into();
        self
    }

    /// Runs `coiled setup aws` for the workspace "ada" in us-east-2, with additional arguments. It answers yes to every
    /// prompt.
    ///
    /// # Panics
    ///
    /// If the command does not report a complete setup.
    pub async fn set_up(&self, more: &[&str]) {
        let always = ["setup", "aws", "--yes", "--accept-delete", "--workspace", "ada", "--region", "us-east-2"];
        let ended = self.coiled(&[&always, more].concat()).await;
        assert!(ended.is_ok && ended.text.contains("Setup complete"), "{}", ended.text);
    }

    /// Runs the command `coiled` with these arguments.
    pub async fn coiled(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["-m", "coiled"], arguments].concat(), "").await
    }

    /// Calls functions of the package `coiled` in sequence, with keyword arguments. Each result is `{"ok": …}` or
    /// `{"error": <class>, "text": …}`. Every prompt is answered with yes.
    pub async fn call(&self, calls: &[(&str, Value)]) -> Vec<Value> {
        let calls = serde_json::to_string(calls).expect("JSON");
        let ended = self.run(&["-c", CALLS, &calls], &"y\n".repeat(8)).await;
        assert!(ended.is_ok, "{}", ended.text);
        let results = ended.text.lines().filter_map(|line| line.strip_prefix("answer: "));
        results.map(|result| serde_json::from_str(result).expect("JSON")).collect()
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(python());
        command.args(arguments).env_clear().envs(self.environment());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the client starts");
        let mut stdin = process.stdin.take().expect("a pipe");
        // The write fails if the client exits without a prompt. That is fine.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
        let output = output.expect("the client ends in time").expect("the client's output");
        let text = [output.stdout, output.stderr].concat();
        Ended { is_ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    fn environment(&self) -> Vec<(&str, String)> {
        let home = self.home.path().display().to_string();
        vec![
            ("PATH", "/usr/bin:/bin".into()),
            ("HOME", home.clone()),
            // By default, Dask reads its configuration from other directories too.
            ("DASK_CONFIG", home.clone()),
            ("DASK_ROOT_CONFIG", home),
            ("DASK_COILED__SERVER", self.server.clone()),
            ("DASK_COILED__TOKEN", self.token.clone()),
            ("AWS_ENDPOINT_URL", self.aws.clone()),
            ("AWS_ACCESS_KEY_ID", TEST_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-caller".into()),
            ("AWS_DEFAULT_REGION", "us-east-1".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            // The client wraps its output at the terminal width. A wide terminal keeps the expected texts on one line.
            ("COLUMNS", "200".into()),
        ]
    }
}
