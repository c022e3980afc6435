//! The fault matrix: every call that the function makes × every fault that can hit it, in each scenario of
//! [`crate::scenario`].
//!
//! - `stage`: sets up an account and a Coiled stand-in for one scenario.
//! - `steps`: the calls of a scenario, recorded from a run without faults.
//! - `faults`: what can go wrong with a call.
//! - `cell`: injects one fault into one step and checks the result.
//! - `next`: sends CloudFormation's next request after a failure and checks the result.
//! - `truth`: a snapshot of the account and of Coiled. In the end it must equal that of a run without faults.
//! - `choice`, `run`, `print`: select the cells, run them, and print the tables.

mod cell;
mod choice;
mod faults;
mod next;
mod print;
mod run;
mod stage;
mod steps;
mod truth;

use std::time::Instant;

use choice::Choice;
use run::{Verdict, print_now};

use crate::scenario;

#[test]
fn every_injected_fault_ends_in_success_or_a_complete_recovery() {
    let began = Instant::now();
    let choice = Choice::read();
    let scenarios = run::in_parallel(&scenario::matrix(), run::record);
    let all = choice::all(&scenarios).len();
    let cells = choice.of(&scenarios);
    assert!(!cells.is_empty(), "MATRIX_ONLY matches no cell");
    let verdicts = run::in_parallel(&cells, run::run);
    let verdicts: Vec<_> = cells.into_iter().zip(verdicts).collect();
    let failed: Vec<String> =
        verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Failed).map(|(cell, _)| cell.to_string()).collect();
    let (ran, passed) = (verdicts.len(), verdicts.len() - failed.len());
    print_now(&print::tables(&scenarios, &verdicts));
    print_now(&format!(
        "\n{passed} of {ran} cells passed in {} s. Seed {} selected them from {all} cells in {} scenarios.\n  Run the same cells again: {}\n  Run all cells: make matrix\n\n",
        began.elapsed().as_secs(),
        choice.seed,
        scenarios.len(),
        choice.command(ran),
    ));
    assert!(failed.is_empty(), "these cells failed; the output above has the requests of each:\n{}", failed.join("\n"));
}
