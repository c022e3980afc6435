//! The client for a Coiled server. It resolves the workspace, reads its connection, registers a key and disconnects.
//!
//! Coiled does not document this API. The facts come from the source of the published client `coiled` 1.135.6, and from
//! running it.

pub mod connection;
pub mod http;
pub(crate) mod message;
pub mod socket;
pub(crate) mod workspace;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::config::Config;
use crate::lock::locked;
use crate::properties::names::Server;
use crate::redact::scrub;

/// A client for one Coiled server and one token.
#[derive(Debug, Clone)]
pub(crate) struct Coiled {
    http: reqwest::Client,
    server: Server,
    token: SecretString,
    /// The secrets that were sent to Coiled. Coiled's messages may repeat them.
    sent: Arc<Mutex<Vec<SecretString>>>,
    pace: Pace,
}

/// How long and how often requests to Coiled are retried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The first pause. It doubles with each retry, up to [`Pace::LONGEST`].
    pub first: Duration,
    /// How long a request is retried, counted from its first attempt.
    pub retry: Duration,
    /// When every attempt must end. The run needs the time after that to undo its changes and to respond.
    pub until: Instant,
}

impl Pace {
    /// The longest pause, as in Coiled's own client.
    pub(crate) const LONGEST: Duration = Duration::from_secs(15);
    /// The time limit of a single attempt.
    const ATTEMPT: Duration = Duration::from_secs(30);

    /// The pace of a run that needs Coiled's response by `until`.
    pub(crate) fn new(config: &Config, until: Instant) -> Self {
        Self { first: config.poll / 2, retry: config.coiled_retry, until }
    }

    /// The same pace, ending at another time.
    pub(crate) fn ending(self, until: Instant) -> Self {
        Self { until, ..self }
    }

    fn attempt_end(&self) -> Instant {
        self.until.min(Instant::now() + Self::ATTEMPT)
    }

    /// The pause before the next attempt. `None` if that attempt would start more than `patience` after `began`, or
    /// after `self.until`. If `patience` is shorter than the pause, the pause is used instead.
    fn pause_before_retry(&self, attempt: u32, began: Instant, patience: Duration) -> Option<Duration> {
        let pause = self.pause(attempt);
        let next = Instant::now() + pause;
        (next <= began + patience.max(pause) && next < self.until).then_some(pause)
    }

    fn pause(&self, attempt: u32) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(attempt)).min(Self::LONGEST)
    }
}

impl Coiled {
    /// A client for one run.
    pub(crate) fn new(http: reqwest::Client, server: Server, token: SecretString, pace: Pace) -> Self {
        let sent = Arc::new(Mutex::new(vec![token.clone()]));
        Self { http, server, token, sent, pace }
    }

    /// The same client with another pace.
    pub(crate) fn paced(&self, pace: Pace) -> Self {
        Self { pace, ..self.clone() }
    }
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Stores the secrets that are about to be sent, for [`Coiled::scrubbed`].
    fn will_send(&self, secrets: &[SecretString]) {
        locked(&self.sent).extend(secrets.iter().cloned());
    }

    /// Text from Coiled in which the secrets that this run has sent are masked.
    fn scrubbed(&self, text: &str) -> String {
        let sent = locked(&self.sent);
        scrub(text, &sent.iter().collect::<Vec<_>>())
    }

    /// API tokens contain a `-`. For all other tokens, Coiled expects the scheme `Token`.
    fn authorization(&self) -> SecretString {
        let token = self.token.expose_secret();
        let scheme = if token.contains('-') { "ApiToken" } else { "Token" };
        SecretString::from(format!("{scheme} {token}"))
    }
}

/// The address of the web page with the workspace's AWS settings.
pub(crate) fn settings_url(server: &Server, workspace: &str) -> String {
    server.at(&[workspace, "settings", "setup", "credentials"]).to_string()
}
