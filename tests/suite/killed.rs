//! Runs that Lambda kills in the middle: nothing is undone, nobody is answered, and the next run finds what is there.

use serde_json::{Value, json};

use crate::stand_in::Call;
use crate::support::World;

/// Where a Create is killed: once this call has been answered this many times. Of Secrets Manager's, IAM's and STS's
/// calls only these change what the next run finds.
const PLACES: [(&str, usize); 6] = [
    ("CreateUser", 1),
    ("CreatePolicy", 1),
    ("AttachUserPolicy", 2),
    ("CreateAccessKey", 1),
    // The pending mark.
    ("TagUser", 1),
    // What Coiled showed has been recorded; the lease is still there.
    ("TagUser", 2),
];

/// A Create that dies, and its event.
async fn killed(place: (&str, usize)) -> (World, Value) {
    let world = World::new().await;
    let event = world.event("Create", world.properties(json!({})));
    tokio::select! {
        ended = world.invoke(event.clone()) => panic!("{place:?}: it ended before: {ended:?}"),
        () = world.aws.until(place.0, place.1) => {}
    }
    lease_ends(&world).await;
    (world, event)
}

/// A lease says when Lambda kills its run at the latest. Here that moment is over at once: no test sleeps.
pub async fn lease_ends(world: &World) {
    let lease = world.tag("coiled-stack:lease").await;
    let mut parts: Vec<&str> = lease.split('/').collect();
    let last = parts.last_mut().unwrap_or_else(|| panic!("a lease: {lease}"));
    *last = "1";
    let tag = aws_sdk_iam::types::Tag::builder().key("coiled-stack:lease").value(parts.join("/")).build().unwrap();
    world.iam.tag_user().user_name("coiled").tags(tag).send().await.unwrap();
}

/// What CloudFormation does once the killed run's time is over.
#[tokio::test]
async fn the_delete_that_follows_finds_everything() {
    for place in PLACES {
        let (world, _) = killed(place).await;
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}

/// Lambda may deliver an event once more.
#[tokio::test]
async fn the_same_event_again_ends_what_was_begun() {
    for place in PLACES {
        let (world, event) = killed(place).await;
        world.send(event).await.succeeded();
        world.connected().await;
    }
}

/// The message has reached Coiled, and nobody has noted that down: the pending mark says whose connection it is.
#[tokio::test]
async fn a_registration_that_nobody_recorded_is_found() {
    for again in [false, true] {
        let world = World::new().await;
        let event = world.event("Create", world.properties(json!({})));
        tokio::select! {
            ended = world.invoke(event.clone()) => panic!("it ended before: {ended:?}"),
            // It is reading back what it registered.
            () = world.coiled.until(|coiled| coiled.calls(Call::BackendOptions).len() > 1) => {}
        }
        assert!(world.coiled.connection("ada").is_some());
        lease_ends(&world).await;
        if again {
            world.send(event).await.succeeded();
            world.connected().await;
        } else {
            world.delete(json!({})).await.succeeded();
            world.nothing_left().await;
        }
    }
}

/// A rotation that dies leaves two keys; the rollback, or the same Update again, leaves one that Coiled holds.
#[tokio::test]
async fn a_killed_rotation_ends_with_one_key() {
    for (new, place) in [
        (json!({}), ("CreateAccessKey", 1)),
        (json!({"RotateKey": "2"}), ("CreateAccessKey", 1)),
        // The lease, the pending mark.
        (json!({}), ("TagUser", 2)),
        (json!({"RotateKey": "2"}), ("TagUser", 2)),
        (json!({"RotateKey": "2"}), ("TagUser", 3)),
    ] {
        let world = World::new().await;
        world.create(json!({})).await.succeeded();
        world.aws.forget_calls();
        let update = world.update_event(json!({}), json!({"RotateKey": "2"}));
        tokio::select! {
            ended = world.invoke(update) => panic!("{place:?}: it ended before: {ended:?}"),
            () = world.aws.until(place.0, place.1) => {}
        }
        lease_ends(&world).await;
        world.update(json!({}), new).await.succeeded();
        world.connected().await;
    }
}
