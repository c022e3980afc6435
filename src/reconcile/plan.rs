//! Computes the steps of a Create or an Update from the desired and the observed state. Does not call any service.

mod decision;
mod display;
mod held;
mod replacement;
mod room;
mod stray;

use crate::aws::iam::document::{Kind, same};
use crate::aws::iam::policy::Policy;
use crate::properties::Spec;
use crate::resource::observe::{Observed, SeenUser};
use crate::resource::ownership::Owner;
use crate::tag::{ADOPTED, LOGICAL_ID, PENDING, PENDING_REGION, STACK_ID, Tag, get};

use crate::reconcile::step::Change;
pub(crate) use decision::{KeyDecision, RegistrationState, registration_state};
pub(crate) use held::Held;
use held::pending_is_recorded;
pub(crate) use replacement::Replacement;
use replacement::replacement;
use room::left_over;
pub(crate) use room::{KeyRoom, key_room};
pub(crate) use stray::{has_unexplained_key, next_key_time};

/// What a Create or an Update does. The order of the fields is the order of the steps.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Takes the lease.
    pub claim: Change,
    /// Changes the user, one after another.
    pub user: Vec<Change>,
    /// Changes the policies. The lists run in parallel with each other and with the creation of a key.
    pub policies: [Vec<Change>; 2],
    /// What happens to the keys, and the release of the lease.
    pub keys: KeyPlan<'a>,
}

/// What happens to the user's keys.
#[derive(Debug)]
pub(crate) enum KeyPlan<'a> {
    /// There is no new key. The change deletes the keys that earlier runs left behind. The plan ends with [`RELEASE`].
    Keep(Option<Change>),
    /// There is a new key.
    Replace(Replacement<'a>),
}

/// The last steps of a plan without a new key.
pub(crate) const RELEASE: [Change; 2] = [Change::CheckLease, Change::ReleaseLease { pending: false }];

/// The desired state.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
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
    /// Whether this run registers a new key.
    pub key: &'a KeyDecision,
}

/// The steps from the observed to the desired state. `None` if the states match and no lease is left over.
pub(crate) fn plan<'a>(wanted: &Wanted<'a>, observed: &Observed) -> Option<Plan<'a>> {
    let user = user_changes(wanted, observed);
    let policies = Kind::ALL.map(|kind| policy_changes(kind, wanted, observed));
    let keys = match wanted.key {
        KeyDecision::Replace { link, delete_first } => KeyPlan::Replace(replacement(link, delete_first, observed)),
        // A person's keys are kept until the next rotation.
        KeyDecision::Keep | KeyDecision::LeaveInDoubt => {
            KeyPlan::Keep(Change::delete_keys(left_over(observed, Held::Unknown)))
        }
    };
    let keeps_keys = matches!(&keys, KeyPlan::Keep(None));
    let changes_nothing = user.is_empty() && policies.iter().all(Vec::is_empty) && keeps_keys;
    // An expired lease is released and missing ownership tags are restored even if nothing else has to change.
    if changes_nothing && !has_lease(observed) && !has_lost_its_tags(observed) {
        return None;
    }
    Some(Plan { claim: claim(observed), user, policies, keys })
}

/// The change with which this run takes the lease on the user.
fn claim(observed: &Observed) -> Change {
    match observed.user.as_ref().map(|user| user.owner) {
        None => Change::CreateUser,
        Some(Owner::Ours) if has_lost_its_tags(observed) => Change::ReclaimUser,
        Some(Owner::Ours) => Change::AcquireLease,
        Some(_) => Change::AdoptUser,
    }
}

/// Whether a person removed an ownership tag from the stack's user: see [`crate::resource::recognition`].
fn has_lost_its_tags(observed: &Observed) -> bool {
    let is_set = |seen: &SeenUser, key| get(&seen.user.tags, key).is_some();
    observed.owned().is_some_and(|seen| !is_set(seen, STACK_ID) || !is_set(seen, LOGICAL_ID))
}

fn user_changes(wanted: &Wanted, observed: &Observed) -> Vec<Change> {
    // CreateUser sets the tags and the permissions boundary itself.
    let Some(seen) = &observed.user else { return Vec::new() };
    let (mut remove, add) = match seen.owner {
        // ReclaimUser writes all tags together with the lease.
        Owner::Ours if has_lost_its_tags(observed) => Default::default(),
        Owner::Ours => tag_changes(&wanted.user_tags, &wanted.old_tag_keys, &seen.user.tags),
        // AdoptUser does the same.
        _ => Default::default(),
    };
    if wanted.key.link().is_none() && pending_is_recorded(&seen.user.tags) {
        let is_set = |key: &&str| get(&seen.user.tags, key).is_some();
        remove.extend([PENDING, PENDING_REGION, ADOPTED].into_iter().filter(is_set).map(str::to_owned));
    }
    let boundary = match (&wanted.spec.boundary, &seen.user.boundary) {
        (Some(arn), current) if current.as_ref() != Some(arn) => Some(Change::PutBoundary(arn.clone())),
        // A boundary that someone else set may be required in this account, so it is kept.
        (None, current @ Some(_)) if *current == wanted.old_boundary => Some(Change::DeleteBoundary),
        _ => None,
    };
    let untag = (!remove.is_empty()).then_some(Change::UntagUser(remove));
    let tag = (!add.is_empty()).then_some(Change::TagUser(add));
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

fn policy_changes(kind: Kind, wanted: &Wanted, observed: &Observed) -> Vec<Change> {
    let mut steps = match observed.policies.get(&kind) {
        None => vec![Change::CreatePolicy(kind)],
        Some(policy) => existing_policy(kind, policy, wanted),
    };
    let is_attached = observed.is_attached(kind);
    match (kind.is_attached_by(wanted.spec), is_attached) {
        (true, false) => steps.push(Change::Attach(kind)),
        (false, true) => steps.push(Change::Detach(kind)),
        _ => {}
    }
    steps
}

fn existing_policy(kind: Kind, policy: &Policy, wanted: &Wanted) -> Vec<Change> {
    let (remove, add) = tag_changes(&wanted.tags, &wanted.old_tag_keys, &policy.tags);
    let untag = (!remove.is_empty()).then_some(Change::UntagPolicy(kind, remove));
    let is_ours = [STACK_ID, LOGICAL_ID].iter().all(|key| get(&policy.tags, key) == get(&wanted.tags, key));
    let tag = if is_ours { Change::TagPolicy } else { Change::AdoptPolicy };
    let tag = (!add.is_empty()).then(|| tag(kind, add));
    let document = (!same(&policy.document, kind.document())).then_some(Change::PutDocument(kind));
    [untag, tag, document].into_iter().flatten().collect()
}

fn has_lease(observed: &Observed) -> bool {
    observed.user.as_ref().is_some_and(|user| user.lease.is_some())
}

#[cfg(test)]
mod tests;
