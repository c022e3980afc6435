//! Prints the matrix: one table for each scenario, a row for each step, two columns for each kind of fault.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::cell::{Cell, Outcome, Recorded};
use super::faults::{Fault, Kind};
use super::run::Verdict;

const LEGEND: &str =
    "  ✓ SUCCESS despite the fault   ↩ FAILED, then recovered by CloudFormation's next request   ✗ test failed
  · fault does not apply to this step    (blank) not run this time        1 once   ∞ from then on
  denied: access denied   throttled: too many calls   lost: took effect, but the response was lost
  hangs: no response   garbage: unreadable response   reset: connection reset\n";

pub fn tables(scenarios: &[Arc<Recorded>], verdicts: &[(Cell, Verdict)]) -> String {
    let mut text = format!("\nThe fault matrix\n{LEGEND}");
    for recorded in scenarios {
        text += &table(recorded, verdicts);
    }
    text
}

fn table(recorded: &Arc<Recorded>, verdicts: &[(Cell, Verdict)]) -> String {
    let here = verdicts.iter().filter(|(cell, _)| Arc::ptr_eq(&cell.recorded, recorded));
    let symbols: BTreeMap<(usize, String), char> =
        here.map(|(cell, verdict)| ((cell.row, cell.fault.to_string()), symbol(verdict))).collect();
    let passed = symbols.values().filter(|symbol| **symbol != '✗').count();
    let steps: Vec<String> = recorded.steps.iter().map(ToString::to_string).collect();
    let width = steps.iter().map(|step| step.chars().count()).max().unwrap_or_default();
    let name = recorded.scenario.name;
    let mut text = format!("\n{name}: {} steps, {passed} of {} cells passed\n", steps.len(), symbols.len());
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
            let not_run = if fault.applies_to(&recorded.steps[row]) { ' ' } else { '·' };
            symbols.get(&(row, fault.to_string())).copied().unwrap_or(not_run)
        };
        let pair =
            |kind| format!("  {} {}     ", cell(Fault { kind, lasting: false }), cell(Fault { kind, lasting: true }));
        let _ = writeln!(text, "  {step:width$}{}", Kind::ALL.map(pair).concat().trim_end());
    }
    text
}

fn symbol(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Passed(Outcome::Succeeded) => '✓',
        Verdict::Passed(Outcome::Recovered) => '↩',
        Verdict::Failed => '✗',
    }
}
