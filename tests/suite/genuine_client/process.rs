//! Starting the client: nothing of the environment of these tests reaches it, and nothing that it does leaves the
//! machine.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::stand_in::StandIn;
use crate::support::account::TEST_KEY;
use crate::support::moto::python;

/// It waits for AWS in whole seconds, and other tests run beside it.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the calls that stand in its first argument, and prints what became of each as a line of JSON.
const CALLS: &str = include_str!("calls.py");

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether its exit status was 0; the client's own commands end with 0 on failure as well.
    pub is_ok: bool,
    /// All that it printed, errors last.
    pub text: String,
}

/// The genuine client, between one stand-in and one AWS account.
#[derive(Debug)]
pub struct GenuineClient {
    home: TempDir,
    server: String,
    token: String,
    aws: String,
}

impl GenuineClient {
    /// With the right token, and with AWS at this endpoint.
    pub fn new(stand_in: &StandIn, aws: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder to write to");
        Self { home, server: stand_in.url(), token: stand_in.token(), aws: aws.into() }
    }

    /// With another token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = token.into();
        self
    }

    /// `coiled setup aws` for the workspace "ada" in us-east-2, with more arguments, all questions answered with yes.
    ///
    /// # Panics
    ///
    /// Where it doesn't end with a connected workspace.
    pub async fn set_up(&self, more: &[&str]) {
        let always = ["setup", "aws", "--yes", "--accept-delete", "--workspace", "ada", "--region", "us-east-2"];
        let ended = self.coiled(&[&always, more].concat()).await;
        assert!(ended.is_ok && ended.text.contains("Setup complete"), "{}", ended.text);
    }

    /// The command `coiled`.
    pub async fn coiled(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["-m", "coiled"], arguments].concat(), "").await
    }

    /// Calls functions of the package `coiled` one after the other, with keyword arguments; says what each answered:
    /// `{"ok": …}` or `{"error": <class>, "text": …}`. Its questions are all answered with yes.
    pub async fn call(&self, calls: &[(&str, Value)]) -> Vec<Value> {
        let calls = serde_json::to_string(calls).expect("JSON");
        let ended = self.run(&["-c", CALLS, &calls], &"y\n".repeat(8)).await;
        assert!(ended.is_ok, "{}", ended.text);
        let answers = ended.text.lines().filter_map(|line| line.strip_prefix("answer: "));
        answers.map(|answer| serde_json::from_str(answer).expect("JSON")).collect()
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(python());
        command.args(arguments).env_clear().envs(self.environment());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the client starts");
        let mut stdin = process.stdin.take().expect("a pipe");
        // It may end without having asked anything; then nobody reads this.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, process.wait_with_output()).await;
        let output = output.expect("the client ends in time").expect("its output");
        let text = [output.stdout, output.stderr].concat();
        Ended { is_ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    fn environment(&self) -> Vec<(&str, String)> {
        let home = self.home.path().display().to_string();
        vec![
            ("PATH", "/usr/bin:/bin".into()),
            ("HOME", home.clone()),
            // Its configuration would else be read from more places than HOME.
            ("DASK_CONFIG", home.clone()),
            ("DASK_ROOT_CONFIG", home),
            ("DASK_COILED__SERVER", self.server.clone()),
            ("DASK_COILED__TOKEN", self.token.clone()),
            ("AWS_ENDPOINT_URL", self.aws.clone()),
            ("AWS_ACCESS_KEY_ID", TEST_KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", "secret-of-the-caller".into()),
            ("AWS_DEFAULT_REGION", "us-east-1".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            // Its panels are wrapped to the width of the terminal, in the middle of what tests look for.
            ("COLUMNS", "200".into()),
        ]
    }
}
