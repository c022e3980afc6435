//! Tracks the users, roles and policies of an account from the calls of the test. The layer therefore need not query moto for
//! each rule.

use std::collections::{BTreeMap, BTreeSet};

use super::call::AwsCall;
use super::tags::tags;

/// The users, roles and policies of one account, reduced to what the layer's rules use.
#[derive(Default)]
pub(super) struct Seen {
    users: BTreeMap<String, User>,
    roles: BTreeSet<String>,
    /// Each with its path, such as `/team/coiled-setup`.
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
        match call.action.as_str() {
            "CreateUser" => self.users.keys().any(|name| name.eq_ignore_ascii_case(call.param("UserName"))),
            _ => self.policies.iter().any(|policy| name_of(policy).eq_ignore_ascii_case(call.param("PolicyName"))),
        }
    }

    /// Whether a policy with this ARN exists. It does not look for AWS's own policies.
    pub(super) fn has_policy(&self, arn: &str) -> bool {
        self.policies.contains(path_and_name(arn))
    }

    /// The names of the roles.
    pub(super) fn roles(&self) -> Vec<String> {
        self.roles.iter().cloned().collect()
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
            "CreateRole" => drop(self.roles.insert(call.param("RoleName").to_owned())),
            "DeleteRole" => drop(self.roles.remove(call.param("RoleName"))),
            "CreatePolicy" => drop(self.policies.insert(path_of(call) + call.param("PolicyName"))),
            "DeletePolicy" => drop(self.policies.remove(path_and_name(arn))),
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
                self.path = path_of(call);
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

fn path_of(call: &AwsCall) -> String {
    call.params.get("Path").map_or("/", String::as_str).to_owned()
}

/// The part of a policy's ARN that follows `:policy`, such as `/team/coiled-setup`.
fn path_and_name(arn: &str) -> &str {
    arn.split_once(":policy").map(|(_, policy)| policy).unwrap_or_default()
}

fn name_of(policy: &str) -> &str {
    policy.rsplit('/').next().unwrap_or_default()
}
