//! Finds the token in a secret's content.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::Unusable;

/// Reads a secret's text: the token itself, or JSON with the key `token`.
pub fn text(content: &SecretString) -> Result<SecretString, Unusable> {
    match misread_bytes(content.expose_secret()) {
        Some(bytes) => bytes_with_mark(&bytes).ok_or(Unusable::Binary).and_then(|text| plain(text.expose_secret())),
        None => plain(content.expose_secret()),
    }
}

/// Reads a binary secret. Only a byte order mark shows the encoding, so a secret without one cannot be read.
pub fn binary(content: &[u8]) -> Result<SecretString, Unusable> {
    bytes_with_mark(content).ok_or(Unusable::Binary).and_then(|text| plain(text.expose_secret()))
}

/// The text after a byte order mark. `None` if there is no mark, or if the text does not have that encoding.
fn bytes_with_mark(bytes: &[u8]) -> Option<SecretString> {
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => std::str::from_utf8(rest).ok()?.to_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => return None,
    };
    Some(SecretString::from(text))
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok()
}

/// The bytes of a text that begins with a byte order mark but was read as Latin-1. Some Windows tools store such text.
fn misread_bytes(text: &str) -> Option<Vec<u8>> {
    let is_marked = ["\u{ef}\u{bb}\u{bf}", "\u{ff}\u{fe}", "\u{fe}\u{ff}"].iter().any(|mark| text.starts_with(mark));
    is_marked.then(|| text.chars().map(|c| u8::try_from(c).ok()).collect()).flatten()
}

fn plain(text: &str) -> Result<SecretString, Unusable> {
    let text = trimmed(text);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => match map.get("token") {
            Some(Value::String(token)) => token_in(trimmed(token)),
            Some(_) => Err(Unusable::NotText),
            None => Err(Unusable::NoKey),
        },
        Ok(Value::String(_)) => Err(Unusable::Quoted),
        Ok(Value::Null | Value::Bool(_) | Value::Array(_)) => Err(Unusable::NotText),
        Err(_) if text.starts_with(['{', '[']) && !is_masked(text) => Err(Unusable::BrokenJson),
        // A token that consists only of digits is also valid JSON.
        Ok(Value::Number(_)) | Err(_) => token_in(text),
    }
}

/// Removes whitespace at both ends, as Coiled's own client does. Also removes invisible characters, which copied text
/// and files may contain.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}' | '\0'))
}

fn token_in(text: &str) -> Result<SecretString, Unusable> {
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    if is_masked(text) {
        return Err(Unusable::Masked);
    }
    if is_quoted(text) {
        return Err(Unusable::Quoted);
    }
    // Only these characters can be sent in an HTTP header.
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if sendable { Ok(SecretString::from(text)) } else { Err(Unusable::Unsendable) }
}

/// Whether a tool shows this in place of a secret: `****`, `••••`, or a few readable characters after a mask.
fn is_masked(text: &str) -> bool {
    const INSTEAD: [&str; 6] =
        ["(sensitive)", "(sensitive value)", "<sensitive>", "<hidden>", "[redacted]", "<redacted>"];
    !text.chars().any(char::is_alphanumeric)
        || ["***", "•••", "●●●"].iter().any(|mask| text.contains(mask))
        || INSTEAD.contains(&text.to_lowercase().as_str())
}

/// Whether there are quotation marks around the text. A registry's token may begin or end with a straight quotation
/// mark, so straight marks count only in pairs.
fn is_quoted(text: &str) -> bool {
    let is_typographic = |c: char| "“”„‟‘’‚‛«»‹›".contains(c);
    let ends = [text.chars().next(), text.chars().next_back()];
    ends.iter().flatten().any(|c| is_typographic(*c))
        || matches!(ends, [Some(a @ ('"' | '\'' | '`')), Some(b)] if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<String, Unusable> {
        text(&SecretString::from(content)).map(|token| token.expose_secret().to_owned())
    }

    fn read_binary(content: &[u8]) -> Result<String, Unusable> {
        binary(content).map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_is_read_from_plain_text_or_json() {
        for text in ["abc-def", " abc-def\n", r#"{"token": "abc-def"}"#, r#"{"token": " abc-def ", "user": "ada"}"#] {
            assert_eq!(read(text).as_deref(), Ok("abc-def"), "{text}");
        }
        assert_eq!(read("12345").as_deref(), Ok("12345"));
        // A registry's token may contain quotation marks and asterisks.
        for text in ["it's", "a'", "\"a", "a*b**c"] {
            assert_eq!(read(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_before_a_token_is_dropped() {
        for text in [
            "\u{feff}abc-def",
            "\u{feff}{\"token\": \"abc-def\"}",
            "\u{200b}abc-def\u{200b}",
            "\u{ef}\u{bb}\u{bf}abc-def",
        ] {
            assert_eq!(read(text).as_deref(), Ok("abc-def"), "{text:?}");
        }
        let little: Vec<u8> = "\u{feff}abc-def\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}{\"token\": \"abc-def\"}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [little.as_slice(), &big, "\u{feff}abc-def".as_bytes()] {
            assert_eq!(read_binary(bytes).as_deref(), Ok("abc-def"), "{bytes:?}");
            // The same file, read as Latin-1 and stored as text.
            let misread: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            assert_eq!(read(&misread).as_deref(), Ok("abc-def"), "{misread:?}");
        }
    }

    #[test]
    fn bytes_that_cannot_be_read_as_text_are_binary() {
        for bytes in [
            &b"abc-def"[..],
            &[0x1f, 0x8b, 0x08],
            &[0xff, 0xfe, 0x61],
            &[0xff, 0xfe, 0x00, 0xd8],
            &[0xef, 0xbb, 0xbf, 0xff],
        ] {
            assert_eq!(read_binary(bytes), Err(Unusable::Binary), "{bytes:?}");
        }
    }

    #[test]
    fn each_unusable_content_has_its_own_cause() {
        for (content, cause) in [
            ("", Unusable::Empty),
            ("  ", Unusable::Empty),
            ("\u{feff}", Unusable::Empty),
            (r#"{"token": ""}"#, Unusable::Empty),
            ("****", Unusable::Masked),
            ("*", Unusable::Masked),
            ("••••••••", Unusable::Masked),
            ("********1a2b", Unusable::Masked),
            (r#"{"token": "****"}"#, Unusable::Masked),
            ("(sensitive value)", Unusable::Masked),
            ("{}", Unusable::NoKey),
            (r#"{"api_token": "abc-def"}"#, Unusable::NoKey),
            (r#"{"Token": "abc-def"}"#, Unusable::NoKey),
            (r#"{"token": 7}"#, Unusable::NotText),
            (r#"{"token": null}"#, Unusable::NotText),
            (r#"["abc-def"]"#, Unusable::NotText),
            ("null", Unusable::NotText),
            ("{token:abc-def}", Unusable::BrokenJson),
            (r#"{"token": "abc-def""#, Unusable::BrokenJson),
            ("[abc-def]", Unusable::BrokenJson),
            (r#""abc-def""#, Unusable::Quoted),
            ("'abc-def'", Unusable::Quoted),
            ("`abc-def`", Unusable::Quoted),
            ("“abc-def”", Unusable::Quoted),
            (r#"{"token": "\"abc-def\""}"#, Unusable::Quoted),
            ("two words", Unusable::Unsendable),
            ("line\nline", Unusable::Unsendable),
            ("tökén", Unusable::Unsendable),
        ] {
            assert_eq!(read(content), Err(cause), "{content:?}");
        }
    }
}
