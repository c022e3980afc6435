//! Tags of users, whose keys ignore case on AWS and not in moto.
//!
//! By "Rules for tagging in IAM and AWS STS" of the IAM user guide that holds for users and roles; in a policy `Owner` and
//! `owner` are two tags. moto ignores case just there, and has room for one only: what the function does about that is
//! tested where it plans.

use super::Shared;
use super::call::AwsCall;
use super::limits::exceeded;
use super::reply::Reply;
use crate::support::locked;

/// A user has this many at most.
const LIMIT: usize = 50;

impl Shared {
    /// TagUser and UntagUser: a tag is the same in any spelling, and there are not more than fifty.
    pub(super) async fn user_tags(&self, call: &AwsCall) -> Option<Reply> {
        let user = call.param("UserName");
        let there = locked(&self.facts).seen.tags(user);
        if let Some(refusal) = duplicates(call).or_else(|| too_many(call, &there)) {
            return Some(refusal);
        }
        // `Owner` takes the place of `owner`, and UntagUser finds it by either name.
        let named = named_keys(call);
        let is_meant = |old: &String| named.iter().any(|key| key.eq_ignore_ascii_case(old) && key != old);
        let meant: Vec<String> = there.into_iter().filter(is_meant).collect();
        for old in meant {
            self.look("UntagUser", &[("UserName", user), ("TagKeys.member.1", &old)]).await;
            locked(&self.facts).seen.forget_tag(user, &old);
        }
        None
    }
}

/// Refuses `Owner` beside `owner` in one call.
pub(super) fn duplicates(call: &AwsCall) -> Option<Reply> {
    let mut keys: Vec<String> = tags(call).into_iter().map(|(key, _)| key.to_lowercase()).collect();
    let before = keys.len();
    keys.sort();
    keys.dedup();
    (keys.len() < before).then(|| Reply::error(call, 400, "InvalidInput", "Duplicate tag keys found."))
}

fn too_many(call: &AwsCall, there: &[String]) -> Option<Reply> {
    let is_new = |key: &str| !there.iter().any(|old| old.eq_ignore_ascii_case(key));
    let new = tags(call).into_iter().filter(|(key, _)| is_new(key)).count();
    (new > 0 && there.len() + new > LIMIT).then(|| exceeded(call, "TagsPerUser", LIMIT))
}

/// The tags that a call brings, as key and value.
pub(super) fn tags(call: &AwsCall) -> Vec<(&str, &str)> {
    let numbers = call.params.keys().filter_map(|name| name.strip_prefix("Tags.member.")?.strip_suffix(".Key"));
    let part = |number: &str, part: &str| call.param(&format!("Tags.member.{number}.{part}"));
    numbers.map(|number| (part(number, "Key"), part(number, "Value"))).collect()
}

/// The keys that TagUser or UntagUser is about.
fn named_keys(call: &AwsCall) -> Vec<&str> {
    let removed = call.params.iter().filter(|(name, _)| name.starts_with("TagKeys."));
    tags(call).into_iter().map(|(key, _)| key).chain(removed.map(|(_, key)| key.as_str())).collect()
}
