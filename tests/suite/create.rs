//! Create: everything is made, proved and registered, or nothing is left.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_create_makes_registers_and_answers() {
    let world = World::new().await;
    let answer = world.create(json!({})).await.succeeded();
    world.connected().await;
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    assert_eq!(answer.data("AccessKeyId"), world.keys("coiled").await[0]);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}
