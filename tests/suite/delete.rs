//! Delete: everything of ours goes, nothing else does, and what is gone already is fine.

use serde_json::{Value, json};

use crate::stand_in::{Call, Fault, How};
use crate::support::World;
use crate::support::aws::{AwsFault, AwsHow};

async fn connected(properties: Value) -> World {
    let world = World::new().await;
    world.create(properties).await.succeeded();
    world.aws.forget_calls();
    world
}

#[tokio::test]
async fn everything_goes_coiled_first() {
    let world = connected(json!({})).await;
    let answer = world.delete(json!({})).await.succeeded();
    assert!(answer.value.get("Data").is_none());
    world.nothing_left().await;
    world.delete(json!({})).await.succeeded();
}

/// A user that is gone has no path any more, and to one without a path the role has no right: the repeated call is denied.
#[tokio::test]
async fn a_user_under_a_path_is_known_to_be_gone() {
    let mut world = World::where_role_lacks_something().await;
    world.role_lacks_something = false;
    let properties = json!({"UserPath": "/teams/"});
    world.create(properties.clone()).await.succeeded();
    world.role_lacks_something = true;
    world.aws.fault(AwsFault { action: "DeleteUser", how: AwsHow::TookEffectThenDropped, times: 1 });
    world.delete(properties).await.succeeded();
    world.nothing_left().await;
}

/// aws-lambda-go#237, crhelper#7: a Delete after a Create that never happened.
#[tokio::test]
async fn a_delete_after_no_create_succeeds_without_asking_coiled() {
    let world = World::new().await;
    for properties in [
        json!({}),
        json!({"UserName": "a".repeat(57)}),
        json!({"UserPath": "no path", "Region": "mars", "Nonsense": "x"}),
        json!({"CoiledTokenSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:gone"}),
        json!({"CoiledServer": "http://127.0.0.1:1"}),
    ] {
        world.delete(properties).await.succeeded();
    }
    assert_eq!(world.coiled.requests().len(), 0);
}

#[tokio::test]
async fn a_delete_that_makes_no_sense_succeeds_where_nothing_was_made() {
    let world = World::new().await;
    for properties in [json!(null), json!("text"), json!([1, 2]), json!({"UserName": {"a": 1}})] {
        world.send(world.event("Delete", properties)).await.succeeded();
    }
    for field in ["StackId", "LogicalResourceId", "RequestId", "ResourceProperties", "PhysicalResourceId"] {
        let mut event = world.event("Delete", world.properties(json!({})));
        event.as_object_mut().unwrap().remove(field);
        world.invoke(event).await.unwrap();
        let last = world.bucket.puts().pop().unwrap();
        let value: Value = serde_json::from_slice(&last.body).unwrap();
        assert_eq!(value["Status"], "SUCCESS", "{field}");
    }
}

/// A token that can't be read or is not accepted any more must not keep the key alive.
#[tokio::test]
async fn without_a_token_the_aws_side_goes_and_the_log_says_what_stays() {
    for case in ["deleted", "marked for deletion", "empty", "expired", "expired, 403"] {
        let world = connected(json!({})).await;
        let secret = world.secret_arn.clone();
        match case {
            "deleted" => {
                world
                    .secrets
                    .delete_secret()
                    .secret_id(secret)
                    .force_delete_without_recovery(true)
                    .send()
                    .await
                    .map(|_| ())
                    .unwrap();
            }
            "marked for deletion" => world.secrets.delete_secret().secret_id(secret).send().await.map(|_| ()).unwrap(),
            "empty" => {
                world.secrets.put_secret_value().secret_id(secret).secret_string("{}").send().await.map(|_| ()).unwrap()
            }
            "expired" => world.coiled.set_token("another-token-altogether"),
            _ => world.coiled.fault(Fault {
                on: Call::BackendOptions,
                how: How::Status(403, json!({"detail": "no"})),
                times: 9,
            }),
        }
        world.delete(json!({})).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty(), "{case}");
        assert!(world.coiled.connection("ada").is_some(), "{case}");
        assert!(world.logs.text().contains("the AWS credentials of workspace ada"), "{case}");
    }
}

/// A secret that can't be read at this moment may be in the next: what Coiled holds does not stay there for that.
#[tokio::test]
async fn a_token_that_can_not_be_read_for_a_moment_is_worth_waiting_for() {
    let world = connected(json!({})).await;
    let before = world.keys("coiled").await;
    for how in [AwsHow::Reset, AwsHow::Throttled] {
        world.aws.fault(AwsFault { action: "GetSecretValue", how, times: u32::MAX });
        world.delete(json!({})).await.failed(&["disconnect", "GetSecretValue", "coiled-stack:force-disconnect"]);
        assert_eq!(world.keys("coiled").await, before);
        world.aws.clear_faults();
    }
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn a_coiled_that_does_not_answer_fails_the_delete_and_a_tag_is_the_way_out() {
    for how in
        [How::Status(503, json!({"message": "maintenance until noon"})), How::Reset, How::Text(500, "oops".into())]
    {
        let world = connected(json!({})).await;
        world.coiled.fault(Fault { on: Call::BackendOptions, how: how.clone(), times: u32::MAX });
        let before = world.keys("coiled").await;
        let answer = world.delete(json!({})).await.failed(&["disconnect", "coiled-stack:force-disconnect", "tag-user"]);
        if let How::Status(..) = how {
            assert!(answer.reason().contains("maintenance until noon"), "{}", answer.reason());
        }
        assert_eq!(world.keys("coiled").await, before, "{how:?}");
        world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
        world.delete(json!({})).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none() && world.policies().await.is_empty());
    }
}

#[tokio::test]
async fn coiled_asks_a_person_before_it_orphans_clusters() {
    let world = connected(json!({})).await;
    world.coiled.ask_for_confirmation("ada", "2 clusters are running");
    world.delete(json!({})).await.failed(&["2 clusters are running", "coiled-stack:force-disconnect"]);
    world.connected_but_for_lease().await;
    world.tag_user("coiled", "coiled-stack:force-disconnect", "true").await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;

    let world = connected(json!({"ForceDisconnect": "true"})).await;
    world.coiled.ask_for_confirmation("ada", "2 clusters are running");
    world.delete(json!({"ForceDisconnect": "true"})).await.succeeded();
    world.nothing_left().await;
}

#[tokio::test]
async fn a_failed_delete_is_followed_by_one_that_need_not_wait() {
    let world = connected(json!({})).await;
    world.coiled.fault(Fault { on: Call::Disconnect, how: How::Status(400, json!({"detail": "no"})), times: 1 });
    world.delete(json!({})).await.failed(&["no"]);
    world.delete(json!({})).await.succeeded();
    assert!(!world.logs.text().contains("another run works on this user"));
    world.nothing_left().await;
}

/// RemoveUserFromGroup is authorised on the group, and a right over every group is too much.
#[tokio::test]
async fn a_group_is_left_to_the_person_who_put_the_user_there() {
    let world = connected(json!({})).await;
    world.iam.create_group().group_name("admins").send().await.unwrap();
    world.iam.add_user_to_group().user_name("coiled").group_name("admins").send().await.unwrap();
    let before = world.snapshot().await;
    world
        .delete(json!({}))
        .await
        .failed(&["admins", "aws iam remove-user-from-group --user-name coiled --group-name admins"]);
    assert_eq!(before, world.snapshot().await);
    world.iam.remove_user_from_group().user_name("coiled").group_name("admins").send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// DataDog/cloudformation-template#176: a Delete that is blocked because the thing is gone already.
#[tokio::test]
async fn what_is_gone_already_is_fine() {
    let world = connected(json!({})).await;
    world.coiled.disconnect("ada");
    let arn = world.policy_arn("coiled-setup");
    world.iam.detach_user_policy().user_name("coiled").policy_arn(&arn).send().await.unwrap();
    world.iam.delete_policy().policy_arn(&arn).send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;

    // The user alone is gone: the policies still are ours.
    let world = connected(json!({})).await;
    for name in ["coiled-setup", "coiled-ongoing"] {
        world.iam.detach_user_policy().user_name("coiled").policy_arn(world.policy_arn(name)).send().await.unwrap();
    }
    let key = world.keys("coiled").await.remove(0);
    world.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
    world.iam.delete_user().user_name("coiled").send().await.unwrap();
    world.delete(json!({})).await.succeeded();
    assert!(world.policies().await.is_empty());
}

/// A connection that a colleague made since survives our Delete.
#[tokio::test]
async fn a_connection_made_since_by_someone_else_stays() {
    let world = connected(json!({})).await;
    let mut theirs = world.coiled.connection("ada").unwrap().data;
    theirs["options"]["aws_region_name"] = json!("eu-west-1");
    world.coiled.connect("ada", theirs.clone());
    world.delete(json!({})).await.succeeded();
    assert_eq!(world.coiled.connection("ada").unwrap().data, theirs);
    assert!(world.user_tags("coiled").await.is_none());
}

/// The workspace of an expired login, of another server and so on comes from the marks, not from the properties.
#[tokio::test]
async fn a_delete_needs_no_properties_beyond_secret_and_name() {
    let world = connected(json!({"Workspace": "ada", "Region": "us-east-2"})).await;
    world.delete(json!({"CoiledServer": null, "Workspace": "elsewhere"})).await.succeeded();
    world.nothing_left().await;
}
