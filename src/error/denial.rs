//! Reads AWS's access denied messages: which kind of policy denies a call, who can change it, and whether waiting helps.
//!
//! The wording is documented in "Troubleshoot access denied error messages" in the IAM user guide.

use crate::error::{Error, is_denied};

/// A denied call, as AWS explains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// `None` if AWS does not say. Cross-account calls and older services get no explanation.
    kind: Option<PolicyKind>,
    /// Whether the cause is a matching `Deny` instead of a missing `Allow`.
    explicit: bool,
}

/// The kinds of policy in AWS's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PolicyKind {
    ServiceControl,
    ResourceControl,
    Boundary,
    Session,
    Identity,
    Resource,
    Endpoint,
}

/// The words in AWS's messages for each kind of policy.
const KINDS: [(&str, PolicyKind); 7] = [
    ("service control policy", PolicyKind::ServiceControl),
    ("resource control policy", PolicyKind::ResourceControl),
    ("permissions boundary", PolicyKind::Boundary),
    ("session policy", PolicyKind::Session),
    ("identity-based policy", PolicyKind::Identity),
    ("resource-based policy", PolicyKind::Resource),
    ("vpc endpoint policy", PolicyKind::Endpoint),
];

impl Denial {
    /// `None` for errors other than a denied AWS call.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Aws { code, message, .. } => Self::read(code, message),
            _ => None,
        }
    }

    /// `None` if the error code does not mean that the call was denied.
    pub(crate) fn read(code: &str, message: &str) -> Option<Self> {
        if !is_denied(code) {
            return None;
        }
        // The message may contain line breaks, in different places for each service.
        let words = message.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        Some(match words.rsplit_once("explicit deny") {
            Some((_, after)) => Self { kind: first_kind(after), explicit: true },
            None => Self {
                kind: words.rsplit_once("because no ").and_then(|(_, after)| first_kind(after)),
                explicit: false,
            },
        })
    }

    /// Whether the denial is permanent. A missing `Allow` in the role's own policies may be temporary: a new role's
    /// policies reach each service at a different time (aws-cdk#18237).
    pub(crate) fn is_permanent(self) -> bool {
        use PolicyKind::{Identity, Resource};
        self.explicit || !matches!(self.kind, None | Some(Identity | Resource))
    }

    /// Which policy denies the call, and what to do about it. `None` if AWS does not say.
    pub(crate) fn fix(self) -> Option<String> {
        let (policy, remedy) = match self.kind {
            Some(PolicyKind::ServiceControl) => (
                "A service control policy (SCP)",
                "Only your AWS Organizations administrator can change it: ask them to allow the action for the function's \
                 role.",
            ),
            Some(PolicyKind::ResourceControl) => (
                "A resource control policy (RCP)",
                "Only your AWS Organizations administrator can change it: ask them to allow the action for the function's \
                 role.",
            ),
            Some(PolicyKind::Boundary) => (
                "The permissions boundary of the function's role",
                "Allow the action in that policy, or set FunctionPermissionsBoundaryArn to a policy that allows it. If \
                 you did not choose the boundary, ask the administrator of the account.",
            ),
            Some(PolicyKind::Session) => (
                "The session policy of the function's credentials",
                "Allow the action in that policy, or run the function with the role's own credentials.",
            ),
            Some(PolicyKind::Endpoint) => (
                "The policy of the VPC endpoint through which the function calls AWS",
                "Allow the action in that policy (VPC console, Endpoints), or ask whoever manages the VPC.",
            ),
            Some(PolicyKind::Resource) => (
                "The resource policy (of the secret, or of its KMS key)",
                "Allow the function's role in that policy, or ask its owner to do so.",
            ),
            Some(PolicyKind::Identity) if self.explicit => (
                "A policy of the function's role",
                "Someone added that policy: remove its Deny statement (IAM console, Roles), or ask the administrator of the \
                 account.",
            ),
            None if self.explicit => (
                "A policy with an explicit deny",
                "Ask the administrator of the account, or of your AWS organization, to exempt the function's role.",
            ),
            Some(PolicyKind::Identity) | None => return None,
        };
        Some(format!("{policy} denies this call. {remedy} Then try again."))
    }
}

/// The kind that is named first.
fn first_kind(text: &str) -> Option<PolicyKind> {
    let found = KINDS.iter().filter_map(|(words, kind)| Some((text.find(words)?, *kind)));
    found.min_by_key(|(position, _)| *position).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: &str = "User: arn:aws:sts::111122223333:assumed-role/f/f is not authorized to perform: iam:CreateUser";

    fn read(reason: &str) -> Option<Denial> {
        Denial::read("AccessDenied", &format!("{WHO} on resource: arn:aws:iam::111122223333:user/coiled {reason}"))
    }

    #[test]
    fn each_kind_of_policy_in_a_message_is_named_in_the_advice() {
        for (kind, words) in [
            ("a service control policy", "SCP"),
            ("a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1", "SCP"),
            ("a resource control policy", "RCP"),
            ("a permissions boundary", "FunctionPermissionsBoundaryArn"),
            ("a session policy", "session policy"),
            ("an identity-based policy", "policy of the function's role"),
            ("a resource-based policy", "resource policy"),
            ("a VPC endpoint policy", "VPC endpoint"),
            ("a policy of a kind that is not known yet", "explicit deny"),
        ] {
            let denial = read(&format!("with an\nexplicit deny in {kind}"));
            assert_eq!(denial.map(Denial::is_permanent), Some(true), "{kind}");
            let fix = denial.and_then(Denial::fix).unwrap_or_default();
            assert!(fix.contains(words) && fix.ends_with("Then try again."), "{kind}: {fix}");
        }
    }

    #[test]
    fn a_missing_allow_is_permanent_unless_it_may_still_be_propagating() {
        for (kind, is_permanent) in [
            ("service control policy", true),
            ("resource control policy", true),
            ("permissions boundary", true),
            ("session policy", true),
            ("VPC endpoint policy", true),
            ("identity-based policy", false),
            ("resource-based policy", false),
        ] {
            let denial = read(&format!("because no {kind} allows the iam:CreateUser action"));
            assert_eq!(denial.map(Denial::is_permanent), Some(is_permanent), "{kind}");
        }
        assert_eq!(read("").map(Denial::is_permanent), Some(false));
        // The general advice names the role's own policies.
        for reason in ["", "because no identity-based policy allows the iam:CreateUser action"] {
            assert_eq!(read(reason).and_then(Denial::fix), None, "{reason}");
        }
    }

    #[test]
    fn other_errors_are_not_denials() {
        assert_eq!(Denial::read("Throttling", "Rate exceeded"), None);
        assert_eq!(Denial::of(&Error::Deadline), None);
    }
}
