//! Secrets as types that can't be printed, and the scrubbing of what other people's servers say.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

/// The pre-signed URL that an answer is PUT to. Its query is a signature: whoever has it can answer for us.
#[derive(Clone)]
pub struct ResponseUrl(Url);

impl ResponseUrl {
    /// Reads an `http` or `https` URL; anything else can't be answered.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).map(Self)
    }

    /// The whole URL, for the one place that sends.
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

/// Replaces every occurrence of the secrets in a text that came from outside.
///
/// Coiled's own words go into the Reason that a person reads, and a server may well repeat what it was sent.
///
/// JSON can write every character in more than one way, so JSON is scrubbed as what it means, and comes back as JSON.
pub fn scrub(text: &str, secrets: &[&SecretString]) -> String {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
            // A secret may look like a piece of JSON itself.
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

/// As it is, as JSON inside a text writes it, and as a URL does.
fn scrub_text(text: &str, secrets: &[&SecretString]) -> String {
    let forms =
        secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 4).flat_map(|secret| {
            let json = Value::from(secret).to_string();
            let json = json.trim_matches('"').to_owned();
            let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            [secret.to_owned(), json.replace('/', "\\/"), json, url.replace("%2D", "-").replace("%5F", "_"), url]
        });
    let mut forms: Vec<String> = forms.collect();
    // The longest first: what one leaves of another would still be a piece of it.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), "***"))
}

/// At most `limit` bytes of a text, cut between characters, with a mark where it was cut.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_url_prints_without_its_path_and_signature() {
        let url = ResponseUrl::parse("https://bucket.s3.amazonaws.com/key?X-Amz-Signature=canary")
            .map(|url| format!("{url:?}"));
        assert_eq!(url.as_deref(), Some("https://bucket.s3.amazonaws.com/***"));
    }

    #[test]
    fn what_is_not_a_web_address_is_no_response_url() {
        for text in ["", "s3://bucket/key", "/relative", "file:///etc/passwd"] {
            assert!(ResponseUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn words_from_outside_lose_every_secret() {
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
