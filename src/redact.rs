//! Keeps secrets out of logs and responses: a URL type that does not print its signature, and a filter for text from
//! other servers.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// The pre-signed URL for the response. Its query contains a signature: anyone who has it can respond for this
/// function.
#[derive(Clone, PartialEq)]
pub struct ResponseUrl(Url);

impl ResponseUrl {
    /// Accepts only `http` and `https` URLs with a host, because the response is an HTTP request.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).map(Self)
    }

    /// The URL with its signature. Only [`crate::response::Sender`] needs it.
    pub fn expose(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Display for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/***", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Replaces every occurrence of the secrets in text from another server with `***`.
///
/// Coiled's messages appear in the status reason, and a server may repeat what it received.
///
/// JSON can escape any character, so JSON text is parsed, scrubbed value by value and encoded again.
pub fn scrub(text: &str, secrets: &[&SecretString]) -> String {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
            // A secret may itself contain JSON syntax, such as quotes or braces.
            scrub_text(&scrubbed(value, secrets).to_string(), secrets)
        }
        _ => scrub_text(text, secrets),
    }
}

fn scrubbed(value: Value, secrets: &[&SecretString]) -> Value {
    match value {
        Value::String(text) => scrub_text(&text, secrets).into(),
        Value::Number(number) => {
            let text = scrub_text(&number.to_string(), secrets);
            if text == number.to_string() { number.into() } else { text.into() }
        }
        Value::Array(items) => items.into_iter().map(|item| scrubbed(item, secrets)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (scrub_text(&name, secrets), scrubbed(value, secrets))).collect()
        }
        other => other,
    }
}

/// Replaces the secrets as plain text, as escaped JSON and as percent-encoded URL text.
fn scrub_text(text: &str, secrets: &[&SecretString]) -> String {
    let forms =
        secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 4).flat_map(|secret| {
            let json = Value::from(secret).to_string();
            let json = json.trim_matches('"').to_owned();
            let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            [secret.to_owned(), json.replace('/', "\\/"), json, url.replace("%2D", "-").replace("%5F", "_"), url]
        });
    let mut forms: Vec<String> = forms.collect();
    // Replace the longest first. If one secret contains another, the shorter replacement would leave part of the longer
    // one.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), "***"))
}

/// At most `limit` bytes of a text, cut between characters. A cut text ends with `…`.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Lower-case hexadecimal, two digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_url_is_printed_without_its_path_and_signature() {
        let url = ResponseUrl::parse("https://bucket.s3.amazonaws.com/key?X-Amz-Signature=canary")
            .map(|url| format!("{url:?}"));
        assert_eq!(url.as_deref(), Some("https://bucket.s3.amazonaws.com/***"));
    }

    #[test]
    fn only_http_urls_are_response_urls() {
        for text in ["", "s3://bucket/key", "/relative", "file:///etc/passwd"] {
            assert!(ResponseUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn scrub_replaces_a_secret_in_every_encoding() {
        let (token, key) = (SecretString::from("tok-en"), SecretString::from("a/b+c"));
        assert_eq!(scrub("bad tok-en and a/b+c or a\\/b+c", &[&token, &key]), "bad *** and *** or ***");
        assert_eq!(scrub("?key=a%2Fb%2Bc&t=tok-en", &[&token, &key]), "?key=***&t=***");
        assert_eq!(scrub(r#"{"a\u002fb\u002bc": ["\u0074ok-en"]}"#, &[&token, &key]), r#"{"***":["***"]}"#);
        let digits = SecretString::from("12345");
        assert_eq!(scrub(r#"{"token": 12345, "n": 7}"#, &[&digits]), r#"{"n":7,"token":"***"}"#);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("schön", 6), "schön");
        assert_eq!(shorten("schönes", 7), "sch…");
        assert!(shorten("ööööö", 8).len() <= 8);
    }
}
