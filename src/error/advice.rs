//! What to do about a failed AWS call, by the service's error code.

use crate::error::denial::Denial;
use crate::error::is_denied;

/// The advice for an AWS error. It names an action, and what to do after it.
pub(crate) fn aws(call: &str, code: &str, message: &str) -> String {
    if let Some(fix) = Denial::read(code, message).and_then(Denial::fix) {
        return fix;
    }
    match code {
        code if is_denied(code) => denied(call),
        "LimitExceeded" | "LimitExceededException" | "ServiceQuotaExceededException" => quota(call, message),
        "NoSuchEntity" if message.contains("Scope ARN") => NO_BOUNDARY.into(),
        code if is_clock(code, message) => CLOCK.into(),
        code => by_code(code).into(),
    }
}

fn by_code(code: &str) -> &'static str {
    match code {
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => SIGNATURE,
        "ExpiredToken" | "ExpiredTokenException" => EXPIRED,
        "InvalidClientTokenId" | "UnrecognizedClientException" => UNKNOWN_CLIENT,
        "OptInRequired" | "SubscriptionRequiredException" => SIGN_UP,
        "EntityAlreadyExists" | "EntityAlreadyExistsException" => TAKEN,
        "NoSuchEntity" => "Someone deleted this resource during this run. Try again: the next run creates it again.",
        "DeleteConflict" => "Detach or delete the resources that the AWS message names (IAM console), then try again.",
        "ConcurrentModification" | "EntityTemporarilyUnmodifiable" => {
            "Another change to this resource is in progress. Wait a minute, then try again."
        }
        "UnmodifiableEntity" => "AWS manages this resource itself. Choose another UserName, then deploy again.",
        "InvalidInput" | "ValidationError" | "ValidationException" | "InvalidParameterValue" => {
            "Correct the parameter that the AWS message names, then deploy again."
        }
        "MalformedPolicyDocument" => POLICY_BUG,
        "no response" => NETWORK,
        // Neither this code nor the next one is AWS's: `aws/reply.rs` sets them.
        "unreadable response" => PROXY,
        code if code.starts_with("status ") => PROXY,
        code if is_busy(code) => BUSY,
        _ => {
            "Fix the problem that the AWS message names, then try again. If that does not help, report the error with the \
             log."
        }
    }
}

const POLICY_BUG: &str = "This is a bug in the function's policies. Report it with the log.";
const NO_BOUNDARY: &str = "Correct PermissionsBoundaryArn: it must be the ARN of a managed policy in this account, or of \
                           an AWS managed policy. Then deploy again.";
const CLOCK: &str = "The function's clock and AWS's clock differ by several minutes. If the function runs on your own \
                     machine, synchronize the clock (NTP). In Lambda, check whether a proxy or VPC endpoint delays \
                     requests. Then try again.";
const SIGNATURE: &str = "AWS received a request that differs from the one that the function signed. Check whether a \
                         proxy or TLS inspection modifies requests, and exempt AWS's endpoints from it. If you set \
                         credentials yourself, correct the secret access key. Then try again.";
const EXPIRED: &str =
    "Try again: Lambda gives the next run new credentials. If you set credentials yourself, renew them first.";
const UNKNOWN_CLIENT: &str = "AWS does not recognize the function's credentials in the region of this call. Enable the \
                              region in this account (AWS console: Account, AWS Regions). If it is already enabled, \
                              wait a few minutes. Then try again.";
const SIGN_UP: &str = "Complete the sign-up of the AWS account (AWS console: Account), then deploy again.";
const TAKEN: &str = "Choose another UserName, or delete the existing resource if nothing is using it (IAM ignores case \
                     in names). Then deploy again.";
const NETWORK: &str = "Check that the function can reach AWS. The cause may be the network, a VPC endpoint, a proxy, or \
                       AWS_ENDPOINT_URL if you set it. Then try again.";
const PROXY: &str = "Something other than AWS responded. Check the proxy, firewall or VPC endpoint between the function and \
                     AWS, and exempt AWS's endpoints. Then try again.";
/// The advice if AWS throttled calls or was unavailable.
pub(crate) const BUSY: &str =
    "Wait a few minutes, then try again. If the problem continues, see the AWS Health Dashboard.";

fn denied(call: &str) -> String {
    let allow = "Allow the denied action in your service control policies and in FunctionPermissionsBoundaryArn, and \
                 undo manual changes to the function's role. Then try again.";
    // IAM looks up a user by name and authorizes the call against its real ARN, path included. The role's permissions
    // cover only the stack's own path, so a denied read may mean that the user exists under another path.
    if ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"].contains(&call) {
        return format!("{allow} If a user with this name exists under another path, choose another UserName instead.");
    }
    allow.into()
}

/// Whether the function's clock and AWS's clock differ. AWS then returns a message such as "Signature expired: …" or
/// "Signature not yet current: …".
fn is_clock(code: &str, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    matches!(code, "RequestExpired" | "RequestTimeTooSkewed" | "RequestInTheFuture")
        || ["signature expired", "signature not yet current", "too skewed"].iter().any(|words| message.contains(words))
}

fn is_busy(code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    ["throttl", "toomanyrequests", "requestlimitexceeded", "slowdown", "unavailable", "servicefailure", "internal"]
        .iter()
        .any(|part| code.contains(part))
}

/// One of IAM's quotas. They are listed in "IAM and AWS STS quotas" in the IAM user guide.
struct Quota {
    /// The part of the AWS message that names the quota, in lower case. For example, `usersperaccount` is part of
    /// "Cannot exceed quota for UsersPerAccount: 5000".
    message: &'static str,
    /// The beginning of the call's name, for messages that do not name the quota.
    call: &'static str,
    name: &'static str,
    /// How to get below the quota. Empty if only a change of this project can.
    room: &'static str,
    /// Whether AWS raises the quota on request.
    can_be_raised: bool,
}

/// If a message matches several quotas, the first of them is the most specific.
const QUOTAS: [Quota; 7] = [
    Quota {
        message: "tag",
        call: "Tag",
        name: "50 tags per user or policy",
        room: "Remove tags from that user or policy, or from the parameter Tags",
        can_be_raised: false,
    },
    Quota {
        message: "versions",
        call: "CreatePolicyVersion",
        name: "5 versions per managed policy",
        room: "Delete versions that are no longer needed (aws iam delete-policy-version)",
        can_be_raised: false,
    },
    Quota {
        message: "accesskeysperuser",
        call: "CreateAccessKey",
        name: "2 access keys per user",
        room: "Delete a key that is no longer used (aws iam delete-access-key)",
        can_be_raised: false,
    },
    Quota {
        message: "policiesperuser",
        call: "AttachUserPolicy",
        name: "10 managed policies per user",
        room: "Detach policies that the user does not need (aws iam detach-user-policy)",
        can_be_raised: true,
    },
    Quota {
        message: "policysize",
        call: "",
        name: "6,144 characters per managed policy",
        room: "",
        can_be_raised: false,
    },
    Quota {
        message: "policiesperaccount",
        call: "CreatePolicy",
        name: "1,500 customer managed policies per account",
        room: "Delete customer managed policies that are no longer used",
        can_be_raised: true,
    },
    Quota {
        message: "usersperaccount",
        call: "CreateUser",
        name: "5,000 IAM users per account",
        room: "Delete IAM users that are no longer used",
        can_be_raised: false,
    },
];

fn quota(call: &str, message: &str) -> String {
    let message = message.to_ascii_lowercase();
    let named = QUOTAS.iter().find(|quota| message.contains(quota.message));
    let by_call = || QUOTAS.iter().find(|quota| !quota.call.is_empty() && call.starts_with(quota.call));
    let Some(quota) = named.or_else(by_call) else {
        return "Delete resources that count toward the quota in the AWS message, or ask AWS to raise the quota (Service \
                Quotas console). Then try again."
            .into();
    };
    if quota.room.is_empty() {
        return format!("This call exceeds an IAM quota ({}). {POLICY_BUG}", quota.name);
    }
    let raise = if quota.can_be_raised { ", or ask AWS to raise the quota (Service Quotas console)" } else { "" };
    format!("This call exceeds an IAM quota (default: {}). {}{raise}. Then try again.", quota.name, quota.room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceeded_quota_is_named_with_a_way_to_get_below_it() {
        for (call, message, words) in [
            ("CreateUser", "Cannot exceed quota for UsersPerAccount: 5000", "5,000 IAM users"),
            ("CreatePolicy", "Cannot exceed quota for PoliciesPerAccount: 1500", "1,500 customer managed policies"),
            ("AttachUserPolicy", "Cannot exceed quota for PoliciesPerUser: 10", "10 managed policies per user"),
            ("CreatePolicyVersion", "A managed policy can have up to 5 versions.", "5 versions"),
            ("CreateAccessKey", "Cannot exceed quota for AccessKeysPerUser: 2", "2 access keys"),
            ("TagUser", "The number of tags has reached the maximum limit.", "50 tags"),
            ("CreateUser", "Cannot exceed quota for TagsPerUser: 50", "50 tags"),
            // Messages that do not name the quota.
            ("CreatePolicy", "", "1,500 customer managed policies"),
            ("CreatePolicyVersion", "", "5 versions"),
            ("TagPolicy", "", "50 tags"),
            ("DeleteUser", "", "Service Quotas"),
        ] {
            let fix = aws(call, "LimitExceeded", message);
            assert!(fix.contains(words) && fix.ends_with("Then try again."), "{call} {message}: {fix}");
        }
    }

    /// Nobody but this project can make the policies shorter, so trying again does not help.
    #[test]
    fn a_policy_that_is_too_long_is_a_bug_to_report() {
        let fix = aws("CreatePolicy", "LimitExceeded", "Cannot exceed quota for PolicySize: 6144");
        assert_eq!(
            fix,
            "This call exceeds an IAM quota (6,144 characters per managed policy). This is a bug in the function's \
             policies. Report it with the log."
        );
    }

    #[test]
    fn each_kind_of_failure_has_its_own_advice() {
        let expired =
            "Signature expired: 20261125T010000Z is now earlier than 20261125T015500Z (20261125T020000Z - 5 min.)";
        for (code, message, words) in [
            ("SignatureDoesNotMatch", expired, "clock"),
            ("InvalidSignatureException", "Signature not yet current: 1 is still later than 2", "clock"),
            ("RequestExpired", "Request has expired.", "clock"),
            ("RequestTimeTooSkewed", "", "clock"),
            ("SignatureDoesNotMatch", "The request signature we calculated does not match", "TLS inspection"),
            ("IncompleteSignature", "", "TLS inspection"),
            ("ExpiredToken", "", "new credentials"),
            ("UnrecognizedClientException", "", "Enable the region"),
            ("OptInRequired", "", "sign-up"),
            ("NoSuchEntity", "Scope ARN: arn:aws:iam::1:policy/b does not exist", "PermissionsBoundaryArn"),
            ("NoSuchEntity", "The user with name coiled cannot be found.", "deleted this resource"),
            ("EntityAlreadyExists", "", "another UserName"),
            ("DeleteConflict", "", "Detach"),
            ("Throttling", "Rate exceeded", "Wait a few minutes"),
            ("ServiceUnavailable", "", "Health Dashboard"),
            ("no response", "", "reach AWS"),
            ("unreadable response", "", "proxy"),
            ("status 502", "", "proxy"),
            ("AccessDenied", "", "service control policies"),
            ("SomethingNew", "", "AWS message"),
        ] {
            let fix = aws("CreateUser", code, message);
            assert!(fix.contains(words), "{code}: {fix}");
        }
    }
}
