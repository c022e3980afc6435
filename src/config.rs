//! What the environment decides: how patient the function is, never what it makes.

use std::time::Duration;

/// How long the function waits, and how often it asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// Pause between the last proof that a key works and its registration (`KEY_SETTLE_MILLIS`, default 1 s).
    pub key_settle: Duration,
    /// Pause between two looks at something that is not there yet (`POLL_MILLIS`, default 1 s).
    pub poll: Duration,
    /// How long AccessDenied is taken for a role that has not arrived yet (`ACCESS_DENIED_GRACE_SECONDS`, default 30 s).
    pub access_denied_grace: Duration,
    /// How long IAM may contradict itself before it is believed (`CONSISTENCY_SECONDS`, default 120 s).
    pub consistency: Duration,
    /// How long Coiled may answer 429, 502, 503 or 504, or not at all (`COILED_RETRY_SECONDS`, default 300 s).
    pub coiled_retry: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key_settle: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            access_denied_grace: Duration::from_secs(30),
            consistency: Duration::from_secs(120),
            coiled_retry: Duration::from_secs(300),
        }
    }
}
