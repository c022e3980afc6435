//! A file with every distinct authorization request of the function's role, and the parameters of its stack. The suite
//! writes the file, and `tests/role.rs` checks it after the suite.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::evaluate::Request;
use super::template::{Parameters, Place};
use crate::locked;

/// One authorization request in one stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    pub parameters: Parameters,
    pub place: Place,
    pub request: Request,
}

#[derive(Serialize, Deserialize)]
struct Header {
    began: SystemTime,
    /// The argument that limited the run to part of the suite.
    only: Option<String>,
}

/// Every test has its own account, and every secret ARN ends with random characters. The record replaces both, so that
/// equal calls of different tests are recorded once.
const ACCOUNT: &str = "111122223333";
const ENDING: &str = "AbCdEf";

/// The name of the file.
const NAME: &str = "calls-of-the-suite.jsonl";

/// Where the requests are recorded. Without it, nothing is recorded.
static RECORD: OnceLock<Mutex<Record>> = OnceLock::new();

struct Record {
    lines: BTreeSet<String>,
    file: File,
}

/// Records all further requests of this process in a new file in this folder.
pub fn keep_in(folder: &Path) {
    RECORD.get_or_init(|| Mutex::new(Record { lines: BTreeSet::new(), file: begin(folder) }));
}

/// Records a request if the process keeps a record.
pub(crate) fn note(entry: &Entry) {
    let Some(record) = RECORD.get() else { return };
    let line = normalized(&serde_json::to_string(entry).expect("an entry"), &entry.place.account);
    let mut record = locked(record);
    if !record.lines.contains(&line) {
        writeln!(record.file, "{line}").expect("the record can be written");
        record.lines.insert(line);
    }
}

fn begin(folder: &Path) -> File {
    let mut file = File::create(folder.join(NAME)).expect("the record can be written");
    let header = Header { began: SystemTime::now(), only: filter(std::env::args().skip(1)) };
    writeln!(file, "{}", serde_json::to_string(&header).expect("a header")).expect("the record can be written");
    file
}

fn normalized(line: &str, account: &str) -> String {
    let same_account = line.replace(account, ACCOUNT);
    let mut parts = same_account.split(":secret:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('"').expect("a JSON string ends with a quote");
        let name = &name[..name.len() - ENDING.len()];
        text += &format!(":secret:{name}{ENDING}\"{rest}");
    }
    text
}

/// The argument that makes a test binary run only some tests, if there is one.
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

/// The requests of the last run that were recorded in this folder. Fails if that run was filtered or if a source file has changed since.
pub fn read(folder: &Path) -> Result<BTreeSet<Entry>, String> {
    let text = std::fs::read_to_string(folder.join(NAME));
    let text = text.map_err(|error| format!("the record of the suite's calls cannot be read ({error})"))?;
    let mut lines = text.lines();
    let header: Header =
        lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or("the record has no header")?;
    if let Some(only) = header.only {
        return Err(format!("the last run of the suite ran only some tests ({only})"));
    }
    let (changed, newest) = newest_source();
    if changed > header.began {
        return Err(format!("{} has changed since the suite ran", newest.display()));
    }
    lines.map(|line| serde_json::from_str(line).map_err(|error| format!("the record is invalid: {error}"))).collect()
}

/// The last modification of any file that can change the suite's calls.
fn newest_source() -> (SystemTime, PathBuf) {
    let sources = ["src", "tests", "world", "stand-in", "events", "policies", "template.yaml", "Cargo.lock"];
    let mut waiting: Vec<PathBuf> = sources.map(|name| crate::project().join(name)).into();
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
