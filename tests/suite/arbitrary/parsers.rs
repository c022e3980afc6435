//! What is parsed: the functions that `fuzz/` drives too, and what has to hold for values that are right.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::anything::{json, text};
use super::check;
use crate::support::parsers;

/// Bytes of any kind, or JSON, or lines that might be something.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = (text(), text()).prop_map(|(a, b)| format!("{a}={b}"));
    let marks =
        prop_oneof!["coiled-stack:lease=[a-z0-9-]{0,9}/[0-9]{1,12}/[0-9]{1,12}(/Delete)?", "[a-f0-9]{16}/[a-f0-9]{16}"];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        json().prop_map(|value| value.to_string().into_bytes()),
        (json(), json()).prop_map(|(a, b)| format!("{a}\n{b}").into_bytes()),
        proptest::collection::vec(prop_oneof![line, marks], 0..8).prop_map(|lines| lines.join("\n").into_bytes()),
    ]
}

#[test]
fn no_parser_panics() {
    type Parser = fn(&[u8]);
    let all: [(&str, Parser); 5] = [
        ("request", parsers::request),
        ("documents", parsers::documents),
        ("marks", parsers::marks),
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

/// A policy says the same in any order of keys, statements' lists and encodings; and never with one action changed.
#[test]
fn documents_are_compared_by_what_they_mean() {
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
        prop_assert!(coiled_aws_stack::iam::document::same(&value.to_string(), ours));
        let statements = value["Statement"].as_array_mut().unwrap();
        let statement = index.get_mut(statements);
        statement["Action"] = json!(["ec2:DeleteVpc", statement["Action"][0]]);
        prop_assert!(!coiled_aws_stack::iam::document::same(&value.to_string(), ours));
        Ok(())
    });
}
