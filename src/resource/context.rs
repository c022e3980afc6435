//! The state of one run: request, clients, deadlines and lease. Also waits for other runs that hold the lease.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::FutureExt;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::iam::{Account, Iam};
use crate::aws::patience::Patience;
use crate::aws::secrets;
use crate::aws::sts::Sts;
use crate::cloudformation::physical_id::PhysicalId;
use crate::cloudformation::request::{Envelope, Request, RequestType};
use crate::coiled::{Coiled, Pace};
use crate::config::Config;
use crate::deadline::Deadlines;
use crate::error::{Error, Failure};
use crate::lock::locked;
use crate::properties::Spec;
use crate::properties::names::{Server, UserName, partition_of};
use crate::redact::shown;
use crate::resource::creation::Creation;
use crate::resource::lease::Lease;
use crate::resource::observe::{self, SeenUser};
use crate::resource::ownership::{Owner, OwnershipTags};
use crate::tag::LEASE;
use crate::tag::Tag;

/// One run: a request with its clients and deadlines.
#[derive(Debug)]
pub struct Context<'a> {
    /// The configuration of all AWS clients.
    pub sdk: &'a SdkConfig,
    /// Wait times and the trusted Coiled server.
    pub config: &'a Config,
    /// The HTTP client for Coiled and S3. It is shared to reuse connections.
    pub http: &'a reqwest::Client,
    /// The request.
    pub envelope: &'a Envelope,
    /// The ownership tags of this resource.
    pub ownership: OwnershipTags,
    /// This run's lease.
    pub lease: Lease,
    /// When work, undo and response have to end.
    pub deadlines: Deadlines,
    /// Retry policy for transient errors.
    pub patience: Patience,
    /// The IAM client, with retries.
    pub iam: Iam,
    began: Instant,
    step: Mutex<String>,
    writes_lease: AtomicBool,
    creation: Mutex<Option<Creation>>,
    default_workspace: OnceLock<String>,
}

/// AWS calls stop at most this long before the end of their phase.
const GIVE_UP_EARLIER: Duration = Duration::from_secs(1);

impl<'a> Context<'a> {
    /// Starts a run. Retry times are counted from this call.
    pub fn new(
        sdk: &'a SdkConfig,
        config: &'a Config,
        http: &'a reqwest::Client,
        iam: aws_sdk_iam::Client,
        envelope: &'a Envelope,
        deadlines: Deadlines,
    ) -> Self {
        let patience = Patience::new(config, deadlines.work);
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
            step: Mutex::new("start".into()),
            writes_lease: AtomicBool::new(false),
            creation: Mutex::default(),
            default_workspace: OnceLock::new(),
        }
    }

    /// Sets the current step. If the run is canceled or panics, the status reason names this step.
    pub fn enter(&self, step: impl Into<String>) {
        *locked(&self.step) = step.into();
    }

    /// Records the workspace in which a stack without the property `Workspace` is created. The physical ID contains it
    /// and never changes afterwards, so only a Create records a workspace.
    pub fn created_in(&self, slug: &str) {
        if self.envelope.request == Request::Create {
            self.default_workspace.get_or_init(|| slug.to_owned());
        }
    }

    /// The physical ID to respond with.
    pub fn physical_id(&self) -> PhysicalId {
        let id = self.envelope.physical_resource_id();
        match self.default_workspace.get() {
            Some(slug) => id.in_workspace(slug),
            None => id,
        }
    }

    /// Validates properties, with the stack's region and partition as defaults.
    pub fn read_spec(&self, properties: &Value) -> Result<Spec, Error> {
        let stack = self.envelope.stack();
        let own_region = self.sdk.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
        let region = stack.region.unwrap_or(&own_region);
        let partition = stack.partition.unwrap_or_else(|| partition_of(region));
        Spec::parse(properties, region, partition)
    }

    /// A failure at the current step.
    pub fn failure(&self, error: Error) -> Failure {
        Failure::at(locked(&self.step).clone(), error)
    }

    /// Runs one step and logs its duration. A failure names the step.
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

    /// Runs `work` until a deadline. A panic or a missed deadline becomes a failure of the current step.
    ///
    /// AWS calls stop a little earlier, so that the status reason can say which call failed and why.
    pub async fn guarded<T>(
        &self,
        until: Instant,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let left = until.saturating_duration_since(Instant::now());
        self.patience.ends_at(until - (left / 20).min(GIVE_UP_EARLIER));
        match timeout_at(until, AssertUnwindSafe(Box::pin(work)).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(self.failure(Error::Internal(message(panic.as_ref())))),
            Err(_) => Err(self.failure(Error::Deadline)),
        }
    }

    /// A client for Coiled. It stops retrying at `until`.
    pub fn coiled(&self, server: &Server, token: SecretString, until: Instant) -> Coiled {
        Coiled::new(self.http.clone(), server.clone(), token, Pace::new(self.config, until))
    }

    /// When to stop waiting for other services and runs. This leaves a tenth of the work time to handle their result.
    pub fn work_until(&self) -> Instant {
        self.deadlines.work - self.deadlines.work.saturating_duration_since(self.began) / 10
    }

    /// Reads a token from the secret with this ARN.
    pub async fn token(&self, secret: &str) -> Result<SecretString, Error> {
        secrets::token(self.sdk, &self.patience, secret).await
    }

    /// Like [`Context::token`], but stops waiting for AWS at `until`.
    pub async fn token_by(&self, secret: &str, until: Instant) -> Result<SecretString, Error> {
        secrets::token(self.sdk, &self.patience.ending_by(until), secret).await
    }

    /// The function's account, from STS in `region`.
    pub async fn account(&self, region: &str) -> Result<Account, Error> {
        Sts::new(self.sdk, region).account(&self.patience, self.sdk).await
    }

    /// Reads the user. If another run of this stack holds the lease, waits until it releases the lease or the lease
    /// expires.
    pub async fn user_at_rest(&self, name: &UserName) -> Result<Option<SeenUser>, Error> {
        let before = locked(&self.step).clone();
        loop {
            let seen = observe::user(&self.iam, &self.ownership, name).await?;
            let lease = seen.as_ref().and_then(|seen| self.live_lease_of_another_run(&seen.user.tags));
            let Some(lease) = lease else {
                self.enter(before);
                return Ok(seen);
            };
            // CloudFormation is already deleting the resource, so this event is late. Nothing would ever delete the
            // resources that this run creates.
            if lease.deletes() && !self.lease.deletes() {
                return Err(Error::Busy(format!("a Delete, {}", lease.describe())));
            }
            if Instant::now() + self.config.poll >= self.work_until() {
                return Err(Error::Busy(lease.describe()));
            }
            tracing::info!(lease = %lease.describe(), "another run is working on this user; waiting until it ends");
            // If the deadline ends the wait, the status reason names the other run.
            self.enter(format!("wait for another run ({})", lease.describe()));
            sleep(self.config.poll).await;
        }
    }

    /// Checks that this run holds the lease. Retries while IAM may still show the tags from before the lease was
    /// written.
    pub async fn holds_lease(&self, name: &str) -> Result<(), Error> {
        let until = Instant::now() + self.config.consistency;
        loop {
            if self.shows_lease(&self.iam.known_user(name).await?.tags, until)? {
                return Ok(());
            }
            sleep(self.config.poll).await;
        }
    }

    /// Whether these tags show this run's lease. Fails if another run has taken the lease, or if the tags should show
    /// it by now.
    pub fn shows_lease(&self, tags: &[Tag], until: Instant) -> Result<bool, Error> {
        let lease = Lease::read(tags);
        let is_mine = lease.as_ref().is_some_and(|lease| lease.is_same_run(&self.lease));
        if is_mine && self.ownership.owner(tags) == Owner::Ours {
            return Ok(true);
        }
        let is_taken = !is_mine && lease.as_ref().is_some_and(Lease::is_live);
        if is_taken || Instant::now() + self.config.poll > until {
            let removed = || "this run's lease was removed".to_owned();
            return Err(Error::Busy(lease.map_or_else(removed, |lease| lease.describe())));
        }
        Ok(false)
    }

    /// Whether the user belongs to this stack and no other run has taken the lease.
    pub async fn is_mine(&self, name: &str) -> Result<bool, Error> {
        let Some(user) = self.iam.user(name).await? else { return Ok(false) };
        let lease = Lease::read(&user.tags);
        Ok(self.ownership.owner(&user.tags) == Owner::Ours && lease.is_none_or(|lease| lease.is_same_run(&self.lease)))
    }

    /// The lease tag. Call this only to write the tag, because after this call, the run expires or releases the
    /// lease when it ends.
    pub fn lease_tag(&self) -> Tag {
        self.writes_lease.store(true, Ordering::SeqCst);
        self.lease.with(self.creation()).tag()
    }

    /// Sets when this run creates a key. The next lease that it writes contains that time.
    pub fn set_creation(&self, creation: Option<Creation>) {
        *locked(&self.creation) = creation;
    }

    /// When this run creates a key.
    pub fn creation(&self) -> Option<Creation> {
        locked(&self.creation).clone()
    }

    /// Marks this run's lease as expired. The next run does not wait for it, and knows that there may be something to
    /// clean up. The tag is written even if IAM does not show the lease, because that may be a stale read.
    pub async fn end_lease(&self, name: &str) -> Result<(), Error> {
        if !self.may_end_lease(name).await? {
            return Ok(());
        }
        self.iam.tag_user(name, &[self.lease.with(self.creation()).ended().tag()]).await
    }

    /// Removes this run's lease from the user. Use it only if there is nothing to clean up.
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

    /// The lease that another run of this stack holds on a user with these tags.
    pub fn live_lease_of_another_run(&self, tags: &[Tag]) -> Option<Lease> {
        let lease = Lease::read(tags).filter(|_| self.ownership.owner(tags) == Owner::Ours)?;
        (lease.is_live() && !lease.is_same_run(&self.lease)).then_some(lease)
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    // A panic's message can contain the data that caused it.
    text.map_or_else(|| "no message".into(), |text| shown(&text))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use aws_config::BehaviorVersion;
    use serde_json::json;

    use super::*;

    /// The failure of `work` in a new context whose current step is "register".
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
    async fn a_panic_is_a_failure_of_the_current_step() {
        let failure = failure(async { panic!("on purpose") }).await;
        assert_eq!(failure, Failure::at("register", Error::Internal("on purpose".into())));
    }

    #[tokio::test]
    async fn an_access_key_in_a_panic_message_is_masked() {
        let failure = failure(async { panic!("no such key: {:?}", "k".repeat(40)) }).await;
        assert_eq!(failure.error, Error::Internal("no such key: \"***\"".into()));
    }

    #[tokio::test]
    async fn a_missed_deadline_is_a_failure_of_the_current_step() {
        let failure = failure(std::future::pending()).await;
        assert_eq!(failure, Failure::at("register", Error::Deadline));
    }
}
