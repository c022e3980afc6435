//! A new key must have worked for the settle time before it is registered.

use std::time::{Duration, Instant};

use coiled_aws_stack::config::Config;
use coiled_world::World;
use coiled_world::aws::{AwsCall, AwsFault, AwsHow, FUNCTION_KEY};
use serde_json::json;

use crate::support::{Deploy, config};

/// The STS calls with new keys: the function's checks, and the check by the stand-in for Coiled when a registration
/// arrives.
fn key_checks(world: &World) -> Vec<AwsCall> {
    let calls = world.aws.calls().into_iter();
    calls.filter(|call| call.action == "GetCallerIdentity" && call.access_key_id != FUNCTION_KEY).collect()
}

/// Checks that three checks by the function span the settle time, and that the registration arrived after the last one.
fn worked_for(settle: Duration, checks: &[AwsCall]) {
    let spans: Vec<(Instant, Instant)> = checks.iter().filter_map(|call| call.span).collect();
    let [(_, since), (middle, _), (end, _), (registered, _)] = spans[..] else { panic!("{spans:?}") };
    assert!(middle - since >= settle / 2, "second check after {:?}", middle - since);
    assert!(end - since >= settle * 9 / 10, "third check after {:?}", end - since);
    assert!(registered - since >= settle, "registered after {:?}", registered - since);
}

/// STS rejects a new key at first, and then accepts it only sometimes. One rejection restarts the count.
#[tokio::test]
async fn a_key_is_registered_only_after_three_consecutive_successes() {
    let world = World::new().await;
    world.aws.key_pattern(&[false, false, true, true, false, true, false]);
    world.create(json!({})).await.succeeded();
    let checks: Vec<bool> = key_checks(&world).iter().map(|call| call.status == 200).collect();
    // The last success is the check by the stand-in.
    assert_eq!(checks, [false, false, true, true, false, true, false, true, true, true, true]);
}

/// The three successes are at the start, the middle and the end of the settle time, no matter which check failed
/// before.
#[tokio::test]
async fn a_key_is_registered_only_after_it_has_worked_for_the_settle_time() {
    let settle = Duration::from_millis(400);
    for pattern in [&[][..], &[false], &[true, false], &[true, true, false], &[true, true, false, true, false]] {
        let world = World::with(Config { key_settle: settle, ..config() }).await;
        world.aws.key_pattern(pattern);
        world.create(json!({})).await.succeeded();
        let checks = key_checks(&world);
        assert_eq!(checks.len(), pattern.len() + 4, "{pattern:?}");
        worked_for(settle, &checks[pattern.len()..]);
    }
}

/// A slow first response does not show that the key already worked when the call was sent. It must not shorten the
/// settle time.
#[tokio::test]
async fn a_slow_response_from_sts_does_not_shorten_the_settle_time() {
    let settle = Duration::from_millis(400);
    let world = World::with(Config { key_settle: settle, ..config() }).await;
    world.aws.fault(AwsFault { action: "GetCallerIdentity", how: AwsHow::Slow(settle * 2), times: 2 });
    world.create(json!({})).await.succeeded();
    worked_for(settle, &key_checks(&world));
}

/// If other steps take longer than the settle time, the key is checked once more after them.
#[tokio::test]
async fn the_last_check_of_a_key_comes_after_every_other_step_before_the_registration() {
    let world = World::new().await;
    let delay = Duration::from_millis(300);
    world.aws.fault(AwsFault { action: "AttachUserPolicy", how: AwsHow::Slow(delay), times: 2 });
    world.create(json!({})).await.succeeded();
    let calls = world.aws.calls();
    let attached = calls.iter().filter(|call| call.action == "AttachUserPolicy").filter_map(|call| call.span);
    let attached = attached.map(|(_, end)| end).max().unwrap();
    let [_, _, last, _] = &key_checks(&world)[..] else {
        panic!("expected three checks by the function and one by the stand-in")
    };
    assert!(last.span.unwrap().0 >= attached);
}

/// In this test, each pause between checks is longer than the run may take.
#[tokio::test]
async fn a_failed_step_ends_the_pauses_between_the_checks_of_a_key() {
    let long = Duration::from_secs(600);
    for (pattern, config) in
        [(&[][..], Config { key_settle: long, ..config() }), (&[false], Config { poll: long, ..config() })]
    {
        let world = World::with(config).await;
        world.aws.key_pattern(pattern);
        let how = AwsHow::Error(400, "ValidationError", "not today");
        world.aws.fault(AwsFault { action: "AttachUserPolicy", how, times: 1 });
        world.create(json!({})).await.failed(&["attach", "not today"]);
        world.nothing_left().await;
    }
}

/// STS never accepts the key. The status reason says what STS responded, for how long the run tried, and what may be
/// the cause.
#[tokio::test]
async fn a_key_that_never_works_fails_with_the_last_error_of_sts_and_its_age() {
    for (case, pattern, delay) in [
        ("never", Vec::new(), 600),
        ("at times", [true, false].repeat(1000), 0),
        ("never three times in a row", [true, true, false].repeat(1000), 0),
    ] {
        let mut world = World::new().await;
        world.timeout = Duration::from_secs(4);
        world.aws.keys_work_after(Duration::from_secs(delay));
        world.aws.key_pattern(&pattern);
        let words = ["still does not work", "AKIA", "InvalidClientTokenId", " s after it was created", "CloudTrail"];
        let response = world.create(json!({})).await.failed(&words);
        assert!(!response.reason().contains("time limit"), "{case}: {}", response.reason());
        // The end of the run may have cut off a call of the undo.
        world.aws.quiet().await;
        world.timeout = Duration::from_secs(20);
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}
