//! The layer in front of the IAM emulator must behave like AWS. Otherwise the tests that use it would prove too little.

use std::time::{Duration, Instant, SystemTime};

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::types::{PolicyUsageType, StatusType, Tag};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use coiled_world::World;
use coiled_world::account::TEST_KEY;
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::by_hand::CERTIFICATE;

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"One","Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"*"}]}"#;

/// The error code; empty on success.
fn code<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    result.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_default()
}

fn tag(key: &str) -> Tag {
    Tag::builder().key(key).value("x").build().unwrap()
}

/// The error message; empty on success.
fn message<T, E: ProvideErrorMetadata, R>(result: Result<T, SdkError<E, R>>) -> String {
    result.err().and_then(|error| error.message().map(str::to_owned)).unwrap_or_default()
}

/// What a user can contain, each with the step that IAM's message names.
const CONTENTS: [(&str, &str); 9] = [
    ("key", "delete access keys"),
    ("password", "delete login profile"),
    ("group", "remove users from group"),
    ("ssh", "remove referenced objects"),
    ("certificate", "delete certificates"),
    ("phone", "delete MFA device"),
    ("credential", "remove referenced objects"),
    ("policy", "detach all policies"),
    ("inline", "delete policies"),
];

#[tokio::test]
async fn delete_user_fails_if_the_user_is_not_empty_and_names_the_contents() {
    let world = World::without_function().await;
    let iam = &world.iam;
    for (name, _) in CONTENTS {
        iam.create_user().user_name(name).send().await.unwrap();
    }
    iam.create_access_key().user_name("key").send().await.unwrap();
    iam.create_login_profile().user_name("password").password("Pa55word!Pa55word").send().await.unwrap();
    iam.create_group().group_name("g").send().await.unwrap();
    iam.add_user_to_group().user_name("group").group_name("g").send().await.unwrap();
    iam.upload_ssh_public_key().user_name("ssh").ssh_public_key_body("ssh-rsa AAAA x").send().await.unwrap();
    iam.upload_signing_certificate().user_name("certificate").certificate_body(CERTIFICATE).send().await.unwrap();
    let device = iam.create_virtual_mfa_device().virtual_mfa_device_name("phone").send().await.unwrap();
    let enable = iam.enable_mfa_device().user_name("phone").authentication_code1("123456");
    let enable = enable.serial_number(device.virtual_mfa_device.unwrap().serial_number);
    enable.authentication_code2("654321").send().await.unwrap();
    world.aws.add_service_specific_credential("credential", "ACCA");
    iam.create_policy().policy_name("p").policy_document(DOCUMENT).send().await.unwrap();
    iam.attach_user_policy().user_name("policy").policy_arn(world.policy_arn("p")).send().await.unwrap();
    iam.put_user_policy().user_name("inline").policy_name("p").policy_document(DOCUMENT).send().await.unwrap();
    for (name, step) in CONTENTS {
        let deleted = iam.delete_user().user_name(name).send().await;
        assert_eq!(deleted.as_ref().unwrap_err().code(), Some("DeleteConflict"), "{name}");
        assert_eq!(message(deleted), format!("Cannot delete entity, must {step} first."));
    }
}

#[tokio::test]
async fn delete_policy_fails_if_the_policy_is_attached_or_a_boundary_or_has_two_versions() {
    let world = World::without_function().await;
    let iam = &world.iam;
    let [attached, bounds_user, bounds_role, versions] =
        ["attached", "bounds-user", "bounds-role", "versions"].map(|name| world.policy_arn(name));
    for name in ["attached", "bounds-user", "bounds-role", "versions"] {
        world.create_policy_by_hand("/", name).await;
    }
    iam.create_user().user_name("u").permissions_boundary(&bounds_user).send().await.unwrap();
    let trust = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let role = iam.create_role().role_name("r").assume_role_policy_document(trust);
    role.permissions_boundary(&bounds_role).send().await.unwrap();
    iam.attach_user_policy().user_name("u").policy_arn(&attached).send().await.unwrap();
    iam.create_policy_version().policy_arn(&versions).policy_document(DOCUMENT).send().await.unwrap();
    for arn in [attached, bounds_user, bounds_role, versions] {
        assert_eq!(code(iam.delete_policy().policy_arn(&arn).send().await), "DeleteConflict", "{arn}");
    }
}

/// The API reference on `PolicyUsageFilter`: "If it is not included, all policies are returned."
#[tokio::test]
async fn list_entities_for_policy_returns_attachments_boundaries_or_both() {
    let world = World::without_function().await;
    let (iam, arn) = (&world.iam, world.create_policy_by_hand("/", "p").await);
    world.attach_elsewhere("user", &arn).await;
    iam.create_user().user_name("bounded").permissions_boundary(&arn).send().await.unwrap();
    let trust = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let role = iam.create_role().role_name("bounded").assume_role_policy_document(trust);
    role.permissions_boundary(&arn).send().await.unwrap();
    let holders = async |usage: Option<PolicyUsageType>| {
        let list = iam.list_entities_for_policy().policy_arn(&arn).set_policy_usage_filter(usage).send().await.unwrap();
        let users = list.policy_users().iter().map(|user| format!("user/{}", user.user_name().unwrap()));
        let roles = list.policy_roles().iter().map(|role| format!("role/{}", role.role_name().unwrap()));
        users.chain(roles).collect::<Vec<_>>()
    };
    assert_eq!(holders(Some(PolicyUsageType::PermissionsPolicy)).await, ["user/theirs"]);
    assert_eq!(holders(Some(PolicyUsageType::PermissionsBoundary)).await, ["user/bounded", "role/bounded"]);
    assert_eq!(holders(None).await, ["user/bounded", "user/theirs", "role/bounded"]);
}

#[tokio::test]
async fn get_access_key_last_used_returns_the_date_service_and_region_of_the_last_call() {
    let world = World::without_function().await;
    world.iam.create_user().user_name("u").send().await.unwrap();
    let id = world.create_key_by_hand("u").await;
    let used = async || {
        let last = world.iam.get_access_key_last_used().access_key_id(&id).send().await.unwrap();
        assert_eq!(last.user_name(), Some("u"));
        let last = last.access_key_last_used.unwrap();
        (last.last_used_date.map(|date| date.secs()), last.service_name, last.region)
    };
    assert_eq!(used().await, (None, "N/A".into(), "N/A".into()));
    world.aws.key_was_used(&id, "s3", "eu-west-1", SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert_eq!(used().await, (Some(1_700_000_000), "s3".into(), "eu-west-1".into()));
    assert!(world.key_works(&id, "us-east-1").await);
    let (date, service, region) = used().await;
    assert!(date.is_some_and(|date| date > 1_700_000_000));
    assert_eq!((service.as_str(), region.as_str()), ("sts", "us-east-1"));
    assert_eq!(
        code(world.iam.get_access_key_last_used().access_key_id("AKIAUNKNOWN000000000").send().await),
        "NoSuchEntity"
    );
}

#[tokio::test]
async fn a_name_that_differs_only_in_case_and_path_already_exists() {
    let world = World::without_function().await;
    let iam = &world.iam;
    iam.create_user().user_name("name").send().await.unwrap();
    iam.create_policy().policy_name("name").policy_document(DOCUMENT).send().await.unwrap();
    let user = iam.create_user().user_name("Name").path("/other/").send().await;
    assert_eq!(message(user), "User with name Name already exists.");
    let policy = iam.create_policy().policy_name("Name").path("/other/").policy_document(DOCUMENT).send().await;
    assert_eq!(code(policy), "EntityAlreadyExists");
}

#[tokio::test]
async fn user_tag_keys_ignore_case_and_a_user_has_at_most_50_tags() {
    let world = World::without_function().await;
    let iam = &world.iam;
    iam.create_user().user_name("u").tags(tag("owner")).send().await.unwrap();
    iam.tag_user().user_name("u").tags(tag("Owner")).send().await.unwrap();
    assert_eq!(world.user_tags("u").await.unwrap().into_keys().collect::<Vec<_>>(), ["Owner"]);
    iam.untag_user().user_name("u").tag_keys("OWNER").send().await.unwrap();
    assert!(world.user_tags("u").await.unwrap().is_empty());
    assert_eq!(code(iam.tag_user().user_name("u").tags(tag("a")).tags(tag("A")).send().await), "InvalidInput");
    let many = (0..50).map(|n| tag(&format!("t{n}"))).collect();
    iam.tag_user().user_name("u").set_tags(Some(many)).send().await.unwrap();
    assert_eq!(code(iam.tag_user().user_name("u").tags(tag("more")).send().await), "LimitExceeded");
    assert_eq!(code(iam.tag_user().user_name("u").tags(tag("{}")).send().await), "ValidationError");
}

#[tokio::test]
async fn calls_that_exceed_a_quota_fail() {
    let world = World::without_function().await;
    let iam = &world.iam;
    iam.create_user().user_name("u").send().await.unwrap();
    for n in 0..11 {
        let created = iam.create_policy().policy_name(format!("p{n}")).policy_document(DOCUMENT).send().await.unwrap();
        let attached = iam.attach_user_policy().user_name("u").policy_arn(created.policy.unwrap().arn.unwrap()).send();
        assert_eq!(code(attached.await), if n < 10 { "" } else { "LimitExceeded" });
    }
    let long = DOCUMENT.replace("One", &"x".repeat(6144));
    assert_eq!(code(iam.create_policy().policy_name("long").policy_document(long).send().await), "LimitExceeded");
    assert_eq!(code(iam.create_user().user_name("a".repeat(65)).send().await), "ValidationError");
}

#[tokio::test]
async fn get_policy_version_returns_the_document_percent_encoded_and_reordered() {
    let world = World::without_function().await;
    world.iam.create_policy().policy_name("p").policy_document(DOCUMENT).send().await.unwrap();
    let document = world.document("p").await;
    assert!(document.starts_with("%7B"), "{document}");
    let decoded: Value = serde_json::from_str(&percent_decode_str(&document).decode_utf8().unwrap()).unwrap();
    assert_eq!(decoded["Statement"][0]["Action"], json!(["s3:ListBucket", "s3:GetObject"]));
    assert_eq!(decoded["Statement"][0]["Sid"], "One");
}

/// `key_pattern` sets the results of a new key's first calls: here it fails, works and fails again.
#[tokio::test]
async fn a_key_works_only_if_it_is_active_and_the_region_is_enabled() {
    let world = World::without_function().await;
    world.aws.disable_region("af-south-1");
    world.aws.key_pattern(&[false, true, false]);
    world.iam.create_user().user_name("u").send().await.unwrap();
    let key = world.iam.create_access_key().user_name("u").send().await.unwrap().access_key.unwrap();
    let (id, works) = (&key.access_key_id, async |region| world.key_works(&key.access_key_id, region).await);
    let seen = [works("us-east-1").await, works("us-east-1").await, works("us-east-1").await, works("us-east-1").await];
    assert_eq!(seen, [false, true, false, true]);
    assert!(!works("af-south-1").await);
    let update = world.iam.update_access_key().user_name("u").access_key_id(id);
    update.status(StatusType::Inactive).send().await.unwrap();
    assert!(!works("us-east-1").await, "inactive");
    let update = world.iam.update_access_key().user_name("u").access_key_id(id);
    update.status(StatusType::Active).send().await.unwrap();
    assert!(works("us-east-1").await, "active again");
    world.iam.delete_access_key().user_name("u").access_key_id(id).send().await.unwrap();
    assert!(!works("us-east-1").await, "deleted");
    assert!(!world.key_works("AKIAUNKNOWN000000000", "us-east-1").await, "unknown");
}

/// The function must not rely on a page size. The test itself reads whole lists.
#[tokio::test]
async fn the_function_gets_one_list_item_per_page() {
    let world = World::without_function().await;
    let (iam, function) = (&world.iam, world.as_the_function());
    iam.create_user().user_name("u").send().await.unwrap();
    let empty = function.list_user_policies().user_name("u").send().await.unwrap();
    assert!(empty.policy_names.is_empty() && !empty.is_truncated);
    for name in ["a", "b", "c"] {
        iam.put_user_policy().user_name("u").policy_name(name).policy_document(DOCUMENT).send().await.unwrap();
    }
    let (mut marker, mut pages) = (None, Vec::new());
    loop {
        let page = function.list_user_policies().user_name("u").max_items(2).set_marker(marker).send().await.unwrap();
        assert_eq!(page.is_truncated, page.marker.is_some());
        pages.push(page.policy_names);
        marker = page.marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(pages, [["a"], ["b"], ["c"]]);
    assert_eq!(iam.list_user_policies().user_name("u").send().await.unwrap().policy_names.len(), 3);
    // An item that is deleted between two pages must not hide another.
    let first = function.list_user_policies().user_name("u").send().await.unwrap();
    iam.delete_user_policy().user_name("u").policy_name("a").send().await.unwrap();
    let second = function.list_user_policies().user_name("u").set_marker(first.marker).send().await.unwrap();
    assert_eq!(second.policy_names, ["b"]);
    let wrong = function.list_user_policies().user_name("u").marker("no marker").send().await;
    assert_eq!(code(wrong), "ValidationError");
}

/// ListEntitiesForPolicy returns three lists in one response. A page is cut from all three together.
#[tokio::test]
async fn the_function_gets_one_holder_of_a_policy_per_page() {
    let world = World::without_function().await;
    let arn = world.create_policy_by_hand("/", "p").await;
    for kind in ["user", "role", "group"] {
        world.attach_elsewhere(kind, &arn).await;
    }
    let mut pages = world.as_the_function().list_entities_for_policy().policy_arn(&arn).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        sizes.push((page.policy_users().len(), page.policy_roles().len(), page.policy_groups().len()));
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [(0, 0, 1), (0, 1, 0), (1, 0, 0)]);
}

#[tokio::test]
async fn each_world_has_its_own_account() {
    let (one, other) = (World::without_function().await, World::without_function().await);
    one.iam.create_user().user_name("u").send().await.unwrap();
    assert_ne!(one.aws.account(), other.aws.account());
    assert!(other.user_tags("u").await.is_none() && one.user_tags("u").await.is_some());
}

/// IAM shows the function an earlier state, and validates the function's calls against that state.
#[tokio::test]
async fn iam_is_stale_for_the_function_and_current_for_the_test() {
    let world = World::without_function().await;
    let (lag, function) = (Duration::from_millis(400), world.as_the_function());
    world.aws.lag_by(lag);
    world.iam.create_user().user_name("u").send().await.unwrap();
    let began = Instant::now();
    assert_eq!(code(function.get_user().user_name("u").send().await), "NoSuchEntity");
    assert_eq!(code(function.tag_user().user_name("u").tags(tag("a")).send().await), "NoSuchEntity");
    while function.get_user().user_name("u").send().await.is_err() {}
    assert!(began.elapsed() > lag / 2, "{:?}", began.elapsed());
    let id = function.create_access_key().user_name("u").send().await.unwrap().access_key.unwrap().access_key_id;
    assert!(function.list_access_keys().user_name("u").send().await.unwrap().access_key_metadata.is_empty());
    assert_eq!(world.keys("u").await, [id.as_str()]);
    while function.list_access_keys().user_name("u").send().await.unwrap().access_key_metadata.is_empty() {}
    world.iam.delete_access_key().user_name("u").access_key_id(id).send().await.unwrap();
    assert_eq!(code(function.delete_user().user_name("u").send().await), "DeleteConflict");
    while function.delete_user().user_name("u").send().await.is_err() {}
    assert_eq!(code(function.create_user().user_name("u").send().await), "EntityAlreadyExists");
}

#[tokio::test]
async fn every_response_from_aws_has_its_own_request_id_and_garbage_has_none() {
    let world = World::without_function().await;
    let iam = &world.iam;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(iam.list_users().send().await.unwrap().request_id().map(str::to_owned));
        ids.push(iam.get_user().user_name("missing").send().await.unwrap_err().request_id().map(str::to_owned));
        ids.push(iam.delete_user().user_name("missing").send().await.unwrap_err().request_id().map(str::to_owned));
        let boundary = iam.delete_user_permissions_boundary().user_name("missing").send().await.unwrap_err();
        ids.push(boundary.request_id().map(str::to_owned));
        let secret = world.secrets.get_secret_value().secret_id(&world.secret_arn).send().await.unwrap();
        ids.push(secret.request_id().map(str::to_owned));
        let missing = world.secrets.get_secret_value().secret_id("missing").send().await.unwrap_err();
        ids.push(missing.request_id().map(str::to_owned));
    }
    let mut different: Vec<String> = ids.iter().flatten().cloned().collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), ids.len(), "{ids:?}");
    assert!(different.iter().all(|id| is_uuid(id)), "{different:?}");
    world.aws.fault(AwsFault { action: "ListUsers", how: AwsHow::Garbage, times: 1 });
    assert_eq!(iam.list_users().send().await.unwrap_err().request_id(), None);
}

fn is_uuid(id: &str) -> bool {
    let lengths: Vec<usize> = id.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[tokio::test]
async fn the_request_id_is_the_same_in_the_body_and_the_header() {
    let world = World::without_function().await;
    for (service, call) in [
        ("iam", "Action=ListUsers"),
        ("iam", "Action=GetUser&UserName=x"),
        ("iam", "Action=PutUserPermissionsBoundary&UserName=x"),
        ("iam", "Action=CreateUser&UserName=x"),
        ("iam", "Action=TagUser&UserName=x&Tags.member.1.Key=a&Tags.member.1.Value=b"),
        ("iam", "Action=DeleteUser&UserName=x"),
        ("sts", "Action=GetCallerIdentity"),
    ] {
        let scope = format!("Credential={TEST_KEY}/20260101/us-east-1/{service}/aws4_request");
        let request = reqwest::Client::new().post(world.aws.url());
        let request = request.header("authorization", format!("AWS4-HMAC-SHA256 {scope}, Signature=x"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body(format!("{call}&Version=2010-05-08")).send().await.unwrap();
        let id = response.headers()["x-amzn-requestid"].to_str().unwrap().to_owned();
        let body = response.text().await.unwrap();
        assert!(body.contains(&format!("<RequestId>{id}</RequestId>")), "{id} {body}");
    }
}
