//! The function sends nothing to a `ResponseURL` that is not CloudFormation's, and does not carry out the request.

use coiled_world::World;
use coiled_world::bucket::Bucket;
use serde_json::{Value, json};

use crate::support::Deploy;

/// Sends the event with this URL instead of its own, and checks that this has no effect.
async fn nothing_happens(world: &World, mut event: Value, url: &str) {
    event["ResponseURL"] = json!(url);
    world.logs.clear();
    world.aws.forget_calls();
    let before = (world.snapshot().await, world.coiled.requests().len(), world.bucket.puts().len());
    world.invoke(event).await.unwrap();
    let after = (world.snapshot().await, world.coiled.requests().len(), world.bucket.puts().len());
    assert_eq!(before, after, "{url}");
    assert_eq!(world.aws.actions(), Vec::<String>::new(), "{url}");
    let log = world.logs.text();
    assert!(log.contains("not one of CloudFormation's") && log.contains("RESPONSE_URL_HOSTS"), "{url}: {log}");
}

#[tokio::test]
async fn an_event_with_a_foreign_response_url_changes_nothing_and_contacts_no_server() {
    let (world, elsewhere) = (World::new().await, Bucket::start().await);
    world.create(json!({})).await.succeeded();
    let own = world.bucket.url("x");
    for url in [
        elsewhere.url("x"),
        elsewhere.url("x").replace("http://", "https://"),
        own.replace("http://", "http://ada:secret@"),
        own.replace("http://", "http://ada@"),
        "https://example.com/key".into(),
        "http://bucket.s3.us-east-1.amazonaws.com/key".into(),
        "https://bucket.s3.us-east-1.amazonaws.com:8443/key".into(),
        "https://bucket.s3.us-east-1.amazonaws.com.example.com/key".into(),
        "https://bucket.s3.cn-north-1.amazonaws.com.cn/key".into(),
        "https://bucket.s3.us-gov-west-1.amazonaws.com/key".into(),
        "https://169.254.169.254/latest/api/token".into(),
    ] {
        nothing_happens(&world, world.event("Create", world.properties(json!({"UserName": "other"}))), &url).await;
        nothing_happens(&world, world.update_event(json!({}), json!({"RotateKey": "2"})), &url).await;
        nothing_happens(&world, world.event("Delete", world.properties(json!({}))), &url).await;
        nothing_happens(&world, world.event("Nonsense", json!(null)), &url).await;
    }
    assert!(elsewhere.puts().is_empty());
    world.connected().await;
}

/// The user information and the path may contain secrets.
#[tokio::test]
async fn the_log_shows_only_the_host_of_a_rejected_response_url() {
    let world = World::new().await;
    let url = format!("https://{}@example.com/{}", world.coiled.token(), world.coiled.token());
    nothing_happens(&world, world.event("Create", world.properties(json!({}))), &url).await;
    assert!(world.logs.text().contains("https://example.com/***"), "{}", world.logs.text());
}
