//! The matrix as a table: steps down, faults across.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::cell::{Cell, Outcome, Recorded};
use super::faults::{Fault, Kind};
use super::run::Verdict;

const LEGEND: &str =
    "  ✓ SUCCESS all the same   ↩ FAILED, and what CloudFormation sends next puts it right   ✗ does not hold
  · means nothing there    (blank) not played this time        1 this once   ∞ to the end of the run\n";

/// All scenarios, one table each, and a line for the whole.
pub fn tables(scenarios: &[Arc<Recorded>], verdicts: &[(Cell, Verdict)]) -> String {
    let mut text = format!("\nThe fault matrix\n{LEGEND}");
    for recorded in scenarios {
        text += &table(recorded, verdicts);
    }
    text
}

fn table(recorded: &Arc<Recorded>, verdicts: &[(Cell, Verdict)]) -> String {
    let here = verdicts.iter().filter(|(cell, _)| Arc::ptr_eq(&cell.recorded, recorded));
    let marks: BTreeMap<(usize, String), char> =
        here.map(|(cell, verdict)| ((cell.row, cell.fault.to_string()), mark(verdict))).collect();
    let held = marks.values().filter(|mark| **mark != '✗').count();
    let steps: Vec<String> = recorded.steps.iter().map(ToString::to_string).collect();
    let width = steps.iter().map(|step| step.chars().count()).max().unwrap_or_default();
    let name = recorded.scenario.name;
    let mut text = format!("\n{name}: {} steps, {held} of {} cells held\n", steps.len(), marks.len());
    let heads: String = Kind::ALL.iter().map(|kind| format!(" {:<9}", format!("{kind:?}").to_lowercase())).collect();
    let _ = writeln!(text, "  {:width$} {}", "", heads.trim_end());
    let _ = writeln!(
        text,
        "  {:width$}{}",
        "",
        "  1 ∞      ".repeat(Kind::ALL.len()).replace("      ", "     ").trim_end()
    );
    for (row, step) in steps.iter().enumerate() {
        let cell = |fault: Fault| {
            let nothing = if fault.is_meaningful(&recorded.steps[row]) { ' ' } else { '·' };
            marks.get(&(row, fault.to_string())).copied().unwrap_or(nothing)
        };
        let pair = |kind| format!("  {} {}     ", cell(Fault { kind, on: false }), cell(Fault { kind, on: true }));
        let _ = writeln!(text, "  {step:width$}{}", Kind::ALL.map(pair).concat().trim_end());
    }
    text
}

fn mark(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Holds(Outcome::Succeeded) => '✓',
        Verdict::Holds(Outcome::PutRight) => '↩',
        Verdict::Broken => '✗',
    }
}
