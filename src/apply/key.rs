//! One new key in the user: room for it, its making, and the proof that it works. Its secret is shown once, in a reply that
//! may be lost.

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::{Run, locked};
use crate::aws::code;
use crate::error::Error;
use crate::iam::keys::{self, NewKey};
use crate::sts::Sts;
use crate::undo::Undo;

impl Run<'_> {
    pub(super) async fn free_key_slot(&self, candidates: &[String]) -> Result<(), Error> {
        let mut used = Vec::new();
        for id in candidates {
            used.push((self.context.iam.key_last_used(id).await?, id));
        }
        // A key never used comes first: `None` is less than any date.
        let Some((_, least)) = used.into_iter().min() else { return Ok(()) };
        tracing::warn!(access_key_id = %least, "removed to make room: the least recently used key");
        self.context.iam.delete_key(self.user(), least).await
    }

    pub(super) async fn create_key(&self) -> Result<(), Error> {
        let before = self.keys_before();
        self.journal.note(Undo::NewKeys { before: before.clone() });
        let made = self.create_key_or_again(&before).await;
        if made.as_ref().is_err_and(|error| !is_lost(error)) && !self.lost_a_key() {
            // IAM said no: whatever key appears now is another run's.
            self.journal.forget(&Undo::NewKeys { before });
        }
        let key = made?;
        tracing::info!(access_key_id = %key.id, "key made");
        *locked(&self.key) = Some(key);
        Ok(())
    }

    async fn create_key_or_again(&self, before: &[String]) -> Result<NewKey, Error> {
        match self.create_key_in_its_place(before).await {
            Err(error) if is_lost(&error) => {
                self.lost_a_key.store(true, Ordering::SeqCst);
                self.delete_lost_key().await?;
                self.create_key_in_its_place(before).await
            }
            other => other,
        }
    }

    /// Whether a key may be there whose secret nobody has.
    pub(crate) fn lost_a_key(&self) -> bool {
        self.lost_a_key.load(Ordering::SeqCst)
    }

    fn keys_before(&self) -> Vec<String> {
        self.prepared.observed.keys().iter().map(|key| key.id.clone()).collect()
    }

    /// Where this run has just made room, IAM may count the old key a while longer, or not show the lost one yet.
    async fn create_key_in_its_place(&self, before: &[String]) -> Result<NewKey, Error> {
        let until = Instant::now() + self.context.config.consistency;
        loop {
            let made = self.context.iam.create_key(self.user()).await;
            let has_made_room = self.lost_a_key() || before.len() >= keys::LIMIT;
            let is_full = matches!(&made, Err(error) if code(error) == Some("LimitExceeded"));
            if !(is_full && has_made_room) || Instant::now() + self.context.config.poll > until {
                return made;
            }
            sleep(self.context.config.poll).await;
            self.delete_lost_key().await?;
        }
    }

    /// A call whose reply was lost may have worked. Then its key is nobody's, for its secret was in the reply; and whatever
    /// key is neither this run's nor was there before is that one.
    pub(super) async fn delete_lost_key(&self) -> Result<(), Error> {
        if !self.lost_a_key() {
            return Ok(());
        }
        let (iam, before, own) = (&self.context.iam, self.keys_before(), self.new_key_id());
        for key in iam.keys(self.user()).await? {
            if !before.contains(&key.id) && own.as_ref() != Some(&key.id) {
                tracing::warn!(access_key_id = %key.id, "its secret was lost with the reply; removed");
                iam.delete_key(self.user(), &key.id).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn prove_key(&self) -> Result<(), Error> {
        let sts = Sts::new(self.context.sdk, &self.prepared.spec.region);
        sts.prove(&self.key()?, self.context.config, || self.failed.load(Ordering::SeqCst)).await
    }

    pub(super) async fn delete_keys(&self, keys: &[String]) -> Result<(), Error> {
        for id in keys {
            self.context.iam.delete_key(self.user(), id).await?;
        }
        Ok(())
    }
}

/// Whether a call may have worked although it failed here.
fn is_lost(error: &Error) -> bool {
    matches!(
        code(error),
        Some("no answer" | "unreadable answer" | "InternalFailure" | "ServiceFailure" | "InternalServerError")
    )
}
