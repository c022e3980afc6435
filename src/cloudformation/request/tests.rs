//! Tests for reading a request.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn delete(physical_id: &str) -> Envelope {
    Envelope::read(&json!({
        "RequestType": "Delete", "StackId": "stack", "LogicalResourceId": "Connection", "PhysicalResourceId": physical_id
    }))
}

#[test]
fn any_json_value_is_read() {
    for event in [json!(null), json!([]), json!({"StackId": 7, "ResponseURL": {}})] {
        let envelope = Envelope::read(&event);
        assert_eq!(envelope.missing(), ["StackId", "RequestId", "LogicalResourceId"]);
        assert!(envelope.malformed.is_some());
    }
}

#[test]
fn a_stack_id_contains_partition_region_and_account() {
    let envelope = Envelope::read(&json!({"StackId": "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/a/b"}));
    let stack = envelope.stack();
    assert_eq!(stack.partition, Some("aws-cn"));
    assert_eq!(stack.region, Some("cn-north-1"));
    assert_eq!(stack.account, Some("123456789012"));
}

#[test]
fn an_id_of_this_resource_is_returned_unchanged_and_any_other_is_replaced() {
    let plain = PhysicalId::new("stack", "Connection").to_string();
    let named = format!("{plain}/ada");
    for own in [&plain, &named] {
        let envelope = delete(own);
        assert!(envelope.was_answered());
        assert_eq!(envelope.physical_resource_id().to_string(), *own);
    }
    for other in ["", "made-up", "coiled-connection-0/ada"] {
        let envelope = delete(other);
        assert!(!envelope.was_answered());
        assert_eq!(envelope.physical_resource_id().to_string(), plain);
    }
}

/// Any text, including text that has a meaning in another field.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z:/-]{0,20}", Just("Create".to_owned()), Just("null".to_owned())]
}

/// Properties as CloudFormation sends them: any JSON value.
fn properties() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>()))
        ]
    })
}

prop_compose! {
    /// An event with every field that CloudFormation documents, and one that it may add later.
    fn valid_event()(
        kind in prop::sample::select(vec!["Create", "Update", "Delete"]),
        texts in prop::collection::vec(text(), 7),
        own_id in any::<bool>(),
        new in properties(),
        old in properties(),
        later in properties(),
    ) -> Value {
        let [token, stack, request, logical, resource, physical, url] = texts.as_slice() else { return Value::Null };
        let own = PhysicalId::new(stack, logical).in_workspace(physical).to_string();
        let mut event = json!({
            "RequestType": kind, "ServiceToken": token, "ResponseURL": format!("https://bucket.example/{url}"),
            "StackId": stack, "RequestId": request, "LogicalResourceId": logical, "ResourceType": resource,
            "ResourceProperties": new, "AddedLater": later,
        });
        if kind != "Create" {
            event["PhysicalResourceId"] = json!(if own_id { &own } else { physical });
        }
        if kind == "Update" {
            event["OldResourceProperties"] = old;
        }
        event
    }
}

proptest! {
    #[test]
    fn both_readings_of_a_valid_event_agree(event in valid_event()) {
        let typed = Envelope::typed(&event).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&typed, &Envelope::lenient(&event));
        prop_assert_eq!(typed, Envelope::read(&event));
    }

    #[test]
    fn an_event_with_a_missing_field_is_malformed_but_still_read(event in valid_event(), at in 0..16_usize) {
        let required: Vec<String> = event.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let optional = ["ServiceToken", "AddedLater"];
        let required: Vec<&String> = required.iter().filter(|field| !optional.contains(&field.as_str())).collect();
        let Some(field) = required.get(at % required.len()) else { return Ok(()) };
        let mut broken = event.clone();
        broken.as_object_mut().map(|fields| fields.remove(field.as_str()));
        let envelope = Envelope::read(&broken);
        prop_assert!(envelope.malformed.as_ref().is_some_and(|reason| reason.contains(field.as_str())));
        prop_assert_eq!(Envelope { malformed: None, ..envelope }, Envelope::lenient(&broken));
    }
}
