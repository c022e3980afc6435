//! Registrations that are sent again because the first outcome is unknown.

use std::time::Duration;

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use serde_json::json;

use crate::support::Deploy;

/// The first attempt takes effect, but its result is lost. The second attempt meets the given fault.
async fn second_attempt_meets(on: Call, how: How) -> World {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::TookEffectThenDropped, times: 1 });
    // The first attempt passes a fault that has no effect.
    world.coiled.fault(Fault { on, how: How::Slow(Duration::ZERO), times: 1 });
    world.coiled.fault(Fault { on, how, times: 1 });
    world
}

/// Coiled has stored the key of the first attempt, no matter how it responds to the second.
#[tokio::test]
async fn the_outcome_is_unknown_if_the_second_attempt_is_rejected() {
    let words = json!({"detail": "not now"});
    for (on, how) in [
        (Call::WsMessage, How::IsError("not now".into())),
        (Call::WsMessage, How::CloseWith(4403)),
        (Call::WsUpgrade, How::Status(403, words.clone())),
        (Call::WsUpgrade, How::Status(500, words)),
    ] {
        let world = second_attempt_meets(on, how.clone()).await;
        world.create(json!({})).await.failed(&["outcome is unknown"]);
        assert_eq!(world.coiled.registrations().len(), if on == Call::WsMessage { 2 } else { 1 }, "{how:?}");
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_second_attempt_that_is_accepted_completes_the_registration() {
    let world = second_attempt_meets(Call::WsMessage, How::Slow(Duration::ZERO)).await;
    world.create(json!({})).await.succeeded();
    world.connected().await;
}
