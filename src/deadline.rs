//! Divides the time of an invocation between work, undo and response.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Reserved for the response: one PUT and its retries.
const RESPONSE: Duration = Duration::from_secs(20);
/// Reserved for the undo. A Create has at most a dozen calls to undo, but IAM can return stale reads for two minutes.
const UNDO: Duration = Duration::from_secs(150);

/// When each part of a run has to end. If the function's timeout is short, undo and response get proportionally less
/// time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Steps are canceled at this time.
    pub work: Instant,
    /// The undo is canceled at this time, and the response reports what is left.
    pub undo: Instant,
    /// Sending the response ends at this time, just before Lambda kills the process.
    pub response: Instant,
    /// Lambda's own deadline in Unix seconds. The lease contains it, so that other runs know how long to wait.
    pub unix: u64,
}

impl Deadlines {
    /// Divides the time that remains until Lambda's own deadline.
    pub(crate) fn until(deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let now = Instant::now();
        // Lambda's clock started before the event arrived here. The margin covers that delay.
        let end = left.saturating_sub((left / 50).min(Duration::from_millis(500)));
        let response = RESPONSE.min(left / 8);
        let undo = UNDO.min(left / 4);
        Self {
            work: now + end.saturating_sub(response + undo),
            undo: now + end.saturating_sub(response),
            response: now + end,
            unix: unix(deadline),
        }
    }

    /// Deadlines for Delete. Delete undoes nothing and only has to end its lease, so its work also gets 3/4 of the undo
    /// time.
    pub(crate) fn without_undo(self) -> Self {
        Self { work: self.undo - self.undo.saturating_duration_since(self.work) / 4, ..self }
    }
}

/// Whole seconds since 1970, or 0 for an earlier time.
pub fn unix(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_timeout_leaves_most_of_the_time_for_work() {
        let deadlines = Deadlines::until(SystemTime::now() + Duration::from_secs(900));
        let left = deadlines.work - Instant::now();
        assert!(left > Duration::from_secs(725), "{left:?}");
        assert!(deadlines.undo - deadlines.work >= Duration::from_secs(149));
        assert!(deadlines.response - deadlines.undo >= Duration::from_secs(19));
    }

    #[test]
    fn a_short_timeout_still_leaves_time_for_undo_and_response() {
        let deadlines = Deadlines::until(SystemTime::now() + Duration::from_secs(8));
        assert!(deadlines.work < deadlines.undo && deadlines.undo < deadlines.response);
        assert!(deadlines.work > Instant::now());
    }

    #[test]
    fn a_deadline_in_the_past_means_now() {
        let deadlines = Deadlines::until(SystemTime::UNIX_EPOCH);
        assert!(deadlines.response <= Instant::now());
    }
}
