//! DeleteConflict for users and policies that are still in use. moto checks only the policies of a user and deletes
//! everything else.

use super::Shared;
use super::call::AwsCall;
use super::reply::{Reply, all_inside, inside};
use crate::locked;

/// What blocks the deletion of a user, from "Deleting an IAM user" in the IAM user guide: the read, the element in its
/// reply, and the step that IAM's message names. moto already checks attached and inline policies.
///
/// The messages are in these reports, in this order: hashicorp/terraform#8621, mozilla-services/userplex#17,
/// hashicorp/terraform-provider-aws#4176, rebuy-de/aws-nuke#671 and #281, hashicorp/terraform#8621.
const IN_A_USER: [(&str, &str, &str); 6] = [
    ("ListAccessKeys", "AccessKeyId", "delete access keys"),
    ("ListGroupsForUser", "GroupName", "remove users from group"),
    ("ListSSHPublicKeys", "SSHPublicKeyId", REFERENCED),
    ("ListSigningCertificates", "CertificateId", "delete certificates"),
    ("ListMFADevices", "SerialNumber", "delete MFA device"),
    ("GetLoginProfile", "CreateDate", "delete login profile"),
];

/// IAM names neither SSH keys nor service-specific credentials (rebuy-de/aws-nuke#308).
const REFERENCED: &str = "remove referenced objects";

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
        has_credentials.then(|| first_delete(call, REFERENCED))
    }

    /// DeletePolicy fails with DeleteConflict if the policy has a non-default version, is attached to anything, or is a
    /// permissions boundary (gruntwork-io/cloud-nuke#972). The messages are in rebuy-de/aws-nuke#1 and
    /// serverless/components#312.
    pub(super) async fn policy_in_use(&self, call: &AwsCall) -> Option<Reply> {
        let arn = call.param("PolicyArn");
        let policy = [("PolicyArn", arn)];
        let (versions, entities, bounded) = tokio::join!(
            self.look("ListPolicyVersions", &policy),
            self.look("ListEntitiesForPolicy", &policy),
            self.bounded_by(arn)
        );
        if all_inside(&versions, "VersionId").len() > 1 {
            return Some(conflict(call, MORE_VERSIONS));
        }
        let is_attached = ["UserName", "RoleName", "GroupName"].iter().any(|name| inside(&entities, name).is_some());
        let is_used = is_attached || !bounded.is_empty();
        is_used.then(|| conflict(call, ATTACHED))
    }
}

pub(super) const ATTACHED: &str = "Cannot delete a policy attached to entities.";

pub(super) const MORE_VERSIONS: &str = "This policy has more than one version. Before you delete a policy, you must delete the \
    policy's versions. The default version is deleted with the policy.";

pub(super) fn first_delete(call: &AwsCall, first: &str) -> Reply {
    conflict(call, &format!("Cannot delete entity, must {first} first."))
}

pub(super) fn conflict(call: &AwsCall, message: &str) -> Reply {
    Reply::error(call, 409, "DeleteConflict", message)
}
