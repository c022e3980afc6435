//! What one run knows from its beginning, and the waiting for other runs.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_config::SdkConfig;
use futures_util::FutureExt;
use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::Patience;
use crate::coiled::{Coiled, Pace};
use crate::config::Config;
use crate::deadline::Deadlines;
use crate::error::{Error, Failure};
use crate::iam::tags::{LEASE, Lease, Owner, OwnershipTags};
use crate::iam::{Account, Iam};
use crate::observe::{self, SeenUser};
use crate::properties::names::{Server, UserName};
use crate::properties::tags::Tag;
use crate::request::{Envelope, RequestType};
use crate::{secrets, sts::Sts};

/// One run: a request, the clients for it, and when it has to end.
#[derive(Debug)]
pub struct Context<'a> {
    /// The AWS configuration that all clients share.
    pub sdk: &'a SdkConfig,
    /// How patient the function is.
    pub config: &'a Config,
    /// The HTTP client that all requests share.
    pub http: &'a reqwest::Client,
    /// The request.
    pub envelope: &'a Envelope,
    /// The marks of its resource.
    pub ownership: OwnershipTags,
    /// This run's lease.
    pub lease: Lease,
    /// When work, undo and answer have to end.
    pub deadlines: Deadlines,
    /// With what time heals.
    pub patience: Patience,
    /// IAM.
    pub iam: Iam,
    began: Instant,
    step: Mutex<String>,
    writes_lease: AtomicBool,
}

impl<'a> Context<'a> {
    /// The context of one run.
    pub fn new(
        sdk: &'a SdkConfig,
        config: &'a Config,
        http: &'a reqwest::Client,
        iam: aws_sdk_iam::Client,
        envelope: &'a Envelope,
        deadlines: Deadlines,
    ) -> Self {
        let patience = Patience::new(config);
        let deletes = envelope.request_type() == Some(RequestType::Delete);
        Self {
            sdk,
            config,
            http,
            envelope,
            ownership: OwnershipTags::of(envelope),
            lease: Lease::new(&envelope.request_id, deadlines.unix, deletes),
            deadlines,
            iam: Iam::new(iam, patience.clone()),
            patience,
            began: Instant::now(),
            step: Mutex::new("begin".into()),
            writes_lease: AtomicBool::new(false),
        }
    }

    /// Notes which step is at work, for the Reason of a run that is cut off.
    pub fn enter(&self, step: impl Into<String>) {
        *locked(&self.step) = step.into();
    }

    /// A failure at the step that is at work.
    pub fn failure(&self, error: Error) -> Failure {
        Failure::at(locked(&self.step).clone(), error)
    }

    /// Runs one step: its name is in the Reason if it fails, its duration in the log.
    pub async fn step<T>(&self, name: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        self.enter(name);
        let began = Instant::now();
        let result = Box::pin(work).await;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(_) => tracing::info!(step = name, millis, "done"),
            Err(error) => tracing::error!(step = name, millis, %error, "failed"),
        }
        result.map_err(|error| Failure::at(name, error))
    }

    /// Runs something until a deadline; a panic and the deadline become failures like any other.
    pub async fn guarded<T>(
        &self,
        until: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout_at(until, AssertUnwindSafe(Box::pin(work)).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(self.failure(Error::Internal(message(panic.as_ref())))),
            Err(_) => Err(self.failure(Error::Deadline)),
        }
    }

    /// Coiled, with a token, to be done with by `until`.
    pub fn coiled(&self, server: &Server, token: SecretString, until: Instant) -> Coiled {
        Coiled::new(self.http.clone(), server.clone(), token, Pace::new(self.config, until))
    }

    /// The latest moment for a service's answer, so that this run can still tell what it was.
    pub fn work_until(&self) -> Instant {
        self.deadlines.work - self.deadlines.work.saturating_duration_since(self.began) / 10
    }

    /// A token out of Secrets Manager.
    pub async fn token(&self, secret: &str) -> Result<SecretString, Error> {
        secrets::token(self.sdk, &self.patience, secret).await
    }

    /// The account, as the STS of a region sees this function.
    pub async fn account(&self, region: &str) -> Result<Account, Error> {
        Sts::new(self.sdk, region).account(&self.patience).await
    }

    /// Looks at the user; one of ours on which another run works is looked at again until that run has ended.
    pub async fn user_at_rest(&self, name: &UserName) -> Result<Option<SeenUser>, Error> {
        let before = locked(&self.step).clone();
        loop {
            let seen = observe::user(&self.iam, &self.ownership, name).await?;
            let lease = seen.as_ref().and_then(|seen| self.live_lease_of_another_run(&seen.user.tags));
            let Some(lease) = lease else {
                self.enter(before);
                return Ok(seen);
            };
            // CloudFormation gave the resource up: this event is late, and what it made now nobody would ever remove.
            if lease.deletes() && !self.lease.deletes() {
                return Err(Error::Busy(format!("a Delete, {}", lease.describe())));
            }
            if Instant::now() + self.config.poll >= self.work_until() {
                return Err(Error::Busy(lease.describe()));
            }
            tracing::info!(lease = %lease.describe(), "another run works on this user; waiting for its end");
            // For the Reason of a run that is cut off while it waits.
            self.enter(format!("wait for another run ({})", lease.describe()));
            sleep(self.config.poll).await;
        }
    }

    /// Sees that this run has the lease. What was there before it may still be shown for a while.
    pub async fn holds_lease(&self, name: &str) -> Result<(), Error> {
        let until = Instant::now() + self.config.consistency;
        loop {
            let tags = self.iam.known_user(name).await?.tags;
            let lease = Lease::read(&tags);
            let is_mine = lease.as_ref().is_some_and(|lease| lease.is_same_run(&self.lease));
            if is_mine && self.ownership.owner(&tags) == Owner::Ours {
                return Ok(());
            }
            let is_taken = !is_mine && lease.as_ref().is_some_and(Lease::is_live);
            if is_taken || Instant::now() + self.config.poll > until {
                return Err(Error::Busy(
                    lease.map_or_else(|| "the lease is gone".to_owned(), |lease| lease.describe()),
                ));
            }
            sleep(self.config.poll).await;
        }
    }

    /// Whether the user is this stack's, and no other run of it has taken over.
    pub async fn is_mine(&self, name: &str) -> Result<bool, Error> {
        let Some(user) = self.iam.user(name).await? else { return Ok(false) };
        let lease = Lease::read(&user.tags);
        Ok(self.ownership.owner(&user.tags) == Owner::Ours && lease.is_none_or(|lease| lease.is_same_run(&self.lease)))
    }

    /// The tag of this run's lease, for a call that puts it on the user.
    pub fn lease_tag(&self) -> Tag {
        self.writes_lease.store(true, Ordering::SeqCst);
        self.lease.tag()
    }

    /// Leaves this run's lease, ended, as a trace: the next run need not wait, and cleans up. IAM may not show yet that the
    /// lease was written.
    pub async fn end_lease(&self, name: &str) -> Result<(), Error> {
        if !self.may_end_lease(name).await? {
            return Ok(());
        }
        self.iam.tag_user(name, &[self.lease.ended().tag()]).await
    }

    /// Takes this run's lease away: it has left nothing to clean up.
    pub async fn release_lease(&self, name: &str) -> Result<(), Error> {
        if !self.may_end_lease(name).await? {
            return Ok(());
        }
        self.iam.untag_user(name, &[LEASE.to_owned()]).await
    }

    async fn may_end_lease(&self, name: &str) -> Result<bool, Error> {
        if !self.writes_lease.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let Some(user) = self.iam.user(name).await? else { return Ok(false) };
        Ok(self.ownership.owner(&user.tags) == Owner::Ours && self.live_lease_of_another_run(&user.tags).is_none())
    }

    /// The lease that keeps this run from working on the user with these tags.
    pub fn live_lease_of_another_run(&self, tags: &[Tag]) -> Option<Lease> {
        let lease = Lease::read(tags).filter(|_| self.ownership.owner(tags) == Owner::Ours)?;
        (lease.is_live() && !lease.is_same_run(&self.lease)).then_some(lease)
    }
}

/// A lock that a panic elsewhere does not take away.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_config::BehaviorVersion;
    use serde_json::json;

    use super::*;

    /// Runs something in a context of its own, and returns its failure.
    async fn failure(work: impl Future<Output = Result<(), Failure>>) -> Failure {
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let (config, http) = (Config::default(), reqwest::Client::new());
        let (iam, envelope) = (aws_sdk_iam::Client::new(&sdk), Envelope::read(&json!({})));
        let deadlines = Deadlines::until(SystemTime::now() + Duration::from_secs(60));
        let context = Context::new(&sdk, &config, &http, iam, &envelope, deadlines);
        context.enter("register");
        context.guarded(Instant::now() + Duration::from_millis(20), work).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_the_step_at_work() {
        let failure = failure(async { panic!("on purpose") }).await;
        assert_eq!(failure, Failure::at("register", Error::Internal("on purpose".into())));
    }

    #[tokio::test]
    async fn the_deadline_is_a_failure_of_the_step_at_work() {
        let failure = failure(std::future::pending()).await;
        assert_eq!(failure, Failure::at("register", Error::Deadline));
    }
}
