//! The two managed policies: their documents, versions and tags.

use std::sync::Mutex;

use aws_sdk_iam::operation::create_policy_version::CreatePolicyVersionOutput;
use aws_sdk_iam::types::PolicyVersion;

use super::document::same;
use super::{Iam, from_sdk, to_sdk};
use crate::aws::{absent_is_none, code, gone_is_fine};
use crate::error::Error;
use crate::lock::locked;
use crate::tag::Tag;

/// A policy as GetPolicy and GetPolicyVersion return it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub arn: String,
    /// The ID of the default version, such as `v1`.
    pub version: String,
    /// All its tags.
    pub tags: Vec<Tag>,
    /// The document of the default version, URL-encoded as IAM returns it.
    pub document: String,
}

impl Iam {
    /// The policy with the document of its default version. `None` if the policy does not exist.
    pub(crate) async fn policy(&self, arn: &str) -> Result<Option<Policy>, Error> {
        let response = self.patience.call("GetPolicy", &[], || self.client.get_policy().policy_arn(arn).send()).await;
        let Some(policy) = absent_is_none(response)?.and_then(|response| response.policy) else { return Ok(None) };
        let version = policy.default_version_id.unwrap_or_default();
        let document = self.document(arn, &version).await?;
        let tags = from_sdk(policy.tags.as_deref().unwrap_or_default());
        Ok(document.map(|document| Policy { arn: arn.to_owned(), version, tags, document }))
    }

    /// The policy's tags. `None` if the policy does not exist.
    pub(crate) async fn policy_tags(&self, arn: &str) -> Result<Option<Vec<Tag>>, Error> {
        let response = self.patience.call("GetPolicy", &[], || self.client.get_policy().policy_arn(arn).send()).await;
        let policy = absent_is_none(response)?.and_then(|response| response.policy);
        Ok(policy.map(|policy| from_sdk(policy.tags.as_deref().unwrap_or_default())))
    }

    async fn document(&self, arn: &str, version: &str) -> Result<Option<String>, Error> {
        let send = || self.client.get_policy_version().policy_arn(arn).version_id(version).send();
        let response = absent_is_none(self.patience.call("GetPolicyVersion", &[], send).await)?;
        Ok(response.and_then(|response| response.policy_version).and_then(|version| version.document))
    }

    /// Creates a policy. The document becomes version `v1`.
    pub(crate) async fn create_policy(
        &self,
        path: &str,
        name: &str,
        document: &str,
        tags: &[Tag],
    ) -> Result<(), Error> {
        let send = || {
            let request = self.client.create_policy().path(path).policy_name(name).policy_document(document);
            request.set_tags(Some(to_sdk(tags))).send()
        };
        self.patience.call("CreatePolicy", &[], send).await.map(|_| ())
    }

    /// Creates a version with a new document, sets it as default and returns its ID.
    ///
    /// IAM allows five versions per policy. At this limit, the oldest version that is not the default is deleted first
    /// (99designs/iamy#21).
    pub(crate) async fn put_document(&self, arn: &str, document: &str) -> Result<String, Error> {
        let before = Mutex::default();
        let version = match self.create_version(arn, document, &before).await {
            Err(error) if code(&error) == Some("LimitExceeded") => {
                self.delete_oldest_version(arn).await?;
                self.create_version(arn, document, &before).await?
            }
            other => other?,
        };
        let before = locked(&before).take();
        if let Some(before) = before {
            self.delete_lost_versions(arn, document, (number(&before), number(&version))).await?;
        }
        Ok(version)
    }

    /// Sends CreatePolicyVersion. After a lost response, it checks whether the document is already the default. If not,
    /// it stores the current default version in `before`.
    async fn create_version(&self, arn: &str, document: &str, before: &Mutex<Option<String>>) -> Result<String, Error> {
        let send = || {
            self.client.create_policy_version().policy_arn(arn).policy_document(document).set_as_default(true).send()
        };
        let look = || async {
            let Some(policy) = self.policy(arn).await? else { return Ok(None) };
            if same(&policy.document, document) {
                return Ok(Some(created(policy.version)));
            }
            locked(before).get_or_insert(policy.version);
            Ok(None)
        };
        let output = self.patience.call_and_look("CreatePolicyVersion", &["NoSuchEntity"], send, look).await?;
        Ok(output.policy_version.and_then(|version| version.version_id).unwrap_or_default())
    }

    /// Deletes versions whose responses were lost. IAM may not have shown such a version at once, and its call was sent
    /// again. So there may be versions with the same document between the earlier default and the new one.
    async fn delete_lost_versions(&self, arn: &str, document: &str, between: (u64, u64)) -> Result<(), Error> {
        for id in self.other_versions(arn).await? {
            let is_between = between.0 < number(&id) && number(&id) < between.1;
            if is_between && self.document(arn, &id).await?.is_some_and(|other| same(&other, document)) {
                tracing::warn!(arn, version = id, "deleting a version that a call with a lost response created");
                self.delete_version(arn, &id).await?;
            }
        }
        Ok(())
    }

    async fn delete_oldest_version(&self, arn: &str) -> Result<(), Error> {
        let mut others = self.other_versions(arn).await?;
        // They are sorted as numbers, because `v9` is older than `v10`.
        others.sort_by_key(|id| number(id));
        match others.first() {
            Some(oldest) => self.delete_version(arn, oldest).await,
            None => Ok(()),
        }
    }

    /// The IDs of all versions except the default.
    pub(crate) async fn other_versions(&self, arn: &str) -> Result<Vec<String>, Error> {
        let list = || self.client.list_policy_versions().policy_arn(arn);
        let start = |marker| list().set_marker(marker).into_paginator().send();
        let pages = self.pages("ListPolicyVersions", start).await?;
        let versions = pages.into_iter().filter_map(|page| page.versions).flatten();
        let others = versions.filter(|version| !version.is_default_version);
        Ok(others.filter_map(|version| version.version_id).collect())
    }

    /// Deletes a version that is not the default. Succeeds if the version does not exist.
    pub(crate) async fn delete_version(&self, arn: &str, version: &str) -> Result<(), Error> {
        let send = || self.client.delete_policy_version().policy_arn(arn).version_id(version).send();
        gone_is_fine(self.patience.call("DeletePolicyVersion", &[], send).await.map(|_| ()))
    }

    /// Sets an existing version as default.
    pub(crate) async fn set_default_version(&self, arn: &str, version: &str) -> Result<(), Error> {
        let send = || self.client.set_default_policy_version().policy_arn(arn).version_id(version).send();
        self.patience.call("SetDefaultPolicyVersion", &[], send).await.map(|_| ())
    }

    /// Adds tags and overwrites existing values.
    pub(crate) async fn tag_policy(&self, arn: &str, tags: &[Tag]) -> Result<(), Error> {
        let send = || self.client.tag_policy().policy_arn(arn).set_tags(Some(to_sdk(tags))).send();
        self.patience.call("TagPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Removes tags. Ignores keys that do not exist.
    pub(crate) async fn untag_policy(&self, arn: &str, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let send = || self.client.untag_policy().policy_arn(arn).set_tag_keys(Some(keys.to_vec())).send();
        self.patience.call("UntagPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Deletes a policy with all its versions. Succeeds if the policy does not exist.
    pub(crate) async fn delete_policy(&self, arn: &str) -> Result<(), Error> {
        for version in self.other_versions(arn).await? {
            self.delete_version(arn, &version).await?;
        }
        let send = || self.client.delete_policy().policy_arn(arn).send();
        gone_is_fine(self.patience.call("DeletePolicy", &["DeleteConflict"], send).await.map(|_| ()))
    }
}

/// The number in a version's ID: 10 for `v10`.
fn number(id: &str) -> u64 {
    id.trim_start_matches('v').parse().unwrap_or_default()
}

/// The output that CreatePolicyVersion would have returned.
fn created(version: String) -> CreatePolicyVersionOutput {
    CreatePolicyVersionOutput::builder().policy_version(PolicyVersion::builder().version_id(version).build()).build()
}
