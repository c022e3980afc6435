//! Which cells run: by default a selection that depends on the seed, or all of them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::cell::{Cell, Recorded};
use super::faults::Fault;

/// The number of cells that `make test` has time for.
const DEFAULT_CELLS: usize = 150;

/// The environment variables that select cells.
#[derive(Debug, Clone)]
pub struct Choice {
    /// `MATRIX_SEED`: any text. The same seed selects the same cells. Default: the number of days since 1970.
    pub seed: String,
    /// `MATRIX_CELLS`: a number of cells, or `all`.
    pub cells: Option<usize>,
    /// `MATRIX_ONLY`: run only cells whose name contains this text.
    pub only: String,
}

impl Choice {
    /// Panics if `MATRIX_CELLS` is neither a number nor `all`.
    pub fn read() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86400;
        let cells = match variable("MATRIX_CELLS").as_deref() {
            Some("all") => None,
            Some(number) => Some(number.parse().expect("MATRIX_CELLS must be a number or all")),
            None => Some(DEFAULT_CELLS),
        };
        let only = variable("MATRIX_ONLY").unwrap_or_default();
        Self { seed: variable("MATRIX_SEED").unwrap_or_else(|| days.to_string()), cells, only }
    }

    /// The selected cells. Their order depends on the seed.
    pub fn of(&self, scenarios: &[Arc<Recorded>]) -> Vec<Cell> {
        let mut cells = all(scenarios);
        cells.retain(|cell| cell.to_string().contains(&self.only));
        cells.sort_by_cached_key(|cell| Sha256::digest(format!("{}\n{cell}", self.seed)).to_vec());
        cells.truncate(self.cells.unwrap_or(usize::MAX));
        cells
    }

    /// The command that runs the same cells again.
    pub fn command(&self, ran: usize) -> String {
        let only = if self.only.is_empty() { String::new() } else { format!(" MATRIX_ONLY='{}'", self.only) };
        format!("MATRIX_SEED={} MATRIX_CELLS={ran}{only} make matrix", self.seed)
    }
}

/// Every step of every scenario, with every fault that applies to it.
pub fn all(scenarios: &[Arc<Recorded>]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for recorded in scenarios {
        for (row, step) in recorded.steps.iter().enumerate() {
            let faults = Fault::all().into_iter().filter(|fault| fault.applies_to(step));
            cells.extend(faults.map(|fault| Cell { recorded: recorded.clone(), row, fault }));
        }
    }
    cells
}
