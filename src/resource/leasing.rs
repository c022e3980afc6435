//! How a run waits for the lease, claims it, checks it, ends it and releases it.

use tokio::time::{Instant, sleep};

use super::context::Context;
use super::lease::Lease;
use super::observe::{self, SeenUser};
use super::ownership::Owner;
use crate::aws::iam::user::User;
use crate::error::Error;
use crate::properties::names::UserName;
use crate::tag::{LEASE, Tag};

impl Context<'_> {
    /// Reads the user. If another run of this stack holds the lease, waits until it releases the lease or the lease
    /// expires.
    pub(crate) async fn user_at_rest(&self, name: &UserName) -> Result<Option<SeenUser>, Error> {
        let before = self.current_step();
        loop {
            let seen = observe::user(&self.iam, &self.ownership, name).await?;
            let lease = seen.as_ref().and_then(|seen| self.live_lease_of_another_run(&seen.user.tags));
            let Some(lease) = lease else {
                self.enter(before);
                return Ok(seen);
            };
            // CloudFormation is already deleting the resource, so this event is late. Nothing would ever delete the
            // resources that this run creates.
            if lease.deletes() && !self.lease.deletes() {
                return Err(Error::Busy(format!("a Delete, {}", lease.describe())));
            }
            if Instant::now() + self.config.poll >= self.work_until() {
                return Err(Error::Busy(lease.describe()));
            }
            tracing::info!(lease = %lease.describe(), "another run is working on this user; waiting until it ends");
            // If the deadline ends the wait, the status reason names the other run.
            self.enter(format!("wait for another run ({})", lease.describe()));
            sleep(self.config.poll).await;
        }
    }

    /// Checks that this run holds the lease. Retries while IAM may still show the tags from before the lease was
    /// written.
    pub(crate) async fn holds_lease(&self, name: &str) -> Result<(), Error> {
        let until = Instant::now() + self.config.consistency;
        loop {
            if self.shows_lease(&self.iam.known_user(name).await?.tags, until)? {
                return Ok(());
            }
            sleep(self.config.poll).await;
        }
    }

    /// Whether these tags show this run's lease. Fails if another run has taken the lease, or if the tags should show
    /// it by now.
    pub(crate) fn shows_lease(&self, tags: &[Tag], until: Instant) -> Result<bool, Error> {
        let lease = Lease::read(tags);
        let is_mine = lease.as_ref().is_some_and(|lease| lease.is_same_run(&self.lease));
        if is_mine && self.ownership.owner(tags) == Owner::Ours {
            return Ok(true);
        }
        let is_taken = !is_mine && lease.as_ref().is_some_and(Lease::is_live);
        if is_taken || Instant::now() + self.config.poll > until {
            let removed = || "this run's lease was removed".to_owned();
            return Err(Error::Busy(lease.map_or_else(removed, |lease| lease.describe())));
        }
        Ok(false)
    }

    /// Whether the user belongs to this stack and no other run has taken the lease.
    pub(crate) async fn is_mine(&self, name: &str) -> Result<bool, Error> {
        let Some(user) = self.iam.user(name).await? else { return Ok(false) };
        let lease = Lease::read(&user.tags);
        Ok(self.ownership.owner(&user.tags) == Owner::Ours && lease.is_none_or(|lease| lease.is_same_run(&self.lease)))
    }

    /// Puts this run's lease on an existing user, together with other tags, and checks that no other run overwrites it.
    ///
    /// Tags do not support compare-and-set. A run that finds no lease writes its own, waits longer than another run
    /// needs between its read and its write, and reads again. If two runs write, only the last one finds its own lease
    /// (Fischer's algorithm).
    ///
    /// # Errors
    /// [`Error::Busy`] if another run has the lease. This run has then not changed anything.
    pub(crate) async fn claim_lease(&self, name: &str, tags: &[Tag]) -> Result<(), Error> {
        let seen = self.iam.user(name).await?;
        if let Some(lease) = seen.and_then(|user| self.live_lease_of_another_run(&user.tags)) {
            return Err(Error::Busy(lease.describe()));
        }
        self.iam.tag_user(name, tags).await?;
        sleep(self.config.lease_settle).await;
        self.holds_lease(name).await
    }

    /// Puts this run's lease on the user, together with another tag, without looking for the lease of another run. Only a
    /// Delete does this: CloudFormation sends nothing after it. `before` is the lease that it replaces.
    pub(crate) async fn take_lease(&self, name: &str, before: Option<&Lease>, other: Option<Tag>) -> Result<(), Error> {
        self.note_lease();
        let lease = self.lease.with(before.and_then(Lease::key_time).cloned());
        self.iam.tag_user(name, &Vec::from_iter(other.into_iter().chain([lease.tag()]))).await
    }

    /// Marks `lease`, which is this run's, as expired. The next run does not wait for it, and knows that there may be
    /// something to clean up. The tag is written even if IAM does not show the lease, because that may be a stale read.
    pub(crate) async fn end_lease(&self, name: &str, lease: &Lease) -> Result<(), Error> {
        let Some(user) = self.user_to_release(name).await? else { return Ok(()) };
        let shown = Lease::read(&user.tags).and_then(|shown| shown.key_time().cloned());
        let key_time = if lease.deletes() { shown } else { lease.key_time().cloned() };
        self.iam.tag_user(name, &[lease.with(key_time).ended().tag()]).await
    }

    /// Removes this run's lease from the user, and the tags with these keys. Use it only while this run holds the lease,
    /// and only if there is nothing to clean up.
    pub(crate) async fn release_lease(&self, name: &str, others: &[&str]) -> Result<(), Error> {
        let keys: Vec<String> = [LEASE].iter().chain(others).map(|&key| key.to_owned()).collect();
        self.iam.untag_user(name, &keys).await
    }

    /// Like [`Context::release_lease`], but removes nothing if this run has no lease or another run has taken it.
    pub(crate) async fn release_own_lease(&self, name: &str) -> Result<(), Error> {
        match self.user_to_release(name).await? {
            Some(_) => self.release_lease(name, &[]).await,
            None => Ok(()),
        }
    }

    /// The user, if this run may have a lease on it and no other run has taken it.
    async fn user_to_release(&self, name: &str) -> Result<Option<User>, Error> {
        if !self.may_have_lease() {
            return Ok(None);
        }
        let is_mine = |user: &User| {
            self.ownership.owner(&user.tags) == Owner::Ours && self.live_lease_of_another_run(&user.tags).is_none()
        };
        Ok(self.iam.user(name).await?.filter(is_mine))
    }

    /// The lease that another run of this stack holds on a user with these tags.
    fn live_lease_of_another_run(&self, tags: &[Tag]) -> Option<Lease> {
        let lease = Lease::read(tags).filter(|_| self.ownership.owner(tags) == Owner::Ours)?;
        (lease.is_live() && !lease.is_same_run(&self.lease)).then_some(lease)
    }
}
