//! Decides how long the function waits for an AWS call, and whether it retries the call. The SDK's own retries are
//! disabled.

use std::collections::hash_map::RandomState;
use std::error::Error as StdError;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::reply::Failed;
use crate::config::Config;
use crate::error::{Error, Trouble};
use crate::lock::locked;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What the SDK's `send` returns: one attempt of a call.
pub(crate) trait Attempt: Future<Output = Result<Self::Reply, SdkError<Self::Cause, HttpResponse>>> {
    /// The call's output.
    type Reply: RequestId;
    /// The call's own errors.
    type Cause: ProvideErrorMetadata + StdError + 'static;
}

impl<F, T, E> Attempt for F
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    T: RequestId,
    E: ProvideErrorMetadata + StdError + 'static,
{
    type Reply = T;
    type Cause = E;
}

/// How long calls are retried. All clones share one clock, so all calls of a run stop when its current phase ends.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    clock: Arc<Mutex<Clock>>,
    /// When calls of this copy must end, if that is before the end of the phase.
    by: Option<Instant>,
    /// How long AWS may need to recognize a new role and its credentials.
    grace: Duration,
    /// How long IAM reads may be stale.
    consistency: Duration,
    /// The first pause. Later pauses are longer, unless the cause is a denial or a stale read.
    poll: Duration,
    /// Whether the calls are signed with the function's own credentials.
    is_own: bool,
}

#[derive(Debug)]
struct Clock {
    /// Every attempt ends by this time.
    ends: Instant,
    /// Before this time, the function's new permissions and credentials may not work yet (aws-cdk#18237).
    permitted_by: Instant,
}

impl Patience {
    /// Starts now and ends at a deadline.
    pub(crate) fn new(config: &Config, ends: Instant) -> Self {
        let clock = Clock { ends, permitted_by: Instant::now() + config.access_denied_grace };
        Self {
            clock: Arc::new(Mutex::new(clock)),
            by: None,
            grace: config.access_denied_grace,
            consistency: config.consistency,
            poll: config.poll,
            is_own: true,
        }
    }

    /// Begins another phase of the run. All its calls end by this time.
    pub(crate) fn ends_at(&self, ends: Instant) {
        locked(&self.clock).ends = ends;
    }

    /// Restarts the grace period after a resource was created. Its permissions and credentials may take as long to work
    /// as those of a new role.
    pub(crate) fn restart_grace(&self) {
        locked(&self.clock).permitted_by = Instant::now() + self.grace;
    }

    /// A copy for calls with credentials other than the function's own. Each rejection is returned to the caller, which
    /// knows why AWS may reject those credentials.
    pub(crate) fn with_other_credentials(&self) -> Self {
        Self { is_own: false, ..self.clone() }
    }

    /// A copy that also ends by this time. It shares the clock, so it still ends with the phase if the phase ends
    /// earlier.
    pub(crate) fn ending_by(&self, by: Instant) -> Self {
        Self { by: Some(self.by.map_or(by, |earlier| earlier.min(by))), ..self.clone() }
    }

    /// When these calls must end: with the current phase, or earlier. Calls are not sent after this time.
    pub(crate) fn ends(&self) -> Instant {
        let ends = locked(&self.clock).ends;
        self.by.map_or(ends, |by| by.min(ends))
    }

    /// Sends a call until it succeeds or fails permanently. The call is also sent again after a lost response, so use
    /// this only for calls that can safely take effect twice. `not_yet` lists the error codes that only mean "not yet"
    /// for this call.
    pub(crate) async fn call<A: Attempt>(
        &self,
        name: &'static str,
        not_yet: &[&str],
        send: impl Fn() -> A,
    ) -> Result<A::Reply, Error> {
        self.call_with(name, not_yet, send, |_| async { Ok(None) }).await
    }

    /// Like [`Patience::call`], for a call that must not take effect twice. After each attempt that may have worked,
    /// `look` checks whether the call took effect. If it did, `look` returns the call's output.
    pub(crate) async fn call_and_look<A: Attempt, L>(
        &self,
        name: &'static str,
        not_yet: &[&str],
        send: impl Fn() -> A,
        look: impl Fn() -> L,
    ) -> Result<A::Reply, Error>
    where
        L: Future<Output = Result<Option<A::Reply>, Error>>,
    {
        let before_next = |may_have_worked: bool| {
            let looked = may_have_worked.then(&look);
            async {
                match looked {
                    Some(looked) => looked.await,
                    None => Ok(None),
                }
            }
        };
        self.call_with(name, not_yet, send, before_next).await
    }

    /// Like [`Patience::call`], but `before_next` runs before every further attempt. Its argument says whether the last
    /// attempt may have worked.
    pub(crate) async fn call_with<A: Attempt, L>(
        &self,
        name: &'static str,
        not_yet: &[&str],
        send: impl Fn() -> A,
        before_next: impl Fn(bool) -> L,
    ) -> Result<A::Reply, Error>
    where
        L: Future<Output = Result<Option<A::Reply>, Error>>,
    {
        let mut wait = Wait::begin(self, name, not_yet);
        while Instant::now() < self.ends() {
            let failed = match self.attempt(&send).await {
                Ok(output) => return Ok(output),
                Err(failed) => failed,
            };
            let may_have_worked = wait.before_next(failed).await?;
            match before_next(may_have_worked).await {
                Ok(Some(output)) => return Ok(output),
                Ok(None) => {}
                // `before_next` ran out of time, so the failure of the call itself says more.
                Err(error) if is_passing(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Err(wait.out_of_time())
    }

    async fn attempt<A: Attempt>(&self, send: &impl Fn() -> A) -> Result<A::Reply, Failed> {
        // Boxed, because the SDK's futures are large and deeply nested.
        match timeout_at(self.ends(), Box::pin(send())).await {
            Ok(Ok(output)) if output.request_id().is_some() => Ok(output),
            Ok(Ok(_)) => Err(Failed::not_aws()),
            Ok(Err(error)) => Err(Failed::read(&error)),
            Err(_) => Err(Failed::no_response()),
        }
    }
}

/// The retries of one call.
struct Wait<'p> {
    patience: &'p Patience,
    name: &'static str,
    not_yet: &'p [&'p str],
    began: Instant,
    attempts: u32,
    /// The longest that the next pause can be. It doubles each time, except after a denial or a stale read.
    pause: Duration,
    /// How the last complete attempt failed.
    last: Option<Failed>,
}

impl<'p> Wait<'p> {
    fn begin(patience: &'p Patience, name: &'static str, not_yet: &'p [&'p str]) -> Self {
        Self { patience, name, not_yet, began: Instant::now(), attempts: 0, pause: patience.poll, last: None }
    }

    /// Pauses before the next attempt, and returns whether the last one may have worked. Fails if there is no time for
    /// another attempt.
    async fn before_next(&mut self, failed: Failed) -> Result<bool, Error> {
        self.attempts += 1;
        let failed = self.unless_cut_off(failed);
        let Some(until) = self.until(&failed) else { return Err(failed.into_error(self.name)) };
        let Some(pause) = self.next_pause(&failed, until) else { return Err(self.gave_up(failed)) };
        tracing::info!(call = self.name, code = failed.code, millis = millis(pause), "retrying after a pause");
        let may_have_worked = failed.may_have_worked;
        self.last = Some(failed);
        sleep(pause).await;
        Ok(may_have_worked)
    }

    /// If the end of the phase cut an attempt off, replaces its failure with the previous one, which says more. The
    /// attempt that was cut off may have worked.
    fn unless_cut_off(&mut self, failed: Failed) -> Failed {
        let is_cut_off = failed == Failed::no_response() && Instant::now() >= self.patience.ends();
        match self.last.take() {
            Some(last) if is_cut_off => Failed { may_have_worked: true, ..last },
            _ => failed,
        }
    }

    fn out_of_time(&mut self) -> Error {
        match self.last.take() {
            Some(last) => self.gave_up(last),
            None => Error::Deadline,
        }
    }

    /// When to stop trying after this failure. `None` if another attempt cannot help.
    fn until(&self, failed: &Failed) -> Option<Instant> {
        let (patience, code) = (self.patience, failed.code.as_str());
        let until = match failed.trouble {
            Trouble::Busy | Trouble::Lost => patience.ends(),
            Trouble::Unreachable => self.began + patience.grace,
            Trouble::NotAws => self.began + patience.consistency,
            Trouble::NotPermitted if patience.is_own => locked(&patience.clock).permitted_by,
            Trouble::Rejected if self.is_not_yet(code) => self.began + patience.consistency,
            Trouble::NotPermitted | Trouble::Rejected => return None,
        };
        Some(until.min(patience.ends()))
    }

    fn is_not_yet(&self, code: &str) -> bool {
        // After concurrent writes, AWS asks the caller to send the call again.
        self.not_yet.contains(&code) || matches!(code, "ConcurrentModification" | "EntityTemporarilyUnmodifiable")
    }

    /// The next pause. `None` if there is no time for another attempt after it. A growing pause takes at most half of
    /// the remaining time.
    fn next_pause(&mut self, failed: &Failed, until: Instant) -> Option<Duration> {
        let left = until.saturating_duration_since(Instant::now());
        let poll = self.patience.poll;
        let pause = match failed.trouble {
            Trouble::NotPermitted | Trouble::Rejected => poll,
            Trouble::Busy | Trouble::Lost | Trouble::Unreachable | Trouble::NotAws => {
                let longest = self.pause;
                self.pause = (longest * 2).min(LONGEST_PAUSE);
                jittered(longest).min(left / 2).max(poll)
            }
        };
        (pause + poll <= left).then_some(pause)
    }

    fn gave_up(&self, mut failed: Failed) -> Error {
        let (seconds, attempts) = (self.began.elapsed().as_secs_f32(), self.attempts);
        failed.message = format!("{} (tried for {seconds:.1} s, attempts: {attempts})", failed.message);
        failed.into_error(self.name)
    }
}

/// Whether a call failed for a transient reason, so that another attempt might have succeeded.
fn is_passing(error: &Error) -> bool {
    use Trouble::{Busy, Lost, NotAws, Unreachable};
    matches!(error, Error::Deadline | Error::Aws { trouble: Busy | Lost | NotAws | Unreachable, .. })
}

/// A random time from half of the pause to the full pause, so that callers that were throttled together do not all
/// retry at the same time.
fn jittered(longest: Duration) -> Duration {
    // Each `RandomState` has different keys, which is all the randomness needed here.
    let random = RandomState::new().build_hasher().finish() % 1000;
    longest / 2 + (longest / 2000) * u32::try_from(random).unwrap_or_default()
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_end_earlier_follow_the_clock_of_the_run() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let patience = Patience::new(&Config::default(), after(60));
        let early = patience.ending_by(after(40));
        assert_eq!((patience.ends(), early.ends()), (after(60), after(40)));
        assert_eq!((early.ending_by(after(50)).ends(), early.ending_by(after(30)).ends()), (after(40), after(30)));
        patience.ends_at(after(20));
        assert_eq!((patience.ends(), early.ends()), (after(20), after(20)));
        patience.ends_at(after(90));
        assert_eq!((patience.ends(), early.ends()), (after(90), after(40)));
    }
}
