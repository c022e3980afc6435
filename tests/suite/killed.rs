//! Lambda kills a run after each of its calls. The killed run undoes nothing and sends no response. The next event must
//! reach the same state as it would without the kill.

use coiled_world::World;
use coiled_world::moments::Moment;
use serde_json::{Value, json};

use super::adopt::{adopt_existing, world_after_set_up};
use crate::scenario::{Scenario, named};
use crate::support::Deploy;

/// A request that is killed.
struct Case(Scenario);

/// Whether the killed run sent a key but did not learn the outcome. The user then also has an older key, and Coiled
/// shows the same connection for both.
async fn has_unknown_outcome(world: &World) -> bool {
    let pending = world.tag("coiled-stack:pending-access-key-id").await;
    !pending.is_empty() && world.keys("coiled").await.len() == 2
}

/// Checks that the event succeeds. If the outcome of a registration is unknown, a person must first delete the key that
/// Coiled does not hold. The function never deletes a key that Coiled may hold.
async fn completes(world: &World, event: Value, moment: &Moment) {
    let is_unknown = has_unknown_outcome(world).await;
    let mut response = world.send(event.clone()).await;
    if is_unknown && !response.is_success() {
        assert!(response.reason().contains("as many access keys as IAM allows"), "{moment:?}: {}", response.reason());
        world.choose_key_by_hand().await;
        response = world.send(event).await;
    }
    assert!(response.is_success(), "{moment:?}: {}", response.reason());
}

impl Case {
    fn of(name: &str) -> Self {
        Self(named(name))
    }

    async fn world(&self) -> World {
        let world = World::new().await;
        self.0.clone().prepare(&world).await;
        world
    }

    fn event(&self, world: &World) -> Value {
        self.0.event(world)
    }

    /// The calls of a run that is not killed, and the state after it.
    async fn undisturbed(&self) -> (Vec<Moment>, String) {
        let world = self.world().await;
        let before = world.tally();
        world.send(self.event(&world)).await.succeeded();
        let moments = world.moments_since(&before);
        assert!(moments.len() > 5, "{moments:?}");
        (moments, world.shape().await)
    }

    /// Kills the run after one call, and expires its lease so that the next run need not wait.
    async fn killed_at(&self, moment: &Moment) -> (World, Value) {
        let world = self.world().await;
        let event = self.event(&world);
        world.kill(event.clone(), moment).await;
        world.lease_ends().await;
        (world, event)
    }

    /// Lambda delivers the event again.
    async fn completes_when_redelivered(&self) {
        let (moments, end) = self.undisturbed().await;
        for moment in moments {
            let (world, event) = self.killed_at(&moment).await;
            completes(&world, event, &moment).await;
            assert_eq!(end, world.shape().await, "{moment:?}");
        }
    }

    /// CloudFormation deletes the stack because the killed run sent no response. Calls that only read are skipped,
    /// because they do not change the state.
    async fn is_deleted_completely(&self) {
        for moment in self.undisturbed().await.0.into_iter().filter(Moment::changes_something) {
            let (world, _) = self.killed_at(&moment).await;
            let response = world.delete(self.0.properties().clone()).await;
            assert!(response.is_success(), "{moment:?}: {}", response.reason());
            world.nothing_left().await;
        }
    }

    /// CloudFormation rolls back the update because the killed run sent no response.
    async fn is_rolled_back_completely(&self) {
        let end = self.world().await.shape().await;
        for moment in self.undisturbed().await.0.into_iter().filter(Moment::changes_something) {
            let (world, _) = self.killed_at(&moment).await;
            let rollback = async || {
                let response = world.send(self.0.next(&world)).await;
                assert!(response.is_success(), "{moment:?}: {}", response.reason());
            };
            rollback().await;
            // Both keys work until a person deletes the one that Coiled does not hold.
            if has_unknown_outcome(&world).await {
                world.choose_key_by_hand().await;
                rollback().await;
            }
            assert_eq!(end, world.shape().await, "{moment:?}");
        }
    }
}

#[tokio::test]
async fn a_create_killed_after_any_call_completes_when_redelivered() {
    Case::of("create").completes_when_redelivered().await;
}

#[tokio::test]
async fn delete_leaves_nothing_after_a_create_killed_after_any_change() {
    Case::of("create").is_deleted_completely().await;
}

#[tokio::test]
async fn a_rotation_killed_after_any_call_completes_when_redelivered() {
    Case::of("update: key rotated").completes_when_redelivered().await;
}

#[tokio::test]
async fn rollback_restores_the_state_after_a_rotation_killed_after_any_change() {
    Case::of("update: key rotated").is_rolled_back_completely().await;
}

#[tokio::test]
async fn delete_leaves_nothing_after_a_rotation_killed_after_any_change() {
    Case::of("update: key rotated").is_deleted_completely().await;
}

/// An Update that does not register a key.
const IN_PLACE: &str = "update: setup policy detached, tags and boundary added";

#[tokio::test]
async fn an_update_in_place_killed_after_any_call_completes_when_redelivered() {
    Case::of(IN_PLACE).completes_when_redelivered().await;
}

#[tokio::test]
async fn rollback_restores_the_state_after_an_update_in_place_killed_after_any_change() {
    Case::of(IN_PLACE).is_rolled_back_completely().await;
}

#[tokio::test]
async fn a_delete_killed_after_any_call_completes_when_redelivered() {
    Case::of("delete").completes_when_redelivered().await;
}

#[tokio::test]
async fn an_adoption_killed_after_any_change_completes_when_redelivered() {
    let world = world_after_set_up(1).await;
    let create = |world: &World| world.event("Create", world.properties(adopt_existing()));
    world.send(create(&world)).await.succeeded();
    for moment in world.moments_since(&Default::default()).into_iter().filter(Moment::changes_something) {
        let world = world_after_set_up(1).await;
        let event = create(&world);
        world.kill(event.clone(), &moment).await;
        world.lease_ends().await;
        completes(&world, event, &moment).await;
        world.connected().await;
    }
}

/// CloudFormation deletes the stack because the killed adoption sent no response. Until the registration is sent,
/// Delete restores everything. After that, it restores everything only if Coiled still shows the old connection. Coiled
/// shows a connection's region but not its key. So if both regions are the same, Delete cannot tell the connections
/// apart and removes everything.
#[tokio::test]
async fn delete_restores_a_killed_adoption_unless_coiled_may_hold_the_new_key() {
    for region in ["us-east-1", "us-east-2"] {
        let properties = json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Region": region,
            "Tags": [{"Key": "Owner", "Value": "data"}]});
        let create = |world: &World| world.event("Create", world.properties(properties.clone()));
        let world = world_after_set_up(1).await;
        world.send(create(&world)).await.succeeded();
        let (mut restored, mut removed) = (0, 0);
        for moment in world.moments_since(&Default::default()).into_iter().filter(Moment::changes_something) {
            let world = world_after_set_up(1).await;
            let before = world.snapshot().await;
            world.kill(create(&world), &moment).await;
            world.lease_ends().await;
            let is_pending = !world.tag("coiled-stack:pending-access-key-id").await.is_empty();
            let is_replaced = !world.coiled.registrations().is_empty();
            world.delete(properties.clone()).await.succeeded();
            if before == world.snapshot().await {
                assert!(
                    !is_replaced,
                    "{region}, {moment:?}: Delete restored the user although Coiled holds the new key"
                );
                restored += 1;
            } else {
                // Delete can tell the connections apart only if their regions differ.
                let is_old_connection = !is_replaced && (!is_pending || region == "us-east-2");
                assert!(!is_old_connection, "{region}, {moment:?}: Delete did not restore the user");
                world.nothing_left().await;
                removed += 1;
            }
        }
        assert!(restored > 0 && removed > 0, "{region}: {restored} restored, {removed} removed");
    }
}
