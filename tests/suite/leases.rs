//! A lease keeps two concurrent runs from changing the same user. `twice.rs` tests every pair of requests.

use std::time::Duration;

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::aws::{AwsFault, AwsHow};
use serde_json::json;

use crate::support::Deploy;

/// In Unix seconds. A lease that ends then is valid, because Lambda allows a run 15 minutes.
fn in_ten_minutes() -> u64 {
    coiled_aws_stack::deadline::unix(std::time::SystemTime::now()) + 600
}

/// Someone deletes the stack while its Create is in progress.
#[tokio::test]
async fn a_delete_waits_for_a_create_in_progress_and_leaves_nothing() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::Slow(Duration::from_millis(700)), times: 1 });
    let create = world.event("Create", world.properties(json!({})));
    let delete = world.event("Delete", world.properties(json!({})));
    let (created, deleted) = tokio::join!(world.invoke(create), async {
        // Create holds its lease by the time it opens the WebSocket.
        world.coiled.until(|coiled| !coiled.calls(Call::WsUpgrade).is_empty()).await;
        world.invoke(delete).await
    });
    created.and(deleted).unwrap();
    world.nothing_left().await;
    assert!(world.logs.text().contains("another run is working on this user"));
}

#[tokio::test]
async fn update_ignores_and_deletes_a_lease_that_is_expired_or_ends_years_from_now() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    // The second lease is invalid: Lambda kills every run after 15 minutes.
    for until in [1, 99_999_999_999_u64] {
        world.tag_user("coiled", "coiled-stack:lease", &format!("dead/1/{until}")).await;
        world.update(json!({}), json!({"Release": "2"})).await.succeeded();
        assert_eq!(world.tag("coiled-stack:lease").await, "", "the lease was not deleted");
    }
}

/// The lease tag contains the time at which the lease expires.
#[tokio::test]
async fn update_fails_and_names_the_other_request_if_its_lease_outlasts_the_run() {
    let mut world = World::new().await;
    world.create(json!({})).await.succeeded();
    world.tag_user("coiled", "coiled-stack:lease", &format!("alive/1/{}", in_ten_minutes())).await;
    world.timeout = Duration::from_secs(4);
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "1"})).await.failed(&["another run", "request alive"]);
    assert_eq!(before, world.snapshot().await);
}

/// Another run takes over the lease while Create checks its new key.
#[tokio::test]
async fn a_create_that_loses_its_lease_registers_nothing() {
    let world = World::new().await;
    world.aws.key_pattern(&[false; 40]);
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.coiled.until(|coiled| !coiled.calls(Call::WsUpgrade).is_empty()).await;
        world.tag_user("coiled", "coiled-stack:lease", &format!("other/1/{}", in_ten_minutes())).await;
    });
    created.unwrap();
    assert_eq!(world.coiled.registrations(), Vec::<serde_json::Value>::new());
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("request other"), "{response}");
}

/// The key fails its last check, and its checks start over. By then the first lease check is out of date.
#[tokio::test]
async fn a_create_that_loses_its_lease_while_its_key_is_checked_again_registers_nothing() {
    let world = World::new().await;
    world.aws.key_pattern(&[&[true, true][..], &[false; 40]].concat());
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.aws.until("GetCallerIdentity", 10).await;
        world.tag_user("coiled", "coiled-stack:lease", &format!("other/1/{}", in_ten_minutes())).await;
    });
    created.unwrap();
    assert_eq!(world.coiled.registrations(), Vec::<serde_json::Value>::new());
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("request other"), "{response}");
}

/// STS throttles the last check of the key for more than a second. By then the parallel lease check is out of date.
#[tokio::test]
async fn a_create_that_loses_its_lease_while_its_last_key_check_is_throttled_registers_nothing() {
    let world = World::new().await;
    // One call with the function's own credentials and two checks of the key succeed.
    world.aws.fault(AwsFault { action: "GetCallerIdentity", how: AwsHow::Slow(Duration::ZERO), times: 3 });
    world.aws.fault(AwsFault { action: "GetCallerIdentity", how: AwsHow::Throttled, times: 8 });
    let create = world.event("Create", world.properties(json!({})));
    let (created, ()) = tokio::join!(world.invoke(create), async {
        world.aws.until("GetCallerIdentity", 9).await;
        world.tag_user("coiled", "coiled-stack:lease", &format!("other/1/{}", in_ten_minutes())).await;
    });
    created.unwrap();
    assert_eq!(world.coiled.registrations(), Vec::<serde_json::Value>::new());
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    assert!(response.contains("FAILED") && response.contains("request other"), "{response}");
}
