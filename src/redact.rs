//! Keeps secrets out of logs and responses: a URL type that does not print its signature, and filters for text from
//! other servers.

mod escape;

use std::fmt;
use std::ops::Range;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use escape::{Unit, units};

/// The pre-signed URL for the response. Its query contains a signature: anyone who has it can respond in place of this
/// function.
#[derive(Clone, PartialEq)]
pub struct ResponseUrl(Url);

impl ResponseUrl {
    /// Accepts only `http` and `https` URLs with a host, because the response is an HTTP request.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).map(Self)
    }

    /// The URL with its signature. Only [`crate::cloudformation::response::Sender`] needs it.
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

/// Replaces the secrets in every encoding.
fn scrub_text(text: &str, secrets: &[&SecretString]) -> String {
    // A shorter secret would match ordinary text by chance.
    let secrets = secrets.iter().map(|secret| secret.expose_secret()).filter(|secret| secret.len() >= 4);
    mask(text, secrets.flat_map(|secret| occurrences(text, secret)).collect())
}

/// Where a secret occurs: unchanged, encoded as in JSON or in a URL, or with any of its characters escaped.
fn occurrences(text: &str, secret: &str) -> Vec<Range<usize>> {
    let json = Value::from(secret).to_string();
    let url = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let json = json.trim_matches('"');
    let forms = [secret, json, &json.replace('/', "\\/"), &url];
    let written = forms.into_iter().flat_map(|form| text.match_indices(form).map(|(at, _)| at..at + form.len()));
    written.chain(escaped_occurrences(text, secret)).collect()
}

fn escaped_occurrences(text: &str, secret: &str) -> Vec<Range<usize>> {
    if !text.contains(['\\', '%', '&']) {
        return Vec::new();
    }
    let units: Vec<Unit> = units(text).collect();
    let plain: String = units.iter().map(|unit| unit.char).collect();
    // Where each character of `plain` starts, so that its unit can be found.
    let starts: Vec<usize> = plain.char_indices().map(|(at, _)| at).collect();
    let unit = |at: usize| starts.binary_search(&at).ok().and_then(|number| units.get(number));
    let span = |at: usize| Some(unit(at)?.start..unit(at + secret.len()).map_or(text.len(), |next| next.start));
    plain.match_indices(secret).filter_map(|(at, _)| span(at)).collect()
}

/// The length of a secret access key.
const KEY_LENGTH: usize = 40;
/// The longest word in which a key is masked. Words may contain `-` and `_`. A name with a key between dashes is
/// shorter. AWS's encoded authorization messages are words of about a thousand characters, which may by chance have 40
/// characters between two dashes.
const LONGEST_NAME: usize = 160;

/// Replaces whatever may be a secret access key: each sequence of exactly 40 letters, digits, `/` and `+`.
///
/// A server may repeat keys of earlier runs, which this run does not know. A longer sequence is not a key.
pub(crate) fn mask_keys(text: &str) -> String {
    let units: Vec<Unit> = units(text).collect();
    let words = units.chunk_by(|one, next| is_in_word(one.char) == is_in_word(next.char));
    let runs = words.filter(|word| word.len() <= LONGEST_NAME).flat_map(|word| word.split(|unit| is_dash(unit.char)));
    let keys = runs.filter(|run| run.len() == KEY_LENGTH && run.iter().all(|unit| is_in_key(unit.char)));
    mask(text, keys.filter_map(|run| Some(run.first()?.start..run.last()?.end)).collect())
}

fn is_in_key(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '/' | '+')
}

fn is_dash(char: char) -> bool {
    matches!(char, '-' | '_')
}

fn is_in_word(char: char) -> bool {
    is_in_key(char) || is_dash(char)
}

/// The text without its last word, which may be the first part of a key.
pub(crate) fn without_last_word(text: &str) -> &str {
    text.trim_end_matches(|char| is_in_word(char) || matches!(char, '\\' | '%' | '&' | '#' | ';'))
}

/// Replaces each span with `***`. Overlapping spans are replaced as one. Otherwise, part of a secret would remain.
fn mask(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in spans {
        if span.start >= end {
            masked.push_str(text.get(end..span.start).unwrap_or_default());
            masked.push_str("***");
        }
        end = end.max(span.end);
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

/// The longest text from another server in a log line. AWS's encoded authorization messages must fit, because part of
/// one cannot be decoded. The status reason is cut further, see [`crate::error::Failure::reason`].
const SHOWN: usize = 16 << 10;

/// Text from another server, ready for an error or a log line. Replace known secrets first, see [`scrub`].
///
/// The text is cut last, because the first part of a key would not be recognized.
pub(crate) fn shown(text: &str) -> String {
    shorten(&mask_keys(text), SHOWN)
}

/// At most `limit` bytes of a text, cut between characters. A cut text ends with `…`.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// At most `limit` bytes of a text, without its middle if it is longer. In a status reason, the beginning contains the
/// step and the cause, and the end contains the advice.
pub(crate) fn cut_middle(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let tail_length = (limit / 3).min(600);
    let start = (text.len() - tail_length..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let tail = text.get(start..).unwrap_or_default();
    format!("{}{tail}", shorten(text, limit - tail.len()))
}

/// Lower-case hexadecimal, two digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
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
    fn scrub_finds_a_secret_with_any_of_its_characters_escaped() {
        let key = SecretString::from("a/b+c=d-e");
        for form in
            [r"\u0061\u002fb+c=d-e", r"a\\/b+c=d-e", "a%2fb%2bc%3dd-e", "%61/b+c=d%2De", "a&#x2F;b&plus;c&#61;d-e"]
        {
            assert_eq!(scrub(&format!("no {form} here"), &[&key]), "no *** here", "{form}");
            assert_eq!(scrub(&format!("<{form}"), &[&key]), "<***", "{form}");
        }
        // A secret may contain what looks like an escape.
        for secret in ["a%2Fb", r"a\/b", "a&#47;b"] {
            assert_eq!(scrub(&format!("no {secret} here"), &[&SecretString::from(secret)]), "no *** here", "{secret}");
        }
    }

    #[test]
    fn secrets_that_contain_or_overlap_each_other_are_replaced_completely() {
        let secret = |text: &str| SecretString::from(text);
        let (short, long, other) = (secret("abcd"), secret("abcdefgh"), secret("ghijkl"));
        for secrets in [[&short, &long, &other], [&other, &long, &short], [&long, &other, &short]] {
            assert_eq!(scrub("<abcdefgh>", &secrets), "<***>");
            assert_eq!(scrub("<abcdefghijkl> abcd", &secrets), "<***> ***");
            assert_eq!(scrub("abcdghijkl", &secrets), "******");
        }
    }

    #[test]
    fn exactly_40_characters_of_a_secret_keys_alphabet_are_masked() {
        let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(key.len(), 40);
        for around in [
            "@",
            "<@>",
            "key=@&x",
            "\"@\"",
            r"\n@\n",
            r#"{\"@\":1}"#,
            "%20@%20",
            "a-@-b",
            "x_@",
            "(@)",
            "é@é",
            "@, @",
            "%3D@",
        ] {
            let (text, masked) = (around.replace('@', key), around.replace('@', "***"));
            assert_eq!(mask_keys(&text), masked);
        }
        for form in ["\\/", "\\u002f", "\\u002F", "\\\\/", "%2F", "%2f", "%252F", "&#47;", "&#x2F;", "\\x2f"] {
            let written = key.replace('/', form);
            assert_eq!(mask_keys(&format!("no {written}.")), "no ***.", "{form}");
            assert_eq!(mask_keys(&written), "***", "{form}");
        }
        let written: String = key.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect();
        assert_eq!(mask_keys(&format!("\"{written}\"")), "\"***\"");
        assert_eq!(mask_keys(&key.replace('+', "%2B").replace('/', "%2F")), "***");
    }

    #[test]
    fn the_last_word_of_a_cut_text_is_dropped_with_its_escapes() {
        for cut in ["abc/DEF+123", r"abc\/", r"abc\u00", "abc%2", "abc&#x2f;x", "abc-d_e", ""] {
            assert_eq!(without_last_word(&format!("key \"{cut}")), "key \"");
        }
    }

    #[test]
    fn a_longer_or_shorter_sequence_is_not_masked() {
        let run = |length: usize| "wJalrXUtnFEMI/K7MDENG+bPxRfi".chars().cycle().take(length).collect::<String>();
        for length in [1, 39, 41, 64, 80, 1000] {
            let text = format!("message: {}.", run(length));
            assert_eq!(mask_keys(&text), text);
            let written = text.replace('/', "\\/").replace('+', "%2B");
            assert_eq!(mask_keys(&written), written);
        }
        // An encoded authorization message may have 40 characters between two dashes.
        let encoded = format!("message: {}-{}_{}-{}", run(400), run(40), run(40), run(200));
        assert_eq!(mask_keys(&encoded), encoded);
    }

    #[test]
    fn a_shown_text_is_masked_before_it_is_cut() {
        let key = "k".repeat(40);
        assert_eq!(shown(&key), "***");
        let text = shown(&format!("{} {key} after", ".".repeat(SHOWN - 20)));
        assert!(text.ends_with("*** after") && !text.contains("kk"), "{}", text.len());
        assert!(shown(&".".repeat(2 * SHOWN)).len() <= SHOWN);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("schön", 6), "schön");
        assert_eq!(shorten("schönes", 7), "sch…");
        assert!(shorten("ööööö", 8).len() <= 8);
    }

    #[test]
    fn a_text_without_its_middle_keeps_its_beginning_and_its_end() {
        let text = format!("step and cause {} advice", ".".repeat(500));
        let cut = cut_middle(&text, 90);
        assert!(cut.len() == 90 && cut.starts_with("step and cause ") && cut.ends_with("..... advice"), "{cut}");
        assert!(cut_middle(&text, 0).len() <= '…'.len_utf8());
        assert_eq!(cut_middle(&text, text.len()), text);
    }
}
