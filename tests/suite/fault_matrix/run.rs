//! Runs cells in parallel. Each has its own thread because a world captures only its own thread's log lines.

use std::any::Any;
use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coiled_world::locked;

use super::cell::{Cell, CoiledAfter, Outcome, Recorded, Transcript};
use crate::scenario::Scenario;

/// The result of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passed(Outcome),
    Failed,
}

/// More threads than cores: a cell that waits for a deadline uses no CPU.
const THREADS: usize = 8;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);

/// Applies `work` to every item. The results are in the order of the items.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..items.len()).collect());
    let results: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let progress = Mutex::new((0, Instant::now()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some(next) = locked(&queue).pop_front() else { return };
                    let result = work(&items[next]);
                    locked(&results)[next] = Some(result);
                    print_progress(&mut locked(&progress), items.len());
                }
            });
        }
    });
    locked(&results).drain(..).map(|result| result.expect("a thread panicked")).collect()
}

fn print_progress((done, last): &mut (usize, Instant), all: usize) {
    *done += 1;
    if last.elapsed() > PROGRESS_INTERVAL {
        *last = Instant::now();
        print_now(&format!("    {done} of {all}\n"));
    }
}

/// Writes directly to stdout because libtest hides what a passing test prints.
pub fn print_now(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// Runs a scenario without faults.
pub fn record(scenario: &Scenario) -> Arc<Recorded> {
    Arc::new(block_on(Recorded::of(scenario.clone())))
}

/// Runs a cell. If its request fails, runs the cell again with Coiled unreachable during recovery.
pub fn run(cell: &Cell) -> Verdict {
    let first = run_with(cell, CoiledAfter::Reachable);
    match first {
        Verdict::Passed(Outcome::Recovered) => run_with(cell, CoiledAfter::Unreachable),
        other => other,
    }
}

fn run_with(cell: &Cell, coiled: CoiledAfter) -> Verdict {
    let transcript = Transcript::default();
    let ended = catch_unwind(AssertUnwindSafe(|| block_on(cell.run(coiled, transcript.clone()))));
    match ended {
        Ok(outcome) => Verdict::Passed(outcome),
        Err(panic) => {
            let cause = panic_message(panic.as_ref());
            // Printed at once, so that it is visible even if someone stops a long run.
            print_now(&format!("  ✗ {cell} (Coiled afterwards: {coiled:?})\n      {cause}\n{}", transcript.text()));
            Verdict::Failed
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}
