//! Who the function is, and whether a key works yet.

use aws_config::SdkConfig;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Credentials, Region};
use tokio::time::sleep;

use crate::aws::{Patience, failed};
use crate::config::Config;
use crate::error::Error;
use crate::iam::Account;
use crate::iam::keys::NewKey;

/// How often in a row a key has to work: one answer comes from one replica, the next may come from another.
pub const PROOFS: u32 = 3;

/// The STS of the region that Coiled will use. The global endpoint would say nothing of that region.
#[derive(Debug, Clone)]
pub struct Sts {
    sdk: SdkConfig,
    region: String,
}

impl Sts {
    /// The STS of a region.
    pub fn new(sdk: &SdkConfig, region: &str) -> Self {
        let sdk = sdk.to_builder().region(Region::new(region.to_owned())).build();
        Self { sdk, region: region.to_owned() }
    }

    /// The account that the function is in, by its own credentials. A region that the account has not enabled answers
    /// `InvalidClientTokenId` here as it would for the new key, and for ever: so it is asked before anything is made.
    pub async fn account(&self, patience: &Patience) -> Result<Account, Error> {
        let client = Client::new(&self.sdk);
        let send = || client.get_caller_identity().send();
        let reply = patience.call("GetCallerIdentity", &[], send).await.map_err(|error| self.no_region(&error))?;
        let account = Account::of_arn(reply.arn().unwrap_or_default());
        account.ok_or_else(|| Error::Unconfirmed("GetCallerIdentity answered without an ARN".into()))
    }

    fn no_region(&self, error: &Error) -> Error {
        let cause = match crate::aws::code(error) {
            Some("InvalidClientTokenId" | "UnrecognizedClientException" | "RegionDisabledException") => {
                format!("it is not enabled in this account ({error})")
            }
            Some("no answer") => format!("it does not exist, or can't be reached ({error})"),
            _ => format!("its STS does not answer this function ({error})"),
        };
        Error::Region { region: self.region.clone(), cause }
    }

    /// Waits until a new key has worked [`PROOFS`] times in a row. Ends early, without an error, once `stop` says so.
    ///
    /// The wait ends with the run's deadline, which cancels it.
    pub async fn prove(&self, key: &NewKey, config: &Config, stop: impl Fn() -> bool) -> Result<(), Error> {
        let client = self.client_with(key);
        let (mut proofs, mut refusals) = (0, 0_u32);
        while proofs < PROOFS && !stop() {
            match client.get_caller_identity().send().await {
                Ok(_) => proofs += 1,
                Err(error) => {
                    let error = failed("GetCallerIdentity", &error);
                    // Another replica does not know the key yet; what worked before counts for nothing.
                    if !is_not_yet(&error) {
                        return Err(error);
                    }
                    (proofs, refusals) = (0, refusals + 1);
                    tracing::info!(access_key_id = %key.id, refusals, "the key does not work yet");
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

/// What a key that IAM has not spread yet is answered; and what may come in between on any network.
fn is_not_yet(error: &Error) -> bool {
    matches!(
        crate::aws::code(error),
        Some("InvalidClientTokenId" | "SignatureDoesNotMatch" | "AccessDenied" | "no answer" | "unreadable answer")
    )
}
