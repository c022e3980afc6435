//! The fault matrix: every call that the function makes × everything that can go wrong with it.
//!
//! `scenario` has the requests, `stage` the world in which each is played. One undisturbed run of each tells its `steps`; a
//! `cell` lets one of them go wrong as `faults` say, `next` sends what CloudFormation does then, and `truth` is the whole of
//! what is there: it has to be what an undisturbed run leaves, or nothing. `choice` draws cells, `run` plays, `print` tells.

mod cell;
mod choice;
mod faults;
mod next;
mod print;
mod run;
mod scenario;
mod stage;
mod steps;
mod truth;

use std::time::Instant;

use choice::Choice;
use run::{Verdict, say};

#[test]
fn whatever_goes_wrong_ends_well() {
    let began = Instant::now();
    let choice = Choice::read();
    let scenarios = run::side_by_side(&scenario::all(), run::record);
    let all = choice::all(&scenarios).len();
    let cells = choice.of(&scenarios);
    assert!(!cells.is_empty(), "MATRIX_ONLY names no cell");
    let verdicts = run::side_by_side(&cells, run::play);
    let verdicts: Vec<_> = cells.into_iter().zip(verdicts).collect();
    let broken: Vec<String> =
        verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Broken).map(|(cell, _)| cell.to_string()).collect();
    let (played, held) = (verdicts.len(), verdicts.len() - broken.len());
    say(&print::tables(&scenarios, &verdicts));
    say(&format!(
        "\n{held} of {played} cells held; there are {all} ({} scenarios), of which seed {} drew these, in {} s.\n  Again: {}\n  All: make matrix\n\n",
        scenarios.len(),
        choice.seed,
        began.elapsed().as_secs(),
        choice.again(played),
    ));
    assert!(broken.is_empty(), "these cells do not hold; each one's story is above:\n{}", broken.join("\n"));
}
