//! Plans how a new key replaces the one that Coiled holds.

use crate::reconcile::link::Link;
use crate::reconcile::step::Change;
use crate::resource::observe::Observed;
use crate::resource::record::{Digests, held_key};
use crate::tag::{ACCESS_KEY_ID, PENDING, REGISTERED, Tag, WORKSPACE, get};

/// What is decided about the new key before it exists.
#[derive(Debug)]
pub(crate) struct Replacement<'a> {
    /// The workspace, and its connection before this run.
    pub link: &'a Link,
    /// Deletes keys before the new one is created. `None` if the user has room for it.
    pub make_room: Option<Change>,
    /// The tags that record the previous pending key as active. They are written together with the new pending tags.
    pub resolved: Vec<Tag>,
    /// The workspace tag, if the user lacks it. It is written together with the record of the registration.
    pub workspace: Option<Tag>,
    /// Deletes all other keys after the registration. Coiled then no longer holds them.
    pub delete_others: Option<Change>,
}

/// The replacement of the observed keys by a new one.
pub(crate) fn replacement<'a>(link: &'a Link, delete_first: &[String], observed: &Observed) -> Replacement<'a> {
    let lacks_workspace = observed.owned().is_some_and(|seen| get(&seen.user.tags, WORKSPACE).is_none());
    Replacement {
        link,
        make_room: (!delete_first.is_empty()).then(|| Change::MakeRoom(delete_first.to_vec())),
        resolved: resolved_pending_key(link, observed),
        workspace: lacks_workspace.then(|| Tag::new(WORKSPACE, &link.workspace)),
        delete_others: Change::delete_keys(observed.keys().iter().map(|key| key.id.clone()).collect()),
    }
}

/// The tags that record the previous pending key as active, if Coiled holds it. There is only one pending tag. If it
/// were overwritten without this record, no tag would show that the connection belongs to this stack.
fn resolved_pending_key(link: &Link, observed: &Observed) -> Vec<Tag> {
    let Some(seen) = observed.owned() else { return Vec::new() };
    let pending = get(&seen.user.tags, PENDING);
    match held_key(&seen.user.tags, &link.before) {
        Some(held) if pending == Some(held) => {
            let digests = Digests::of_unknown(&link.before);
            vec![Tag::new(ACCESS_KEY_ID, held), Tag::new(REGISTERED, digests.tag_value())]
        }
        _ => Vec::new(),
    }
}
