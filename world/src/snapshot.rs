//! The state of the whole account and of all Coiled connections. If two states are equal, nothing has changed.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{
    AttachedPolicy, EntityType, GroupDetail, ManagedPolicyDetail, PolicyDetail, RoleDetail, Tag, UserDetail,
};
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::World;

/// How much a state contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Leaves out what a Delete removes from a user before the user itself, and old versions of policies. A run may
    /// remove them although it fails later.
    WithoutContents,
}

impl World {
    /// The state as JSON: `users`, `policies`, `roles` and `groups` by name, `devices`, and `workspaces` by slug.
    pub async fn state(&self, detail: Detail) -> Value {
        let kinds = [EntityType::User, EntityType::Role, EntityType::Group, EntityType::LocalManagedPolicy];
        let account = self.iam.get_account_authorization_details().set_filter(Some(kinds.to_vec())).send();
        let account = account.await.unwrap();
        let (users, policies, devices) = tokio::join!(
            join_all(account.user_detail_list().iter().map(|user| self.user_state(user, detail))),
            join_all(account.policies().iter().map(|policy| self.policy_state(policy, detail))),
            self.devices(detail),
        );
        let connections = self.coiled.connections().into_iter();
        json!({
            "users": by_name(users),
            "policies": by_name(policies),
            "roles": by_name(account.role_detail_list().iter().map(role_state)),
            "groups": by_name(account.group_detail_list().iter().map(group_state)),
            "devices": devices,
            "workspaces": connections.map(|(slug, held)| (slug, json!(held.map(|held| held.data)))).collect::<Map<_, _>>(),
        })
    }

    /// The full state as text.
    pub async fn snapshot(&self) -> String {
        format!("{:#}", self.state(Detail::Full).await)
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

    async fn user_state(&self, user: &UserDetail, detail: Detail) -> (String, Value) {
        let name = user.user_name().unwrap();
        let mut state = json!({
            "arn": user.arn(),
            "tags": tags(user.tags()),
            "keys": self.keys_with_status(name).await,
            "attached": names(user.attached_managed_policies()),
            "boundary": self.aws.boundary(name),
        });
        if detail == Detail::Full {
            state["contents"] = self.contents(user, name).await;
        }
        (name.to_owned(), state)
    }

    async fn keys_with_status(&self, user: &str) -> Map<String, Value> {
        let keys = self.iam.list_access_keys().user_name(user).send().await.unwrap().access_key_metadata;
        let status = |status: Option<_>| format!("{status:?}").into();
        keys.into_iter().map(|key| (key.access_key_id.unwrap(), status(key.status))).collect()
    }

    /// Everything else in a user.
    async fn contents(&self, user: &UserDetail, name: &str) -> Value {
        let (password, devices, ssh, certificates, credentials) = tokio::join!(
            self.iam.get_login_profile().user_name(name).send(),
            self.iam.list_mfa_devices().user_name(name).send(),
            self.iam.list_ssh_public_keys().user_name(name).send(),
            self.iam.list_signing_certificates().user_name(name).send(),
            self.iam.list_service_specific_credentials().user_name(name).send(),
        );
        let (devices, ssh) = (devices.unwrap().mfa_devices, ssh.unwrap().ssh_public_keys.unwrap_or_default());
        let credentials = credentials.unwrap().service_specific_credentials.unwrap_or_default();
        json!({
            "inline": inline(user.user_policy_list()),
            "groups": user.group_list(),
            "password": password.is_ok(),
            "devices": devices.into_iter().map(|device| device.serial_number).collect::<Vec<_>>(),
            "ssh keys": ssh.into_iter().map(|key| key.ssh_public_key_id).collect::<Vec<_>>(),
            "certificates": certificates.unwrap().certificates.into_iter().map(|one| one.certificate_id).collect::<Vec<_>>(),
            "credentials": credentials.into_iter().map(|one| one.service_specific_credential_id).collect::<Vec<_>>(),
        })
    }

    /// GetAccountAuthorizationDetails does not contain the tags of policies.
    async fn policy_state(&self, policy: &ManagedPolicyDetail, detail: Detail) -> (String, Value) {
        let arn = policy.arn().unwrap();
        let shown = self.iam.get_policy().policy_arn(arn).send().await.unwrap().policy.unwrap();
        let versions = policy.policy_version_list().iter();
        let versions = versions.map(|version| (version.version_id().unwrap().to_owned(), document(version.document())));
        let versions: Map<String, Value> = versions.collect();
        let default = policy.default_version_id().unwrap();
        let mut state = json!({"arn": arn, "tags": tags(shown.tags()), "document": versions[default]});
        if detail == Detail::Full {
            state["default"] = default.into();
            state["versions"] = versions.into();
        }
        // The names of policies are unique, even under different paths.
        (shown.policy_name.unwrap(), state)
    }

    async fn devices(&self, detail: Detail) -> Vec<String> {
        if detail != Detail::Full {
            return Vec::new();
        }
        let devices = self.iam.list_virtual_mfa_devices().send().await.unwrap().virtual_mfa_devices;
        let mut devices: Vec<_> = devices.into_iter().map(|device| device.serial_number).collect();
        devices.sort();
        devices
    }
}

fn role_state(role: &RoleDetail) -> (String, Value) {
    let state = json!({
        "arn": role.arn(),
        "tags": tags(role.tags()),
        "trust": document(role.assume_role_policy_document()),
        "attached": names(role.attached_managed_policies()),
        "inline": inline(role.role_policy_list()),
        "boundary": role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn()),
    });
    (role.role_name().unwrap().to_owned(), state)
}

fn group_state(group: &GroupDetail) -> (String, Value) {
    let attached = names(group.attached_managed_policies());
    let state = json!({"arn": group.arn(), "attached": attached, "inline": inline(group.group_policy_list())});
    (group.group_name().unwrap().to_owned(), state)
}

fn by_name(all: impl IntoIterator<Item = (String, Value)>) -> Map<String, Value> {
    all.into_iter().collect()
}

fn tags(tags: &[Tag]) -> BTreeMap<&str, &str> {
    tags.iter().map(|tag| (tag.key(), tag.value())).collect()
}

fn names(attached: &[AttachedPolicy]) -> Vec<&str> {
    let mut names: Vec<&str> = attached.iter().filter_map(AttachedPolicy::policy_name).collect();
    names.sort_unstable();
    names
}

fn inline(policies: &[PolicyDetail]) -> Map<String, Value> {
    let each =
        policies.iter().map(|policy| (policy.policy_name().unwrap().to_owned(), document(policy.policy_document())));
    each.collect()
}

/// Decodes and parses a document. Equal documents can differ as text.
fn document(encoded: Option<&str>) -> Value {
    let text = percent_decode_str(encoded.unwrap()).decode_utf8().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| text.into())
}
