//! Tests of the stand-in's injected faults.

use std::time::Instant;

use coiled_stand_in::{Call, Fault, How, StandIn};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use super::client::*;

#[tokio::test]
async fn http_faults_apply_in_order_and_then_calls_succeed() {
    let stand_in = StandIn::start().await;
    let path = "/api/v2/user/me";
    stand_in.fault(Fault { on: Call::Me, how: How::Status(503, json!({"detail": "later"})), times: 2 });
    fault(&stand_in, Call::Me, How::Text(500, "<h1>".into()));
    fault(&stand_in, Call::Me, How::Garbage);
    fault(&stand_in, Call::Me, How::Reset);
    fault(&stand_in, Call::Me, How::Slow(SILENCE));
    assert_eq!(call(&stand_in, "GET", "/api/v2/user/me/memberships").await.unwrap().0, 200);
    for expected in [(503, json!({"detail": "later"})), (503, json!({"detail": "later"})), (500, json!("<h1>"))] {
        assert_eq!(call(&stand_in, "GET", path).await.unwrap(), expected);
    }
    let (status, garbage) = call(&stand_in, "GET", path).await.unwrap();
    assert!(status == 200 && garbage.is_string());
    let reset = call(&stand_in, "GET", path).await.unwrap_err();
    assert!(reset.is_request() && format!("{reset:?}").contains("ConnectionReset"), "{reset:?}");
    let start = Instant::now();
    assert_eq!(call(&stand_in, "GET", path).await.unwrap().0, 200);
    assert!(start.elapsed() >= SILENCE);
    assert_eq!(call(&stand_in, "GET", path).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_permanent_fault_lasts_until_it_is_cleared() {
    let stand_in = StandIn::start().await;
    stand_in.fault(Fault { on: Call::Me, how: How::Hang, times: u32::MAX });
    for _ in 0..2 {
        let silence = tokio::time::timeout(SILENCE, call(&stand_in, "GET", "/api/v2/user/me")).await;
        assert!(silence.is_err(), "{silence:?}");
    }
    stand_in.clear_faults();
    assert_eq!(call(&stand_in, "GET", "/api/v2/user/me").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_disconnect_takes_effect_if_its_response_is_lost() {
    let stand_in = StandIn::start().await;
    stand_in.connect("ada", valid()["data"].clone());
    fault(&stand_in, Call::Disconnect, How::TookEffectThenDropped);
    call(&stand_in, "DELETE", "/api/v2/cloud-credentials/ada/aws").await.unwrap_err();
    assert_eq!(stand_in.connection("ada"), None);
    assert_eq!(stand_in.calls(Call::Disconnect)[0].status, None);
}

#[tokio::test]
async fn websocket_upgrade_faults_fail_or_close_the_connection() {
    let stand_in = StandIn::start().await;
    fault(&stand_in, Call::WsUpgrade, How::Status(502, json!({})));
    let rejected = open(&stand_in, "ada", &stand_in.token()).await;
    assert!(matches!(rejected, Err(Error::Http(response)) if response.status() == 502));
    fault(&stand_in, Call::WsUpgrade, How::Reset);
    assert!(open(&stand_in, "ada", &stand_in.token()).await.is_err());
    fault(&stand_in, Call::WsUpgrade, How::CloseWith(1012));
    let heard = hear_all(&mut opened(&stand_in).await).await;
    assert_eq!((heard.close_code, heard.messages.len()), (Some(1012), 0));
}

/// The messages that the stand-in always sends before `FINISHED`.
const PROGRESS: [&str; 3] = ["CONFIGURING_BACKEND", "of no interest here", "Creating the network"];

/// Registers under one fault. Returns whether the registration took effect, and what the client then received.
async fn register_under_fault(on: Call, how: How) -> (bool, Vec<String>) {
    let stand_in = StandIn::start().await;
    fault(&stand_in, on, how);
    let mut socket = opened(&stand_in).await;
    if on != Call::WsGreeting {
        hear_one(&mut socket).await;
    }
    say(&mut socket, &valid()).await;
    let heard = hear_all(&mut socket).await;
    let end = match heard.close_code {
        _ if heard.broken => "broken".to_owned(),
        Some(code) => format!("closed {code}"),
        None => "ended".to_owned(),
    };
    let lines = heard.messages.iter().map(line).filter(|line| !PROGRESS.contains(&line.as_str()));
    (stand_in.connection("ada").is_some(), lines.chain([end]).collect())
}

/// The text of a message, with a prefix for errors.
fn line(message: &Value) -> String {
    let text = message["message"].as_str().or(message.as_str()).unwrap_or_default();
    let is_error = message["is_error"] == true || message["raise"] == true;
    if is_error { format!("error: {text}") } else { text.to_owned() }
}

fn heard(took_effect: bool, lines: &[&str]) -> (bool, Vec<String>) {
    (took_effect, lines.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_fault_at_the_message_prevents_the_registration() {
    let at = Call::WsMessage;
    let raise = json!({"type": "other", "raise": true, "message": "no"});
    for (how, lines) in [
        (How::IsError("no".into()), ["error: no", "closed 1000"].as_slice()),
        (How::CloseWith(1011), &["closed 1011"]),
        (How::Reset, &["broken"]),
        (How::Garbage, &["<not json>", "closed 1000"]),
        (How::Messages(vec![raise]), &["error: no", "closed 1000"]),
    ] {
        assert_eq!(register_under_fault(at, how.clone()).await, heard(false, lines), "{how:?}");
    }
}

#[tokio::test]
async fn a_fault_at_the_finish_changes_the_response_but_not_the_registration() {
    let at = Call::WsFinish;
    let noise = json!({"type": "other", "message": "noise"});
    for (how, lines) in [
        (How::Reset, ["broken"].as_slice()),
        (How::TookEffectThenDropped, &["broken"]),
        (How::CloseWith(1001), &["closed 1001"]),
        (How::IsError("no".into()), &["error: no", "FINISHED", "closed 1000"]),
        (How::Garbage, &["<not json>", "FINISHED", "closed 1000"]),
        (How::Slow(SILENCE), &["FINISHED", "closed 1000"]),
        (How::Progress(vec!["one".into(), "two".into()]), &["one", "two", "FINISHED", "closed 1000"]),
        (How::Messages(vec![noise]), &["noise", "FINISHED", "closed 1000"]),
        (How::FinishedThenDropped, &["FINISHED", "broken"]),
    ] {
        assert_eq!(register_under_fault(at, how.clone()).await, heard(true, lines), "{how:?}");
    }
}

#[tokio::test]
async fn a_fault_at_the_greeting_prevents_the_registration_unless_it_is_garbage() {
    let at = Call::WsGreeting;
    assert_eq!(register_under_fault(at, How::CloseWith(1013)).await, heard(false, &["closed 1013"]));
    assert_eq!(register_under_fault(at, How::IsError("no".into())).await, heard(false, &["error: no", "closed 1000"]));
    // The client treats any first message as the greeting, even if it is not JSON.
    let garbage = ["hello, not in JSON", "FINISHED", "closed 1000"];
    assert_eq!(register_under_fault(at, How::Garbage).await, heard(true, &garbage));
}

#[tokio::test]
async fn a_fault_that_hangs_sends_nothing_more_at_any_stage() {
    let stages = [
        (Call::WsGreeting, How::Hang),
        (Call::WsMessage, How::Hang),
        (Call::WsMessage, How::ErrorThenSilence("no".into())),
        (Call::WsFinish, How::Hang),
        (Call::WsFinish, How::ErrorThenSilence("no".into())),
        (Call::WsFinish, How::FinishedThenSilence),
    ];
    join_all(stages.map(|(on, how)| hangs(on, how))).await;
}

async fn hangs(on: Call, how: How) {
    let stand_in = StandIn::start().await;
    fault(&stand_in, on, how.clone());
    let mut socket = opened(&stand_in).await;
    if on != Call::WsGreeting {
        hear_one(&mut socket).await;
        say(&mut socket, &valid()).await;
    }
    let end = tokio::time::timeout(SILENCE, hear_all(&mut socket)).await;
    assert!(end.is_err(), "{how:?} at {on:?}: {end:?}");
    let took_effect = stand_in.connection("ada").is_some();
    assert_eq!(took_effect, on == Call::WsFinish, "{how:?} at {on:?}");
}

#[tokio::test]
#[should_panic(expected = "is not defined at")]
async fn a_fault_that_a_call_does_not_support_panics() {
    let stand_in = StandIn::start().await;
    fault(&stand_in, Call::Me, How::CloseWith(1000));
}
