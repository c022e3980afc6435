//! What the client registers for given inputs, to compare with what the function registers.

use serde_json::{Value, json};

use super::{Aws, GenuineClient};
use crate::stand_in::StandIn;
use crate::sts;

/// The two spellings of the key pair in one registration.
const KEYS: [(&str, &[&str]); 2] = [
    ("/data/options/credentials", &["aws_access_key", "aws_secret_key"]),
    ("/data/registry/credentials", &["aws_access_key_id", "aws_secret_access_key"]),
];

/// What the client registers for each of these keyword arguments of its `set_backend_options`, keys excepted.
///
/// One process records them all: starting it takes longer than all else.
pub async fn registrations(inputs: &[Value]) -> Vec<Value> {
    let stand_in = StandIn::start().await;
    let aws = Aws::at(&sts::knowing(None).await, "AKIACALLER");
    let calls: Vec<_> = inputs.iter().map(|input| ("set_backend_options", with_key(input))).collect();
    let answers = GenuineClient::new(&stand_in, &aws).call(&calls).await;
    assert!(answers.iter().all(|answer| answer.get("ok").is_some()), "{answers:?}");
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

/// A registration without what differs each time: the keys, and the client's random ids of session and request.
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
            // A key that isn't there stays away, for that would be a difference.
            if let Some(value) = credentials.get_mut(*name) {
                *value = json!(format!("<{name}>"));
            }
        }
    }
    message
}

/// The same for one set of inputs.
pub async fn registration(input: Value) -> Value {
    registrations(&[input]).await.remove(0)
}
