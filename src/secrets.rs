//! Reading a token out of Secrets Manager.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Region;
use secrecy::SecretString;
use serde_json::Value;

use crate::aws::{Patience, code};
use crate::error::{Error, Unreadable, is_denied};
use crate::properties::arn;

/// Reads a token: the secret's plain text, or the value under `token` where it is JSON. The secret's own region is
/// asked, whichever the stack's is.
pub async fn token(sdk: &SdkConfig, patience: &Patience, secret: &str) -> Result<SecretString, Error> {
    let region = arn(secret).get(3).filter(|region| !region.is_empty()).map(|region| Region::new((*region).to_owned()));
    let sdk = sdk.to_builder().region(region.or_else(|| sdk.region().cloned())).build();
    let client = Client::new(&sdk);
    let send = || client.get_secret_value().secret_id(secret).send();
    let reply = patience.call("GetSecretValue", &[], send).await.map_err(|error| unreadable(secret, &error))?;
    let text = SecretString::from(reply.secret_string.unwrap_or_default());
    extract(&text).ok_or_else(|| Error::Secret {
        arn: secret.to_owned(),
        cause: "it holds no token".into(),
        why: Unreadable::Empty,
    })
}

/// White space around a token is dropped, as Coiled's own client does; what can't be sent in a header is no token.
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
        // A secret deleted in the console answers this, and not ResourceNotFound, until its window is over.
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
    fn a_token_is_plain_text_or_json() {
        for text in ["abc-def", " abc-def\n", r#"{"token": "abc-def"}"#, r#"{"token": " abc-def ", "user": "ada"}"#] {
            assert_eq!(read(text).as_deref(), Some("abc-def"), "{text}");
        }
        // A token of digits alone is JSON too.
        assert_eq!(read("12345").as_deref(), Some("12345"));
    }

    #[test]
    fn what_can_not_be_sent_is_no_token() {
        for text in ["", "  ", "{}", r#"{"token": ""}"#, r#"{"token": 7}"#, "two words", "line\nline", "tökén"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
