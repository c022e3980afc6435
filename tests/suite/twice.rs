//! Every event may be delivered twice, one after the other or at once; and a Delete may come while its Create still runs.

use std::time::Duration;

use coiled_aws_stack::config::Config;
use serde_json::{Value, json};

use crate::support::account::AWS_POLICY;
use crate::support::moments::Moment;
use crate::support::{World, config};

/// A connection to begin with, unless it is a Create, and an event.
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
        // On a busy machine a call takes its time, and so does whoever comes late.
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

    /// What is there in the end if nothing disturbs it.
    async fn end(&self) -> String {
        let world = self.world().await;
        world.send(self.event(&world)).await.succeeded();
        world.shape().await
    }
}

/// Create, every kind of Update, Delete.
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
async fn an_event_that_comes_again_gets_the_same_answer_and_changes_nothing() {
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

/// Whichever is told first decides: so both have to say the same.
async fn both_say_the_same(world: &World, what: &str) {
    let puts: Vec<String> =
        world.bucket.puts().into_iter().rev().take(2).map(|put| String::from_utf8(put.body).unwrap()).collect();
    assert!(puts[0].contains("SUCCESS"), "{what}: {}", puts[0]);
    assert_eq!(puts[0], puts[1], "{what}");
}

#[tokio::test]
async fn two_deliveries_at_once_end_like_one() {
    for case in cases() {
        let world = case.world().await;
        let event = case.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), world.invoke(event));
        first.and(second).unwrap();
        let what = format!("{} {} {}", case.request, case.old, case.new);
        both_say_the_same(&world, &what).await;
        assert_eq!(case.end().await, world.shape().await, "{what}");
    }
}

/// The second delivery begins at each moment of the first at which something changes.
async fn a_second_delivery_at_each_moment(case: Case) {
    let undisturbed = case.world().await;
    let before = undisturbed.tally();
    undisturbed.send(case.event(&undisturbed)).await.succeeded();
    let end = undisturbed.shape().await;
    for moment in undisturbed.moments_since(&before).into_iter().filter(Moment::changes_something) {
        let world = case.world().await;
        let event = case.event(&world);
        let (first, second) = tokio::join!(world.invoke(event.clone()), async {
            world.until(&moment).await;
            world.invoke(event.clone()).await
        });
        first.and(second).unwrap();
        both_say_the_same(&world, &format!("{moment:?}")).await;
        assert_eq!(end, world.shape().await, "{} {moment:?}", case.new);
    }
}

#[tokio::test]
async fn a_create_that_meets_itself_at_work_ends_like_one() {
    a_second_delivery_at_each_moment(Case::new("Create", json!({}), json!({}))).await;
}

#[tokio::test]
async fn a_rotation_that_meets_itself_at_work_ends_like_one() {
    a_second_delivery_at_each_moment(Case::new("Update", json!({}), json!({"RotateKey": "2"}))).await;
}

#[tokio::test]
async fn a_change_that_meets_itself_at_work_ends_like_one() {
    a_second_delivery_at_each_moment(Case::new("Update", json!({}), json!({"AttachSetupPolicy": "false"}))).await;
}

#[tokio::test]
async fn a_delete_that_meets_itself_at_work_ends_like_one() {
    a_second_delivery_at_each_moment(Case::new("Delete", json!({}), json!({}))).await;
}

/// The stack is given up while its Create is at work, at each of its moments.
#[tokio::test]
async fn a_delete_that_meets_its_create_at_work_leaves_nothing() {
    let case = Case::new("Create", json!({}), json!({}));
    let undisturbed = case.world().await;
    undisturbed.send(case.event(&undisturbed)).await.succeeded();
    for moment in undisturbed.moments_since(&Default::default()) {
        let world = case.world().await;
        let (create, delete) = (case.event(&world), world.event("Delete", world.properties(json!({}))));
        let (created, deleted) = tokio::join!(world.invoke(create), async {
            world.until(&moment).await;
            world.invoke(delete).await
        });
        created.and(deleted).unwrap();
        let answer = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
        assert!(answer.contains("SUCCESS"), "{moment:?}: {answer}");
        world.nothing_left().await;
    }
}

/// The Create's event comes late, when its stack is being deleted or already gone. What a Delete at work shows is a reason
/// to stop. After it nothing is there that could tell a late Create from a first one: it makes the whole connection, with
/// the stack's marks on all of it, so that a Delete of that stack finds it. Never a half.
#[tokio::test]
async fn a_create_that_comes_when_its_stack_goes_makes_nothing_or_the_whole() {
    let case = Case::new("Delete", json!({}), json!({}));
    let undisturbed = case.world().await;
    let before = undisturbed.tally();
    undisturbed.send(case.event(&undisturbed)).await.succeeded();
    let mut stopped = 0;
    for moment in undisturbed.moments_since(&before) {
        let world = case.world().await;
        let (delete, create) = (case.event(&world), world.event("Create", world.properties(json!({}))));
        let (deleted, created) = tokio::join!(world.invoke(delete), async {
            world.until(&moment).await;
            world.invoke(create).await
        });
        deleted.and(created).unwrap();
        let answers: Vec<Value> =
            world.bucket.puts().iter().skip(1).map(|put| serde_json::from_slice(&put.body).unwrap()).collect();
        let answer =
            |id: &str| answers.iter().find(|answer| answer["RequestId"].as_str().unwrap().ends_with(id)).unwrap();
        assert_eq!(answer("2")["Status"], "SUCCESS", "{moment:?}: {}", answer("2"));
        stopped += usize::from(answer("3")["Reason"].as_str().is_some_and(|reason| reason.contains("a Delete")));
        if world.user_tags("coiled").await.is_some() {
            world.connected().await;
            assert_eq!(answer("3")["Status"], "SUCCESS", "{moment:?}: {}", answer("3"));
            world.delete(json!({})).await.succeeded();
        }
        world.nothing_left().await;
    }
    assert!(stopped > 5, "{stopped} late Creates met the Delete's lease");
}

#[tokio::test]
async fn a_create_after_the_delete_of_its_stack_harms_nobody_and_is_found_by_the_next_delete() {
    let world = World::new().await;
    world.iam.create_user().user_name("theirs").send().await.unwrap();
    let before = world.snapshot().await;
    let create = world.event("Create", world.properties(json!({})));
    world.delete(json!({})).await.succeeded();
    world.send(create).await.succeeded();
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

/// Where the Create was answered, its id is the one that comes back, and a Delete waits for nobody.
#[tokio::test]
async fn only_a_create_that_never_answered_is_waited_for() {
    let world = World::with(Config { late_create: Duration::from_secs(5), ..config() }).await;
    let waited = |world: &World| world.logs.text().contains("it may be late");
    world.coiled.set_token("another-token-altogether");
    let failed = world.create(json!({})).await.failed(&["token"]);
    let mut delete = world.event("Delete", world.properties(json!({})));
    delete["PhysicalResourceId"] = failed.value["PhysicalResourceId"].clone();
    world.send(delete).await.succeeded();
    assert!(!waited(&world));
    world.delete(json!({})).await.succeeded();
    assert!(waited(&world));
}
