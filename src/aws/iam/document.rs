//! Coiled's two policies, and a comparison of policy documents by meaning.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::properties::Spec;
use crate::properties::names::UserName;

/// One of the two policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The permissions that Coiled needs once, to create its network and roles. They are close to administrator access,
    /// so this policy can be detached afterwards.
    Setup,
    /// The permissions that Coiled needs for every cluster.
    Ongoing,
}

impl Kind {
    /// Both policies, in the order in which Coiled needs them.
    pub(crate) const ALL: [Kind; 2] = [Kind::Setup, Kind::Ongoing];

    /// The policy's name: the user's name with a suffix.
    pub(crate) fn name(self, user: &UserName) -> String {
        match self {
            Kind::Setup => format!("{user}-setup"),
            Kind::Ongoing => format!("{user}-ongoing"),
        }
    }

    /// Whether the properties want this policy attached to the user. Both policies are created even if they are not
    /// attached.
    pub(crate) fn is_attached_by(self, spec: &Spec) -> bool {
        self == Kind::Ongoing || spec.attach_setup
    }

    /// The policy document, as `coiled` 1.135.6 creates it.
    pub(crate) fn document(self) -> &'static str {
        match self {
            Kind::Setup => include_str!("../../../policies/setup.json"),
            Kind::Ongoing => include_str!("../../../policies/ongoing.json"),
        }
    }
}

/// Whether two documents have the same meaning.
///
/// IAM returns documents URL-encoded and reordered. A person may also have replaced a one-element list with its
/// element.
pub fn same(a: &str, b: &str) -> bool {
    match (meaning(a), meaning(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

/// A document's canonical form; `None` if it is not JSON.
fn meaning(text: &str) -> Option<Value> {
    let plain = percent_decode_str(text).decode_utf8().ok()?;
    // The undecoded text is tried first, because a document that is not URL-encoded may contain a literal `%`.
    let value: Value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&plain)).ok()?;
    Some(canonical(value))
}

/// In a policy, lists are sets, and a one-element list means the same as its element. Objects do not need to be sorted,
/// because `Value` compares them regardless of order.
fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(canonical).collect();
            items.sort_by_key(Value::to_string);
            items.dedup();
            if items.len() == 1 { items.pop().unwrap_or_default() } else { Value::Array(items) }
        }
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, canonical(value))).collect()),
        // IAM accepts both `true` and `"true"` in conditions.
        Value::Bool(flag) => Value::String(flag.to_string()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    #[test]
    fn order_url_encoding_and_one_element_lists_do_not_change_the_meaning() {
        let a = r#"{"Statement":[{"Action":["b","a"],"Resource":"*"},{"Action":"c"}]}"#;
        let b = r#"{"Statement":[{"Action":["c"]},{"Resource":["*"],"Action":["a","b"]}]}"#;
        assert!(same(a, b));
        assert!(same(&utf8_percent_encode(a, NON_ALPHANUMERIC).to_string(), b));
    }

    #[test]
    fn a_different_action_condition_or_effect_changes_the_meaning() {
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
