//! Tracks the users and policies of an account from the calls of the test. The layer therefore need not query moto for
//! each rule.

use std::collections::{BTreeMap, BTreeSet};

use super::call::AwsCall;
use super::tags::tags;

/// The users and policies of one account, reduced to what the layer's rules use.
#[derive(Default)]
pub(super) struct Seen {
    users: BTreeMap<String, User>,
    policies: BTreeSet<String>,
}

#[derive(Default)]
struct User {
    path: String,
    tags: BTreeSet<String>,
    attached: BTreeSet<String>,
}

impl Seen {
    /// Whether a user or a policy with the same name exists, ignoring case.
    pub(super) fn is_taken(&self, call: &AwsCall) -> bool {
        let same = |name: &String, other: &str| name.eq_ignore_ascii_case(other);
        match call.action.as_str() {
            "CreateUser" => self.users.keys().any(|name| same(name, call.param("UserName"))),
            _ => self.policies.iter().any(|name| same(name, call.param("PolicyName"))),
        }
    }

    /// The keys of a user's tags.
    pub(super) fn tags(&self, user: &str) -> Vec<String> {
        self.users.get(user).into_iter().flat_map(|user| user.tags.iter().cloned()).collect()
    }

    /// The path of a user, or `None` if the user does not exist.
    pub(super) fn path(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(|user| user.path.as_str())
    }

    /// The ARNs of the policies attached to a user.
    pub(super) fn attached(&self, user: &str) -> Vec<String> {
        self.users.get(user).into_iter().flat_map(|user| user.attached.iter().cloned()).collect()
    }

    /// Removes a tag key that another spelling replaces.
    pub(super) fn forget_tag(&mut self, user: &str, key: &str) {
        if let Some(user) = self.users.get_mut(user) {
            user.tags.remove(key);
        }
    }

    /// Applies the effect of a successful call.
    pub(super) fn note(&mut self, call: &AwsCall) {
        let (name, arn) = (call.param("UserName"), call.param("PolicyArn"));
        match call.action.as_str() {
            "CreatePolicy" => drop(self.policies.insert(call.param("PolicyName").to_owned())),
            "DeletePolicy" => drop(self.policies.remove(arn.rsplit('/').next().unwrap_or_default())),
            "DeleteUser" => drop(self.users.remove(name)),
            "CreateUser" | "TagUser" | "UntagUser" | "AttachUserPolicy" | "DetachUserPolicy" => {
                self.users.entry(name.to_owned()).or_default().note(call, arn);
            }
            _ => {}
        }
    }
}

impl User {
    fn note(&mut self, call: &AwsCall, arn: &str) {
        match call.action.as_str() {
            "CreateUser" => {
                self.path = call.params.get("Path").map_or("/", String::as_str).to_owned();
                self.tags = tags(call).into_iter().map(|(key, _)| key.to_owned()).collect();
            }
            "AttachUserPolicy" => drop(self.attached.insert(arn.to_owned())),
            "DetachUserPolicy" => drop(self.attached.remove(arn)),
            _ => self.tags.extend(tags(call).into_iter().map(|(key, _)| key.to_owned())),
        }
        for (_, key) in call.params.iter().filter(|(name, _)| name.starts_with("TagKeys.")) {
            self.tags.retain(|old| !old.eq_ignore_ascii_case(key));
        }
    }
}
