//! Which cells are played: on each push a part that another seed draws anew, or all of them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::cell::{Cell, Recorded};
use super::faults::Fault;

/// As many as fit into a push.
const PART: usize = 150;

/// What the environment asks for.
#[derive(Debug, Clone)]
pub struct Choice {
    /// `MATRIX_SEED`: any text; the same one draws the same cells. Without it the day's number.
    pub seed: String,
    /// `MATRIX_CELLS`: how many, or `all`.
    pub cells: Option<usize>,
    /// `MATRIX_ONLY`: those alone in whose name this is.
    pub only: String,
}

impl Choice {
    /// Reads the environment.
    pub fn read() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
        let cells = match variable("MATRIX_CELLS").as_deref() {
            Some("all") => None,
            Some(number) => Some(number.parse().expect("MATRIX_CELLS is a number, or all")),
            None => Some(PART),
        };
        let only = variable("MATRIX_ONLY").unwrap_or_default();
        Self { seed: variable("MATRIX_SEED").unwrap_or_else(|| days.to_string()), cells, only }
    }

    /// The cells to play, in an order that the seed decides.
    pub fn of(&self, scenarios: &[Arc<Recorded>]) -> Vec<Cell> {
        let mut cells = all(scenarios);
        cells.retain(|cell| cell.to_string().contains(&self.only));
        cells.sort_by_cached_key(|cell| Sha256::digest(format!("{}\n{cell}", self.seed)).to_vec());
        cells.truncate(self.cells.unwrap_or(usize::MAX));
        cells
    }

    /// How to play the same again.
    pub fn again(&self, played: usize) -> String {
        let only = if self.only.is_empty() { String::new() } else { format!(" MATRIX_ONLY='{}'", self.only) };
        format!("MATRIX_SEED={} MATRIX_CELLS={played}{only} make matrix", self.seed)
    }
}

/// Every step of every scenario, with every fault that means anything there.
pub fn all(scenarios: &[Arc<Recorded>]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for recorded in scenarios {
        for (row, step) in recorded.steps.iter().enumerate() {
            let faults = Fault::all().into_iter().filter(|fault| fault.is_meaningful(step));
            cells.extend(faults.map(|fault| Cell { recorded: recorded.clone(), row, fault }));
        }
    }
    cells
}
