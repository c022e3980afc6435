//! What can go wrong, sorted by what the reader of the CloudFormation console does next.

use std::fmt;

use crate::redact::shorten;

/// One cause of a failed request. `Display` says what happened, [`Error::fix`] what to do now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The request itself can't be understood.
    #[error("the request is not one that CloudFormation sends: {0}")]
    Request(String),
    /// Properties that are unknown or out of their set; all of them.
    #[error("{}", join(.0))]
    Properties(Vec<InvalidProperty>),
    /// The identity of the connection would change.
    #[error("{} can't change during the life of a stack", .0.join(", "))]
    Identity(Vec<String>),
    /// The secret with a token could not be read.
    #[error("secret {arn}: {cause}")]
    Secret {
        /// The secret's ARN.
        arn: String,
        /// What Secrets Manager said, with its code.
        cause: String,
        /// Why, as far as the reader has to do something about it.
        why: Unreadable,
    },
    /// Coiled does not accept the token.
    #[error("Coiled does not accept the API token (status {status}): {words}")]
    Token {
        /// 401 or 403.
        status: u16,
        /// Coiled's own words.
        words: String,
    },
    /// The workspace is not one of the token's.
    #[error("{0}")]
    Workspace(String),
    /// The region is not enabled, or there is none of that name.
    #[error("region {region}: {cause}")]
    Region {
        /// Its code.
        region: String,
        /// What its STS said.
        cause: String,
    },
    /// Something of the same name is not ours.
    #[error("{what} exists and was not made by this stack")]
    Foreign {
        /// The thing's ARN or name, and whose it is where it says so.
        what: String,
    },
    /// The user that would become ours has another boundary than it shall have, or none.
    #[error("user {arn} has not the permissions boundary {wanted}, and this function could not take it off again")]
    Unbounded {
        /// The user's ARN.
        arn: String,
        /// The boundary that it shall have.
        wanted: String,
    },
    /// The workspace is connected to something else already.
    #[error("workspace {workspace} is already connected ({shown})")]
    Connected {
        /// The workspace's slug.
        workspace: String,
        /// What Coiled shows of the connection.
        shown: String,
    },
    /// Another run of this stack is at work, or has taken over.
    #[error("another run works on this user: {0}")]
    Busy(String),
    /// An AWS call failed for good.
    #[error("{call}: {code}: {message}")]
    Aws {
        /// The operation's name, as in IAM's documentation.
        call: &'static str,
        /// The service's error code, or what became of the call.
        code: String,
        /// The service's message.
        message: String,
    },
    /// Coiled answered, with an error.
    #[error("{call}: Coiled answered {status}: {words}")]
    Coiled {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Coiled's own words.
        words: String,
    },
    /// Coiled did not answer.
    #[error("{call}: no answer from {server}: {cause}")]
    Unreachable {
        /// Method and path.
        call: String,
        /// The server's origin.
        server: String,
        /// What the connection died of.
        cause: String,
    },
    /// Coiled refused the registration.
    #[error("Coiled refused the registration: {0}")]
    Rejected(String),
    /// The registration was sent, and nothing says what became of it.
    #[error("the registration was sent, and its outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// A reply of success that what Coiled or IAM shows does not bear out.
    #[error("{0}")]
    Unconfirmed(String),
    /// Coiled asks a person before it forgets the credentials.
    #[error("Coiled asks for a confirmation: {0}")]
    Confirm(String),
    /// A person's doing that only a person can undo.
    #[error("{}", .0.join("; "))]
    Blocked(Vec<String>),
    /// Time ran out.
    #[error("the time of this run was over")]
    Deadline,
    /// A defect of this function.
    #[error("a defect in the function itself: {0}")]
    Internal(String),
    /// Several independent causes.
    #[error("{}", several(.0))]
    Several(Vec<Error>),
}

/// Why a secret can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// There is none.
    Missing,
    /// It is marked for deletion.
    Deleted,
    /// Its KMS key can't be used.
    Encrypted,
    /// The role has no right to it.
    Denied,
    /// It holds no token.
    Empty,
    /// A bad moment: the same call may work later.
    Passing,
}

impl Unreadable {
    /// What the reader does now.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Missing => "Correct the ARN: there is no such secret in that account and region. Then deploy again.",
            Self::Deleted => "Restore the secret (aws secretsmanager restore-secret), and deploy again.",
            Self::Encrypted => {
                "Let the function's role use the secret's KMS key (CoiledTokenKmsKeyArn), and deploy again."
            }
            Self::Denied => {
                "Let the function's role read this secret, and its KMS key if it has one of its own (CoiledTokenKmsKeyArn); \
                 then deploy again."
            }
            Self::Empty => "Store the token as plain text, or as JSON with a key `token`, and deploy again.",
            Self::Passing => "Try again; if it stays so, the AWS message says what is in the way.",
        }
    }
}

impl Error {
    /// One error out of many; `None` where there is none.
    pub fn all(mut errors: Vec<Error>) -> Option<Error> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(Error::Several(errors)),
        }
    }

    /// What the reader does now.
    pub fn fix(&self) -> String {
        match self {
            Error::Request(_) => "Nothing was touched. Send what CloudFormation sends.".into(),
            Error::Properties(_) => "Nothing was touched. Correct these, and deploy again.".into(),
            Error::Identity(_) => {
                "Nothing was touched. Delete this stack and launch it anew, or launch a second one beside it.".into()
            }
            Error::Secret { why, .. } => why.fix().into(),
            Error::Token { status: 403, .. } => {
                "See that the token's owner may do that in this workspace; or make a new token at Coiled (profile, API \
                 tokens), store it in the secret, and deploy again."
                    .into()
            }
            Error::Token { .. } => {
                "Make a new token at Coiled (profile, API tokens), store it in the secret, and deploy again.".into()
            }
            Error::Workspace(_) => "Correct Workspace, and deploy again.".into(),
            Error::Region { .. } => {
                "Enable the region in the account (Account page, AWS Regions), or choose another Region.".into()
            }
            Error::Foreign { .. } => {
                "Choose another UserName; or, if `coiled setup aws` made it, set AdoptExisting to true \
                 (this can't be undone); or delete it. If it is this stack's and has lost its tags, put them back: \
                 coiled-stack:stack-id and coiled-stack:logical-id."
                    .into()
            }
            Error::Unbounded { arn, wanted, .. } => format!(
                "Nothing was touched. Put it on (aws iam put-user-permissions-boundary --user-name {} \
                 --permissions-boundary {wanted}), and deploy again.",
                arn.rsplit('/').next().unwrap_or_default()
            ),
            Error::Connected { .. } => {
                "Disconnect it at Coiled (workspace settings), choose another Workspace, or set \
                 AdoptExisting to true to replace it (this can't be undone)."
                    .into()
            }
            Error::Busy(_) => "Wait until the other run has ended, and try again. If it has died, remove the user's tag coiled-stack:lease.".into(),
            Error::Aws { call, code, .. } => aws_fix(call, code),
            Error::Coiled { status: 426, .. } => "Take the newest release of this stack.".into(),
            Error::Coiled { .. } => "If Coiled's words don't help, ask support@coiled.io, naming them.".into(),
            Error::Unreachable { .. } => "See that CoiledServer is right and up, and that the function can reach it; \
                 then try again."
                .into(),
            Error::Rejected(_) => "Do what Coiled says, and deploy again.".into(),
            Error::OutcomeUnknown(_) => {
                "Coiled may still be at work on it. Try again: the next run settles it. If Coiled shows a connection after \
                 the stack is gone, disconnect it there (workspace settings): its key works no more."
                    .into()
            }
            Error::Unconfirmed(_) => "Try again; if it stays so, ask support@coiled.io, naming these words.".into(),
            Error::Confirm(_) => {
                "Stop the workspace's clusters, and try again. To disconnect all the same orphans what runs.".into()
            }
            Error::Blocked(_) => "Nothing was removed. Undo that, and delete the stack again.".into(),
            Error::Deadline => "Try again; the log says what took so long.".into(),
            Error::Internal(_) => "Report this with the log, please, and try again.".into(),
            Error::Several(errors) => fixes(errors),
        }
    }
}

fn aws_fix(call: &str, code: &str) -> String {
    // IAM asks for the right to where the user is, and this role's ends with its own path.
    if is_denied(code) && ["GetUser", "ListAccessKeys", "ListAttachedUserPolicies"].contains(&call) {
        return "If there is a user of this name under another path, choose another UserName. Else give the function's role \
                that right, or ask whoever set the organisation's policies; then try again."
            .into();
    }
    if is_denied(code) {
        "Give the function's role that right, or ask whoever set the organisation's policies; then try again.".into()
    } else {
        "Try again; if it stays so, the AWS message says what is in the way.".into()
    }
}

/// Whether a service's error code means that a right is missing.
pub fn is_denied(code: &str) -> bool {
    matches!(code, "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
}

/// Each different advice once, in the order of the errors.
fn fixes(errors: &[Error]) -> String {
    let mut all: Vec<String> = Vec::new();
    for fix in errors.iter().map(Error::fix) {
        if !all.contains(&fix) {
            all.push(fix);
        }
    }
    all.join(" ")
}

fn several(errors: &[Error]) -> String {
    let numbered = errors.iter().enumerate().map(|(n, error)| format!("{}) {error}", n + 1));
    format!("{} causes: {}", errors.len(), numbered.collect::<Vec<_>>().join("; "))
}

fn join(faults: &[InvalidProperty]) -> String {
    faults.iter().map(InvalidProperty::to_string).collect::<Vec<_>>().join("; ")
}

/// One property that is unknown or out of its set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidProperty {
    /// The property's name, with the place inside it: `Ingress[0].Cidr`.
    pub property: String,
    /// What is wrong with it, and what it takes.
    pub problem: String,
}

impl InvalidProperty {
    /// A fault of a property.
    pub fn new(property: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { property: property.into(), problem: problem.into() }
    }
}

impl fmt::Display for InvalidProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", shorten(&self.property, 80), self.problem)
    }
}

/// A failed request: the step it failed at, why, and what could not be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The step's name, as the log has it.
    pub step: String,
    /// Why.
    pub error: Error,
    /// What this run made and could not remove again, by ARN.
    pub leftovers: Vec<String>,
}

impl Failure {
    /// A failure at a step, with nothing left over.
    pub fn at(step: impl Into<String>, error: Error) -> Self {
        Self { step: step.into(), error, leftovers: Vec::new() }
    }
}

impl fmt::Display for Failure {
    /// What is left over comes first after the cause: it is what a long message may not lose.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}.", self.step, shorten(self.error.to_string().trim_end_matches('.'), 1800))?;
        if !self.leftovers.is_empty() {
            write!(f, " Left in the account: {}.", self.leftovers.join(", "))?;
        }
        write!(f, " {}", self.error.fix())
    }
}
