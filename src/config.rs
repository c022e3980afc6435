//! Settings from environment variables: wait times, retries, and the server, secrets and registry that the function was
//! deployed for.

use std::time::Duration;

use crate::properties::names::Server;

/// The settings. Each duration is an environment variable in milliseconds.
#[derive(Debug, Clone)]
pub struct Config {
    /// Settle time of a new key: how long it must have worked before it is registered, because Coiled may reach a
    /// different IAM replica. `KEY_SETTLE_MILLIS`, default 1 s.
    pub key_settle: Duration,
    /// Settle time between writing a lease and checking that it still exists. It must be longer than the time that
    /// another run needs between reading the lease and writing its own. `LEASE_SETTLE_MILLIS`, default 1 s.
    pub lease_settle: Duration,
    /// How long a run may send CreateAccessKey after its lease says so. A key that a person creates in this time can be
    /// mistaken for the run's, if the run is killed. `CREATE_KEY_MILLIS`, default 10 s.
    pub create_key: Duration,
    /// How long a Delete that finds nothing waits for a Create that has not responded. Until a Create has finished its
    /// checks, there is nothing to find, and the checks usually take less than the default.
    /// `LATE_CREATE_MILLIS`, default 10 s.
    pub late_create: Duration,
    /// Pause between two polls or retries. `POLL_MILLIS`, default 1 s, at least 10 ms.
    pub poll: Duration,
    /// How long AccessDenied and unknown credentials are retried, because a new role takes time to reach every service.
    /// An unreachable endpoint is retried for the same time. `ACCESS_DENIED_GRACE_MILLIS`, default 30 s.
    pub access_denied_grace: Duration,
    /// How long an IAM result that may be a stale read is retried. `CONSISTENCY_MILLIS`, default 120 s.
    pub consistency: Duration,
    /// How long a request is retried if Coiled returns 429, 502, 503 or 504. An unreachable server is retried for a
    /// tenth of this time. `COILED_RETRY_MILLIS`, default 300 s as in Coiled's own client.
    pub coiled_retry: Duration,
    /// The only Coiled server that may receive a token. Otherwise anyone who can invoke the function could have the
    /// token sent to another server. `COILED_SERVER`, set by the template. If it is not set, any server in the
    /// properties is allowed.
    pub server: Option<String>,
    /// The secrets and the registry that the function was deployed for.
    pub pins: Pins,
    /// Hosts other than S3 that may receive a response, with or without TLS. Each is `HOST` or `HOST:PORT`. Tests and
    /// emulators need them. `RESPONSE_URL_HOSTS`, separated by commas, default none.
    pub response_hosts: Vec<String>,
}

/// The secrets and the registry that the template names in the function's environment. `None` means that the variable
/// does not exist, for example in tests or when the function is run by hand. Any value is then allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// The only secret that is read as the Coiled token. `COILED_TOKEN_SECRET_ARN`.
    pub token_secret: Option<String>,
    /// The only secret that is read as the Docker Hub token; if empty, none is. `DOCKER_HUB_TOKEN_SECRET_ARN`.
    pub hub_token_secret: Option<String>,
    /// The only registry that the Docker Hub token is sent for; if empty, Docker Hub itself. `DOCKER_HUB_URI`.
    pub hub_uri: Option<String>,
    /// The only user that the Docker Hub token is sent for. `DOCKER_HUB_USERNAME`.
    pub hub_username: Option<String>,
}

impl Pins {
    /// Reads the environment. An empty variable does not count as missing.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            token_secret: variable("COILED_TOKEN_SECRET_ARN"),
            hub_token_secret: variable("DOCKER_HUB_TOKEN_SECRET_ARN"),
            hub_uri: variable("DOCKER_HUB_URI"),
            hub_username: variable("DOCKER_HUB_USERNAME"),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            key_settle: Duration::from_secs(1),
            lease_settle: Duration::from_secs(1),
            create_key: Duration::from_secs(10),
            late_create: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            access_denied_grace: Duration::from_secs(30),
            consistency: Duration::from_secs(120),
            coiled_retry: Duration::from_secs(300),
            server: None,
            pins: Pins::default(),
            response_hosts: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the environment. If a variable is missing or is not a number, the default applies.
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
            create_key: millis("CREATE_KEY_MILLIS", defaults.create_key),
            late_create: millis("LATE_CREATE_MILLIS", defaults.late_create),
            // Polling without a pause would keep a core busy.
            poll: millis("POLL_MILLIS", defaults.poll).max(Duration::from_millis(10)),
            access_denied_grace: millis("ACCESS_DENIED_GRACE_MILLIS", defaults.access_denied_grace),
            consistency: millis("CONSISTENCY_MILLIS", defaults.consistency),
            coiled_retry: millis("COILED_RETRY_MILLIS", defaults.coiled_retry),
            server: variable("COILED_SERVER").filter(|server| !server.is_empty()),
            pins: Pins::read(&variable),
            response_hosts: hosts(&variable("RESPONSE_URL_HOSTS").unwrap_or_default()),
        }
    }

    /// Whether a token may be sent to this server.
    pub(crate) fn trusts(&self, server: &Server) -> bool {
        self.server.as_ref().is_none_or(|trusted| Server::parse(trusted).as_ref() == Ok(server))
    }
}

fn hosts(text: &str) -> Vec<String> {
    text.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_the_environment_override_the_defaults() {
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
    fn the_environment_pins_secrets_and_registry() {
        let config = Config::read(|name| name.starts_with("DOCKER_HUB_").then(|| name.to_lowercase()));
        let pins = Pins {
            token_secret: None,
            hub_token_secret: Some("docker_hub_token_secret_arn".into()),
            hub_uri: Some("docker_hub_uri".into()),
            hub_username: Some("docker_hub_username".into()),
        };
        assert_eq!(config.pins, pins);
    }

    #[test]
    fn additional_hosts_for_responses_are_separated_by_commas() {
        assert_eq!(hosts("127.0.0.1:9104, example.com,,"), ["127.0.0.1:9104", "example.com"]);
        assert_eq!(Config::read(|_| None).response_hosts, Vec::<String>::new());
    }

    #[test]
    fn only_the_server_in_the_environment_is_trusted() -> Result<(), String> {
        let with_server = |text: &str| Config::read(|name| (name == "COILED_SERVER").then(|| text.to_owned()));
        let (server, other) = (Server::parse("https://coiled.example.com")?, Server::parse("https://example.com")?);
        assert!(with_server("").trusts(&server) && with_server("").trusts(&other));
        assert!(
            with_server("https://coiled.example.com/").trusts(&server)
                && !with_server("https://coiled.example.com").trusts(&other)
        );
        assert!(!with_server("nonsense, typed in").trusts(&server));
        Ok(())
    }
}
