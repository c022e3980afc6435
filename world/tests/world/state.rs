//! A state must show every change. Tests that compare states would otherwise miss what the function must not change.

use coiled_world::World;
use coiled_world::account::AWS_POLICY;
use coiled_world::by_hand::{CERTIFICATE, DOCUMENT};
use coiled_world::snapshot::Detail;
use serde_json::json;

const OTHER: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}]}"#;

/// A world and its state after the last change.
struct Watch {
    world: World,
    last: String,
}

impl Watch {
    /// Panics unless the state has changed since the last call.
    async fn sees(&mut self, change: &str) {
        let now = self.world.snapshot().await;
        assert_ne!(self.last, now, "{change} is not in the state");
        assert_eq!(now, self.world.snapshot().await, "{change}: two states without a change between them differ");
        self.last = now;
    }
}

#[tokio::test]
async fn the_state_shows_every_change_to_a_user() {
    let world = World::without_function().await;
    let mut watch = Watch { last: world.snapshot().await, world };
    let iam = watch.world.iam.clone();
    iam.create_user().user_name("u").send().await.unwrap();
    watch.sees("a user").await;
    watch.world.tag_user("u", "a", "b").await;
    watch.sees("a tag").await;
    watch.world.tag_user("u", "a", "c").await;
    watch.sees("a tag's value").await;
    let key = watch.world.create_key_by_hand("u").await;
    watch.sees("a key").await;
    let update = iam.update_access_key().user_name("u").access_key_id(&key);
    update.status(aws_sdk_iam::types::StatusType::Inactive).send().await.unwrap();
    watch.sees("an inactive key").await;
    iam.put_user_permissions_boundary().user_name("u").permissions_boundary(AWS_POLICY).send().await.unwrap();
    watch.sees("a boundary").await;
    let brief = watch.world.state(Detail::WithoutContents).await;
    for content in ["password", "phone", "ssh", "certificate", "credential", "inline", "inline document", "group"] {
        match content {
            "password" => {
                let profile = iam.create_login_profile().user_name("u").password("Pa55word!Pa55word");
                profile.send().await.map(drop).unwrap();
            }
            "phone" => {
                let device = iam.create_virtual_mfa_device().virtual_mfa_device_name("phone").send().await.unwrap();
                watch.sees("a device").await;
                let enable = iam.enable_mfa_device().user_name("u").authentication_code1("123456");
                let enable = enable.serial_number(device.virtual_mfa_device.unwrap().serial_number);
                enable.authentication_code2("654321").send().await.map(drop).unwrap();
            }
            "ssh" => {
                let upload = iam.upload_ssh_public_key().user_name("u").ssh_public_key_body("ssh-rsa AAAA x");
                upload.send().await.map(drop).unwrap();
            }
            "certificate" => {
                let upload = iam.upload_signing_certificate().user_name("u").certificate_body(CERTIFICATE);
                upload.send().await.map(drop).unwrap();
            }
            "credential" => watch.world.aws.add_service_specific_credential("u", "ACCA"),
            "group" => {
                iam.create_group().group_name("g").send().await.unwrap();
                watch.sees("a group").await;
                iam.add_user_to_group().user_name("u").group_name("g").send().await.map(drop).unwrap();
            }
            document => {
                let document = if document == "inline" { DOCUMENT } else { OTHER };
                let put = iam.put_user_policy().user_name("u").policy_name("p").policy_document(document);
                put.send().await.map(drop).unwrap();
            }
        }
        watch.sees(content).await;
    }
    let mut now = watch.world.state(Detail::WithoutContents).await;
    now["groups"] = json!({});
    assert_eq!(brief, now, "a user's contents are in the brief state");
}

#[tokio::test]
async fn the_state_shows_every_change_to_a_policy_a_role_a_group_and_a_workspace() {
    let world = World::without_function().await;
    let mut watch = Watch { last: world.snapshot().await, world };
    let iam = watch.world.iam.clone();
    let arn = watch.world.create_policy_by_hand("/", "p").await;
    watch.sees("a policy").await;
    let tag = aws_sdk_iam::types::Tag::builder().key("a").value("b").build().unwrap();
    iam.tag_policy().policy_arn(&arn).tags(tag.clone()).send().await.unwrap();
    watch.sees("a policy's tag").await;
    let brief = watch.world.state(Detail::WithoutContents).await;
    iam.create_policy_version().policy_arn(&arn).policy_document(OTHER).send().await.unwrap();
    watch.sees("a version").await;
    assert_eq!(brief, watch.world.state(Detail::WithoutContents).await, "an old version is in the brief state");
    iam.set_default_policy_version().policy_arn(&arn).version_id("v2").send().await.unwrap();
    watch.sees("another default version").await;
    assert_ne!(brief, watch.world.state(Detail::WithoutContents).await, "the document is not in the brief state");
    for kind in ["user", "role", "group"] {
        watch.world.attach_elsewhere(kind, &arn).await;
        watch.sees(kind).await;
        watch.world.detach_elsewhere(kind, &arn).await;
        watch.sees(&format!("a detached policy of a {kind}")).await;
    }
    iam.put_role_permissions_boundary().role_name("theirs").permissions_boundary(&arn).send().await.unwrap();
    watch.sees("a role's boundary").await;
    iam.tag_role().role_name("theirs").tags(tag).send().await.unwrap();
    watch.sees("a role's tag").await;
    iam.update_assume_role_policy().role_name("theirs").policy_document(TRUST).send().await.unwrap();
    watch.sees("a role's trust policy").await;
    watch.world.coiled.connect("ada", json!({"backend": "vm", "options": {"provider_name": "aws"}}));
    watch.sees("a connection").await;
    watch.world.coiled.connect("ada", json!({"backend": "vm", "options": {"provider_name": "gcp"}}));
    watch.sees("another connection").await;
}
