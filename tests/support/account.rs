//! What is in the account, as a test sees it.

use std::collections::BTreeMap;

use aws_config::Region;

use super::World;

/// The key id of the test's own calls, which are not the function's.
pub const TEST_KEY: &str = "ASIATEST000000000000";

/// A policy of AWS's own, which is there in every account: it may be anybody's boundary.
pub const AWS_POLICY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

impl World {
    /// The tags of a user; `None` where there is no such user.
    pub async fn user_tags(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let user = self.iam.get_user().user_name(name).send().await.ok()?.user?;
        Some(user.tags().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect())
    }

    /// One tag of the user `coiled`; empty where it is not there.
    pub async fn tag(&self, key: &str) -> String {
        self.user_tags("coiled").await.and_then(|mut tags| tags.remove(key)).unwrap_or_default()
    }

    /// Whether STS of a region knows a key at this moment.
    pub async fn key_works(&self, id: &str, region: &'static str) -> bool {
        let sdk = super::sdk(&self.aws.url(), id).into_builder().region(Region::new(region)).build();
        aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await.is_ok()
    }

    /// The ids of a user's keys.
    pub async fn keys(&self, name: &str) -> Vec<String> {
        let reply = self.iam.list_access_keys().user_name(name).send().await;
        let keys = reply.map(|reply| reply.access_key_metadata).unwrap_or_default();
        keys.into_iter().filter_map(|key| key.access_key_id).collect()
    }

    /// The names of the policies attached to a user.
    pub async fn attached(&self, name: &str) -> Vec<String> {
        let reply = self.iam.list_attached_user_policies().user_name(name).send().await;
        let policies = reply.ok().and_then(|reply| reply.attached_policies).unwrap_or_default();
        let mut names: Vec<String> = policies.into_iter().filter_map(|policy| policy.policy_name).collect();
        names.sort();
        names
    }

    /// The names of the account's own policies.
    pub async fn policies(&self) -> Vec<String> {
        let reply = self.iam.list_policies().scope("Local".into()).send().await.unwrap();
        let mut names: Vec<String> = reply.policies().iter().filter_map(|policy| policy.policy_name.clone()).collect();
        names.sort();
        names
    }

    /// The ARN of a policy of this account.
    pub fn policy_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:policy/{name}", self.aws.account())
    }

    /// The document in force of a policy, as IAM gives it back.
    pub async fn document(&self, name: &str) -> String {
        let arn = self.policy_arn(name);
        let policy = self.iam.get_policy().policy_arn(&arn).send().await.unwrap().policy.unwrap();
        let version = self.iam.get_policy_version().policy_arn(&arn).version_id(policy.default_version_id.unwrap());
        version.send().await.unwrap().policy_version.unwrap().document.unwrap()
    }

    /// Panics unless user and policies are gone and Coiled holds nothing.
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

    /// Panics unless all is there and works: the key that Coiled holds is the user's only one, and the one on record.
    pub async fn connected(&self) {
        let held = self.coiled.connection("ada").expect("Coiled holds a key").access_key_id();
        assert_eq!(self.keys("coiled").await, std::slice::from_ref(&held));
        let tags = self.user_tags("coiled").await.expect("the user is there");
        assert_eq!(tags.get("coiled-stack:access-key-id"), Some(&held));
        for gone in ["coiled-stack:pending-access-key-id", "coiled-stack:lease"] {
            assert!(!tags.contains_key(gone), "{gone} is still there");
        }
        assert_eq!(self.policies().await, ["coiled-ongoing", "coiled-setup"]);
    }

    /// The same, where a failed Delete has left the trace of its lease.
    pub async fn connected_but_for_lease(&self) {
        let held = self.coiled.connection("ada").expect("Coiled holds a key").access_key_id();
        assert_eq!(self.keys("coiled").await, [held]);
        assert_eq!(self.policies().await, ["coiled-ongoing", "coiled-setup"]);
    }

    /// What else a person may have put into a user, and which of its keys are active.
    async fn inside(&self, name: &str) -> String {
        let keys = self.iam.list_access_keys().user_name(name).send().await.unwrap().access_key_metadata;
        let active: Vec<_> = keys.into_iter().filter_map(|key| key.status).collect();
        let inline = self.iam.list_user_policies().user_name(name).send().await.unwrap().policy_names;
        let groups = self.iam.list_groups_for_user().user_name(name).send().await.unwrap().groups;
        let groups: Vec<_> = groups.into_iter().map(|group| group.group_name).collect();
        let has_password = self.iam.get_login_profile().user_name(name).send().await.is_ok();
        format!("{active:?} {inline:?} {groups:?} {has_password}")
    }

    /// Everything in the account and at Coiled as one text: equal texts mean that nothing has changed.
    pub async fn snapshot(&self) -> String {
        let mut text = String::new();
        for user in self.iam.list_users().send().await.unwrap().users {
            let name = user.user_name;
            let tags = self.user_tags(&name).await;
            let (keys, attached) = (self.keys(&name).await, self.attached(&name).await);
            let inside = self.inside(&name).await;
            text += &format!("{} {tags:?} {keys:?} {attached:?} {inside} {:?}\n", user.arn, self.aws.boundary(&name));
        }
        for name in self.policies().await {
            let policy = self.iam.get_policy().policy_arn(self.policy_arn(&name)).send().await.unwrap().policy.unwrap();
            let versions = self.iam.list_policy_versions().policy_arn(self.policy_arn(&name)).send().await.unwrap();
            text +=
                &format!("{name} {:?} {:?} {}\n", policy.tags, versions.versions().len(), self.document(&name).await);
        }
        text + &format!("{:?}", self.coiled.connection("ada"))
    }
}
