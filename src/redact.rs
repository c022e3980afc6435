//! Secrets as types that can't be printed, and the scrubbing of what other people's servers say.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
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
pub fn scrub(text: &str, secrets: &[&SecretString]) -> String {
    secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 4).fold(
        text.to_owned(),
        |text, secret| {
            // JSON writes `/` and `+` of a secret key in more than one way.
            let escaped = secret.replace('/', "\\/");
            text.replace(secret, "***").replace(&escaped, "***")
        },
    )
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
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("schön", 6), "schön");
        assert_eq!(shorten("schönes", 7), "sch…");
        assert!(shorten("ööööö", 8).len() <= 8);
    }
}
