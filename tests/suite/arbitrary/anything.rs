//! Arbitrary JSON that often contains words with a meaning to the function.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Names of event fields and of properties.
pub const WORDS: [&str; 34] = [
    "RequestType",
    "StackId",
    "RequestId",
    "LogicalResourceId",
    "PhysicalResourceId",
    "ResourceType",
    "ResourceProperties",
    "OldResourceProperties",
    "ServiceToken",
    "CoiledTokenSecretArn",
    "Workspace",
    "UserName",
    "UserPath",
    "Region",
    "PermissionsBoundaryArn",
    "PolicyProfile",
    "AttachSetupPolicy",
    "NetworkId",
    "SchedulerSubnetId",
    "WorkerSubnetId",
    "FirewallId",
    "Ingress",
    "Registry",
    "DockerHubUsername",
    "DockerHubTokenSecretArn",
    "AdoptExisting",
    "ForceDisconnect",
    "RotateKey",
    "Tags",
    "Release",
    "Ports",
    "Cidr",
    "Key",
    "Value",
];

/// An arbitrary string, or a word that has a meaning somewhere in an event.
pub fn text() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 13] = [
        "Create",
        "Update",
        "Delete",
        "true",
        "false",
        "coiled",
        "/",
        "us-east-1",
        "ecr",
        "[",
        "{}",
        "[{}]",
        "10.0.0.0/8",
    ];
    prop_oneof![
        2 => proptest::sample::select(KNOWN.as_slice()).prop_map(str::to_owned),
        1 => proptest::sample::select(WORDS.as_slice()).prop_map(str::to_owned),
        2 => any::<String>(),
        1 => "[ -~]{0,80}",
    ]
}

pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..6).prop_map(Value::from), object(inner).prop_map(Value::Object)]
    })
}

/// An object whose keys are often field or property names.
pub fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![3 => proptest::sample::select(WORDS.as_slice()).prop_map(str::to_owned), 1 => text()];
    btree_map(key, values, 0..8).prop_map(|fields| fields.into_iter().collect())
}
