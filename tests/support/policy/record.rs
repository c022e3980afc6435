//! The record of a whole run of the suite: each call that the function's role was asked for, once, with the parameters of
//! the stack that it was made in. The suite writes it; when it has ended, `tests/role` judges it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::evaluate::Request;
use super::template::{Parameters, Place};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// What the stack was given.
    pub parameters: Parameters,
    /// Where it was.
    pub place: Place,
    /// What IAM was asked.
    pub request: Request,
}

#[derive(Serialize, Deserialize)]
struct Header {
    began: SystemTime,
    /// Why this is not the whole suite.
    only: Option<String>,
}

/// Every test has an account of its own, and every secret an ending of its own; in the record all have the same.
const ACCOUNT: &str = "111122223333";
const ENDING: &str = "AbCdEf";

/// Notes a call down; of the suite alone, whatever else is tested with this.
pub fn note(entry: &Entry) {
    if env!("CARGO_CRATE_NAME") != "suite" {
        return;
    }
    static RECORD: OnceLock<Mutex<(BTreeSet<String>, File)>> = OnceLock::new();
    let record = RECORD.get_or_init(|| Mutex::new((BTreeSet::new(), begin())));
    let line = alike(&serde_json::to_string(entry).expect("an entry"), &entry.place.account);
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    if !record.0.contains(&line) {
        writeln!(record.1, "{line}").expect("the record can be written");
        record.0.insert(line);
    }
}

fn begin() -> File {
    let mut file = File::create(path()).expect("the record can be written");
    let header = Header { began: SystemTime::now(), only: filter(std::env::args().skip(1)) };
    writeln!(file, "{}", serde_json::to_string(&header).expect("a header")).expect("the record can be written");
    file
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("calls-of-the-suite.jsonl")
}

fn alike(line: &str, account: &str) -> String {
    let same_account = line.replace(account, ACCOUNT);
    let mut parts = same_account.split(":secret:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('"').expect("a text in JSON ends");
        let name = &name[..name.len() - ENDING.len()];
        text += &format!(":secret:{name}{ENDING}\"{rest}");
    }
    text
}

/// What of a test binary's arguments makes it run some tests only.
pub fn filter(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--test-threads" | "--color" | "--format" | "--logfile" => drop(arguments.next()),
            "--skip" | "--ignored" | "--exact" | "--list" => return Some(argument),
            text if !text.starts_with('-') => return Some(argument),
            _ => {}
        }
    }
    None
}

/// The calls of the last run, if it was of the whole suite and nothing has changed since.
pub fn read() -> Result<BTreeSet<Entry>, String> {
    let text = std::fs::read_to_string(path());
    let text = text.map_err(|error| format!("there is no record of the suite's calls ({error})"))?;
    let mut lines = text.lines();
    let header: Header =
        lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or("the record has no beginning")?;
    if let Some(only) = header.only {
        return Err(format!("the last run of the suite was of some tests only ({only})"));
    }
    let (changed, newest) = newest_source();
    if changed > header.began {
        return Err(format!("{} has changed since the suite ran", newest.display()));
    }
    lines.map(|line| serde_json::from_str(line).map_err(|error| format!("the record is broken: {error}"))).collect()
}

/// Everything that can change what the suite calls.
fn newest_source() -> (SystemTime, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<PathBuf> =
        ["src", "tests", "events", "policies", "template.yaml", "Cargo.lock"].map(|name| root.join(name)).into();
    let mut newest = (SystemTime::UNIX_EPOCH, PathBuf::new());
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("a file").path()));
        } else {
            let changed = path.metadata().and_then(|file| file.modified()).expect("a file");
            newest = newest.max((changed, path));
        }
    }
    newest
}
