//! Starts moto for the whole test process: an emulator of IAM and Secrets Manager over real HTTP. The accounts are
//! spread over two moto processes, because a single Python process uses only one core and slows the tests down.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

struct Moto {
    url: String,
    /// Keeps moto's standard input open. When the test process ends in any way, the pipe closes and moto exits.
    _process: Child,
}

/// The URL of the moto process that serves an account. The first call starts the process.
pub fn url(account: &str) -> &'static str {
    static MOTOS: [OnceLock<Moto>; 2] = [const { OnceLock::new() }; 2];
    let number: usize = account.parse().expect("an account is a number");
    &MOTOS[number % MOTOS.len()].get_or_init(start).url
}

/// The Python interpreter of the virtual environment that `make test` creates.
pub fn python() -> PathBuf {
    let venv = std::env::var_os("COILED_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| crate::project().join(".venv"));
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} does not exist: create it with `make test`", python.display());
    python
}

fn start() -> Moto {
    let script = crate::project().join("world/emulator.py");
    let mut process = Command::new(python())
        .arg(script)
        .env_remove("MOTO_ACCOUNT_ID")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto starts");
    let mut port = String::new();
    let output = process.stdout.take().expect("moto has a standard output");
    BufReader::new(output).read_line(&mut port).expect("moto prints its port");
    let port: u16 = port.trim().parse().expect("moto's first line is its port");
    Moto { url: format!("http://127.0.0.1:{port}"), _process: process }
}
