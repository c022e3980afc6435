//! What there is to do, decided without doing anything: a pure function from what is wanted and what is there.

use std::fmt;

use crate::coiled::registration::Digests;
use crate::iam::document::{Kind, same};
use crate::iam::keys;
use crate::iam::policy::Policy;
use crate::iam::tags::{ACCESS_KEY_ID, ADOPTED, Owner, PENDING, PENDING_REGION, REGISTERED, get};
use crate::observe::Observed;
use crate::properties::Spec;
use crate::properties::tags::Tag;

/// One step of a Create or an Update. Closed: whoever adds one is led by the compiler to its action and its undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the user, with marks and lease.
    CreateUser,
    /// Mark the user that `coiled setup aws` made as ours, with the lease.
    AdoptUser,
    /// Put this run's lease on our user.
    TakeLease,
    /// Remove tags of the user that are wanted no more.
    UntagUser(Vec<String>),
    /// Add or change tags of the user.
    TagUser(Vec<Tag>),
    /// Put a permissions boundary on the user.
    PutBoundary(String),
    /// Take the permissions boundary away.
    DeleteBoundary,
    /// Make a policy.
    CreatePolicy(Kind),
    /// Put a new version of a policy in force.
    PutDocument(Kind),
    /// Remove tags of a policy that are wanted no more.
    UntagPolicy(Kind, Vec<String>),
    /// Add or change tags of a policy.
    TagPolicy(Kind, Vec<Tag>),
    /// Attach a policy to the user.
    Attach(Kind),
    /// Detach a policy from the user; it is kept.
    Detach(Kind),
    /// Remove the least recently used of these keys, to make room.
    FreeKeySlot(Vec<String>),
    /// Make a key.
    CreateKey,
    /// Wait until the key works.
    ProveKey,
    /// Mark the key as one that Coiled may hold from now on.
    TagPending,
    /// Open the WebSocket to Coiled and take its greeting.
    OpenSocket,
    /// Wait a moment more, for Coiled may reach another replica of IAM.
    Settle,
    /// See that this run still has the lease.
    CheckLease,
    /// Register the key with Coiled.
    Register,
    /// Read back what Coiled shows now.
    ReadBack,
    /// Look once more at everything that was made.
    Verify,
    /// Mark the key as the one that Coiled holds.
    Record,
    /// Remove these keys, which Coiled holds no more.
    DeleteKeys(Vec<String>),
    /// Give the lease back, and the pending mark where its outcome is known.
    ReleaseLease {
        /// Whether the pending mark goes too.
        pending: bool,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |tags: &[Tag]| tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>().join(", ");
        match self {
            Step::CreateUser => write!(f, "create user"),
            Step::AdoptUser => write!(f, "adopt user"),
            Step::TakeLease => write!(f, "take lease"),
            Step::UntagUser(keys) => write!(f, "untag user ({})", keys.join(", ")),
            Step::TagUser(tags) => write!(f, "tag user ({})", keys(tags)),
            Step::PutBoundary(arn) => write!(f, "put boundary {arn}"),
            Step::DeleteBoundary => write!(f, "delete boundary"),
            Step::CreatePolicy(kind) => write!(f, "create {kind:?} policy"),
            Step::PutDocument(kind) => write!(f, "put {kind:?} policy's document"),
            Step::UntagPolicy(kind, keys) => write!(f, "untag {kind:?} policy ({})", keys.join(", ")),
            Step::TagPolicy(kind, tags) => write!(f, "tag {kind:?} policy ({})", keys(tags)),
            Step::Attach(kind) => write!(f, "attach {kind:?} policy"),
            Step::Detach(kind) => write!(f, "detach {kind:?} policy"),
            Step::FreeKeySlot(keys) => write!(f, "free a key slot (one of {})", keys.join(", ")),
            Step::CreateKey => write!(f, "create key"),
            Step::ProveKey => write!(f, "prove key"),
            Step::TagPending => write!(f, "tag the pending key"),
            Step::OpenSocket => write!(f, "open socket"),
            Step::Settle => write!(f, "settle"),
            Step::CheckLease => write!(f, "check the lease"),
            Step::Register => write!(f, "register"),
            Step::ReadBack => write!(f, "read back"),
            Step::Verify => write!(f, "verify"),
            Step::Record => write!(f, "record"),
            Step::DeleteKeys(keys) => write!(f, "delete keys {}", keys.join(", ")),
            Step::ReleaseLease { .. } => write!(f, "release lease"),
        }
    }
}

/// Steps, in order or side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// One step.
    Step(Step),
    /// One after the other; the first failure ends it.
    InOrder(Vec<Flow>),
    /// All at once; all of them end before the next thing begins.
    InParallel(Vec<Flow>),
}

impl Flow {
    /// Whether there is nothing to do.
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
            let busy = flows.iter().filter(|flow| !flow.is_empty());
            busy.map(Flow::to_string).collect::<Vec<_>>().join(by)
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

/// What is wanted, beside what is there.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The connection.
    pub spec: &'a Spec,
    /// The tags of the policies: marks, and the user's own.
    pub tags: Vec<Tag>,
    /// The tags of the user: those, and to what it is connected.
    pub user_tags: Vec<Tag>,
    /// Keys of tags that an earlier version of the stack put there.
    pub old_tag_keys: Vec<String>,
    /// The boundary that an earlier version of the stack put there.
    pub old_boundary: Option<String>,
    /// Whether a key is registered: [`registration`] says why.
    pub registers: bool,
    /// The key that Coiled holds, where what it shows tells that.
    pub held: Option<&'a str>,
}

/// Why a key has to be registered, or that none has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// What is registered is what is wanted.
    Current,
    /// It is, as far as is known; but a later registration's outcome is not.
    Uncertain,
    /// Nothing is registered, or something else, or the key is gone.
    Needed,
}

/// Whether what is registered is what is wanted. A key that a person set inactive stays so: that is how one revokes it.
pub fn registration(spec: &Spec, observed: &Observed) -> Registration {
    let Some(user) = observed.user.as_ref().filter(|user| user.owner == Owner::Ours) else {
        return Registration::Needed;
    };
    let tags = &user.user.tags;
    let key_is_there = get(tags, ACCESS_KEY_ID).is_some_and(|id| user.keys.iter().any(|key| key.id == id));
    let digests = get(tags, REGISTERED).and_then(Digests::read);
    let same = digests.is_some_and(|digests| digests.wanted == Digests::wanted(spec));
    match (key_is_there && same, get(tags, PENDING)) {
        (true, _) if is_settled(tags) => Registration::Current,
        (true, None) => Registration::Current,
        (true, Some(_)) => Registration::Uncertain,
        (false, _) => Registration::Needed,
    }
}

/// A run that died between its last two steps: the key that is marked as pending is recorded as registered.
fn is_settled(tags: &[Tag]) -> bool {
    get(tags, PENDING).is_some_and(|id| get(tags, ACCESS_KEY_ID) == Some(id))
}

/// What has to be done to get from what is there to what is wanted.
pub fn plan(wanted: &Wanted, observed: &Observed) -> Flow {
    let user = user_changes(wanted, observed);
    let [setup, ongoing] = Kind::ALL.map(|kind| in_order(policy_changes(kind, wanted, observed)));
    let stray = delete_stray_keys(observed, wanted.registers);
    let lanes = if wanted.registers {
        vec![setup, ongoing, new_key(wanted, observed)]
    } else {
        vec![setup, ongoing, in_order(stray)]
    };
    let changes = Flow::InOrder(vec![in_order(user), Flow::InParallel(lanes)]);
    // A lease that nobody holds any more is cleaned up even where all else is as it should be.
    if changes.is_empty() && !has_lease(observed) {
        return changes;
    }
    let last = if wanted.registers {
        registering(observed)
    } else {
        in_order(vec![Step::CheckLease, Step::ReleaseLease { pending: false }])
    };
    Flow::InOrder(vec![in_order(vec![claim(observed)]), changes, last])
}

/// The step that makes the user this run's.
fn claim(observed: &Observed) -> Step {
    match observed.user.as_ref().map(|user| user.owner) {
        None => Step::CreateUser,
        Some(Owner::Ours) => Step::TakeLease,
        Some(_) => Step::AdoptUser,
    }
}

fn user_changes(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    // CreateUser brings tags and boundary itself.
    let Some(seen) = &observed.user else { return Vec::new() };
    let (mut remove, add) = match seen.owner {
        Owner::Ours => tag_changes(&wanted.user_tags, &wanted.old_tag_keys, &seen.user.tags),
        // AdoptUser brings the tags with the marks.
        _ => Default::default(),
    };
    if !wanted.registers && is_settled(&seen.user.tags) {
        let is_there = |key: &&str| get(&seen.user.tags, key).is_some();
        remove.extend([PENDING, PENDING_REGION, ADOPTED].into_iter().filter(is_there).map(str::to_owned));
    }
    let boundary = match (&wanted.spec.boundary, &seen.user.boundary) {
        (Some(arn), there) if there.as_ref() != Some(arn) => Some(Step::PutBoundary(arn.clone())),
        // One that somebody else put on the user bounds it for a reason.
        (None, there @ Some(_)) if *there == wanted.old_boundary => Some(Step::DeleteBoundary),
        _ => None,
    };
    let untag = (!remove.is_empty()).then_some(Step::UntagUser(remove));
    let tag = (!add.is_empty()).then_some(Step::TagUser(add));
    // A boundary first: it only ever takes rights away, and an organisation may refuse changes without it.
    [boundary, untag, tag].into_iter().flatten().collect()
}

/// Tags to remove, and tags to add or change. Only what an earlier version of the stack put there is removed: a person's
/// own tags, and CloudFormation's, stay.
///
/// Case matters here: in a policy `Owner` and `owner` are two tags. In a user they are one, which the other spelling
/// would replace; so the other spelling goes in both.
fn tag_changes(wanted: &[Tag], old_keys: &[String], there: &[Tag]) -> (Vec<String>, Vec<Tag>) {
    let is_wanted = |key: &str| wanted.iter().any(|tag| tag.key == key);
    let is_replaced = |key: &str| old_keys.iter().any(|old| old == key) || get(wanted, key).is_some();
    let remove = there.iter().map(|tag| &tag.key).filter(|key| !is_wanted(key) && is_replaced(key));
    let add = wanted.iter().filter(|tag| !there.contains(tag));
    (remove.cloned().collect(), add.cloned().collect())
}

fn policy_changes(kind: Kind, wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let mut steps = match observed.policies.get(&kind) {
        None => vec![Step::CreatePolicy(kind)],
        Some(policy) => existing_policy(kind, policy, wanted),
    };
    let is_attached = observed.is_attached(kind);
    match (wanted.spec.attaches(kind), is_attached) {
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

/// A key that works and is marked, and a socket to register it through. What is independent runs side by side.
fn new_key(wanted: &Wanted, observed: &Observed) -> Flow {
    let in_parallel = |steps: &[Step]| Flow::InParallel(steps.iter().cloned().map(Flow::from).collect());
    let (prove, mark, open) = (Step::ProveKey, Step::TagPending, Step::OpenSocket);
    match room_for_a_key(wanted, observed) {
        // A key that Coiled may hold goes: not before Coiled is there to take another.
        Some(room) => Flow::InOrder(vec![in_order(vec![open, room, Step::CreateKey]), in_parallel(&[prove, mark])]),
        None => Flow::InOrder(vec![Step::CreateKey.into(), in_parallel(&[prove, mark, open])]),
    }
}

fn registering(observed: &Observed) -> Flow {
    let keys: Vec<String> = observed.keys().iter().map(|key| key.id.clone()).collect();
    let others = (!keys.is_empty()).then_some(Step::DeleteKeys(keys));
    let tail = [Some(Step::Record), others, Some(Step::ReleaseLease { pending: true })];
    Flow::InOrder(vec![
        Flow::InParallel(vec![Step::Settle.into(), Step::CheckLease.into()]),
        Step::Register.into(),
        Flow::InParallel(vec![Step::ReadBack.into(), Step::Verify.into()]),
        in_order(tail.into_iter().flatten().collect()),
    ])
}

/// With two keys there, one goes first: one that nobody is known to hold, else the least recently used. Never the one that
/// Coiled is seen to hold: this run may yet fail.
fn room_for_a_key(wanted: &Wanted, observed: &Observed) -> Option<Step> {
    let keys = observed.keys();
    if keys.len() < keys::LIMIT {
        return None;
    }
    let strays = strays(observed);
    let spare = keys.iter().map(|key| key.id.clone()).filter(|id| wanted.held != Some(id));
    let candidates = if strays.is_empty() { spare.collect() } else { strays };
    Some(Step::FreeKeySlot(candidates))
}

/// Keys of our user that no mark names. In a user that is being adopted nothing says which key Coiled holds.
fn strays(observed: &Observed) -> Vec<String> {
    let Some(seen) = observed.user.as_ref().filter(|user| user.owner == Owner::Ours) else { return Vec::new() };
    let named = [get(&seen.user.tags, ACCESS_KEY_ID), get(&seen.user.tags, PENDING)];
    let ids = seen.keys.iter().map(|key| key.id.clone());
    ids.filter(|id| !named.contains(&Some(id.as_str()))).collect()
}

fn has_lease(observed: &Observed) -> bool {
    observed.user.as_ref().is_some_and(|user| user.lease.is_some())
}

/// A run that died after CreateAccessKey leaves a key that nobody holds, and its lease behind as a trace. Without that
/// trace an unknown key is a person's, and stays until the next rotation.
fn delete_stray_keys(observed: &Observed, registers: bool) -> Vec<Step> {
    let strays = strays(observed);
    if registers || strays.is_empty() || !has_lease(observed) { Vec::new() } else { vec![Step::DeleteKeys(strays)] }
}

#[cfg(test)]
mod tests;
