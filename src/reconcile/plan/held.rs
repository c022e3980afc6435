//! Which key Coiled holds, as far as its response and the user's tags show it.

use crate::coiled::connection::Shown;
use crate::resource::observe::Observed;
use crate::resource::record::held_key;
use crate::tag::{ACCESS_KEY_ID, PENDING, Tag, get};

/// What Coiled is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held<'a> {
    /// No key: the workspace is not connected.
    Nothing,
    /// This key.
    Key(&'a str),
    /// Coiled holds some key, or was not asked.
    Unknown,
}

impl<'a> Held<'a> {
    /// What Coiled holds if it shows this connection.
    pub(crate) fn of(observed: &'a Observed, shown: &Shown) -> Self {
        if !shown.is_connected() {
            return Self::Nothing;
        }
        let key = observed.owned().and_then(|seen| held_key(&seen.user.tags, shown));
        key.map_or(Self::Unknown, Self::Key)
    }
}

/// Whether one key is both recorded as active and tagged as pending. A run that was killed between its last two steps
/// leaves such a key.
pub(super) fn pending_is_recorded(tags: &[Tag]) -> bool {
    get(tags, PENDING).is_some_and(|id| get(tags, ACCESS_KEY_ID) == Some(id))
}
