//! Coiled's control plane: who the token is, what a workspace is connected to, registering a key, forgetting it.
//!
//! The facts come from the published client `coiled` 1.135.6 and from running it; there is no public description of
//! this interface.

pub mod connection;
pub mod http;
pub mod registration;
pub mod socket;
pub mod workspace;

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::config::Config;
use crate::properties::names::Server;

/// How this project names itself to Coiled.
pub const AGENT: &str = concat!("coiled-aws-stack/", env!("CARGO_PKG_VERSION"));

/// A server, a token, and how long to try.
#[derive(Debug, Clone)]
pub struct Coiled {
    http: reqwest::Client,
    server: Server,
    token: SecretString,
    pace: Pace,
}

/// How long and how often Coiled is asked again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The first pause; it doubles, up to [`Pace::LONGEST`].
    pub first: Duration,
    /// For how long after a first failure.
    pub retry: Duration,
    /// No attempt goes on beyond this: what failed still has to be told, or undone.
    pub until: Instant,
}

impl Pace {
    /// As long as Coiled's own client pauses at most.
    pub const LONGEST: Duration = Duration::from_secs(15);
    /// One attempt at a request.
    const ATTEMPT: Duration = Duration::from_secs(30);

    /// The pace of a run that has to have its answer from Coiled by `until`.
    pub fn new(config: &Config, until: Instant) -> Self {
        Self { first: config.poll / 2, retry: config.coiled_retry, until }
    }

    /// The same pace, with another end.
    pub fn ending(self, until: Instant) -> Self {
        Self { until, ..self }
    }

    /// When one attempt that begins now has to end.
    fn attempt_end(&self) -> Instant {
        self.until.min(Instant::now() + Self::ATTEMPT)
    }

    /// The pause before the next attempt, where there is time for one: `patience` from the beginning, but never less
    /// than the pause itself.
    fn again(&self, attempt: u32, began: Instant, patience: Duration) -> Option<Duration> {
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
    pub fn new(http: reqwest::Client, server: Server, token: SecretString, pace: Pace) -> Self {
        Self { http, server, token, pace }
    }

    /// The same client, at another pace.
    pub fn paced(&self, pace: Pace) -> Self {
        Self { pace, ..self.clone() }
    }

    /// How long it tries.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The token's kind is told by its form: those with a `-` are API tokens.
    fn authorization(&self) -> SecretString {
        let token = self.token.expose_secret();
        let scheme = if token.contains('-') { "ApiToken" } else { "Token" };
        SecretString::from(format!("{scheme} {token}"))
    }
}

/// Where a person finds the workspace's AWS settings.
pub fn settings_url(server: &Server, workspace: &str) -> String {
    server.at(&[workspace, "settings", "setup", "credentials"]).to_string()
}
