//! Permissions boundaries. moto does not support them for users, and its ListEntitiesForPolicy ignores those of roles.

use super::Shared;
use super::call::AwsCall;
use super::reply::{Reply, all_inside, inside};
use crate::locked;

/// The lists of a ListEntitiesForPolicy reply. For each: the value of `EntityFilter`, the list's XML element, and the
/// element of a name in it.
const ENTITIES: [(&str, &str, &str); 3] =
    [("User", "PolicyUsers", "UserName"), ("Role", "PolicyRoles", "RoleName"), ("Group", "PolicyGroups", "GroupName")];

/// A user or role with a permissions boundary: `User` or `Role`, and its name.
pub(super) type Bounded = (&'static str, String);

impl Shared {
    pub(super) fn with_boundary(&self, user: &str, shown: String) -> String {
        let facts = locked(&self.facts);
        let Some(arn) = facts.boundaries.get(user) else { return shown };
        let boundary = format!(
            "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType>\
             <PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary></User>"
        );
        shown.replace("</User>", &boundary)
    }

    pub(super) fn put_boundary(&self, call: &AwsCall) -> Reply {
        let (user, arn) = (call.param("UserName").to_owned(), call.param("PermissionsBoundary").to_owned());
        locked(&self.facts).boundaries.insert(user, arn);
        Reply::done(call, "")
    }

    pub(super) fn delete_boundary(&self, call: &AwsCall) -> Reply {
        match locked(&self.facts).boundaries.remove(call.param("UserName")) {
            Some(_) => Reply::done(call, ""),
            None => Reply::error(call, 404, "NoSuchEntity", "The user has no permissions boundary."),
        }
    }

    /// The users and roles whose permissions boundary is this policy.
    pub(super) async fn bounded_by(&self, arn: &str) -> Vec<Bounded> {
        let users: Vec<Bounded> = {
            let facts = locked(&self.facts);
            let users = facts.boundaries.iter().filter(|(_, boundary)| *boundary == arn);
            users.map(|(user, _)| ("User", user.clone())).collect()
        };
        let mut roles = Vec::new();
        let names = locked(&self.facts).seen.roles();
        for role in names {
            let shown = self.look("GetRole", &[("RoleName", &role)]).await;
            if inside(&shown, "PermissionsBoundaryArn") == Some(arn) {
                roles.push(("Role", role));
            }
        }
        users.into_iter().chain(roles).collect()
    }

    /// A ListEntitiesForPolicy reply as AWS sends it (IAM API reference). `PolicyUsageFilter` selects the identities to
    /// which the policy is attached or those whose permissions boundary it is. Without it, the reply lists both.
    pub(super) async fn with_bounded_entities(&self, call: &AwsCall, reply: Reply) -> Reply {
        if call.action != "ListEntitiesForPolicy" || reply.status != 200 {
            return reply;
        }
        let usage = call.param("PolicyUsageFilter");
        let bounded = match usage {
            "PermissionsPolicy" => Vec::new(),
            _ => self.bounded_by(call.param("PolicyArn")).await,
        };
        let attached = if usage == "PermissionsBoundary" { "" } else { &reply.body };
        let lists = ENTITIES.map(|(kind, list, element)| {
            let mut names = Vec::new();
            if ["", kind].contains(&call.param("EntityFilter")) {
                names.extend(all_inside(attached, element));
                names.extend(bounded.iter().filter(|(other, _)| *other == kind).map(|(_, name)| name.as_str()));
            }
            names.sort_unstable();
            names.dedup();
            let members = names.iter().map(|name| format!("<member><{element}>{name}</{element}></member>"));
            format!("<{list}>{}</{list}>", members.collect::<String>())
        });
        Reply { body: Reply::done(call, &lists.concat()).body, ..reply }
    }
}
