//! The three kinds of wildcard matching in IAM.

/// Matches `Action`: like a string, but ignoring case.
pub fn is_action(pattern: &str, action: &str) -> bool {
    match is_wild(pattern) {
        true => is_like(&pattern.to_lowercase(), &action.to_lowercase()),
        false => pattern.eq_ignore_ascii_case(action),
    }
}

/// Matches `StringLike`: `*` matches any text, and `?` matches one character. The whole value must match.
pub fn is_like(pattern: &str, text: &str) -> bool {
    glob(pattern, text, false)
}

/// Matches `ArnLike` and `ArnEquals`: each of the six parts of an ARN on its own. Wildcards match colons only in the
/// last part.
pub fn is_arn_like(pattern: &str, text: &str) -> bool {
    let parts = |arn| str::splitn(arn, 6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (patterns, texts) = (parts(pattern), parts(text));
    patterns.len() == 6 && texts.len() == 6 && patterns.iter().zip(&texts).all(|(pattern, text)| is_like(pattern, text))
}

/// Matches `Resource`: wildcards match within one part of the ARN. Only a `*` at the end of a part "can expand to match
/// beyond the colon boundaries".
pub fn is_resource(pattern: &str, arn: &str) -> bool {
    glob(pattern, arn, true)
}

/// Whether a pattern contains a wildcard. Most do not, and a plain comparison is faster for millions of calls.
fn is_wild(pattern: &str) -> bool {
    pattern.as_bytes().contains(&b'*') || pattern.as_bytes().contains(&b'?')
}

fn glob(pattern: &str, text: &str, in_parts: bool) -> bool {
    if !is_wild(pattern) {
        return pattern == text;
    }
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let next = text.chars().next();
    match first {
        '*' => {
            let crosses = !in_parts || rest.is_empty() || rest.starts_with(':');
            let reach = if crosses { text.len() } else { text.find(':').unwrap_or(text.len()) };
            let mut ends = (0..=reach).filter(|end| text.is_char_boundary(*end));
            ends.any(|end| glob(rest, &text[end..], in_parts))
        }
        '?' => next.is_some_and(|c| !(in_parts && c == ':') && glob(rest, &text[c.len_utf8()..], in_parts)),
        c => next == Some(c) && glob(rest, &text[c.len_utf8()..], in_parts),
    }
}
