//! Rules of IAM that moto lacks.

use super::Shared;
use super::call::AwsCall;
use super::reply::{Reply, all_inside};
use crate::support::locked;

impl Shared {
    /// Refuses what AWS refuses and moto takes, and answers what moto does not know.
    pub(super) async fn before(&self, call: &AwsCall) -> Option<Reply> {
        if let Some(refusal) = tag_keys(call) {
            return Some(refusal);
        }
        match call.action.as_str() {
            "CreateUser" => self.unique_name(call, "ListUsers", "UserName").await,
            "CreatePolicy" => self.unique_name(call, "ListPolicies", "PolicyName").await,
            "PutUserPermissionsBoundary" => Some(self.put_boundary(call)),
            "DeleteUserPermissionsBoundary" => Some(self.delete_boundary(call)),
            "ListServiceSpecificCredentials" => Some(self.credentials(call)),
            "DeleteServiceSpecificCredential" => Some(self.delete_credential(call)),
            "DeleteUser" => self.delete_conflict(call),
            "TagUser" => self.one_key_whatever_its_case(call).await,
            _ => None,
        }
    }

    /// Adds to moto's answers what AWS says more.
    pub(super) fn after(&self, call: &AwsCall, mut reply: Reply) -> Reply {
        if reply.status != 200 {
            return reply;
        }
        let user = call.param("UserName");
        match call.action.as_str() {
            "CreateAccessKey" => self.note_key(call, &reply),
            "CreateUser" if !call.param("PermissionsBoundary").is_empty() => {
                locked(&self.facts).boundaries.insert(user.to_owned(), call.param("PermissionsBoundary").to_owned());
            }
            "DeleteUser" => {
                locked(&self.facts).boundaries.remove(user);
            }
            "GetPolicyVersion" => encode_document(&mut reply),
            "GetUser" => {
                if let Some(arn) = locked(&self.facts).boundaries.get(user) {
                    let boundary = format!(
                        "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
                         <PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary></User>"
                    );
                    reply.body = reply.body.replace("</User>", &boundary);
                }
            }
            _ => {}
        }
        reply
    }

    /// Names are unique in the account whatever their path, and ignore case; moto keeps `Coiled` beside `coiled`.
    async fn unique_name(&self, call: &AwsCall, list: &str, element: &str) -> Option<Reply> {
        let mut params = vec![("Action", list), ("Version", "2010-05-08"), ("MaxItems", "1000")];
        if list == "ListPolicies" {
            params.push(("Scope", "Local"));
        }
        let there = self.ask("iam", &params).await;
        let name = call.param(element);
        let taken = all_inside(&there, element).iter().any(|other| other.eq_ignore_ascii_case(name));
        taken.then(|| Reply::error(call, 409, "EntityAlreadyExists", &format!("{name} already exists.")))
    }

    /// `Owner` takes the place of `owner`: tag keys ignore case, and moto keeps both.
    async fn one_key_whatever_its_case(&self, call: &AwsCall) -> Option<Reply> {
        let user = call.param("UserName");
        let there = self.ask("iam", &[("Action", "ListUserTags"), ("Version", "2010-05-08"), ("UserName", user)]).await;
        let new: Vec<&String> =
            call.params.iter().filter(|(name, _)| name.ends_with(".Key")).map(|(_, key)| key).collect();
        let is_replaced = |old: &str| new.iter().any(|key| key.eq_ignore_ascii_case(old) && *key != old);
        for old in all_inside(&there, "Key").into_iter().filter(|old| is_replaced(old)) {
            let untag =
                [("Action", "UntagUser"), ("Version", "2010-05-08"), ("UserName", user), ("TagKeys.member.1", old)];
            self.ask("iam", &untag).await;
        }
        None
    }

    fn put_boundary(&self, call: &AwsCall) -> Reply {
        let (user, arn) = (call.param("UserName").to_owned(), call.param("PermissionsBoundary").to_owned());
        locked(&self.facts).boundaries.insert(user, arn);
        Reply::done(call, "")
    }

    fn delete_boundary(&self, call: &AwsCall) -> Reply {
        match locked(&self.facts).boundaries.remove(call.param("UserName")) {
            Some(_) => Reply::done(call, ""),
            None => Reply::error(call, 404, "NoSuchEntity", "The user has no permissions boundary."),
        }
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

    /// moto knows the other reasons for a DeleteConflict.
    fn delete_conflict(&self, call: &AwsCall) -> Option<Reply> {
        let has_credentials =
            locked(&self.facts).credentials.get(call.param("UserName")).is_some_and(|list| !list.is_empty());
        has_credentials
            .then(|| Reply::error(call, 409, "DeleteConflict", "Cannot delete entity, must delete credentials first."))
    }
}

/// Documents come back URL-encoded; moto gives them back as they were.
fn encode_document(reply: &mut Reply) {
    let Some(document) = super::reply::inside(&reply.body, "Document").map(str::to_owned) else { return };
    let plain = document.replace("&quot;", "\"").replace("&#34;", "\"").replace("&amp;", "&");
    let plain = if plain.contains("%22") { return } else { plain };
    let encoded = percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string();
    reply.body = reply.body.replace(&document, &encoded);
}

/// Tag keys ignore case; `Owner` beside `owner` is refused.
fn tag_keys(call: &AwsCall) -> Option<Reply> {
    let keys = call.params.iter().filter(|(name, _)| name.starts_with("Tags.") && name.ends_with(".Key"));
    let mut keys: Vec<String> = keys.map(|(_, key)| key.to_lowercase()).collect();
    let before = keys.len();
    keys.sort();
    keys.dedup();
    (keys.len() < before).then(|| Reply::error(call, 400, "InvalidInput", "Duplicate tag keys found."))
}
