//! The causes of a failed request. Each variant of [`Error`] has its own advice for the person who reads the status
//! reason in the CloudFormation console.

pub(crate) mod advice;
pub(crate) mod denial;
mod failure;
mod secret;
mod workspace;

use std::fmt;

use crate::certificate::Problem;
use crate::redact::shorten;

pub(crate) use failure::Failure;
pub(crate) use secret::Unreadable;
pub use secret::Unusable;
pub(crate) use workspace::{NamedBy, OtherWorkspace};

/// One cause of a failed request. `Display` describes the cause. [`Error::fix`] says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A required field of the request is missing or has an unknown value.
    #[error("the request is invalid: {0}")]
    Request(String),
    /// Every property that is unknown or has an invalid value, so that one deployment reports all of them.
    #[error("{}", join(.0))]
    Properties(Vec<InvalidProperty>),
    /// An Update that changes a property that identifies the connection.
    #[error("{} cannot change after the stack is created", .0.join(", "))]
    Identity(Vec<String>),
    /// The secret that holds a token could not be read.
    #[error("secret {arn}: {cause}")]
    Secret {
        /// The secret's ARN.
        arn: String,
        /// Why: the failed call to Secrets Manager, or what is wrong with the secret's content.
        cause: String,
        /// The kind of failure, which decides the advice.
        why: Unreadable,
    },
    /// The token is invalid, or its owner lacks a permission at Coiled.
    #[error("Coiled rejected the API token (status {status}): {words}")]
    Token {
        /// 401 or 403.
        status: u16,
        /// Coiled's message.
        words: String,
    },
    /// The token cannot be used for this workspace.
    #[error("{0}")]
    Workspace(String),
    /// The user's tag and the stack name different workspaces.
    #[error("{0}")]
    OtherWorkspace(Box<OtherWorkspace>),
    /// The region does not exist or is not enabled, or its STS endpoint rejects the function.
    #[error("region {region}: {cause}")]
    Region {
        /// The region's code, such as `us-east-2`.
        region: String,
        /// The error from its STS endpoint.
        cause: String,
    },
    /// The region is enabled in the account, but its STS endpoint is deactivated in IAM's settings.
    #[error("region {region}: {cause}")]
    StsInactive {
        /// The region's code.
        region: String,
        /// The error from its STS endpoint.
        cause: String,
    },
    /// A user or policy with the required name does not carry this stack's ownership tags.
    #[error("{what} exists and was not created by this stack")]
    Foreign {
        /// Its ARN or name, and the stack in its ownership tags if there is one.
        what: String,
    },
    /// The user to adopt does not have the required permissions boundary. The function's role can add a boundary but
    /// cannot remove it, so a failed Create could not undo that.
    #[error(
        "user {arn} does not have the permissions boundary {wanted}, and the function does not add boundaries to adopted \
         users, because it could not remove them after a failed Create"
    )]
    Unbounded {
        /// The user's ARN.
        arn: String,
        /// The ARN of the boundary in `PermissionsBoundaryArn`.
        wanted: String,
    },
    /// Coiled shows a connection for this workspace that this stack did not create.
    #[error("workspace {workspace} is already connected ({shown})")]
    Connected {
        /// The workspace's slug.
        workspace: String,
        /// The connection as Coiled shows it.
        shown: String,
        /// The page at Coiled that shows the connection.
        settings: Box<str>,
    },
    /// The user has as many access keys as IAM allows, and Coiled may be using any of them.
    #[error(
        "user {user} already has as many access keys as IAM allows, and Coiled may be using any of them. {}",
        .keys.join("; ")
    )]
    NoKeySlot {
        /// The user's name.
        user: String,
        /// Each key with its last use and the command that deletes it.
        keys: Vec<String>,
        /// How many of them must be deleted.
        surplus: usize,
    },
    /// STS rejected the new access key until the run had no time left.
    #[error("the new access key {id} still does not work {seconds} s after it was created: {cause}")]
    KeyNotWorking {
        /// The key's id.
        id: String,
        /// The key's age after the last attempt.
        seconds: u64,
        /// The last error from STS.
        cause: Box<Error>,
    },
    /// Another run for the same stack holds the lease.
    #[error("another run is working on this user: {0}")]
    Busy(String),
    /// An AWS call failed, and its retries (if any) failed too.
    #[error("{call}: {code}: {message}")]
    Aws {
        /// The operation's name in the AWS API reference.
        call: &'static str,
        /// The service's error code. `no response` or `unreadable response` if the service sent none.
        code: String,
        /// The service's message. After retries, it also says how long they took.
        message: Box<str>,
        /// The kind of failure, which decides the advice.
        trouble: Trouble,
        /// Whether the call may have taken effect.
        may_have_worked: bool,
    },
    /// Coiled responded with an error status.
    #[error("{call}: Coiled returned status {status}: {words}")]
    Coiled {
        /// HTTP method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Coiled's message.
        words: String,
    },
    /// The connection to Coiled failed or timed out.
    #[error("{call}: no response from {server}: {cause}")]
    Unreachable {
        /// HTTP method and path.
        call: String,
        /// The Coiled server's URL.
        server: String,
        /// Why there is no response.
        cause: String,
    },
    /// The Coiled server cannot prove its identity, or does not speak TLS.
    #[error("{call}: {server} cannot be trusted: {problem}")]
    Untrusted {
        /// Method and path.
        call: String,
        /// The server's URL.
        server: String,
        /// What is wrong with its certificate.
        problem: Box<Problem>,
    },
    /// Coiled reported an error for the registration.
    #[error("Coiled rejected the registration: {0}")]
    Rejected(String),
    /// The connection broke after the registration was sent. Coiled may hold the new key.
    #[error("the registration was sent, but its outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// A call succeeded, but Coiled or AWS does not show its result.
    #[error("{0}")]
    Unconfirmed(String),
    /// Coiled disconnects only after confirmation, because running clusters would be orphaned.
    #[error("Coiled asks for confirmation: {0}")]
    Confirm(String),
    /// Manual changes that block the deletion, each with the command that undoes it.
    #[error("{}", .0.join("; "))]
    Blocked(Vec<String>),
    /// The run reached [`crate::deadline::Deadlines::work`].
    #[error("the run reached its time limit")]
    Deadline,
    /// A bug in this function: a panic or a broken invariant.
    #[error("internal error: {0}")]
    Internal(String),
    /// Independent causes, reported together.
    #[error("{}", several(.0, Error::to_string))]
    Several(Vec<Error>),
}

impl Error {
    /// Combines errors into one. Returns `None` for an empty list.
    pub(crate) fn all(mut errors: Vec<Error>) -> Option<Error> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(Error::Several(errors)),
        }
    }

    /// What the person who deploys or deletes the stack should do.
    pub fn fix(&self) -> String {
        match self {
            Error::Request(_) => {
                "Nothing was changed. Send an event like the examples in the repository's `events` directory.".into()
            }
            Error::Properties(_) => "Nothing was changed. Correct these properties, then deploy again.".into(),
            Error::Identity(_) => {
                "Nothing was changed. Delete and recreate the stack with the new values, or create a second stack."
                    .into()
            }
            Error::Secret { why, .. } => why.fix(),
            Error::Token { status: 403, .. } => format!(
                "Ask a workspace admin to give the token's owner the missing permission, then deploy again. Or replace \
                 the token. {NEW_TOKEN}"
            ),
            Error::Token { .. } => NEW_TOKEN.into(),
            Error::Workspace(_) => {
                "Correct Workspace, or use a token whose owner is an admin of that workspace. Then deploy again.".into()
            }
            Error::OtherWorkspace(other) => other.fix(),
            Error::Region { .. } => {
                "Enable the region (AWS console: Account, AWS Regions) or choose another Region. If a service control \
                 policy blocks it, ask your AWS Organizations administrator. Then deploy again."
                    .into()
            }
            Error::StsInactive { region, .. } => format!(
                "Activate STS in {region}: IAM console, Account settings, Security Token Service (STS), Endpoints (not \
                 on the AWS Regions page). Or choose another Region. Then deploy again."
            ),
            Error::Foreign { .. } => {
                "Choose another UserName, or delete the existing resource if nothing is using it. If `coiled setup aws` \
                 created it, you can set AdoptExisting to true instead (this cannot be undone). If it belongs to this \
                 stack but has lost its ownership tags, tag it again: set coiled-stack:stack-id to the stack's ARN and \
                 coiled-stack:logical-id to Connection."
                    .into()
            }
            Error::Unbounded { arn, wanted, .. } => format!(
                "Nothing was changed. Add the boundary (aws iam put-user-permissions-boundary --user-name {} \
                 --permissions-boundary {wanted}), then deploy again.",
                arn.rsplit('/').next().unwrap_or_default()
            ),
            Error::Connected { settings, .. } => format!(
                "Look at {settings}. If nothing is using this connection, disconnect it there, then deploy again. Otherwise \
                 choose another Workspace. AdoptExisting=true replaces the connection with one that this stack creates. \
                 Coiled then deletes the earlier credentials, which cannot be restored."
            ),
            Error::NoKeySlot { surplus, .. } => format!(
                "Delete {surplus} of these keys with the commands above, then deploy again. Keep the key that Coiled \
                 is using: the last use of each key helps to identify it. If you are not sure, first deactivate a key \
                 (aws iam update-access-key --status Inactive) and start a cluster. If the cluster does not start, \
                 Coiled is using that key: reactivate it."
            ),
            Error::KeyNotWorking { .. } => {
                "Try again: a new key usually works within seconds. If it keeps failing, check the AWS Health Dashboard, and \
                 look in CloudTrail for DeleteAccessKey and UpdateAccessKey: an automated process in this account may \
                 delete or deactivate new keys. If so, exempt this user from it."
                    .into()
            }
            Error::Busy(_) => {
                "Wait until that run ends (at most 15 minutes), then try again. If it was killed, you can remove its \
                 lease instead (aws iam untag-user --user-name NAME --tag-keys coiled-stack:lease)."
                    .into()
            }
            Error::Aws { trouble: Trouble::Busy, .. } => advice::BUSY.into(),
            Error::Aws { call, code, message, .. } => advice::aws(call, code, message),
            Error::Coiled { status: 426, .. } => {
                "Deploy the newest release of this stack (git pull, then make deploy or make update).".into()
            }
            Error::Coiled { words, .. } if words.contains("an HTML page") => {
                "Check that CoiledServer is a Coiled server, and check the proxy, firewall or load balancer in front of it. \
                 Then try again."
                    .into()
            }
            Error::Coiled { .. } => {
                "Try again. If it keeps failing and Coiled's message does not help, send the message to \
                 support@coiled.io."
                    .into()
            }
            Error::Untrusted { problem, .. } => problem.fix().into(),
            Error::Unreachable { .. } => {
                "Check that CoiledServer is correct, that the server is running, and that the function can reach it. Then \
                 try again."
                    .into()
            }
            Error::Rejected(_) => "Fix the problem in Coiled's message, then deploy again.".into(),
            Error::OutcomeUnknown(_) => {
                "Coiled may still be processing the registration. Try again: the next run finds out whether it \
                 succeeded. If Coiled still shows a connection after the stack is deleted, disconnect it in the \
                 workspace's settings at Coiled. Its key no longer works."
                    .into()
            }
            Error::Unconfirmed(_) => {
                "Try again. If it keeps failing, contact support for the service named in this message (Coiled: \
                 support@coiled.io)."
                    .into()
            }
            Error::Confirm(_) => {
                "Stop the workspace's clusters, then delete the stack again. If you disconnect the workspace while \
                 they are running, Coiled can no longer stop them."
                    .into()
            }
            Error::Blocked(_) => "Nothing was deleted. Run the commands above, then delete the stack again.".into(),
            Error::Deadline => "Try again. The log shows which step took too long.".into(),
            Error::Internal(_) => "This is a bug in the function. Try again, and report the bug with the log.".into(),
            Error::Several(errors) => fixes(errors),
        }
    }
}

/// The advice for a token that no longer works.
const NEW_TOKEN: &str = "Create a new token at Coiled (Profile, API tokens). Set CoiledToken to it, or store it in \
                         your secret. Then deploy again.";

/// Whether an AWS error code means that a permission is missing or explicitly denied.
pub(crate) fn is_denied(code: &str) -> bool {
    matches!(code, "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
}

/// The advice for all errors, without duplicates, in the order of the errors.
fn fixes(errors: &[Error]) -> String {
    let mut all: Vec<String> = Vec::new();
    for fix in errors.iter().map(Error::fix) {
        if !all.contains(&fix) {
            all.push(fix);
        }
    }
    all.join(" ")
}

fn several(errors: &[Error], text: impl Fn(&Error) -> String) -> String {
    let numbered = errors.iter().enumerate().map(|(n, error)| format!("{}) {}", n + 1, text(error)));
    format!("{} causes: {}", errors.len(), numbered.collect::<Vec<_>>().join("; "))
}

fn join(properties: &[InvalidProperty]) -> String {
    properties.iter().map(InvalidProperty::to_string).collect::<Vec<_>>().join("; ")
}

/// A property that is unknown or has an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProperty {
    /// The property's name and the position inside it, such as `Ingress[0].Cidr`.
    pub property: String,
    /// What is wrong and which values are valid. Reads as a predicate after the name, such as `is required`.
    pub problem: String,
}

impl InvalidProperty {
    /// The documentation of the fields describes the form of each text.
    pub(crate) fn new(property: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { property: property.into(), problem: problem.into() }
    }
}

impl fmt::Display for InvalidProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shorten(&self.property, 80), self.problem)
    }
}

/// How an AWS call failed. This decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// AWS rejected the call, and would reject it again.
    Rejected,
    /// A permission is missing or the credentials are unknown. For a new role, either may be temporary.
    NotPermitted,
    /// AWS is throttling calls or is unavailable.
    Busy,
    /// The connection broke, or the response never arrived or could not be read.
    Lost,
    /// The function could not connect. A wrong endpoint is a more likely cause than a short outage.
    Unreachable,
    /// The response came from something between the function and AWS, for example a proxy.
    NotAws,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::denial::Denial;

    fn aws(code: &str, message: &str) -> Error {
        Error::Aws {
            call: "CreateUser",
            code: code.into(),
            message: message.into(),
            trouble: Trouble::Rejected,
            may_have_worked: false,
        }
    }

    fn unreadable(why: Unreadable) -> Error {
        Error::Secret { arn: "arn".into(), cause: "cause".into(), why }
    }

    /// Lists the examples of each variant. A new variant does not compile without a row of its own.
    macro_rules! of_every_variant {
        ($($variant:pat => $examples:expr,)+) => {{
            let is_listed = |error: &Error| match error { $($variant => {})+ };
            let rows: Vec<Vec<Error>> = vec![$({
                let row = Vec::from($examples);
                assert!(row.iter().all(|error| matches!(error, $variant)) && !row.is_empty());
                row
            }),+];
            rows.iter().flatten().for_each(is_listed);
            rows.concat()
        }};
    }

    /// At least one error for each piece of advice.
    fn all() -> Vec<Error> {
        let text = || "text".to_owned();
        let coiled = |status, words: &str| Error::Coiled { call: text(), status, words: words.into() };
        of_every_variant! {
            Error::Request(_) => [Error::Request(text())],
            Error::Properties(_) => [Error::Properties(vec![InvalidProperty::new("Region", "is required")])],
            Error::Identity(_) => [Error::Identity(vec![text()])],
            Error::Secret { .. } => unreadable_secrets(),
            Error::Token { .. } => [401, 403].map(|status| Error::Token { status, words: text() }),
            Error::Workspace(_) => [Error::Workspace(text())],
            Error::OtherWorkspace(_) => [NamedBy::Token, NamedBy::Property].map(other_workspace),
            Error::Region { .. } => [Error::Region { region: text(), cause: text() }],
            Error::StsInactive { .. } => [Error::StsInactive { region: text(), cause: text() }],
            Error::Foreign { .. } => [Error::Foreign { what: text() }],
            Error::Unbounded { .. } => [Error::Unbounded { arn: text(), wanted: text() }],
            Error::Connected { .. } => [Error::Connected { workspace: text(), shown: text(), settings: "x".into() }],
            Error::NoKeySlot { .. } => [Error::NoKeySlot { user: text(), keys: vec![text()], surplus: 1 }],
            Error::KeyNotWorking { .. } => [Error::KeyNotWorking { id: text(), seconds: 1, cause: Error::Deadline.into() }],
            Error::Busy(_) => [Error::Busy(text())],
            Error::Aws { .. } => rejected_calls(),
            Error::Coiled { .. } => [coiled(426, "upgrade"), coiled(500, "sorry"), coiled(502, "an HTML page")],
            Error::Unreachable { .. } => [Error::Unreachable { call: text(), server: text(), cause: text() }],
            Error::Untrusted { .. } => untrusted(),
            Error::Rejected(_) => [Error::Rejected(text())],
            Error::OutcomeUnknown(_) => [Error::OutcomeUnknown(text())],
            Error::Unconfirmed(_) => [Error::Unconfirmed(text())],
            Error::Confirm(_) => [Error::Confirm(text())],
            Error::Blocked(_) => [Error::Blocked(vec![text()])],
            Error::Deadline => [Error::Deadline],
            Error::Internal(_) => [Error::Internal(text())],
            Error::Several(_) => [Error::Several(vec![Error::Workspace(text()), Error::Token { status: 401, words: text() }])],
        }
    }

    fn unreadable_secrets() -> Vec<Error> {
        let explicit = Denial::read("AccessDenied", "with an explicit deny in a service control policy");
        let denied = |denial, may_lack_suffix| Unreadable::Denied { denial, may_lack_suffix };
        let reasons = [
            Unreadable::Missing,
            Unreadable::NoValue,
            Unreadable::Deleted,
            Unreadable::Encrypted,
            Unreadable::KeyDenied(None),
            Unreadable::KeyDenied(explicit),
            denied(None, false),
            denied(None, true),
            denied(explicit, false),
            Unreadable::Passing(Box::new(aws("Throttling", "Rate exceeded"))),
        ];
        let contents = [
            Unusable::Empty,
            Unusable::Binary,
            Unusable::Masked,
            Unusable::Quoted,
            Unusable::NoKey,
            Unusable::NotText,
            Unusable::BrokenJson,
            Unusable::Unsendable,
        ];
        reasons.into_iter().chain(contents.map(Unreadable::Unusable)).map(unreadable).collect()
    }

    fn other_workspace(by: NamedBy) -> Error {
        let (user, slug, tagged) = ("coiled".into(), "ada".into(), "team".into());
        Error::OtherWorkspace(Box::new(OtherWorkspace { user, slug, by, tagged }))
    }

    fn rejected_calls() -> Vec<Error> {
        let codes = ["LimitExceeded", "NoSuchEntity", "SignatureDoesNotMatch", "RequestExpired", "ExpiredToken"];
        let others = ["AccessDenied", "EntityAlreadyExists", "DeleteConflict", "ServiceUnavailable", "no response"];
        let rest = ["unreadable response", "InvalidClientTokenId", "SomethingNew"];
        codes.iter().chain(&others).chain(&rest).map(|code| aws(code, "")).collect()
    }

    fn untrusted() -> Vec<Error> {
        let text = || "text".to_owned();
        let problems = [
            Problem::UnknownAuthority,
            Problem::Expired(text()),
            Problem::NotYetValid,
            Problem::WrongName(text()),
            Problem::Invalid(text()),
            Problem::NotTls,
        ];
        let untrusted = |problem| Error::Untrusted { call: text(), server: text(), problem: Box::new(problem) };
        problems.map(untrusted).into()
    }

    /// At least one sentence begins with an action for the reader.
    #[test]
    fn all_advice_names_an_action() {
        const ACTIONS: [&str; 28] = [
            "Activate",
            "Add",
            "Allow",
            "Ask",
            "Check",
            "Choose",
            "Complete",
            "Copy",
            "Correct",
            "Create",
            "Delete",
            "Deploy",
            "Detach",
            "Disconnect",
            "Enable",
            "Fix",
            "Put",
            "Renew",
            "Replace",
            "Restore",
            "Run",
            "Send",
            "Set",
            "Stop",
            "Store",
            "Try again",
            "Use the",
            "Wait",
        ];
        for error in all() {
            let fix = error.fix();
            let mut sentences = fix.split(['.', ':', ',']).map(str::trim);
            let is_action = |sentence: &str| {
                let verb = |action: &&str| sentence.to_lowercase().starts_with(&action.to_lowercase());
                ACTIONS.iter().any(verb)
            };
            assert!(sentences.any(is_action) && fix.ends_with('.'), "{error:?}: {fix}");
        }
    }

    #[test]
    fn only_a_response_that_is_a_web_page_questions_the_server() {
        for (words, is_page) in [("sorry", false), ("an HTML page (Bad Gateway)", true)] {
            let error = Error::Coiled { call: "GET /".into(), status: 502, words: words.into() };
            assert_eq!(error.fix().contains("Check that CoiledServer"), is_page, "{}", error.fix());
        }
    }

    /// Any other failure would occur again.
    #[test]
    fn only_failures_that_may_be_transient_have_advice_that_begins_with_try_again() {
        for error in all().iter().filter(|error| error.fix().starts_with("Try again")) {
            let may_pass = matches!(
                error,
                Error::Aws { .. }
                    | Error::Coiled { .. }
                    | Error::KeyNotWorking { .. }
                    | Error::Unconfirmed(_)
                    | Error::Deadline
            );
            assert!(may_pass, "{error:?}: {}", error.fix());
        }
    }
}
