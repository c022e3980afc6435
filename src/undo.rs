//! Undoing what a run made, in reverse; and what an Update that failed leaves as it is.

use std::sync::Mutex;

use crate::apply::{Outcome, Run};
use crate::coiled::Coiled;
use crate::context::locked;
use crate::error::Error;
use crate::iam::document::Kind;
use crate::iam::marks::{Owner, PENDING, PENDING_REGION, get};
use crate::present::Link;
use crate::properties::tags::Tag;

/// How one step is taken back. Noted before the step runs: a call that timed out may have worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Remove the user.
    User,
    /// Take our marks off a user that was adopted.
    UserMarks,
    /// Remove a policy.
    Policy(Kind),
    /// Take our marks off a policy that was adopted.
    PolicyMarks(Kind),
    /// Put this version of a policy in force again.
    Document(Kind, String),
    /// Detach a policy.
    Attachment(Kind),
    /// Attach a policy again.
    Detachment(Kind),
    /// Put the boundary that an adopted user had on it again, or take ours away.
    Boundary(Option<String>),
    /// Remove every key but these.
    NewKeys {
        /// The ids that were there before.
        before: Vec<String>,
    },
    /// Take the pending mark away.
    Pending,
    /// Make Coiled forget the key, if it holds it.
    Registration,
}

/// What to undo, last first.
#[derive(Debug, Default)]
pub struct Journal(Mutex<Vec<Undo>>);

impl Journal {
    /// Notes an undo down, before its step runs.
    pub fn note(&self, undo: Undo) {
        locked(&self.0).push(undo);
    }

    fn last(&self) -> Option<Undo> {
        locked(&self.0).last().cloned()
    }

    fn strike(&self) {
        locked(&self.0).pop();
    }

    fn rest(&self) -> Vec<Undo> {
        locked(&self.0).iter().rev().cloned().collect()
    }

    /// Keeps only what concerns a key that never reached Coiled.
    fn keep_keys_only(&self) {
        locked(&self.0).retain(|undo| matches!(undo, Undo::NewKeys { .. } | Undo::Pending));
    }
}

impl Run<'_> {
    /// Takes back what this run did, and returns the ARNs of what is left. A Create goes all the way; an Update takes
    /// back only a key that Coiled can't hold, for CloudFormation sends the reversed Update for the rest.
    pub async fn unwind(&self, all: bool) -> Vec<String> {
        if !all {
            self.journal.keep_keys_only();
            if self.may_be_held().await {
                self.end_lease().await;
                return Vec::new();
            }
        }
        let mut leftovers = Vec::new();
        while let Some(undo) = self.journal.last() {
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
        self.end_lease().await;
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
            Undo::User | Undo::UserMarks | Undo::Pending | Undo::Boundary(_) => vec![user],
            Undo::Policy(kind) | Undo::PolicyMarks(kind) | Undo::Document(kind, _) => vec![self.arn(*kind)],
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
        if *undo == Undo::Registration {
            return self.undo_registration().await;
        }
        // EntityAlreadyExists may have meant somebody else's: so look at the marks again.
        let on_policy = matches!(undo, Undo::Policy(_) | Undo::PolicyMarks(_) | Undo::Document(..));
        if !on_policy && !self.context.is_mine(self.user()).await? {
            return Ok(());
        }
        let (iam, user) = (&self.context.iam, self.user());
        match undo {
            Undo::User => iam.delete_user(user).await,
            Undo::UserMarks => self.undo_user_marks().await,
            Undo::Boundary(Some(arn)) => iam.put_boundary(user, arn).await,
            Undo::Boundary(None) => iam.delete_boundary(user).await,
            Undo::Policy(kind) => self.undo_policy(*kind).await,
            Undo::PolicyMarks(kind) => self.undo_policy_marks(*kind).await,
            Undo::Document(kind, version) => self.undo_document(*kind, version).await,
            Undo::Attachment(kind) => iam.detach(user, &self.arn(*kind)).await,
            Undo::Detachment(kind) => iam.attach(user, &self.arn(*kind)).await,
            Undo::NewKeys { before } => self.undo_keys(before).await,
            Undo::Pending => self.undo_pending().await,
            Undo::Registration => Ok(()),
        }
    }

    /// Whether Coiled may hold the new key. A refusal alone does not say: what Coiled checks with a key, it may have
    /// stored. It does not hold it where it shows no connection, or still the earlier one, of another region.
    async fn may_be_held(&self) -> bool {
        match self.outcome() {
            Outcome::NotSent => false,
            Outcome::Unknown | Outcome::Registered => true,
            Outcome::Refused => !self.shows_another_key().await.unwrap_or(false),
        }
    }

    async fn shows_another_key(&self) -> Result<bool, Error> {
        let link = self.link()?;
        let shown = self.coiled_for_undo(link).shown(&link.workspace).await?;
        let as_before = shown.digest() == link.before.digest();
        Ok(!shown.is_connected() || (as_before && !shown.is_aws_in(&self.prepared.spec.region)))
    }

    async fn end_lease(&self) {
        if let Err(error) = self.context.end_lease(self.user()).await {
            tracing::warn!(%error, "the lease stays until its time is over");
        }
    }

    /// An earlier run's mark stays: this run's may never have got there.
    async fn undo_pending(&self) -> Result<(), Error> {
        let tags = self.context.iam.known_user(self.user()).await?.tags;
        if get(&tags, PENDING) != self.new_key_id().as_deref() {
            return Ok(());
        }
        self.context.iam.untag_user(self.user(), &[PENDING.to_owned(), PENDING_REGION.to_owned()]).await
    }

    async fn undo_keys(&self, before: &[String]) -> Result<(), Error> {
        let keys = self.context.iam.keys(self.user()).await?;
        let new = self.new_key_id();
        let mut made: Vec<String> = keys.into_iter().map(|key| key.id).filter(|id| !before.contains(id)).collect();
        // The list may lag behind the key.
        made.extend(new.filter(|id| !made.contains(id)));
        for id in made {
            self.context.iam.delete_key(self.user(), &id).await?;
        }
        Ok(())
    }

    async fn undo_policy(&self, kind: Kind) -> Result<(), Error> {
        let arn = self.arn(kind);
        match self.context.iam.policy_tags(&arn).await? {
            Some(tags) if self.context.marks.owner(&tags) == Owner::Ours => self.context.iam.delete_policy(&arn).await,
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
        let shown = coiled.shown(&link.workspace).await?;
        let as_before = link.before.is_connected() && shown.digest() == link.before.digest();
        match outcome {
            _ if !shown.is_connected() => Ok(()),
            Outcome::Refused if as_before => Ok(()),
            Outcome::Unknown if as_before => Err(Error::OutcomeUnknown("what Coiled shows looks as before".into())),
            Outcome::Unknown | Outcome::Refused if !shown.is_aws_in(&self.prepared.spec.region) => Ok(()),
            _ => coiled.disconnect(&link.workspace, false).await.map(|_| ()),
        }
    }

    /// Half of the undo's time at most is Coiled's: the rest is for the AWS side.
    fn coiled_for_undo(&self, link: &Link) -> Coiled {
        let now = tokio::time::Instant::now();
        let until = now + self.context.deadlines.undo.saturating_duration_since(now) / 2;
        link.coiled.paced(link.coiled.pace().ending(until))
    }

    /// Gives an adopted user its tags back as they were.
    async fn undo_user_marks(&self) -> Result<(), Error> {
        let Some(seen) = &self.prepared.observed.user else { return Ok(()) };
        let there = self.context.iam.known_user(self.user()).await?.tags;
        let (remove, restore) = back_to(&seen.user.tags, &there);
        self.context.iam.untag_user(self.user(), &remove).await?;
        if restore.is_empty() { Ok(()) } else { self.context.iam.tag_user(self.user(), &restore).await }
    }

    /// Gives an adopted policy its tags back as they were.
    async fn undo_policy_marks(&self, kind: Kind) -> Result<(), Error> {
        let (iam, arn) = (&self.context.iam, self.arn(kind));
        let (Some(seen), Some(there)) = (self.prepared.observed.policies.get(&kind), iam.policy_tags(&arn).await?)
        else {
            return Ok(());
        };
        let (remove, restore) = back_to(&seen.tags, &there);
        iam.untag_policy(&arn, &remove).await?;
        if restore.is_empty() { Ok(()) } else { iam.tag_policy(&arn, &restore).await }
    }
}

/// Keys to remove, and then tags to put back, so that `there` is as `before`. Keys count as they are written: `Owner`
/// goes before `owner` comes back.
fn back_to(before: &[Tag], there: &[Tag]) -> (Vec<String>, Vec<Tag>) {
    let remove = there.iter().filter(|tag| !before.iter().any(|other| other.key == tag.key));
    let restore = before.iter().filter(|tag| !there.contains(tag));
    (remove.map(|tag| tag.key.clone()).collect(), restore.cloned().collect())
}
