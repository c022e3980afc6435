//! Compares policy documents by their permissions, independent of order and grouping.

use std::collections::BTreeSet;

use serde_json::Value;

/// One permission: effect, action, resource and condition.
type Permission = (String, String, String, String);

/// Every permission that the document allows or denies.
///
/// # Panics
///
/// If the document has an element that is not supported here. Ignoring it could make different policies compare as
/// equal.
pub fn permissions(document: &Value) -> BTreeSet<Permission> {
    only(document, &["Version", "Id", "Statement"]);
    assert_eq!(document["Version"], "2012-10-17");
    list(&document["Statement"]).into_iter().flat_map(of_statement).collect()
}

fn of_statement(statement: &Value) -> Vec<Permission> {
    only(statement, &["Sid", "Effect", "Action", "Resource", "Condition"]);
    let effect = text(&statement["Effect"]);
    let condition = condition(&statement["Condition"]);
    let resources = list(&statement["Resource"]);
    let on_all = |action: &Value| {
        let action = text(action);
        let permission = |resource: &&Value| (effect.clone(), action.clone(), text(resource), condition.clone());
        resources.iter().map(permission).collect::<Vec<_>>()
    };
    list(&statement["Action"]).into_iter().flat_map(on_all).collect()
}

/// A condition as a sorted text.
fn condition(condition: &Value) -> String {
    let Some(operators) = condition.as_object() else {
        return String::new();
    };
    let mut tests = BTreeSet::new();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().expect("keys with values") {
            let values: BTreeSet<_> = list(values).into_iter().map(text).collect();
            tests.insert(format!("{operator} {key} {values:?}"));
        }
    }
    format!("{tests:?}")
}

fn only(object: &Value, names: &[&str]) {
    let unknown = object.as_object().expect("an object").keys().find(|name| !names.contains(&name.as_str()));
    assert_eq!(unknown, None, "this element is not supported");
}

/// In a policy, a single value means the same as a list with that value.
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(statement: Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": statement})
    }

    #[test]
    fn order_grouping_and_sids_do_not_change_permissions() {
        let grouped = json!({"Sid": "A", "Effect": "Allow", "Action": ["a:B", "a:C"], "Resource": ["*"]});
        let apart = json!([
            {"Effect": "Allow", "Action": "a:C", "Resource": "*"},
            {"Effect": "Allow", "Action": "a:B", "Resource": "*"},
        ]);
        assert_eq!(permissions(&document(grouped)), permissions(&document(apart)));
    }

    #[test]
    fn a_change_to_any_part_of_a_permission_changes_permissions() {
        let base = json!({"Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {"Bool": {"k": "v"}}});
        for (part, other) in [
            ("Effect", json!("Deny")),
            ("Action", json!(["a:B", "a:C"])),
            ("Resource", json!("arn")),
            ("Condition", json!({"Bool": {"k": "w"}})),
            ("Condition", json!({"Bool": {"l": "v"}})),
            ("Condition", json!({"Null": {"k": "v"}})),
            ("Condition", json!({})),
        ] {
            let mut changed = base.clone();
            changed[part] = other;
            assert_ne!(permissions(&document(base.clone())), permissions(&document(changed)), "{part}");
        }
    }
}
