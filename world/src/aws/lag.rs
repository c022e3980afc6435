//! An eventually consistent IAM. Reads return the state of some time ago, and writes are checked against that state.
//!
//! A create can therefore be followed by NoSuchEntity, and a delete by EntityAlreadyExists or DeleteConflict. A new key
//! can be missing from a list, and a deleted key can still be listed. Only the function gets stale reads. The test sees
//! the current state.

use std::time::{Duration, Instant};

use super::Shared;
use super::call::AwsCall;
use super::conflicts::{ATTACHED, MORE_VERSIONS, conflict, first_delete};
use super::iam::{name_is_taken, not_found};
use super::limits::exceeded;
use super::reply::{Reply, all_inside, inside};
use crate::account::TEST_KEY;
use crate::locked;

/// How stale reads are, and the earlier replies that they return.
#[derive(Default)]
pub(super) struct Lag {
    pub(super) by: Duration,
    past: Vec<Past>,
}

/// The reply to a read before a change.
#[derive(Clone)]
pub(super) struct Past {
    until: Instant,
    look: &'static str,
    subject: String,
    response: String,
}

impl Lag {
    fn shown(&self, look: &str, subject: &str) -> Option<String> {
        let is_over = |past: &Past| past.until.elapsed() >= self.by;
        let is_meant = |past: &&Past| past.look == look && past.subject.eq_ignore_ascii_case(subject);
        // Changes are in chronological order. The first change that is not visible yet holds the state before it.
        self.past.iter().filter(is_meant).find(|past| !is_over(past)).map(|past| past.response.clone())
    }
}

const OF_A_USER: [&str; 4] = ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "ListGroupsForUser"];
const OF_A_POLICY: [&str; 3] = ["GetPolicy", "ListPolicyVersions", "ListEntitiesForPolicy"];

/// The reads of the user and of the policy whose replies an action changes.
fn changed(action: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match action {
        "CreateUser" | "DeleteUser" => (&OF_A_USER, &[]),
        "CreatePolicy" | "DeletePolicy" => (&[], &OF_A_POLICY),
        "TagUser" | "UntagUser" | "PutUserPermissionsBoundary" | "DeleteUserPermissionsBoundary" => (&["GetUser"], &[]),
        "CreateAccessKey" | "DeleteAccessKey" | "UpdateAccessKey" => (&["ListAccessKeys"], &[]),
        "AttachUserPolicy" | "DetachUserPolicy" => (&["ListAttachedUserPolicies"], &["ListEntitiesForPolicy"]),
        "TagPolicy" | "UntagPolicy" => (&[], &["GetPolicy"]),
        "CreatePolicyVersion" | "DeletePolicyVersion" | "SetDefaultPolicyVersion" => {
            (&[], &["GetPolicy", "ListPolicyVersions"])
        }
        _ => (&[], &[]),
    }
}

impl Shared {
    /// The current replies to all reads that this call will change.
    pub(super) async fn before_change(&self, call: &AwsCall) -> Vec<Past> {
        if locked(&self.facts).lag.by.is_zero() {
            return Vec::new();
        }
        let (of_user, of_policy) = changed(&call.action);
        let user = of_user.iter().map(|look| (*look, "UserName", call.param("UserName").to_owned()));
        let policy = of_policy.iter().map(|look| (*look, "PolicyArn", self.policy_of(call)));
        let mut past = Vec::new();
        for (look, name, subject) in user.chain(policy).collect::<Vec<_>>() {
            let response = self.look_now(look, name, &subject).await;
            past.push(Past { until: Instant::now(), look, subject, response });
        }
        past
    }

    /// Records the replies from before a change that has taken effect. The lag starts now.
    pub(super) fn note_change(&self, past: Vec<Past>) {
        let until = Instant::now();
        locked(&self.facts).lag.past.extend(past.into_iter().map(|past| Past { until, ..past }));
    }

    /// The reply based on stale state, or `None` if the stale state makes no difference.
    pub(super) async fn stale_response(&self, call: &AwsCall) -> Option<Reply> {
        if locked(&self.facts).lag.by.is_zero() || call.access_key_id == TEST_KEY || call.service != "iam" {
            return None;
        }
        match call.action.as_str() {
            "CreateUser" => self.seems_taken(call, "GetUser", "UserName", call.param("UserName")).await,
            "CreatePolicy" => self.seems_taken(call, "GetPolicy", "PolicyArn", &self.policy_of(call)).await,
            _ => match self.seems_gone(call).await {
                Some(reply) => Some(reply),
                None => match self.seems_in_the_way(call).await {
                    Some(reply) => Some(reply),
                    None => self.stale_read(call),
                },
            },
        }
    }

    async fn seems_taken(&self, call: &AwsCall, look: &str, name: &str, subject: &str) -> Option<Reply> {
        let is_there = is_there(&self.look_then(look, name, subject).await);
        is_there.then(|| name_is_taken(call))
    }

    /// NoSuchEntity if the user, the policy or the part to be removed is missing in the stale state.
    async fn seems_gone(&self, call: &AwsCall) -> Option<Reply> {
        let part = match call.action.as_str() {
            "DeleteAccessKey" => Some(("ListAccessKeys", "AccessKeyId")),
            "DetachUserPolicy" => Some(("ListAttachedUserPolicies", "PolicyArn")),
            _ => None,
        };
        let mut is_known = true;
        for (look, name) in [("GetUser", "UserName"), ("GetPolicy", "PolicyArn")] {
            if !call.param(name).is_empty() {
                is_known &= is_there(&self.look_then(look, name, call.param(name)).await);
            }
        }
        if let (true, Some((look, element))) = (is_known, part) {
            let list = self.look_then(look, "UserName", call.param("UserName")).await;
            is_known = all_inside(&list, element).contains(&call.param(element));
        }
        if let (true, "GetPolicyVersion") = (is_known, call.action.as_str()) {
            let list = self.look_then("ListPolicyVersions", "PolicyArn", call.param("PolicyArn")).await;
            is_known = all_inside(&list, "VersionId").contains(&call.param("VersionId"));
        }
        (!is_known).then(|| not_found(call))
    }

    /// DeleteConflict or LimitExceeded if something that was just removed still exists in the stale state.
    async fn seems_in_the_way(&self, call: &AwsCall) -> Option<Reply> {
        let (user, policy) = (call.param("UserName"), call.param("PolicyArn"));
        match call.action.as_str() {
            "DeleteUser" => {
                let keys = self.look_then("ListAccessKeys", "UserName", user).await;
                let attached = self.look_then("ListAttachedUserPolicies", "UserName", user).await;
                let has_key = inside(&keys, "AccessKeyId").map(|_| first_delete(call, "delete access keys"));
                has_key.or_else(|| inside(&attached, "PolicyArn").map(|_| first_delete(call, "detach all policies")))
            }
            "DeletePolicy" => {
                let versions = self.look_then("ListPolicyVersions", "PolicyArn", policy).await;
                let holders = self.look_then("ListEntitiesForPolicy", "PolicyArn", policy).await;
                let has_versions = all_inside(&versions, "VersionId").len() > 1;
                let is_attached = || inside(&holders, "UserName").map(|_| conflict(call, ATTACHED));
                has_versions.then(|| conflict(call, MORE_VERSIONS)).or_else(is_attached)
            }
            "CreateAccessKey" => {
                let keys = self.look_then("ListAccessKeys", "UserName", user).await;
                (all_inside(&keys, "AccessKeyId").len() > 1).then(|| exceeded(call, "AccessKeysPerUser", 2))
            }
            _ => None,
        }
    }

    fn stale_read(&self, call: &AwsCall) -> Option<Reply> {
        let subject = if call.param("UserName").is_empty() { "PolicyArn" } else { "UserName" };
        let body = locked(&self.facts).lag.shown(&call.action, call.param(subject))?;
        Some(Reply::xml(if is_there(&body) { 200 } else { 404 }, body))
    }

    async fn look_then(&self, look: &str, name: &str, subject: &str) -> String {
        let past = locked(&self.facts).lag.shown(look, subject);
        match past {
            Some(response) => response,
            None => self.look_now(look, name, subject).await,
        }
    }

    async fn look_now(&self, look: &str, name: &str, subject: &str) -> String {
        let response = self.look(look, &[(name, subject)]).await;
        if look == "GetUser" { self.with_boundary(subject, response) } else { response }
    }

    /// The ARN of the policy that a call is about.
    fn policy_of(&self, call: &AwsCall) -> String {
        match call.param("PolicyName") {
            "" => call.param("PolicyArn").to_owned(),
            name => format!("arn:aws:iam::{}:policy{}{name}", self.account, call.param("Path")),
        }
    }
}

fn is_there(response: &str) -> bool {
    inside(response, "Code").is_none()
}
