//! `coiled setup aws`, from its first question to a connected workspace.

use aws_sdk_iam::Client as Iam;
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::emulator::Emulator;
use super::policies::permissions;
use super::{Aws, GenuineClient, comparable, registration};
use crate::stand_in::StandIn;

const SETUP: &str = include_str!("../../../policies/setup.json");
const ONGOING: &str = include_str!("../../../policies/ongoing.json");

fn iam(aws: &Aws) -> Iam {
    let key = Credentials::new(&aws.access_key_id, &aws.secret_access_key, None, None, "test");
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&aws.endpoint)
        .credentials_provider(key)
        .build();
    Iam::from_conf(config)
}

/// The default version of the policy of this name.
async fn policy(iam: &Iam, name: &str) -> Value {
    let policies = iam.list_policies().send().await.unwrap().policies.unwrap();
    let policy = policies.iter().find(|policy| policy.policy_name() == Some(name)).expect(name);
    let (arn, version) = (policy.arn().unwrap(), policy.default_version_id().unwrap());
    let version = iam.get_policy_version().policy_arn(arn).version_id(version).send().await.unwrap();
    let version = version.policy_version.unwrap();
    let document = percent_decode_str(version.document().unwrap()).decode_utf8().unwrap();
    serde_json::from_str(&document).unwrap()
}

#[tokio::test]
async fn with_an_access_key_it_ends_with_a_connected_workspace() {
    let (emulator, stand_in) = (Emulator::start().await, StandIn::start().await);
    stand_in.verify_keys_at(emulator.endpoint());
    let aws = Aws::at(emulator.endpoint(), "AKIACALLER");
    let command =
        "setup aws --use-access-key --yes --accept-delete --workspace ada --region us-east-2 --iam-user guest";
    let arguments: Vec<_> = command.split(' ').collect();
    let ended = GenuineClient::new(&stand_in, &aws).coiled(&arguments).await;
    assert!(ended.is_ok && ended.text.contains("Setup complete"), "{}", ended.text);

    let iam = iam(&aws);
    let keys = iam.list_access_keys().user_name("guest").send().await.unwrap().access_key_metadata;
    let held = stand_in.connection("ada").expect("a connection");
    assert_eq!(keys.iter().filter_map(|key| key.access_key_id()).collect::<Vec<_>>(), [held.access_key_id()]);
    let attached = iam.list_attached_user_policies().user_name("guest").send().await.unwrap();
    let mut attached: Vec<_> = attached.attached_policies().iter().filter_map(|policy| policy.policy_name()).collect();
    attached.sort_unstable();
    assert_eq!(attached, ["guest-ongoing", "guest-setup"]);
    let tags = iam.list_user_tags().user_name("guest").send().await.unwrap().tags;
    assert_eq!(tags.iter().map(|tag| (tag.key(), tag.value())).collect::<Vec<_>>(), [("owner", "coiled")]);

    for (name, ours) in [("guest-setup", SETUP), ("guest-ongoing", ONGOING)] {
        let ours = serde_json::from_str(ours).unwrap();
        assert_eq!(permissions(&policy(&iam, name).await), permissions(&ours), "{name}");
    }
    // Its own command registers just what its function does.
    let [message] = stand_in.registrations().try_into().expect("one registration");
    assert_eq!(comparable(&message), registration(json!({"aws_region": "us-east-2"})).await);
    assert_eq!(stand_in.violations(), [""; 0]);
}

#[tokio::test]
async fn without_a_key_it_delegates_a_role() {
    let (emulator, stand_in) = (Emulator::start().await, StandIn::start().await);
    let aws = Aws::at(emulator.endpoint(), "AKIACALLER");
    let command = "setup aws --yes --workspace ada --region us-east-2 --iam-user guest";
    let arguments: Vec<_> = command.split(' ').collect();
    let ended = GenuineClient::new(&stand_in, &aws).coiled(&arguments).await;
    assert!(ended.is_ok && ended.text.contains("Setup complete"), "{}", ended.text);

    let role = iam(&aws).get_role().role_name("guest-role-assumption").send().await.unwrap().role.unwrap();
    let held = stand_in.connection("ada").expect("a connection");
    assert_eq!(held.data["options"]["account_role"], role.arn());
    assert_eq!((held.access_key_id().as_str(), held.region().as_str()), ("", "us-east-2"));
}
