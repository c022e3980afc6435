//! Wildcards, which mean three different things in IAM.

/// `StringLike`: `*` is any text, `?` any one character, over the whole value.
pub fn is_like(pattern: &str, text: &str) -> bool {
    glob(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
}

/// `ArnLike`, `ArnEquals`: each of the six parts of an ARN for itself, so that no wildcard crosses a colon before the
/// last part.
pub fn is_arn_like(pattern: &str, text: &str) -> bool {
    let parts = |arn| str::splitn(arn, 6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (patterns, texts) = (parts(pattern), parts(text));
    patterns.len() == 6 && texts.len() == 6 && patterns.iter().zip(&texts).all(|(pattern, text)| is_like(pattern, text))
}

/// `Resource`: wildcards stay within a part of the ARN, but for a `*` at the end of one, which "can expand to match beyond
/// the colon boundaries".
pub fn is_resource(pattern: &str, arn: &str) -> bool {
    resource(&pattern.chars().collect::<Vec<_>>(), &arn.chars().collect::<Vec<_>>())
}

fn resource(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        (['*', rest @ ..], _) => {
            let crosses = matches!(rest.first(), None | Some(':'));
            let reach = if crosses { text.len() } else { text.iter().take_while(|c| **c != ':').count() };
            (0..=reach).any(|n| resource(rest, &text[n..]))
        }
        (['?', rest @ ..], [c, others @ ..]) => *c != ':' && resource(rest, others),
        ([p, rest @ ..], [c, others @ ..]) => p == c && resource(rest, others),
        (_, []) => false,
    }
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        (['*', rest @ ..], _) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
        (['?', rest @ ..], [_, others @ ..]) => glob(rest, others),
        ([p, rest @ ..], [c, others @ ..]) => p == c && glob(rest, others),
        (_, []) => false,
    }
}
