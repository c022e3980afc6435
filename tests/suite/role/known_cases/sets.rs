//! Condition operators with keys of many values.

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
        case("all values match one each", all, &["owner", "coiled-stack"], Allowed),
        case("one value matches none", all, &["owner", "other"], NotGranted),
        case("ForAllValues is true without the key", all, &[], Allowed),
        case("any value matches one", any, &["other", "owner"], Allowed),
        case("no value matches one", any, &["other"], NotGranted),
        case("ForAnyValue is false without the key", any, &[], NotGranted),
        case("negated, one value matches none", "ForAnyValue:StringNotLike", &["owner", "other"], Allowed),
        case("negated, each has to match none", "ForAllValues:StringNotLike", &["owner", "other"], NotGranted),
    ]
}
