//! The plan as a line of the log.

use std::fmt;

use super::{KeyPlan, Plan, Replacement};
use crate::reconcile::step::{Change, Part};

impl fmt::Display for Plan<'_> {
    /// `a > (b | c > d) > e`: the plan as a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [setup, ongoing] = self.policies.each_ref().map(|changes| in_order(changes));
        let (keys, end) = match &self.keys {
            KeyPlan::Keep(keys) => {
                let delete = (!keys.is_empty()).then(|| Change::DeleteKeys(keys.clone()));
                (in_order(delete.as_slice()), in_order(&[Change::CheckLease, Change::ReleaseLease { pending: false }]))
            }
            KeyPlan::Replace(replacement) => (replacement.creation(), replacement.registration()),
        };
        let lanes = match &self.keys {
            KeyPlan::Keep(_) => in_parallel([setup, ongoing, keys]),
            KeyPlan::Replace(_) => in_parallel([keys, setup, ongoing]),
        };
        write!(f, "{}", sequence([self.claim.to_string(), in_order(&self.user), lanes, end]))
    }
}

impl Replacement<'_> {
    /// The lane that creates a key.
    fn creation(&self) -> String {
        let (create, wait, tag, open) = (Part::CreateKey, Part::WaitForKey, Part::TagPending, Part::OpenSocket);
        if self.room.is_empty() {
            return sequence([create.to_string(), in_parallel([wait, tag, open].map(|part| part.to_string()))]);
        }
        let room = Change::MakeRoom(self.room.clone());
        let parallel = in_parallel([wait, tag].map(|part| part.to_string()));
        sequence([open.to_string(), room.to_string(), create.to_string(), parallel])
    }

    /// The steps after the creation.
    fn registration(&self) -> String {
        let delete = (!self.superseded.is_empty()).then(|| Change::DeleteKeys(self.superseded.clone()));
        sequence([
            in_parallel([Part::ConfirmKey.to_string(), Change::CheckLease.to_string()]),
            Part::Register.to_string(),
            in_parallel([Part::ReadBack, Part::Verify].map(|part| part.to_string())),
            Part::Record.to_string(),
            in_order(delete.as_slice()),
            Change::ReleaseLease { pending: true }.to_string(),
        ])
    }
}

fn in_order(changes: &[Change]) -> String {
    sequence(changes.iter().map(Change::to_string))
}

fn sequence(steps: impl IntoIterator<Item = String>) -> String {
    join(steps, " > ")
}

fn in_parallel(lanes: impl IntoIterator<Item = String>) -> String {
    let lanes = join(lanes, " | ");
    if lanes.is_empty() { lanes } else { format!("({lanes})") }
}

fn join(parts: impl IntoIterator<Item = String>, by: &str) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(by)
}
