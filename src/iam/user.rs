//! The IAM user: looking, making, marking, removing.

use aws_sdk_iam::types;

use super::tags::{STACK_ID, get};
use super::{Iam, from_sdk, to_sdk};
use crate::aws::{absent_is_none, code, gone_is_fine};
use crate::error::{Error, is_denied};
use crate::properties::tags::Tag;

/// A user as GetUser shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its ARN.
    pub arn: String,
    /// As it was written when it was made; IAM finds it whatever the case.
    pub name: String,
    /// Its path.
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
    /// For a person: which user, and of which stack where it says so.
    pub fn whose(&self) -> String {
        let stack = get(&self.tags, STACK_ID).map(|stack| format!(" (of stack {stack})"));
        format!("user {}{}", self.arn, stack.unwrap_or_default())
    }
}

impl Iam {
    /// The user, if there is one.
    pub async fn user(&self, name: &str) -> Result<Option<User>, Error> {
        let reply = self.patience.call("GetUser", &[], || self.client.get_user().user_name(name).send()).await;
        Ok(absent_is_none(reply)?.and_then(|reply| reply.user.as_ref().map(User::from)))
    }

    /// A user that was there a moment ago: some replica of IAM may not know it yet.
    pub async fn known_user(&self, name: &str) -> Result<User, Error> {
        let send = || self.client.get_user().user_name(name).send();
        let reply = self.patience.call("GetUser", &["NoSuchEntity"], send).await?;
        let user = reply.user.as_ref().map(User::from);
        user.ok_or_else(|| Error::Unconfirmed(format!("GetUser answered without the user {name}")))
    }

    /// Makes the user. A boundary is part of the call, for an organisation may refuse a user without one
    /// (DataDog/cloudformation-template#35).
    pub async fn create_user(&self, name: &str, path: &str, boundary: Option<&str>, tags: &[Tag]) -> Result<(), Error> {
        let send = || {
            let request = self.client.create_user().user_name(name).path(path).set_tags(Some(to_sdk(tags)));
            request.set_permissions_boundary(boundary.map(Into::into)).send()
        };
        self.patience.call("CreateUser", &[], send).await.map(|_| ())
    }

    /// Removes the user; everything in it is gone by now, or seems not to be for a while.
    ///
    /// One that is gone already has no path any more, and the role no right to it: so a refusal is looked into.
    pub async fn delete_user(&self, name: &str) -> Result<(), Error> {
        let send = || self.client.delete_user().user_name(name).send();
        match gone_is_fine(self.patience.call("DeleteUser", &["DeleteConflict"], send).await.map(|_| ())) {
            Err(error) if code(&error).is_some_and(is_denied) => match self.user(name).await {
                Ok(None) => Ok(()),
                _ => Err(error),
            },
            other => other,
        }
    }

    /// Adds tags, or changes them.
    pub async fn tag_user(&self, name: &str, tags: &[Tag]) -> Result<(), Error> {
        let send = || self.client.tag_user().user_name(name).set_tags(Some(to_sdk(tags))).send();
        self.patience.call("TagUser", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Removes tags; those that aren't there don't matter.
    pub async fn untag_user(&self, name: &str, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let send = || self.client.untag_user().user_name(name).set_tag_keys(Some(keys.to_vec())).send();
        self.patience.call("UntagUser", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Puts a boundary on the user, or another one.
    pub async fn put_boundary(&self, name: &str, arn: &str) -> Result<(), Error> {
        let send = || self.client.put_user_permissions_boundary().user_name(name).permissions_boundary(arn).send();
        self.patience.call("PutUserPermissionsBoundary", &[], send).await.map(|_| ())
    }

    /// Takes the boundary away.
    pub async fn delete_boundary(&self, name: &str) -> Result<(), Error> {
        let send = || self.client.delete_user_permissions_boundary().user_name(name).send();
        gone_is_fine(self.patience.call("DeleteUserPermissionsBoundary", &[], send).await.map(|_| ()))
    }

    /// The ARNs of the managed policies attached to the user.
    pub async fn attached(&self, name: &str) -> Result<Vec<String>, Error> {
        let send = || self.client.list_attached_user_policies().user_name(name).send();
        let reply = absent_is_none(self.patience.call("ListAttachedUserPolicies", &[], send).await)?;
        let policies = reply.and_then(|reply| reply.attached_policies).unwrap_or_default();
        Ok(policies.into_iter().filter_map(|policy| policy.policy_arn).collect())
    }

    /// Attaches a policy; doing so twice is fine. A policy made a moment ago may not be known everywhere.
    pub async fn attach(&self, name: &str, policy: &str) -> Result<(), Error> {
        let send = || self.client.attach_user_policy().user_name(name).policy_arn(policy).send();
        self.patience.call("AttachUserPolicy", &["NoSuchEntity"], send).await.map(|_| ())
    }

    /// Detaches a policy; what isn't attached is fine.
    pub async fn detach(&self, name: &str, policy: &str) -> Result<(), Error> {
        let send = || self.client.detach_user_policy().user_name(name).policy_arn(policy).send();
        gone_is_fine(self.patience.call("DetachUserPolicy", &[], send).await.map(|_| ()))
    }
}
