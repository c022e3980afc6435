//! Whether an AWS access key works, asked of STS as Coiled itself would.

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata};

use super::Connection;

/// Calls GetCallerIdentity with the connection's own key, once.
///
/// # Errors
///
/// The code that STS answered, or why it could not be asked.
pub(super) async fn key_works(endpoint: &str, connection: &Connection) -> Result<(), String> {
    let key = Credentials::new(connection.access_key_id(), connection.secret_access_key(), None, None, "registration");
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(connection.region()))
        .endpoint_url(endpoint)
        .credentials_provider(key)
        .retry_config(RetryConfig::disabled())
        .build();
    let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    answer.map(drop).map_err(|error| match error.code() {
        Some(code) => code.to_owned(),
        None => DisplayErrorContext(error).to_string(),
    })
}
