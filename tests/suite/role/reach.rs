//! The table in docs/trust.md: what the holder of the access key can reach with Coiled's policies, and which secrets a
//! stack update can make readable. Each statement there has a test here or in `tests/suite/trust.rs`.

use coiled_world::policy::evaluate::{Policy, Request};
use coiled_world::policy::template::{Parameters, Place, Template};
use serde_json::Value;

const SETUP: &str = include_str!("../../../policies/setup.json");
const ONGOING: &str = include_str!("../../../policies/ongoing.json");

fn policy(text: &str) -> Policy {
    Policy::read(&serde_json::from_str::<Value>(text).expect("JSON"))
}

fn request((action, resource): (&str, &str)) -> Request {
    Request::new(action, resource)
}

/// Together, these permissions make the key's user an administrator. It can create a role with any managed policy, and
/// then pass the role to an instance, or assume it because the role's trust policy can name the user.
#[test]
fn the_key_can_administer_the_account_only_while_the_setup_policy_is_attached() {
    let escalation = [
        ("iam:CreateRole", "arn:aws:iam::111122223333:role/anything"),
        ("iam:AttachRolePolicy", "arn:aws:iam::111122223333:role/anything"),
        ("iam:CreatePolicy", "arn:aws:iam::111122223333:policy/anything"),
    ];
    for call in escalation {
        assert!(policy(SETUP).allows(&request(call)), "{call:?}");
        assert!(!policy(ONGOING).allows(&request(call)), "{call:?}");
    }
    assert!(policy(ONGOING).allows(&request(("iam:PassRole", "arn:aws:iam::111122223333:role/coiled-anything"))));
    assert!(!policy(ONGOING).allows(&request(("iam:PassRole", "arn:aws:iam::111122223333:role/anything"))));
}

/// New user data runs at the next start, with the instance's own role.
#[test]
fn the_ongoing_policy_alone_can_run_code_on_every_instance() {
    let instance = "arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0";
    for action in ["ec2:StopInstances", "ec2:ModifyInstanceAttribute", "ec2:StartInstances"] {
        assert!(policy(ONGOING).allows(&request((action, instance))), "{action}");
    }
}

#[test]
fn the_ongoing_policy_alone_can_replace_an_image_in_every_repository() {
    let repository = "arn:aws:ecr:us-east-1:111122223333:repository/anything";
    for action in ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"] {
        assert!(policy(ONGOING).allows(&request((action, repository))), "{action}");
    }
    assert!(policy(ONGOING).allows(&request(("ecr:BatchGetImage", repository))));
}

#[test]
fn the_ongoing_policy_alone_can_read_and_expire_every_log() {
    let group = "arn:aws:logs:us-east-1:111122223333:log-group:/aws/lambda/anything:*";
    for action in ["logs:GetLogEvents", "logs:FilterLogEvents", "logs:PutLogEvents", "logs:PutRetentionPolicy"] {
        assert!(policy(ONGOING).allows(&request((action, group))), "{action}");
    }
}

#[test]
fn the_ongoing_policy_alone_can_set_the_tag_that_guards_termination() {
    let instance = "arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0";
    let terminate = || request(("ec2:TerminateInstances", instance));
    assert!(!policy(ONGOING).allows(&terminate()));
    assert!(policy(ONGOING).allows(&request(("ec2:CreateTags", instance)).with("aws:RequestTag/owner", "coiled")));
    assert!(policy(ONGOING).allows(&terminate().with("ec2:ResourceTag/owner", "coiled")));
}

#[test]
fn the_ongoing_policy_alone_can_open_every_security_group() {
    let group = "arn:aws:ec2:us-east-1:111122223333:security-group/sg-0123456789abcdef0";
    assert!(policy(ONGOING).allows(&request(("ec2:AuthorizeSecurityGroupIngress", group))));
}

#[test]
fn neither_policy_can_read_secrets_or_other_buckets_or_change_users_or_functions() {
    for call in [
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:111122223333:secret:any-AbCdEf"),
        ("s3:GetObject", "arn:aws:s3:::anything/key"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1234"),
        ("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/anyone"),
        ("iam:TagUser", "arn:aws:iam::111122223333:user/coiled"),
        ("iam:AttachUserPolicy", "arn:aws:iam::111122223333:user/coiled"),
        ("lambda:InvokeFunction", "arn:aws:lambda:us-east-1:111122223333:function:anything"),
        ("cloudformation:UpdateStack", "arn:aws:cloudformation:us-east-1:111122223333:stack/coiled/x"),
    ] {
        for text in [SETUP, ONGOING] {
            assert!(!policy(text).allows(&request(call)), "{call:?}");
        }
    }
}

/// Anyone who may update the stack can choose which secrets the function reads and sends.
#[test]
fn a_stack_update_can_make_any_two_secrets_readable_but_no_others() {
    let arn = |name: &str| format!("arn:aws:secretsmanager:us-east-1:111122223333:secret:{name}-AbCdEf");
    let (token, chosen, other) = (arn("token"), arn("chosen"), arn("other"));
    let parameters = [
        ("CoiledTokenSecretArn", token.as_str()),
        ("DockerHubTokenSecretArn", &chosen),
        ("Registry", "docker_hub"),
        ("DockerHubUsername", "eve"),
        ("DockerHubUri", "registry.example.com"),
    ];
    let parameters: Parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let place = Place::new("aws", "us-east-1", "111122223333");
    let role = Template::shipped().stack(&parameters, &place).role_policy();
    let reads = |secret: &str| role.allows(&request(("secretsmanager:GetSecretValue", secret)));
    assert!(reads(&token) && reads(&chosen) && !reads(&other));
}
