//! The next Update or its rollback repairs what people deleted or changed by hand. Delete leaves nothing behind.

use coiled_stand_in::{Call, Fault, How};
use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::by_hand::DOCUMENT;
use serde_json::{Value, json};

use crate::support::Deploy;

const POLICIES: [&str; 2] = ["coiled-setup", "coiled-ongoing"];
const OWNERSHIP: [&str; 2] = ["coiled-stack:stack-id", "coiled-stack:logical-id"];
const STATE: [&str; 4] =
    ["coiled-stack:server", "coiled-stack:workspace", "coiled-stack:access-key-id", "coiled-stack:registered"];

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world
}

/// Checks that the next Update, a later rotation and the Delete all succeed.
async fn repaired(world: &World, case: &str) {
    for (old, new) in [
        (json!({"Release": "1"}), json!({"Release": "2"})),
        (json!({"Release": "2"}), json!({"Release": "2", "RotateKey": "2"})),
    ] {
        let answer = world.update(old, new.clone()).await;
        assert!(answer.is_success(), "{case}: {new}: {}", answer.reason());
        world.connected().await;
        assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"], "{case}");
        let tags = world.user_tags("coiled").await.unwrap();
        // Only a run that asks Coiled knows the workspace and can restore its tag.
        let asked = new.get("RotateKey").is_some();
        for key in OWNERSHIP.iter().chain(&STATE).chain(&["owner"]).filter(|key| asked || **key != STATE[1]) {
            assert!(tags.contains_key(*key), "{case}: {key} is missing");
        }
    }
    let answer = world.delete(json!({"RotateKey": "2"})).await;
    assert!(answer.is_success(), "{case}: {}", answer.reason());
    world.nothing_left().await;
}

async fn delete_policy_by_hand(world: &World, name: &str) {
    let arn = world.policy_arn(name);
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.map(drop).unwrap_or_default();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
}

/// Coiled still shows the connection with the deleted key, but no tag shows whose connection it is.
#[tokio::test]
async fn the_next_update_recreates_a_user_that_was_deleted() {
    let world = connected(json!({})).await;
    world.delete_user_by_hand().await;
    repaired(&world, "the user").await;

    let network = json!({"NetworkId": "vpc-0123abcd", "Region": "us-east-2"});
    let world = connected(network.clone()).await;
    world.delete_user_by_hand().await;
    world.update(network, json!({})).await.succeeded();
    world.connected().await;

    let world = connected(json!({})).await;
    world.delete_user_by_hand().await;
    for name in POLICIES {
        delete_policy_by_hand(&world, name).await;
    }
    repaired(&world, "user and policies").await;
}

#[tokio::test]
async fn the_rollback_recreates_a_user_that_was_deleted_if_coiled_rejects_the_update() {
    for change in [json!({"Release": "2"}), json!({"RotateKey": "2"}), json!({"Region": "us-east-2"})] {
        for on in [Call::WsMessage, Call::WsFinish] {
            let world = connected(json!({})).await;
            world.delete_user_by_hand().await;
            world.coiled.fault(Fault { on, how: How::IsError("no subnets".into()), times: 1 });
            world.update(json!({}), change.clone()).await.failed(&["no subnets"]);
            let answer = world.update(change.clone(), json!({})).await;
            assert!(answer.is_success(), "{change} {on:?}: {}", answer.reason());
            world.connected().await;
        }
    }
}

/// Someone else has connected the workspace since the user was deleted.
#[tokio::test]
async fn an_update_after_the_user_was_deleted_keeps_a_connection_that_someone_else_made() {
    let theirs = |options: Value| {
        let mut all = json!({"provider_name": "aws", "aws_region_name": "us-east-1"});
        all.as_object_mut().unwrap().extend(options.as_object().cloned().unwrap());
        json!({"backend": "vm", "options": all})
    };
    for theirs in [
        theirs(json!({"aws_region_name": "eu-west-1"})),
        theirs(json!({"account_role": "arn:aws:iam::111122223333:role/theirs"})),
        theirs(json!({"network": {"network_id": "vpc-00000000"}})),
        json!({"backend": "vm", "options": {"provider_name": "gcp", "gcp_region_name": "us-east1"}}),
    ] {
        let world = connected(json!({})).await;
        world.delete_user_by_hand().await;
        world.coiled.connect("ada", theirs.clone());
        world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["already connected", "AdoptExisting=true"]);
        world.delete(json!({})).await.succeeded();
        assert_eq!(world.coiled.connection("ada").unwrap().data, theirs);
        assert!(world.policies().await.is_empty());
    }
}

/// This includes a connection with the same region and network.
#[tokio::test]
async fn a_create_never_treats_an_existing_connection_as_its_own() {
    let world = connected(json!({})).await;
    world.delete_user_by_hand().await;
    for name in POLICIES {
        delete_policy_by_hand(&world, name).await;
    }
    world.create(json!({})).await.failed(&["already connected"]);
}

#[tokio::test]
async fn the_next_update_restores_tags_that_were_removed_from_the_user() {
    let all: Vec<&str> = OWNERSHIP.into_iter().chain(STATE).chain(["owner"]).collect();
    let mut cases: Vec<Vec<&str>> = all.iter().map(|key| vec![*key]).collect();
    cases.extend([OWNERSHIP.to_vec(), STATE.to_vec(), all]);
    for keys in cases {
        let world = connected(json!({})).await;
        world.untag_user_by_hand(&keys).await;
        repaired(&world, &format!("{keys:?}")).await;
    }
}

#[tokio::test]
async fn the_rollback_restores_tags_that_were_removed_from_the_user() {
    let all: Vec<&str> = OWNERSHIP.into_iter().chain(STATE).chain(["owner"]).collect();
    for keys in [vec!["coiled-stack:registered"], OWNERSHIP.to_vec(), all] {
        let world = connected(json!({})).await;
        world.untag_user_by_hand(&keys).await;
        world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        world.update(json!({}), json!({"Region": "us-east-2"})).await.failed(&["no"]);
        let answer = world.update(json!({"Region": "us-east-2"}), json!({})).await;
        assert!(answer.is_success(), "{keys:?}: {}", answer.reason());
        world.connected().await;
    }
}

/// Delete does not guess who owns a user without ownership tags. It names one command for each case.
#[tokio::test]
async fn delete_names_the_command_that_restores_the_ownership_tags_of_the_user() {
    let world = connected(json!({})).await;
    world.untag_user_by_hand(&OWNERSHIP).await;
    let tags =
        format!("Key=coiled-stack:stack-id,Value={} Key=coiled-stack:logical-id,Value=Connection", world.stack_id());
    let command = format!("aws iam tag-user --user-name coiled --tags {tags}");
    world.delete(json!({})).await.failed(&[&command, "aws iam detach-user-policy --user-name coiled"]);
    world.tag_user("coiled", OWNERSHIP[0], &world.stack_id()).await;
    world.tag_user("coiled", OWNERSHIP[1], "Connection").await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn the_next_update_restores_tags_that_were_removed_from_a_policy() {
    for name in POLICIES {
        for keys in [&OWNERSHIP[..1], &OWNERSHIP[1..], &OWNERSHIP, &["owner"]] {
            let world = connected(json!({})).await;
            world.untag_policy_by_hand(name, keys).await;
            repaired(&world, &format!("{name} {keys:?}")).await;
        }
    }
}

#[tokio::test]
async fn the_next_update_restores_a_policy_that_was_deleted_or_detached() {
    for name in POLICIES {
        let world = connected(json!({})).await;
        delete_policy_by_hand(&world, name).await;
        repaired(&world, name).await;

        let world = connected(json!({})).await;
        let arn = world.policy_arn(name);
        world.iam.detach_user_policy().user_name("coiled").policy_arn(arn).send().await.unwrap();
        repaired(&world, name).await;
    }
}

#[tokio::test]
async fn the_next_update_restores_the_document_of_a_policy() {
    for name in POLICIES {
        for versions in [1, 4] {
            let world = connected(json!({})).await;
            let document = world.document(name).await;
            for _ in 0..versions {
                let arn = world.policy_arn(name);
                let version = world.iam.create_policy_version().policy_arn(arn).policy_document(DOCUMENT);
                version.set_as_default(true).send().await.unwrap();
            }
            world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.succeeded();
            assert_eq!(world.document(name).await, document);
            repaired(&world, name).await;
        }
    }
}

#[tokio::test]
async fn the_next_update_replaces_a_deleted_key_and_keeps_a_deactivated_one() {
    let world = connected(json!({})).await;
    let key = world.keys("coiled").await.remove(0);
    world.delete_key_by_hand(&key).await;
    repaired(&world, "key deleted").await;

    let world = connected(json!({})).await;
    let key = world.keys("coiled").await.remove(0);
    world.deactivate_key_by_hand(&key).await;
    repaired(&world, "key inactive").await;
}

#[tokio::test]
async fn the_next_update_restores_the_boundary_of_the_user() {
    let bounded = json!({"PermissionsBoundaryArn": AWS_POLICY});
    for other in [None, Some("arn:aws:iam::aws:policy/PowerUserAccess")] {
        let world = connected(bounded.clone()).await;
        match other {
            None => {
                world.iam.delete_user_permissions_boundary().user_name("coiled").send().await.map(drop).unwrap();
            }
            Some(arn) => {
                let put = world.iam.put_user_permissions_boundary().user_name("coiled").permissions_boundary(arn);
                put.send().await.map(drop).unwrap();
            }
        }
        let mut released = bounded.clone();
        released["Release"] = json!("2");
        world.update(bounded.clone(), released.clone()).await.succeeded();
        assert_eq!(world.aws.boundary("coiled").as_deref(), Some(AWS_POLICY), "{other:?}");
        world.delete(released).await.succeeded();
        world.nothing_left().await;
    }
}

/// A rollback to the current registration does not read the token.
#[tokio::test]
async fn an_update_that_needs_a_token_fails_without_its_secret_and_rolls_back() {
    for deleted in [false, true] {
        let world = connected(json!({})).await;
        let before = world.snapshot().await;
        let secret = world.secret_arn.clone();
        if deleted {
            world.secrets.delete_secret().secret_id(secret).send().await.map(drop).unwrap();
        } else {
            world.secrets.put_secret_value().secret_id(secret).secret_string("{}").send().await.map(drop).unwrap();
        }
        world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["secret"]);
        world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
        assert_eq!(before, world.snapshot().await);
        world.delete(json!({})).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    }
}

/// The key is deleted with the user, so Coiled must not keep it.
#[tokio::test]
async fn delete_disconnects_the_workspace_even_if_a_person_removed_a_state_tag() {
    for key in ["coiled-stack:access-key-id", "coiled-stack:registered"] {
        let world = connected(json!({})).await;
        world.untag_user_by_hand(&[key]).await;
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
    }
}
