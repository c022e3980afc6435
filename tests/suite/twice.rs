//! Lambda may deliver an event twice, in sequence or in parallel. A Delete may arrive while its Create still runs.

use std::time::Duration;

use coiled_aws_stack::config::Config;
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use crate::support::{Deploy, config};

/// An event. Before an Update or a Delete, a Create with the `old` properties runs.
#[derive(Clone)]
struct Case {
    request: &'static str,
    old: Value,
    new: Value,
}

impl Case {
    fn new(request: &'static str, old: Value, new: Value) -> Self {
        Self { request, old, new }
    }

    async fn world(&self) -> World {
        // Longer waits than in other tests, because calls are slow on a busy machine.
        let (lease_settle, late_create) = (Duration::from_millis(250), Duration::from_secs(5));
        let world = World::with(Config { lease_settle, late_create, ..config() }).await;
        if self.request != "Create" {
            world.create(self.old.clone()).await.succeeded();
        }
        world
    }

    fn event(&self, world: &World) -> Value {
        match self.request {
            "Update" => world.update_event(self.old.clone(), self.new.clone()),
            request => world.event(request, world.properties(self.new.clone())),
        }
    }

    /// The state after a single delivery.
    async fn end(&self) -> String {
        let world = self.world().await;
        world.send(self.event(&world)).await.succeeded();
        world.shape().await
    }
}

fn cases() -> Vec<Case> {
    let detached = json!({"AttachSetupPolicy": "false"});
    let tagged = json!({"Tags": [{"Key": "team", "Value": "data"}], "PermissionsBoundaryArn": AWS_POLICY});
    let update = |old: &Value, new: &Value| Case::new("Update", old.clone(), new.clone());
    vec![
        Case::new("Create", json!({}), json!({})),
        Case::new("Create", json!({}), tagged.clone()),
        update(&json!({}), &json!({"Release": "2"})),
        update(&json!({}), &detached),
        update(&detached, &json!({})),
        update(&json!({}), &tagged),
        update(&tagged, &json!({})),
        update(&json!({}), &json!({"RotateKey": "2"})),
        update(&json!({}), &json!({"Region": "us-east-2", "NetworkId": "vpc-0123abcd"})),
        update(&detached, &json!({"Ingress": [{"Ports": ["8786"], "Cidr": "10.0.0.0/16"}]})),
        Case::new("Delete", json!({}), json!({})),
    ]
}

#[tokio::test]
async fn a_repeated_event_gets_the_same_response_and_changes_nothing() {
    for case in cases() {
        let world = case.world().await;
        let event = case.event(&world);
        let first = world.send(event.clone()).await.succeeded();
        let (snapshot, asked) = (world.snapshot().await, world.coiled.requests().len());
        let second = world.send(event).await.succeeded();
        let what = format!("{} {} {}", case.request, case.old, case.new);
        assert_eq!(first.value, second.value, "{what}");
        assert_eq!((snapshot, asked), (world.snapshot().await, world.coiled.requests().len()), "{what}");
    }
}

/// CloudFormation uses the first response, so both must be the same.
async fn both_responses_are_equal(world: &World, what: &str) {
    let puts: Vec<String> =
        world.bucket.puts().into_iter().rev().take(2).map(|put| String::from_utf8(put.body).unwrap()).collect();
    assert!(puts[0].contains("SUCCESS"), "{what}: {}", puts[0]);
    assert_eq!(puts[0], puts[1], "{what}");
}

#[tokio::test]
async fn two_parallel_deliveries_end_in_the_same_state_as_one() {
    for case in cases() {
        let world = case.world().await;
        let event = case.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), world.invoke(event));
        first.and(second).unwrap();
        let what = format!("{} {} {}", case.request, case.old, case.new);
        both_responses_are_equal(&world, &what).await;
        assert_eq!(case.end().await, world.shape().await, "{what}");
    }
}

/// Runs the event once for each change that it makes, and delivers it again at that moment.
async fn second_delivery_at_each_change(case: Case) {
    let reference = case.world().await;
    let before = reference.tally();
    reference.send(case.event(&reference)).await.succeeded();
    let end = reference.shape().await;
    for moment in reference.moments_since(&before).into_iter().filter(Moment::changes_something) {
        let world = case.world().await;
        let event = case.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), async {
            world.until(&moment).await;
            world.invoke(event.clone()).await
        });
        first.and(second).unwrap();
        both_responses_are_equal(&world, &format!("{moment:?}")).await;
        assert_eq!(end, world.shape().await, "{} {moment:?}", case.new);
    }
}

#[tokio::test]
async fn a_second_delivery_during_a_create_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change(Case::new("Create", json!({}), json!({}))).await;
}

#[tokio::test]
async fn a_second_delivery_during_a_rotation_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change(Case::new("Update", json!({}), json!({"RotateKey": "2"}))).await;
}

#[tokio::test]
async fn a_second_delivery_during_a_policy_detach_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change(Case::new("Update", json!({}), json!({"AttachSetupPolicy": "false"}))).await;
}

#[tokio::test]
async fn a_second_delivery_during_a_delete_ends_in_the_same_state_as_one() {
    second_delivery_at_each_change(Case::new("Delete", json!({}), json!({}))).await;
}

/// The Delete arrives once at each moment of the Create.
#[tokio::test]
async fn a_delete_during_its_create_leaves_no_resources() {
    let case = Case::new("Create", json!({}), json!({}));
    let reference = case.world().await;
    reference.send(case.event(&reference)).await.succeeded();
    for moment in reference.moments_since(&Default::default()) {
        let world = case.world().await;
        let (create, delete) = (case.event(&world), world.event("Delete", world.properties(json!({}))));
        let (created, deleted) = tokio::join!(world.invoke(create), async {
            world.until(&moment).await;
            world.invoke(delete).await
        });
        created.and(deleted).unwrap();
        let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
        assert!(response.contains("SUCCESS"), "{moment:?}: {response}");
        world.nothing_left().await;
    }
}

/// The Create arrives late, while its stack is being deleted or afterwards. It stops if it sees the Delete's lease.
/// After the Delete, it cannot know that it is late. Then it creates the complete connection with the stack's
/// ownership tags, so that another Delete of the stack finds every resource.
#[tokio::test]
async fn a_late_create_during_the_delete_creates_nothing_or_a_complete_connection() {
    let case = Case::new("Delete", json!({}), json!({}));
    let reference = case.world().await;
    let before = reference.tally();
    reference.send(case.event(&reference)).await.succeeded();
    let mut stopped = 0;
    for moment in reference.moments_since(&before) {
        let world = case.world().await;
        let (delete, create) = (case.event(&world), world.event("Create", world.properties(json!({}))));
        let (deleted, created) = tokio::join!(world.invoke(delete), async {
            world.until(&moment).await;
            world.invoke(create).await
        });
        deleted.and(created).unwrap();
        let responses: Vec<Value> =
            world.bucket.puts().iter().skip(1).map(|put| serde_json::from_slice(&put.body).unwrap()).collect();
        let response =
            |id: &str| responses.iter().find(|response| response["RequestId"].as_str().unwrap().ends_with(id)).unwrap();
        assert_eq!(response("2")["Status"], "SUCCESS", "{moment:?}: {}", response("2"));
        stopped += usize::from(response("3")["Reason"].as_str().is_some_and(|reason| reason.contains("a Delete")));
        if world.user_tags("coiled").await.is_some() {
            world.connected().await;
            assert_eq!(response("3")["Status"], "SUCCESS", "{moment:?}: {}", response("3"));
            world.delete(json!({})).await.succeeded();
        }
        world.nothing_left().await;
    }
    assert!(stopped > 5, "only {stopped} late Creates stopped because of the Delete's lease");
}

#[tokio::test]
async fn a_second_delete_removes_everything_that_a_create_after_the_first_delete_created() {
    let world = World::new().await;
    world.iam.create_user().user_name("theirs").send().await.unwrap();
    let before = world.snapshot().await;
    let create = world.event("Create", world.properties(json!({})));
    world.delete(json!({})).await.succeeded();
    world.send(create).await.succeeded();
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

/// A Create that responded has set the physical id. CloudFormation sends that id with the Delete, which then does not
/// wait.
#[tokio::test]
async fn delete_waits_for_a_late_create_only_if_the_create_never_responded() {
    let world = World::with(Config { late_create: Duration::from_secs(5), ..config() }).await;
    let waited = |world: &World| world.logs.text().contains("may be late; checking again");
    world.coiled.set_token("another-token-altogether");
    let failed = world.create(json!({})).await.failed(&["token"]);
    let mut delete = world.event("Delete", world.properties(json!({})));
    assert_eq!(delete["PhysicalResourceId"], failed.value["PhysicalResourceId"]);
    world.send(delete.clone()).await.succeeded();
    assert!(!waited(&world));
    delete["PhysicalResourceId"] = json!("coiled-Connection-1A2B3C4D5E6F");
    world.send(delete).await.succeeded();
    assert!(waited(&world));
}
