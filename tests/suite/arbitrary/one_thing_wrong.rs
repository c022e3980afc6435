//! Requests as CloudFormation sends them, with one error.

use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::anything::json as any_json;

/// The places where an error may be, as JSON pointers.
const PLACES: [&str; 33] = [
    "/RequestType",
    "/StackId",
    "/RequestId",
    "/LogicalResourceId",
    "/PhysicalResourceId",
    "/ResourceType",
    "/ResourceProperties",
    "/OldResourceProperties",
    "/OldResourceProperties/UserName",
    "/ResourceProperties/ServiceToken",
    "/ResourceProperties/CoiledTokenSecretArn",
    "/ResourceProperties/CoiledServer",
    "/ResourceProperties/Workspace",
    "/ResourceProperties/UserName",
    "/ResourceProperties/UserPath",
    "/ResourceProperties/Region",
    "/ResourceProperties/PermissionsBoundaryArn",
    "/ResourceProperties/PolicyProfile",
    "/ResourceProperties/AttachSetupPolicy",
    "/ResourceProperties/NetworkId",
    "/ResourceProperties/WorkerSubnetId",
    "/ResourceProperties/Ingress",
    "/ResourceProperties/Ingress/0",
    "/ResourceProperties/Ingress/0/Ports",
    "/ResourceProperties/Ingress/0/Ports/0",
    "/ResourceProperties/Ingress/0/Cidr",
    "/ResourceProperties/Registry",
    "/ResourceProperties/AdoptExisting",
    "/ResourceProperties/ForceDisconnect",
    "/ResourceProperties/RotateKey",
    "/ResourceProperties/Tags",
    "/ResourceProperties/Tags/0/Key",
    "/ResourceProperties/Tags/0/Value",
];

/// The replacement at that place.
#[derive(Debug, Clone)]
enum Instead {
    Nothing,
    Value(Value),
    /// One character, repeated.
    Long(char, usize),
    /// The same value a second time, under the key in upper case.
    OtherCase,
    /// The same value a second time, under an unknown key.
    Neighbor(String),
    /// The value as JSON text, cut off after this many characters.
    JsonText(usize),
}

/// A request with one error.
#[derive(Debug, Clone)]
pub struct Wrong {
    request_type: &'static str,
    /// Whether the token can be read, so that the request reaches Coiled. 1 request in 20 has such a token.
    is_live: bool,
    place: &'static str,
    instead: Instead,
}

/// Generates requests with one error.
pub fn changes() -> impl Strategy<Value = Wrong> {
    let values = [
        json!(null),
        json!(""),
        json!(" "),
        json!(7),
        json!(-1),
        json!(1e300),
        json!(true),
        json!([]),
        json!({}),
        json!([[]]),
        json!("ü\u{301}"),
        json!("\u{0}\u{7f}\r\n"),
        json!("*"),
        json!("${aws:username}"),
        json!("a/b"),
        json!("[{}]"),
        json!("["),
    ];
    let instead = prop_oneof![
        2 => Just(Instead::Nothing),
        8 => proptest::sample::select(values.to_vec()).prop_map(Instead::Value),
        2 => any_json().prop_map(Instead::Value),
        1 => (prop_oneof![Just('a'), Just('ü'), Just('"'), Just('\u{1}')], 1..1_000_000_usize).prop_map(|(c, n)| Instead::Long(c, n)),
        1 => Just(Instead::OtherCase),
        1 => "[A-Za-z]{1,12}".prop_map(Instead::Neighbor),
        1 => (0..200_usize).prop_map(Instead::JsonText),
    ];
    let types = prop_oneof![Just("Create"), Just("Update"), Just("Delete")];
    let strategy = (types, proptest::bool::weighted(0.05), proptest::sample::select(PLACES.as_slice()), instead);
    strategy.prop_map(|(request_type, is_live, place, instead)| Wrong { request_type, is_live, place, instead })
}

impl Wrong {
    /// Builds the event.
    pub fn make(self, world: &World) -> Value {
        let mut event = world.event(self.request_type, self.properties(world));
        if self.request_type != "Create" {
            event["PhysicalResourceId"] = json!("coiled-connection-0123456789abcdef0123456789abcdef/ada");
        }
        if self.request_type == "Update" {
            event["OldResourceProperties"] = world.properties(json!({}));
        }
        let parent = self.place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let key = self.place.rsplit('/').next().unwrap_or_default();
        let old = event.pointer(self.place).cloned().unwrap_or_default();
        let new = self.instead(&old);
        match (event.pointer_mut(parent), &self.instead) {
            (Some(Value::Object(map)), Instead::Nothing) => drop(map.remove(key)),
            (Some(Value::Object(map)), Instead::OtherCase) => drop(map.insert(key.to_uppercase(), old)),
            (Some(Value::Object(map)), Instead::Neighbor(name)) => drop(map.insert(format!("x{name}"), old)),
            (Some(Value::Object(map)), _) => drop(map.insert(key.to_owned(), new)),
            (Some(Value::Array(items)), Instead::Nothing) => items.clear(),
            (Some(Value::Array(items)), _) => items[0] = new,
            _ => {}
        }
        only_the_stand_in(world, &mut event);
        event
    }

    fn properties(&self, world: &World) -> Value {
        let secret =
            if self.is_live { world.secret_arn.clone() } else { world.secret_arn.replace("coiled-token", "no-token") };
        world.properties(json!({
            "CoiledTokenSecretArn": secret, "Workspace": "ada", "UserName": "coiled", "UserPath": "/", "Region": "us-east-2",
            "PermissionsBoundaryArn": AWS_POLICY, "PolicyProfile": "standard", "AttachSetupPolicy": "true", "NetworkId": "vpc-0123",
            "WorkerSubnetId": "subnet-0123", "Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}], "Registry": "ecr",
            "AdoptExisting": "false", "ForceDisconnect": "false", "RotateKey": "1", "Tags": [{"Key": "a", "Value": "b"}],
        }))
    }

    fn instead(&self, old: &Value) -> Value {
        match &self.instead {
            Instead::Value(value) => value.clone(),
            // The response must repeat some of these fields. Long values would exceed its limit of 4,096 bytes.
            Instead::Long(c, n) if !self.place.contains("Properties") => json!(c.to_string().repeat((*n).min(150))),
            Instead::Long(c, n) => json!(c.to_string().repeat(*n)),
            Instead::JsonText(end) => json!(old.to_string().chars().take(*end).collect::<String>()),
            _ => Value::Null,
        }
    }
}

/// Sets CoiledServer to the stand-in if it is missing. The default is Coiled's real server.
fn only_the_stand_in(world: &World, event: &mut Value) {
    let url = world.coiled.url();
    for part in ["ResourceProperties", "OldResourceProperties"] {
        let Some(map) = event[part].as_object_mut() else { continue };
        let server = map.get("CoiledServer").and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if server.is_empty() && !map.get("CoiledServer").is_some_and(|value| !value.is_null() && !value.is_string()) {
            map.insert("CoiledServer".into(), json!(url));
        }
    }
    // The response must repeat these fields, and an arbitrary text can be long too.
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        if event[name].as_str().is_some_and(|text| serde_json::to_string(text).unwrap().len() > 1000) {
            event[name] = json!("long");
        }
    }
}
