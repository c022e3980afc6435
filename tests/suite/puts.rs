//! The PUT of an answer, when the bucket does not behave.

use std::time::Duration;

use serde_json::json;

use crate::support::World;
use crate::support::bucket::{PutHow, SIGNATURE};

/// crhelper#34, #39, #41: whatever becomes of one PUT, the next carries the same bytes, until one is taken.
#[tokio::test]
async fn an_answer_gets_through_whatever_happens_on_the_way() {
    for how in [
        PutHow::Reset,
        PutHow::StoredThenReset,
        PutHow::Status(500),
        PutHow::Status(503),
        // S3 says so to a clock that lags.
        PutHow::Status(403),
        PutHow::Status(301),
    ] {
        let world = World::new().await;
        world.bucket.fault(how, 2);
        world.send(world.event("Delete", json!({}))).await.succeeded();
        assert_eq!(world.bucket.puts().len(), 3, "{how:?}");
    }
}

/// One PUT that gets no answer does not use up the time for the next.
#[tokio::test]
async fn a_bucket_that_hangs_is_asked_again() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(5);
    world.bucket.fault(PutHow::Hang, 1);
    world.send(world.event("Delete", json!({}))).await.succeeded();
    assert_eq!(world.bucket.puts().len(), 2);
}

/// The URL is valid for two hours; a late event's is not any more. The log says so, without the signature.
#[tokio::test]
async fn an_url_that_is_not_valid_any_more_is_told_in_the_log() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(2);
    world.bucket.fault(PutHow::Status(403), u32::MAX);
    let error = world.invoke(world.event("Delete", json!({}))).await.unwrap_err();
    // The last of many attempts may be the one that the deadline cut off; the log has all of them.
    assert!(error.contains("could not be delivered") && !error.contains(SIGNATURE), "{error}");
    assert!(world.logs.text().contains("status 403"));
    world.nothing_leaked();
}
