//! Reads and changes the test account with the test's own credentials.

use std::collections::BTreeMap;

use aws_config::Region;

use super::World;

/// The access key ID of the test's own calls. It separates them from the function's calls.
pub const TEST_KEY: &str = "ASIATEST000000000000";

/// An AWS managed policy. It exists in every account, so any user can have it as a permissions boundary.
pub const AWS_POLICY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

impl World {
    /// The tags of a user, or `None` if the user does not exist.
    pub async fn user_tags(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let user = self.iam.get_user().user_name(name).send().await.ok()?.user?;
        Some(user.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect())
    }

    /// The value of one tag of the user `coiled`, empty if the tag is missing.
    pub async fn tag(&self, key: &str) -> String {
        self.user_tags("coiled").await.and_then(|mut tags| tags.remove(key)).unwrap_or_default()
    }

    /// Whether STS in the region accepts the key now.
    pub async fn key_works(&self, id: &str, region: &'static str) -> bool {
        let sdk = super::sdk(&self.aws.url(), id).into_builder().region(Region::new(region)).build();
        aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await.is_ok()
    }

    /// The access key IDs of a user.
    pub async fn keys(&self, name: &str) -> Vec<String> {
        let reply = self.iam.list_access_keys().user_name(name).send().await;
        let keys = reply.map(|reply| reply.access_key_metadata).unwrap_or_default();
        keys.into_iter().filter_map(|key| key.access_key_id).collect()
    }

    /// The names of the managed policies attached to a user, sorted.
    pub async fn attached(&self, name: &str) -> Vec<String> {
        let reply = self.iam.list_attached_user_policies().user_name(name).send().await;
        let policies = reply.ok().and_then(|reply| reply.attached_policies).unwrap_or_default();
        let mut names: Vec<String> = policies.into_iter().filter_map(|policy| policy.policy_name).collect();
        names.sort();
        names
    }

    /// The names of the customer managed policies, sorted.
    pub async fn policies(&self) -> Vec<String> {
        let reply = self.iam.list_policies().scope("Local".into()).send().await.unwrap();
        let mut names: Vec<String> = reply.policies().iter().filter_map(|policy| policy.policy_name.clone()).collect();
        names.sort();
        names
    }

    /// The ARN of a policy in this account, for the path `/`.
    pub fn policy_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:policy/{name}", self.aws.account())
    }

    /// The document of a policy's default version, URL-encoded as IAM returns it.
    pub async fn document(&self, name: &str) -> String {
        let arn = self.policy_arn(name);
        let policy = self.iam.get_policy().policy_arn(&arn).send().await.unwrap().policy.unwrap();
        let version = self.iam.get_policy_version().policy_arn(&arn).version_id(policy.default_version_id.unwrap());
        version.send().await.unwrap().policy_version.unwrap().document.unwrap()
    }

    /// Panics unless all users and policies are deleted and the workspace is disconnected.
    #[track_caller]
    pub fn nothing_left(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let users = self.iam.list_users().send().await.unwrap().users;
            let left: Vec<String> = users.into_iter().map(|user| user.user_name).chain(self.policies().await).collect();
            assert!(left.is_empty(), "left in the account: {left:?} ({caller})");
            assert!(self.coiled.connection("ada").is_none(), "left at Coiled ({caller})");
        }
    }

    /// Panics unless the connection is complete: both policies exist, and the user's only key is registered and
    /// recorded in its state tag.
    pub async fn connected(&self) {
        self.key_is_connected().await;
        assert_eq!(self.policies().await, ["coiled-ongoing", "coiled-setup"]);
    }

    /// Like [`World::connected`], with one more policy that does not belong to the stack.
    pub async fn connected_beside(&self, policy: &str) {
        self.key_is_connected().await;
        assert_eq!(self.policies().await, ["coiled-ongoing", "coiled-setup", policy]);
    }

    async fn key_is_connected(&self) {
        let held = self.coiled.connection("ada").expect("Coiled holds a key").access_key_id();
        assert_eq!(self.keys("coiled").await, std::slice::from_ref(&held));
        let tags = self.user_tags("coiled").await.expect("the user exists");
        assert_eq!(tags.get("coiled-stack:access-key-id"), Some(&held));
        for removed in ["coiled-stack:pending-access-key-id", "coiled-stack:lease"] {
            assert!(!tags.contains_key(removed), "the tag {removed} still exists");
        }
    }

    /// Like [`World::connected`], but a failed Delete has left its expired lease tag.
    pub async fn connected_but_for_lease(&self) {
        let held = self.coiled.connection("ada").expect("Coiled holds a key").access_key_id();
        assert_eq!(self.keys("coiled").await, [held]);
        assert_eq!(self.policies().await, ["coiled-ongoing", "coiled-setup"]);
    }

    /// An IAM client with the function's credentials. Its calls are recorded as the function's.
    pub fn as_the_function(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&super::sdk(&self.aws.url(), super::aws::FUNCTION_KEY))
    }

    /// Tags a user with the test's credentials, in place of a person or of another run.
    pub async fn tag_user(&self, name: &str, key: &str, value: &str) {
        let tag = aws_sdk_iam::types::Tag::builder().key(key).value(value).build().unwrap();
        self.iam.tag_user().user_name(name).tags(tag).send().await.unwrap();
    }
}
