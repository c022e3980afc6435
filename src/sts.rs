//! Asks STS for the function's account, and whether a new key works.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, Region};
use tokio::time::{Instant, sleep, sleep_until};

use crate::aws::{Patience, failed};
use crate::config::Config;
use crate::denial::Denial;
use crate::error::Error;
use crate::iam::Account;
use crate::iam::keys::NewKey;

/// A key that has begun to work. One response comes from one IAM replica, and the next may come from another. So a key is
/// checked at the start, in the middle and at the end of its settle time, and a failure starts over.
#[derive(Debug, Clone, Copy)]
pub struct Working {
    /// When the first of the consecutive successes was known.
    since: Instant,
    /// The shortest round trip to STS.
    round_trip: Duration,
}

/// STS in the region that Coiled will use. The global endpoint would accept a key even if that region is not enabled.
#[derive(Debug, Clone)]
pub struct Sts {
    sdk: SdkConfig,
    region: String,
}

impl Sts {
    /// Uses the regional endpoint of `region`.
    pub fn new(sdk: &SdkConfig, region: &str) -> Self {
        let sdk = sdk.to_builder().region(Region::new(region.to_owned())).build();
        Self { sdk, region: region.to_owned() }
    }

    /// The function's account, called with the function's own credentials.
    ///
    /// In a region that the account has not enabled, STS returns `InvalidClientTokenId`. For a new key, the same error
    /// means that IAM has not propagated it. So this call comes first: the function's own credentials are known to
    /// work.
    pub async fn account(&self, patience: &Patience) -> Result<Account, Error> {
        let client = Client::new(&self.sdk);
        let send = || client.get_caller_identity().send();
        let reply = patience.call("GetCallerIdentity", &[], send).await.map_err(|error| self.no_region(&error))?;
        let account = Account::of_arn(reply.arn().unwrap_or_default());
        account.ok_or_else(|| Error::Unconfirmed("GetCallerIdentity returned no ARN".into()))
    }

    fn no_region(&self, error: &Error) -> Error {
        let cause = match crate::aws::code(error) {
            Some("InvalidClientTokenId" | "UnrecognizedClientException") => {
                format!("it is not enabled in this account ({error})")
            }
            // The region is enabled in the account, but its STS endpoint is switched off.
            Some("RegionDisabledException") => {
                let cause = format!("its STS endpoint is not active in this account ({error})");
                return Error::StsInactive { region: self.region.clone(), cause };
            }
            Some("no response") => format!("it does not exist or cannot be reached ({error})"),
            // Nothing is wrong with the region.
            _ => return error.clone(),
        };
        Error::Region { region: self.region.clone(), cause }
    }

    /// Waits until a new key has worked twice in a row, half its settle time apart. [`Sts::still_works`] is the third
    /// check.
    ///
    /// It has no timeout of its own: the run's deadline cancels it.
    pub async fn wait_for(&self, key: &NewKey, config: &Config) -> Result<Working, Error> {
        let client = self.client_with(key);
        loop {
            let Some(first) = check(&client, key, config).await? else { continue };
            let since = Instant::now();
            sleep(config.key_settle / 2).await;
            if let Some(second) = check(&client, key, config).await? {
                return Ok(Working { since, round_trip: first.min(second) });
            }
        }
    }

    /// Whether the key still works at the end of its settle time. Returns then, and not before.
    pub async fn still_works(&self, key: &NewKey, working: Working, config: &Config) -> Result<bool, Error> {
        let client = self.client_with(key);
        let end = working.since + config.key_settle;
        // The check starts early, so that its response arrives at the end and adds no round trip. Even if STS is slow, it
        // starts at most a tenth of the settle time early.
        sleep_until(end - working.round_trip.min(config.key_settle / 10)).await;
        let works = check(&client, key, config).await?.is_some();
        if works {
            sleep_until(end).await;
        }
        Ok(works)
    }

    /// Waits until a new key has worked three times in a row: at the start, in the middle and at the end of its settle
    /// time.
    pub async fn prove(&self, key: &NewKey, config: &Config) -> Result<(), Error> {
        loop {
            let working = self.wait_for(key, config).await?;
            if self.still_works(key, working, config).await? {
                return Ok(());
            }
        }
    }

    fn client_with(&self, key: &NewKey) -> Client {
        use secrecy::ExposeSecret;
        let credentials = Credentials::new(&key.id, key.secret.expose_secret(), None, None, "CreateAccessKey");
        Client::from_conf(aws_sdk_sts::config::Builder::from(&self.sdk).credentials_provider(credentials).build())
    }
}

/// One check of a key: how long the response took, or `None` after a pause if the key does not work yet.
async fn check(client: &Client, key: &NewKey, config: &Config) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    let Err(error) = client.get_caller_identity().send().await else { return Ok(Some(began.elapsed())) };
    let error = failed("GetCallerIdentity", &error);
    // An IAM replica does not know the key yet, so the earlier successes prove nothing.
    if !is_not_yet(&error) {
        return Err(error);
    }
    tracing::info!(access_key_id = %key.id, "the key does not work yet");
    sleep(config.poll).await;
    Ok(None)
}

/// Whether the error may come from a replica that does not know the key yet, or from the network.
fn is_not_yet(error: &Error) -> bool {
    !Denial::of(error).is_some_and(Denial::is_permanent)
        && matches!(
            crate::aws::code(error),
            Some(
                "InvalidClientTokenId"
                    | "SignatureDoesNotMatch"
                    | "AccessDenied"
                    | "no response"
                    | "unreadable response"
            )
        )
}
