//! Making the user this run's: by CreateUser, whose name can be taken once, or by a lease on the one that is there.

use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep};

use super::Run;
use crate::aws::code;
use crate::error::Error;
use crate::iam::adopted::Adopted;
use crate::iam::tags::{Lease, Owner};
use crate::properties::tags::Tag;
use crate::undo::Undo;

impl Run<'_> {
    pub(super) async fn create_user(&self) -> Result<(), Error> {
        let wanted = self.tags_of_new_user();
        let spec = &self.prepared.spec;
        self.journal.note(Undo::User);
        let (iam, until) = (&self.context.iam, Instant::now() + self.context.config.consistency);
        loop {
            let made = iam.create_user(self.user(), spec.path.as_str(), spec.boundary.as_deref(), &wanted).await;
            match made {
                Err(error) if code(&error) == Some("EntityAlreadyExists") => {}
                other => return other,
            }
            if self.is_made_by_this_run().await? {
                return Ok(());
            }
            let what = format!("user {} (its name may differ in case, which IAM ignores)", self.user());
            self.wait_for_name(what, until).await?;
        }
    }

    /// A name that is taken by nothing that IAM shows: it was given up a moment ago and will be free, or somebody holds
    /// it in another case or under another path, and it never will.
    pub(super) async fn wait_for_name(&self, what: String, until: Instant) -> Result<(), Error> {
        if Instant::now() + self.context.config.poll > until {
            return Err(Error::Foreign { what });
        }
        tracing::info!(what, "the name seems to be taken, by nothing that can be seen; asked again");
        sleep(self.context.config.poll).await;
        Ok(())
    }

    fn tags_of_new_user(&self) -> Vec<Tag> {
        let workspace = self.prepared.link.as_ref().map(|link| link.workspace.as_str());
        let mut tags = self.context.ownership.for_user(&self.prepared.spec, workspace);
        tags.push(self.context.lease_tag());
        tags
    }

    /// EntityAlreadyExists after a look that found nothing: the reply to our own attempt was lost, and the user carries
    /// this run's lease; or another run was faster; or it is somebody else's. `false` where IAM shows no such user.
    async fn is_made_by_this_run(&self) -> Result<bool, Error> {
        let Some(found) = self.context.iam.user(self.user()).await? else { return Ok(false) };
        if Lease::read(&found.tags).is_some_and(|lease| lease.is_same_run(&self.context.lease)) {
            return Ok(true);
        }
        if self.context.ownership.owner(&found.tags) == Owner::Ours {
            return Err(self.overtaken_by("it made the user at this moment".into()));
        }
        Err(Error::Foreign { what: found.whose() })
    }

    pub(super) async fn adopt_user(&self) -> Result<(), Error> {
        self.journal.note(Undo::UserTags);
        let mut tags = self.tags_of_new_user();
        tags.push(Adopted::of(&self.prepared.observed).tag());
        tracing::warn!(user = self.user(), "the user that `coiled setup aws` made becomes this stack's");
        self.claim(&tags).await
    }

    /// Puts this run's lease on a user that is there, and sees whether it stays.
    ///
    /// Tags know no compare-and-set. So whoever finds no lease writes its own, waits longer than another run takes from that
    /// look to its write, and looks again: of two that wrote, the last one finds its own (Fischer's algorithm).
    pub(super) async fn claim(&self, tags: &[Tag]) -> Result<(), Error> {
        let (context, name) = (self.context, self.user());
        let seen = context.iam.user(name).await?;
        if let Some(lease) = seen.and_then(|user| context.live_lease_of_another_run(&user.tags)) {
            return Err(self.overtaken_by(lease.describe()));
        }
        context.iam.tag_user(name, tags).await?;
        sleep(context.config.lease_settle).await;
        match context.holds_lease(name).await {
            Err(Error::Busy(by)) => Err(self.overtaken_by(by)),
            other => other,
        }
    }

    fn overtaken_by(&self, run: String) -> Error {
        self.overtaken.store(true, Ordering::SeqCst);
        Error::Busy(run)
    }
}
