//! Asks STS for the function's account, and whether a new key works.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, Region};
use tokio::time::sleep;

use crate::aws::{Patience, failed};
use crate::config::Config;
use crate::denial::Denial;
use crate::error::Error;
use crate::iam::Account;
use crate::iam::keys::NewKey;

/// How many consecutive calls with a new key must succeed. One success is not enough: the next call may reach another
/// IAM replica.
pub const PROOFS: u32 = 3;

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
            Some("InvalidClientTokenId" | "UnrecognizedClientException" | "RegionDisabledException") => {
                format!("it is not enabled in this account ({error})")
            }
            Some("no response") => format!("it does not exist or cannot be reached ({error})"),
            _ => format!("its STS endpoint rejected the function ({error})"),
        };
        Error::Region { region: self.region.clone(), cause }
    }

    /// Waits until a new key has worked [`PROOFS`] times in a row. Returns early without an error if `stop` returns
    /// true.
    ///
    /// It has no timeout of its own: the run's deadline cancels it.
    pub async fn prove(&self, key: &NewKey, config: &Config, stop: impl Fn() -> bool) -> Result<(), Error> {
        let client = self.client_with(key);
        let (mut proofs, mut failures) = (0, 0_u32);
        while proofs < PROOFS && !stop() {
            match client.get_caller_identity().send().await {
                Ok(_) => proofs += 1,
                Err(error) => {
                    let error = failed("GetCallerIdentity", &error);
                    // An IAM replica does not know the key yet, so the earlier successes prove nothing.
                    if !is_not_yet(&error) {
                        return Err(error);
                    }
                    (proofs, failures) = (0, failures + 1);
                    tracing::info!(access_key_id = %key.id, failures, "the key does not work yet");
                    sleep(config.poll).await;
                }
            }
        }
        Ok(())
    }

    fn client_with(&self, key: &NewKey) -> Client {
        use secrecy::ExposeSecret;
        let credentials = Credentials::new(&key.id, key.secret.expose_secret(), None, None, "CreateAccessKey");
        Client::from_conf(aws_sdk_sts::config::Builder::from(&self.sdk).credentials_provider(credentials).build())
    }
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
