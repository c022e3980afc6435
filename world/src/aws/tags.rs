//! The tags of users. Their keys ignore case in AWS, but not in moto.
//!
//! "Rules for tagging in IAM and AWS STS" in the IAM user guide applies this to users and roles. On a policy, `Owner`
//! and `owner` are two tags. moto ignores case only on policies and keeps only one of the two. Unit tests of the
//! function's plan cover that case.

use super::Shared;
use super::call::AwsCall;
use super::limits::exceeded;
use super::reply::Reply;
use crate::locked;

/// The maximum number of tags on a user.
const LIMIT: usize = 50;

impl Shared {
    /// TagUser and UntagUser with keys that ignore case and with the limit of 50 tags.
    pub(super) async fn user_tags(&self, call: &AwsCall) -> Option<Reply> {
        let user = call.param("UserName");
        let there = locked(&self.facts).seen.tags(user);
        if let Some(rejection) = duplicates(call).or_else(|| too_many(call, &there)) {
            return Some(rejection);
        }
        // TagUser with `Owner` replaces the tag `owner`, and UntagUser removes the tag by either spelling.
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

/// Rejects `Owner` next to `owner` in one call.
pub(super) fn duplicates(call: &AwsCall) -> Option<Reply> {
    let mut keys: Vec<String> = tags(call).into_iter().map(|(key, _)| key.to_lowercase()).collect();
    let before = keys.len();
    keys.sort();
    keys.dedup();
    let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
    (keys.len() < before).then(|| Reply::error(call, 400, "InvalidInput", message))
}

fn too_many(call: &AwsCall, there: &[String]) -> Option<Reply> {
    let is_new = |key: &str| !there.iter().any(|old| old.eq_ignore_ascii_case(key));
    let new = tags(call).into_iter().filter(|(key, _)| is_new(key)).count();
    (new > 0 && there.len() + new > LIMIT).then(|| exceeded(call, "TagsPerUser", LIMIT))
}

/// The tags in a call, as pairs of key and value.
pub(super) fn tags(call: &AwsCall) -> Vec<(&str, &str)> {
    let numbers = call.params.keys().filter_map(|name| name.strip_prefix("Tags.member.")?.strip_suffix(".Key"));
    let part = |number: &str, part: &str| call.param(&format!("Tags.member.{number}.{part}"));
    numbers.map(|number| (part(number, "Key"), part(number, "Value"))).collect()
}

/// The tag keys in a TagUser or UntagUser call.
fn named_keys(call: &AwsCall) -> Vec<&str> {
    let removed = call.params.iter().filter(|(name, _)| name.starts_with("TagKeys."));
    tags(call).into_iter().map(|(key, _)| key).chain(removed.map(|(_, key)| key.as_str())).collect()
}
