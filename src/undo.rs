//! Undoing what a run made, in reverse; and what an Update that failed leaves as it is.

use std::sync::Mutex;

use tokio::time::{Instant, sleep};

use crate::apply::{Outcome, Run};
use crate::coiled::Coiled;
use crate::coiled::connection::Shown;
use crate::context::locked;
use crate::error::Error;
use crate::iam::document::Kind;
use crate::iam::retag::back_to;
use crate::iam::tags::{ACCESS_KEY_ID, Owner, PENDING, PENDING_REGION, get};
use crate::observe;
use crate::present::Link;
use crate::properties::tags::Tag;

/// How one step is taken back. Noted before the step runs: a call that timed out may have worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Remove the user.
    User,
    /// Take our marks off a user that was adopted.
    UserTags,
    /// Remove a policy.
    Policy(Kind),
    /// Take our marks off a policy that was adopted.
    PolicyTags(Kind),
    /// Put this version of a policy in force again.
    Document(Kind, String),
    /// Detach a policy.
    Attachment(Kind),
    /// Attach a policy again.
    Detachment(Kind),
    /// Put the boundary that an adopted user had on it again, or take ours away.
    Boundary(Option<String>),
    /// Remove the key that was made: where its id is not known, every one but these.
    NewKeys {
        /// The ids that were there before.
        before: Vec<String>,
    },
    /// Put the pending mark back as it was: away, or naming an earlier registration whose outcome is unknown too.
    Pending(Vec<Tag>),
    /// Make Coiled forget the key, if it holds it.
    Registration,
}

impl Undo {
    fn is_on_user(&self) -> bool {
        !matches!(self, Undo::Policy(_) | Undo::PolicyTags(_) | Undo::Document(..) | Undo::Registration)
    }
}

/// What to undo, last first.
#[derive(Debug, Default)]
pub struct Journal {
    undos: Mutex<Vec<Undo>>,
    made: Mutex<Vec<Undo>>,
}

impl Journal {
    /// Notes an undo down, before its step runs.
    pub fn note(&self, undo: Undo) {
        locked(&self.undos).push(undo);
    }

    /// Notes that its step has worked: what that made is there, even if IAM does not show it yet.
    pub fn confirm(&self, undo: Undo) {
        locked(&self.made).push(undo);
    }

    fn is_made(&self, undo: &Undo) -> bool {
        locked(&self.undos).contains(undo) && locked(&self.made).contains(undo)
    }

    /// Nothing came of a step, for sure.
    pub fn forget(&self, undo: &Undo) {
        locked(&self.undos).retain(|other| other != undo);
    }

    fn last(&self) -> Option<Undo> {
        locked(&self.undos).last().cloned()
    }

    fn strike(&self) {
        locked(&self.undos).pop();
    }

    fn rest(&self) -> Vec<Undo> {
        locked(&self.undos).iter().rev().cloned().collect()
    }

    /// Keeps only what concerns a key that never reached Coiled.
    fn keep_keys_only(&self) {
        locked(&self.undos).retain(|undo| matches!(undo, Undo::NewKeys { .. } | Undo::Pending(_)));
    }
}

impl Run<'_> {
    /// Takes back what this run did, and returns the ARNs of what is left. A Create goes all the way; an Update takes
    /// back only a key that Coiled can't hold, for CloudFormation sends the reversed Update for the rest.
    pub async fn undo_changes(&self, all: bool) -> Vec<String> {
        if !all {
            self.journal.keep_keys_only();
            if self.may_be_held().await {
                self.end_lease().await;
                return Vec::new();
            }
        }
        self.wait_until_shown().await;
        let mut leftovers = Vec::new();
        while let Some(undo) = self.journal.last() {
            if matches!(undo, Undo::UserTags | Undo::PolicyTags(_)) && !leftovers.is_empty() {
                // By these marks the Delete that follows finds the rest.
                leftovers.extend(self.names(&undo));
                self.journal.strike();
                continue;
            }
            self.context.enter(format!("undo: {undo:?}"));
            let result = self.undo(&undo).await;
            match &result {
                Ok(()) => tracing::info!(?undo, "undone"),
                Err(error) => tracing::error!(?undo, %error, "not undone"),
            }
            if let Err(error) = result {
                if undo == Undo::Registration {
                    // Coiled may hold the key: it, and all that it needs to work, has to stay.
                    tracing::warn!(%error, "Coiled may hold the key, so the AWS side stays for the Delete that follows");
                    leftovers.extend(self.not_undone());
                    break;
                }
                leftovers.extend(self.names(&undo));
            }
            self.journal.strike();
        }
        if leftovers.is_empty() {
            self.release_after_undo().await
        } else {
            self.end_lease().await
        }
        leftovers.sort();
        leftovers.dedup();
        leftovers
    }

    /// The ARNs of everything that is still in the journal.
    pub fn not_undone(&self) -> Vec<String> {
        let mut names: Vec<String> = self.journal.rest().iter().flat_map(|undo| self.names(undo)).collect();
        names.sort();
        names.dedup();
        names
    }

    fn names(&self, undo: &Undo) -> Vec<String> {
        let spec = &self.prepared.spec;
        let user = self.prepared.account.user_arn(spec.path.as_str(), spec.user.as_str());
        match undo {
            Undo::User | Undo::UserTags | Undo::Pending(_) => vec![user],
            Undo::Boundary(before) => {
                vec![format!("{user} (its permissions boundary was {})", before.as_deref().unwrap_or("none"))]
            }
            Undo::Policy(kind) | Undo::PolicyTags(kind) | Undo::Document(kind, _) => vec![self.arn(*kind)],
            Undo::Attachment(kind) | Undo::Detachment(kind) => vec![self.arn(*kind)],
            Undo::NewKeys { .. } => {
                let key = self
                    .new_key_id()
                    .map_or_else(|| "its newest access key".to_owned(), |id| format!("access key {id}"));
                vec![format!("{user} with {key}")]
            }
            Undo::Registration => {
                let workspace = self.prepared.link.as_ref().map(|link| link.workspace.as_str()).unwrap_or_default();
                vec![format!("at Coiled: the AWS credentials of workspace {workspace}")]
            }
        }
    }

    async fn undo(&self, undo: &Undo) -> Result<(), Error> {
        // Its id says whose a key is, whoever works on the user by now.
        if let (Undo::NewKeys { .. }, Some(id), false) = (undo, self.new_key_id(), self.lost_a_key()) {
            return self.context.iam.delete_key(self.user(), &id).await;
        }
        // EntityAlreadyExists may have meant somebody else's: so look at the marks again.
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
            Undo::NewKeys { before } => self.undo_keys(before).await,
            Undo::Pending(before) => self.undo_pending(before).await,
            Undo::Registration => self.undo_registration().await,
        }
    }

    /// Whether Coiled may hold the new key. A refusal alone does not say: what Coiled checks with a key, it may have
    /// stored. It does not hold it where it shows no connection, or still the earlier one, of another region.
    async fn may_be_held(&self) -> bool {
        match self.outcome() {
            Outcome::NotSent => false,
            Outcome::Unknown | Outcome::Registered => true,
            Outcome::Rejected => !self.shows_another_key().await.unwrap_or(false),
        }
    }

    async fn shows_another_key(&self) -> Result<bool, Error> {
        let link = self.link()?;
        let shown = self.coiled_for_undo(link).shown(&link.workspace).await?;
        let as_before = shown.digest() == link.before.digest();
        Ok(!shown.is_connected() || (as_before && !shown.is_aws_in(&self.prepared.spec.region)))
    }

    async fn release_after_undo(&self) {
        if let Err(error) = self.context.release_lease(self.user()).await {
            tracing::warn!(%error, "the lease stays until its time is over");
        }
    }

    /// What was made a moment ago may not be shown yet, and what is not shown can't be removed.
    async fn wait_until_shown(&self) {
        let until = self.undo_until().min(Instant::now() + self.context.config.consistency);
        while Instant::now() + self.context.config.poll < until {
            match self.is_shown().await {
                Ok(false) => sleep(self.context.config.poll).await,
                Ok(true) => return,
                Err(error) => return tracing::warn!(%error, "whether all that was made is shown can't be told"),
            }
        }
    }

    async fn is_shown(&self) -> Result<bool, Error> {
        let context = self.context;
        for kind in Kind::ALL.into_iter().filter(|kind| self.journal.is_made(&Undo::Policy(*kind))) {
            if context.iam.policy_tags(&self.arn(kind)).await?.is_none() {
                return Ok(false);
            }
        }
        let attached = Kind::ALL.map(Undo::Attachment).into_iter().filter(|undo| self.journal.is_made(undo)).count();
        let key = self.new_key_id();
        if attached == 0 && key.is_none() && !self.journal.is_made(&Undo::User) {
            return Ok(true);
        }
        let seen = observe::user(&context.iam, &context.ownership, &self.prepared.spec.user).await?;
        Ok(seen.is_some_and(|seen| {
            key.is_none_or(|id| seen.keys.iter().any(|key| key.id == id)) && self.attachments_are_in(&seen.attached)
        }))
    }

    fn attachments_are_in(&self, attached: &[String]) -> bool {
        let is_made = |kind: &Kind| self.journal.is_made(&Undo::Attachment(*kind));
        Kind::ALL.into_iter().filter(is_made).all(|kind| attached.contains(&self.arn(kind)))
    }

    async fn end_lease(&self) {
        if let Err(error) = self.context.end_lease(self.user()).await {
            tracing::warn!(%error, "the lease stays until its time is over");
        }
    }

    /// Another run's mark stays: this run's may never have got there. And a registration that was settled meanwhile is on
    /// record, and pending no more.
    async fn undo_pending(&self, before: &[Tag]) -> Result<(), Error> {
        let (iam, user) = (&self.context.iam, self.user());
        let tags = iam.known_user(user).await?.tags;
        if get(&tags, PENDING) != self.new_key_id().as_deref() {
            return Ok(());
        }
        match get(before, PENDING) {
            Some(id) if get(&tags, ACCESS_KEY_ID) != Some(id) => iam.tag_user(user, before).await,
            _ => iam.untag_user(user, &[PENDING.to_owned(), PENDING_REGION.to_owned()]).await,
        }
    }

    /// A key's reply was lost, or its call was cut off: whatever was not there before is that key, or the one after it.
    async fn undo_keys(&self, before: &[String]) -> Result<(), Error> {
        let (iam, own) = (&self.context.iam, self.new_key_id());
        let mut made: Vec<String> = iam.keys(self.user()).await?.into_iter().map(|key| key.id).collect();
        made.retain(|id| !before.contains(id));
        // The list may lag behind the key.
        made.extend(own.filter(|id| !made.contains(id)));
        for id in made {
            iam.delete_key(self.user(), &id).await?;
        }
        Ok(())
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

    /// Makes Coiled forget the key, unless what it shows is what it showed before.
    async fn undo_registration(&self) -> Result<(), Error> {
        let outcome = self.outcome();
        if outcome == Outcome::NotSent {
            return Ok(());
        }
        let link = self.link()?;
        let coiled = self.coiled_for_undo(link);
        let shown = match outcome {
            Outcome::Unknown => self.shown_in_the_end(&coiled, &link.workspace).await?,
            _ => coiled.shown(&link.workspace).await?,
        };
        let as_before = link.before.is_connected() && shown.digest() == link.before.digest();
        match outcome {
            Outcome::Rejected if !shown.is_connected() => Ok(()),
            Outcome::Rejected if as_before => Ok(()),
            Outcome::Unknown if as_before => Err(Error::OutcomeUnknown("what Coiled shows looks as before".into())),
            Outcome::Unknown | Outcome::Rejected
                if shown.is_connected() && !shown.is_aws_in(&self.prepared.spec.region) =>
            {
                Ok(())
            }
            _ => coiled.disconnect(&link.workspace, false).await.map(|_| ()),
        }
    }

    /// Half of the undo's time at most is Coiled's: the rest is for the AWS side.
    fn coiled_for_undo(&self, link: &Link) -> Coiled {
        let now = Instant::now();
        let half = self.context.deadlines.undo.saturating_duration_since(now) / 2;
        link.coiled.paced(link.coiled.pace().ending(now + half))
    }

    /// Coiled may still be building, and show the connection only when it is done. So it is given half of the time that
    /// it has here; then it is told to forget the key, whether it shows one or not.
    async fn shown_in_the_end(&self, coiled: &Coiled, workspace: &str) -> Result<Shown, Error> {
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

    fn undo_until(&self) -> Instant {
        let now = Instant::now();
        now + self.context.deadlines.undo.saturating_duration_since(now) / 2
    }

    /// Gives an adopted user its tags back as they were.
    async fn undo_user_tags(&self) -> Result<(), Error> {
        let Some(seen) = &self.prepared.observed.user else { return Ok(()) };
        let there = self.context.iam.known_user(self.user()).await?.tags;
        self.context.iam.retag_user(self.user(), &back_to(&seen.user.tags, &there)).await
    }

    /// Gives an adopted policy its tags back as they were.
    async fn undo_policy_tags(&self, kind: Kind) -> Result<(), Error> {
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let (Some(seen), Some(there)) = (self.prepared.observed.policies.get(&kind), iam.policy_tags(&arn).await?)
        else {
            return Ok(());
        };
        iam.retag_policy(&arn, &back_to(&seen.tags, &there)).await
    }
}
