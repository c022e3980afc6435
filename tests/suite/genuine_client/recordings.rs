//! Records the client's registrations for comparison with the function's.

use coiled_stand_in::StandIn;
use serde_json::{Value, json};

use super::GenuineClient;
use crate::sts;

/// The two places of the key pair in a registration, with their field names.
const KEYS: [(&str, &[&str]); 2] = [
    ("/data/options/credentials", &["aws_access_key", "aws_secret_key"]),
    ("/data/registry/credentials", &["aws_access_key_id", "aws_secret_access_key"]),
];

/// The client's registrations for each set of keyword arguments of `set_backend_options`, with masked keys.
///
/// One process makes all registrations, because starting the client takes most of the time.
pub async fn registrations(inputs: &[Value]) -> Vec<Value> {
    let stand_in = StandIn::start().await;
    let calls: Vec<_> = inputs.iter().map(|input| ("set_backend_options", with_key(input))).collect();
    let results = GenuineClient::new(&stand_in, &sts::knowing(None).await).call(&calls).await;
    assert!(results.iter().all(|result| result.get("ok").is_some()), "{results:?}");
    assert_eq!(stand_in.violations(), [""; 0]);
    let recorded: Vec<Value> = stand_in.registrations().iter().map(comparable).collect();
    assert_eq!(recorded.len(), inputs.len());
    recorded
}

fn with_key(input: &Value) -> Value {
    let mut input = input.clone();
    input["aws_access_key_id"] = json!("AKIAREGISTERED");
    input["aws_secret_access_key"] = json!("registered-secret");
    input["workspace"] = json!("ada");
    input
}

/// A registration with masked keys and without the client's random session and request IDs.
pub fn comparable(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(fields) = message.as_object_mut() {
        fields.retain(|name, _| !["coiled-session-id", "coiled-request-id"].contains(&name.as_str()));
    }
    for (pointer, names) in KEYS {
        let Some(credentials) = message.pointer_mut(pointer).and_then(Value::as_object_mut) else {
            continue;
        };
        for name in names {
            // A missing key stays missing, so that the comparison finds the difference.
            if let Some(value) = credentials.get_mut(*name) {
                *value = json!(format!("<{name}>"));
            }
        }
    }
    message
}

/// The client's registration for one set of keyword arguments.
pub async fn registration(input: Value) -> Value {
    registrations(&[input]).await.remove(0)
}
