//! Access keys. IAM allows two per user and returns each secret only once.

use aws_sdk_iam::primitives::DateTimeFormat as Format;
use aws_sdk_iam::types::AccessKeyLastUsed;
use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::Instant;

use super::Iam;
use crate::aws::gone_is_fine;
use crate::error::Error;

/// The number of keys that IAM allows per user. Inactive keys count.
pub(crate) const LIMIT: usize = 2;

/// A key as ListAccessKeys returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// `AKIA…`
    pub id: String,
    /// Whether its status is `Active`.
    pub active: bool,
    /// When it was created, in Unix seconds.
    pub created: Option<i64>,
    /// Which service it was last used with. ListAccessKeys does not return this.
    pub last_use: LastUse,
}

/// Which service a key was last used with, as GetAccessKeyLastUsed shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastUse {
    /// IAM was not asked.
    Unknown,
    /// None, or only STS. A run calls STS with its new key to check whether the key works.
    Unused,
    /// Another service. A run never does this.
    Used,
}

/// A new key. The function keeps the secret in memory only.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    /// `AKIA…`
    pub id: String,
    /// The secret access key. Only CreateAccessKey returns it.
    pub secret: SecretString,
    /// When the response to CreateAccessKey arrived.
    pub created: Instant,
}

impl Iam {
    /// The user's keys. Empty if the user does not exist.
    pub(crate) async fn keys(&self, user: &str) -> Result<Vec<Key>, Error> {
        let list = || self.client.list_access_keys().user_name(user);
        let pages = self.pages("ListAccessKeys", |marker| list().set_marker(marker).into_paginator().send()).await?;
        let key = |key: aws_sdk_iam::types::AccessKeyMetadata| {
            let active = key.status == Some(aws_sdk_iam::types::StatusType::Active);
            let created = key.create_date.map(|date| date.secs());
            key.access_key_id.map(|id| Key { id, active, created, last_use: LastUse::Unknown })
        };
        Ok(pages.into_iter().flat_map(|page| page.access_key_metadata).filter_map(key).collect())
    }

    /// Creates a key. `before_next` runs before the call is sent again, and learns whether the response was lost.
    ///
    /// A call whose response was lost may have created a key. The secret of such a key is lost, but the key counts
    /// toward the limit of two.
    pub(crate) async fn create_key<L>(&self, user: &str, before_next: impl Fn(bool) -> L) -> Result<NewKey, Error>
    where
        L: Future<Output = Result<(), Error>>,
    {
        let send = || self.client.create_access_key().user_name(user).send();
        let before_next = |is_lost| {
            let ready = before_next(is_lost);
            async { ready.await.map(|()| None) }
        };
        let response = self.patience.call_with("CreateAccessKey", &["NoSuchEntity"], send, before_next).await?;
        let key = response
            .access_key
            .ok_or_else(|| Error::Unconfirmed("CreateAccessKey succeeded but returned no key".into()))?;
        let (id, secret) = (key.access_key_id, SecretString::from(key.secret_access_key));
        Ok(NewKey { id, secret, created: Instant::now() })
    }

    /// Deletes a key. Succeeds if the key does not exist.
    pub(crate) async fn delete_key(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || self.client.delete_access_key().user_name(user).access_key_id(id).send();
        gone_is_fine(self.patience.call("DeleteAccessKey", &[], send).await.map(|_| ()))
    }

    /// The error for a user that has no room for another key. A person has to delete `surplus` of the user's keys.
    pub(crate) async fn no_key_slot(&self, user: &str, keys: &[Key], surplus: usize) -> Error {
        Error::NoKeySlot { user: user.to_owned(), keys: self.describe_keys(user, keys).await, surplus }
    }

    /// Describes each key for a person who has to choose one, with the command that deletes it.
    async fn describe_keys(&self, user: &str, keys: &[Key]) -> Vec<String> {
        let describe = async |key: &Key| {
            let status = if key.active { "active" } else { "inactive" };
            let (id, used) = (&key.id, self.describe_last_use(&key.id).await);
            format!("{id} ({status}, {used}): aws iam delete-access-key --user-name {user} --access-key-id {id}")
        };
        join_all(keys.iter().map(describe)).await
    }

    /// When the key was last used, and with which service. If this lookup fails, the key is still listed.
    async fn describe_last_use(&self, id: &str) -> String {
        match self.last_used(id).await {
            Ok(used) => used.as_ref().map_or_else(|| "never used".into(), describe_use),
            Err(error) => {
                tracing::warn!(%error, access_key_id = id, "could not find out when the key was last used");
                "last use unknown".into()
            }
        }
    }

    /// Which service the key was last used with.
    pub(crate) async fn last_use(&self, id: &str) -> Result<LastUse, Error> {
        let used = self.last_used(id).await?.filter(|used| used.last_used_date.is_some());
        let is_used = used.is_some_and(|used| used.service_name != "sts");
        Ok(if is_used { LastUse::Used } else { LastUse::Unused })
    }

    async fn last_used(&self, id: &str) -> Result<Option<AccessKeyLastUsed>, Error> {
        let send = || self.client.get_access_key_last_used().access_key_id(id).send();
        Ok(self.patience.call("GetAccessKeyLastUsed", &[], send).await?.access_key_last_used)
    }
}

/// A key that was never used has no date, and its service is `N/A`.
fn describe_use(used: &AccessKeyLastUsed) -> String {
    let date = used.last_used_date.and_then(|date| date.fmt(Format::DateTime).ok());
    match date.as_deref().and_then(|date| date.get(..10)) {
        Some(day) => format!("last used on {day} with {}", used.service_name),
        None => "never used".into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_iam::primitives::DateTime;

    use super::*;

    #[test]
    fn the_last_use_names_the_day_and_the_service() {
        let used = AccessKeyLastUsed::builder().service_name("ec2").region("us-east-2");
        let used = used.last_used_date(DateTime::from_secs(1_764_028_800)).build().unwrap();
        assert_eq!(describe_use(&used), "last used on 2025-11-25 with ec2");
        let never = AccessKeyLastUsed::builder().service_name("N/A").region("N/A").build().unwrap();
        assert_eq!(describe_use(&never), "never used");
    }
}
