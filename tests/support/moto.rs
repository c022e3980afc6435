//! moto for the whole test process: an emulated IAM and Secrets Manager over real HTTP. Each account lives in one of two
//! processes, for one alone keeps a single core busy and the tests waiting.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

struct Moto {
    url: String,
    /// Holds moto's standard input open: moto ends with this process, however that ends.
    _process: Child,
}

/// The address of the moto that an account lives in; the first call starts it.
pub fn url(account: &str) -> &'static str {
    static MOTOS: [OnceLock<Moto>; 2] = [const { OnceLock::new() }; 2];
    let number: usize = account.parse().expect("an account is a number");
    &MOTOS[number % MOTOS.len()].get_or_init(start).url
}

/// The Python of the venv that `make test` makes.
pub fn python() -> PathBuf {
    let venv = std::env::var_os("COILED_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".venv"));
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} is missing: `make test` sets it up", python.display());
    python
}

fn start() -> Moto {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/emulator.py");
    let mut process = Command::new(python())
        .arg(script)
        .env_remove("MOTO_ACCOUNT_ID")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto starts");
    let mut port = String::new();
    let output = process.stdout.take().expect("moto has an output");
    BufReader::new(output).read_line(&mut port).expect("moto says its port");
    let port: u16 = port.trim().parse().expect("moto's first line is its port");
    Moto { url: format!("http://127.0.0.1:{port}"), _process: process }
}
