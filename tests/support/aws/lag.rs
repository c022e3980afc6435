//! An IAM that is eventually consistent: every look at a thing shows it as it was some time ago, and a change is judged by
//! what is shown. So there is NoSuchEntity after a create, EntityAlreadyExists and DeleteConflict after a delete, and a key
//! that was made or removed a moment ago is not, or still, there. Only the function sees the past: the test sees what is.

use std::time::{Duration, Instant};

use super::Shared;
use super::call::AwsCall;
use super::reply::{Reply, all_inside, inside};
use crate::support::account::TEST_KEY;
use crate::support::locked;

/// How far behind, and what was there.
#[derive(Default)]
pub(super) struct Lag {
    pub(super) by: Duration,
    past: Vec<Past>,
}

/// What a look at something answered until a change.
#[derive(Clone)]
pub(super) struct Past {
    until: Instant,
    look: &'static str,
    subject: String,
    answer: String,
}

impl Lag {
    fn shown(&self, look: &str, subject: &str) -> Option<String> {
        let is_over = |past: &Past| past.until.elapsed() >= self.by;
        let is_meant = |past: &&Past| past.look == look && past.subject.eq_ignore_ascii_case(subject);
        // In the order of the changes: the first that is not known yet says what was there before it.
        self.past.iter().filter(is_meant).find(|past| !is_over(past)).map(|past| past.answer.clone())
    }
}

const OF_A_USER: [&str; 4] = ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies", "ListGroupsForUser"];
const OF_A_POLICY: [&str; 3] = ["GetPolicy", "ListPolicyVersions", "ListEntitiesForPolicy"];

/// The looks whose answers a change of a user or a policy changes.
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
    /// What the looks that this call will change answer before it.
    pub(super) async fn before_change(&self, call: &AwsCall) -> Vec<Past> {
        if locked(&self.facts).lag.by.is_zero() {
            return Vec::new();
        }
        let (of_user, of_policy) = changed(&call.action);
        let user = of_user.iter().map(|look| (*look, "UserName", call.param("UserName").to_owned()));
        let policy = of_policy.iter().map(|look| (*look, "PolicyArn", self.policy_of(call)));
        let mut past = Vec::new();
        for (look, name, subject) in user.chain(policy).collect::<Vec<_>>() {
            let answer = self.look_now(look, name, &subject).await;
            past.push(Past { until: Instant::now(), look, subject, answer });
        }
        past
    }

    /// The change took effect: from now on it becomes known.
    pub(super) fn note_change(&self, past: Vec<Past>) {
        let until = Instant::now();
        locked(&self.facts).lag.past.extend(past.into_iter().map(|past| Past { until, ..past }));
    }

    /// The answer of a replica that is behind; `None` where that makes no difference.
    pub(super) async fn answer_of_the_past(&self, call: &AwsCall) -> Option<Reply> {
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
                    None => self.shown_of_the_past(call),
                },
            },
        }
    }

    async fn seems_taken(&self, call: &AwsCall, look: &str, name: &str, subject: &str) -> Option<Reply> {
        let is_there = is_there(&self.look_then(look, name, subject).await);
        is_there.then(|| Reply::error(call, 409, "EntityAlreadyExists", "The name is taken."))
    }

    /// The user or the policy that a call is about is not known yet, or that which it removes from them.
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
        (!is_known).then(|| Reply::error(call, 404, "NoSuchEntity", "It is not known here, yet or any more."))
    }

    /// What was removed a moment ago is still in the way.
    async fn seems_in_the_way(&self, call: &AwsCall) -> Option<Reply> {
        let (user, policy) = (call.param("UserName"), call.param("PolicyArn"));
        let (is_full, code) = match call.action.as_str() {
            "DeleteUser" => {
                let keys = self.look_then("ListAccessKeys", "UserName", user).await;
                let attached = self.look_then("ListAttachedUserPolicies", "UserName", user).await;
                (inside(&keys, "AccessKeyId").or(inside(&attached, "PolicyArn")).is_some(), "DeleteConflict")
            }
            "DeletePolicy" => {
                let versions = self.look_then("ListPolicyVersions", "PolicyArn", policy).await;
                let holders = self.look_then("ListEntitiesForPolicy", "PolicyArn", policy).await;
                let is_held = inside(&holders, "UserName").is_some();
                (is_held || all_inside(&versions, "VersionId").len() > 1, "DeleteConflict")
            }
            "CreateAccessKey" => {
                let keys = self.look_then("ListAccessKeys", "UserName", user).await;
                (all_inside(&keys, "AccessKeyId").len() > 1, "LimitExceeded")
            }
            _ => (false, ""),
        };
        is_full.then(|| Reply::error(call, 409, code, "Something is in the way, or still seems to be."))
    }

    fn shown_of_the_past(&self, call: &AwsCall) -> Option<Reply> {
        let subject = if call.param("UserName").is_empty() { "PolicyArn" } else { "UserName" };
        let body = locked(&self.facts).lag.shown(&call.action, call.param(subject))?;
        Some(Reply::xml(if is_there(&body) { 200 } else { 404 }, body))
    }

    async fn look_then(&self, look: &str, name: &str, subject: &str) -> String {
        let past = locked(&self.facts).lag.shown(look, subject);
        match past {
            Some(answer) => answer,
            None => self.look_now(look, name, subject).await,
        }
    }

    async fn look_now(&self, look: &str, name: &str, subject: &str) -> String {
        let answer = self.look(look, &[(name, subject)]).await;
        if look == "GetUser" { self.with_boundary(subject, answer) } else { answer }
    }

    /// The ARN of the policy that a call is about.
    fn policy_of(&self, call: &AwsCall) -> String {
        match call.param("PolicyName") {
            "" => call.param("PolicyArn").to_owned(),
            name => format!("arn:aws:iam::{}:policy{}{name}", self.account, call.param("Path")),
        }
    }
}

fn is_there(answer: &str) -> bool {
    inside(answer, "Code").is_none()
}
