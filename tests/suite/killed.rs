//! Runs that Lambda kills in the middle, after each of their calls: nothing is undone, nobody is answered, and whatever
//! comes next gets to the same end as if nothing had happened.

use serde_json::{Value, json};

use super::adopt::{adopt, set_up_before};
use crate::support::World;
use crate::support::moments::Moment;

/// What a run is about.
struct Case {
    /// What was there before: nothing, or a connection with these properties.
    before: Option<Value>,
    request: &'static str,
    new: Value,
}

impl Case {
    fn create() -> Self {
        Self { before: None, request: "Create", new: json!({}) }
    }

    fn update(new: Value) -> Self {
        Self { before: Some(json!({})), request: "Update", new }
    }

    fn delete() -> Self {
        Self { before: Some(json!({})), request: "Delete", new: json!({}) }
    }

    async fn world(&self) -> World {
        let world = World::new().await;
        if let Some(before) = &self.before {
            world.create(before.clone()).await.succeeded();
        }
        world
    }

    fn event(&self, world: &World) -> Value {
        match (self.request, &self.before) {
            ("Update", Some(before)) => world.update_event(before.clone(), self.new.clone()),
            (request, _) => world.event(request, world.properties(self.new.clone())),
        }
    }

    /// The moments of the run, and what is there after it.
    async fn undisturbed(&self) -> (Vec<Moment>, String) {
        let world = self.world().await;
        let before = world.tally();
        world.send(self.event(&world)).await.succeeded();
        let moments = world.moments_since(&before);
        assert!(moments.len() > 5, "{moments:?}");
        (moments, world.shape().await)
    }

    /// Kills the run once at each moment.
    async fn killed_at(&self, moment: &Moment) -> (World, Value) {
        let world = self.world().await;
        let event = self.event(&world);
        world.kill(event.clone(), moment).await;
        world.lease_ends().await;
        (world, event)
    }

    /// Lambda delivers the event once more.
    async fn again(&self) {
        let (moments, end) = self.undisturbed().await;
        for moment in moments {
            let (world, event) = self.killed_at(&moment).await;
            let answer = world.send(event).await;
            assert!(answer.is_success(), "{moment:?}: {}", answer.reason());
            assert_eq!(end, world.shape().await, "{moment:?}");
        }
    }

    /// CloudFormation deletes what never answered. Calls that only read are tried in `again` alone.
    async fn then_deleted(&self) {
        for moment in self.undisturbed().await.0.into_iter().filter(Moment::changes_something) {
            let (world, _) = self.killed_at(&moment).await;
            let answer = world.delete(self.new.clone()).await;
            assert!(answer.is_success(), "{moment:?}: {}", answer.reason());
            world.nothing_left().await;
        }
    }

    /// CloudFormation rolls back what never answered.
    async fn then_rolled_back(&self) {
        let before = self.before.clone().expect("an Update");
        let end = self.world().await.shape().await;
        for moment in self.undisturbed().await.0.into_iter().filter(Moment::changes_something) {
            let (world, _) = self.killed_at(&moment).await;
            let answer = world.update(self.new.clone(), before.clone()).await;
            assert!(answer.is_success(), "{moment:?}: {}", answer.reason());
            assert_eq!(end, world.shape().await, "{moment:?}");
        }
    }
}

#[tokio::test]
async fn a_create_comes_again() {
    Case::create().again().await;
}

#[tokio::test]
async fn a_create_is_followed_by_its_delete() {
    Case::create().then_deleted().await;
}

#[tokio::test]
async fn a_rotation_comes_again() {
    Case::update(json!({"RotateKey": "2"})).again().await;
}

#[tokio::test]
async fn a_rotation_is_rolled_back() {
    Case::update(json!({"RotateKey": "2"})).then_rolled_back().await;
}

#[tokio::test]
async fn a_rotation_is_followed_by_a_delete() {
    Case::update(json!({"RotateKey": "2"})).then_deleted().await;
}

/// An Update that registers nothing: setup policy, tags and boundary.
fn without_a_key() -> Case {
    Case::update(json!({
        "AttachSetupPolicy": "false",
        "Tags": [{"Key": "team", "Value": "data"}],
        "PermissionsBoundaryArn": crate::support::account::AWS_POLICY,
    }))
}

#[tokio::test]
async fn a_change_in_place_comes_again() {
    without_a_key().again().await;
}

#[tokio::test]
async fn a_change_in_place_is_rolled_back() {
    without_a_key().then_rolled_back().await;
}

#[tokio::test]
async fn a_delete_comes_again() {
    Case::delete().again().await;
}

/// Whatever of an adoption had been done, the same event ends it.
#[tokio::test]
async fn an_adoption_comes_again() {
    let world = set_up_before(1).await;
    let create = |world: &World| world.event("Create", world.properties(adopt()));
    world.send(create(&world)).await.succeeded();
    for moment in world.moments_since(&Default::default()).into_iter().filter(Moment::changes_something) {
        let world = set_up_before(1).await;
        let event = create(&world);
        world.kill(event.clone(), &moment).await;
        world.lease_ends().await;
        let answer = world.send(event).await;
        assert!(answer.is_success(), "{moment:?}: {}", answer.reason());
        world.connected().await;
    }
}

/// CloudFormation deletes an adoption that never answered: before its key could be at Coiled all is given back, and then
/// what Coiled shows decides. It can't in the region of the connection that was there before: then all goes.
#[tokio::test]
async fn an_adoption_is_followed_by_its_delete() {
    for region in ["us-east-1", "us-east-2"] {
        let properties = json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Region": region,
            "Tags": [{"Key": "Owner", "Value": "data"}]});
        let create = |world: &World| world.event("Create", world.properties(properties.clone()));
        let world = set_up_before(1).await;
        world.send(create(&world)).await.succeeded();
        let (mut given_back, mut removed) = (0, 0);
        for moment in world.moments_since(&Default::default()).into_iter().filter(Moment::changes_something) {
            let world = set_up_before(1).await;
            let before = world.snapshot().await;
            world.kill(create(&world), &moment).await;
            world.lease_ends().await;
            let is_in_doubt = !world.tag("coiled-stack:pending-access-key-id").await.is_empty();
            let is_replaced = !world.coiled.registrations().is_empty();
            world.delete(properties.clone()).await.succeeded();
            if before == world.snapshot().await {
                assert!(!is_replaced, "{region}, {moment:?}: Coiled holds another key by now");
                given_back += 1;
            } else {
                // Another region tells the one connection from the other.
                let can_be_told = !is_replaced && (!is_in_doubt || region == "us-east-2");
                assert!(!can_be_told, "{region}, {moment:?}: it was not given back");
                world.nothing_left().await;
                removed += 1;
            }
        }
        assert!(given_back > 0 && removed > 0, "{region}: {given_back} given back, {removed} removed");
    }
}
