//! Rewrites policy documents as IAM returns them: URL-encoded and possibly reordered. moto returns them unchanged.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::reply::{Reply, inside};

/// Reorders and URL-encodes the document in a reply.
pub(super) fn rewrite(reply: &mut Reply) {
    let Some(document) = inside(&reply.body, "Document") else { return };
    let plain = document.replace("&quot;", "\"").replace("&#34;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    let Ok(value) = serde_json::from_str(&plain.replace("&amp;", "&")) else { return };
    let encoded = utf8_percent_encode(&reordered(value).to_string(), NON_ALPHANUMERIC).to_string();
    reply.body = reply.body.replace(document, &encoded);
}

/// Sorts the fields by name, which `Value` does itself, and reverses lists of strings. Neither changes the meaning of a
/// policy.
fn reordered(value: Value) -> Value {
    match value {
        Value::Array(items) if items.iter().all(Value::is_string) => items.into_iter().rev().collect(),
        Value::Array(items) => items.into_iter().map(reordered).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, reordered(value))).collect(),
        other => other,
    }
}
