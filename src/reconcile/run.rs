//! The state and the functions that the steps of one run and their undos share.

use tokio::sync::watch;

use crate::aws::iam::document::Kind;
use crate::aws::iam::keys::Key;
use crate::error::Error;
use crate::reconcile::journal::Journal;
use crate::reconcile::preflight::Prepared;
use crate::resource::context::Context;
use crate::resource::lease::Lease;
use crate::tag::{ADOPTED, PENDING, PENDING_REGION};

/// The execution of one plan. [`super::apply`] performs its steps, and [`super::undo`] undoes them.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// The request with its clients and deadlines.
    pub context: &'a Context<'a>,
    /// The result of the checks.
    pub prepared: &'a Prepared,
    /// What this run has done so far.
    pub journal: &'a Journal,
    /// Set when a step fails, because waiting for the key in a parallel lane is then pointless.
    pub failed: watch::Sender<bool>,
}

impl<'a> Run<'a> {
    /// A run that has not performed any step.
    pub(crate) fn new(context: &'a Context<'a>, prepared: &'a Prepared, journal: &'a Journal) -> Self {
        Self { context, prepared, journal, failed: watch::Sender::new(false) }
    }

    /// The IAM user's name.
    pub(crate) fn user(&self) -> &str {
        self.prepared.spec.user.as_str()
    }

    /// The ARN of one of the user's two policies, even before it exists.
    pub(crate) fn arn(&self, kind: Kind) -> String {
        let spec = &self.prepared.spec;
        self.prepared.account.policy_arn(spec.path.as_str(), &kind.name(&spec.user))
    }

    /// This run's lease, with the time at which it creates a key.
    pub(crate) fn lease(&self) -> Lease {
        self.context.lease.with(self.journal.key_time())
    }

    /// Deletes these keys. A key that does not exist is not an error.
    pub(crate) async fn delete_keys(&self, keys: &[String]) -> Result<(), Error> {
        for id in keys {
            self.context.iam.delete_key(self.user(), id).await?;
        }
        Ok(())
    }

    /// Deletes every key that this run may have created and whose secret it does not have. Returns whether it found any.
    pub(crate) async fn delete_keys_without_secret(&self) -> Result<bool, Error> {
        let (iam, own, key_time) = (&self.context.iam, self.journal.key_id(), self.journal.key_time());
        let is_lost = |key: &Key| key_time.as_ref().is_some_and(|key_time| key_time.covers(key));
        let keys = iam.keys(self.user()).await?.into_iter();
        let lost: Vec<Key> = keys.filter(|key| is_lost(key) && own.as_ref() != Some(&key.id)).collect();
        for key in &lost {
            tracing::warn!(access_key_id = %key.id, "deleting a key whose secret was lost with the response");
            iam.delete_key(self.user(), &key.id).await?;
        }
        Ok(!lost.is_empty())
    }

    /// Removes the lease. With `pending`, also removes the tags that matter only until the outcome of the registration
    /// is known.
    pub(crate) async fn release_lease(&self, pending: bool) -> Result<(), Error> {
        let others: &[&str] = if pending { &[PENDING, PENDING_REGION, ADOPTED] } else { &[] };
        self.context.release_lease(self.user(), others).await
    }
}
