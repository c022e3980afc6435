//! Reads tokens from Secrets Manager.

mod content;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueOutput;
use secrecy::SecretString;

use crate::aws::patience::Patience;
use crate::error::denial::Denial;
use crate::error::{Error, Unreadable, Unusable, is_denied};
use crate::properties::arn;

pub use content::{binary, text};

/// Reads a token. The secret contains it as plain text, or as JSON with the key `token`. The call goes to the region in
/// the secret's ARN, which may differ from the stack's.
pub(crate) async fn token(sdk: &SdkConfig, patience: &Patience, secret: &str) -> Result<SecretString, Error> {
    let region = arn(secret).get(3).filter(|region| !region.is_empty()).map(|region| Region::new((*region).to_owned()));
    let sdk = sdk.to_builder().region(region.or_else(|| sdk.region().cloned())).build();
    let client = Client::new(&sdk);
    let send = || client.get_secret_value().secret_id(secret).send();
    let reply = patience.call("GetSecretValue", &[], send).await.map_err(|error| unreadable(secret, error))?;
    read(reply).map_err(|why| Error::Secret {
        arn: secret.to_owned(),
        cause: why.to_string(),
        why: Unreadable::Unusable(why),
    })
}

fn read(reply: GetSecretValueOutput) -> Result<SecretString, Unusable> {
    match (reply.secret_string.map(SecretString::from), reply.secret_binary) {
        (Some(content), _) => text(&content),
        (None, Some(content)) => binary(content.as_ref()),
        (None, None) => Err(Unusable::Empty),
    }
}

fn unreadable(secret: &str, error: Error) -> Error {
    let cause = error.to_string();
    Error::Secret { arn: secret.to_owned(), cause, why: why(secret, error) }
}

fn why(secret: &str, error: Error) -> Unreadable {
    let Error::Aws { code, message, .. } = &error else { return Unreadable::Passing(Box::new(error)) };
    let says = |words: &str| message.to_ascii_lowercase().contains(words);
    match code.as_str() {
        // AWS also returns this code for a secret without a value: none was stored yet, or only a pending version
        // exists.
        "ResourceNotFoundException" if says("secret value") || says("staging label") => Unreadable::NoValue,
        "ResourceNotFoundException" | "InvalidParameterException" | "ValidationException" => Unreadable::Missing,
        // Until its recovery window ends, a deleted secret returns this error and not ResourceNotFoundException.
        "InvalidRequestException" => Unreadable::Deleted,
        "DecryptionFailure" | "DecryptionFailureException" => Unreadable::Encrypted,
        // "Access to KMS is not allowed", or the denial of kms:Decrypt.
        code if is_denied(code) && (says("kms:") || says("access to kms")) => Unreadable::KeyDenied(denial(&error)),
        code if is_denied(code) => {
            Unreadable::Denied { denial: denial(&error), may_lack_suffix: may_lack_suffix(secret) }
        }
        _ => Unreadable::Passing(Box::new(error)),
    }
}

/// The denial, if there is specific advice for it.
fn denial(error: &Error) -> Option<Denial> {
    Denial::of(error).filter(|denial| denial.fix().is_some())
}

/// Whether the last six characters of an ARN may be the end of the secret's name. Secrets Manager finds a secret without
/// the six random characters at the end of its ARN, but IAM compares the whole ARN with the role's policy.
fn may_lack_suffix(secret: &str) -> bool {
    let suffix = secret.rsplit('-').next().unwrap_or_default();
    let capitals = suffix.bytes().filter(u8::is_ascii_uppercase).count();
    // The random characters of 96 out of 100 secrets contain a capital letter.
    capitals == 0 || capitals == suffix.len()
}
