//! Documented cases of policy evaluation, to test the evaluator.
//!
//! The two published evaluator crates fail some of these cases: `ArnEquals` with wildcards, `ArnLike` across colons,
//! and a Deny with `StringNotEquals` on a missing key.

mod conditions;
mod elements;
mod sets;

use serde_json::{Value, json};

use coiled_world::policy::evaluate::Decision::{self, Allowed, Denied, NotGranted};
use coiled_world::policy::evaluate::{Policy, Request};

/// One case: a request, the statements, and the decision that AWS documents.
pub(super) struct Case {
    /// The documented rule.
    says: &'static str,
    /// The page, relative to `https://docs.aws.amazon.com/IAM/latest/UserGuide/`.
    page: &'static str,
    statements: Value,
    request: Request,
    decision: Decision,
}

const USER: &str = "arn:aws:iam::111122223333:user/coiled";

/// A statement that allows `iam:AttachUserPolicy` on every resource under a condition.
fn allow_if(condition: Value) -> Value {
    json!({"Effect": "Allow", "Action": "iam:AttachUserPolicy", "Resource": "*", "Condition": condition})
}

fn allow_all() -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
}

fn deny_if(condition: Value) -> Value {
    json!([allow_all(), {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}])
}

fn attach() -> Request {
    Request::new("iam:AttachUserPolicy", USER)
}

#[test]
fn the_evaluator_decides_every_known_case_as_aws_documents_it() {
    let cases: Vec<Case> = [elements::cases(), conditions::cases(), sets::cases()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "only {} cases: at least one was removed", cases.len());
    for case in &cases {
        let policy = Policy::read(&json!({"Version": "2012-10-17", "Statement": case.statements}));
        assert_eq!(policy.decide(&case.request), case.decision, "{} ({}): {}", case.says, case.page, case.statements);
    }
    for decision in [Allowed, Denied, NotGranted] {
        assert!(cases.iter().any(|case| case.decision == decision), "no case expects {decision:?}");
    }
}

#[test]
fn the_evaluator_panics_on_unsupported_policy_elements() {
    let bound = json!({"iam:PolicyARN": "x"});
    for (what, statement) in [
        ("an unsupported operator", allow_if(json!({"NumericEquals": bound}))),
        ("a misspelled operator", allow_if(json!({"StringEqual": bound}))),
        ("an unknown set operator", allow_if(json!({"ForSomeValues:StringEquals": bound}))),
        ("Null with IfExists", allow_if(json!({"NullIfExists": bound}))),
        ("a variable", json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::1:user/${aws:username}"})),
        ("a principal", json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})),
        ("Action with NotAction", json!({"Effect": "Allow", "Action": "*", "NotAction": "iam:*", "Resource": "*"})),
        ("no resource", json!({"Effect": "Allow", "Action": "*"})),
        ("an effect in lower case", json!({"Effect": "allow", "Action": "*", "Resource": "*"})),
    ] {
        let decided = std::panic::catch_unwind(|| {
            let policy = Policy::read(&json!({"Version": "2012-10-17", "Statement": statement}));
            policy.decide(&attach().with("iam:PolicyARN", "x"))
        });
        assert!(decided.is_err(), "{what} did not panic: {decided:?}");
    }
    let old = std::panic::catch_unwind(|| Policy::read(&json!({"Version": "2008-10-17", "Statement": allow_all()})));
    assert!(old.is_err(), "the older policy version did not panic");
}
