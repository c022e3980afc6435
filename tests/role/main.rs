//! The function's own role, judged after the suite has run: by template.yaml, and by every call that the suite recorded.
//!
//! It fails on a call that the role does not grant, on a grant that no call needs, on a stranger who is let in, and on a
//! mistake in the policy that none of this would notice. That needs the whole suite, so it is a program of its own which
//! `cargo test` starts last; it has no tests inside, for each question is about all calls together.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
// The suite uses the rest.
#![allow(dead_code)]

#[path = "../support/policy/mod.rs"]
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use policy::judgement::{Counts, Judgement};
use policy::record::Entry;
use policy::{combinations, record};

fn main() -> ExitCode {
    if let Some(only) = record::filter(std::env::args().skip(1)) {
        println!("the function's role is judged by a run of the whole suite only, and not with {only}\n");
        return ExitCode::SUCCESS;
    }
    let record = match record::read() {
        Ok(record) => record,
        Err(why) => {
            eprintln!("The function's role can't be judged: {why}. Run `cargo test --locked` as a whole.\n");
            return ExitCode::FAILURE;
        }
    };
    let findings = judge(&record);
    for (finding, stacks) in &findings {
        eprintln!("{finding} ({} stacks, the first {})", stacks.len(), stacks[0]);
    }
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is wrong, and with which parameters.
type Findings = BTreeMap<String, Vec<String>>;

/// Judges the role of every stack, and says what was counted.
fn judge(record: &BTreeSet<Entry>) -> Findings {
    let (mut findings, mut counts) = (Findings::new(), Counts::default());
    let stacks = combinations::all();
    for (parameters, place) in &stacks {
        let judgement = Judgement::new(parameters, place, record);
        let given: Vec<&str> = parameters.keys().map(String::as_str).collect();
        for finding in judgement.findings() {
            findings.entry(finding).or_default().push(format!("in {} with {}", place.partition, given.join(", ")));
        }
        counts += judgement.counts();
    }
    let Counts { calls, strangers, mutants, survivors } = counts;
    println!(
        "the function's role: {} calls recorded; in {} stacks {calls} calls and {strangers} strangers; {mutants} mutants of \
         the policy, {survivors} survivors\n",
        record.len(),
        stacks.len(),
    );
    findings
}
