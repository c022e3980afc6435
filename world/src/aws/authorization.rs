//! Translates a call into the authorization requests that AWS evaluates: action, resource and condition keys.
//!
//! The source is "Actions, resources, and condition keys for AWS Identity and Access Management" in the Service
//! Authorization Reference, and its pages for Secrets Manager, KMS and CloudWatch Logs. Two rules were found by
//! experiment:
//! - IAM finds a user by name and authorizes against its full ARN, including the path. For a missing user, IAM
//!   authorizes against the ARN without a path (cloud-gov/terraform-provision#1923, #1929).
//! - Creating a tagged resource also requires the permission to tag it.

use super::call::AwsCall;
use super::tags::tags;
use super::{Facts, Shared};
use crate::locked;
use crate::policy::evaluate::Request;
use crate::policy::names::{carries_boundary, service_of};

/// IAM actions whose resource is a user.
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

/// IAM actions whose resource is a policy.
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
    /// All requests that the role must allow for a call.
    pub(super) fn needs(&self, call: &AwsCall) -> Vec<Request> {
        let facts = locked(&self.facts);
        let action = call.action.as_str();
        match call.service.as_str() {
            // "No permissions are required to perform this operation."
            "sts" if action == "GetCallerIdentity" => Vec::new(),
            "secretsmanager" if action == "GetSecretValue" => facts.reading(call.param("SecretId")),
            "iam" if ON_A_USER.contains(&action) => facts.for_user(call, &self.account),
            "iam" if ON_A_POLICY.contains(&action) => on_policy(call, &self.account),
            service => panic!("add {service}:{action} here, with the resource that AWS authorizes it against"),
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

    /// The boundary in the request, or otherwise the user's current boundary.
    fn boundary_of<'a>(&'a self, call: &'a AwsCall) -> Option<&'a String> {
        call.params.get("PermissionsBoundary").or_else(|| self.boundaries.get(call.param("UserName")))
    }

    /// If a secret has a customer managed KMS key, Secrets Manager decrypts it with the caller's permissions. See
    /// "Secret encryption and decryption in AWS Secrets Manager" in its user guide.
    fn reading(&self, secret: &str) -> Vec<Request> {
        let secret = self.full_arn(secret);
        let decrypt = self.secret_keys.get(secret).map(|key| {
            let request = Request::new("kms:Decrypt", key).with("kms:ViaService", service_of(secret));
            request.with("kms:EncryptionContext:SecretARN", secret)
        });
        [Request::new("secretsmanager:GetSecretValue", secret)].into_iter().chain(decrypt).collect()
    }

    /// Secrets Manager also accepts an ARN without the hyphen and the six characters at its end. IAM gets the full ARN:
    /// "Troubleshoot AWS Secrets Manager", "An AWS SDK request fails with AccessDenied".
    fn full_arn<'a>(&'a self, secret: &'a str) -> &'a str {
        let is_full = |arn: &&String| arn.rsplit_once('-').is_some_and(|(name, _)| name == secret);
        self.secret_arns.iter().find(is_full).map_or(secret, String::as_str)
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

/// The additional request if a call creates a tagged resource.
fn tagging(call: &AwsCall, action: &str, arn: &str) -> Option<Request> {
    (call.action.starts_with("Create") && !tags(call).is_empty()).then(|| Request::new(action, arn))
}
