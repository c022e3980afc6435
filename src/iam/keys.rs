//! Access keys. IAM allows two per user and returns each secret only once.

use secrecy::SecretString;

use super::Iam;
use crate::aws::{absent_is_none, gone_is_fine};
use crate::error::Error;

/// The number of keys that IAM allows per user. Inactive keys count.
pub const LIMIT: usize = 2;

/// A key as ListAccessKeys returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `AKIA…`
    pub id: String,
    /// Whether its status is `Active`.
    pub active: bool,
}

/// A new key. The function keeps the secret in memory only.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// `AKIA…`
    pub id: String,
    /// The secret access key. Only CreateAccessKey returns it.
    pub secret: SecretString,
}

impl Iam {
    /// The user's keys. Empty if the user does not exist.
    pub async fn keys(&self, user: &str) -> Result<Vec<Key>, Error> {
        let list = || self.client.list_access_keys().user_name(user);
        let pages = self.pages("ListAccessKeys", |marker| list().set_marker(marker).into_paginator().send()).await?;
        let key = |key: aws_sdk_iam::types::AccessKeyMetadata| {
            let active = key.status == Some(aws_sdk_iam::types::StatusType::Active);
            key.access_key_id.map(|id| Key { id, active })
        };
        Ok(pages.into_iter().flat_map(|page| page.access_key_metadata).filter_map(key).collect())
    }

    /// Creates a key. If a response was lost, `look` runs before the call is sent again.
    ///
    /// A call whose response was lost may have created a key. Its secret is lost, and it counts toward the limit of two.
    pub async fn create_key<L>(&self, user: &str, look: impl Fn() -> L) -> Result<NewKey, Error>
    where
        L: Future<Output = Result<(), Error>>,
    {
        let send = || self.client.create_access_key().user_name(user).send();
        let look = || {
            let looked = look();
            async { looked.await.map(|()| None) }
        };
        let response = self.patience.call_and_look("CreateAccessKey", &["NoSuchEntity"], send, look).await?;
        let key = response
            .access_key
            .ok_or_else(|| Error::Unconfirmed("CreateAccessKey succeeded but returned no key".into()))?;
        Ok(NewKey { id: key.access_key_id, secret: SecretString::from(key.secret_access_key) })
    }

    /// Deletes a key. Succeeds if the key does not exist.
    pub async fn delete_key(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || self.client.delete_access_key().user_name(user).access_key_id(id).send();
        gone_is_fine(self.patience.call("DeleteAccessKey", &[], send).await.map(|_| ()))
    }

    /// When the key was last used, in Unix seconds. `None` if it was never used.
    ///
    /// Also `None` if it was last used with STS, because the function itself tests its keys with STS.
    pub async fn key_last_used(&self, id: &str) -> Result<Option<i64>, Error> {
        let send = || self.client.get_access_key_last_used().access_key_id(id).send();
        let response = absent_is_none(self.patience.call("GetAccessKeyLastUsed", &[], send).await)?;
        let used = response.and_then(|response| response.access_key_last_used);
        let used = used.filter(|used| used.service_name != "sts");
        Ok(used.and_then(|used| used.last_used_date).map(|date| date.secs()))
    }
}
