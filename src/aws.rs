//! What all AWS calls share: patience with what time heals, and errors in the reader's words.

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

use crate::config::Config;
use crate::error::{Error, is_denied};

/// How long what time may heal is tried again.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until then AccessDenied may mean a role that has not arrived yet (aws-cdk#18237).
    denied_until: Instant,
    /// How long IAM may contradict itself.
    consistency: Duration,
    poll: Duration,
}

impl Patience {
    /// Patience that begins now.
    pub fn new(config: &Config) -> Self {
        Self {
            denied_until: Instant::now() + config.access_denied_grace,
            consistency: config.consistency,
            poll: config.poll,
        }
    }

    /// Sends a call until it works or fails for good. `transient` are the error codes that only mean "not yet" here.
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
            // Boxed: the SDK's futures are large, and many of them lie inside each other.
            let error = match Box::pin(send()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let code = error.code().unwrap_or_default();
            let until = match code {
                code if is_denied(code) => self.denied_until,
                // Two writers at once; AWS asks to send it again.
                "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => consistent_at,
                code if transient.contains(&code) => consistent_at,
                _ => return Err(failed(name, &error)),
            };
            if Instant::now() + self.poll > until {
                return Err(failed(name, &error));
            }
            tracing::debug!(call = name, code, "not yet; the call is sent again");
            sleep(self.poll).await;
        }
    }
}

/// The settings of every client. Attempts are bounded, for the SDK itself sets no limit but the connection's. And all
/// share one HTTP client: else each would bring connections and trusted certificates of its own.
///
/// [`Config::poll`] is the SDK's first pause before it sends a call again, and by default as long as its own.
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

/// A failed call, in words for the console.
pub fn failed<E, R>(call: &'static str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug,
{
    let (code, message) = match error {
        SdkError::ServiceError(service) => (
            service.err().code().unwrap_or("an error without a code").to_owned(),
            service.err().message().unwrap_or("no message").to_owned(),
        ),
        SdkError::TimeoutError(_) => ("no answer".to_owned(), "the service did not answer in time".to_owned()),
        SdkError::DispatchFailure(failure) => {
            let cause = failure.as_connector_error().map(|error| innermost(error)).unwrap_or_default();
            ("no answer".to_owned(), format!("the service could not be reached ({cause})"))
        }
        // The answer itself is not shown: it may be the one that holds a secret.
        _ => ("unreadable answer".to_owned(), "the service's answer made no sense".to_owned()),
    };
    Error::Aws { call, code, message }
}

/// The last cause in a chain of errors: the one that says what really happened.
pub fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The error's code, if it is an AWS error.
pub fn code(error: &Error) -> Option<&str> {
    match error {
        Error::Aws { code, .. } => Some(code),
        _ => None,
    }
}

/// Success where the thing was not there any more.
pub fn gone_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(()),
        other => other,
    }
}

/// `None` where there is no such entity.
pub fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}
