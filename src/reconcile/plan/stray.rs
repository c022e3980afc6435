//! Stray keys: access keys that no tag names. The run that created such a key was killed after CreateAccessKey, or
//! never received the response.
//!
//! Before a run sends its key to Coiled, it writes the key's ID into a tag of the user. So Coiled does not hold a stray
//! key. Nobody can use a stray key, because its secret is lost. But a person may also have created a key that no tag
//! names, and Coiled may hold that key.

use std::time::Duration;

use super::held::Held;
use crate::aws::iam::keys::Key;
use crate::resource::key_time::KeyTime;
use crate::resource::observe::{Observed, SeenUser};

/// The unused suspects of this stack's user.
fn unused(observed: &Observed) -> impl Iterator<Item = &Key> {
    observed.owned().into_iter().flat_map(SeenUser::unused_suspects)
}

/// The keys that a killed run created.
///
/// Anyone who can tag the user can write a lease, and can remove the tag that names Coiled's key. So the lease alone is
/// not enough, and IAM's own data must agree: the key was created during the time in the lease, was not used, and is at
/// least as new as a key that the tags name. The last condition is not needed if Coiled holds no key. A registration
/// deletes all other keys, so the key that Coiled holds is the oldest.
pub(super) fn strays(observed: &Observed, held: Held) -> Vec<String> {
    let Some(seen) = observed.owned() else { return Vec::new() };
    let is_explained = seen.explains();
    let first = seen.keys.iter().filter(|key| is_explained(key)).filter_map(|key| key.created).min();
    let is_later = |key: &&Key| held == Held::Nothing || first.is_some_and(|first| Some(first) <= key.created);
    unused(observed).filter(is_later).map(|key| key.id.clone()).collect()
}

/// Whether this user has a key that a killed run may have created. The secret of that key is lost.
pub(crate) fn has_unexplained_key(observed: &Observed) -> bool {
    unused(observed).next().is_some()
}

/// What this run writes into its lease about the keys that it or the killed run before it may have created.
pub(crate) fn next_key_time(observed: &Observed, registers: bool, time: Duration) -> Option<KeyTime> {
    let unexplained: Vec<String> = unused(observed).map(|key| key.id.clone()).collect();
    let earlier = observed.owned().and_then(|seen| seen.lease.as_ref()?.key_time());
    if registers {
        return Some(KeyTime::begin(time, observed.keys(), earlier, &unexplained));
    }
    earlier.filter(|_| !unexplained.is_empty()).cloned()
}
