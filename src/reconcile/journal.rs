//! What a run must still know after its future was canceled: how to undo its steps, and what became of its key.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::aws::iam::keys::NewKey;
use crate::lock::locked;
use crate::reconcile::step::Undo;
use crate::resource::key_time::KeyTime;

/// The outcome of the registration, as far as this run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    /// Coiled never received the key.
    #[default]
    NotSent,
    /// Coiled rejected the registration. It may still have stored the key in order to check it.
    Rejected,
    /// The key was sent, but no final response arrived.
    Unknown,
    /// Coiled confirmed the registration.
    Registered,
}

/// The journal of one run. It contains everything that the undo needs to know about the run's steps.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// In the order of the steps.
    undos: Vec<Entry>,
    /// The key that this run created, if it got that far.
    key: Option<NewKey>,
    /// When this run creates a key.
    key_time: Option<KeyTime>,
    /// When the last response to CreateAccessKey was lost. If the call worked, nobody has the new key's secret.
    lost_key_at: Option<Instant>,
    outcome: Outcome,
    /// Whether another run took over the user between this run's checks and its first change.
    is_overtaken: bool,
}

#[derive(Debug)]
struct Entry {
    undo: Undo,
    /// Whether the step succeeded, so that its result exists even if IAM does not show it yet.
    is_confirmed: bool,
}

impl Journal {
    /// Adds an undo. Call this before the step's first request, because a request that times out may have worked.
    pub(crate) fn note(&self, undo: Undo) {
        locked(&self.0).undos.push(Entry { undo, is_confirmed: false });
    }

    /// Notes that the undo's step succeeded.
    pub(crate) fn confirm(&self, undo: &Undo) {
        locked(&self.0)
            .undos
            .iter_mut()
            .filter(|entry| entry.undo == *undo)
            .for_each(|entry| entry.is_confirmed = true);
    }

    /// Whether the undo is in the journal and its step succeeded.
    pub(crate) fn is_confirmed(&self, undo: &Undo) -> bool {
        locked(&self.0).undos.iter().any(|entry| entry.undo == *undo && entry.is_confirmed)
    }

    /// Notes that the undo's step failed. The undo is kept, because the step may have worked nevertheless. Only that of
    /// a key is dropped if no response was lost: IAM rejected CreateAccessKey, so a key that appears now was created by
    /// another run.
    pub(crate) fn note_failure(&self, undo: &Undo) {
        let mut entries = locked(&self.0);
        if *undo == Undo::NewKeys && entries.lost_key_at.is_none() {
            entries.undos.retain(|entry| entry.undo != *undo);
        }
    }

    /// Drops every undo except those of the new key.
    pub(crate) fn keep_keys_only(&self) {
        locked(&self.0).undos.retain(|entry| matches!(entry.undo, Undo::NewKeys | Undo::Pending(_)));
    }

    /// The next undo.
    pub(crate) fn last(&self) -> Option<Undo> {
        locked(&self.0).undos.last().map(|entry| entry.undo.clone())
    }

    /// Drops the undo that [`Journal::last`] returned.
    pub(crate) fn remove_last(&self) {
        locked(&self.0).undos.pop();
    }

    /// The undos that are left, in the order in which they run.
    pub(crate) fn remaining(&self) -> Vec<Undo> {
        locked(&self.0).undos.iter().rev().map(|entry| entry.undo.clone()).collect()
    }

    /// Notes the key that this run created.
    pub(crate) fn note_key(&self, key: NewKey) {
        locked(&self.0).key = Some(key);
    }

    /// The key that this run created, if it got that far.
    pub(crate) fn key(&self) -> Option<NewKey> {
        locked(&self.0).key.clone()
    }

    /// The ID of the key that this run created, if it got that far.
    pub(crate) fn key_id(&self) -> Option<String> {
        locked(&self.0).key.as_ref().map(|key| key.id.clone())
    }

    /// Sets when this run creates a key. The next lease that it writes contains that time.
    pub(crate) fn set_key_time(&self, key_time: Option<KeyTime>) {
        locked(&self.0).key_time = key_time;
    }

    /// When this run creates a key.
    pub(crate) fn key_time(&self) -> Option<KeyTime> {
        locked(&self.0).key_time.clone()
    }

    /// Notes that a response to CreateAccessKey was lost just now.
    pub(crate) fn note_lost_key(&self) {
        locked(&self.0).lost_key_at = Some(Instant::now());
    }

    /// When the last response to CreateAccessKey was lost. The user may then have a key whose secret nobody has.
    pub(crate) fn lost_key_at(&self) -> Option<Instant> {
        locked(&self.0).lost_key_at
    }

    /// Whether the user may have a key whose secret was lost with the response.
    pub(crate) fn lost_a_key(&self) -> bool {
        self.lost_key_at().is_some()
    }

    /// Notes that the key is about to be sent. From then on, Coiled may hold it.
    pub(crate) fn note_sent(&self) {
        let mut entries = locked(&self.0);
        if entries.outcome == Outcome::NotSent {
            entries.outcome = Outcome::Unknown;
        }
    }

    /// Notes how the registration ended.
    pub(crate) fn set_outcome(&self, outcome: Outcome) {
        locked(&self.0).outcome = outcome;
    }

    /// The outcome of the registration, as far as this run knows.
    pub(crate) fn outcome(&self) -> Outcome {
        locked(&self.0).outcome
    }

    /// Notes that another run took over the user before this run changed anything.
    pub(crate) fn note_overtaken(&self) {
        locked(&self.0).is_overtaken = true;
    }

    /// Whether another run took over the user before this run changed anything.
    pub(crate) fn is_overtaken(&self) -> bool {
        locked(&self.0).is_overtaken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left to undo after both steps failed.
    fn left_after_failures(journal: &Journal) -> Vec<Undo> {
        for undo in [Undo::User, Undo::NewKeys] {
            journal.note(undo.clone());
            journal.note_failure(&undo);
        }
        journal.remaining()
    }

    #[test]
    fn only_the_undo_of_a_key_that_iam_rejected_is_dropped() {
        assert_eq!(left_after_failures(&Journal::default()), [Undo::User]);
        let journal = Journal::default();
        journal.note_lost_key();
        assert_eq!(left_after_failures(&journal), [Undo::NewKeys, Undo::User]);
    }
}
