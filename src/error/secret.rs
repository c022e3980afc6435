//! Why a token could not be read from its secret, and what to do about it.

use std::fmt;

use super::Error;
use super::denial::Denial;

/// Why the content of a secret is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It has no content, or only whitespace.
    Empty,
    /// It is binary, without a byte order mark that says how to read it as text.
    Binary,
    /// It contains a tool's mask instead of the token, such as the `****` that CloudFormation shows for a `NoEcho`
    /// parameter.
    Masked,
    /// The token has quotation marks around it.
    Quoted,
    /// It is JSON without the key `token`.
    NoKey,
    /// It is JSON, but the token in it is not a string.
    NotText,
    /// It begins like a JSON object or list, but cannot be parsed. A shell that removes quotation marks produces such
    /// text.
    BrokenJson,
    /// It contains whitespace or characters that cannot be sent in an HTTP header.
    Unsendable,
}

/// Why a secret could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// No such secret exists.
    Missing,
    /// It exists, but has no current value.
    NoValue,
    /// It is scheduled for deletion.
    Deleted,
    /// Its KMS key cannot decrypt it.
    Encrypted,
    /// The function's role lacks a permission for the secret's KMS key.
    KeyDenied(Option<Denial>),
    /// The function's role lacks a permission for the secret.
    Denied {
        /// The policy that denies the call, if AWS names it.
        denial: Option<Denial>,
        /// Whether the six characters after the secret's name may be missing from the ARN.
        may_lack_suffix: bool,
    },
    /// Its content cannot be used as a token.
    Unusable(Unusable),
    /// A failure of the call that has nothing to do with the secret: the same call may succeed later.
    Passing(Box<Error>),
}

impl Unreadable {
    /// What the person who deploys the stack should do.
    pub(crate) fn fix(&self) -> String {
        match self {
            Self::Missing => {
                "Correct the secret's ARN in the parameters: no such secret exists in that account and region. Then \
                 deploy again."
                    .into()
            }
            Self::NoValue => format!(
                "The secret exists but has no current value. If a rotation is in progress, let it finish. Otherwise, \
                 no token has been stored yet. {STORE_TOKEN}"
            ),
            Self::Deleted => {
                "Restore the secret (aws secretsmanager restore-secret --secret-id ARN), then deploy again.".into()
            }
            Self::Encrypted => {
                "Enable the secret's KMS key, or cancel its deletion (KMS console). If it no longer exists, store the \
                 token in a new secret. Then deploy again."
                    .into()
            }
            Self::KeyDenied(denial) => denial.and_then(Denial::fix).unwrap_or_else(|| {
                "Set CoiledTokenKmsKeyArn (Docker Hub: DockerHubTokenKmsKeyArn) to the ARN of the KMS key that encrypts \
                 this secret, and allow the function's role in that key's policy. Then deploy again."
                    .into()
            }),
            Self::Denied { denial, may_lack_suffix } => denied_secret_fix(*denial, *may_lack_suffix),
            Self::Unusable(why) => why.fix().into(),
            Self::Passing(error) => error.fix(),
        }
    }
}

fn denied_secret_fix(denial: Option<Denial>, may_lack_suffix: bool) -> String {
    let suffix = if may_lack_suffix {
        "A full ARN ends with a hyphen and six characters that Secrets Manager appended to the secret's name. If they \
         are missing, copy the full ARN (aws secretsmanager describe-secret --secret-id NAME). "
    } else {
        ""
    };
    let fix = denial.and_then(Denial::fix).unwrap_or_else(|| {
        "Allow the function's role to read this secret: check the secret's resource policy, \
         FunctionPermissionsBoundaryArn and your service control policies. If the secret is encrypted with a \
         customer managed KMS key, set CoiledTokenKmsKeyArn (Docker Hub: DockerHubTokenKmsKeyArn) to its ARN. Then \
         deploy again."
            .into()
    });
    format!("{suffix}{fix}")
}

/// How to store a token in a secret.
const STORE_TOKEN: &str = "Set CoiledToken to the token, or store it in your secret (aws secretsmanager put-secret-value \
                           --secret-id ARN --secret-string file://FILE). Then deploy again.";

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it contains no token: its value is empty",
            Self::Binary => "it contains no token: its value is binary",
            Self::Masked => "it contains a mask such as **** instead of the token",
            Self::Quoted => "the token in it is enclosed in quotation marks",
            Self::NoKey => "it contains no token: it is JSON without the key `token`",
            Self::NotText => "it contains no token: it is JSON whose `token` is not a string",
            Self::BrokenJson => "it contains no token: it looks like JSON, but it is not valid JSON",
            Self::Unsendable => "the token in it contains whitespace or non-ASCII characters",
        })
    }
}

impl Unusable {
    /// What the person who deploys the stack should do.
    fn fix(self) -> &'static str {
        match self {
            Self::Empty => STORE_TOKEN,
            Self::Binary => {
                "Store the token as text (aws secretsmanager put-secret-value with --secret-string, not --secret-binary). \
                 Then deploy again."
            }
            Self::Masked => {
                "Set CoiledToken again, or store the token in your secret again. CloudFormation shows a NoEcho \
                 parameter as ****, and tools such as Terraform may send that text as the new value. Configure the \
                 tool to keep the previous value. Then deploy again."
            }
            Self::Quoted => {
                "Store the token without quotation marks (aws secretsmanager put-secret-value), then deploy again."
            }
            Self::NoKey => {
                "Store the token as plain text, or as JSON with the key `token` (all lower case). Then deploy again."
            }
            Self::NotText => {
                "Store the token as plain text, or as JSON of the form {\"token\": \"TOKEN\"}. Then deploy again."
            }
            Self::BrokenJson => {
                "The shell may have removed unescaped quotation marks. Store the token as plain text, or as JSON from a \
                 file (aws secretsmanager put-secret-value --secret-string file://FILE). Then deploy again."
            }
            Self::Unsendable => {
                "Copy the token again, without any line breaks or surrounding text, and store it. Then deploy again."
            }
        }
    }
}
