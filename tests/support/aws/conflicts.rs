//! DeleteConflict for users and policies that are still in use. moto checks only the policies of a user and deletes
//! everything else.

use super::Shared;
use super::call::AwsCall;
use super::reply::{Reply, all_inside, inside};
use crate::support::locked;

/// What blocks the deletion of a user, from "Deleting an IAM user" in the IAM user guide: the read, the element in its
/// reply, and the step in IAM's message. moto already checks attached and inline policies.
const IN_A_USER: [(&str, &str, &str); 6] = [
    ("ListAccessKeys", "AccessKeyId", "delete access keys"),
    ("ListGroupsForUser", "GroupName", "remove user from all groups"),
    ("ListSSHPublicKeys", "SSHPublicKeyId", "delete SSH public keys"),
    ("ListSigningCertificates", "CertificateId", "delete signing certificates"),
    ("ListMFADevices", "SerialNumber", "deactivate MFA devices"),
    ("GetLoginProfile", "CreateDate", "delete login profile"),
];

impl Shared {
    /// DeleteUser fails with DeleteConflict if the user contains anything.
    pub(super) async fn user_in_use(&self, call: &AwsCall) -> Option<Reply> {
        let user = call.param("UserName");
        for (action, element, first) in IN_A_USER {
            if inside(&self.look(action, &[("UserName", user)]).await, element).is_some() {
                return Some(first_delete(call, first));
            }
        }
        let has_credentials = locked(&self.facts).credentials.get(user).is_some_and(|list| !list.is_empty());
        has_credentials.then(|| first_delete(call, "delete service-specific credentials"))
    }

    /// DeletePolicy fails with DeleteConflict if the policy has a non-default version or is attached to anything.
    pub(super) async fn policy_in_use(&self, call: &AwsCall) -> Option<Reply> {
        let policy = [("PolicyArn", call.param("PolicyArn"))];
        let (versions, entities) =
            tokio::join!(self.look("ListPolicyVersions", &policy), self.look("ListEntitiesForPolicy", &policy));
        if all_inside(&versions, "VersionId").len() > 1 {
            return Some(conflict(call, "This policy has more than one version."));
        }
        let is_used = ["UserName", "RoleName", "GroupName"].iter().any(|name| inside(&entities, name).is_some());
        is_used.then(|| conflict(call, "Cannot delete a policy attached to entities."))
    }
}

fn first_delete(call: &AwsCall, first: &str) -> Reply {
    conflict(call, &format!("Cannot delete entity, must {first} first."))
}

fn conflict(call: &AwsCall, message: &str) -> Reply {
    Reply::error(call, 409, "DeleteConflict", message)
}
