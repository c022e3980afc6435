//! The time in which a run sends CreateAccessKey. It shows which keys the run may have created.
//!
//! Only the response to CreateAccessKey contains the ID of the new key. If Lambda kills the run or the response is
//! lost, nobody knows the ID. So the run writes this time into its lease before the call. The creation date that IAM
//! shows for a key then shows whether the run may have created that key.

use std::time::{Duration, SystemTime};

use crate::aws::iam::keys::Key;
use crate::deadline::unix;

/// The time in which a run sends CreateAccessKey. It is the last part of the lease tag, because IAM's limit of 50 tags
/// leaves no room for a separate tag.
///
/// Its text has the form `keys 1764028800 1764028810 AKIA1`. With a real RequestId, even the lease tag of a
/// Delete has room for seven IDs in its 256 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyTime {
    /// Unix seconds.
    from: u64,
    /// Unix seconds. Every attempt begins before this time.
    until: u64,
    /// The IDs of keys whose creation date is in this time, but that existed before the run.
    others: Vec<String>,
}

impl KeyTime {
    /// In seconds: how far the clocks of Lambda and IAM may differ. IAM rounds the date of a key down to a second.
    const CLOCKS: i64 = 2;
    /// In seconds: the timeout of an attempt, see [`crate::aws::shared`]. Until then, IAM may still create the key.
    const ATTEMPT: i64 = 10;

    /// A run that sends CreateAccessKey within `time` from now.
    ///
    /// `keys` are the user's keys, and `unexplained` are the IDs of those that the run of `earlier` may have created.
    /// This run's lease replaces the earlier one, so it covers those keys too. Otherwise nothing would explain them if
    /// this run were killed as well.
    pub(crate) fn begin(time: Duration, keys: &[Key], earlier: Option<&Self>, unexplained: &[String]) -> Self {
        let now = unix(SystemTime::now());
        let from = earlier.filter(|_| !unexplained.is_empty()).map_or(now, |earlier| earlier.from.min(now));
        let key_time = Self { from, until: now + time.as_secs(), others: Vec::new() };
        let others = keys.iter().filter(|key| key_time.covers(key) && !unexplained.contains(&key.id));
        Self { others: others.map(|key| key.id.clone()).collect(), ..key_time }
    }

    /// A copy that allows further attempts within `time` from now. With `all`, it still covers the earlier attempts,
    /// because one of them may have created a key.
    pub(crate) fn renewed(&self, time: Duration, all: bool) -> Self {
        let now = unix(SystemTime::now());
        Self { from: if all { self.from } else { now }, until: now + time.as_secs(), ..self.clone() }
    }

    /// Whether an attempt may begin now.
    pub(crate) fn allows_attempt(&self) -> bool {
        unix(SystemTime::now()) < self.until
    }

    /// Whether the run may have created this key.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        let seconds = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        let first = seconds(self.from).saturating_sub(Self::CLOCKS);
        let last = seconds(self.until).saturating_add(Self::ATTEMPT + Self::CLOCKS);
        key.created.is_some_and(|created| (first..=last).contains(&created)) && !self.others.contains(&key.id)
    }

    /// Encodes it as the last part of the lease tag.
    pub(crate) fn encode(&self) -> String {
        let numbers = [self.from, self.until].map(|number| number.to_string());
        let words = ["keys"].into_iter().chain(numbers.iter().map(String::as_str));
        words.chain(self.others.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// Reads the last part of the lease tag. `None` if it is malformed.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (Some("keys"), Some(from), Some(until)) = (words.next(), words.next(), words.next()) else { return None };
        let others = words.map(str::to_owned).collect();
        Some(Self { from: from.parse().ok()?, until: until.parse().ok()?, others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::iam::keys::LastUse;

    fn key(id: &str, created: u64) -> Key {
        Key { id: id.into(), active: true, created: i64::try_from(created).ok(), last_use: LastUse::Unknown }
    }

    #[test]
    fn a_key_time_survives_a_round_trip_through_its_text() {
        for text in ["keys 1000 1010", "keys 1000 1010 AKIA1 AKIA2"] {
            assert_eq!(KeyTime::read(text).unwrap().encode(), text);
        }
        for malformed in ["", "Delete", "keys", "keys 1000", "keys 1000 soon", "key 1000 1010"] {
            assert_eq!(KeyTime::read(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_run_may_have_created_a_key_only_in_its_time() {
        let key_time = KeyTime::read("keys 1000 1010 AKIAOTHER").unwrap();
        for (created, expected) in [(997, false), (998, true), (1000, true), (1010, true), (1022, true), (1023, false)]
        {
            assert_eq!(key_time.covers(&key("AKIA1", created)), expected, "{created}");
        }
        assert!(!key_time.covers(&key("AKIAOTHER", 1005)), "it existed before the run");
        assert!(!key_time.covers(&Key { created: None, ..key("AKIA1", 1005) }));
    }

    #[test]
    fn a_run_covers_keys_until_its_time_is_over() {
        let (time, now) = (Duration::from_secs(100), unix(SystemTime::now()));
        let old = KeyTime::read(&format!("keys {} {}", now - 100, now - 90)).unwrap();
        for key_time in [KeyTime::begin(time, &[], None, &[]), old.renewed(time, false)] {
            assert!(key_time.covers(&key("AKIA1", now + 100)) && !key_time.covers(&key("AKIA1", now + 120)));
        }
    }

    #[test]
    fn the_run_did_not_create_a_key_that_existed_before_it() {
        let (time, now) = (Duration::from_secs(10), unix(SystemTime::now()));
        let keys = [key("AKIAOLD", now - 60), key("AKIANEW", now)];
        let key_time = KeyTime::begin(time, &keys, None, &[]);
        assert!(keys.iter().all(|key| !key_time.covers(key)) && key_time.covers(&key("AKIA1", now)));
        assert_eq!(key_time.others, ["AKIANEW"], "the date alone excludes the older key");
    }

    #[test]
    fn a_run_covers_the_keys_that_the_run_before_it_may_have_created() {
        let (time, now) = (Duration::from_secs(10), unix(SystemTime::now()));
        let earlier = KeyTime::read(&format!("keys {} {}", now - 300, now - 290)).unwrap();
        let keys = [key("AKIASTRAY", now - 299), key("AKIAPERSON", now - 60)];
        let key_time = KeyTime::begin(time, &keys, Some(&earlier), &["AKIASTRAY".to_owned()]);
        assert_eq!([true, false], [0, 1].map(|n: usize| key_time.covers(&keys[n])));
        let without = KeyTime::begin(time, &keys, Some(&earlier), &[]);
        assert!(keys.iter().all(|key| !without.covers(key)));
    }

    #[test]
    fn further_attempts_extend_the_time_only_if_an_earlier_one_may_have_created_a_key() {
        let (time, now) = (Duration::from_secs(10), unix(SystemTime::now()));
        let old = KeyTime::read(&format!("keys {} {}", now - 100, now - 90)).unwrap();
        assert!(!old.allows_attempt() && old.renewed(time, false).allows_attempt());
        for all in [false, true] {
            let renewed = old.renewed(time, all);
            assert!(renewed.covers(&key("AKIA1", now)));
            assert_eq!(renewed.covers(&key("AKIA1", now - 100)), all);
        }
    }
}
