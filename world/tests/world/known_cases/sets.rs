//! Condition operators with multivalued keys.

use serde_json::json;

use super::*;

const SETS: &str = "reference_policies_condition-single-vs-multi-valued-context-keys.html";

pub(super) fn cases() -> Vec<Case> {
    let tagged = |keys: &[&str]| keys.iter().fold(attach(), |request, key| request.with("aws:TagKeys", *key));
    let case = |says, operator: &str, keys: &[&str], decision| Case {
        says,
        page: SETS,
        statements: allow_if(json!({operator: {"aws:TagKeys": ["owner", "coiled-*"]}})),
        request: tagged(keys),
        decision,
    };
    let (all, any) = ("ForAllValues:StringLike", "ForAnyValue:StringLike");
    vec![
        case("ForAllValues: each value matches a pattern", all, &["owner", "coiled-stack"], Allowed),
        case("ForAllValues: one value matches no pattern", all, &["owner", "other"], NotGranted),
        case("ForAllValues is true without the key", all, &[], Allowed),
        case("ForAnyValue: one value matches a pattern", any, &["other", "owner"], Allowed),
        case("ForAnyValue: no value matches a pattern", any, &["other"], NotGranted),
        case("ForAnyValue is false without the key", any, &[], NotGranted),
        case("ForAnyValue, negated: one matches none", "ForAnyValue:StringNotLike", &["owner", "other"], Allowed),
        case("ForAllValues, negated: one value matches", "ForAllValues:StringNotLike", &["owner", "other"], NotGranted),
    ]
}
