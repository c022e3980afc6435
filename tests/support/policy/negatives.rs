//! What must never be granted, made from what is: the same calls with a stranger in the place of something of ours.

use std::collections::BTreeSet;

use super::arn::strangers;
use super::evaluate::Request;
use super::names::Names;

/// What the function never does, and what would make it, or others, more than they are. Each is asked in the place of
/// every call that is made, with all that is known of it.
const NEVER: [&str; 66] = [
    // To become or make somebody else.
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
    // To look around.
    "iam:GetAccountAuthorizationDetails",
    "iam:GetUserPolicy",
    "iam:ListGroups",
    "iam:ListPolicies",
    "iam:ListRoles",
    "iam:ListUsers",
    "iam:SimulatePrincipalPolicy",
    // With secrets and keys.
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
    // With the log, beyond writing to it.
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:DeleteLogStream",
    "logs:DeleteRetentionPolicy",
    "logs:GetLogEvents",
    "logs:PutSubscriptionFilter",
    // Elsewhere.
    "cloudformation:UpdateStack",
    "ec2:RunInstances",
    "lambda:AddPermission",
    "lambda:InvokeFunction",
    "lambda:UpdateFunctionCode",
    "s3:GetObject",
    "organizations:LeaveOrganization",
];

/// AWS's policy for administrators.
const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Everything that must be denied under these names, where `calls` is what is made.
pub fn of(calls: &BTreeSet<Request>, names: &Names) -> BTreeSet<Request> {
    let never = NEVER.iter().flat_map(|action| {
        let everything = [Request::new(*action, "*")];
        let instead = calls.iter().map(|call| Request { action: (*action).to_owned(), ..call.clone() });
        everything.into_iter().chain(instead)
    });
    let foreign = calls.iter().flat_map(with_strangers);
    let unbound = calls.iter().flat_map(|call| out_of_bounds(call, names));
    let all = never.chain(foreign).chain(unbound).chain(other_boundary_action(names));
    all.filter(|request| !calls.contains(request)).collect()
}

/// The same with each stranger's ARN.
fn with_strangers(call: &Request) -> Vec<Request> {
    strangers(&call.resource).into_iter().map(|resource| Request { resource, ..call.clone() }).collect()
}

/// The same with each condition that binds it missing, or of a stranger.
fn out_of_bounds(call: &Request, names: &Names) -> Vec<Request> {
    let mut all = Vec::new();
    for key in bounds(&call.action, names) {
        let mut missing = call.clone();
        let values = missing.context.remove(*key).unwrap_or_default();
        let others = values.iter().flat_map(|value| others(value)).chain([ADMINISTRATOR.to_owned()]);
        all.extend(others.map(|other| missing.clone().with(key, other)));
        all.push(missing);
    }
    all
}

/// The context keys that have to bind a call.
fn bounds(action: &str, names: &Names) -> &'static [&'static str] {
    match (action, names.has("boundary")) {
        ("iam:AttachUserPolicy", true) => &["iam:PolicyARN", "iam:PermissionsBoundary"],
        ("iam:AttachUserPolicy", false) => &["iam:PolicyARN"],
        ("iam:CreateUser" | "iam:PutUserPermissionsBoundary", true) => &["iam:PermissionsBoundary"],
        ("kms:Decrypt", _) => &["kms:ViaService", "kms:EncryptionContext:SecretARN"],
        _ => &[],
    }
}

fn others(value: &str) -> Vec<String> {
    if value.starts_with("arn:") {
        return strangers(value);
    }
    // secretsmanager.REGION.amazonaws.com
    let parts: Vec<&str> = value.split('.').collect();
    let with = |n: usize, part: &str| [&parts[..n], &[part], &parts[n + 1..]].concat().join(".");
    vec![with(0, "s3"), with(1, "ap-southeast-4"), format!("{value}.example"), format!("a-{value}")]
}

/// With a boundary given it can't be taken off; without one, none can be put on.
fn other_boundary_action(names: &Names) -> Vec<Request> {
    let (action, boundary) = match names.get("boundary") {
        Some(given) => ("iam:DeleteUserPermissionsBoundary", given),
        None => ("iam:PutUserPermissionsBoundary", ADMINISTRATOR),
    };
    let request = |resource: &str| Request::new(action, resource).with("iam:PermissionsBoundary", boundary);
    names.resources().into_iter().map(request).collect()
}
