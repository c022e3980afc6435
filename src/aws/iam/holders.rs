//! Who uses a managed policy. IAM does not delete a policy that is attached or that is used as a permissions boundary.

use std::fmt;

use aws_sdk_iam::operation::list_entities_for_policy::ListEntitiesForPolicyOutput;
use aws_sdk_iam::types::PolicyUsageType;

use super::Iam;
use crate::error::Error;

/// A user, role or group that uses a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// `user`, `role` or `group`, as in the names of AWS CLI commands.
    pub kind: &'static str,
    pub name: String,
    /// How it uses the policy.
    pub usage: PolicyUsageType,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.usage {
            PolicyUsageType::PermissionsBoundary => {
                write!(f, "the permissions boundary of {}/{}", self.kind, self.name)
            }
            _ => write!(f, "attached to {}/{}", self.kind, self.name),
        }
    }
}

impl Holder {
    /// A user whose permissions boundary is the policy.
    pub(crate) fn boundary_of_user(name: &str) -> Self {
        Self { kind: "user", name: name.to_owned(), usage: PolicyUsageType::PermissionsBoundary }
    }

    /// Whether the policy is its permissions boundary.
    pub(crate) fn is_bounded(&self) -> bool {
        self.usage == PolicyUsageType::PermissionsBoundary
    }

    /// The command that ends this use of the policy. A group cannot have a permissions boundary.
    pub(crate) fn command(&self, arn: &str) -> String {
        let Self { kind, name, .. } = self;
        match self.usage {
            PolicyUsageType::PermissionsBoundary => {
                format!("aws iam delete-{kind}-permissions-boundary --{kind}-name {name}")
            }
            _ => format!("aws iam detach-{kind}-policy --{kind}-name {name} --policy-arn {arn}"),
        }
    }

    /// Whether it is this user. IAM ignores the case of names.
    pub(crate) fn is_user(&self, name: &str) -> bool {
        self.kind == "user" && self.name.eq_ignore_ascii_case(name)
    }
}

impl Iam {
    /// Every use of a policy. ListEntitiesForPolicy does not say how a policy is used, so it is called once for each
    /// kind of use.
    pub(crate) async fn holders(&self, arn: &str) -> Result<Vec<Holder>, Error> {
        let (attached, bounded) = tokio::try_join!(
            self.holders_by(arn, PolicyUsageType::PermissionsPolicy),
            self.holders_by(arn, PolicyUsageType::PermissionsBoundary),
        )?;
        Ok(attached.into_iter().chain(bounded).collect())
    }

    async fn holders_by(&self, arn: &str, usage: PolicyUsageType) -> Result<Vec<Holder>, Error> {
        let list = || self.client.list_entities_for_policy().policy_arn(arn).policy_usage_filter(usage.clone());
        let start = |marker| list().set_marker(marker).into_paginator().send();
        let pages = self.pages("ListEntitiesForPolicy", start).await?;
        Ok(pages.into_iter().flat_map(|page| on_page(page, &usage)).collect())
    }
}

fn on_page(page: ListEntitiesForPolicyOutput, usage: &PolicyUsageType) -> Vec<Holder> {
    let users = page.policy_users.unwrap_or_default().into_iter().map(|user| ("user", user.user_name));
    let roles = page.policy_roles.unwrap_or_default().into_iter().map(|role| ("role", role.role_name));
    let groups = page.policy_groups.unwrap_or_default().into_iter().map(|group| ("group", group.group_name));
    let named = users.chain(roles).chain(groups).filter_map(|(kind, name)| Some((kind, name?)));
    named.map(|(kind, name)| Holder { kind, name, usage: usage.clone() }).collect()
}
