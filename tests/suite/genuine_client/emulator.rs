//! An emulated AWS for the client, with an IAM that keeps what it is given.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::process::python;

/// A running emulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    endpoint: String,
    // Held to be dropped: that ends the process.
    _process: Child,
}

impl Emulator {
    /// Starts one on a free port of this machine's own.
    pub async fn start() -> Self {
        let mut command = Command::new(python());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]);
        command.env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the emulator starts");
        let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let endpoint = loop {
            let line = lines.next_line().await.expect("a line").expect("an address before the end");
            if let Some((_, address)) = line.split_once("Running on ") {
                break address.trim().to_owned();
            }
        };
        // It logs every request there, and would end at a pipe that nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { endpoint, _process: process }
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
