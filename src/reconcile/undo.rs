//! Undoes the changes of a failed run in reverse order.

mod reregister;

use tokio::time::{Instant, sleep};

use crate::aws::iam::document::Kind;
use crate::aws::iam::retag::back_to;
use crate::coiled::Coiled;
use crate::coiled::connection::Shown;
use crate::error::Error;
use crate::reconcile::journal::Outcome;
use crate::reconcile::link::Link;
use crate::reconcile::plan::has_unexplained_key;
use crate::reconcile::run::Run;
use crate::reconcile::step::Undo;
use crate::resource::observe;
use crate::resource::ownership::Owner;
use crate::tag::{ACCESS_KEY_ID, PENDING, PENDING_REGION, Tag, get};

/// Why it is uncertain whether the undo of a key is complete.
const KEY_MAY_APPEAR: &str = "CreateAccessKey may have created a key that IAM does not list yet";

impl Run<'_> {
    /// Undoes this run's changes and returns the ARNs of the resources that it could not undo.
    ///
    /// With `all` (Create), it undoes every change. Otherwise (Update), it undoes only a key that Coiled cannot hold,
    /// because CloudFormation rolls back the rest with another Update.
    pub(crate) async fn undo_changes(&self, all: bool) -> Vec<String> {
        if !all {
            self.journal.keep_keys_only();
            if self.coiled_may_hold_key().await {
                if !self.reregister().await {
                    self.expire_lease().await;
                }
                return Vec::new();
            }
        }
        self.give_aws_half_of_the_time();
        self.wait_until_iam_shows_changes().await;
        let mut leftovers = Vec::new();
        while let Some(undo) = self.journal.last() {
            if matches!(undo, Undo::UserTags | Undo::PolicyTags(_)) && !leftovers.is_empty() {
                // The ownership tags are kept, because the Delete that follows finds the leftovers by them.
                leftovers.extend(self.arns(&undo));
                self.journal.remove_last();
                continue;
            }
            self.context.enter(format!("undo: {undo}"));
            self.give_aws_half_of_the_time();
            let result = self.run_undo(&undo).await;
            match &result {
                Ok(()) => tracing::info!(%undo, "undone"),
                Err(error) => tracing::error!(%undo, %error, "not undone"),
            }
            if let Err(error) = result {
                if undo == Undo::Registration {
                    // Coiled may hold the key, so the key, its user and the policies must continue to work.
                    tracing::warn!(%error, "Coiled may hold the key; keeping all AWS resources until Delete");
                    leftovers.extend(self.not_undone());
                    break;
                }
                leftovers.extend(self.arns(&undo));
            }
            self.journal.remove_last();
        }
        self.give_aws_half_of_the_time();
        if leftovers.is_empty() && !has_unexplained_key(&self.prepared.observed) {
            self.release_after_undo().await
        } else {
            self.expire_lease().await
        }
        leftovers.sort();
        leftovers.dedup();
        leftovers
    }

    /// The ARNs of the resources whose undos are still in the journal.
    pub(crate) fn not_undone(&self) -> Vec<String> {
        let mut arns: Vec<String> = self.journal.remaining().iter().flat_map(|undo| self.arns(undo)).collect();
        arns.sort();
        arns.dedup();
        arns
    }

    fn arns(&self, undo: &Undo) -> Vec<String> {
        let spec = &self.prepared.spec;
        let user = self.prepared.account.user_arn(spec.path.as_str(), spec.user.as_str());
        match undo {
            Undo::User | Undo::UserTags | Undo::Pending(_) => vec![user],
            Undo::Boundary(before) => {
                vec![format!("{user} (earlier permissions boundary: {})", before.as_deref().unwrap_or("none"))]
            }
            Undo::Policy(kind) | Undo::PolicyTags(kind) | Undo::Document(kind, _) => vec![self.arn(*kind)],
            Undo::Attachment(kind) | Undo::Detachment(kind) => vec![self.arn(*kind)],
            Undo::NewKeys => {
                let key = self
                    .journal
                    .key_id()
                    .map_or_else(|| "its newest access key".to_owned(), |id| format!("access key {id}"));
                vec![format!("{user} with {key}")]
            }
            Undo::Registration => {
                let workspace = self.prepared.key.link().map(|link| link.workspace.as_str()).unwrap_or_default();
                vec![format!("the AWS credentials of workspace {workspace} at Coiled")]
            }
        }
    }

    async fn run_undo(&self, undo: &Undo) -> Result<(), Error> {
        // The ID identifies the key as this run's, even if another run has taken over the user.
        if let (Undo::NewKeys, Some(id), false) = (undo, self.journal.key_id(), self.journal.lost_a_key()) {
            return self.context.iam.delete_key(self.user(), &id).await;
        }
        // The user may belong to someone else, because CreateUser may have failed with EntityAlreadyExists.
        if undo.is_on_user() && !self.context.is_mine(self.user()).await? {
            return Ok(());
        }
        let (iam, user) = (&self.context.iam, self.user());
        match undo {
            Undo::User => iam.delete_user(user).await,
            Undo::UserTags => self.undo_user_tags().await,
            Undo::Boundary(Some(arn)) => iam.put_boundary(user, arn).await,
            Undo::Boundary(None) => iam.delete_boundary(user).await,
            Undo::Policy(kind) => self.undo_policy(*kind).await,
            Undo::PolicyTags(kind) => self.undo_policy_tags(*kind).await,
            Undo::Document(kind, version) => self.undo_document(*kind, version).await,
            Undo::Attachment(kind) => iam.detach(user, &self.arn(*kind)).await,
            Undo::Detachment(kind) => iam.attach(user, &self.arn(*kind)).await,
            Undo::NewKeys => self.undo_keys().await,
            Undo::Pending(before) => self.undo_pending(before).await,
            Undo::Registration => self.undo_registration().await,
        }
    }

    /// Whether Coiled may hold the new key. A rejection alone proves nothing, because Coiled may have stored the key in
    /// order to check it. Coiled does not hold it if the workspace is not connected, or if Coiled still shows the
    /// earlier connection and its region differs.
    async fn coiled_may_hold_key(&self) -> bool {
        match self.journal.outcome() {
            Outcome::NotSent => false,
            Outcome::Unknown | Outcome::Registered => true,
            Outcome::Rejected => !self.coiled_shows_another_key().await.unwrap_or(false),
        }
    }

    async fn coiled_shows_another_key(&self) -> Result<bool, Error> {
        let Some(link) = self.prepared.key.link() else { return Ok(false) };
        let shown = self.coiled_for_undo(link).shown(&link.workspace).await?;
        let as_before = shown.digest() == link.before.digest();
        Ok(!shown.is_connected() || (as_before && !shown.is_aws_in(&self.prepared.spec.region)))
    }

    async fn release_after_undo(&self) {
        if let Err(error) = self.context.release_own_lease(self.user()).await {
            tracing::warn!(%error, "could not release the lease; it expires at this run's deadline");
        }
    }

    /// Waits until IAM shows this run's new resources. Until then, IAM rejects their deletion.
    async fn wait_until_iam_shows_changes(&self) {
        let until = self.undo_until().min(Instant::now() + self.context.config.consistency);
        while Instant::now() + self.context.config.poll < until {
            match self.iam_shows_changes().await {
                Ok(false) => sleep(self.context.config.poll).await,
                Ok(true) => return,
                Err(error) => return tracing::warn!(%error, "could not check whether IAM shows this run's changes"),
            }
        }
    }

    async fn iam_shows_changes(&self) -> Result<bool, Error> {
        let context = self.context;
        for kind in Kind::ALL.into_iter().filter(|kind| self.journal.is_confirmed(&Undo::Policy(*kind))) {
            if context.iam.policy_tags(&self.arn(kind)).await?.is_none() {
                return Ok(false);
            }
        }
        let attached = Kind::ALL.map(Undo::Attachment).iter().filter(|undo| self.journal.is_confirmed(undo)).count();
        let key = self.journal.key_id();
        if attached == 0 && key.is_none() && !self.journal.is_confirmed(&Undo::User) {
            return Ok(true);
        }
        let seen = observe::user(&context.iam, &context.ownership, &self.prepared.spec.user).await?;
        Ok(seen.is_some_and(|seen| {
            key.is_none_or(|id| seen.keys.iter().any(|key| key.id == id)) && self.attachments_are_in(&seen.attached)
        }))
    }

    fn attachments_are_in(&self, attached: &[String]) -> bool {
        let is_confirmed = |kind: &Kind| self.journal.is_confirmed(&Undo::Attachment(*kind));
        Kind::ALL.into_iter().filter(is_confirmed).all(|kind| attached.contains(&self.arn(kind)))
    }

    async fn expire_lease(&self) {
        if let Err(error) = self.context.end_lease(self.user(), &self.lease()).await {
            tracing::warn!(%error, "could not expire the lease; it expires at this run's deadline");
        }
    }

    /// Restores the earlier pending tags if the current ones name this run's key. If there were none, or if the earlier
    /// pending key is now recorded as active, removes the pending tags instead.
    async fn undo_pending(&self, before: &[Tag]) -> Result<(), Error> {
        let (iam, user) = (&self.context.iam, self.user());
        let tags = iam.known_user(user).await?.tags;
        if get(&tags, PENDING) != self.journal.key_id().as_deref() {
            return Ok(());
        }
        match get(before, PENDING) {
            Some(id) if get(&tags, ACCESS_KEY_ID) != Some(id) => iam.tag_user(user, before).await,
            _ => iam.untag_user(user, &[PENDING.to_owned(), PENDING_REGION.to_owned()]).await,
        }
    }

    /// Deletes every key that this run has created. A CreateAccessKey call whose response was lost may have created a
    /// key that IAM lists late.
    async fn undo_keys(&self) -> Result<(), Error> {
        let consistent_at = self.journal.lost_key_at().unwrap_or_else(Instant::now) + self.context.config.consistency;
        let until = consistent_at.min(self.undo_until());
        // If this run also deletes the user, no key can remain: DeleteUser fails while the user has one.
        while !self.delete_new_keys().await? && !self.journal.remaining().contains(&Undo::User) {
            if Instant::now() + self.context.config.poll > until {
                let is_certain = until == consistent_at;
                return if is_certain { Ok(()) } else { Err(Error::Unconfirmed(KEY_MAY_APPEAR.into())) };
            }
            sleep(self.context.config.poll).await;
        }
        Ok(())
    }

    /// Deletes this run's key and all keys whose responses were lost. Returns whether it found a lost key.
    async fn delete_new_keys(&self) -> Result<bool, Error> {
        if let Some(id) = self.journal.key_id() {
            self.context.iam.delete_key(self.user(), &id).await?;
        }
        self.delete_keys_without_secret().await
    }

    async fn undo_policy(&self, kind: Kind) -> Result<(), Error> {
        let arn = self.arn(kind);
        match self.context.iam.policy_tags(&arn).await? {
            Some(tags) if self.context.ownership.owner(&tags) == Owner::Ours => {
                self.context.iam.delete_policy(&arn).await
            }
            _ => Ok(()),
        }
    }

    async fn undo_document(&self, kind: Kind, version: &str) -> Result<(), Error> {
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let Some(policy) = iam.policy(&arn).await? else { return Ok(()) };
        if policy.version == version {
            return Ok(());
        }
        iam.set_default_version(&arn, version).await?;
        iam.delete_version(&arn, &policy.version).await
    }

    /// Disconnects the workspace, unless Coiled's response proves that Coiled does not hold this run's key.
    async fn undo_registration(&self) -> Result<(), Error> {
        let outcome = self.journal.outcome();
        let Some(link) = self.prepared.key.link().filter(|_| outcome != Outcome::NotSent) else { return Ok(()) };
        let coiled = self.coiled_for_undo(link);
        let shown = match outcome {
            Outcome::Unknown => self.wait_for_connection(&coiled, &link.workspace).await?,
            _ => coiled.shown(&link.workspace).await?,
        };
        let as_before = link.before.is_connected() && shown.digest() == link.before.digest();
        match outcome {
            Outcome::Rejected if !shown.is_connected() => Ok(()),
            Outcome::Rejected if as_before => Ok(()),
            Outcome::Unknown if as_before => Err(Error::OutcomeUnknown("Coiled shows the earlier connection".into())),
            Outcome::Unknown | Outcome::Rejected
                if shown.is_connected() && !shown.is_aws_in(&self.prepared.spec.region) =>
            {
                Ok(())
            }
            _ => coiled.disconnect(&link.workspace, false).await.map(|_| ()),
        }
    }

    /// Limits requests to Coiled to half of the undo time. The other half is left for AWS.
    fn coiled_for_undo(&self, link: &Link) -> Coiled {
        let now = Instant::now();
        let half = self.context.deadlines.undo.saturating_duration_since(now) / 2;
        link.coiled.paced(link.coiled.pace().ending(now + half))
    }

    /// Coiled shows a connection only when its setup has finished. This waits at most a quarter of the undo time for
    /// that. Another quarter is left to disconnect the workspace.
    async fn wait_for_connection(&self, coiled: &Coiled, workspace: &str) -> Result<Shown, Error> {
        let now = Instant::now();
        let until = now + self.context.deadlines.undo.saturating_duration_since(now) / 4;
        loop {
            let shown = coiled.shown(workspace).await?;
            if shown.is_connected() || Instant::now() + self.context.config.poll > until {
                return Ok(shown);
            }
            sleep(self.context.config.poll).await;
        }
    }

    /// Limits AWS calls to half of the undo time that is left. Otherwise, one call that AWS keeps throttling would leave
    /// no time for the other undos.
    fn give_aws_half_of_the_time(&self) {
        self.context.patience.ends_at(self.undo_until());
    }

    fn undo_until(&self) -> Instant {
        let now = Instant::now();
        now + self.context.deadlines.undo.saturating_duration_since(now) / 2
    }

    async fn undo_user_tags(&self) -> Result<(), Error> {
        let Some(seen) = &self.prepared.observed.user else { return Ok(()) };
        let current = self.context.iam.known_user(self.user()).await?.tags;
        self.context.iam.retag_user(self.user(), &back_to(&seen.user.tags, &current)).await
    }

    async fn undo_policy_tags(&self, kind: Kind) -> Result<(), Error> {
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let (Some(seen), Some(current)) = (self.prepared.observed.policies.get(&kind), iam.policy_tags(&arn).await?)
        else {
            return Ok(());
        };
        iam.retag_policy(&arn, &back_to(&seen.tags, &current)).await
    }
}
