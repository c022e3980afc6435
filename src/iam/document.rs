//! Coiled's two policies, and the comparison of policy documents by meaning.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::properties::names::UserName;

/// Which of the two policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What Coiled needs once, to make network and roles: close to administrator, so it can be detached afterwards.
    Setup,
    /// What Coiled needs for every cluster.
    Ongoing,
}

impl Kind {
    /// Both, in the order of their work.
    pub const ALL: [Kind; 2] = [Kind::Setup, Kind::Ongoing];

    /// The policy's name: the user's, with an ending.
    pub fn name(self, user: &UserName) -> String {
        match self {
            Kind::Setup => format!("{user}-setup"),
            Kind::Ongoing => format!("{user}-ongoing"),
        }
    }

    /// The document, as `coiled` 1.135.6 writes it.
    pub fn document(self) -> &'static str {
        match self {
            Kind::Setup => include_str!("../../policies/setup.json"),
            Kind::Ongoing => include_str!("../../policies/ongoing.json"),
        }
    }
}

/// Whether two documents mean the same.
///
/// IAM gives documents back URL-encoded and re-ordered, and a person may have written one value where another wrote a
/// list of one.
pub fn same(a: &str, b: &str) -> bool {
    match (meaning(a), meaning(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// A document's canonical form; `None` if it is not JSON.
fn meaning(text: &str) -> Option<Value> {
    let plain = percent_decode_str(text).decode_utf8().ok()?;
    // A document that comes in plain form may hold a literal `%`.
    let value: Value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&plain)).ok()?;
    Some(canonical(value))
}

/// Lists are sets in a policy, and a list of one is its element; objects compare without order already.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(canonical).collect();
            items.sort_by_key(Value::to_string);
            items.dedup();
            if items.len() == 1 { items.pop().unwrap_or_default() } else { Value::Array(items) }
        }
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, canonical(value))).collect()),
        // Conditions say `true` and `"true"` alike.
        Value::Bool(flag) => Value::String(flag.to_string()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    #[test]
    fn order_encoding_and_lists_of_one_mean_nothing() {
        let a = r#"{"Statement":[{"Action":["b","a"],"Resource":"*"},{"Action":"c"}]}"#;
        let b = r#"{"Statement":[{"Action":["c"]},{"Resource":["*"],"Action":["a","b"]}]}"#;
        assert!(same(a, b));
        assert!(same(&utf8_percent_encode(a, NON_ALPHANUMERIC).to_string(), b));
    }

    #[test]
    fn another_action_condition_or_effect_is_another_meaning() {
        let policy = r#"{"Statement":[{"Effect":"Allow","Action":["a","b"],"Condition":{"Bool":{"x":"true"}}}]}"#;
        for (from, to) in [("Allow", "Deny"), ("\"a\",", ""), ("true", "false"), ("Bool", "BoolIfExists")] {
            assert!(!same(policy, &policy.replace(from, to)), "{from}");
        }
        assert!(!same("not json", "not json"));
    }

    #[test]
    fn both_documents_fit_into_a_managed_policy() {
        for (kind, size) in [(Kind::Setup, 763), (Kind::Ongoing, 2486)] {
            let characters = kind.document().chars().filter(|c| !c.is_whitespace()).count();
            assert_eq!(characters, size, "{kind:?}");
            assert!(characters <= 6144);
        }
    }
}
