//! Shared by all AWS calls: retries for eventual consistency, client settings, and error texts for the console.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::time::{Instant, sleep};

use crate::certificate;
use crate::config::Config;
use crate::denial::Denial;
use crate::error::Error;
use crate::redact::shown;

/// How long errors that may be transient are retried.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until then, AccessDenied may mean that a new role's permissions have not reached this service (aws-cdk#18237).
    denied_until: Instant,
    /// How long a result of IAM may be a stale read.
    consistency: Duration,
    poll: Duration,
}

impl Patience {
    /// Starts the time for retries after AccessDenied. It runs once per invocation, not per call.
    pub fn new(config: &Config) -> Self {
        Self {
            denied_until: Instant::now() + config.access_denied_grace,
            consistency: config.consistency,
            poll: config.poll,
        }
    }

    /// Sends a call and retries it after AccessDenied and after conflicts between writers. `transient` lists further
    /// error codes that may come from a stale read in this call.
    pub async fn call<T, E, R, F>(
        &self,
        name: &'static str,
        transient: &[&str],
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, R>>>,
        E: ProvideErrorMetadata + StdError + 'static,
        R: std::fmt::Debug,
    {
        let consistent_at = Instant::now() + self.consistency;
        loop {
            // Boxed because the SDK's futures are large and would be nested several levels deep.
            let error = match Box::pin(send()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let code = error.code().unwrap_or_default();
            let denial = Denial::read(code, error.message().unwrap_or_default());
            let until = match code {
                _ if denial.is_some_and(Denial::is_permanent) => return Err(failed(name, &error)),
                _ if denial.is_some() => self.denied_until,
                // Two concurrent writers. AWS asks the caller to retry.
                "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => consistent_at,
                code if transient.contains(&code) => consistent_at,
                _ => return Err(failed(name, &error)),
            };
            if Instant::now() + self.poll > until {
                return Err(failed(name, &error));
            }
            tracing::debug!(call = name, code, "the call failed, which may be transient; retrying");
            sleep(self.poll).await;
        }
    }
}

/// The settings of every client. Attempts have a timeout, because the SDK itself only limits connecting. All clients
/// share one HTTP client, because otherwise each would open its own connections and load the trusted certificates
/// again.
///
/// [`Config::poll`] is the SDK's first pause before a retry. Its default, 1 s, equals the SDK's own.
pub fn shared(sdk: &SdkConfig, config: &Config) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(40))
        .build();
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    let retries = RetryConfig::standard().with_max_attempts(4).with_initial_backoff(config.poll);
    sdk.to_builder().timeout_config(timeouts).retry_config(retries).http_client(http).build()
}

/// Converts an SDK error. Responses that cannot be parsed are not shown, because they may contain a secret.
pub fn failed<E, R>(call: &'static str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug,
{
    let (code, message) = match error {
        SdkError::ServiceError(service) => (
            shown(service.err().code().unwrap_or("unknown error")),
            shown(service.err().message().unwrap_or("no message")),
        ),
        SdkError::TimeoutError(_) => ("no response".to_owned(), "the service did not respond in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map(|error| certificate::cause(error)).unwrap_or_default();
            ("no response".to_owned(), format!("the service could not be reached ({cause})"))
        }
        _ => ("unreadable response".to_owned(), "the service's response could not be parsed".to_owned()),
    };
    Error::Aws { call, code, message }
}

/// The error code of an AWS error. `None` for other errors.
pub fn code(error: &Error) -> Option<&str> {
    match error {
        Error::Aws { code, .. } => Some(code),
        _ => None,
    }
}

/// Turns NoSuchEntity into success, for deletions and detachments.
pub fn gone_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(()),
        other => other,
    }
}

/// Turns NoSuchEntity into `None`.
pub fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}
