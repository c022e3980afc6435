//! Condition operators: those that this project's policies and its table of known cases use. Any other is a panic, for a
//! condition that is skipped is a right that nobody granted.

use super::evaluate::{Request, Texts};
use super::pattern::{is_arn_like, is_like};

/// One operator with one key: all of a statement's have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// As it is written, `StringEquals`, `ForAnyValue:ArnLikeIfExists`, …
    pub operator: String,
    /// The context key; case means nothing in it.
    pub key: String,
    /// One of these has to match; of a negated operator, none may.
    pub values: Texts,
}

/// An operator, taken apart.
struct Operator<'a> {
    set: Option<&'a str>,
    name: &'a str,
    if_exists: bool,
}

impl<'a> Operator<'a> {
    fn read(text: &'a str) -> Self {
        let (set, rest) = text.split_once(':').map_or((None, text), |(set, rest)| (Some(set), rest));
        let name = rest.strip_suffix("IfExists");
        Self { set, name: name.unwrap_or(rest), if_exists: name.is_some() }
    }

    /// The comparison, and whether it is negated.
    fn comparison(&self) -> (fn(&str, &str) -> bool, bool) {
        let equal: fn(&str, &str) -> bool = |wanted, there| wanted == there;
        let equal_in_any_case: fn(&str, &str) -> bool = |wanted, there| wanted.eq_ignore_ascii_case(there);
        match self.name {
            "StringEquals" => (equal, false),
            "StringNotEquals" => (equal, true),
            "StringEqualsIgnoreCase" => (equal_in_any_case, false),
            "StringNotEqualsIgnoreCase" => (equal_in_any_case, true),
            "StringLike" => (is_like, false),
            "StringNotLike" => (is_like, true),
            // "ArnEquals and ArnLike behave identically", wildcards and all.
            "ArnEquals" | "ArnLike" => (is_arn_like, false),
            "ArnNotEquals" | "ArnNotLike" => (is_arn_like, true),
            "Bool" => (equal_in_any_case, false),
            other => panic!("the condition operator {other} is not known here"),
        }
    }
}

impl Condition {
    /// Whether it holds for a request.
    pub fn holds(&self, request: &Request) -> bool {
        let operator = Operator::read(&self.operator);
        let there = request.context(&self.key);
        if operator.name == "Null" {
            assert!(operator.set.is_none() && !operator.if_exists, "{} is no operator", self.operator);
            return self.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&there.is_empty().to_string()));
        }
        if there.is_empty() && operator.if_exists {
            return true;
        }
        let (compare, is_negated) = operator.comparison();
        let passes = |text: &String| self.values.iter().any(|wanted| compare(wanted, text)) != is_negated;
        match operator.set {
            // True without any value, which makes it a bad guard of an Allow.
            Some("ForAllValues") => there.iter().all(passes),
            Some("ForAnyValue") => there.iter().any(passes),
            Some(other) => panic!("{other} is not known here"),
            // What is not there matches nothing: so a negated operator holds.
            None if there.is_empty() => is_negated,
            None => {
                assert!(there.len() == 1, "{} has many values: it needs ForAnyValue or ForAllValues", self.key);
                there.iter().all(passes)
            }
        }
    }
}
