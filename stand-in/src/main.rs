//! Starts the stand-in for Coiled from the command line:
//! `cargo run --package coiled-stand-in -- --port 8000 --token my-token --workspace my-team`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::future::pending;
use std::process::ExitCode;

use coiled_stand_in::{Options, StandIn};

const HELP: &str = "Stands in for Coiled on 127.0.0.1 and prints every request, with secrets shown as ***.

  --port PORT        port to listen on; default: any free port
  --token TOKEN      API token to accept; default: c4n4ry-of-ada-0123456789
  --workspace SLUG   workspace that the user administers; default: ada
  --sts URL          STS endpoint that verifies registered keys; default: no verification";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("{reason}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    let workspace = options.workspace.clone();
    let stand_in = StandIn::start_with(options).await;
    println!("listening at {} with the workspace {workspace}", stand_in.url());
    pending().await
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { say: |line| println!("{line}"), ..Options::default() };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| "--port needs a number")?,
            "--token" => options.token = value()?,
            "--workspace" => {
                options.workspace = value()?;
                options.workspace_name = options.workspace.clone();
            }
            "--sts" => options.sts = Some(value()?),
            other => return Err(format!("unknown option: {other}")),
        }
    }
    Ok(options)
}
