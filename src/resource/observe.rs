//! Reads the state of the user and its policies. Does not change anything.

use std::collections::BTreeMap;

use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::Key;
use crate::aws::iam::policy::Policy;
use crate::aws::iam::user::User;
use crate::aws::iam::{Account, Iam};
use crate::error::Error;
use crate::properties::names::UserName;
use crate::resource::lease::Lease;
use crate::resource::ownership::{Owner, OwnershipTags};
use crate::tag::{ACCESS_KEY_ID, PENDING, get};

/// The connection's resources in IAM, as far as they exist. All of this may be a few seconds stale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Observed {
    /// The user with the connection's `UserName`, whoever owns it.
    pub user: Option<SeenUser>,
    /// The existing policies with the connection's policy names, whoever owns them.
    pub policies: BTreeMap<Kind, Policy>,
}

/// A user with its keys and attached policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenUser {
    /// ARN, name, path, boundary and tags.
    pub user: User,
    /// The owner according to the tags.
    pub owner: Owner,
    /// The lease of a run that is working on the user, or that failed or was killed.
    pub lease: Option<Lease>,
    /// All access keys, active and inactive. IAM allows two, but checks its limit late, so there may be more
    /// (terraform-provider-aws#39693).
    pub keys: Vec<Key>,
    /// The ARNs of the attached policies.
    pub attached: Vec<String>,
}

impl SeenUser {
    /// Whether a tag names this key as active or as pending.
    pub(crate) fn names(&self, id: &str) -> bool {
        [ACCESS_KEY_ID, PENDING].into_iter().any(|tag| get(&self.user.tags, tag) == Some(id))
    }
}

impl Observed {
    /// The user's access keys; empty if there is no user.
    pub(crate) fn keys(&self) -> &[Key] {
        self.user.as_ref().map(|user| user.keys.as_slice()).unwrap_or_default()
    }

    /// Whether the policy exists and is attached to the user.
    pub(crate) fn is_attached(&self, kind: Kind) -> bool {
        let attached = self.user.as_ref().map(|user| user.attached.as_slice()).unwrap_or_default();
        self.policies.get(&kind).is_some_and(|policy| attached.contains(&policy.arn))
    }

    /// The user, if this stack owns it.
    pub(crate) fn owned(&self) -> Option<&SeenUser> {
        self.user.as_ref().filter(|user| user.owner == Owner::Ours)
    }
}

/// Reads the user; `None` if it does not exist.
///
/// # Errors
/// An IAM call that failed for a reason other than NoSuchEntity.
pub(crate) async fn user(iam: &Iam, ownership: &OwnershipTags, name: &UserName) -> Result<Option<SeenUser>, Error> {
    let name = name.as_str();
    let (user, keys, attached) = tokio::try_join!(iam.user(name), iam.keys(name), iam.attached(name))?;
    Ok(user.map(|user| SeenUser {
        owner: ownership.owner(&user.tags),
        lease: Lease::read(&user.tags),
        user,
        keys,
        attached,
    }))
}

/// Reads the two policies; a policy that does not exist is left out.
///
/// # Errors
/// An IAM call that failed for a reason other than NoSuchEntity.
pub(crate) async fn policies(
    iam: &Iam,
    account: &Account,
    path: &str,
    user: &UserName,
) -> Result<BTreeMap<Kind, Policy>, Error> {
    let read = |kind: Kind| {
        let arn = account.policy_arn(path, &kind.name(user));
        async move { iam.policy(&arn).await }
    };
    let (setup, ongoing) = tokio::try_join!(read(Kind::Setup), read(Kind::Ongoing))?;
    let found = [(Kind::Setup, setup), (Kind::Ongoing, ongoing)];
    Ok(found.into_iter().filter_map(|(kind, policy)| policy.map(|policy| (kind, policy))).collect())
}
