//! Stray keys: access keys of a run that was killed after CreateAccessKey, or that never received the response.
//!
//! A run tags its key before it sends the key to Coiled, so Coiled does not hold a key without a tag that the run
//! created. Its secret is lost. But a person may have created such a key too, and Coiled may hold that one.

use std::time::Duration;

use super::room::{Held, is_named};
use crate::iam::adopted::Adopted;
use crate::iam::creation::Creation;
use crate::iam::keys::{Key, LastUse};
use crate::observe::Observed;

/// The keys without a tag that were created while the run that left its lease sent CreateAccessKey.
pub fn suspects(observed: &Observed) -> Vec<&Key> {
    let Some((seen, creation)) = observed.owned().and_then(|seen| Some((seen, seen.lease.as_ref()?.creation()?)))
    else {
        return Vec::new();
    };
    let adopted = Adopted::read(&seen.user.tags).unwrap_or_default();
    let is_suspect = |key: &&Key| !is_named(seen, &key.id) && !adopted.keys.contains(&key.id) && creation.covers(key);
    seen.keys.iter().filter(is_suspect).collect()
}

/// The suspects that no service but STS has seen. A person or Coiled uses a key with other services.
fn unused(observed: &Observed) -> impl Iterator<Item = &Key> {
    suspects(observed).into_iter().filter(|key| key.last_use == LastUse::Unused)
}

/// The keys that a killed run created.
///
/// Anyone who can tag the user can write a lease, and can remove the tag that names Coiled's key. So the lease alone is
/// not enough, and IAM's own data must agree: the key was created at that time, was not used, and is at least as new as a
/// key that the tags name. Instead of the last condition, Coiled may hold no key at all. A registration deletes all other
/// keys, so the key that Coiled holds is the oldest.
pub(super) fn strays(observed: &Observed, held: Held) -> Vec<String> {
    let Some(seen) = observed.owned() else { return Vec::new() };
    let adopted = Adopted::read(&seen.user.tags).unwrap_or_default();
    let known = seen.keys.iter().filter(|key| is_named(seen, &key.id) || adopted.keys.contains(&key.id));
    let first = known.filter_map(|key| key.created).min();
    let is_later = |key: &&Key| held == Held::Nothing || first.is_some_and(|first| Some(first) <= key.created);
    unused(observed).filter(is_later).map(|key| key.id.clone()).collect()
}

/// Whether a run that was killed may have created a key of this user, and its secret is lost.
pub fn has_unexplained_key(observed: &Observed) -> bool {
    unused(observed).next().is_some()
}

/// What this run writes into its lease about the keys that it or the killed run before it may have created.
pub fn creation(observed: &Observed, registers: bool, time: Duration) -> Option<Creation> {
    let unexplained: Vec<String> = unused(observed).map(|key| key.id.clone()).collect();
    let earlier = observed.owned().and_then(|seen| seen.lease.as_ref()?.creation());
    if registers {
        return Some(Creation::begin(time, observed.keys(), earlier, &unexplained));
    }
    earlier.filter(|_| !unexplained.is_empty()).cloned()
}
