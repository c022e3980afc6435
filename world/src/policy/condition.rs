//! The condition operators that this project's policies and the known cases use.
//!
//! Any other operator panics. If it were ignored, the evaluator would report permissions that the policy does not
//! grant.

use super::evaluate::{Request, Texts};
use super::pattern::{is_arn_like, is_like};

/// One operator with one key. A statement applies only if all its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The operator as written in the policy: `StringEquals`, `ForAnyValue:ArnLikeIfExists`, …
    pub operator: String,
    /// The context key. IAM ignores its case.
    pub key: String,
    /// At least one value must match. With a negated operator, none may match.
    pub values: Texts,
}

/// The parts of an operator's name.
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
            // "ArnEquals and ArnLike behave identically", including wildcards.
            "ArnEquals" | "ArnLike" => (is_arn_like, false),
            "ArnNotEquals" | "ArnNotLike" => (is_arn_like, true),
            "Bool" => (equal_in_any_case, false),
            other => panic!("the condition operator {other} is not supported"),
        }
    }
}

impl Condition {
    /// Whether the condition holds for a request.
    pub fn holds(&self, request: &Request) -> bool {
        let operator = Operator::read(&self.operator);
        let there = request.context(&self.key);
        if operator.name == "Null" {
            assert!(operator.set.is_none() && !operator.if_exists, "{} is not an operator", self.operator);
            return self.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&there.is_empty().to_string()));
        }
        if there.is_empty() && operator.if_exists {
            return true;
        }
        let (compare, is_negated) = operator.comparison();
        let passes = |text: &String| self.values.iter().any(|wanted| compare(wanted, text)) != is_negated;
        match operator.set {
            // True without any value, so an Allow with ForAllValues also applies if the key is missing.
            Some("ForAllValues") => there.iter().all(passes),
            Some("ForAnyValue") => there.iter().any(passes),
            Some(other) => panic!("the set operator {other} is not supported"),
            // A missing key matches no value, so a negated operator holds.
            None if there.is_empty() => is_negated,
            None => {
                assert!(there.len() == 1, "{} has several values: use ForAnyValue or ForAllValues", self.key);
                there.iter().all(passes)
            }
        }
    }
}
