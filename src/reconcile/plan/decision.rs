//! Whether a new key is needed: compares the registration that the user's tags record with the desired one.

use super::Held;
use crate::properties::Spec;
use crate::reconcile::link::Link;
use crate::resource::observe::Observed;
use crate::resource::ownership::Owner;
use crate::resource::record::{Digests, held_key};
use crate::tag::{ACCESS_KEY_ID, PENDING, REGISTERED, Tag, get};

/// Whether this run replaces the key that Coiled holds.
#[derive(Debug)]
pub(crate) enum KeyDecision<W> {
    /// The recorded registration matches the properties.
    Keep,
    /// A new key is registered. `W` is the link to Coiled.
    Replace(W),
    /// The recorded registration matches the properties, but it is uncertain which key Coiled holds. So every key that
    /// Coiled may hold is kept.
    LeaveInDoubt,
}

impl<W> KeyDecision<W> {
    /// The link to Coiled. `None` if no new key is registered.
    pub(crate) fn way(&self) -> Option<&W> {
        match self {
            Self::Replace(way) => Some(way),
            Self::Keep | Self::LeaveInDoubt => None,
        }
    }
}

/// Whether the recorded registration matches the desired one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegistrationState {
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
pub(crate) fn registration_state(spec: &Spec, observed: &Observed) -> RegistrationState {
    let Some(user) = observed.user.as_ref().filter(|user| user.owner == Owner::Ours) else {
        return RegistrationState::Needed;
    };
    let tags = &user.user.tags;
    let key_exists = get(tags, ACCESS_KEY_ID).is_some_and(|id| user.keys.iter().any(|key| key.id == id));
    let digests = get(tags, REGISTERED).and_then(Digests::read);
    let same = digests.is_some_and(|digests| digests.wanted == Digests::wanted(spec));
    match (key_exists && same, get(tags, PENDING)) {
        (true, _) if pending_is_recorded(tags) => RegistrationState::Current,
        (true, None) => RegistrationState::Current,
        (true, Some(_)) => RegistrationState::Uncertain,
        (false, _) if same => RegistrationState::KeyLost,
        (false, _) => RegistrationState::Needed,
    }
}

/// Whether one key is both recorded as active and tagged as pending. A run that was killed between its last two steps
/// leaves such a key.
pub(super) fn pending_is_recorded(tags: &[Tag]) -> bool {
    get(tags, PENDING).is_some_and(|id| get(tags, ACCESS_KEY_ID) == Some(id))
}

/// What Coiled holds, as far as its response identifies it.
pub(crate) fn held<'o>(observed: &'o Observed, link: &Link) -> Held<'o> {
    if !link.before.is_connected() {
        return Held::Nothing;
    }
    let key = observed.owned().and_then(|seen| held_key(&seen.user.tags, &link.before));
    key.map_or(Held::Unknown, Held::Key)
}
