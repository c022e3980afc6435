//! The one place that decides how much time work, undo and answer get.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// An answer needs this long at most: one PUT, repeated when the bucket does not take it.
const ANSWER: Duration = Duration::from_secs(20);
/// Undoing a Create is at most a dozen calls; two minutes is what IAM takes at worst to agree with itself.
const UNDO: Duration = Duration::from_secs(150);

/// When each part of a run has to end. The parts shrink in proportion where the function's timeout is short.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// No step goes on beyond this.
    pub work: Instant,
    /// No undo goes on beyond this; the decision is made.
    pub undo: Instant,
    /// The answer is given up at this moment, just before Lambda kills the process.
    pub answer: Instant,
    /// [`Deadlines::answer`] as a clock on the wall, in Unix seconds: what a lease says to other runs.
    pub unix: u64,
}

impl Deadlines {
    /// Divides what is left until Lambda's own deadline.
    pub fn until(deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let now = Instant::now();
        // Lambda's clock and ours differ by the time that the event took to get here.
        let end = left.saturating_sub((left / 50).min(Duration::from_millis(500)));
        let answer = ANSWER.min(left / 8);
        let undo = UNDO.min(left / 4);
        Self {
            work: now + end.saturating_sub(answer + undo),
            undo: now + end.saturating_sub(answer),
            answer: now + end,
            unix: unix(deadline),
        }
    }

    /// Deadlines for a request that has nothing to undo but its lease: Delete goes only forward.
    pub fn without_undo(self) -> Self {
        Self { work: self.undo - self.undo.saturating_duration_since(self.work) / 4, ..self }
    }
}

/// A moment as Unix seconds.
pub fn unix(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_timeout_gives_nearly_all_to_work() {
        let deadlines = Deadlines::until(SystemTime::now() + Duration::from_secs(900));
        let left = deadlines.work - Instant::now();
        assert!(left > Duration::from_secs(725), "{left:?}");
        assert!(deadlines.undo - deadlines.work >= Duration::from_secs(149));
        assert!(deadlines.answer - deadlines.undo >= Duration::from_secs(19));
    }

    #[test]
    fn a_short_timeout_still_leaves_time_for_undo_and_answer() {
        let deadlines = Deadlines::until(SystemTime::now() + Duration::from_secs(8));
        assert!(deadlines.work < deadlines.undo && deadlines.undo < deadlines.answer);
        assert!(deadlines.work > Instant::now());
    }

    #[test]
    fn a_deadline_in_the_past_is_now() {
        let deadlines = Deadlines::until(SystemTime::UNIX_EPOCH);
        assert!(deadlines.answer <= Instant::now());
    }
}
