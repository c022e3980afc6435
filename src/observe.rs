//! Looking, and nothing else: what is there in the account.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::iam::document::Kind;
use crate::iam::keys::Key;
use crate::iam::policy::Policy;
use crate::iam::tags::{Lease, Owner, OwnershipTags};
use crate::iam::user::User;
use crate::iam::{Account, Iam};
use crate::properties::names::UserName;

/// The AWS side of a connection, as far as it is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The user of that name.
    pub user: Option<SeenUser>,
    /// The policies of those names.
    pub policies: BTreeMap<Kind, Policy>,
}

/// A user, with what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenUser {
    /// The user.
    pub user: User,
    /// Whose it is.
    pub owner: Owner,
    /// Who works on it, or died working on it.
    pub lease: Option<Lease>,
    /// Its access keys.
    pub keys: Vec<Key>,
    /// The ARNs of the attached policies.
    pub attached: Vec<String>,
}

impl Observed {
    /// The user's keys.
    pub fn keys(&self) -> &[Key] {
        self.user.as_ref().map(|user| user.keys.as_slice()).unwrap_or_default()
    }

    /// Whether a policy is attached to the user.
    pub fn is_attached(&self, kind: Kind) -> bool {
        let attached = self.user.as_ref().map(|user| user.attached.as_slice()).unwrap_or_default();
        self.policies.get(&kind).is_some_and(|policy| attached.contains(&policy.arn))
    }

    /// The user, if it is ours.
    pub fn ours(&self) -> Option<&SeenUser> {
        self.user.as_ref().filter(|user| user.owner == Owner::Ours)
    }
}

/// Looks at the user and what is in it.
pub async fn user(iam: &Iam, ownership: &OwnershipTags, name: &UserName) -> Result<Option<SeenUser>, Error> {
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

/// Looks at the two policies.
pub async fn policies(
    iam: &Iam,
    account: &Account,
    path: &str,
    user: &UserName,
) -> Result<BTreeMap<Kind, Policy>, Error> {
    let look = |kind: Kind| {
        let arn = account.policy_arn(path, &kind.name(user));
        async move { iam.policy(&arn).await }
    };
    let (setup, ongoing) = tokio::try_join!(look(Kind::Setup), look(Kind::Ongoing))?;
    let found = [(Kind::Setup, setup), (Kind::Ongoing, ongoing)];
    Ok(found.into_iter().filter_map(|(kind, policy)| policy.map(|policy| (kind, policy))).collect())
}
