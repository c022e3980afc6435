//! AdoptExisting: for people who ran `coiled setup aws` before. The genuine client's own traces are adopted in
//! `genuine_client.rs`; here they are laid by hand, to be fast.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::account::AWS_POLICY;
use crate::support::aws::{AwsFault, AwsHow};

const OLD_DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*"}]}"#;

/// A user `coiled` with the tag `owner=coiled`, two unmarked policies, `keys` keys, and a connection.
pub async fn set_up_before(keys: usize) -> World {
    let world = World::new().await;
    set_up(&world, keys).await;
    world
}

/// The same in a world that is there already.
pub async fn set_up(world: &World, keys: usize) {
    let owner = aws_sdk_iam::types::Tag::builder().key("owner").value("coiled").build().unwrap();
    world.iam.create_user().user_name("coiled").tags(owner).send().await.unwrap();
    for name in ["coiled-setup", "coiled-ongoing"] {
        world.iam.create_policy().policy_name(name).policy_document(OLD_DOCUMENT).send().await.unwrap();
        world.iam.attach_user_policy().user_name("coiled").policy_arn(world.policy_arn(name)).send().await.unwrap();
    }
    for _ in 0..keys {
        world.iam.create_access_key().user_name("coiled").send().await.unwrap();
    }
    let held = world.keys("coiled").await.pop().unwrap_or_default();
    let options =
        json!({"provider_name": "aws", "aws_region_name": "us-east-1", "credentials": {"aws_access_key": held}});
    world.coiled.connect("ada", json!({"backend": "vm", "options": options}));
}

pub fn adopt() -> Value {
    json!({"AdoptExisting": "true"})
}

#[tokio::test]
async fn what_coiled_setup_aws_made_becomes_ours() {
    for keys in [0, 1, 2] {
        let world = set_up_before(keys).await;
        let before = world.keys("coiled").await;
        world.create(adopt()).await.succeeded();
        world.connected().await;
        assert!(!before.contains(&world.keys("coiled").await[0]), "{keys} keys");
        assert_eq!(world.tag("coiled-stack:stack-id").await, world.stack_id());
        assert!(world.document("coiled-ongoing").await.contains("OngoingDestructive"));
        world.delete(adopt()).await.succeeded();
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn without_being_asked_to_nothing_is_adopted() {
    let world = set_up_before(1).await;
    let before = world.snapshot().await;
    world.create(json!({})).await.failed(&["user/coiled", "AdoptExisting"]);
    world.delete(json!({})).await.succeeded();
    assert_eq!(before, world.snapshot().await);
}

/// A Create that fails gives back what it had adopted: its clean-up Delete then leaves it alone.
#[tokio::test]
async fn a_failed_adoption_gives_everything_back_as_it_was() {
    let world = set_up_before(1).await;
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    let tagged =
        json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Tags": [{"Key": "Owner", "Value": "team"}]});
    world.create(tagged.clone()).await.failed(&["register"]);
    assert_eq!(before, world.snapshot().await, "after the Create");
    world.delete(tagged).await.succeeded();
    assert_eq!(before, world.snapshot().await, "after the Delete");
}

/// Where Create can't give something back, it leaves its marks: by these the clean-up Delete finds the rest.
#[tokio::test]
async fn what_a_failed_adoption_could_not_give_back_the_delete_does() {
    for (action, region) in [
        ("UntagPolicy", "us-east-1"),
        ("SetDefaultPolicyVersion", "us-east-1"),
        ("AttachUserPolicy", "us-east-1"),
        ("DeleteAccessKey", "us-east-1"),
        // The pending mark stays too: then the region tells the connection that was there from the one that was refused.
        ("UntagUser", "us-east-2"),
    ] {
        let world = set_up_before(1).await;
        let before = world.snapshot().await;
        world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        world.aws.fault(AwsFault { action, how: AwsHow::Error(400, "Odd", "odd"), times: u32::MAX });
        let detached = json!({"AdoptExisting": "true", "AttachSetupPolicy": "false", "Region": region});
        world.create(detached.clone()).await.failed(&["register", "Left in the account", "user/coiled"]);
        world.aws.clear_faults();
        world.delete(detached).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{action}");
    }
}

/// With a boundary given the function may put it on, and never take it off: so a person has put it on before.
#[tokio::test]
async fn a_user_that_is_adopted_has_its_boundary_already() {
    let world = set_up_before(1).await;
    let (before, bounded) =
        (world.snapshot().await, json!({"AdoptExisting": "true", "PermissionsBoundaryArn": AWS_POLICY}));
    world.create(bounded.clone()).await.failed(&[
        "Nothing was touched",
        "put-user-permissions-boundary --user-name coiled ",
        AWS_POLICY,
    ]);
    world.delete(bounded.clone()).await.succeeded();
    assert_eq!(before, world.snapshot().await);

    world
        .iam
        .put_user_permissions_boundary()
        .user_name("coiled")
        .permissions_boundary(AWS_POLICY)
        .send()
        .await
        .unwrap();
    let before = world.snapshot().await;
    world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
    world.create(bounded.clone()).await.failed(&["register"]);
    assert_eq!(before, world.snapshot().await);
    world.create(bounded).await.succeeded();
    world.connected().await;
    assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY));
}

/// With two keys there one has to go first: the one that was used least recently.
#[tokio::test]
async fn room_for_a_key_is_made_only_once_coiled_answers() {
    let world = set_up_before(2).await;
    let before = world.snapshot().await;
    world.coiled.fault(Fault {
        on: Call::BackendOptions,
        how: How::Status(400, json!({"detail": "no"})),
        times: u32::MAX,
    });
    world.create(adopt()).await.failed(&["no"]);
    assert_eq!(before, world.snapshot().await);
}

/// A policy alone, without its user, is nobody's: `coiled setup aws` by role delegation leaves such.
#[tokio::test]
async fn policies_without_their_user_are_not_adopted() {
    let world = World::new().await;
    world.iam.create_policy().policy_name("coiled-setup").policy_document(OLD_DOCUMENT).send().await.unwrap();
    world.create(adopt()).await.failed(&["policy/coiled-setup"]);
    assert_eq!(world.policies().await, ["coiled-setup"]);
    assert!(world.user_tags("coiled").await.is_none());
}
