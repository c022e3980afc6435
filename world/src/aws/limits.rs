//! IAM quotas and value patterns that moto does not check. The sources are "IAM and AWS STS quotas" in the IAM user
//! guide and the IAM API reference.
//!
//! The limit on tags is in `tags.rs`. moto itself limits a user to two access keys and a policy to five versions.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::Shared;
use super::call::AwsCall;
use super::reply::Reply;
use super::tags::tags;
use crate::locked;

const ATTACHED_POLICIES: usize = 10;
const POLICY_SIZE: usize = 6144;

impl Shared {
    /// Rejects malformed values, exceeded quotas and boundaries that do not exist.
    pub(super) fn beyond_limits(&self, call: &AwsCall) -> Option<Reply> {
        if let Some(what) = malformed(call) {
            return Some(Reply::error(call, 400, "ValidationError", &format!("1 validation error detected: {what}")));
        }
        match call.action.as_str() {
            "CreateUser" | "PutUserPermissionsBoundary" => self.missing_boundary(call),
            "AttachUserPolicy" => self.too_many_policies(call),
            "CreatePolicy" | "CreatePolicyVersion" => too_long(call),
            _ => None,
        }
    }

    fn missing_boundary(&self, call: &AwsCall) -> Option<Reply> {
        let arn = call.param("PermissionsBoundary");
        // AWS managed policies exist in every account. moto has them too, but it loads them slowly.
        if arn.is_empty() || arn.contains("::aws:policy/") {
            return None;
        }
        let message = format!("Scope ARN: {arn} does not exist or is not attachable.");
        (!locked(&self.facts).seen.has_policy(arn)).then(|| Reply::error(call, 404, "NoSuchEntity", &message))
    }

    fn too_many_policies(&self, call: &AwsCall) -> Option<Reply> {
        let there = locked(&self.facts).seen.attached(call.param("UserName"));
        let is_new = !there.iter().any(|arn| arn == call.param("PolicyArn"));
        (is_new && there.len() >= ATTACHED_POLICIES).then(|| exceeded(call, "PoliciesPerUser", ATTACHED_POLICIES))
    }
}

/// IAM does not count white space.
fn too_long(call: &AwsCall) -> Option<Reply> {
    let size = call.param("PolicyDocument").chars().filter(|c| !c.is_whitespace()).count();
    (size > POLICY_SIZE).then(|| exceeded(call, "PolicySize", POLICY_SIZE))
}

pub(super) fn exceeded(call: &AwsCall, quota: &str, limit: usize) -> Reply {
    Reply::error(call, 409, "LimitExceeded", &format!("Cannot exceed quota for {quota}: {limit}"))
}

/// The first parameter with a malformed value.
fn malformed(call: &AwsCall) -> Option<String> {
    let new_name = match call.action.as_str() {
        "CreateUser" => Some(("UserName", 64)),
        "CreatePolicy" => Some(("PolicyName", 128)),
        _ => None,
    };
    let name = new_name.filter(|(name, longest)| !is_name(call.param(name), *longest)).map(|(name, _)| name.to_owned());
    let is_path = if call.action == "CreatePolicy" { is_policy_path } else { is_path };
    let path = call.params.get("Path").filter(|path| !is_path(path)).map(|_| "path".to_owned());
    let tag = tags(call).into_iter().find(|(key, value)| !is_tag(key, value)).map(|(key, _)| format!("tag {key}"));
    name.or(path).or(tag)
}

fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

fn is_path(path: &str) -> bool {
    path.len() <= 512 && path.starts_with('/') && path.ends_with('/') && path.chars().all(|c| c.is_ascii_graphic())
}

/// IAM's type policyPathType: `((/[A-Za-z0-9\.,\+@=_-]+)*)/`.
fn is_policy_path(path: &str) -> bool {
    let names = path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    is_path(path) && (path == "/" || names.is_some_and(|names| names.split('/').all(|name| is_name(name, 512))))
}

/// IAM's type tagValueType: `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`. Combining marks, which some scripts need, are not letters.
fn is_tag(key: &str, value: &str) -> bool {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_mark = |c: char| GeneralCategoryGroup::Mark.contains(categories.get(c));
    let is_symbol = |c: char| GeneralCategoryGroup::Symbol.contains(categories.get(c));
    let is_word = |c: char| c.is_alphanumeric() && !is_mark(c) && !is_symbol(c);
    let is_separator = |c: char| GeneralCategoryGroup::Separator.contains(categories.get(c));
    let is_text = |text: &str| text.chars().all(|c| is_word(c) || is_separator(c) || "_.:/=+-@".contains(c));
    let length = |text: &str| text.chars().count();
    (1..=128).contains(&length(key))
        && length(value) <= 256
        && is_text(key)
        && is_text(value)
        && !key.starts_with("aws:")
}
