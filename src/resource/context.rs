//! The state of one run: request, clients, deadlines and lease. It turns timeouts and panics into failures.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::FutureExt;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

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
use crate::properties::names::{Server, partition_of};
use crate::redact::shown;
use crate::resource::lease::Lease;
use crate::resource::ownership::OwnershipTags;

/// One run: a request with its clients and deadlines.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The configuration of all AWS clients.
    pub sdk: &'a SdkConfig,
    /// Wait times, and what the function was deployed for.
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
    progress: Mutex<Progress>,
}

/// What must be known at the end of the run even if its future was canceled.
#[derive(Debug)]
struct Progress {
    step: String,
    /// The workspace in which a stack without the property `Workspace` is created.
    created_in: Option<String>,
    /// Whether this run may have written its lease.
    has_lease: bool,
}

/// AWS calls stop at most this long before the end of their phase.
const GIVE_UP_EARLIER: Duration = Duration::from_secs(1);

impl<'a> Context<'a> {
    /// Starts a run. Retry times are counted from this call.
    pub(crate) fn new(
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
            progress: Mutex::new(Progress { step: "start".into(), created_in: None, has_lease: false }),
        }
    }

    /// Sets the current step. If the run is canceled or panics, the status reason names this step.
    pub(crate) fn enter(&self, step: impl Into<String>) {
        locked(&self.progress).step = step.into();
    }

    /// The step that [`Context::enter`] set last.
    pub(crate) fn current_step(&self) -> String {
        locked(&self.progress).step.clone()
    }

    /// Notes that this run is about to write its lease. From then on, the run expires or releases the lease when it
    /// ends.
    pub(crate) fn note_lease(&self) {
        locked(&self.progress).has_lease = true;
    }

    /// Whether this run may have written its lease.
    pub(crate) fn may_have_lease(&self) -> bool {
        locked(&self.progress).has_lease
    }

    /// Records the workspace in which a stack without the property `Workspace` is created. The physical ID contains it
    /// and never changes afterwards, so only a Create records a workspace.
    pub(crate) fn created_in(&self, slug: &str) {
        if self.envelope.request == Request::Create {
            locked(&self.progress).created_in.get_or_insert_with(|| slug.to_owned());
        }
    }

    /// The physical ID to respond with.
    pub(crate) fn physical_id(&self) -> PhysicalId {
        let id = self.envelope.physical_resource_id();
        match &locked(&self.progress).created_in {
            Some(slug) => id.in_workspace(slug),
            None => id,
        }
    }

    /// Validates properties, with the stack's region and partition as defaults.
    pub(crate) fn read_spec(&self, properties: &Value) -> Result<Spec, Error> {
        let stack = self.envelope.stack();
        let own_region = self.sdk.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
        let region = stack.region.unwrap_or(&own_region);
        let partition = stack.partition.unwrap_or_else(|| partition_of(region));
        Spec::parse(properties, region, partition)
    }

    /// A failure at the current step.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        Failure::at(self.current_step(), error)
    }

    /// Runs one step and logs its duration. A failure names the step.
    pub(crate) async fn step<T>(&self, name: &str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
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
    pub(crate) async fn guarded<T>(
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
    pub(crate) fn coiled(&self, server: &Server, token: SecretString, until: Instant) -> Coiled {
        Coiled::new(self.http.clone(), server.clone(), token, Pace::new(self.config, until))
    }

    /// When to stop waiting for other services and runs. This leaves a tenth of the work time to handle their result.
    pub(crate) fn work_until(&self) -> Instant {
        self.deadlines.work - self.deadlines.work.saturating_duration_since(self.began) / 10
    }

    /// Reads a token from the secret with this ARN.
    pub(crate) async fn token(&self, secret: &str) -> Result<SecretString, Error> {
        secrets::token(self.sdk, &self.patience, secret).await
    }

    /// Like [`Context::token`], but stops waiting for AWS at `until`.
    pub(crate) async fn token_by(&self, secret: &str, until: Instant) -> Result<SecretString, Error> {
        secrets::token(self.sdk, &self.patience.ending_by(until), secret).await
    }

    /// The function's account, from STS in `region`.
    pub(crate) async fn account(&self, region: &str) -> Result<Account, Error> {
        Sts::new(self.sdk, region).account(&self.patience, self.sdk).await
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
