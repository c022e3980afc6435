//! What the environment decides: how patient the function is, and where its token may go; never what it makes.

use std::time::Duration;

use crate::properties::names::Server;

/// How long the function waits, and how often it asks: variables of the environment, in milliseconds. And to whom it speaks.
#[derive(Debug, Clone)]
pub struct Config {
    /// Pause between the last proof that a key works and its registration: Coiled may reach another replica of IAM.
    /// `KEY_SETTLE_MILLIS`, default 1 s.
    pub key_settle: Duration,
    /// Pause between writing a lease and seeing whether it is still there: longer than another run takes from its look at
    /// the lease to its own. `LEASE_SETTLE_MILLIS`, default 1 s.
    pub lease_settle: Duration,
    /// How long a Delete that finds nothing waits for a Create that has never answered. `LATE_CREATE_MILLIS`, default 10 s:
    /// as long as the checks of a Create mostly take, before which it makes nothing that could be found.
    pub late_create: Duration,
    /// Pause between two looks at something that is not there yet. `POLL_MILLIS`, default 1 s.
    pub poll: Duration,
    /// How long AccessDenied is taken for a role that has not arrived yet. `ACCESS_DENIED_GRACE_MILLIS`, default 30 s.
    pub access_denied_grace: Duration,
    /// How long IAM may contradict itself before it is believed. `CONSISTENCY_MILLIS`, default 120 s.
    pub consistency: Duration,
    /// How long Coiled may answer 429, 502, 503 or 504; a server that can't be reached gets a tenth of it.
    /// `COILED_RETRY_MILLIS`, default 300 s, as Coiled's own client.
    pub coiled_retry: Duration,
    /// The one control plane that a token is sent to, as the template says it too: else whoever may invoke the function
    /// could have the token sent elsewhere. `COILED_SERVER`, default none: whichever the properties name.
    pub server: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key_settle: Duration::from_secs(1),
            lease_settle: Duration::from_secs(1),
            late_create: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            access_denied_grace: Duration::from_secs(30),
            consistency: Duration::from_secs(120),
            coiled_retry: Duration::from_secs(300),
            server: None,
        }
    }
}

impl Config {
    /// The defaults, but for what the environment says. A value that is no number counts as not given.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let defaults = Self::default();
        let millis = |name: &str, default: Duration| {
            let number = variable(name).and_then(|text| text.trim().parse().ok());
            number.map_or(default, Duration::from_millis)
        };
        Self {
            key_settle: millis("KEY_SETTLE_MILLIS", defaults.key_settle),
            lease_settle: millis("LEASE_SETTLE_MILLIS", defaults.lease_settle),
            late_create: millis("LATE_CREATE_MILLIS", defaults.late_create),
            // Without any pause a wait would keep a core busy.
            poll: millis("POLL_MILLIS", defaults.poll).max(Duration::from_millis(10)),
            access_denied_grace: millis("ACCESS_DENIED_GRACE_MILLIS", defaults.access_denied_grace),
            consistency: millis("CONSISTENCY_MILLIS", defaults.consistency),
            coiled_retry: millis("COILED_RETRY_MILLIS", defaults.coiled_retry),
            server: variable("COILED_SERVER").filter(|server| !server.is_empty()),
        }
    }

    /// Whether a token may be sent there.
    pub fn trusts(&self, server: &Server) -> bool {
        self.server.as_ref().is_none_or(|trusted| Server::parse(trusted).as_ref() == Ok(server))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_changes_patience_and_nonsense_does_not() {
        let config = Config::read(|name| match name {
            "KEY_SETTLE_MILLIS" => Some("250".into()),
            "POLL_MILLIS" => Some("0".into()),
            _ => Some("soon".into()),
        });
        assert_eq!(config.key_settle, Duration::from_millis(250));
        assert_eq!(config.poll, Duration::from_millis(10));
        assert_eq!(config.consistency, Config::default().consistency);
    }

    #[test]
    fn a_server_that_is_named_is_the_only_one() -> Result<(), String> {
        let of = |text: &str| Config::read(|name| (name == "COILED_SERVER").then(|| text.to_owned()));
        let (server, other) = (Server::parse("https://coiled.example.com")?, Server::parse("https://example.com")?);
        assert!(of("").trusts(&server) && of("").trusts(&other));
        assert!(of("https://coiled.example.com/").trusts(&server) && !of("https://coiled.example.com").trusts(&other));
        assert!(!of("nonsense, typed in").trusts(&server));
        Ok(())
    }
}
