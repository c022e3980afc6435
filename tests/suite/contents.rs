//! Delete removes whatever a person put into the user.

use serde_json::json;

use crate::support::World;
use crate::support::account::AWS_POLICY;
use crate::support::by_hand::{CERTIFICATE, DOCUMENT};

/// What the log calls each item.
const LISTED: [&str; 11] = [
    "login profile",
    "inline policy inline-1",
    "inline policy inline-2",
    "SSH public key",
    "signing certificate",
    "mfa/phone-1",
    "mfa/phone-2",
    "ACCACREDENTIAL1",
    "ACCACREDENTIAL2",
    "/own-1",
    "/own-2",
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
        assert_eq!(world.policies().await, ["own-1", "own-2"]);
        for item in LISTED {
            assert!(world.logs.text().contains(item), "{item} is not in the log");
        }
    }
}

/// Puts two items of every kind into the user, as far as IAM allows two, so that every list has a second page. The user
/// already has an access key.
async fn fill(world: &World) {
    world.iam.create_login_profile().user_name("coiled").password("Pa55word!Pa55word").send().await.unwrap();
    world.create_key_by_hand("coiled").await;
    for number in [1, 2] {
        fill_once(world, number).await;
    }
}

async fn fill_once(world: &World, number: u32) {
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
    iam.upload_signing_certificate().user_name(user).certificate_body(CERTIFICATE).send().await.unwrap();
    world.aws.add_service_specific_credential(user, &format!("ACCACREDENTIAL{number}"));
}
