//! AWS failures. The status reason has different advice for each.

use std::time::Duration;

use aws_sdk_secretsmanager::primitives::Blob;
use coiled_aws_stack::config::Config;
use coiled_stand_in::{Call, Fault, How};
use coiled_world::aws::{AwsFault, AwsHow};
use coiled_world::{FunctionResponse, World};
use serde_json::json;

use crate::support::{Deploy, config};

/// The wording comes from "Troubleshoot access denied error messages" in the IAM User Guide.
const PERMANENT: [(&str, &str); 11] = [
    ("with an explicit deny in a service control policy", "SCP"),
    (
        "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/service_control_policy/p-1",
        "SCP",
    ),
    ("with an explicit deny in a resource control policy", "RCP"),
    ("with an explicit deny in a permissions boundary", "permissions boundary of the function's role"),
    ("with an explicit deny in a session policy", "session policy"),
    ("with an explicit deny in an identity-based policy", "remove its Deny statement"),
    ("with an explicit deny in a VPC endpoint policy", "VPC endpoint"),
    ("with an explicit deny", "administrator"),
    ("because no service control policy allows the iam:CreateUser action", "SCP"),
    ("because no permissions boundary allows the iam:CreateUser action", "FunctionPermissionsBoundaryArn"),
    ("because no VPC endpoint policy allows the iam:CreateUser action", "VPC endpoint"),
];

fn denied(action: &'static str, reason: &str) -> AwsFault {
    let message = format!(
        "User: arn:aws:sts::111122223333:assumed-role/function/function is not authorized to perform: iam:{action} on \
         resource: arn:aws:iam::111122223333:user/coiled {reason}"
    );
    // A fault holds only static strings, so the message is leaked.
    AwsFault { action, how: AwsHow::Error(403, "AccessDenied", message.leak()), times: u32::MAX }
}

#[tokio::test]
async fn a_permanent_denial_is_not_retried_and_the_status_reason_names_the_kind_of_policy() {
    for (reason, words) in PERMANENT {
        let world = World::new().await;
        world.aws.fault(denied("CreateUser", reason));
        world.create(json!({})).await.failed(&["CreateUser", words, "Then try again."]);
        let calls = world.aws.actions().iter().filter(|action| *action == "CreateUser").count();
        assert_eq!(calls, 1, "{reason}");
    }
}

/// The policies of a new role reach different services at different times (aws-cdk#18237).
#[tokio::test]
async fn a_missing_permission_of_the_role_is_retried_because_the_role_may_be_new() {
    let world = World::new().await;
    let mut fault = denied("CreateUser", "because no identity-based policy allows the iam:CreateUser action");
    fault.times = 2;
    world.aws.fault(fault);
    world.create(json!({})).await.succeeded();
}

/// Creates a stack whose token is in a secret with this content.
async fn create_with_secret(world: &World, name: &str, content: Content) -> FunctionResponse {
    let create = world.secrets.create_secret().name(name);
    let create = match content {
        Content::None => create,
        Content::Text(text) => create.secret_string(text),
        Content::Binary(bytes) => create.secret_binary(Blob::new(bytes)),
    };
    let arn = create.send().await.unwrap().arn.unwrap();
    world.create(json!({"CoiledTokenSecretArn": arn})).await
}

enum Content {
    None,
    Text(String),
    Binary(Vec<u8>),
}

#[tokio::test]
async fn the_status_reason_names_the_cause_and_advice_for_each_kind_of_unusable_secret() {
    let text = |text: &str| Content::Text(text.to_owned());
    for (content, words) in [
        (Content::None, ["AWSCURRENT", "has no current value"]),
        (Content::Binary(vec![0x1f, 0x8b, 0x08, 0x00]), ["binary", "--secret-string"]),
        (Content::Binary(b"abc-def".to_vec()), ["binary", "--secret-string"]),
        (text("****"), ["mask", "Set CoiledToken again"]),
        (text("{\"token\": \"****\"}"), ["mask", "Set CoiledToken again"]),
        (text("\"abc-def\""), ["quotation marks", "without quotation marks"]),
        (text("'abc-def'"), ["quotation marks", "without quotation marks"]),
        (text("{\"api_token\": \"abc-def\"}"), ["without the key `token`", "with the key `token`"]),
        (text("{\"token\": 7}"), ["not a string", "{\"token\": \"TOKEN\"}"]),
        (text("abc def"), ["whitespace", "Copy the token again"]),
        (text(" "), ["empty", "put-secret-value"]),
    ] {
        let world = World::new().await;
        create_with_secret(&world, "mine", content).await.failed(&words).failed(&["deploy again."]);
        assert_eq!(world.coiled.requests().len(), 0, "{words:?}");
        world.nothing_left().await;
    }
}

#[tokio::test]
async fn a_token_after_a_byte_order_mark_is_accepted() {
    let world = World::new().await;
    let marked = format!("\u{feff}{}\n", world.coiled.token());
    let little = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for content in [
        Content::Text(marked.clone()),
        Content::Binary(marked.clone().into_bytes()),
        Content::Binary(little),
        Content::Binary(big),
    ] {
        create_with_secret(&world, "mine", content).await.succeeded();
        world.delete(json!({})).await.succeeded();
        world.secrets.delete_secret().secret_id("mine").force_delete_without_recovery(true).send().await.unwrap();
    }
}

/// The secret exists, but only a rotation's pending version has a value.
#[tokio::test]
async fn a_secret_with_only_a_pending_version_has_its_own_advice() {
    let world = World::new().await;
    let message = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT";
    let how = AwsHow::Error(400, "ResourceNotFoundException", message);
    world.aws.fault(AwsFault { action: "GetSecretValue", how, times: u32::MAX });
    world.create(json!({})).await.failed(&["AWSCURRENT", "has no current value", "rotation"]);
}

#[tokio::test]
async fn a_masked_docker_hub_token_is_rejected_before_anything_is_created() {
    let world = World::new().await;
    let hub = world.secrets.create_secret().name("hub").secret_string("****").send().await.unwrap().arn.unwrap();
    let more = json!({"Registry": "docker_hub", "DockerHubUsername": "ada", "DockerHubTokenSecretArn": hub});
    world.create(more).await.failed(&["hub", "mask"]);
    world.nothing_left().await;
}

/// This name ends like an ARN: with a dash and six characters. Secrets Manager would find the secret, but IAM would
/// deny access to it.
#[tokio::test]
async fn a_secret_arn_without_its_last_six_characters_is_named_as_the_cause() {
    let world = World::where_role_lacks_something().await;
    let arn = world.secrets.create_secret().name("coiled-secret").secret_string("abc-def").send().await.unwrap().arn;
    let arn = arn.unwrap();
    let (partial, _) = arn.rsplit_once('-').unwrap();
    world.create(json!({"CoiledTokenSecretArn": partial})).await.failed(&["six characters", "describe-secret"]);
}

/// These errors concern the KMS key, not the secret.
#[tokio::test]
async fn a_kms_key_that_cannot_be_used_is_named_as_the_cause() {
    let user = "User: arn:aws:sts::111122223333:assumed-role/f/f is not authorized to perform: kms:Decrypt on resource: \
                arn:aws:kms:us-east-1:111122223333:key/1 because no identity-based policy allows the kms:Decrypt action";
    for (code, message, words) in [
        ("AccessDeniedException", "Access to KMS is not allowed", "CoiledTokenKmsKeyArn"),
        ("AccessDeniedException", user, "CoiledTokenKmsKeyArn"),
        ("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text", "Enable the secret's KMS key"),
    ] {
        let world = World::with(Config { access_denied_grace: Duration::ZERO, ..config() }).await;
        let how = AwsHow::Error(400, code, message);
        world.aws.fault(AwsFault { action: "GetSecretValue", how, times: u32::MAX });
        world.create(json!({})).await.failed(&[message, words]);
    }
}

#[tokio::test]
async fn a_used_up_quota_a_wrong_clock_and_a_changed_request_have_their_own_advice() {
    let expired =
        "Signature expired: 20261125T010000Z is now earlier than 20261125T015500Z (20261125T020000Z - 5 min.)";
    for (action, status, code, message, words) in [
        ("CreateUser", 409, "LimitExceeded", "Cannot exceed quota for UsersPerAccount: 5000", "5,000 IAM users"),
        ("CreatePolicy", 409, "LimitExceeded", "Cannot exceed quota for PoliciesPerAccount: 1500", "Service Quotas"),
        (
            "AttachUserPolicy",
            409,
            "LimitExceeded",
            "Cannot exceed quota for PoliciesPerUser: 10",
            "10 managed policies",
        ),
        ("CreateUser", 403, "SignatureDoesNotMatch", expired, "clock"),
        ("GetCallerIdentity", 403, "SignatureDoesNotMatch", expired, "clock"),
        ("GetSecretValue", 400, "InvalidSignatureException", expired, "clock"),
        ("GetUser", 400, "RequestExpired", "Request has expired.", "clock"),
        (
            "CreateUser",
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match",
            "TLS inspection",
        ),
    ] {
        let world = World::new().await;
        world.aws.fault(AwsFault { action, how: AwsHow::Error(status, code, message), times: u32::MAX });
        world.create(json!({})).await.failed(&[action, code, words]);
        world.aws.clear_faults();
        world.nothing_left().await;
    }
}

/// The region is enabled in the account, and the Regions page says so.
#[tokio::test]
async fn an_inactive_sts_endpoint_is_distinguished_from_a_region_that_is_not_enabled() {
    let world = World::new().await;
    let message = "STS is not activated in this region for account:111122223333. Your account administrator can activate \
                   STS in this region using the IAM Console.";
    let how = AwsHow::Error(403, "RegionDisabledException", message);
    world.aws.fault(AwsFault { action: "GetCallerIdentity", how, times: u32::MAX });
    let words = ["us-east-1", "Account settings", "not on the AWS Regions page"];
    world.create(json!({})).await.failed(&words);
    world.nothing_left().await;
}

/// The page may have any status, even one that would mean a wrong token if Coiled sent it.
#[tokio::test]
async fn the_status_reason_says_if_a_proxy_sent_a_page_in_place_of_coiled() {
    for status in [200, 403, 502] {
        let world = World::new().await;
        let page = "<!DOCTYPE html><html><head><title>Blocked by Example Proxy</title></head><body>no</body></html>";
        let how = How::Text(status, page.into());
        world.coiled.fault(Fault { on: Call::Me, how, times: u32::MAX });
        let words = [&status.to_string(), "HTML page", "Blocked by Example Proxy", "check the proxy"];
        world.create(json!({})).await.failed(&words);
        world.nothing_left().await;
    }
}

/// The page does not prove that the token is wrong, and Coiled may still hold the key.
#[tokio::test]
async fn a_delete_fails_if_a_proxy_answers_in_place_of_coiled() {
    let world = World::new().await;
    world.create(json!({})).await.succeeded();
    let how = How::Text(403, "<html><title>Blocked</title></html>".into());
    world.coiled.fault(Fault { on: Call::BackendOptions, how, times: u32::MAX });
    world.delete(json!({})).await.failed(&["HTML page", "force-disconnect"]);
}
