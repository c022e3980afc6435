//! Calls that must be denied. They are variants of the recorded calls with a different action, resource or condition
//! value.

use std::collections::BTreeSet;

use super::arn::foreign;
use super::evaluate::Request;
use super::names::Names;

/// Actions that the function never calls, most of them useful for privilege escalation. Each replaces the action of
/// every recorded call, with the same resource and context.
const NEVER: [&str; 66] = [
    // Assuming or creating another principal.
    "iam:AddUserToGroup",
    "iam:AttachGroupPolicy",
    "iam:AttachRolePolicy",
    "iam:CreateGroup",
    "iam:CreateInstanceProfile",
    "iam:CreateLoginProfile",
    "iam:CreateOpenIDConnectProvider",
    "iam:CreateRole",
    "iam:CreateSAMLProvider",
    "iam:CreateServiceLinkedRole",
    "iam:CreateServiceSpecificCredential",
    "iam:CreateVirtualMFADevice",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteVirtualMFADevice",
    "iam:EnableMFADevice",
    "iam:PassRole",
    "iam:PutGroupPolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:RemoveUserFromGroup",
    "iam:ResetServiceSpecificCredential",
    "iam:ResyncMFADevice",
    "iam:SetSecurityTokenServicePreferences",
    "iam:UpdateAccessKey",
    "iam:UpdateAccountPasswordPolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateLoginProfile",
    "iam:UpdateUser",
    "iam:UploadSSHPublicKey",
    "iam:UploadSigningCertificate",
    "sts:AssumeRole",
    "sts:GetFederationToken",
    // Reading the account's other resources.
    "iam:GetAccountAuthorizationDetails",
    "iam:GetUserPolicy",
    "iam:ListGroups",
    "iam:ListPolicies",
    "iam:ListRoles",
    "iam:ListUsers",
    "iam:SimulatePrincipalPolicy",
    // Secrets and KMS keys, other than reading the secrets of this stack.
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:CreateSecret",
    "secretsmanager:DeleteSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecrets",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "kms:CreateGrant",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    // Logs, other than writing them.
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:DeleteRetentionPolicy",
    "logs:GetLogEvents",
    "logs:PutSubscriptionFilter",
    // Other services.
    "cloudformation:UpdateStack",
    "ec2:RunInstances",
    "lambda:AddPermission",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "s3:GetObject",
    "organizations:LeaveOrganization",
];

/// The AWS managed policy for administrators.
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// All calls that must be denied in a stack with these names. `calls` are the recorded calls.
pub fn of(calls: &BTreeSet<Request>, names: &Names) -> BTreeSet<Request> {
    let never = NEVER.iter().flat_map(|action| {
        let everything = [Request::new(*action, "*")];
        let instead = calls.iter().map(|call| Request { action: (*action).to_owned(), ..call.clone() });
        everything.into_iter().chain(instead)
    });
    let on_others = calls.iter().flat_map(on_foreign_resources);
    let unbound = calls.iter().flat_map(|call| out_of_bounds(call, names));
    let all = never.chain(on_others).chain(unbound).chain(other_boundary_action(names));
    all.filter(|request| !calls.contains(request)).collect()
}

/// The call on each foreign resource.
fn on_foreign_resources(call: &Request) -> Vec<Request> {
    foreign(&call.resource).into_iter().map(|resource| Request { resource, ..call.clone() }).collect()
}

/// The call with each required context key missing or set to a foreign value.
fn out_of_bounds(call: &Request, names: &Names) -> Vec<Request> {
    let mut all = Vec::new();
    for key in bounds(&call.action, names) {
        let mut missing = call.clone();
        let values = missing.context.remove(*key).unwrap_or_default();
        let others = values.iter().flat_map(|value| foreign_values(value)).chain([ADMINISTRATOR.to_owned()]);
        all.extend(others.map(|other| missing.clone().with(key, other)));
        all.push(missing);
    }
    all
}

/// The context keys that the role's conditions must restrict for an action.
fn bounds(action: &str, names: &Names) -> &'static [&'static str] {
    match (action, names.has("boundary")) {
        ("iam:AttachUserPolicy", true) => &["iam:PolicyARN", "iam:PermissionsBoundary"],
        ("iam:AttachUserPolicy", false) => &["iam:PolicyARN"],
        ("iam:CreateUser" | "iam:PutUserPermissionsBoundary", true) => &["iam:PermissionsBoundary"],
        ("kms:Decrypt", _) => &["kms:ViaService", "kms:EncryptionContext:SecretARN"],
        _ => &[],
    }
}

fn foreign_values(value: &str) -> Vec<String> {
    if value.starts_with("arn:") {
        return foreign(value);
    }
    // Otherwise the value is a service endpoint: secretsmanager.REGION.amazonaws.com
    let parts: Vec<&str> = value.split('.').collect();
    let with = |n: usize, part: &str| [&parts[..n], &[part], &parts[n + 1..]].concat().join(".");
    vec![with(0, "s3"), with(1, "ap-southeast-4"), format!("{value}.example"), format!("a-{value}")]
}

/// If the stack has a boundary, the function must not delete it. If not, the function must not set one.
fn other_boundary_action(names: &Names) -> Vec<Request> {
    let (action, boundary) = match names.get("boundary") {
        Some(given) => ("iam:DeleteUserPermissionsBoundary", given),
        None => ("iam:PutUserPermissionsBoundary", ADMINISTRATOR),
    };
    let request = |resource: &str| Request::new(action, resource).with("iam:PermissionsBoundary", boundary);
    names.resources().into_iter().map(request).collect()
}
