//! What IAM is asked about a call: which action, with which resource, under which conditions.
//!
//! By "Actions, resources, and condition keys for AWS Identity and Access Management" (and for Secrets Manager, KMS,
//! CloudWatch Logs) of the service authorization reference, and what is found there only by trying:
//! - IAM looks a user up by its name and asks for the right to its ARN, path and all. For one that isn't there it knows no
//!   path, and asks without (cloud-gov/terraform-provision#1923, #1929).
//! - To make something with tags, the right to tag it is needed too.

use super::call::AwsCall;
use super::tags::tags;
use super::{Facts, Shared};
use crate::support::locked;
use crate::support::policy::evaluate::Request;
use crate::support::policy::names::{carries_boundary, service_of};

/// Actions of IAM that are authorised on a user.
const ON_A_USER: [&str; 29] = [
    "AttachUserPolicy",
    "CreateAccessKey",
    "CreateUser",
    "DeactivateMFADevice",
    "DeleteAccessKey",
    "DeleteLoginProfile",
    "DeleteServiceSpecificCredential",
    "DeleteSigningCertificate",
    "DeleteSSHPublicKey",
    "DeleteUser",
    "DeleteUserPermissionsBoundary",
    "DeleteUserPolicy",
    "DetachUserPolicy",
    "GetAccessKeyLastUsed",
    "GetLoginProfile",
    "GetUser",
    "ListAccessKeys",
    "ListAttachedUserPolicies",
    "ListGroupsForUser",
    "ListMFADevices",
    "ListServiceSpecificCredentials",
    "ListSigningCertificates",
    "ListSSHPublicKeys",
    "ListUserPolicies",
    "PutUserPermissionsBoundary",
    "PutUserPolicy",
    "TagUser",
    "UntagUser",
    "UpdateAccessKey",
];

/// Actions of IAM that are authorised on a policy.
const ON_A_POLICY: [&str; 11] = [
    "CreatePolicy",
    "CreatePolicyVersion",
    "DeletePolicy",
    "DeletePolicyVersion",
    "GetPolicy",
    "GetPolicyVersion",
    "ListEntitiesForPolicy",
    "ListPolicyVersions",
    "SetDefaultPolicyVersion",
    "TagPolicy",
    "UntagPolicy",
];

impl Shared {
    /// Everything that has to be granted for a call.
    pub(super) fn needs(&self, call: &AwsCall) -> Vec<Request> {
        let facts = locked(&self.facts);
        let action = call.action.as_str();
        match call.service.as_str() {
            // "No permissions are required to perform this operation."
            "sts" if action == "GetCallerIdentity" => Vec::new(),
            "secretsmanager" if action == "GetSecretValue" => facts.reading(call.param("SecretId")),
            "iam" if ON_A_USER.contains(&action) => facts.for_user(call, &self.account),
            "iam" if ON_A_POLICY.contains(&action) => on_policy(call, &self.account),
            service => panic!("it is not known here how IAM authorises {service}:{action}"),
        }
    }
}

impl Facts {
    fn for_user(&self, call: &AwsCall, account: &str) -> Vec<Request> {
        let name = match call.action.as_str() {
            "GetAccessKeyLastUsed" => self.owner_of(call.param("AccessKeyId")).unwrap_or_default(),
            _ => call.param("UserName"),
        };
        let path = match call.action.as_str() {
            "CreateUser" => call.params.get("Path").map(String::as_str),
            _ => self.seen.path(name),
        };
        let arn = format!("arn:aws:iam::{account}:user{}{name}", path.unwrap_or("/"));
        let mut request = Request::new(format!("iam:{}", call.action), arn.clone());
        if let Some(policy) = call.params.get("PolicyArn") {
            request = request.with("iam:PolicyARN", policy);
        }
        if let Some(boundary) = self.boundary_of(call).filter(|_| carries_boundary(&request.action)) {
            request = request.with("iam:PermissionsBoundary", boundary);
        }
        [request].into_iter().chain(tagging(call, "iam:TagUser", &arn)).collect()
    }

    /// The boundary that a request brings, else the one that the user has.
    fn boundary_of<'a>(&'a self, call: &'a AwsCall) -> Option<&'a String> {
        call.params.get("PermissionsBoundary").or_else(|| self.boundaries.get(call.param("UserName")))
    }

    /// A secret that is encrypted with a key of its own is decrypted by Secrets Manager in the name of the caller:
    /// "Secret encryption and decryption in AWS Secrets Manager" of its user guide.
    fn reading(&self, secret: &str) -> Vec<Request> {
        let decrypt = self.secret_keys.get(secret).map(|key| {
            let request = Request::new("kms:Decrypt", key).with("kms:ViaService", service_of(secret));
            request.with("kms:EncryptionContext:SecretARN", secret)
        });
        [Request::new("secretsmanager:GetSecretValue", secret)].into_iter().chain(decrypt).collect()
    }
}

fn on_policy(call: &AwsCall, account: &str) -> Vec<Request> {
    let arn = match call.action.as_str() {
        "CreatePolicy" => {
            let path = call.params.get("Path").map_or("/", String::as_str);
            format!("arn:aws:iam::{account}:policy{path}{}", call.param("PolicyName"))
        }
        _ => call.param("PolicyArn").to_owned(),
    };
    let request = Request::new(format!("iam:{}", call.action), arn.clone());
    [request].into_iter().chain(tagging(call, "iam:TagPolicy", &arn)).collect()
}

/// What making something with tags needs more.
fn tagging(call: &AwsCall, action: &str, arn: &str) -> Option<Request> {
    (call.action.starts_with("Create") && !tags(call).is_empty()).then(|| Request::new(action, arn))
}
