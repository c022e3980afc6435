//! The IAM user with its tags, permissions boundary and attached policies.

use aws_sdk_iam::types;

use super::{Iam, from_sdk, to_sdk};
use crate::aws::{absent_is_none, code, gone_is_fine};
use crate::error::{Error, is_denied};
use crate::tag::{STACK_ID, Tag, get};

/// A user as GetUser returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub arn: String,
    /// The name in the case used at creation. IAM ignores case when it looks up a user.
    pub name: String,
    pub path: String,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// All its tags.
    pub tags: Vec<Tag>,
}

impl From<&types::User> for User {
    fn from(user: &types::User) -> Self {
        Self {
            arn: user.arn().to_owned(),
            name: user.user_name().to_owned(),
            path: user.path().to_owned(),
            boundary: user
                .permissions_boundary()
                .and_then(|boundary| boundary.permissions_boundary_arn())
                .map(Into::into),
            tags: from_sdk(user.tags()),
        }
    }
}

impl User {
    /// The user's ARN and, if tagged, the stack that owns it. For error texts.
    pub(crate) fn whose(&self) -> String {
        let stack = get(&self.tags, STACK_ID).map(|stack| format!(" (owned by stack {stack})"));
        format!("user {}{}", self.arn, stack.unwrap_or_default())
    }
}

impl Iam {
    /// The user. `None` if it does not exist.
    pub(crate) async fn user(&self, name: &str) -> Result<Option<User>, Error> {
        let response = self.patience.call("GetUser", &[], || self.client.get_user().user_name(name).send()).await;
        Ok(absent_is_none(response)?.and_then(|response| response.user.as_ref().map(User::from)))
    }

    /// A user that must exist. NoSuchEntity is retried, because a read may be stale.
    pub(crate) async fn known_user(&self, name: &str) -> Result<User, Error> {
        let send = || self.client.get_user().user_name(name).send();
        let response = self.patience.call("GetUser", &["NoSuchEntity"], send).await?;
        let user = response.user.as_ref().map(User::from);
        user.ok_or_else(|| Error::Unconfirmed(format!("GetUser succeeded but did not return user {name}")))
    }

    /// Creates the user. The boundary is set in the same call, because an organization's policies may deny creating a
    /// user without one (DataDog/cloudformation-template#35).
    pub(crate) async fn create_user(
        &self,
        name: &str,
        path: &str,
        boundary: Option<&str>,
        tags: &[Tag],
    ) -> Result<(), Error> {
        let send = || {
            let request = self.client.create_user().user_name(name).path(path).set_tags(Some(to_sdk(tags)));
            request.set_permissions_boundary(boundary.map(Into::into)).send()
        };
        self.patience.call("CreateUser", &[], send).await?;
        self.patience.restart_grace();
        Ok(())
    }

    /// Deletes the user, whose contents must already be deleted. DeleteConflict is retried, because IAM may still see
    /// deleted contents.
    pub(crate) async fn delete_user(&self, name: &str) -> Result<(), Error> {
        self.delete_user_unless(name, &["DeleteConflict"]).await
    }

    /// Deletes the user, and fails at once if IAM still sees contents.
    pub(crate) async fn delete_user_at_once(&self, name: &str) -> Result<(), Error> {
        self.delete_user_unless(name, &[]).await
    }

    /// For a missing user, IAM authorizes the call against an ARN without a path, but the function's role covers only
    /// ARNs with its path. So if access is denied, GetUser checks whether the user exists.
    async fn delete_user_unless(&self, name: &str, not_yet: &[&str]) -> Result<(), Error> {
        let send = || self.client.delete_user().user_name(name).send();
        match gone_is_fine(self.patience.call("DeleteUser", not_yet, send).await.map(|_| ())) {
            Err(error) if code(&error).is_some_and(is_denied) => match self.user(name).await {
                Ok(None) => Ok(()),
                _ => Err(error),
            },
            other => other,
        }
    }

    /// Adds tags and overwrites existing values.
    pub(crate) async fn tag_user(&self, name: &str, tags: &[Tag]) -> Result<(), Error> {
        let send = || self.client.tag_user().user_name(name).set_tags(Some(to_sdk(tags))).send();
        self.patience.call("TagUser", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Removes tags. Ignores keys that do not exist.
    pub(crate) async fn untag_user(&self, name: &str, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let send = || self.client.untag_user().user_name(name).set_tag_keys(Some(keys.to_vec())).send();
        self.patience.call("UntagUser", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Sets or replaces the user's permissions boundary.
    pub(crate) async fn put_boundary(&self, name: &str, arn: &str) -> Result<(), Error> {
        let send = || self.client.put_user_permissions_boundary().user_name(name).permissions_boundary(arn).send();
        self.patience.call("PutUserPermissionsBoundary", &[], send).await.map(|_| ())
    }

    /// Deletes the user's permissions boundary. Succeeds if there is none.
    pub(crate) async fn delete_boundary(&self, name: &str) -> Result<(), Error> {
        let send = || self.client.delete_user_permissions_boundary().user_name(name).send();
        gone_is_fine(self.patience.call("DeleteUserPermissionsBoundary", &[], send).await.map(|_| ()))
    }

    /// The ARNs of the attached managed policies. Empty if the user does not exist.
    pub(crate) async fn attached(&self, name: &str) -> Result<Vec<String>, Error> {
        let list = || self.client.list_attached_user_policies().user_name(name);
        let start = |marker| list().set_marker(marker).into_paginator().send();
        let pages = self.pages("ListAttachedUserPolicies", start).await?;
        let policies = pages.into_iter().filter_map(|page| page.attached_policies).flatten();
        Ok(policies.filter_map(|policy| policy.policy_arn).collect())
    }

    /// Attaches a policy. Succeeds if it is already attached.
    ///
    /// NoSuchEntity is retried, because IAM may not see a new policy yet.
    pub(crate) async fn attach(&self, name: &str, policy: &str) -> Result<(), Error> {
        let send = || self.client.attach_user_policy().user_name(name).policy_arn(policy).send();
        self.patience.call("AttachUserPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Detaches a policy. Succeeds if it is not attached.
    pub(crate) async fn detach(&self, name: &str, policy: &str) -> Result<(), Error> {
        let send = || self.client.detach_user_policy().user_name(name).policy_arn(policy).send();
        gone_is_fine(self.patience.call("DetachUserPolicy", &[], send).await.map(|_| ()))
    }
}
