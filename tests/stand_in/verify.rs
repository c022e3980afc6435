//! Checks with STS whether an AWS access key works, as Coiled does.

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::Connection;

/// Calls GetCallerIdentity once, with the connection's key.
///
/// # Errors
///
/// The error code of STS, or the reason why the call failed without one.
pub(super) async fn key_works(endpoint: &str, connection: &Connection) -> Result<(), String> {
    let key = Credentials::new(connection.access_key_id(), connection.secret_access_key(), None, None, "registration");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(connection.region()))
        .endpoint_url(endpoint)
        .credentials_provider(key)
        .retry_config(RetryConfig::disabled())
        .build();
    let response = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    response.map(drop).map_err(|error| match error.code() {
        Some(code) => code.to_owned(),
        None => DisplayErrorContext(error).to_string(),
    })
}
