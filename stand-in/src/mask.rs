//! Masks secrets in messages before they are printed.

use serde_json::Value;

/// The fields that contain a secret key, a password or a token. A key's id is not a secret.
const SECRETS: [&str; 4] = ["aws_secret_key", "aws_secret_access_key", "password", "token"];

/// The message with `***` in place of every secret.
pub fn masked(message: &Value) -> Value {
    match message {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), field(name, value))).collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

fn field(name: &str, value: &Value) -> Value {
    if SECRETS.contains(&name) { Value::from("***") } else { masked(value) }
}
