//! Messages as they may be shown.

use serde_json::Value;

/// The fields that hold a secret key or a password, whatever they are called. The id of a key is no secret.
const SECRETS: [&str; 4] = ["aws_secret_key", "aws_secret_access_key", "password", "token"];

/// The same message with `***` in place of each secret key and password.
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
