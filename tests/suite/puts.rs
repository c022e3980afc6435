//! PUTs of a response to a bucket that fails.

use std::time::Duration;

use coiled_world::World;
use coiled_world::bucket::{PutHow, SIGNATURE};
use serde_json::json;

use crate::support::Deploy;

/// crhelper#34, #39, #41: after a failed PUT the function sends the same bytes again, until S3 accepts them.
#[tokio::test]
async fn a_failed_put_is_retried_with_the_same_bytes_until_s3_accepts_it() {
    for how in [
        PutHow::Reset,
        PutHow::StoredThenReset,
        PutHow::Status(500),
        PutHow::Status(503),
        // S3 returns 403 if the client's clock is behind.
        PutHow::Status(403),
        PutHow::Status(301),
    ] {
        let world = World::new().await;
        world.bucket.fault(how, 2);
        world.send(world.event("Delete", json!({}))).await.succeeded();
        assert_eq!(world.bucket.puts().len(), 3, "{how:?}");
    }
}

/// A PUT without a response leaves enough time before the deadline for another one.
#[tokio::test]
async fn a_put_is_retried_if_the_bucket_hangs() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(5);
    world.bucket.fault(PutHow::Hang, 1);
    world.send(world.event("Delete", json!({}))).await.succeeded();
    assert_eq!(world.bucket.puts().len(), 2);
}

/// A response URL is valid for two hours. If an event arrives later, its URL has expired.
#[tokio::test]
async fn an_expired_response_url_is_logged_without_its_signature() {
    let mut world = World::new().await;
    world.timeout = Duration::from_secs(2);
    world.bucket.fault(PutHow::Status(403), u32::MAX);
    let error = world.invoke(world.event("Delete", json!({}))).await.unwrap_err();
    // The error names only the last attempt, which the deadline may have cut off. The log has every attempt.
    assert!(error.contains("could not be delivered") && !error.contains(SIGNATURE), "{error}");
    assert!(world.logs.text().contains("status 403"));
    world.nothing_leaked();
}
