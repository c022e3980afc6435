//! Condition operators with single-valued keys.

use serde_json::json;

use super::*;

const OPERATORS: &str = "reference_policies_elements_condition_operators.html";
const STRING: &str = "reference_policies_elements_condition_operators.html#Conditions_String";
const ARN: &str = "reference_policies_elements_condition_operators.html#Conditions_ARN";
const BOOL: &str = "reference_policies_elements_condition_operators.html#Conditions_Boolean";
const IF_EXISTS: &str = "reference_policies_elements_condition_operators.html#Conditions_IfExists";
const NULL: &str = "reference_policies_elements_condition_operators.html#Conditions_Null";
const KEYS: &str = "reference_policies_elements_condition.html";
const MANY: &str = "reference_policies_condition-logic-multiple-context-keys-or-values.html";
const BOUNDARY: &str = "access_policies_boundaries.html#access_policies_boundaries-delegate";

const P: &str = "iam:PolicyARN";
const B: &str = "iam:PermissionsBoundary";
const OURS: &str = "arn:aws:iam::111122223333:policy/ours";
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

pub(super) fn cases() -> Vec<Case> {
    [strings(), arns(), missing(), many(), boundaries()].into_iter().flatten().collect()
}

/// An Allow with one operator on `iam:PolicyARN`, and a request with one value of that key.
fn one(page: &'static str, says: &'static str, operator: &str, wanted: &str, there: &str, decision: Decision) -> Case {
    let statements = allow_if(json!({operator: {P: wanted}}));
    Case { says, page, statements, request: attach().with(P, there), decision }
}

fn strings() -> Vec<Case> {
    let tag = "aws:ResourceTag/owner";
    let secure = |value: &str| attach().with("aws:SecureTransport", value);
    let transport = |says, there, decision| Case {
        says,
        page: BOOL,
        statements: allow_if(json!({"Bool": {"aws:SecureTransport": "true"}})),
        request: secure(there),
        decision,
    };
    vec![
        one(STRING, "exact matching", "StringEquals", "coiled", "coiled", Allowed),
        one(STRING, "case sensitive", "StringEquals", "coiled", "Coiled", NotGranted),
        one(STRING, "no wildcards in StringEquals", "StringEquals", "coil*", "coiled", NotGranted),
        one(STRING, "negated matching", "StringNotEquals", "coiled", "other", Allowed),
        one(STRING, "negated matching of the value itself", "StringNotEquals", "coiled", "coiled", NotGranted),
        one(STRING, "exact, ignoring case", "StringEqualsIgnoreCase", "coiled", "COILED", Allowed),
        one(STRING, "negated, ignoring case", "StringNotEqualsIgnoreCase", "coiled", "COILED", NotGranted),
        one(STRING, "* is many characters", "StringLike", "coil*", "coiled", Allowed),
        one(STRING, "* crosses colons in a string", "StringLike", "a*e", "a:b:c:d:e", Allowed),
        one(STRING, "? is one character", "StringLike", "coile?", "coile", NotGranted),
        one(STRING, "StringLike is case sensitive", "StringLike", "coil*", "COILED", NotGranted),
        one(STRING, "negated like", "StringNotLike", "coil*", "coiled", NotGranted),
        transport("Bool true matches true", "true", Allowed),
        transport("Bool true does not match false", "false", NotGranted),
        Case {
            says: "key names are not case-sensitive",
            page: KEYS,
            statements: allow_if(json!({"StringEquals": {"AWS:resourcetag/Owner": "coiled"}})),
            request: attach().with(tag, "coiled"),
            decision: Allowed,
        },
    ]
}

fn arns() -> Vec<Case> {
    let two = |rest: &str| format!("arn:aws:iam::{rest}");
    let ours_of_any = two("*:policy/ours");
    vec![
        one(ARN, "an exact ARN", "ArnEquals", OURS, OURS, Allowed),
        one(ARN, "another ARN", "ArnEquals", OURS, ADMIN, NotGranted),
        one(ARN, "an ARN with a longer name", "ArnEquals", OURS, &format!("{OURS}2"), NotGranted),
        one(ARN, "ArnEquals accepts wildcards like ArnLike", "ArnEquals", &two("111122223333:policy/*"), OURS, Allowed),
        one(ARN, "ArnLike with a wildcard", "ArnLike", &two("111122223333:policy/*"), OURS, Allowed),
        one(ARN, "each part is checked separately", "ArnLike", &ours_of_any, OURS, Allowed),
        one(ARN, "* does not cross a colon", "ArnLike", "arn:aws:iam:*:policy/ours", OURS, NotGranted),
        one(ARN, "? is one character", "ArnLike", &two("111122223333:policy/our?"), OURS, Allowed),
        one(ARN, "negated", "ArnNotEquals", OURS, ADMIN, Allowed),
        one(ARN, "negated, with a wildcard", "ArnNotLike", &ours_of_any, OURS, NotGranted),
        one(STRING, "an ARN in StringEquals accepts no wildcard", "StringEquals", &ours_of_any, OURS, NotGranted),
    ]
}

/// Conditions on a key that is not in the request.
fn missing() -> Vec<Case> {
    let absent = |page, says, operator: &str, decision| Case {
        says,
        page,
        statements: allow_if(json!({operator: {P: OURS}})),
        request: attach(),
        decision,
    };
    let null = |says, wanted: &str, request, decision| Case {
        says,
        page: NULL,
        statements: allow_if(json!({"Null": {P: wanted}})),
        request,
        decision,
    };
    let exists = "ArnEqualsIfExists";
    vec![
        absent(OPERATORS, "a missing key does not match", "StringEquals", NotGranted),
        absent(OPERATORS, "a missing key does not match ArnLike", "ArnLike", NotGranted),
        absent(OPERATORS, "a missing key does not match Bool", "Bool", NotGranted),
        absent(OPERATORS, "negated, a missing key is true", "StringNotEquals", Allowed),
        absent(OPERATORS, "negated like, a missing key is true", "ArnNotLike", Allowed),
        absent(IF_EXISTS, "IfExists: missing is true", exists, Allowed),
        absent(IF_EXISTS, "IfExists, negated: missing is true", "StringNotEqualsIfExists", Allowed),
        one(IF_EXISTS, "IfExists: an existing key is compared", exists, OURS, ADMIN, NotGranted),
        null("Null true: the key must not exist", "true", attach(), Allowed),
        null("Null true, with the key", "true", attach().with(P, OURS), NotGranted),
        null("Null false: the key must exist", "false", attach().with(P, OURS), Allowed),
        null("Null false, without the key", "false", attach(), NotGranted),
    ]
}

fn many() -> Vec<Case> {
    let case = |says, condition, request, decision| Case {
        says,
        page: MANY,
        statements: allow_if(condition),
        request,
        decision,
    };
    let both = attach().with(P, OURS).with(B, OURS);
    let other = attach().with(P, OURS).with(B, ADMIN);
    let two_keys = json!({"ArnEquals": {P: OURS, B: OURS}});
    let two_operators = json!({"ArnEquals": {P: OURS}, "StringLike": {B: "*ours"}});
    vec![
        case("several values: OR", json!({"ArnEquals": {P: [ADMIN, OURS]}}), attach().with(P, OURS), Allowed),
        case(
            "several values of a negated operator: NOR",
            json!({"ArnNotEquals": {P: [ADMIN, OURS]}}),
            attach().with(P, OURS),
            NotGranted,
        ),
        case("several keys: AND", two_keys.clone(), both.clone(), Allowed),
        case("several keys: AND, one fails", two_keys, other.clone(), NotGranted),
        case("several operators: AND", two_operators.clone(), both, Allowed),
        case("several operators: AND, one fails", two_operators, other, NotGranted),
    ]
}

/// Two ways to require a permissions boundary: a Deny for every other boundary, and an Allow only for this one. A
/// missing key has a different effect in each.
fn boundaries() -> Vec<Case> {
    let unless = deny_if(json!({"StringNotEquals": {B: OURS}}));
    let only = allow_if(json!({"StringEquals": {B: OURS}}));
    let case = |says, statements: &Value, request, decision| Case {
        says,
        page: BOUNDARY,
        statements: statements.clone(),
        request,
        decision,
    };
    vec![
        case("Deny unless the boundary is ours: no boundary", &unless, attach(), Denied),
        case("Deny unless the boundary is ours: another boundary", &unless, attach().with(B, ADMIN), Denied),
        case("Deny unless the boundary is ours: our boundary", &unless, attach().with(B, OURS), Allowed),
        case("Allow only with our boundary: no boundary", &only, attach(), NotGranted),
        case("Allow only with our boundary: another boundary", &only, attach().with(B, ADMIN), NotGranted),
        case("Allow only with our boundary: our boundary", &only, attach().with(B, OURS), Allowed),
    ]
}
