//! Room for one more access key. IAM allows two per user, and Coiled never says which one it holds.
//!
//! A person may have created a key and registered it (`coiled setup aws` does both), and Coiled may still show the same
//! connection as before. So a key is deleted before the new one is registered only if Coiled cannot hold it. An inactive
//! key is no exception: Coiled may hold it, and its owner may set it active again.

use super::pending_is_recorded;
use crate::iam::adopted::Adopted;
use crate::iam::keys::{self, Key};
use crate::iam::tags::{ACCESS_KEY_ID, PENDING, get};
use crate::observe::{Observed, SeenUser};

/// Whether the user can have one more key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRoom {
    /// Yes.
    Free,
    /// After these keys are deleted. Coiled holds none of them.
    After(Vec<String>),
    /// No: Coiled may hold any of the keys.
    None {
        /// How many keys a person has to delete.
        surplus: usize,
    },
}

/// What Coiled is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    /// No key: the workspace is not connected.
    Nothing,
    /// This key.
    Key(&'a str),
    /// Some key, or Coiled was not asked.
    Unknown,
}

/// Whether the user can have one more key.
///
/// A user can have more than two keys, because IAM checks its limit late (terraform-provider-aws#39693).
pub fn key_room(observed: &Observed, held: Held) -> KeyRoom {
    let surplus = (observed.keys().len() + 1).saturating_sub(keys::LIMIT);
    let mut spare = left_over(observed, held);
    spare.extend(superseded(observed, held));
    match surplus {
        0 => KeyRoom::Free,
        _ if spare.len() < surplus => KeyRoom::None { surplus: surplus - spare.len() },
        _ => {
            spare.truncate(surplus);
            KeyRoom::After(spare)
        }
    }
}

/// Keys that earlier runs left behind, and that Coiled does not hold.
pub(super) fn left_over(observed: &Observed, held: Held) -> Vec<String> {
    let mut keys = strays(observed, held);
    let replaced: Vec<String> = replaced(observed).into_iter().filter(|id| !keys.contains(id)).collect();
    keys.extend(replaced);
    keys
}

/// The keys that a run replaced and did not delete, because it ended after it had recorded its own key. Until that run is
/// completed, its key is both recorded and pending. The run had read its registration back, so Coiled holds no older key.
fn replaced(observed: &Observed) -> Vec<String> {
    let Some(seen) = observed.owned().filter(|seen| pending_is_recorded(&seen.user.tags)) else { return Vec::new() };
    let recorded = seen.keys.iter().find(|key| is_named(seen, &key.id)).and_then(|key| key.created);
    let is_older = |key: &&Key| !is_named(seen, &key.id) && key.created.is_some() && key.created <= recorded;
    seen.keys.iter().filter(is_older).map(|key| key.id.clone()).collect()
}

/// The keys of a run that was killed after CreateAccessKey. It tags a key before it sends it to Coiled, so Coiled holds
/// none of them. They were created while the run held its lease; any other key without a tag is a person's.
///
/// Whoever may tag the user can write a lease, and can remove the tag that names Coiled's key. So the lease alone is not
/// enough: IAM must also show that a stray is no older than a key that the tags name, or Coiled must hold no key at all. A
/// registration deletes every other key, so no key is older than the one that Coiled holds.
fn strays(observed: &Observed, held: Held) -> Vec<String> {
    let Some((seen, lease)) = observed.owned().and_then(|seen| Some((seen, seen.lease.as_ref()?))) else {
        return Vec::new();
    };
    let adopted = Adopted::read(&seen.user.tags).unwrap_or_default();
    let is_known = |key: &&Key| is_named(seen, &key.id) || adopted.keys.contains(&key.id);
    let first = seen.keys.iter().filter(is_known).filter_map(|key| key.created).min();
    let is_later = |created| held == Held::Nothing || first.is_some_and(|first| first <= created);
    let is_stray = |key: &&Key| {
        !is_known(key) && key.created.is_some_and(|created| lease.may_have_created(created) && is_later(created))
    };
    seen.keys.iter().filter(is_stray).map(|key| key.id.clone()).collect()
}

/// The recorded or the pending key, if Coiled is known to hold the other one. If the user has a further key, the list
/// is empty, because Coiled may really hold that one.
fn superseded(observed: &Observed, held: Held) -> Vec<String> {
    let (Some(seen), Held::Key(id)) = (observed.owned(), held) else { return Vec::new() };
    let left_over = left_over(observed, held);
    let mut others = seen.keys.iter().map(|key| &key.id).filter(|other| *other != id && !left_over.contains(other));
    if others.clone().all(|id| is_named(seen, id)) { others.by_ref().cloned().collect() } else { Vec::new() }
}

fn is_named(seen: &SeenUser, id: &str) -> bool {
    [ACCESS_KEY_ID, PENDING].into_iter().any(|tag| get(&seen.user.tags, tag) == Some(id))
}
