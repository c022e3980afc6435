//! The lease on the user, and its tag.

use std::time::SystemTime;

use super::key_time::KeyTime;
use crate::deadline::unix;
use crate::tag::{LEASE, Tag, get};

/// The fourth part of the lease tag if the run is a Delete. The [`KeyTime`] is the last part, if there is one.
const DELETES: &str = "Delete";

/// A lease on the user, held by one run (an invocation for one request) until its deadline.
///
/// IAM tags do not support compare-and-set. [`crate::resource::leasing`] acquires a lease without it, and
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
    /// When the run creates a key, if it does. A Delete creates none, but keeps that of the run before it: if the Delete
    /// fails, the next one must still recognize the key of that run.
    key_time: Option<KeyTime>,
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
        Self { request_id, run, until, deletes, key_time: None }
    }

    /// The same lease, with the time at which the run creates a key.
    pub(crate) fn with(&self, key_time: Option<KeyTime>) -> Self {
        Self { key_time, ..self.clone() }
    }

    /// When the run creates a key. `None` if it creates none.
    pub(crate) fn key_time(&self) -> Option<&KeyTime> {
        self.key_time.as_ref()
    }

    /// Reads the tag. `None` if it is missing or malformed.
    pub fn read(tags: &[Tag]) -> Option<Self> {
        let mut parts = get(tags, LEASE)?.split('/');
        let (request_id, run, until) = (parts.next()?, parts.next()?, parts.next()?);
        let rest: Vec<&str> = parts.collect();
        let (deletes, key_time) = (rest.first() == Some(&DELETES), rest.last().and_then(|last| KeyTime::read(last)));
        let (request_id, run, until) = (request_id.to_owned(), run.parse().ok()?, until.parse().ok()?);
        Some(Self { request_id, run, until, deletes, key_time })
    }

    /// Encodes the lease as its tag.
    pub fn tag(&self) -> Tag {
        let first = format!("{}/{}/{}", self.request_id, self.run, self.until);
        let deletes = self.deletes.then(|| DELETES.to_owned());
        let parts = [Some(first), deletes, self.key_time.as_ref().map(KeyTime::encode)];
        Tag::new(LEASE, parts.into_iter().flatten().collect::<Vec<_>>().join("/"))
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
        assert_eq!(lease(full).ended().key_time(), KeyTime::read("keys 1000 1010 AKIA1").as_ref());
        assert_eq!(lease("r/1000000000000/1060").key_time(), None, "an Update may create no key");
        assert_eq!(lease("r/1000000000000/1060/Delete").key_time(), None, "a Delete creates nothing");
        let kept = "r/1000000000000/1060/Delete/keys 1000 1010 AKIA1";
        assert!(lease(kept).deletes() && lease(kept).tag().value == kept);
        assert_eq!(lease(kept).key_time(), lease(full).key_time(), "a Delete keeps what it found");
    }

    #[test]
    fn a_lease_contains_the_time_at_which_the_run_creates_a_key() {
        let key_time = KeyTime::read("keys 1000 1010");
        let lease = Lease::new("r", 1060, false).with(key_time.clone());
        assert_eq!(Lease::read(&[lease.tag()]).unwrap().key_time(), key_time.as_ref());
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
