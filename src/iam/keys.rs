//! Access keys: two at most, and each shown once.

use std::time::Duration;

use aws_sdk_iam::config::Builder;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::timeout::TimeoutConfig;
use secrecy::SecretString;

use super::Iam;
use crate::aws::{absent_is_none, gone_is_fine};
use crate::error::Error;

/// How many keys a user can have; inactive ones count.
pub const LIMIT: usize = 2;

/// A key as ListAccessKeys shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `AKIA…`
    pub id: String,
    /// Whether it can be used.
    pub active: bool,
}

/// A key just made. Its secret exists in this process alone, and is never stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// `AKIA…`
    pub id: String,
    /// Shown by IAM this once.
    pub secret: SecretString,
}

impl Iam {
    /// The user's keys; none where there is no such user.
    pub async fn keys(&self, user: &str) -> Result<Vec<Key>, Error> {
        let send = || self.client.list_access_keys().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListAccessKeys", &[], send).await)?;
        let keys = reply.map(|reply| reply.access_key_metadata).unwrap_or_default();
        let key = |key: aws_sdk_iam::types::AccessKeyMetadata| {
            let active = key.status == Some(aws_sdk_iam::types::StatusType::Active);
            key.access_key_id.map(|id| Key { id, active })
        };
        Ok(keys.into_iter().filter_map(key).collect())
    }

    /// Makes a key. The SDK sends it once: a second key made by a retry after a lost reply would be nobody's, and
    /// would fill the user's second place.
    pub async fn create_key(&self, user: &str) -> Result<NewKey, Error> {
        let once = || {
            let request = self.client.create_access_key().user_name(user).customize();
            request.config_override(send_once()).send()
        };
        let reply = self.patience.call("CreateAccessKey", &NOT_MADE_YET, once).await?;
        let key =
            reply.access_key.ok_or_else(|| Error::Unconfirmed("CreateAccessKey answered without a key".into()))?;
        Ok(NewKey { id: key.access_key_id, secret: SecretString::from(key.secret_access_key) })
    }

    /// Removes a key; one that isn't there is fine.
    pub async fn delete_key(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || self.client.delete_access_key().user_name(user).access_key_id(id).send();
        gone_is_fine(self.patience.call("DeleteAccessKey", &[], send).await.map(|_| ()))
    }

    /// The moment at which a key was last used, in Unix seconds; `None` if it never was. STS does not count: that is how
    /// this function proves its own keys.
    pub async fn key_last_used(&self, id: &str) -> Result<Option<i64>, Error> {
        let send = || self.client.get_access_key_last_used().access_key_id(id).send();
        let reply = absent_is_none(self.patience.call("GetAccessKeyLastUsed", &[], send).await)?;
        let used = reply.and_then(|reply| reply.access_key_last_used);
        let used = used.filter(|used| used.service_name != "sts");
        Ok(used.and_then(|used| used.last_used_date).map(|date| date.secs()))
    }
}

/// Answers that say for certain that no key was made, and that one will be later.
const NOT_MADE_YET: [&str; 4] = ["NoSuchEntity", "Throttling", "ThrottlingException", "RequestLimitExceeded"];

fn send_once() -> Builder {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_secs(15)).build();
    Builder::new().retry_config(RetryConfig::disabled()).timeout_config(timeouts)
}
