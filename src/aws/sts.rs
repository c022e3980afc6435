//! Asks STS for the function's account, and checks with STS whether a new key works.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, Region};
use tokio::time::{Instant, sleep, sleep_until};

use crate::aws::code;
use crate::aws::iam::Account;
use crate::aws::iam::keys::NewKey;
use crate::aws::patience::Patience;
use crate::aws::reply::is_unknown_client;
use crate::config::Config;
use crate::error::Error;
use crate::error::Trouble;
use crate::error::denial::Denial;
use crate::properties::names::partition_of;

/// A key that has started to work. Each response may come from a different IAM replica. So a key is checked at the
/// start, in the middle and at the end of its settle time. If a check fails, the settle time starts again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Working {
    /// When the first of the consecutive successful responses arrived.
    since: Instant,
    /// The shortest round trip to STS.
    round_trip: Duration,
}

/// STS in the region that Coiled will use. The global endpoint would accept a key even if that region is not enabled.
#[derive(Debug, Clone)]
pub(crate) struct Sts {
    sdk: SdkConfig,
    region: String,
}

impl Sts {
    /// Uses the regional endpoint of `region`.
    pub(crate) fn new(sdk: &SdkConfig, region: &str) -> Self {
        let sdk = sdk.to_builder().region(Region::new(region.to_owned())).build();
        Self { sdk, region: region.to_owned() }
    }

    /// Returns the function's account. The call uses the function's own credentials.
    ///
    /// In a region that the account has not enabled, STS returns `InvalidClientTokenId`. For a new key, the same error
    /// means that IAM has not propagated the key yet. So this call comes first, before a key is created.
    pub(crate) async fn account(&self, patience: &Patience, own: &SdkConfig) -> Result<Account, Error> {
        match self.own_account(patience).await {
            Err(error) if is_unknown(&error) => Err(self.why_unknown(error, patience, own).await),
            Err(error) => Err(self.no_region(error)),
            account => account,
        }
    }

    async fn own_account(&self, patience: &Patience) -> Result<Account, Error> {
        let client = Client::new(&self.sdk);
        let reply = patience.call("GetCallerIdentity", &[], || client.get_caller_identity().send()).await?;
        let account = Account::of_arn(reply.arn().unwrap_or_default());
        account.ok_or_else(|| Error::Unconfirmed("GetCallerIdentity returned no ARN".into()))
    }

    /// Explains why STS in this region does not know the function's credentials, even after the time that new
    /// credentials may take to propagate. Asking another region shows whether the region or the credentials are the
    /// cause.
    async fn why_unknown(&self, error: Error, patience: &Patience, own: &SdkConfig) -> Error {
        let own = own.region().map(AsRef::as_ref).unwrap_or_default();
        let other = other_region(&self.region, own);
        tracing::info!(region = self.region, other, %error, "asking STS in another region whether it knows the credentials");
        let cause = match Self::new(&self.sdk, other).own_account(patience).await {
            Ok(_) => format!("it is not enabled in this account ({error})"),
            // The credentials are unknown everywhere, so the region is not the cause.
            Err(unknown) if is_unknown(&unknown) => return error,
            Err(_) => format!("it is not enabled in this account, or STS does not know the function yet ({error})"),
        };
        Error::Region { region: self.region.clone(), cause }
    }

    fn no_region(&self, error: Error) -> Error {
        let cause = match &error {
            // The region is enabled in the account, but its STS endpoint is switched off.
            Error::Aws { code, .. } if code == "RegionDisabledException" => {
                let cause = format!("its STS endpoint is not active in this account ({error})");
                return Error::StsInactive { region: self.region.clone(), cause };
            }
            Error::Aws { trouble: Trouble::Unreachable | Trouble::Lost, .. } => {
                format!("it does not exist or cannot be reached ({error})")
            }
            // Nothing is wrong with the region.
            _ => return error,
        };
        Error::Region { region: self.region.clone(), cause }
    }

    /// Waits until a new key has worked twice in a row, half its settle time apart. [`Sts::still_works`] is the third
    /// check.
    ///
    /// It has no timeout of its own: it ends with the current phase of the run.
    ///
    /// # Errors
    /// The last response of STS, if the key did not work in time.
    pub(crate) async fn wait_for(&self, key: &NewKey, patience: &Patience, config: &Config) -> Result<Working, Error> {
        self.wait_after(None, key, patience, config).await
    }

    /// Like [`Sts::wait_for`], for a key that STS last rejected with `rejection`.
    async fn wait_after(
        &self,
        mut rejection: Option<Error>,
        key: &NewKey,
        patience: &Patience,
        config: &Config,
    ) -> Result<Working, Error> {
        let client = self.client_with(key);
        loop {
            match works_twice(&client, key, patience, config).await {
                Ok(Ok(working)) => return Ok(working),
                Ok(Err(not_yet)) => rejection = Some(not_yet),
                Err(error) => return Err(or_rejection(error, key, patience, rejection)),
            }
        }
    }

    /// Checks whether the key still works at the end of its settle time. If it does, this returns at that time and not
    /// earlier.
    pub(crate) async fn still_works(
        &self,
        key: &NewKey,
        working: Working,
        patience: &Patience,
        config: &Config,
    ) -> Result<Checked<()>, Error> {
        let client = self.client_with(key);
        let end = working.since + config.key_settle;
        // The check is sent early, so that its response arrives at the end of the settle time and not a round trip
        // later. Even if STS is slow, the check is sent at most a tenth of the settle time early.
        sleep_until(end - working.round_trip.min(config.key_settle / 10)).await;
        let checked = check(&client, key, patience, config).await?;
        if checked.is_ok() {
            sleep_until(end).await;
        }
        Ok(checked.map(|_| ()))
    }

    /// Waits until a new key has worked three times in a row: at the start, in the middle and at the end of its settle
    /// time. `rejection` is the last response of STS, if that rejected the key.
    pub(crate) async fn prove(
        &self,
        mut rejection: Option<Error>,
        key: &NewKey,
        patience: &Patience,
        config: &Config,
    ) -> Result<(), Error> {
        loop {
            let working = self.wait_after(rejection.clone(), key, patience, config).await?;
            match self.still_works(key, working, patience, config).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(not_yet)) => rejection = Some(not_yet),
                Err(error) => return Err(or_rejection(error, key, patience, rejection)),
            }
        }
    }

    fn client_with(&self, key: &NewKey) -> Client {
        use secrecy::ExposeSecret;
        let credentials = Credentials::new(&key.id, key.secret.expose_secret(), None, None, "CreateAccessKey");
        Client::from_conf(aws_sdk_sts::config::Builder::from(&self.sdk).credentials_provider(credentials).build())
    }
}

/// The result of a check, or the rejection of a key that does not work yet.
pub(crate) type Checked<T> = Result<T, Error>;

/// Checks a key at the start and in the middle of its settle time.
async fn works_twice(
    client: &Client,
    key: &NewKey,
    patience: &Patience,
    config: &Config,
) -> Result<Checked<Working>, Error> {
    let first = match check(client, key, patience, config).await? {
        Ok(round_trip) => round_trip,
        Err(not_yet) => return Ok(Err(not_yet)),
    };
    let since = Instant::now();
    sleep(config.key_settle / 2).await;
    let second = check(client, key, patience, config).await?;
    Ok(second.map(|second| Working { since, round_trip: first.min(second) }))
}

/// Checks a key once and returns how long the response took. If the key does not work yet, pauses and returns the
/// rejection.
async fn check(
    client: &Client,
    key: &NewKey,
    patience: &Patience,
    config: &Config,
) -> Result<Checked<Duration>, Error> {
    let began = Instant::now();
    let send = || client.get_caller_identity().send();
    match patience.with_other_credentials().call("GetCallerIdentity", &[], send).await {
        Ok(_) => Ok(Ok(began.elapsed())),
        // An IAM replica does not know the key yet, so earlier successes do not prove anything.
        Err(not_yet) if is_not_yet(&not_yet) => {
            tracing::info!(access_key_id = %key.id, "the key does not work yet");
            sleep_until(patience.ends().min(Instant::now() + config.poll)).await;
            Ok(Err(not_yet))
        }
        Err(error) => Err(error),
    }
}

/// The error of a check. After the end of the phase, this is the last rejection, which says more than a check that was
/// cut off.
fn or_rejection(error: Error, key: &NewKey, patience: &Patience, rejection: Option<Error>) -> Error {
    match rejection {
        Some(cause) if Instant::now() >= patience.ends() => Error::KeyNotWorking {
            id: key.id.clone(),
            seconds: key.created.elapsed().as_secs(),
            cause: Box::new(cause),
        },
        _ => error,
    }
}

/// Whether the error may come from a replica that does not know the key yet.
fn is_not_yet(error: &Error) -> bool {
    !Denial::of(error).is_some_and(Denial::is_permanent)
        && matches!(code(error), Some("InvalidClientTokenId" | "SignatureDoesNotMatch" | "AccessDenied"))
}

/// Whether STS does not know the credentials.
fn is_unknown(error: &Error) -> bool {
    code(error).is_some_and(is_unknown_client)
}

/// A region to compare with: the function's own, or one that is enabled in every account of the partition.
fn other_region<'r>(asked: &str, own: &'r str) -> &'r str {
    let of_partition = match partition_of(asked) {
        "aws-cn" => ["cn-north-1", "cn-northwest-1"],
        "aws-us-gov" => ["us-gov-west-1", "us-gov-east-1"],
        _ => ["us-east-1", "us-west-2"],
    };
    let mut candidates = [own].into_iter().chain(of_partition);
    candidates.find(|region| !region.is_empty() && *region != asked).unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_region_is_in_the_same_partition() {
        for (asked, own, other) in [
            ("me-south-1", "eu-west-1", "eu-west-1"),
            ("eu-west-1", "eu-west-1", "us-east-1"),
            ("us-east-1", "us-east-1", "us-west-2"),
            ("cn-north-1", "cn-north-1", "cn-northwest-1"),
            ("us-gov-east-1", "us-gov-east-1", "us-gov-west-1"),
        ] {
            assert_eq!(other_region(asked, own), other, "{asked} {own}");
        }
    }
}
