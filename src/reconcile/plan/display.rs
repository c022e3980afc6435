//! The plan as a line of the log.

use std::fmt;

use super::{KeyPlan, Plan, RELEASE, Replacement};
use crate::reconcile::step::{Change, Part};

impl fmt::Display for Plan<'_> {
    /// `a > (b | c > d) > e`: the plan as a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [setup, ongoing] = self.policies.each_ref().map(|changes| in_order(changes));
        let (keys, end) = match &self.keys {
            KeyPlan::Keep(delete) => (in_order(delete.as_slice()), in_order(&RELEASE)),
            KeyPlan::Replace(replacement) => (replacement.key_lane(), replacement.after_the_lanes()),
        };
        let lanes = match &self.keys {
            KeyPlan::Keep(_) => in_parallel([setup, ongoing, keys]),
            KeyPlan::Replace(_) => in_parallel([keys, setup, ongoing]),
        };
        write!(f, "{}", sequence([self.claim.to_string(), in_order(&self.user), lanes, end]))
    }
}

/// `apply/replace.rs` contains this order a second time, because each part needs the results of earlier ones. The test
/// `answers::the_steps_in_the_plan_are_the_steps_that_are_performed` fails if the two differ.
impl Replacement<'_> {
    /// The lane that runs in parallel with the policies.
    fn key_lane(&self) -> String {
        let (create, wait, tag, open) = (Part::CreateKey, Part::WaitForKey, Part::TagPending, Part::OpenSocket);
        let Some(room) = &self.make_room else {
            return sequence([create.to_string(), in_parallel([wait, tag, open].map(|part| part.to_string()))]);
        };
        let parallel = in_parallel([wait, tag].map(|part| part.to_string()));
        sequence([open.to_string(), room.to_string(), create.to_string(), parallel])
    }

    /// The steps after all lanes have ended.
    fn after_the_lanes(&self) -> String {
        sequence([
            in_parallel([Part::ConfirmKey.to_string(), Change::CheckLease.to_string()]),
            Part::Register.to_string(),
            in_parallel([Part::ReadBack, Part::Verify].map(|part| part.to_string())),
            Part::Record.to_string(),
            in_order(self.delete_others.as_slice()),
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
