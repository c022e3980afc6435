//! The lease on the user: its tag, and how a run waits for it, claims it, checks it, ends it and releases it.

use std::time::SystemTime;

use tokio::time::{Instant, sleep};

use super::context::Context;
use super::creation::Creation;
use super::observe::{self, SeenUser};
use super::ownership::Owner;
use crate::deadline::unix;
use crate::error::Error;
use crate::properties::names::UserName;
use crate::tag::{LEASE, Tag, get};

/// The last part of the lease tag if the run is a Delete. Otherwise it is the [`Creation`], if there is one.
const DELETES: &str = "Delete";

/// A lease on the user, held by one run (an invocation for one request) until its deadline.
///
/// IAM tags do not support compare-and-set. [`Context::claim_lease`] acquires a lease without it, and
/// `docs/guarantees.md` describes the remaining race.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    request_id: String,
    /// Distinguishes two deliveries of the same request.
    run: u128,
    /// When the lease ends, in Unix seconds. This is in the past if the run ended and left something for the next run
    /// to clean up.
    until: u64,
    /// Whether the run is a Delete.
    deletes: bool,
    /// When the run creates a key, if it does.
    creation: Option<Creation>,
}

impl Lease {
    /// The longest lease in seconds: Lambda's longest timeout of 15 minutes, plus 1 minute for clock differences.
    const LONGEST: u64 = 16 * 60;

    /// A lease for this run. `until` is in Unix seconds.
    pub(crate) fn new(request_id: &str, until: u64, deletes: bool) -> Self {
        let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        // A tag's value may have 256 characters from a limited set. A real RequestId has 36 characters and is not
        // changed.
        let request_id = request_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        Self { request_id, run, until, deletes, creation: None }
    }

    /// The same lease, with the time at which the run creates a key.
    pub(crate) fn with(&self, creation: Option<Creation>) -> Self {
        Self { creation, ..self.clone() }
    }

    /// When the run creates a key. `None` if it creates none.
    pub(crate) fn creation(&self) -> Option<&Creation> {
        self.creation.as_ref()
    }

    /// Reads the tag. `None` if it is missing or malformed.
    pub fn read(tags: &[Tag]) -> Option<Self> {
        let mut parts = get(tags, LEASE)?.split('/');
        let (request_id, run, until) = (parts.next()?, parts.next()?, parts.next()?);
        let last = parts.next();
        let (deletes, creation) = (last == Some(DELETES), last.and_then(Creation::read));
        let (request_id, run, until) = (request_id.to_owned(), run.parse().ok()?, until.parse().ok()?);
        Some(Self { request_id, run, until, deletes, creation })
    }

    /// Encodes the lease as its tag.
    pub fn tag(&self) -> Tag {
        let creation = self.creation.as_ref().map(Creation::encode);
        let last = self.deletes.then(|| DELETES.to_owned()).or(creation).map(|last| format!("/{last}"));
        Tag::new(LEASE, format!("{}/{}/{}{}", self.request_id, self.run, self.until, last.unwrap_or_default()))
    }

    /// The same lease, marked as expired. The next run does not wait for it, and knows that there may be something to
    /// clean up.
    pub(crate) fn ended(&self) -> Self {
        Self { until: self.until.min(unix(SystemTime::now())), ..self.clone() }
    }

    /// Whether the run may still be working.
    ///
    /// A Lambda invocation takes at most 15 minutes. A lease that ends later than that was not written by a run, so it
    /// is ignored.
    pub(crate) fn is_live(&self) -> bool {
        let now = unix(SystemTime::now());
        (now + 1..=now + Self::LONGEST).contains(&self.until)
    }

    /// Whether the run is a Delete.
    pub(crate) fn deletes(&self) -> bool {
        self.deletes
    }

    /// Whether both leases belong to the same run. They may end at different times.
    pub(crate) fn is_same_run(&self, other: &Lease) -> bool {
        self.request_id == other.request_id && self.run == other.run
    }

    /// The request and the end of the lease, for logs and error texts.
    pub(crate) fn describe(&self) -> String {
        if self.is_live() {
            return format!("request {}, whose lease ends at Unix time {}", self.request_id, self.until);
        }
        format!("request {}, whose lease has expired", self.request_id)
    }
}

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
    /// Delete does this: CloudFormation sends nothing after it.
    pub(crate) async fn take_lease(&self, name: &str, other: Option<Tag>) -> Result<(), Error> {
        self.note_lease();
        self.iam.tag_user(name, &Vec::from_iter(other.into_iter().chain([self.lease.tag()]))).await
    }

    /// Marks `lease`, which is this run's, as expired. The next run does not wait for it, and knows that there may be
    /// something to clean up. The tag is written even if IAM does not show the lease, because that may be a stale read.
    pub(crate) async fn end_lease(&self, name: &str, lease: &Lease) -> Result<(), Error> {
        if !self.may_end_lease(name).await? {
            return Ok(());
        }
        self.iam.tag_user(name, &[lease.ended().tag()]).await
    }

    /// Removes this run's lease from the user, and the tags with these keys. Use it only while this run holds the lease,
    /// and only if there is nothing to clean up.
    pub(crate) async fn release_lease(&self, name: &str, others: &[&str]) -> Result<(), Error> {
        let keys: Vec<String> = [LEASE].iter().chain(others).map(|&key| key.to_owned()).collect();
        self.iam.untag_user(name, &keys).await
    }

    /// Like [`Context::release_lease`], but removes nothing if this run has no lease or another run has taken it.
    pub(crate) async fn release_own_lease(&self, name: &str) -> Result<(), Error> {
        if !self.may_end_lease(name).await? {
            return Ok(());
        }
        self.release_lease(name, &[]).await
    }

    async fn may_end_lease(&self, name: &str) -> Result<bool, Error> {
        if !self.may_have_lease() {
            return Ok(false);
        }
        let Some(user) = self.iam.user(name).await? else { return Ok(false) };
        Ok(self.ownership.owner(&user.tags) == Owner::Ours && self.live_lease_of_another_run(&user.tags).is_none())
    }

    /// The lease that another run of this stack holds on a user with these tags.
    fn live_lease_of_another_run(&self, tags: &[Tag]) -> Option<Lease> {
        let lease = Lease::read(tags).filter(|_| self.ownership.owner(tags) == Owner::Ours)?;
        (lease.is_live() && !lease.is_same_run(&self.lease)).then_some(lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_survives_a_round_trip_through_its_tag() {
        for deletes in [false, true] {
            let lease = Lease::new("aaaa-bbbb", unix(SystemTime::now()) + 60, deletes);
            let read = Lease::read(&[lease.tag()]);
            assert!(lease.is_live() && read.as_ref() == Some(&lease) && lease.deletes() == deletes);
            assert!(!lease.ended().is_live() && lease.ended().is_same_run(&lease));
            assert!(!lease.is_same_run(&Lease::new("aaaa-bbbb", 0, deletes)));
        }
    }

    #[test]
    fn a_lease_says_when_its_run_creates_a_key() {
        let lease = |value: &str| Lease::read(&[Tag::new(LEASE, value)]).unwrap();
        let full = "r/1000000000000/1060/keys 1000 1010 AKIA1";
        assert_eq!(lease(full).tag().value, full);
        assert_eq!(lease(full).ended().creation(), Creation::read("keys 1000 1010 AKIA1").as_ref());
        assert_eq!(lease("r/1000000000000/1060").creation(), None, "an Update may create no key");
        assert_eq!(lease("r/1000000000000/1060/Delete").creation(), None, "a Delete creates nothing");
    }

    #[test]
    fn a_lease_contains_the_time_at_which_the_run_creates_a_key() {
        let creation = Creation::read("keys 1000 1010");
        let lease = Lease::new("r", 1060, false).with(creation.clone());
        assert_eq!(Lease::read(&[lease.tag()]).unwrap().creation(), creation.as_ref());
    }

    #[test]
    fn a_lease_that_ends_later_than_any_invocation_is_not_live() {
        let now = unix(SystemTime::now());
        for (seconds, expected) in [(15 * 60, true), (17 * 60, false)] {
            assert_eq!(Lease::new("r", now + seconds, false).is_live(), expected, "{seconds}");
        }
    }

    #[test]
    fn malformed_lease_tags_are_ignored() {
        for value in ["", "a", "a/b/c", "a/1/", "a/1/-2"] {
            assert_eq!(Lease::read(&[Tag::new(LEASE, value)]), None, "{value}");
        }
    }
}
