//! Shared by all AWS calls: client settings and the interpretation of errors.

pub mod iam;
pub(crate) mod patience;
pub(crate) mod reply;
pub mod secrets;
pub(crate) mod sts;

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::error::{Error, Trouble};

/// The settings of every client. Each attempt has a timeout, because the SDK's own timeout covers only connecting. All
/// clients share one HTTP client, because otherwise each would open its own connections and load the trusted
/// certificates again.
///
/// The SDK's own retries are off, because [`crate::aws::patience`] controls all retries.
pub(crate) fn shared(sdk: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(15))
        .build();
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
    sdk.to_builder().timeout_config(timeouts).retry_config(RetryConfig::disabled()).http_client(http).build()
}

/// The error code of an AWS error. `None` for other errors.
pub(crate) fn code(error: &Error) -> Option<&str> {
    match error {
        Error::Aws { code, .. } => Some(code),
        _ => None,
    }
}

/// Whether an AWS service throttled the calls or was unavailable until this function gave up.
pub(crate) fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Aws { trouble: Trouble::Busy, .. })
}

/// Whether the call may have taken effect although it failed.
pub(crate) fn may_have_worked(error: &Error) -> bool {
    matches!(error, Error::Aws { may_have_worked: true, .. })
}

/// Turns NoSuchEntity into success, for deletions and detachments.
pub(crate) fn gone_is_fine(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(()),
        other => other,
    }
}

/// Turns NoSuchEntity into `None`.
pub(crate) fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if code(&error) == Some("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}
