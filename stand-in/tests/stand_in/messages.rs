//! Which messages the stand-in accepts as a registration, and when.

use coiled_stand_in::{Call, How, StandIn, masked};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::client::*;

#[tokio::test]
async fn a_registration_is_stored_and_shown_without_its_secrets() {
    let stand_in = StandIn::start().await;
    for message in [valid(), with_docker_hub()] {
        let heard = register(&stand_in, &message).await;
        assert!(heard.is_finished(), "{heard:?}");
        assert_eq!(stand_in.connection("ada").unwrap().data, message["data"]);

        let (status, shown) = call(&stand_in, "GET", "/api/v1/ada/backend_options/").await.unwrap();
        assert_eq!((status, &shown["options"]["provider_name"]), (200, &json!("aws")));
        assert!(!shown.to_string().contains("secret") && !shown.to_string().contains("password"));
    }
    assert_eq!(stand_in.connection("ada").unwrap().access_key_id(), "AKIAEXAMPLE");
    assert_eq!(stand_in.registrations(), [valid(), with_docker_hub()]);
    assert_eq!(stand_in.violations(), [""; 0]);
}

/// The JSON pointer of every value in the message, including objects and lists.
fn pointers(value: &Value, here: &str) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = parts.into_iter().flat_map(|(name, value)| pointers(value, &format!("{here}/{name}")));
    std::iter::once(here.to_owned()).chain(below).collect()
}

/// Invalid variants of the message. In each, one value has the wrong type, or one object has an additional or a missing
/// field.
fn spoiled(message: &Value) -> Vec<(String, Value)> {
    let optional = [
        "/logging_context",
        "/coiled-session-id",
        "/data/options/network/scheduler_subnet_id",
        "/data/options/firewall_spec/ingress",
    ];
    let mut all = Vec::new();
    for pointer in pointers(message, "") {
        let mut replaced = message.clone();
        *replaced.pointer_mut(&pointer).unwrap() = json!(-1);
        all.push((format!("{pointer} of another type"), replaced));
        let fields = message.pointer(&pointer).and_then(Value::as_object);
        for name in fields.into_iter().flat_map(|fields| fields.keys()) {
            let removed = format!("{pointer}/{name}");
            if !optional.contains(&removed.as_str()) {
                let mut less = message.clone();
                less.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().remove(name);
                all.push((format!("{removed} missing"), less));
            }
        }
        if fields.is_some() && !optional.contains(&pointer.as_str()) {
            let mut more = message.clone();
            more.pointer_mut(&pointer).unwrap()["extra"] = json!("x");
            all.push((format!("{pointer} with an additional field"), more));
        }
    }
    all
}

#[tokio::test]
async fn a_message_with_a_missing_unknown_or_mistyped_field_is_rejected() {
    let stand_in = StandIn::start().await;
    let mut all = spoiled(&valid());
    all.extend(spoiled(&with_docker_hub()).into_iter().filter(|(what, _)| what.contains("registry")));
    assert!(all.len() > 80, "only {} invalid messages", all.len());
    for (what, message) in all {
        let heard = register(&stand_in, &message).await;
        assert_eq!(heard.errors().len(), 1, "{what}: {heard:?}");
        assert!(!heard.is_finished(), "{what}");
        assert_eq!(heard.close_code, Some(1000), "{what}");
        assert!(!heard.errors()[0].contains("secret\""), "the error contains a secret: {heard:?}");
    }
    assert_eq!(stand_in.connection("ada"), None);
}

#[tokio::test]
async fn a_message_with_an_invalid_value_of_the_right_type_is_rejected() {
    let stand_in = StandIn::start().await;
    let wrong = [
        ("/type", json!("options")),
        ("/data/backend", json!("vm_aws")),
        ("/data/options/account_role", json!("arn:aws:iam::1:role/x")),
        ("/data/options/aws_region_name", json!("Ohio")),
        ("/data/options/aws_region_name", json!("us-east-1")),
        ("/data/options/credentials/aws_access_key", json!("AKIAANOTHER")),
        ("/data/options/credentials/aws_secret_key", json!("")),
        ("/data/options/firewall_spec/ingress", json!([])),
        ("/data/options/firewall_spec/ingress/0/ports", json!([])),
        ("/data/options/firewall_spec/ingress/0/ports/0", json!("8786")),
        ("/data/options/firewall_spec/ingress/0/ports/0", json!(65536)),
        ("/data/options/firewall_spec/ingress/0/cidr", json!("10.0.0.0/33")),
        ("/data/options/network/scheduler_subnet_id", json!(null)),
        ("/data/options/zone", json!("")),
        ("/data/options/provider_name", json!("gcp")),
        ("/data/registry/public_ecr", json!("false")),
        ("/data/registry/region", json!("us-east-1")),
        ("/data/registry/type", json!("gar")),
    ];
    for (pointer, value) in &wrong {
        let mut message = valid();
        *message.pointer_mut(pointer).unwrap() = value.clone();
        let heard = register(&stand_in, &message).await;
        assert_eq!((heard.errors().len(), heard.is_finished()), (1, false), "{pointer}: {heard:?}");
    }
    let mut message = with_docker_hub();
    message["data"]["registry"]["username"] = json!("Ada");
    assert_eq!(register(&stand_in, &message).await.errors().len(), 1);
    assert_eq!(stand_in.violations().len(), wrong.len() + 1);
}

#[tokio::test]
async fn a_message_that_is_not_json_is_rejected() {
    let stand_in = StandIn::start().await;
    let mut socket = opened(&stand_in).await;
    hear_one(&mut socket).await;
    socket.send(Message::text("update, please")).await.unwrap();
    let heard = hear_all(&mut socket).await;
    assert_eq!((heard.errors(), heard.close_code), (vec!["a message that isn't JSON"], Some(1008)));
}

#[tokio::test]
async fn a_message_before_the_greeting_is_rejected() {
    let stand_in = StandIn::start().await;
    fault(&stand_in, Call::WsGreeting, How::Slow(PATIENCE));
    let mut socket = opened(&stand_in).await;
    say(&mut socket, &valid()).await;
    let heard = hear_all(&mut socket).await;
    assert_eq!((heard.errors(), heard.close_code), (vec!["a message before the greeting"], Some(1008)));
    assert_eq!(stand_in.connection("ada"), None);
}

/// The upgrade request and the first message are sent in one packet, so no message can be earlier.
#[tokio::test]
async fn a_message_sent_together_with_the_upgrade_is_rejected() {
    let stand_in = StandIn::start().await;
    let upgrade = format!(
        "GET /ws/api/v1/ada/cluster-info/ HTTP/1.1\r\nhost: localhost\r\nauthorization: ApiToken {}\r\n\
         client-version: 0.0.0\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        stand_in.token()
    );
    // A final text frame of two bytes, masked with zeros: `{}`.
    let frame = [0x81, 0x82, 0, 0, 0, 0, b'{', b'}'];
    let mut stream = TcpStream::connect(stand_in.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(&[upgrade.as_bytes(), &frame].concat()).await.unwrap();
    let noticed = stand_in.until(|stand_in| !stand_in.violations().is_empty());
    tokio::time::timeout(PATIENCE, noticed).await.expect("a violation");
    assert_eq!(stand_in.violations(), ["a message before the greeting"]);
}

#[tokio::test]
async fn a_second_message_is_rejected() {
    let stand_in = StandIn::start().await;
    fault(&stand_in, Call::WsMessage, How::Slow(SILENCE));
    let mut socket = opened(&stand_in).await;
    hear_one(&mut socket).await;
    say(&mut socket, &valid()).await;
    say(&mut socket, &valid()).await;
    let heard = hear_all(&mut socket).await;
    assert_eq!((heard.errors(), heard.close_code), (vec!["a second message"], Some(1008)));
    assert_eq!(stand_in.connection("ada"), None);
}

#[tokio::test]
async fn anything_but_a_close_with_1000_after_finished_is_a_violation() {
    let stand_in = StandIn::start().await;
    for (last, violation) in [
        (Some(Message::text("one more thing")), "a message after FINISHED"),
        (Some(Message::Close(Some(CloseFrame { code: 1001.into(), reason: "".into() }))), "got Some(1001)"),
        (None, "got None"),
    ] {
        let mut socket = opened(&stand_in).await;
        hear_one(&mut socket).await;
        say(&mut socket, &valid()).await;
        while !hear_one(&mut socket).await.to_string().contains("FINISHED") {}
        let before = stand_in.violations().len();
        if let Some(message) = last {
            socket.send(message).await.unwrap();
            hear_all(&mut socket).await;
        }
        drop(socket);
        let noticed = stand_in.until(|stand_in| stand_in.violations().len() > before);
        tokio::time::timeout(PATIENCE, noticed).await.expect("a violation");
        assert!(stand_in.violations()[before].contains(violation), "{:?}", stand_in.violations());
    }
}

#[test]
fn only_secret_keys_and_passwords_are_masked() {
    let (sent, shown) = (with_docker_hub(), masked(&with_docker_hub()));
    let id = &sent["data"]["options"]["credentials"]["aws_access_key"];
    assert_eq!(shown["data"]["options"]["credentials"], json!({"aws_access_key": id, "aws_secret_key": "***"}));
    assert_eq!(shown["data"]["registry"]["password"], "***");
    assert_eq!(shown["data"]["registry"]["username"], "ada");
    assert_eq!(masked(&valid())["data"]["options"]["network"], valid()["data"]["options"]["network"]);
}
