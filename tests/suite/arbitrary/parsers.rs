//! Property tests of the parsers, with the functions that the targets in `fuzz/` use.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::anything::{json, text};
use super::check;
use crate::support::parsers;

/// Arbitrary bytes, JSON, or lines that resemble state tags.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = (text(), text()).prop_map(|(a, b)| format!("{a}={b}"));
    let state_tags =
        prop_oneof!["coiled-stack:lease=[a-z0-9-]{0,9}/[0-9]{1,12}/[0-9]{1,12}(/Delete)?", "[a-f0-9]{16}/[a-f0-9]{16}"];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        json().prop_map(|value| value.to_string().into_bytes()),
        (json(), json()).prop_map(|(a, b)| format!("{a}\n{b}").into_bytes()),
        proptest::collection::vec(prop_oneof![line, state_tags], 0..8).prop_map(|lines| lines.join("\n").into_bytes()),
    ]
}

#[test]
fn parsers_do_not_panic_on_arbitrary_input() {
    type Parser = fn(&[u8]);
    let all: [(&str, Parser); 5] = [
        ("request", parsers::request),
        ("documents", parsers::documents),
        ("tags", parsers::tags),
        ("coiled", parsers::coiled),
        ("secrets", parsers::secrets),
    ];
    for (name, parser) in all {
        check(name, 2000, &bytes(), |bytes| {
            parser(&bytes);
            Ok(())
        });
    }
}

#[test]
fn policy_documents_are_equal_in_any_order_of_actions_and_differ_if_one_action_changes() {
    let ours = include_str!("../../../policies/ongoing.json");
    let strategy = (any::<u64>(), any::<prop::sample::Index>());
    check("documents", 500, &strategy, |(seed, index)| {
        let mut value: Value = serde_json::from_str(ours).unwrap();
        for statement in value["Statement"].as_array_mut().unwrap() {
            if let Some(actions) = statement["Action"].as_array_mut() {
                let by = usize::try_from(seed % 7).unwrap() % actions.len().max(1);
                actions.rotate_left(by);
            }
        }
        prop_assert!(coiled_aws_stack::aws::iam::document::same(&value.to_string(), ours));
        let statements = value["Statement"].as_array_mut().unwrap();
        let statement = index.get_mut(statements);
        statement["Action"] = json!(["ec2:DeleteVpc", statement["Action"][0]]);
        prop_assert!(!coiled_aws_stack::aws::iam::document::same(&value.to_string(), ours));
        Ok(())
    });
}
