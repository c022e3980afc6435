//! IAM behavior that moto lacks.

use super::call::AwsCall;
use super::reply::Reply;
use super::tags::duplicates;
use super::{Shared, document};
use crate::locked;

impl Shared {
    /// Rejects calls that AWS rejects but moto accepts, and handles actions that moto does not implement.
    pub(super) async fn before(&self, call: &AwsCall) -> Option<Reply> {
        if let Some(rejection) = self.beyond_limits(call) {
            return Some(rejection);
        }
        match call.action.as_str() {
            "CreateUser" => duplicates(call).or_else(|| self.unique_name(call)),
            "CreatePolicy" => self.unique_name(call),
            "PutUserPermissionsBoundary" => Some(self.put_boundary(call)),
            "DeleteUserPermissionsBoundary" => Some(self.delete_boundary(call)),
            "ListServiceSpecificCredentials" => Some(self.credentials(call)),
            "DeleteServiceSpecificCredential" => Some(self.delete_credential(call)),
            "GetAccessKeyLastUsed" => self.last_used(call),
            "DeleteUser" => self.user_in_use(call).await,
            "DeleteAccessKey" => self.delete_further_key(call),
            "CreateAccessKey" => self.too_many_keys(call),
            "DeletePolicy" => self.policy_in_use(call).await,
            "TagUser" | "UntagUser" => self.user_tags(call).await,
            "ListEntitiesForPolicy" => self.no_such_policy(call),
            _ => None,
        }
    }

    /// Records a successful call, and adds the data that AWS returns and moto leaves out.
    pub(super) fn after(&self, call: &AwsCall, mut reply: Reply) -> Reply {
        if reply.status != 200 {
            return reply;
        }
        locked(&self.facts).seen.note(call);
        let user = call.param("UserName");
        match call.action.as_str() {
            "CreateAccessKey" => {
                super::keys::add_canary(&mut reply);
                self.note_key(call, &reply);
            }
            "UpdateAccessKey" | "DeleteAccessKey" => self.note_key(call, &reply),
            "ListAccessKeys" => reply.body = self.with_further_keys(user, reply.body),
            "CreateUser" if !call.param("PermissionsBoundary").is_empty() => {
                locked(&self.facts).boundaries.insert(user.to_owned(), call.param("PermissionsBoundary").to_owned());
            }
            "DeleteUser" => {
                locked(&self.facts).boundaries.remove(user);
            }
            "GetPolicyVersion" => document::rewrite(&mut reply),
            "GetUser" => reply.body = self.with_boundary(user, reply.body),
            _ => {}
        }
        reply
    }

    /// Names are unique in an account, regardless of path and case. moto accepts `Coiled` next to `coiled`.
    fn unique_name(&self, call: &AwsCall) -> Option<Reply> {
        let is_taken = locked(&self.facts).seen.is_taken(call);
        is_taken.then(|| name_is_taken(call))
    }

    /// NoSuchEntity for a missing policy. moto returns empty lists instead.
    fn no_such_policy(&self, call: &AwsCall) -> Option<Reply> {
        (!locked(&self.facts).seen.has_policy(call.param("PolicyArn"))).then(|| not_found(call))
    }

    fn credentials(&self, call: &AwsCall) -> Reply {
        let user = call.param("UserName");
        let member = |id: &String| {
            format!(
                "<member><CreateDate>2026-01-01T00:00:00Z</CreateDate><ServiceName>codecommit.amazonaws.com</ServiceName>\
                 <ServiceUserName>u</ServiceUserName><ServiceSpecificCredentialId>{id}</ServiceSpecificCredentialId>\
                 <Status>Active</Status><UserName>{user}</UserName></member>"
            )
        };
        let members: String = locked(&self.facts).credentials.get(user).into_iter().flatten().map(member).collect();
        Reply::done(call, &format!("<ServiceSpecificCredentials>{members}</ServiceSpecificCredentials>"))
    }

    fn delete_credential(&self, call: &AwsCall) -> Reply {
        let id = call.param("ServiceSpecificCredentialId");
        let mut facts = locked(&self.facts);
        facts.credentials.entry(call.param("UserName").to_owned()).or_default().retain(|other| other != id);
        Reply::done(call, "")
    }
}

/// EntityAlreadyExists in IAM's words (for a policy, konstructio/kubefirst#855 quotes them).
pub(super) fn name_is_taken(call: &AwsCall) -> Reply {
    let message = match call.action.as_str() {
        "CreateUser" => format!("User with name {} already exists.", call.param("UserName")),
        _ => format!("A policy called {} already exists. Duplicate names are not allowed.", call.param("PolicyName")),
    };
    Reply::error(call, 409, "EntityAlreadyExists", &message)
}

/// NoSuchEntity in IAM's words.
pub(super) fn not_found(call: &AwsCall) -> Reply {
    let message = match [call.param("AccessKeyId"), call.param("PolicyArn"), call.param("UserName")] {
        ["", "", user] => format!("The user with name {user} cannot be found."),
        ["", arn, _] => format!("Policy {arn} was not found."),
        [key, ..] => format!("The Access Key with id {key} cannot be found."),
    };
    Reply::error(call, 404, "NoSuchEntity", &message)
}
