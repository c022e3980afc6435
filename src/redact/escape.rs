//! Reads escaped characters as the characters that they stand for, because a server can write a secret in many ways.

/// One character of a text, and the bytes that it occupies there: `/` may be written as `\/`, `\u002f`, `%2F` or
/// `&#47;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The character that the bytes stand for.
    pub char: char,
    /// Where it starts.
    pub start: usize,
    /// Where the next one starts.
    pub end: usize,
}

/// Splits a text into its characters. Nested escapes are resolved too: JSON inside JSON writes `/` as `\\/`.
pub(crate) fn units(text: &str) -> impl Iterator<Item = Unit> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let (char, length) = first(text.get(start..)?)?;
        let unit = Unit { char, start, end: start + length };
        start = unit.end;
        Some(unit)
    })
}

/// The first character and its length in bytes. An escape that is not valid counts as plain text.
fn first(text: &str) -> Option<(char, usize)> {
    let plain = text.chars().next()?;
    let escaped = match plain {
        '\\' => Some(backslash(text)),
        '%' => percent(text),
        '&' => entity(text),
        _ => None,
    };
    Some(escaped.unwrap_or((plain, plain.len_utf8())))
}

/// Reads a backslash escape, as in JSON and most programming languages. `\n` is read as a space, not as the letter `n`.
fn backslash(text: &str) -> (char, usize) {
    let rest = text.trim_start_matches('\\');
    let slashes = text.len() - rest.len();
    let (char, length) = match rest.as_bytes().first() {
        Some(b'/') => (Some('/'), 1),
        Some(b'"') => (Some('"'), 1),
        Some(b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0') => (Some(' '), 1),
        Some(b'x') => (rest.get(1..3).and_then(hex), 3),
        Some(b'u') => (rest.get(1..5).and_then(hex), 5),
        _ => (None, 0),
    };
    char.map_or(('\\', slashes), |char| (char, slashes + length))
}

/// Reads a URL escape. `%252F` is `%2F` escaped again.
fn percent(text: &str) -> Option<(char, usize)> {
    let mut found = None;
    let mut end = 1;
    while let Some(char) = text.get(end..end + 2).and_then(hex) {
        end += 2;
        found = Some((char, end));
        if char != '%' {
            break;
        }
    }
    found
}

/// Reads an HTML escape: a numeric entity, or the named entity of `/` or `+`. A secret key does not contain other
/// special characters.
fn entity(text: &str) -> Option<(char, usize)> {
    let mut name = text.strip_prefix('&')?;
    while let Some(rest) = name.strip_prefix("amp;") {
        name = rest;
    }
    let before = text.len() - name.len();
    let (length, _) = name.char_indices().take(10).find(|(_, char)| *char == ';')?;
    let char = match name.get(..length)? {
        "sol" => Some('/'),
        "plus" => Some('+'),
        number => {
            let number = number.strip_prefix('#')?;
            number.strip_prefix(['x', 'X']).map_or_else(|| code(number, 10), hex)
        }
    };
    Some((char?, before + length + 1))
}

fn hex(digits: &str) -> Option<char> {
    code(digits, 16)
}

fn code(digits: &str, radix: u32) -> Option<char> {
    // `from_str_radix` alone would also accept a sign.
    let number = digits.chars().all(|char| char.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())??;
    Some(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        units(text).map(|unit| unit.char).collect()
    }

    #[test]
    fn an_escape_is_read_as_the_character_it_stands_for() {
        for text in [
            "a/b",
            r"a\/b",
            r"a\\/b",
            r"a\u002fb",
            r"a\u002Fb",
            r"a\\\u002fb",
            r"a\x2fb",
            "a%2Fb",
            "a%2fb",
            "a%252Fb",
            "a%25252Fb",
            "a&#47;b",
            "a&#x2F;b",
            "a&amp;#x2f;b",
            "a&amp;amp;#047;b",
            "a&sol;b",
            "&#97;/b",
            r"\u0061/\u0062",
            "%61/%62",
        ] {
            assert_eq!(read(text), "a/b", "{text}");
        }
        assert_eq!(read("1&plus;1%2B1"), "1+1+1");
    }

    #[test]
    fn the_letter_of_an_escape_is_not_part_of_the_text() {
        assert_eq!(read(r"a\nb\\tc"), "a b c");
        assert_eq!(read("%22a%20b%0A"), "\"a b\n");
    }

    #[test]
    fn an_escape_that_is_not_valid_is_plain_text() {
        for text in [
            "50% off", "%", "%2", "a%zz", "%+1", r"\u00", r"\uzzzz", r"\x", "&", "&;", "&#;", "&#x;", "&no;", "&#+4;",
            r"\q",
        ] {
            assert_eq!(read(text), text, "{text}");
        }
        assert_eq!(read(r"\\\q"), r"\q", "several backslashes are read as one");
    }

    #[test]
    fn units_cover_the_whole_text_in_order() {
        for text in ["", "ö%2Fü\\u002f&#47;€", "\\", "%25%", "&amp;", "\\ud83d\\ude00", "&#99999999;x", "%€", r"\x€€"]
        {
            let mut end = 0;
            for unit in units(text) {
                assert_eq!(unit.start, end, "{text}");
                assert!(text.get(unit.start..unit.end).is_some_and(|piece| !piece.is_empty()), "{text}");
                end = unit.end;
            }
            assert_eq!(end, text.len(), "{text}");
        }
    }
}
