//! Writes the state of the whole account and of all Coiled connections as text. If two texts are equal, nothing has
//! changed.

use std::fmt::Write;

use aws_sdk_iam::types::{Policy, User};
use futures_util::future::join_all;

use super::World;

impl World {
    /// The text lists users with their contents, policies with their versions and attachments, roles, groups, MFA
    /// devices, and the connection of every workspace.
    pub async fn snapshot(&self) -> String {
        let (users, policies, roles, groups, devices) = tokio::join!(
            self.iam.list_users().send(),
            self.iam.list_policies().scope("Local".into()).send(),
            self.iam.list_roles().send(),
            self.iam.list_groups().send(),
            self.iam.list_virtual_mfa_devices().send(),
        );
        let (users, policies) = (users.unwrap().users, policies.unwrap().policies.unwrap_or_default());
        let users = join_all(users.iter().map(|user| self.user_in_full(user))).await;
        let policies = join_all(policies.iter().map(|policy| self.policy_in_full(policy))).await;
        let roles = join_all(roles.unwrap().roles.iter().map(|role| self.role_in_full(role.role_name()))).await;
        let groups = join_all(groups.unwrap().groups.iter().map(|group| self.group_in_full(group.group_name()))).await;
        let mut devices: Vec<_> =
            devices.unwrap().virtual_mfa_devices.into_iter().map(|device| device.serial_number).collect();
        devices.sort();
        let mut text = String::new();
        for line in [users, policies, roles, groups].concat() {
            text += &line;
        }
        writeln!(text, "devices {devices:?}").unwrap();
        for (slug, held) in self.coiled.connections() {
            writeln!(text, "workspace {slug} {held:?}").unwrap();
        }
        text
    }

    /// A snapshot that can be compared between worlds. Placeholders replace the account ID, the server URL, access key
    /// IDs and secrets.
    pub async fn shape(&self) -> String {
        let mut text =
            self.snapshot().await.replace(self.aws.account(), "ACCOUNT").replace(&self.coiled.url(), "SERVER");
        for (number, id) in self.keys("coiled").await.iter().enumerate() {
            text = text.replace(id, &format!("KEY-{number}"));
        }
        for secret in self.aws.secrets() {
            text = text.replace(&secret, "SECRET");
        }
        text
    }

    async fn user_in_full(&self, user: &User) -> String {
        let name = user.user_name();
        let (tags, keys, attached, inline) =
            tokio::join!(self.user_tags(name), self.keys_in_full(name), self.attached(name), self.inline(name));
        let (groups, password, by_hand) =
            tokio::join!(self.groups_of(name), self.has_password(name), self.put_in_by_hand(name));
        let boundary = self.aws.boundary(name);
        let arn = user.arn();
        format!(
            "user {arn} {tags:?} boundary {boundary:?} keys {keys:?} attached {attached:?} inline {inline:?} \
             groups {groups:?} password {password} by hand {by_hand:?}\n"
        )
    }

    async fn keys_in_full(&self, name: &str) -> Vec<String> {
        let keys = self.iam.list_access_keys().user_name(name).send().await.unwrap().access_key_metadata;
        keys.into_iter().map(|key| format!("{:?} {:?}", key.access_key_id, key.status)).collect()
    }

    async fn inline(&self, name: &str) -> Vec<String> {
        let names = self.iam.list_user_policies().user_name(name).send().await.unwrap().policy_names;
        let document = async |policy: &String| {
            let reply = self.iam.get_user_policy().user_name(name).policy_name(policy).send().await.unwrap();
            format!("{policy} {}", reply.policy_document)
        };
        join_all(names.iter().map(document)).await
    }

    async fn groups_of(&self, name: &str) -> Vec<String> {
        let groups = self.iam.list_groups_for_user().user_name(name).send().await.unwrap().groups;
        groups.into_iter().map(|group| group.group_name).collect()
    }

    async fn has_password(&self, name: &str) -> bool {
        self.iam.get_login_profile().user_name(name).send().await.is_ok()
    }

    /// The IDs of MFA devices, SSH keys, signing certificates and service-specific credentials.
    async fn put_in_by_hand(&self, name: &str) -> Vec<String> {
        let (devices, ssh, certificates, credentials) = tokio::join!(
            self.iam.list_mfa_devices().user_name(name).send(),
            self.iam.list_ssh_public_keys().user_name(name).send(),
            self.iam.list_signing_certificates().user_name(name).send(),
            self.iam.list_service_specific_credentials().user_name(name).send(),
        );
        let mut ids: Vec<String> =
            devices.unwrap().mfa_devices.into_iter().map(|device| device.serial_number).collect();
        ids.extend(ssh.unwrap().ssh_public_keys().iter().map(|key| key.ssh_public_key_id.clone()));
        ids.extend(certificates.unwrap().certificates.into_iter().map(|certificate| certificate.certificate_id));
        let credentials = credentials.unwrap().service_specific_credentials.unwrap_or_default();
        ids.extend(credentials.into_iter().map(|credential| credential.service_specific_credential_id));
        ids
    }

    async fn policy_in_full(&self, policy: &Policy) -> String {
        let arn = policy.arn().unwrap();
        let (shown, versions, holders) = tokio::join!(
            self.iam.get_policy().policy_arn(arn).send(),
            self.iam.list_policy_versions().policy_arn(arn).send(),
            self.iam.list_entities_for_policy().policy_arn(arn).send(),
        );
        let (tags, holders) = (shown.unwrap().policy.unwrap().tags.unwrap_or_default(), holders.unwrap());
        let document = async |version: aws_sdk_iam::types::PolicyVersion| {
            let id = version.version_id.unwrap();
            let reply = self.iam.get_policy_version().policy_arn(arn).version_id(&id).send().await.unwrap();
            let document = reply.policy_version.and_then(|version| version.document);
            format!("{id} default {} {document:?}", version.is_default_version)
        };
        let versions = join_all(versions.unwrap().versions.unwrap_or_default().into_iter().map(document)).await;
        let (users, roles, groups) = (holders.policy_users, holders.policy_roles, holders.policy_groups);
        let mut tags: Vec<_> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        tags.sort();
        let users: Vec<_> = users.into_iter().flatten().map(|user| user.user_name).collect();
        let roles: Vec<_> = roles.into_iter().flatten().map(|role| role.role_name).collect();
        let groups: Vec<_> = groups.into_iter().flatten().map(|group| group.group_name).collect();
        format!("policy {arn} {tags:?} held by {users:?} {roles:?} {groups:?} versions {versions:#?}\n")
    }

    async fn role_in_full(&self, name: &str) -> String {
        let (role, attached) = tokio::join!(
            self.iam.get_role().role_name(name).send(),
            self.iam.list_attached_role_policies().role_name(name).send(),
        );
        let role = role.unwrap().role.unwrap();
        let trust = role.assume_role_policy_document;
        format!("role {} {trust:?} {:?} {:?}\n", role.arn, role.tags, attached.unwrap().attached_policies)
    }

    async fn group_in_full(&self, name: &str) -> String {
        let (group, attached) = tokio::join!(
            self.iam.get_group().group_name(name).send(),
            self.iam.list_attached_group_policies().group_name(name).send(),
        );
        let members: Vec<_> = group.unwrap().users.into_iter().map(|user| user.user_name).collect();
        format!("group {name} {members:?} {:?}\n", attached.unwrap().attached_policies)
    }
}
