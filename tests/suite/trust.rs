//! A changed tag or a forged event cannot redirect a secret. The function's environment determines the server, the
//! secrets and the registry. The properties or the `PhysicalResourceId` name the workspace.

use coiled_stand_in::{Call, Fault, How, StandIn};
use coiled_world::World;
use serde_json::{Value, json};

use crate::support::Deploy;

/// A connection, created by a function that was deployed with the template's parameters for these properties.
async fn deployed(properties: Value) -> World {
    let mut world = World::new().await;
    world.deployed_by_template(properties.clone());
    world.create(properties).await.succeeded();
    world.aws.forget_calls();
    world
}

/// Someone else's server, which accepts the token and every registration.
async fn strangers_server(world: &World) -> StandIn {
    let server = StandIn::start().await;
    server.set_token(&world.coiled.token());
    server
}

fn reads_of_secrets(world: &World) -> usize {
    world.aws.actions().iter().filter(|action| *action == "GetSecretValue").count()
}

// The server

#[tokio::test]
async fn a_server_in_a_tag_receives_nothing_from_an_update() {
    let world = deployed(json!({})).await;
    let stranger = strangers_server(&world).await;
    world.tag_user("coiled", "coiled-stack:server", &stranger.url()).await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
    world.connected().await;
    assert_eq!(world.tag("coiled-stack:server").await, world.coiled.url());
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn a_server_in_a_tag_receives_nothing_from_a_delete() {
    let world = deployed(json!({})).await;
    let stranger = strangers_server(&world).await;
    world.tag_user("coiled", "coiled-stack:server", &stranger.url()).await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
    assert!(stranger.requests().is_empty());
}

/// The attacker may both invoke the function and tag the user, and names the same server in the event and the tag.
#[tokio::test]
async fn a_server_in_a_tag_and_in_an_event_receives_nothing() {
    let world = deployed(json!({})).await;
    let stranger = strangers_server(&world).await;
    world.tag_user("coiled", "coiled-stack:server", &stranger.url()).await;
    let before = world.snapshot().await;
    let forged = json!({"CoiledServer": stranger.url(), "RotateKey": "2"});
    for old in [json!({}), forged.clone()] {
        world.update(old, forged.clone()).await.failed(&["CoiledServer"]);
        world.create(forged.clone()).await.failed(&["CoiledServer", "COILED_SERVER", "Nothing was changed"]);
    }
    assert_eq!(before, world.snapshot().await);
    world.delete(forged).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none());
    assert!(stranger.requests().is_empty());
}

#[tokio::test]
async fn the_secret_is_not_read_if_the_server_is_rejected() {
    let world = deployed(json!({})).await;
    let forged = json!({"CoiledServer": "https://coiled.example.com", "RotateKey": "2"});
    world.update(forged.clone(), forged.clone()).await.failed(&["CoiledServer", "COILED_SERVER"]);
    world.create(forged.clone()).await.failed(&["CoiledServer", "COILED_SERVER"]);
    world.delete(forged).await.succeeded();
    assert_eq!(reads_of_secrets(&world), 0);
}

/// A rollback to the registered settings needs neither Coiled nor a secret, so it works no matter which server the
/// function was deployed for.
#[tokio::test]
async fn a_rollback_to_the_current_registration_succeeds_even_if_the_server_is_not_trusted() {
    let mut world = deployed(json!({})).await;
    world.tag_user("coiled", "coiled-stack:server", "https://stranger.example.com").await;
    world.deployed_for("https://coiled.example.com".into());
    let (keys, asked) = (world.keys("coiled").await, world.coiled.requests().len());
    world.update(json!({"RotateKey": "2"}), json!({"AttachSetupPolicy": "false"})).await.succeeded();
    world.connected().await;
    assert_eq!((world.keys("coiled").await, world.coiled.requests().len()), (keys, asked));
}

#[tokio::test]
async fn a_delete_for_another_server_sends_nothing_and_says_what_remains() {
    let mut world = deployed(json!({})).await;
    world.deployed_for("https://coiled.example.com".into());
    let asked = world.coiled.requests().len();
    world.delete(json!({})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    assert_eq!((world.coiled.requests().len(), reads_of_secrets(&world)), (asked, 0));
    let kept = format!("the AWS credentials of workspace ada at {}", world.coiled.url());
    assert!(world.logs.text().contains(&kept) && world.logs.text().contains("COILED_SERVER"));
}

// Secrets and registries

fn docker_hub(secret: &str) -> Value {
    json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": secret})
}

fn with(base: &Value, more: Value) -> Value {
    let mut map = base.as_object().cloned().unwrap_or_default();
    map.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(map)
}

#[tokio::test]
async fn the_coiled_tokens_secret_is_never_sent_to_a_registry() {
    for pinned in [true, false] {
        let mut world = World::new().await;
        if pinned {
            world.deployed_by_template(json!({}));
        }
        world.create(json!({})).await.succeeded();
        world.aws.forget_calls();
        let full = world.secret_arn.clone();
        let without_suffix = full.rsplit_once('-').unwrap().0.to_owned();
        for secret in [full, without_suffix] {
            let forged = with(&docker_hub(&secret), json!({"DockerHubUri": "registry.example.com"}));
            world.update(json!({}), forged.clone()).await.failed(&["DockerHubTokenSecretArn", "Nothing was changed"]);
            world.create(forged).await.failed(&["DockerHubTokenSecretArn"]);
        }
        assert_eq!(reads_of_secrets(&world), 0);
        world.connected().await;
    }
}

#[tokio::test]
async fn a_registry_that_the_stack_does_not_have_receives_nothing() {
    let world = deployed(json!({})).await;
    let before = world.snapshot().await;
    let forged = with(&docker_hub(&world.hub_secret().await), json!({"DockerHubUri": "registry.example.com"}));
    let words = ["DOCKER_HUB_TOKEN_SECRET_ARN", "DOCKER_HUB_URI", "DOCKER_HUB_USERNAME", "Nothing was changed"];
    world.update(json!({}), forged.clone()).await.failed(&words);
    world.create(forged).await.failed(&words);
    assert_eq!(before, world.snapshot().await);
    assert_eq!(reads_of_secrets(&world), 0);
}

#[tokio::test]
async fn each_pinned_property_of_a_forged_event_is_named_before_a_secret_is_read() {
    let mut world = World::new().await;
    let hub = docker_hub(&world.hub_secret().await);
    world.deployed_by_template(hub.clone());
    world.create(hub.clone()).await.succeeded();
    world.aws.forget_calls();
    let other = world.secret_arn.replace("coiled-token", "another");
    for (property, value, variable) in [
        ("CoiledTokenSecretArn", other.as_str(), "COILED_TOKEN_SECRET_ARN"),
        ("DockerHubTokenSecretArn", other.as_str(), "DOCKER_HUB_TOKEN_SECRET_ARN"),
        ("DockerHubUri", "registry.example.com", "DOCKER_HUB_URI"),
        ("DockerHubUsername", "eve", "DOCKER_HUB_USERNAME"),
    ] {
        let forged = with(&hub, json!({property: value, "RotateKey": "2"}));
        world.update(hub.clone(), forged.clone()).await.failed(&[property, variable, "stack update"]);
        world.create(forged).await.failed(&[property, variable]);
        assert_eq!(reads_of_secrets(&world), 0, "{property}");
    }
    world.connected().await;
    world.update(hub.clone(), with(&hub, json!({"RotateKey": "2"}))).await.succeeded();
    world.connected().await;
}

/// After a rejected registration, the new key is registered with the earlier settings. They come from the event, so the
/// function must have been deployed for them.
#[tokio::test]
async fn the_earlier_settings_are_registered_again_only_if_the_function_was_deployed_for_them() {
    let (user, uri) = (json!({"DockerHubUsername": "eve"}), json!({"DockerHubUri": "registry.example.com"}));
    for (change, is_pinned) in [(json!({"RotateKey": "2"}), true), (user, false), (uri, false)] {
        let mut world = World::new().await;
        let old = docker_hub(&world.hub_secret().await);
        let new = with(&old, change.clone());
        world.create(old.clone()).await.succeeded();
        world.deployed_by_template(new.clone());
        let sent = world.coiled.registrations().len();
        world.coiled.fault(Fault { on: Call::WsMessage, how: How::IsError("no".into()), times: 1 });
        world.update(old, new).await.failed(&["no"]);
        assert_eq!(world.coiled.registrations().len() - sent, if is_pinned { 2 } else { 1 }, "{change}");
        assert_eq!(world.keys("coiled").await.len(), if is_pinned { 1 } else { 2 }, "{change}");
    }
}

/// The function compares the value that it would send, not its spelling.
#[tokio::test]
async fn a_pinned_value_may_be_spelled_differently() {
    let mut world = World::new().await;
    let hub = docker_hub(&world.hub_secret().await);
    world.deployed_by_template(hub.clone());
    world.create(with(&hub, json!({"DockerHubUri": "docker.io", "DockerHubUsername": "Ada"}))).await.succeeded();
    world.connected().await;
}

#[tokio::test]
async fn a_delete_with_another_secret_reads_none_and_says_what_remains() {
    let world = deployed(json!({})).await;
    let other = world.secrets.create_secret().name("other").secret_string(world.coiled.token()).send().await.unwrap();
    let asked = world.coiled.requests().len();
    world.delete(json!({"CoiledTokenSecretArn": other.arn.unwrap()})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    assert_eq!((world.coiled.requests().len(), reads_of_secrets(&world)), (asked, 0));
    assert!(world.logs.text().contains("COILED_TOKEN_SECRET_ARN"));
    assert!(world.logs.text().contains("the AWS credentials of workspace ada"));
}

/// Without the user there are no tags. The properties in the event must then match the function's environment.
#[tokio::test]
async fn a_delete_after_the_user_was_deleted_sends_nothing_that_the_function_was_not_deployed_for() {
    for property in ["CoiledServer", "CoiledTokenSecretArn"] {
        let world = deployed(json!({})).await;
        let (stranger, asked) = (strangers_server(&world).await, world.coiled.requests().len());
        let other = world.secrets.create_secret().name("other").secret_string(world.coiled.token());
        let other = other.send().await.unwrap().arn.unwrap();
        world.delete_user_by_hand().await;
        let value = if property == "CoiledServer" { stranger.url() } else { other };
        world.delete(json!({property: value})).await.succeeded();
        assert_eq!((world.coiled.requests().len(), reads_of_secrets(&world)), (asked, 0), "{property}");
        assert!(stranger.requests().is_empty() && world.coiled.connection("ada").is_some(), "{property}");
        assert!(world.logs.text().contains("disconnect the workspace in its settings"), "{property}");
    }
}

// The workspace

/// How a stack names its workspace.
const NAMED: [&str; 3] = ["property", "physical ID", "default"];

/// A connection of the workspace `ada`, and a second workspace of the same token, connected by someone else.
async fn beside_a_team(how: &str) -> (World, Value) {
    let mut world = World::new().await;
    let properties = if how == "property" { json!({"Workspace": "ada"}) } else { json!({}) };
    world.deployed_by_template(properties.clone());
    world.create(properties.clone()).await.succeeded();
    if how == "default" {
        world.forget_workspace_in_id();
    }
    world.coiled.add_workspace("team", "Team", false);
    let options = world.coiled.connection("ada").unwrap().data;
    world.coiled.connect("team", options);
    (world, properties)
}

fn asked_about(world: &World, slug: &str) -> usize {
    world.coiled.requests().iter().filter(|request| request.path.contains(&format!("/{slug}/"))).count()
}

#[tokio::test]
async fn a_workspace_in_a_tag_gets_no_key_and_the_rollback_succeeds() {
    for how in NAMED {
        let (world, properties) = beside_a_team(how).await;
        world.tag_user("coiled", "coiled-stack:workspace", "team").await;
        let before = world.snapshot().await;
        let change = with(&properties, json!({"RotateKey": "2"}));
        let words = ["ada", "team", "coiled-stack:workspace", "Nothing was changed", "aws iam tag-user"];
        world.update(properties.clone(), change.clone()).await.failed(&words);
        assert_eq!(before, world.snapshot().await, "{how}");
        world.update(change, properties.clone()).await.succeeded();
        assert_eq!(before, world.snapshot().await, "{how}");
        assert_eq!(asked_about(&world, "team"), 0, "{how}");

        // This is what the command in the status reason does.
        world.tag_user("coiled", "coiled-stack:workspace", "ada").await;
        world.update(properties.clone(), with(&properties, json!({"RotateKey": "3"}))).await.succeeded();
        world.connected().await;
    }
}

#[tokio::test]
async fn a_delete_disconnects_nothing_if_a_tag_names_a_different_workspace() {
    for how in NAMED {
        let (world, properties) = beside_a_team(how).await;
        world.tag_user("coiled", "coiled-stack:workspace", "team").await;
        world.delete(properties).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty(), "{how}");
        for slug in ["ada", "team"] {
            assert!(world.coiled.connection(slug).is_some(), "{how}: {slug}");
        }
        assert_eq!(asked_about(&world, "team"), 0, "{how}");
        let log = world.logs.text();
        assert!(log.contains("the AWS credentials of workspace ada") && log.contains("team"), "{how}");
    }
}

#[tokio::test]
async fn a_delete_after_the_user_was_deleted_asks_only_about_the_stacks_own_workspace() {
    for how in NAMED {
        let (world, properties) = beside_a_team(how).await;
        if how != "default" {
            world.coiled.add_workspace("third", "Third", true);
        }
        world.delete_user_by_hand().await;
        world.delete(properties).await.succeeded();
        assert!(world.coiled.connection("ada").is_some() && world.coiled.connection("team").is_some(), "{how}");
        assert_eq!(asked_about(&world, "team") + asked_about(&world, "third"), 0, "{how}");
    }
}

#[tokio::test]
async fn a_repeated_create_registers_nothing_in_the_workspace_that_a_changed_tag_names() {
    let (world, properties) = beside_a_team("property").await;
    world.tag_user("coiled", "coiled-stack:workspace", "team").await;
    let before = world.snapshot().await;
    world.create(with(&properties, json!({"RotateKey": "2"}))).await.failed(&["ada", "team"]);
    assert_eq!(before, world.snapshot().await);
    assert_eq!(asked_about(&world, "team"), 0);
}

#[tokio::test]
async fn a_missing_workspace_tag_changes_nothing() {
    for how in NAMED {
        let (world, properties) = beside_a_team(how).await;
        let untag = world.iam.untag_user().user_name("coiled").tag_keys("coiled-stack:workspace");
        untag.send().await.unwrap();
        world.update(properties.clone(), with(&properties, json!({"RotateKey": "2"}))).await.succeeded();
        world.connected().await;
        assert_eq!(world.tag("coiled-stack:workspace").await, "ada", "{how}");
        let untag = world.iam.untag_user().user_name("coiled").tag_keys("coiled-stack:workspace");
        untag.send().await.unwrap();
        world.delete(properties).await.succeeded();
        world.nothing_left().await;
        assert!(world.coiled.connection("team").is_some(), "{how}");
    }
}

/// The stack was created without `Workspace`. Its physical ID says which workspace was the default then.
#[tokio::test]
async fn a_new_default_workspace_of_the_token_does_not_move_the_connection() {
    for tagged in [true, false] {
        let world = deployed(json!({})).await;
        world.coiled.add_workspace("team", "Team", true);
        if !tagged {
            let untag = world.iam.untag_user().user_name("coiled").tag_keys("coiled-stack:workspace");
            untag.send().await.unwrap();
        }
        world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded();
        world.connected().await;
        world.delete(json!({})).await.succeeded();
        world.nothing_left().await;
        assert_eq!(asked_about(&world, "team"), 0);
    }
}

/// A stack that was created with `Workspace` has an ID without a workspace. If the property was removed, it can be set
/// to the tagged workspace again.
#[tokio::test]
async fn after_a_new_default_workspace_a_stack_with_a_plain_id_has_to_name_its_workspace() {
    let mut world = deployed(json!({})).await;
    world.forget_workspace_in_id();
    world.coiled.add_workspace("team", "Team", true);
    let before = world.snapshot().await;
    world.update(json!({}), json!({"RotateKey": "2"})).await.failed(&["team", "ada", "set Workspace to ada"]);
    assert_eq!(before, world.snapshot().await);
    world.update(json!({"RotateKey": "2"}), json!({})).await.succeeded();
    let named = json!({"Workspace": "ada", "RotateKey": "2"});
    world.update(json!({}), named.clone()).await.succeeded();
    world.connected().await;
    world.delete(named).await.succeeded();
    world.nothing_left().await;
    assert!(world.coiled.connection("team").is_none());
}

#[tokio::test]
async fn after_a_new_default_workspace_a_delete_with_a_plain_id_disconnects_nothing() {
    let mut world = deployed(json!({})).await;
    world.forget_workspace_in_id();
    world.coiled.add_workspace("team", "Team", true);
    world.coiled.connect("team", world.coiled.connection("ada").unwrap().data);
    world.delete(json!({})).await.succeeded();
    assert!(world.user_tags("coiled").await.is_none());
    assert!(world.coiled.connection("ada").is_some() && world.coiled.connection("team").is_some());
    assert!(world.logs.text().contains("the AWS credentials of workspace team or ada"));
}

#[tokio::test]
async fn a_stack_that_was_created_without_workspace_cannot_move_to_another() {
    let (world, _) = beside_a_team("physical ID").await;
    world.tag_user("coiled", "coiled-stack:workspace", "team").await;
    let before = world.snapshot().await;
    for more in [json!({}), json!({"RotateKey": "2"})] {
        let moved = with(&json!({"Workspace": "team"}), more);
        world.update(json!({}), moved.clone()).await.failed(&["Workspace", "Nothing was changed"]);
        world.update(moved, json!({})).await.succeeded();
    }
    assert_eq!(before, world.snapshot().await);
    assert_eq!(asked_about(&world, "team"), 0);
}

// The physical ID

fn id(answer: &coiled_world::FunctionResponse) -> String {
    answer.value["PhysicalResourceId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_physical_id_contains_the_default_workspace_if_no_property_names_one() {
    let world = World::new().await;
    let created = id(&world.create(json!({})).await.succeeded());
    assert!(created.starts_with("coiled-connection-") && created.ends_with("/ada"), "{created}");
    // Neither naming the workspace later nor a failure changes the ID. If it changed, CloudFormation would replace the
    // resource.
    let named = json!({"Workspace": "ada"});
    assert_eq!(id(&world.update(json!({}), named.clone()).await.succeeded()), created);
    assert_eq!(id(&world.update(named.clone(), json!({"UserName": "b"})).await.failed(&["UserName"])), created);
    assert_eq!(id(&world.delete(named).await.succeeded()), created);

    let world = World::new().await;
    let plain = id(&world.create(json!({"Workspace": "ada"})).await.succeeded());
    assert!(!plain.contains('/'), "{plain}");
}

#[tokio::test]
async fn a_failed_create_returns_an_id_with_the_workspace_and_its_delete_uses_it() {
    let world = World::new().await;
    world.coiled.fault(Fault { on: Call::WsFinish, how: How::IsError("no quota".into()), times: 1 });
    let failed = world.create(json!({})).await.failed(&["no quota"]);
    assert!(id(&failed).ends_with("/ada"), "{}", id(&failed));
    world.coiled.add_workspace("team", "Team", true);
    let deleted = world.delete(json!({})).await.succeeded();
    assert_eq!(id(&deleted), id(&failed));
    world.nothing_left().await;
}

#[tokio::test]
async fn a_physical_id_without_a_workspace_never_gets_one() {
    let mut world = World::new().await;
    let created = id(&world.create(json!({})).await.succeeded());
    let plain = created.split('/').next().unwrap().to_owned();
    world.forget_workspace_in_id();
    assert_eq!(id(&world.update(json!({}), json!({"RotateKey": "2"})).await.succeeded()), plain);
    assert_eq!(id(&world.update(json!({}), json!({"UserName": "b"})).await.failed(&["UserName"])), plain);
    assert_eq!(id(&world.delete(json!({})).await.succeeded()), plain);
    world.nothing_left().await;
}

/// CloudFormation generates an ID for a Create that never responded.
#[tokio::test]
async fn a_generated_physical_id_does_not_contain_a_workspace() {
    let world = World::new().await;
    let created = id(&world.create(json!({})).await.succeeded());
    for generated in ["coiled-Connection-1A2B3C4D5E6F", "coiled-connection-0/team", "2025/11/25/[$LATEST]ab"] {
        let mut event = world.event("Delete", world.properties(json!({"UserName": "nobody"})));
        event["PhysicalResourceId"] = json!(generated);
        assert_eq!(id(&world.send(event).await.succeeded()), created.split('/').next().unwrap(), "{generated}");
    }
    let mut event = world.event("Delete", world.properties(json!({})));
    event["PhysicalResourceId"] = json!("coiled-Connection-1A2B3C4D5E6F");
    world.send(event).await.succeeded();
    world.nothing_left().await;
}

// What remains possible: the table in docs/trust.md

/// Anyone who may invoke the function can do what a stack update or a deletion can do.
#[tokio::test]
async fn an_event_sent_by_hand_can_attach_the_setup_policy_rotate_the_key_and_delete_the_user() {
    let detached = json!({"AttachSetupPolicy": "false"});
    let world = deployed(detached.clone()).await;
    let old = world.keys("coiled").await;
    world.update(detached, json!({"AttachSetupPolicy": "true", "RotateKey": "2"})).await.succeeded();
    assert_eq!(world.attached("coiled").await, ["coiled-ongoing", "coiled-setup"]);
    assert_ne!(world.keys("coiled").await, old);
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// While the user exists, its tag and the event would have to name the same workspace.
#[tokio::test]
async fn an_event_sent_by_hand_can_connect_another_workspace_of_the_token_only_after_it_deleted_the_user() {
    let world = deployed(json!({})).await;
    world.coiled.add_workspace("team", "Team", false);
    let forged = json!({"Workspace": "team", "RotateKey": "2"});
    for old in [json!({}), forged.clone()] {
        world.update(old, forged.clone()).await.failed(&["Workspace"]);
    }
    world.create(forged.clone()).await.failed(&["team", "ada"]);
    assert!(world.coiled.connection("team").is_none());
    world.delete(json!({})).await.succeeded();
    world.create(forged).await.succeeded();
    assert!(world.coiled.connection("team").is_some());
}

/// Anyone who may both update the stack and tag the user can name another server in the properties and in the tag. The
/// stack's own template then deploys the function for that server.
#[tokio::test]
async fn a_stack_update_together_with_a_tag_can_move_the_connection_to_another_server() {
    let mut world = deployed(json!({})).await;
    let other = strangers_server(&world).await;
    let moved = json!({"CoiledServer": other.url(), "RotateKey": "2"});
    world.deployed_by_template(moved.clone());
    // The update alone is rejected: the server is fixed for the life of a stack.
    world.update(json!({}), moved.clone()).await.failed(&["CoiledServer", "cannot change"]);
    assert!(other.requests().is_empty());
    world.tag_user("coiled", "coiled-stack:server", &other.url()).await;
    world.update(json!({}), moved).await.succeeded();
    assert!(other.connection("ada").is_some());
}

/// The stack reads its state from tags, so anyone who may change them can confuse the stack, but not redirect it.
#[tokio::test]
async fn a_changed_state_tag_causes_at_most_a_rotation_or_a_failure() {
    for (tag, value) in [
        ("coiled-stack:registered", "v1:0:0"),
        ("coiled-stack:access-key-id", "AKIA0000000000000000"),
        ("coiled-stack:pending-access-key-id", "AKIA0000000000000000"),
        ("coiled-stack:server", "https://stranger.example.com"),
        ("coiled-stack:lease", "x/1/1"),
        ("coiled-stack:adopted", "keys"),
    ] {
        let world = deployed(json!({})).await;
        world.tag_user("coiled", tag, value).await;
        let failed = !world.update(json!({"Release": "1"}), json!({"Release": "2"})).await.is_success();
        let held = world.coiled.connection("ada").expect("the workspace is connected").access_key_id();
        let works = world.key_works(&held, "us-east-1").await;
        // Either Coiled still holds a key that works, or the Update failed.
        assert!(failed || works, "{tag}");
    }
}
