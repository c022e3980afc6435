//! Takes the user for this run: creates it, which succeeds only once, or writes its tags together with the lease.

use tokio::time::{Instant, sleep};

use crate::aws::code;
use crate::error::Error;
use crate::reconcile::run::Run;
use crate::resource::adopted::Adopted;
use crate::resource::lease::Lease;
use crate::resource::ownership::Owner;
use crate::tag::Tag;

impl Run<'_> {
    pub(super) async fn create_user(&self) -> Result<(), Error> {
        let wanted = self.tags_of_new_user();
        let spec = &self.prepared.spec;
        let (iam, until) = (&self.context.iam, Instant::now() + self.context.config.consistency);
        loop {
            let created = iam.create_user(self.user(), spec.path.as_str(), spec.boundary.as_deref(), &wanted).await;
            match created {
                Err(error) if code(&error) == Some("EntityAlreadyExists") => {}
                other => return other,
            }
            if self.user_was_created_by_this_run().await? {
                return Ok(());
            }
            let what = format!("user {} (its name may differ in case, which IAM ignores)", self.user());
            self.wait_for_name(what, until).await?;
        }
    }

    /// Waits after IAM reports that the name exists but does not show such a resource. Either the resource was just
    /// deleted and the name will become free, or the name exists in another case or under another path and will never
    /// become free.
    pub(super) async fn wait_for_name(&self, what: String, until: Instant) -> Result<(), Error> {
        if Instant::now() + self.context.config.poll > until {
            return Err(Error::Foreign { what });
        }
        tracing::info!(what, "IAM reports that the name exists, but shows no such resource; retrying");
        sleep(self.context.config.poll).await;
        Ok(())
    }

    fn tags_of_new_user(&self) -> Vec<Tag> {
        let workspace = self.prepared.key.link().map(|link| link.workspace.as_str());
        let mut tags = self.context.ownership.for_user(&self.prepared.spec, workspace);
        tags.push(self.lease().tag());
        tags
    }

    /// Finds out who created the user after EntityAlreadyExists. If the user has this run's lease, the response to an
    /// earlier attempt was lost. Returns `false` if IAM does not show the user.
    async fn user_was_created_by_this_run(&self) -> Result<bool, Error> {
        let Some(found) = self.context.iam.user(self.user()).await? else { return Ok(false) };
        if Lease::read(&found.tags).is_some_and(|lease| lease.is_same_run(&self.context.lease)) {
            return Ok(true);
        }
        if self.context.ownership.owner(&found.tags) == Owner::Ours {
            return Err(Error::Busy("it has just created the user".into()));
        }
        Err(Error::Foreign { what: found.whose() })
    }

    /// The tags belong to the stack, so they are kept even if the Update fails.
    pub(super) async fn reclaim_user(&self) -> Result<(), Error> {
        tracing::warn!(user = self.user(), "restoring the ownership tags that a person removed");
        self.context.claim_lease(self.user(), &self.tags_of_new_user()).await
    }

    pub(super) async fn adopt_user(&self) -> Result<(), Error> {
        let mut tags = self.tags_of_new_user();
        tags.push(Adopted::of(&self.prepared.observed).tag());
        tracing::warn!(user = self.user(), "adopting a user that `coiled setup aws` created");
        self.context.claim_lease(self.user(), &tags).await
    }
}
