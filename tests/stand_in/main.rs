//! The stand-in for Coiled, to start by hand:
//! `cargo run --example coiled-stand-in -- --port 8000 --token my-token --workspace my-team`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

// The suite uses more of it than this program does.
#[allow(dead_code, unused_imports)]
#[path = "mod.rs"]
mod stand_in;

use std::future::pending;
use std::process::ExitCode;

use stand_in::{Options, StandIn};

const HELP: &str = "Stands in for Coiled on 127.0.0.1, and prints what it is asked; secrets are shown as ***.

  --port PORT        default: any that is free
  --token TOKEN      the API token that is let in; default: ada-0123456789abcdef
  --workspace SLUG   default: ada
  --sts URL          an STS endpoint where registered keys are tried out; default: they are believed";

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

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { say: |line| println!("{line}"), ..Options::default() };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--port" => options.port = value()?.parse().map_err(|_| "--port needs a number")?,
            "--token" => options.token = value()?,
            "--workspace" => {
                options.workspace = value()?;
                options.workspace_name = options.workspace.clone();
            }
            "--sts" => options.sts = Some(value()?),
            other => return Err(format!("unknown: {other}")),
        }
    }
    Ok(options)
}
