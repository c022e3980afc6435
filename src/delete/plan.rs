//! The steps of a Delete. It first deregisters the key, and then decides whether to restore or to delete.

use std::fmt;

use crate::delete::deregister::AtCoiled;
use crate::delete::find::Owned;

/// One step. Its `Display` is the name that the log and a status reason show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Put this run's lease on the user.
    AcquireLease,
    /// Disconnect the workspace, if its connection belongs to this stack.
    Disconnect,
    /// Log whether the workspace is connected. The user is gone, so nothing proves whose connection it is.
    LookForConnection,
    /// Restore the adopted user and its policies.
    Restore,
    /// Delete everything that prevents the deletion of the user.
    DeleteContents,
    /// Delete the policy with this ARN.
    DeletePolicy(String),
    /// Delete the user with this ARN.
    DeleteUser(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcquireLease => write!(f, "acquire the lease"),
            Self::Disconnect => write!(f, "disconnect the workspace"),
            Self::LookForConnection => write!(f, "look for a connection of the deleted user"),
            Self::Restore => write!(f, "restore the adopted resources"),
            Self::DeleteContents => write!(f, "delete the user's contents"),
            Self::DeletePolicy(arn) => write!(f, "delete policy {arn}"),
            Self::DeleteUser(arn) => write!(f, "delete user {arn}"),
        }
    }
}

/// Steps that run one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Steps(pub Vec<Step>);

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Step::to_string).collect::<Vec<_>>().join(" > "))
    }
}

/// What a Delete does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Deregisters the key.
    pub deregister: Steps,
    /// Restores the adopted user and its policies. `None` if the user was not adopted.
    pub restore: Option<Steps>,
    /// Deletes everything that this stack owns. The user comes last, because another Delete needs its tags if this one
    /// fails.
    pub delete: Steps,
}

impl Plan {
    /// The plan for the resources that this stack owns.
    pub(crate) fn new(owned: &Owned) -> Self {
        let deregister = match owned.user {
            Some(_) => vec![Step::AcquireLease, Step::Disconnect],
            None => vec![Step::LookForConnection],
        };
        let contents = owned.user.iter().map(|_| Step::DeleteContents);
        let policies = owned.policies.iter().cloned().map(Step::DeletePolicy);
        let user = owned.user.iter().map(|seen| Step::DeleteUser(seen.user.arn.clone()));
        Self {
            deregister: Steps(deregister),
            restore: owned.adopted().map(|_| Steps(vec![Step::Restore])),
            delete: Steps(contents.chain(policies).chain(user).collect()),
        }
    }

    /// The steps after the key is deregistered. A user that was adopted, and for which this stack never registered a
    /// key, is restored.
    pub(crate) fn decide(&self, connection: AtCoiled) -> &Steps {
        self.restore.as_ref().filter(|_| connection == AtCoiled::NotThisStack).unwrap_or(&self.delete)
    }
}
