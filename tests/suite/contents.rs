//! Delete removes everything that a person put into the user.

use std::time::Duration;

use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::by_hand::{CERTIFICATE, DOCUMENT};
use serde_json::json;

use crate::support::Deploy;

/// What the log calls each item.
const LISTED: [&str; 12] = [
    "login profile",
    "inline policy inline-1",
    "inline policy inline-3",
    "SSH public key",
    "signing certificate",
    "mfa/phone-1",
    "mfa/phone-3",
    "ACCACREDENTIAL1",
    "ACCACREDENTIAL2",
    "/own-1",
    "/own-2",
    "/own-3",
];

/// terraform-provider-aws#12903: IAM deletes a user only if it is empty.
#[tokio::test]
async fn delete_removes_the_users_contents_and_logs_them_with_or_without_path_and_boundary() {
    for properties in [json!({}), json!({"UserPath": "/vendors/", "PermissionsBoundaryArn": AWS_POLICY})] {
        let world = World::new().await;
        world.create(properties.clone()).await.succeeded();
        fill(&world).await;
        world.delete(properties).await.succeeded();
        assert!(world.user_tags("coiled").await.is_none());
        // Delete detaches the person's policy from the user but does not delete it.
        assert_eq!(world.policies().await, ["own-1", "own-2", "own-3"]);
        for item in LISTED {
            assert!(world.logs.text().contains(item), "{item} is not in the log");
        }
    }
}

/// Puts three items of every kind into the user, or as many as IAM allows, so that every list has several pages. The
/// user already has one of its two access keys.
async fn fill(world: &World) {
    world.iam.create_login_profile().user_name("coiled").password("Pa55word!Pa55word").send().await.unwrap();
    world.create_key_by_hand("coiled").await;
    for number in [1, 2, 3] {
        add_items(world, number).await;
    }
    for number in [1, 2] {
        let upload = world.iam.upload_signing_certificate().user_name("coiled");
        upload.certificate_body(CERTIFICATE).send().await.unwrap();
        world.aws.add_service_specific_credential("coiled", &format!("ACCACREDENTIAL{number}"));
    }
}

async fn add_items(world: &World, number: u32) {
    let (iam, user) = (&world.iam, "coiled");
    let (inline, own, phone) = (format!("inline-{number}"), format!("own-{number}"), format!("phone-{number}"));
    iam.put_user_policy().user_name(user).policy_name(inline).policy_document(DOCUMENT).send().await.unwrap();
    let own = iam.create_policy().policy_name(own).policy_document(DOCUMENT).send().await.unwrap().policy.unwrap();
    iam.attach_user_policy().user_name(user).policy_arn(own.arn().unwrap()).send().await.unwrap();
    let ssh = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC test";
    iam.upload_ssh_public_key().user_name(user).ssh_public_key_body(ssh).send().await.unwrap();
    let device = iam.create_virtual_mfa_device().virtual_mfa_device_name(phone).send().await.unwrap();
    let serial = device.virtual_mfa_device.unwrap().serial_number;
    let enable = iam.enable_mfa_device().user_name(user).serial_number(&serial);
    enable.authentication_code1("123456").authentication_code2("654321").send().await.unwrap();
}

/// Slows down the deletion of the policies, which comes between that of the user's contents and that of the user.
fn slow_down_the_policies(world: &World) {
    let how = AwsHow::Slow(Duration::from_millis(500));
    world.aws.fault(AwsFault { action: "DeletePolicy", how, times: 2 });
}

/// A person adds something after Delete has listed the contents.
#[tokio::test]
async fn delete_removes_what_a_person_adds_to_the_user_during_the_deletion() {
    let world = World::after_create().await;
    slow_down_the_policies(&world);
    let delete = world.event("Delete", world.properties(json!({})));
    let (deleted, late) = tokio::join!(world.invoke(delete), async {
        world.aws.until("DeleteAccessKey", 1).await;
        world.iam.create_login_profile().user_name("coiled").password("Pa55word!Pa55word").send().await.unwrap();
        world.create_key_by_hand("coiled").await
    });
    deleted.unwrap();
    world.nothing_left().await;
    assert!(world.logs.text().contains(&late) && world.logs.text().contains("login profile"));
}

/// ListAccessKeys shows the second key only after Delete has read it.
#[tokio::test]
async fn delete_removes_a_key_that_iam_lists_late() {
    let world = World::after_create().await;
    world.aws.lag_by(Duration::from_secs(1));
    world.create_key_by_hand("coiled").await;
    world.delete(json!({})).await.succeeded();
    world.nothing_left().await;
}

/// Delete may not remove a user from a group, and does not wait for a person to do it.
#[tokio::test]
async fn delete_names_the_group_that_the_user_joined_during_the_deletion() {
    let world = World::after_create().await;
    slow_down_the_policies(&world);
    let delete = world.event("Delete", world.properties(json!({})));
    let (deleted, ()) = tokio::join!(world.invoke(delete), async {
        world.aws.until("DeleteAccessKey", 1).await;
        world.iam.create_group().group_name("admins").send().await.unwrap();
        world.iam.add_user_to_group().user_name("coiled").group_name("admins").send().await.unwrap();
    });
    deleted.unwrap();
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    let command = "aws iam remove-user-from-group --user-name coiled --group-name admins";
    assert!(response.contains("FAILED") && response.contains(command), "{response}");
    assert_eq!(world.aws.actions().iter().filter(|action| *action == "DeleteUser").count(), 2);
}

/// The person adds the key after Delete has listed the contents twice.
#[tokio::test]
async fn delete_names_what_is_still_in_the_user_if_iam_keeps_rejecting_its_deletion() {
    let world = World::after_create().await;
    let how = AwsHow::Error(409, "DeleteConflict", "Cannot delete entity, must delete access keys first.");
    world.aws.fault(AwsFault { action: "DeleteUser", how, times: u32::MAX });
    slow_down_the_policies(&world);
    let delete = world.event("Delete", world.properties(json!({})));
    let (deleted, late) = tokio::join!(world.invoke(delete), async {
        world.aws.until("DeleteUser", 5).await;
        world.create_key_by_hand("coiled").await
    });
    deleted.unwrap();
    let response = String::from_utf8(world.bucket.puts().pop().unwrap().body).unwrap();
    for words in ["FAILED", "DeleteConflict", "tried for", &format!("user coiled has access key {late}")] {
        assert!(response.contains(words), "{words} is not in {response}");
    }
}
