//! Whether a new key is needed: compares the registration that the user's tags record with the desired one.

use super::held::{Held, pending_is_recorded};
use super::room::{KeyRoom, key_room};
use crate::properties::Spec;
use crate::reconcile::link::Link;
use crate::resource::observe::Observed;
use crate::resource::ownership::Owner;
use crate::resource::record::Digests;
use crate::tag::{ACCESS_KEY_ID, PENDING, REGISTERED, get};

/// Whether this run replaces the key that Coiled holds.
#[derive(Debug)]
pub(crate) enum KeyDecision {
    /// The recorded registration matches the properties.
    Keep,
    /// A new key is registered.
    Replace {
        /// The link to Coiled.
        link: Box<Link>,
        /// The keys to delete first, because IAM allows two per user. Coiled cannot hold them.
        delete_first: Vec<String>,
    },
    /// The recorded registration matches the properties, but it is uncertain which key Coiled holds. So every key that
    /// Coiled may hold is kept.
    LeaveInDoubt,
}

impl KeyDecision {
    /// Replaces the key that Coiled holds.
    ///
    /// # Errors
    /// How many keys a person has to delete before the user has room for a new one.
    pub(crate) fn replace(link: Box<Link>, observed: &Observed) -> Result<Self, usize> {
        match key_room(observed, Held::of(observed, &link.before)) {
            KeyRoom::Free => Ok(Self::Replace { link, delete_first: Vec::new() }),
            KeyRoom::After(delete_first) => Ok(Self::Replace { link, delete_first }),
            KeyRoom::None { surplus } => Err(surplus),
        }
    }

    /// The link to Coiled. `None` if no new key is registered.
    pub(crate) fn link(&self) -> Option<&Link> {
        match self {
            Self::Replace { link, .. } => Some(link),
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
