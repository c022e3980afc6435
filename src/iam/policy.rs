//! The two managed policies: documents, versions, marks, and who else uses them.

use super::{Iam, from_sdk, to_sdk};
use crate::aws::{absent_is_none, code, gone_is_fine};
use crate::error::Error;
use crate::properties::tags::Tag;

/// A policy as GetPolicy shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its ARN.
    pub arn: String,
    /// The version in force.
    pub version: String,
    /// All its tags.
    pub tags: Vec<Tag>,
    /// The document in force, as IAM gave it back: URL-encoded.
    pub document: String,
}

impl Iam {
    /// The policy with the document in force, if there is one.
    pub async fn policy(&self, arn: &str) -> Result<Option<Policy>, Error> {
        let reply = self.patience.call("GetPolicy", &[], || self.client.get_policy().policy_arn(arn).send()).await;
        let Some(policy) = absent_is_none(reply)?.and_then(|reply| reply.policy) else { return Ok(None) };
        let version = policy.default_version_id.unwrap_or_default();
        let document = self.document(arn, &version).await?;
        let tags = from_sdk(policy.tags.as_deref().unwrap_or_default());
        Ok(document.map(|document| Policy { arn: arn.to_owned(), version, tags, document }))
    }

    /// The tags of a policy, if there is one: whose it is.
    pub async fn policy_tags(&self, arn: &str) -> Result<Option<Vec<Tag>>, Error> {
        let reply = self.patience.call("GetPolicy", &[], || self.client.get_policy().policy_arn(arn).send()).await;
        let policy = absent_is_none(reply)?.and_then(|reply| reply.policy);
        Ok(policy.map(|policy| from_sdk(policy.tags.as_deref().unwrap_or_default())))
    }

    async fn document(&self, arn: &str, version: &str) -> Result<Option<String>, Error> {
        let send = || self.client.get_policy_version().policy_arn(arn).version_id(version).send();
        let reply = absent_is_none(self.patience.call("GetPolicyVersion", &[], send).await)?;
        Ok(reply.and_then(|reply| reply.policy_version).and_then(|version| version.document))
    }

    /// Makes a policy.
    pub async fn create_policy(&self, path: &str, name: &str, document: &str, tags: &[Tag]) -> Result<(), Error> {
        let send = || {
            let request = self.client.create_policy().path(path).policy_name(name).policy_document(document);
            request.set_tags(Some(to_sdk(tags))).send()
        };
        self.patience.call("CreatePolicy", &[], send).await.map(|_| ())
    }

    /// Puts a new document in force; with five versions there the oldest other one goes first, for a policy has at
    /// most five (99designs/iamy#21). Returns the new version's id.
    pub async fn put_document(&self, arn: &str, document: &str) -> Result<String, Error> {
        let send = || {
            self.client.create_policy_version().policy_arn(arn).policy_document(document).set_as_default(true).send()
        };
        let reply = match self.patience.call("CreatePolicyVersion", &["NoSuchEntity"], send).await {
            Err(error) if code(&error) == Some("LimitExceeded") => {
                self.delete_oldest_version(arn).await?;
                self.patience.call("CreatePolicyVersion", &[], send).await?
            }
            other => other?,
        };
        Ok(reply.policy_version.and_then(|version| version.version_id).unwrap_or_default())
    }

    async fn delete_oldest_version(&self, arn: &str) -> Result<(), Error> {
        let mut others = self.other_versions(arn).await?;
        // `v9` is older than `v10`.
        others.sort_by_key(|id| id.trim_start_matches('v').parse::<u64>().unwrap_or_default());
        match others.first() {
            Some(oldest) => self.delete_version(arn, oldest).await,
            None => Ok(()),
        }
    }

    /// The versions that are not in force.
    pub async fn other_versions(&self, arn: &str) -> Result<Vec<String>, Error> {
        let send = || self.client.list_policy_versions().policy_arn(arn).send();
        let reply = absent_is_none(self.patience.call("ListPolicyVersions", &[], send).await)?;
        let versions = reply.and_then(|reply| reply.versions).unwrap_or_default();
        let others = versions.into_iter().filter(|version| !version.is_default_version);
        Ok(others.filter_map(|version| version.version_id).collect())
    }

    /// Removes a version that is not in force.
    pub async fn delete_version(&self, arn: &str, version: &str) -> Result<(), Error> {
        let send = || self.client.delete_policy_version().policy_arn(arn).version_id(version).send();
        gone_is_fine(self.patience.call("DeletePolicyVersion", &[], send).await.map(|_| ()))
    }

    /// Puts an earlier version in force again.
    pub async fn set_default_version(&self, arn: &str, version: &str) -> Result<(), Error> {
        let send = || self.client.set_default_policy_version().policy_arn(arn).version_id(version).send();
        self.patience.call("SetDefaultPolicyVersion", &[], send).await.map(|_| ())
    }

    /// Adds tags, or changes them.
    pub async fn tag_policy(&self, arn: &str, tags: &[Tag]) -> Result<(), Error> {
        let send = || self.client.tag_policy().policy_arn(arn).set_tags(Some(to_sdk(tags))).send();
        self.patience.call("TagPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Removes tags; those that aren't there don't matter.
    pub async fn untag_policy(&self, arn: &str, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let send = || self.client.untag_policy().policy_arn(arn).set_tag_keys(Some(keys.to_vec())).send();
        self.patience.call("UntagPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Removes a policy with its versions; one that isn't there is fine.
    pub async fn delete_policy(&self, arn: &str) -> Result<(), Error> {
        for version in self.other_versions(arn).await? {
            self.delete_version(arn, &version).await?;
        }
        let send = || self.client.delete_policy().policy_arn(arn).send();
        gone_is_fine(self.patience.call("DeletePolicy", &["DeleteConflict"], send).await.map(|_| ()))
    }

    /// Who else uses a policy, besides the user: `role/x`, `user/y`, `group/z`.
    pub async fn other_holders(&self, arn: &str, user: &str) -> Result<Vec<String>, Error> {
        let send = || self.client.list_entities_for_policy().policy_arn(arn).send();
        let Some(reply) = absent_is_none(self.patience.call("ListEntitiesForPolicy", &[], send).await)? else {
            return Ok(Vec::new());
        };
        let users = reply.policy_users.unwrap_or_default().into_iter().filter_map(|holder| holder.user_name);
        let roles = reply.policy_roles.unwrap_or_default().into_iter().filter_map(|holder| holder.role_name);
        let groups = reply.policy_groups.unwrap_or_default().into_iter().filter_map(|holder| holder.group_name);
        let users = users.filter(|name| !name.eq_ignore_ascii_case(user)).map(|name| format!("user/{name}"));
        let others = roles.map(|name| format!("role/{name}")).chain(groups.map(|name| format!("group/{name}")));
        Ok(users.chain(others).collect())
    }
}
