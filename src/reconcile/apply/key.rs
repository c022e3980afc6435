//! Creates the new access key and waits until it has worked for its settle time. IAM returns a key's secret only once,
//! and the response may be lost.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Run;
use crate::aws::iam::keys::{self, Key, NewKey};
use crate::aws::sts::Sts;
use crate::aws::{code, may_have_worked};
use crate::error::Error;
use crate::lock::locked;
use crate::reconcile::plan::has_unexplained_key;
use crate::reconcile::undo::Undo;

/// How old the last check of the lease may be when the registration is sent.
const LEASE_CHECK_HOLDS: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) async fn free_key_slot(&self, keys: &[String]) -> Result<(), Error> {
        tracing::warn!(access_key_ids = %keys.join(", "), "deleting keys that Coiled cannot hold, to make room");
        self.delete_keys(keys).await
    }

    pub(super) async fn create_key(&self) -> Result<(), Error> {
        self.journal.note(Undo::NewKeys);
        let created = self.create_key_when_there_is_room().await;
        if created.as_ref().is_err_and(may_have_worked) {
            self.note_lost_key();
        }
        if created.is_err() && !self.lost_a_key() {
            // IAM rejected the call, so a key that appears now was created by another run.
            self.journal.discard(&Undo::NewKeys);
        }
        let key = created?;
        tracing::info!(access_key_id = %key.id, "access key created");
        *locked(&self.key) = Some(key);
        Ok(())
    }

    /// Whether the user may have a key whose secret was lost with the response.
    pub(crate) fn lost_a_key(&self) -> bool {
        self.lost_key_at().is_some()
    }

    /// When the last response to CreateAccessKey was lost.
    pub(crate) fn lost_key_at(&self) -> Option<Instant> {
        *locked(&self.lost_key_at)
    }

    fn note_lost_key(&self) {
        *locked(&self.lost_key_at) = Some(Instant::now());
    }

    async fn create_key_when_there_is_room(&self) -> Result<NewKey, Error> {
        let until = Instant::now() + self.context.config.consistency;
        loop {
            self.extend_creation().await?;
            let before_next = async |is_lost: bool| {
                if is_lost {
                    self.note_lost_key();
                    self.delete_lost_key().await?;
                }
                self.extend_creation().await
            };
            let created = self.context.iam.create_key(self.user(), before_next).await;
            if !matches!(&created, Err(error) if code(error) == Some("LimitExceeded")) {
                return created;
            }
            self.wait_for_room(until).await?;
        }
    }

    /// Writes the lease again if it does not allow an attempt now. A run that is killed would otherwise leave a key that
    /// no lease explains.
    async fn extend_creation(&self) -> Result<(), Error> {
        let (context, user) = (self.context, self.user());
        let creation = context.creation().ok_or_else(|| Error::Internal("no lease for a new key".into()))?;
        if creation.allows_attempt() {
            return Ok(());
        }
        // Tags do not support compare-and-set. This check keeps the new lease from replacing that of another run.
        context.holds_lease(user).await?;
        let has_lost_key = self.lost_a_key() || has_unexplained_key(&self.prepared.observed);
        context.set_creation(Some(creation.renewed(context.config.create_key, has_lost_key)));
        context.iam.tag_user(user, &[context.lease_tag()]).await
    }

    /// Waits after LimitExceeded: for a few seconds, IAM may still count a key that was just deleted, or may not list
    /// the lost key yet. Fails if a person has created a key since the checks.
    async fn wait_for_room(&self, until: Instant) -> Result<(), Error> {
        let (iam, user, poll) = (&self.context.iam, self.user(), self.context.config.poll);
        let keys = iam.keys(user).await?;
        let has_made_room = self.lost_a_key() || self.prepared.observed.keys().len() >= keys::LIMIT;
        if (keys.len() >= keys::LIMIT && !has_made_room) || Instant::now() + poll > until {
            return Err(iam.no_key_slot(user, &keys, 1).await);
        }
        sleep(poll).await;
        self.delete_lost_key().await
    }

    /// Deletes keys whose secret was lost with the response. Nobody can use such a key.
    pub(super) async fn delete_lost_key(&self) -> Result<(), Error> {
        if self.lost_a_key() {
            self.delete_keys_without_secret().await?;
        }
        Ok(())
    }

    /// Deletes every key that this run may have created and whose secret it does not have. Returns whether it found any.
    pub(crate) async fn delete_keys_without_secret(&self) -> Result<bool, Error> {
        let (iam, own, creation) = (&self.context.iam, self.new_key_id(), self.context.creation());
        let is_lost = |key: &Key| creation.as_ref().is_some_and(|creation| creation.covers(key));
        let keys = iam.keys(self.user()).await?.into_iter();
        let lost: Vec<Key> = keys.filter(|key| is_lost(key) && own.as_ref() != Some(&key.id)).collect();
        for key in &lost {
            tracing::warn!(access_key_id = %key.id, "deleting a key whose secret was lost with the response");
            iam.delete_key(self.user(), &key.id).await?;
        }
        Ok(!lost.is_empty())
    }

    pub(super) async fn wait_for_key(&self) -> Result<(), Error> {
        let working = self
            .unless_another_step_fails(self.sts().wait_for(&self.key()?, &self.context.patience, self.context.config))
            .await?;
        *locked(&self.working) = working;
        Ok(())
    }

    pub(super) async fn confirm_key(&self) -> Result<(), Error> {
        self.unless_another_step_fails(self.confirm_or_start_over()).await.map(Option::unwrap_or_default)
    }

    /// If the key fails this check, its settle time starts again. If that takes long, or a check is throttled, the
    /// lease check that ran in parallel is too old afterwards. The lease is then checked again.
    async fn confirm_or_start_over(&self) -> Result<(), Error> {
        let (sts, key) = (self.sts(), self.key()?);
        let (patience, config) = (&self.context.patience, self.context.config);
        let working = *locked(&self.working);
        let working = working.ok_or_else(|| Error::Internal("the plan confirms a key that was not checked".into()))?;
        let began = Instant::now();
        let works = sts.still_works(&key, working, patience, config).await?;
        if !works {
            sts.prove(&key, patience, config).await?;
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

    pub(crate) async fn delete_keys(&self, keys: &[String]) -> Result<(), Error> {
        for id in keys {
            self.context.iam.delete_key(self.user(), id).await?;
        }
        Ok(())
    }
}
