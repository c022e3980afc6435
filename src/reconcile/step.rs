//! The steps of a Create or an Update, and how each is undone.

use std::fmt;

use crate::aws::iam::document::Kind;
use crate::resource::observe::Observed;
use crate::tag::{PENDING, PENDING_REGION, Tag};

/// One step. Its `Display` is the name that the log and a status reason show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// One or a few IAM calls that depend only on the plan.
    Change(Change),
    /// A part of the replacement of the key. It may need the results of earlier parts.
    Part(Part),
}

/// A step that the plan describes completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Create the user with its tags and the lease in the same call.
    CreateUser,
    /// Put ownership tags and the lease on a user that `coiled setup aws` created.
    AdoptUser,
    /// Restore the ownership tags of the stack's own user, and put this run's lease on it.
    ReclaimUser,
    /// Put this run's lease on a user that this stack owns.
    AcquireLease,
    /// Remove tags from the user; the strings are tag keys.
    UntagUser(Vec<String>),
    /// Add tags to the user, or change their values.
    TagUser(Vec<Tag>),
    /// Set the user's permissions boundary to the policy with this ARN.
    PutBoundary(String),
    /// Delete the user's permissions boundary.
    DeleteBoundary,
    /// Create a policy with its tags.
    CreatePolicy(Kind),
    /// Create a policy version and set it as default.
    PutDocument(Kind),
    /// Remove tags from a policy; the strings are tag keys.
    UntagPolicy(Kind, Vec<String>),
    /// Add tags to a policy of this stack, or change their values.
    TagPolicy(Kind, Vec<Tag>),
    /// Add tags, among them the ownership tags, to a policy that does not have this stack's ownership tags.
    AdoptPolicy(Kind, Vec<Tag>),
    /// Attach a policy to the user.
    Attach(Kind),
    /// Detach a policy from the user. The policy is not deleted.
    Detach(Kind),
    /// Delete these keys to make room, because IAM allows two per user. Coiled cannot hold them.
    MakeRoom(Vec<String>),
    /// Delete these keys, which Coiled no longer holds.
    DeleteKeys(Vec<String>),
    /// Fail if another run has taken the lease.
    CheckLease,
    /// Remove the lease from the user.
    ReleaseLease {
        /// Whether to remove the pending tags too, because the registration's outcome is known.
        pending: bool,
    },
}

/// A part of the replacement of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Create an access key.
    CreateKey,
    /// Call STS with the new key until the key works, because IAM is eventually consistent.
    WaitForKey,
    /// Write the pending tag: from now on Coiled may hold the key.
    TagPending,
    /// Open the WebSocket to Coiled and wait for its greeting.
    OpenSocket,
    /// Check the key again at the end of its settle time, because Coiled may reach an IAM replica that lacks the key.
    ConfirmKey,
    /// Send the key to Coiled.
    Register,
    /// Ask Coiled for the workspace's connection after the registration.
    ReadBack,
    /// Check that IAM shows the policies as attached and the new key as active.
    Verify,
    /// Delete a key whose secret was lost with the response to CreateAccessKey.
    DeleteLostKey,
    /// Write the tags that name the key as active.
    Record,
}

impl Change {
    /// Deletes these keys, which Coiled no longer holds. `None` if there are none.
    pub(crate) fn delete_keys(ids: Vec<String>) -> Option<Self> {
        (!ids.is_empty()).then_some(Self::DeleteKeys(ids))
    }
}

impl From<Change> for Step {
    fn from(change: Change) -> Self {
        Self::Change(change)
    }
}

impl From<Part> for Step {
    fn from(part: Part) -> Self {
        Self::Part(part)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Part(part) => part.fmt(f),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |tags: &[Tag]| tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>().join(", ");
        match self {
            Self::CreateUser => write!(f, "create user"),
            Self::AdoptUser => write!(f, "adopt user"),
            Self::ReclaimUser => write!(f, "reclaim user"),
            Self::AcquireLease => write!(f, "acquire the lease"),
            Self::UntagUser(keys) => write!(f, "untag user ({})", keys.join(", ")),
            Self::TagUser(tags) => write!(f, "tag user ({})", keys(tags)),
            Self::PutBoundary(arn) => write!(f, "set permissions boundary {arn}"),
            Self::DeleteBoundary => write!(f, "delete permissions boundary"),
            Self::CreatePolicy(kind) => write!(f, "create {}", title(*kind)),
            Self::PutDocument(kind) => write!(f, "set a new default version of the {}", title(*kind)),
            Self::UntagPolicy(kind, keys) => write!(f, "untag {} ({})", title(*kind), keys.join(", ")),
            Self::TagPolicy(kind, tags) | Self::AdoptPolicy(kind, tags) => {
                write!(f, "tag {} ({})", title(*kind), keys(tags))
            }
            Self::Attach(kind) => write!(f, "attach {}", title(*kind)),
            Self::Detach(kind) => write!(f, "detach {}", title(*kind)),
            Self::MakeRoom(keys) => write!(f, "make room for a new key (delete {})", keys.join(", ")),
            Self::DeleteKeys(keys) => write!(f, "delete access keys {}", keys.join(", ")),
            Self::CheckLease => write!(f, "check the lease"),
            Self::ReleaseLease { .. } => write!(f, "release the lease"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateKey => "create access key",
            Self::WaitForKey => "wait for the key to work",
            Self::TagPending => "tag the pending key",
            Self::OpenSocket => "open the WebSocket to Coiled",
            Self::ConfirmKey => "confirm that the key works",
            Self::Register => "register the key",
            Self::ReadBack => "read the registration back",
            Self::Verify => "verify the resources",
            Self::DeleteLostKey => "delete the lost key",
            Self::Record => "record the registration",
        })
    }
}

/// How the names of steps and undos refer to a policy.
fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Setup => "setup policy",
        Kind::Ongoing => "ongoing policy",
    }
}

/// How to undo one step. Its `Display` is the name that the log and a status reason show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Delete the user that this run created.
    User,
    /// Restore the tags of an adopted user.
    UserTags,
    /// Delete a policy that this run created.
    Policy(Kind),
    /// Restore the tags of an adopted policy.
    PolicyTags(Kind),
    /// Set this version of a policy as the default again, for example `v2`.
    Document(Kind, String),
    /// Detach a policy that this run attached.
    Attachment(Kind),
    /// Attach a policy that this run detached.
    Detachment(Kind),
    /// Set the permissions boundary with this ARN again. `None` means that the user had no boundary, so delete it.
    Boundary(Option<String>),
    /// Delete the new access key. If its ID is unknown, delete every key that this run may have created.
    NewKeys,
    /// Restore these pending tags, which name an earlier key. If there are none, remove the pending tags.
    Pending(Vec<Tag>),
    /// Disconnect the workspace if Coiled may hold the new key.
    Registration,
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undo::User => write!(f, "delete the user"),
            Undo::UserTags => write!(f, "restore the user's tags"),
            Undo::Policy(kind) => write!(f, "delete the {}", title(*kind)),
            Undo::PolicyTags(kind) => write!(f, "restore the tags of the {}", title(*kind)),
            Undo::Document(kind, version) => write!(f, "set {version} as the default version of the {}", title(*kind)),
            Undo::Attachment(kind) => write!(f, "detach the {}", title(*kind)),
            Undo::Detachment(kind) => write!(f, "attach the {}", title(*kind)),
            Undo::Boundary(Some(arn)) => write!(f, "set permissions boundary {arn}"),
            Undo::Boundary(None) => write!(f, "delete the permissions boundary"),
            Undo::NewKeys => write!(f, "delete the access key"),
            Undo::Pending(_) => write!(f, "restore the pending tags"),
            Undo::Registration => write!(f, "disconnect the workspace"),
        }
    }
}

impl Undo {
    /// Whether the undo changes the user.
    pub(crate) fn is_on_user(&self) -> bool {
        !matches!(self, Undo::Policy(_) | Undo::PolicyTags(_) | Undo::Document(..) | Undo::Registration)
    }
}

/// How to undo a step. `None` if the step changes nothing. Changes to the stack's own tags and deletions of keys are
/// not undone either.
///
/// An Update undoes only its new key, because CloudFormation rolls back the rest with another Update.
pub(crate) fn undo_of(step: &Step, observed: &Observed) -> Option<Undo> {
    match step {
        Step::Change(change) => undo_of_change(change, observed),
        Step::Part(part) => undo_of_part(*part, observed),
    }
}

fn undo_of_change(change: &Change, observed: &Observed) -> Option<Undo> {
    match change {
        Change::CreateUser => Some(Undo::User),
        Change::AdoptUser => Some(Undo::UserTags),
        Change::PutBoundary(_) | Change::DeleteBoundary => {
            Some(Undo::Boundary(observed.user.as_ref().and_then(|seen| seen.user.boundary.clone())))
        }
        Change::CreatePolicy(kind) => Some(Undo::Policy(*kind)),
        Change::PutDocument(kind) => {
            let version = observed.policies.get(kind).map(|policy| policy.version.clone());
            Some(Undo::Document(*kind, version.unwrap_or_default()))
        }
        Change::AdoptPolicy(kind, _) => Some(Undo::PolicyTags(*kind)),
        Change::Attach(kind) => Some(Undo::Attachment(*kind)),
        Change::Detach(kind) => Some(Undo::Detachment(*kind)),
        // The tags belong to the stack, so they are kept even if the request fails.
        Change::ReclaimUser | Change::UntagUser(_) | Change::TagUser(_) => None,
        Change::UntagPolicy(..) | Change::TagPolicy(..) => None,
        // No undo can restore a key. Nobody needs these keys, because Coiled does not hold them.
        Change::MakeRoom(_) | Change::DeleteKeys(_) => None,
        // After all undos, the run releases or expires its lease.
        Change::AcquireLease | Change::CheckLease | Change::ReleaseLease { .. } => None,
    }
}

fn undo_of_part(part: Part, observed: &Observed) -> Option<Undo> {
    match part {
        Part::CreateKey => Some(Undo::NewKeys),
        Part::TagPending => {
            let tags = observed.owned().map(|seen| seen.user.tags.as_slice()).unwrap_or_default();
            let is_pending = |tag: &&Tag| [PENDING, PENDING_REGION].contains(&tag.key.as_str());
            Some(Undo::Pending(tags.iter().filter(is_pending).cloned().collect()))
        }
        Part::Register => Some(Undo::Registration),
        Part::WaitForKey | Part::OpenSocket | Part::ConfirmKey | Part::ReadBack | Part::Verify => None,
        // Nobody can use a lost key. The record names the key that Coiled holds, so it is true even if the run fails.
        Part::DeleteLostKey | Part::Record => None,
    }
}
