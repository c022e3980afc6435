//! Computes the steps of a Create or an Update from the desired and the observed state. Does not call any service.

mod room;
mod stray;

use std::fmt;

use crate::aws::iam::document::{Kind, same};
use crate::aws::iam::policy::Policy;
use crate::properties::Spec;
use crate::resource::observe::{Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::resource::record::Digests;
use crate::tag::Tag;
use crate::tag::{ACCESS_KEY_ID, ADOPTED, LOGICAL_ID, PENDING, PENDING_REGION, REGISTERED, STACK_ID, get};

use room::left_over;
pub use room::{Held, KeyRoom, key_room};
pub use stray::{creation, has_unexplained_key, suspects};

/// One step of a Create or an Update. Its `Display` is the name that the log and a status reason show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
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
    /// Add tags to a policy, or change their values.
    TagPolicy(Kind, Vec<Tag>),
    /// Attach a policy to the user.
    Attach(Kind),
    /// Detach a policy from the user. The policy is not deleted.
    Detach(Kind),
    /// Delete these keys to make room, because IAM allows two per user. Coiled cannot hold them.
    FreeKeySlot(Vec<String>),
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
    /// Fail if another run has taken the lease.
    CheckLease,
    /// Send the key to Coiled.
    Register,
    /// Ask Coiled for the workspace's connection after the registration.
    ReadBack,
    /// Check that IAM shows the policies as attached and the new key as active.
    Verify,
    /// Write the tags that name the key as active.
    Record,
    /// Delete these keys, which Coiled no longer holds.
    DeleteKeys(Vec<String>),
    /// Remove the lease from the user.
    ReleaseLease {
        /// Whether to remove the pending tags too, because the registration's outcome is known.
        pending: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |tags: &[Tag]| tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>().join(", ");
        match self {
            Step::CreateUser => write!(f, "create user"),
            Step::AdoptUser => write!(f, "adopt user"),
            Step::ReclaimUser => write!(f, "reclaim user"),
            Step::AcquireLease => write!(f, "acquire the lease"),
            Step::UntagUser(keys) => write!(f, "untag user ({})", keys.join(", ")),
            Step::TagUser(tags) => write!(f, "tag user ({})", keys(tags)),
            Step::PutBoundary(arn) => write!(f, "set permissions boundary {arn}"),
            Step::DeleteBoundary => write!(f, "delete permissions boundary"),
            Step::CreatePolicy(kind) => write!(f, "create {}", title(*kind)),
            Step::PutDocument(kind) => write!(f, "set a new default version of the {}", title(*kind)),
            Step::UntagPolicy(kind, keys) => write!(f, "untag {} ({})", title(*kind), keys.join(", ")),
            Step::TagPolicy(kind, tags) => write!(f, "tag {} ({})", title(*kind), keys(tags)),
            Step::Attach(kind) => write!(f, "attach {}", title(*kind)),
            Step::Detach(kind) => write!(f, "detach {}", title(*kind)),
            Step::FreeKeySlot(keys) => write!(f, "make room for a new key (delete {})", keys.join(", ")),
            Step::CreateKey => write!(f, "create access key"),
            Step::WaitForKey => write!(f, "wait for the key to work"),
            Step::TagPending => write!(f, "tag the pending key"),
            Step::OpenSocket => write!(f, "open the WebSocket to Coiled"),
            Step::ConfirmKey => write!(f, "confirm that the key works"),
            Step::CheckLease => write!(f, "check the lease"),
            Step::Register => write!(f, "register the key"),
            Step::ReadBack => write!(f, "read the registration back"),
            Step::Verify => write!(f, "verify the resources"),
            Step::Record => write!(f, "record the registration"),
            Step::DeleteKeys(keys) => write!(f, "delete access keys {}", keys.join(", ")),
            Step::ReleaseLease { .. } => write!(f, "release the lease"),
        }
    }
}

/// How step names refer to a policy.
pub(crate) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Setup => "setup policy",
        Kind::Ongoing => "ongoing policy",
    }
}

/// Steps, and the order in which they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// A single step.
    Step(Step),
    /// Run one after another; the first failure skips the rest.
    InOrder(Vec<Flow>),
    /// Run in parallel; every lane ends before the next flow starts, even after a failure.
    InParallel(Vec<Flow>),
}

impl Flow {
    /// Whether the flow contains no steps.
    pub fn is_empty(&self) -> bool {
        match self {
            Flow::Step(_) => false,
            Flow::InOrder(flows) | Flow::InParallel(flows) => flows.iter().all(Flow::is_empty),
        }
    }
}

impl From<Step> for Flow {
    fn from(step: Step) -> Self {
        Flow::Step(step)
    }
}

impl fmt::Display for Flow {
    /// `a > (b | c > d) > e`: the plan as a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |flows: &[Flow], by: &str| {
            let non_empty = flows.iter().filter(|flow| !flow.is_empty());
            non_empty.map(Flow::to_string).collect::<Vec<_>>().join(by)
        };
        match self {
            Flow::Step(step) => write!(f, "{step}"),
            Flow::InOrder(flows) => write!(f, "{}", join(flows, " > ")),
            Flow::InParallel(flows) => write!(f, "({})", join(flows, " | ")),
        }
    }
}

fn in_order(steps: Vec<Step>) -> Flow {
    Flow::InOrder(steps.into_iter().map(Flow::from).collect())
}

/// The desired state.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The validated properties.
    pub spec: &'a Spec,
    /// The policies' tags: ownership tags and stack tags.
    pub tags: Vec<Tag>,
    /// The user's tags: `tags`, the Coiled server and the workspace.
    pub user_tags: Vec<Tag>,
    /// Keys of the stack tags that the stack set before this Update.
    pub old_tag_keys: Vec<String>,
    /// The permissions boundary that the stack set before this Update.
    pub old_boundary: Option<String>,
    /// Whether this run registers a new key; see [`registration`].
    pub registers: bool,
    /// The key that Coiled holds, as far as its response identifies it.
    pub held: Held<'a>,
}

/// Whether the recorded registration matches the desired one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It matches, so a new key is not needed.
    Current,
    /// It matches, but the outcome of a later registration is unknown.
    Uncertain,
    /// It matches, but the recorded key no longer exists.
    KeyLost,
    /// Nothing is recorded, or something different is recorded.
    Needed,
}

/// Compares the registration recorded in the user's tags with the desired one.
///
/// An inactive key still counts as registered. A person revokes a key by setting it inactive, and an Update must not
/// replace a revoked key.
pub fn registration(spec: &Spec, observed: &Observed) -> Registration {
    let Some(user) = observed.user.as_ref().filter(|user| user.owner == Owner::Ours) else {
        return Registration::Needed;
    };
    let tags = &user.user.tags;
    let key_exists = get(tags, ACCESS_KEY_ID).is_some_and(|id| user.keys.iter().any(|key| key.id == id));
    let digests = get(tags, REGISTERED).and_then(Digests::read);
    let same = digests.is_some_and(|digests| digests.wanted == Digests::wanted(spec));
    match (key_exists && same, get(tags, PENDING)) {
        (true, _) if pending_is_recorded(tags) => Registration::Current,
        (true, None) => Registration::Current,
        (true, Some(_)) => Registration::Uncertain,
        (false, _) if same => Registration::KeyLost,
        (false, _) => Registration::Needed,
    }
}

/// Whether one key is both recorded as active and tagged as pending. A run that was killed between its last two steps
/// leaves such a key.
fn pending_is_recorded(tags: &[Tag]) -> bool {
    get(tags, PENDING).is_some_and(|id| get(tags, ACCESS_KEY_ID) == Some(id))
}

/// The steps from the observed to the desired state. Empty if the states match and no lease is left over.
pub fn plan(wanted: &Wanted, observed: &Observed) -> Flow {
    let user = user_changes(wanted, observed);
    let [setup, ongoing] = Kind::ALL.map(|kind| in_order(policy_changes(kind, wanted, observed)));
    let left_over = delete_left_over_keys(wanted, observed);
    let lanes = if wanted.registers {
        // The longest lane comes first, because parallel calls are sent in this order.
        vec![new_key(wanted, observed), setup, ongoing]
    } else {
        vec![setup, ongoing, in_order(left_over)]
    };
    let changes = Flow::InOrder(vec![in_order(user), Flow::InParallel(lanes)]);
    // An expired lease is released and missing ownership tags are restored even if nothing else has to change.
    if changes.is_empty() && !has_lease(observed) && !has_lost_its_tags(observed) {
        return changes;
    }
    let last = if wanted.registers {
        registering(observed)
    } else {
        in_order(vec![Step::CheckLease, Step::ReleaseLease { pending: false }])
    };
    Flow::InOrder(vec![in_order(vec![claim(observed)]), changes, last])
}

/// The step with which this run takes the lease on the user.
fn claim(observed: &Observed) -> Step {
    match observed.user.as_ref().map(|user| user.owner) {
        None => Step::CreateUser,
        Some(Owner::Ours) if has_lost_its_tags(observed) => Step::ReclaimUser,
        Some(Owner::Ours) => Step::AcquireLease,
        Some(_) => Step::AdoptUser,
    }
}

/// Whether a person removed an ownership tag from the stack's user: see [`crate::resource::recognition`].
fn has_lost_its_tags(observed: &Observed) -> bool {
    let is_set = |seen: &SeenUser, key| get(&seen.user.tags, key).is_some();
    observed.owned().is_some_and(|seen| !is_set(seen, STACK_ID) || !is_set(seen, LOGICAL_ID))
}

fn user_changes(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    // CreateUser sets the tags and the permissions boundary itself.
    let Some(seen) = &observed.user else { return Vec::new() };
    let (mut remove, add) = match seen.owner {
        // ReclaimUser writes all tags together with the lease.
        Owner::Ours if has_lost_its_tags(observed) => Default::default(),
        Owner::Ours => tag_changes(&wanted.user_tags, &wanted.old_tag_keys, &seen.user.tags),
        // AdoptUser writes these tags together with the ownership tags.
        _ => Default::default(),
    };
    if !wanted.registers && pending_is_recorded(&seen.user.tags) {
        let is_set = |key: &&str| get(&seen.user.tags, key).is_some();
        remove.extend([PENDING, PENDING_REGION, ADOPTED].into_iter().filter(is_set).map(str::to_owned));
    }
    let boundary = match (&wanted.spec.boundary, &seen.user.boundary) {
        (Some(arn), current) if current.as_ref() != Some(arn) => Some(Step::PutBoundary(arn.clone())),
        // A boundary that someone else set may be required in this account, so it is kept.
        (None, current @ Some(_)) if *current == wanted.old_boundary => Some(Step::DeleteBoundary),
        _ => None,
    };
    let untag = (!remove.is_empty()).then_some(Step::UntagUser(remove));
    let tag = (!add.is_empty()).then_some(Step::TagUser(add));
    // The boundary is set first, because a service control policy may deny other changes to a user without one. That is
    // safe: a boundary can only remove permissions.
    [boundary, untag, tag].into_iter().flatten().collect()
}

/// The keys of tags to remove, and the tags to add or change. Tags that the stack did not set are kept.
///
/// IAM treats `Owner` and `owner` as two tags of a policy but as one tag of a user. Removing the old spelling first
/// gives the same result for both.
fn tag_changes(wanted: &[Tag], old_keys: &[String], current: &[Tag]) -> (Vec<String>, Vec<Tag>) {
    let is_wanted = |key: &str| wanted.iter().any(|tag| tag.key == key);
    let is_replaced = |key: &str| old_keys.iter().any(|old| old == key) || get(wanted, key).is_some();
    let remove = current.iter().map(|tag| &tag.key).filter(|key| !is_wanted(key) && is_replaced(key));
    let add = wanted.iter().filter(|tag| !current.contains(tag));
    (remove.cloned().collect(), add.cloned().collect())
}

fn policy_changes(kind: Kind, wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let mut steps = match observed.policies.get(&kind) {
        None => vec![Step::CreatePolicy(kind)],
        Some(policy) => existing_policy(kind, policy, wanted),
    };
    let is_attached = observed.is_attached(kind);
    match (kind.is_attached_by(wanted.spec), is_attached) {
        (true, false) => steps.push(Step::Attach(kind)),
        (false, true) => steps.push(Step::Detach(kind)),
        _ => {}
    }
    steps
}

fn existing_policy(kind: Kind, policy: &Policy, wanted: &Wanted) -> Vec<Step> {
    let (remove, add) = tag_changes(&wanted.tags, &wanted.old_tag_keys, &policy.tags);
    let untag = (!remove.is_empty()).then_some(Step::UntagPolicy(kind, remove));
    let tag = (!add.is_empty()).then_some(Step::TagPolicy(kind, add));
    let document = (!same(&policy.document, kind.document())).then_some(Step::PutDocument(kind));
    [untag, tag, document].into_iter().flatten().collect()
}

/// The lane that creates a working key, tags it as pending, and opens the WebSocket to register it.
fn new_key(wanted: &Wanted, observed: &Observed) -> Flow {
    let in_parallel = |steps: &[Step]| Flow::InParallel(steps.iter().cloned().map(Flow::from).collect());
    let (wait, tag, open) = (Step::WaitForKey, Step::TagPending, Step::OpenSocket);
    match key_room(observed, wanted.held) {
        // The WebSocket is opened first, so that both keys still exist if Coiled is unreachable and the run fails.
        KeyRoom::After(keys) => {
            let room = Step::FreeKeySlot(keys);
            Flow::InOrder(vec![in_order(vec![open, room, Step::CreateKey]), in_parallel(&[wait, tag])])
        }
        // The checks reject a user that has no room for a key. If they are wrong, CreateAccessKey fails and no key is
        // deleted.
        KeyRoom::Free | KeyRoom::None { .. } => {
            Flow::InOrder(vec![Step::CreateKey.into(), in_parallel(&[wait, tag, open])])
        }
    }
}

fn registering(observed: &Observed) -> Flow {
    let keys: Vec<String> = observed.keys().iter().map(|key| key.id.clone()).collect();
    let others = (!keys.is_empty()).then_some(Step::DeleteKeys(keys));
    let tail = [Some(Step::Record), others, Some(Step::ReleaseLease { pending: true })];
    Flow::InOrder(vec![
        Flow::InParallel(vec![Step::ConfirmKey.into(), Step::CheckLease.into()]),
        Step::Register.into(),
        Flow::InParallel(vec![Step::ReadBack.into(), Step::Verify.into()]),
        in_order(tail.into_iter().flatten().collect()),
    ])
}

fn has_lease(observed: &Observed) -> bool {
    observed.user.as_ref().is_some_and(|user| user.lease.is_some())
}

/// A person's keys are kept until the next rotation.
fn delete_left_over_keys(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let keys = left_over(observed, wanted.held);
    if wanted.registers || keys.is_empty() { Vec::new() } else { vec![Step::DeleteKeys(keys)] }
}

#[cfg(test)]
mod tests;
