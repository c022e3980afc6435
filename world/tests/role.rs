//! Checks the function's role in template.yaml against every call that the suite recorded.
//!
//! The check fails if
//! - the role denies a recorded call,
//! - a permission is not used by any recorded call,
//! - a call that must be denied is granted, or
//! - a mutant of the policy is not detected by these checks.
//!
//! Each check needs the calls of the whole suite. It is therefore a separate program without test functions.
//!
//! `make test` sets `JUDGE_ROLE=later` for the suite and all other tests, and runs this program after them. A `cargo test`
//! of the whole workspace runs it too. If the suite has not run before it with the same sources, it fails and says so.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use coiled_world::policy::record::Entry;
use coiled_world::policy::role_check::{Counts, RoleCheck};
use coiled_world::policy::{combinations, record};

fn main() -> ExitCode {
    if let Some(only) = record::filter(std::env::args().skip(1)) {
        println!("Function role: skipped, because {only} selects only part of the suite.\n");
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("JUDGE_ROLE").is_some_and(|when| when == "later") {
        println!("Function role: checked after all other tests.\n");
        return ExitCode::SUCCESS;
    }
    let record = match record::read(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(record) => record,
        Err(why) => {
            eprintln!(
                "Function role: not checked, because {why}. Run `make test`, which first runs the whole suite.\n"
            );
            return ExitCode::FAILURE;
        }
    };
    let findings = judge(&record);
    for (finding, stacks) in &findings {
        eprintln!("{finding} ({} stacks, first {})", stacks.len(), stacks[0]);
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each finding, with the parameters of the stacks in which it was made.
type Findings = BTreeMap<String, Vec<String>>;

/// Checks the role in every stack and prints the counts.
fn judge(record: &BTreeSet<Entry>) -> Findings {
    let (mut findings, mut counts) = (Findings::new(), Counts::default());
    let stacks = combinations::all();
    for (parameters, place) in &stacks {
        let check = RoleCheck::new(parameters, place, record);
        let given: Vec<&str> = parameters.keys().map(String::as_str).collect();
        for finding in check.findings() {
            findings.entry(finding).or_default().push(format!("in {} with {}", place.partition, given.join(", ")));
        }
        counts += check.counts();
    }
    let Counts { calls, forbidden, mutants, survivors } = counts;
    println!(
        "Function role: {} calls recorded. Checked in {} stacks: {calls} calls that must be granted, {forbidden} that must \
         be denied, and {mutants} policy mutants. {survivors} mutants were not detected.\n",
        record.len(),
        stacks.len(),
    );
    findings
}
