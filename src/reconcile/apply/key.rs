//! Creates the new access key and waits until it has worked for its settle time. IAM returns a key's secret only once,
//! and the response may be lost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::iam::keys::{self, NewKey};
use crate::aws::sts::{Sts, Working};
use crate::aws::{code, may_have_worked};
use crate::error::Error;
use crate::reconcile::plan::has_unexplained_key;
use crate::reconcile::run::Run;

/// How old the last check of the lease may be when the registration is sent.
const LEASE_CHECK_HOLDS: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) async fn make_room(&self, keys: &[String]) -> Result<(), Error> {
        tracing::warn!(access_key_ids = %keys.join(", "), "deleting keys that Coiled cannot hold, to make room");
        self.delete_keys(keys).await
    }

    pub(super) async fn create_key(&self) -> Result<NewKey, Error> {
        let created = self.create_key_when_there_is_room().await;
        if created.as_ref().is_err_and(may_have_worked) {
            self.journal.note_lost_key();
        }
        let key = created?;
        tracing::info!(access_key_id = %key.id, "access key created");
        self.journal.note_key(key.clone());
        Ok(key)
    }

    async fn create_key_when_there_is_room(&self) -> Result<NewKey, Error> {
        let until = Instant::now() + self.context.config.consistency;
        loop {
            self.extend_key_time().await?;
            // This is not the step "delete the lost key". CreateAccessKey is sent again by its own retries, and the
            // lost key must be deleted before that, because the user may have no room for another one.
            let before_next = async |is_lost: bool| {
                if is_lost {
                    self.journal.note_lost_key();
                    self.delete_lost_key().await?;
                }
                self.extend_key_time().await
            };
            let created = self.context.iam.create_key(self.user(), before_next).await;
            if !matches!(&created, Err(error) if code(error) == Some("LimitExceeded")) {
                return created;
            }
            self.wait_for_room(until).await?;
        }
    }

    /// Writes the lease again if its time for CreateAccessKey is over. Otherwise, a run that is killed would leave a
    /// key that no lease explains.
    async fn extend_key_time(&self) -> Result<(), Error> {
        let (context, user) = (self.context, self.user());
        let key_time = self.journal.key_time().ok_or_else(|| Error::Internal("no lease for a new key".into()))?;
        if key_time.allows_attempt() {
            return Ok(());
        }
        // Tags do not support compare-and-set. This check keeps the new lease from replacing that of another run.
        context.holds_lease(user).await?;
        let has_lost_key = self.journal.lost_a_key() || has_unexplained_key(&self.prepared.observed);
        self.journal.set_key_time(Some(key_time.renewed(context.config.create_key, has_lost_key)));
        context.iam.tag_user(user, &[self.lease().tag()]).await
    }

    /// Waits after LimitExceeded: for a few seconds, IAM may still count a key that was just deleted, or may not list
    /// the lost key yet. Fails if a person has created a key since the checks.
    async fn wait_for_room(&self, until: Instant) -> Result<(), Error> {
        let (iam, user, poll) = (&self.context.iam, self.user(), self.context.config.poll);
        let keys = iam.keys(user).await?;
        let has_made_room = self.journal.lost_a_key() || self.prepared.observed.keys().len() >= keys::LIMIT;
        if (keys.len() >= keys::LIMIT && !has_made_room) || Instant::now() + poll > until {
            return Err(iam.no_key_slot(user, &keys, 1).await);
        }
        sleep(poll).await;
        self.delete_lost_key().await
    }

    /// Deletes keys whose secret was lost with the response. Nobody can use such a key.
    pub(super) async fn delete_lost_key(&self) -> Result<(), Error> {
        if self.journal.lost_a_key() {
            self.delete_keys_without_secret().await?;
        }
        Ok(())
    }

    /// Waits until the key works. Returns `None` if another step failed in the meantime.
    pub(super) async fn wait_for_key(&self, key: &NewKey) -> Result<Option<Working>, Error> {
        self.unless_another_step_fails(self.sts().wait_for(key, &self.context.patience, self.context.config)).await
    }

    /// Confirms that the key still works at the end of its settle time, which began with `working`.
    pub(super) async fn confirm_key(&self, key: &NewKey, working: Option<Working>) -> Result<(), Error> {
        self.unless_another_step_fails(self.confirm_or_start_over(key, working)).await.map(Option::unwrap_or_default)
    }

    /// If the key fails this check, its settle time starts again. If that takes long, or a check is throttled, the
    /// lease check that ran in parallel is too old afterwards. The lease is then checked again.
    async fn confirm_or_start_over(&self, key: &NewKey, working: Option<Working>) -> Result<(), Error> {
        let (sts, patience, config) = (self.sts(), &self.context.patience, self.context.config);
        let began = Instant::now();
        let checked = match working {
            Some(working) => sts.still_works(key, working, patience, config).await?.map_err(Some),
            None => Err(None),
        };
        let works = checked.is_ok();
        if let Err(rejection) = checked {
            sts.prove(rejection, key, patience, config).await?;
        }
        if works && began.elapsed() < LEASE_CHECK_HOLDS {
            return Ok(());
        }
        self.context.holds_lease(self.user()).await
    }

    fn sts(&self) -> Sts {
        Sts::new(self.context.sdk, &self.prepared.spec.region)
    }

    /// Cancels the checks of a key and returns `None` when a parallel step fails. That is safe, because checks do not
    /// change anything.
    async fn unless_another_step_fails<T>(
        &self,
        checks: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        let mut failed = self.failed.subscribe();
        tokio::select! {
            result = checks => result.map(Some),
            _ = failed.wait_for(|failed| *failed) => Ok(None),
        }
    }
}
