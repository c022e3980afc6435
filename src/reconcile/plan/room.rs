//! Room for one more access key. IAM allows two per user, and Coiled never says which one it holds.
//!
//! If a person creates a key and registers it (`coiled setup aws` does both), Coiled may still show the same connection
//! as before. So a key is deleted before the new one is registered only if Coiled cannot hold it. This applies to
//! inactive keys too: Coiled may hold one, and a person may set it active again.

use super::held::{Held, pending_is_recorded};
use super::stray::strays;
use crate::aws::iam::keys::{self, Key};
use crate::resource::observe::Observed;
use crate::tag::{ACCESS_KEY_ID, PENDING, get};

/// Whether the user can have one more key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyRoom {
    /// The user can have one more key.
    Free,
    /// The user can have one more key after these are deleted. Coiled does not hold any of them.
    After(Vec<String>),
    /// The user cannot have one more key, because Coiled may hold any of the existing ones.
    None {
        /// How many keys a person has to delete.
        surplus: usize,
    },
}

/// Whether the user can have one more key.
///
/// A user can have more than two keys, because IAM enforces its limit late (terraform-provider-aws#39693).
pub(crate) fn key_room(observed: &Observed, held: Held) -> KeyRoom {
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

/// Keys that earlier runs left behind and that Coiled does not hold.
pub(super) fn left_over(observed: &Observed, held: Held) -> Vec<String> {
    let mut keys = strays(observed, held);
    let replaced: Vec<String> = replaced(observed).into_iter().filter(|id| !keys.contains(id)).collect();
    keys.extend(replaced);
    keys
}

/// The keys that a run replaced but did not delete, because it ended right after it recorded its own key. Until a later
/// run finishes that work, the recorded key is also tagged as pending. The run had already read its registration back,
/// so Coiled does not hold an older key.
fn replaced(observed: &Observed) -> Vec<String> {
    let Some(seen) = observed.owned().filter(|seen| pending_is_recorded(&seen.user.tags)) else { return Vec::new() };
    let recorded = seen.keys.iter().find(|key| seen.names(&key.id)).and_then(|key| key.created);
    let is_older = |key: &&Key| !seen.names(&key.id) && key.created.is_some() && key.created <= recorded;
    seen.keys.iter().filter(is_older).map(|key| key.id.clone()).collect()
}

/// The recorded or the pending key, if Coiled is known to hold the other one, and the recorded key if Coiled holds none.
///
/// If Coiled is known to hold one of the two and the user has yet another key, the list is empty, because Coiled may
/// actually hold that key. If Coiled holds none, the pending key is kept: its registration may still be in progress.
fn superseded(observed: &Observed, held: Held) -> Vec<String> {
    let Some(seen) = observed.owned() else { return Vec::new() };
    let left_over = left_over(observed, held);
    let keys = || seen.keys.iter().map(|key| key.id.clone()).filter(|id| !left_over.contains(id));
    match held {
        Held::Key(id) if keys().all(|key| key == id || seen.names(&key)) => keys().filter(|key| key != id).collect(),
        Held::Nothing => {
            let [recorded, pending] = [ACCESS_KEY_ID, PENDING].map(|tag| get(&seen.user.tags, tag));
            keys().filter(|key| recorded == Some(key) && pending != Some(key)).collect()
        }
        Held::Key(_) | Held::Unknown => Vec::new(),
    }
}
