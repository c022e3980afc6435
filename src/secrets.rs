//! Reads tokens from Secrets Manager.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use secrecy::SecretString;
use serde_json::Value;

use crate::aws::{Patience, code};
use crate::error::{Error, Unreadable, is_denied};
use crate::properties::arn;

/// Reads a token. The secret contains it as plain text, or as JSON with the key `token`. The call goes to the region in
/// the secret's ARN, which may differ from the stack's.
pub async fn token(sdk: &SdkConfig, patience: &Patience, secret: &str) -> Result<SecretString, Error> {
    let region = arn(secret).get(3).filter(|region| !region.is_empty()).map(|region| Region::new((*region).to_owned()));
    let sdk = sdk.to_builder().region(region.or_else(|| sdk.region().cloned())).build();
    let client = Client::new(&sdk);
    let send = || client.get_secret_value().secret_id(secret).send();
    let reply = patience.call("GetSecretValue", &[], send).await.map_err(|error| unreadable(secret, &error))?;
    let text = SecretString::from(reply.secret_string.unwrap_or_default());
    extract(&text).ok_or_else(|| Error::Secret {
        arn: secret.to_owned(),
        cause: "it contains no token".into(),
        why: Unreadable::Empty,
    })
}

/// Trims white space, as Coiled's own client does. `None` if the token is empty or cannot be sent in an HTTP header.
fn extract(text: &SecretString) -> Option<SecretString> {
    use secrecy::ExposeSecret;
    let text = text.expose_secret().trim();
    let token = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => map.get("token")?.as_str()?.trim().to_owned(),
        _ => text.to_owned(),
    };
    let sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    sendable.then(|| SecretString::from(token))
}

fn unreadable(secret: &str, error: &Error) -> Error {
    let why = match code(error) {
        Some("ResourceNotFoundException" | "InvalidParameterException" | "ValidationException") => Unreadable::Missing,
        // Until its recovery window ends, a deleted secret returns this error and not ResourceNotFoundException.
        Some("InvalidRequestException") => Unreadable::Deleted,
        Some("DecryptionFailure" | "DecryptionFailureException") => Unreadable::Encrypted,
        Some(code) if is_denied(code) => Unreadable::Denied,
        _ => Unreadable::Passing,
    };
    Error::Secret { arn: secret.to_owned(), cause: error.to_string(), why }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(text: &str) -> Option<String> {
        extract(&SecretString::from(text)).map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_is_read_from_plain_text_or_json() {
        for text in ["abc-def", " abc-def\n", r#"{"token": "abc-def"}"#, r#"{"token": " abc-def ", "user": "ada"}"#] {
            assert_eq!(read(text).as_deref(), Some("abc-def"), "{text}");
        }
        // A token that consists of digits is also valid JSON.
        assert_eq!(read("12345").as_deref(), Some("12345"));
    }

    #[test]
    fn a_secret_without_a_sendable_token_is_rejected() {
        for text in ["", "  ", "{}", r#"{"token": ""}"#, r#"{"token": 7}"#, "two words", "line\nline", "tökén"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
