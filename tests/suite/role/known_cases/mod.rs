//! What AWS documents about policies, case by case: the evaluator is right where it agrees with all of them.
//!
//! Both evaluators that there are as crates miss some (`ArnEquals` with wildcards, `ArnLike` across colons, a Deny with
//! `StringNotEquals` on a missing key), so each case is here for its own sake.

mod conditions;
mod elements;
mod sets;

use serde_json::{Value, json};

use crate::support::policy::evaluate::Decision::{self, Allowed, Denied, NotGranted};
use crate::support::policy::evaluate::{Policy, Request};

/// One case: by which page, with which statements, what is asked, and what AWS says.
pub(super) struct Case {
    /// What the page says there.
    says: &'static str,
    /// The page, below `https://docs.aws.amazon.com/IAM/latest/UserGuide/`.
    page: &'static str,
    statements: Value,
    request: Request,
    decision: Decision,
}

const USER: &str = "arn:aws:iam::111122223333:user/coiled";

/// The one Allow of an action on everything, if a condition holds.
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
fn the_evaluator_agrees_with_every_known_case() {
    let cases: Vec<Case> = [elements::cases(), conditions::cases(), sets::cases()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{} cases: one has gone", cases.len());
    for case in &cases {
        let policy = Policy::read(&json!({"Version": "2012-10-17", "Statement": case.statements}));
        assert_eq!(policy.decide(&case.request), case.decision, "{} ({}): {}", case.says, case.page, case.statements);
    }
    for decision in [Allowed, Denied, NotGranted] {
        assert!(cases.iter().any(|case| case.decision == decision), "{decision:?} is never the answer");
    }
}

/// What the evaluator does not know, it refuses to judge.
#[test]
fn the_evaluator_guesses_nothing() {
    let bound = json!({"iam:PolicyARN": "x"});
    for (why, statement) in [
        ("an operator", allow_if(json!({"NumericEquals": bound}))),
        ("a misspelt operator", allow_if(json!({"StringEqual": bound}))),
        ("a set that is none", allow_if(json!({"ForSomeValues:StringEquals": bound}))),
        ("Null with IfExists", allow_if(json!({"NullIfExists": bound}))),
        ("a variable", json!({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:iam::1:user/${aws:username}"})),
        ("a principal", json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})),
        ("Action beside NotAction", json!({"Effect": "Allow", "Action": "*", "NotAction": "iam:*", "Resource": "*"})),
        ("no resource", json!({"Effect": "Allow", "Action": "*"})),
        ("another effect", json!({"Effect": "allow", "Action": "*", "Resource": "*"})),
    ] {
        let judged = std::panic::catch_unwind(|| {
            let policy = Policy::read(&json!({"Version": "2012-10-17", "Statement": statement}));
            policy.decide(&attach().with("iam:PolicyARN", "x"))
        });
        assert!(judged.is_err(), "{why} was judged: {judged:?}");
    }
    let old = std::panic::catch_unwind(|| Policy::read(&json!({"Version": "2008-10-17", "Statement": allow_all()})));
    assert!(old.is_err(), "an older version was judged");
}
