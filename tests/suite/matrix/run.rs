//! Cells side by side, each on a thread of its own, for a world's log lines come to its own thread.

use std::any::Any;
use std::collections::VecDeque;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cell::{Cell, Outcome, Reach, Recorded, Story};
use super::scenario::Scenario;
use crate::support::locked;

/// What came of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Holds(Outcome),
    Broken,
}

/// Cells that wait for a deadline need no processor meanwhile: so more of them than there are cores.
const THREADS: usize = 8;
/// How often the whole says how far it has come.
const PROGRESS: Duration = Duration::from_secs(30);

/// Does something to each item, several at a time; the results are in the order of the items.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
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
                    say_progress(&mut locked(&progress), items.len());
                }
            });
        }
    });
    locked(&results).drain(..).map(|result| result.expect("a thread has panicked")).collect()
}

fn say_progress((done, last): &mut (usize, Instant), all: usize) {
    *done += 1;
    if last.elapsed() > PROGRESS {
        *last = Instant::now();
        say(&format!("    {done} of {all}\n"));
    }
}

/// Prints past libtest, which shows nothing of a test that passes.
pub fn say(text: &str) {
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}

/// Plays a scenario undisturbed.
pub fn record(scenario: &Scenario) -> Arc<Recorded> {
    Arc::new(alone(Recorded::of(scenario.clone())))
}

/// Plays a cell; where its request fails, once more with Coiled out of reach for what follows.
pub fn play(cell: &Cell) -> Verdict {
    let first = play_with(cell, Reach::With);
    match first {
        Verdict::Holds(Outcome::PutRight) => play_with(cell, Reach::Without),
        other => other,
    }
}

fn play_with(cell: &Cell, reach: Reach) -> Verdict {
    let story = Story::default();
    let played = catch_unwind(AssertUnwindSafe(|| alone(cell.play(reach, story.clone()))));
    match played {
        Ok(outcome) => Verdict::Holds(outcome),
        Err(panic) => {
            let cause = words(panic.as_ref());
            // At once, for whoever ends a long run early.
            say(&format!("  ✗ {cell} ({reach:?} Coiled afterwards)\n      {cause}\n{}", story.text()));
            Verdict::Broken
        }
    }
}

fn alone<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into())
}
