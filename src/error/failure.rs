//! A failed request, as the status reason and the log describe it.

use std::fmt;

use super::{Error, several};
use crate::redact::cut_middle;

/// A failed request. [`Failure::reason`] is the text for the status reason, and `Display` the text for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The name of the failed step, as in the log.
    pub step: String,
    pub error: Error,
    /// ARNs of the resources that this run created and could not delete.
    pub leftovers: Vec<String>,
}

impl Failure {
    /// A failure without leftovers.
    pub(crate) fn at(step: impl Into<String>, error: Error) -> Self {
        Self { step: step.into(), error, leftovers: Vec::new() }
    }
}

impl Failure {
    /// The failure for the status reason. Long causes are shortened in the middle; the log contains them in full.
    ///
    /// [`crate::cloudformation::response::Response::encode`] cuts the middle of a long status reason once more. The
    /// leftovers must survive that, so they follow the cause directly.
    pub(crate) fn reason(&self) -> String {
        self.text(&brief(&self.error))
    }

    fn text(&self, cause: &str) -> String {
        let leftovers = match self.leftovers.as_slice() {
            [] => String::new(),
            leftovers => format!(" Left in the account: {}.", leftovers.join(", ")),
        };
        format!("{}: {}.{leftovers} {}", self.step, cause.trim_end_matches('.'), self.error.fix())
    }
}

impl fmt::Display for Failure {
    /// The full failure, for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&self.error.to_string()))
    }
}

/// The maximum length of a cause in a status reason, in bytes.
const BRIEF: usize = 1800;

/// The cause, in at most [`BRIEF`] bytes. Several causes share the space equally, so that a long one does not hide the
/// others.
fn brief(error: &Error) -> String {
    match error {
        Error::Several(errors) => several(errors, |error| cut_middle(&error.to_string(), BRIEF / errors.len().max(1))),
        error => cut_middle(&error.to_string(), BRIEF),
    }
}
