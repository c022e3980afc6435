//! The contents of a user: everything that blocks DeleteUser, whether the stack or a person created it.
//!
//! IAM does not delete a user with contents (terraform-provider-aws#12903). The user belongs to the stack, so a Delete
//! removes its contents too. Group memberships are the exception. IAM authorizes RemoveUserFromGroup against the group,
//! and permission for all groups would be too broad for this function.

use std::fmt;

use futures_util::future::try_join_all;

use super::Iam;
use crate::aws::{absent_is_none, gone_is_fine};
use crate::error::Error;

/// One item that blocks DeleteUser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// An access key's ID.
    AccessKey(String),
    /// The ARN of an attached managed policy.
    AttachedPolicy(String),
    /// The name of an inline policy.
    InlinePolicy(String),
    /// The console password.
    LoginProfile,
    /// A signing certificate's ID.
    SigningCertificate(String),
    /// An SSH public key's ID.
    SshPublicKey(String),
    /// A service-specific credential's ID.
    ServiceSpecificCredential(String),
    /// An MFA device's serial number. The device is deactivated but not deleted.
    MfaDevice(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::AccessKey(id) => write!(f, "access key {id}"),
            Item::AttachedPolicy(arn) => write!(f, "attached policy {arn}"),
            Item::InlinePolicy(name) => write!(f, "inline policy {name}"),
            Item::LoginProfile => write!(f, "login profile"),
            Item::SigningCertificate(id) => write!(f, "signing certificate {id}"),
            Item::SshPublicKey(id) => write!(f, "SSH public key {id}"),
            Item::ServiceSpecificCredential(id) => write!(f, "service-specific credential {id}"),
            Item::MfaDevice(serial) => write!(f, "MFA device {serial}"),
        }
    }
}

impl Iam {
    /// Lists everything that blocks DeleteUser.
    ///
    /// A list that cannot be read counts as empty. If the list does contain items, DeleteUser fails with
    /// DeleteConflict.
    pub(crate) async fn contents(&self, user: &str) -> Vec<Item> {
        let lists = tokio::join!(
            self.access_keys(user),
            self.attached_policies(user),
            self.inline_policies(user),
            self.login_profile(user),
            self.signing_certificates(user),
            self.ssh_public_keys(user),
            self.service_specific_credentials(user),
            self.mfa_devices(user),
        );
        let lists = [lists.0, lists.1, lists.2, lists.3, lists.4, lists.5, lists.6, lists.7];
        lists.into_iter().flat_map(or_empty).collect()
    }

    /// Removes one item. Succeeds if the item no longer exists.
    pub(crate) async fn remove(&self, user: &str, item: &Item) -> Result<(), Error> {
        match item {
            Item::AccessKey(id) => self.delete_key(user, id).await,
            Item::AttachedPolicy(arn) => self.detach(user, arn).await,
            Item::InlinePolicy(name) => self.delete_inline_policy(user, name).await,
            Item::LoginProfile => self.delete_login_profile(user).await,
            Item::SigningCertificate(id) => self.delete_signing_certificate(user, id).await,
            Item::SshPublicKey(id) => self.delete_ssh_public_key(user, id).await,
            Item::ServiceSpecificCredential(id) => self.delete_service_specific_credential(user, id).await,
            Item::MfaDevice(serial) => self.deactivate_mfa_device(user, serial).await,
        }
    }

    /// Removes the items in parallel. Returns the first error.
    pub(crate) async fn remove_all(&self, user: &str, items: &[Item]) -> Result<(), Error> {
        try_join_all(items.iter().map(|item| self.remove(user, item))).await.map(|_| ())
    }

    /// The names of the user's groups. Empty if the user does not exist.
    pub(crate) async fn groups(&self, user: &str) -> Result<Vec<String>, Error> {
        let list = || self.client.list_groups_for_user().user_name(user);
        let pages = self.pages("ListGroupsForUser", |marker| list().set_marker(marker).into_paginator().send()).await?;
        Ok(pages.into_iter().flat_map(|page| page.groups).map(|group| group.group_name).collect())
    }

    async fn access_keys(&self, user: &str) -> Result<Vec<Item>, Error> {
        Ok(self.keys(user).await?.into_iter().map(|key| Item::AccessKey(key.id)).collect())
    }

    async fn attached_policies(&self, user: &str) -> Result<Vec<Item>, Error> {
        Ok(self.attached(user).await?.into_iter().map(Item::AttachedPolicy).collect())
    }

    async fn inline_policies(&self, user: &str) -> Result<Vec<Item>, Error> {
        let list = || self.client.list_user_policies().user_name(user);
        let pages = self.pages("ListUserPolicies", |marker| list().set_marker(marker).into_paginator().send()).await?;
        Ok(pages.into_iter().flat_map(|page| page.policy_names).map(Item::InlinePolicy).collect())
    }

    async fn login_profile(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.get_login_profile().user_name(user).send();
        let response = absent_is_none(self.patience.call("GetLoginProfile", &[], send).await)?;
        Ok(response.map(|_| Item::LoginProfile).into_iter().collect())
    }

    async fn signing_certificates(&self, user: &str) -> Result<Vec<Item>, Error> {
        let list = || self.client.list_signing_certificates().user_name(user);
        let start = |marker| list().set_marker(marker).into_paginator().send();
        let certificates =
            self.pages("ListSigningCertificates", start).await?.into_iter().flat_map(|page| page.certificates);
        Ok(certificates.map(|certificate| Item::SigningCertificate(certificate.certificate_id)).collect())
    }

    async fn ssh_public_keys(&self, user: &str) -> Result<Vec<Item>, Error> {
        let list = || self.client.list_ssh_public_keys().user_name(user);
        let pages = self.pages("ListSSHPublicKeys", |marker| list().set_marker(marker).into_paginator().send()).await?;
        let keys = pages.into_iter().filter_map(|page| page.ssh_public_keys).flatten();
        Ok(keys.map(|key| Item::SshPublicKey(key.ssh_public_key_id)).collect())
    }

    /// The SDK has no paginator for this list.
    async fn service_specific_credentials(&self, user: &str) -> Result<Vec<Item>, Error> {
        let (mut items, mut marker) = (Vec::new(), None);
        loop {
            let list = || self.client.list_service_specific_credentials().user_name(user);
            let send = || list().set_marker(marker.clone()).send();
            let page = self.patience.call("ListServiceSpecificCredentials", &[], send).await;
            let Some(page) = absent_is_none(page)? else { return Ok(Vec::new()) };
            let credentials = page.service_specific_credentials.into_iter().flatten();
            items.extend(credentials.map(|credential| credential.service_specific_credential_id));
            marker = page.marker;
            if marker.is_none() {
                return Ok(items.into_iter().map(Item::ServiceSpecificCredential).collect());
            }
        }
    }

    async fn mfa_devices(&self, user: &str) -> Result<Vec<Item>, Error> {
        let list = || self.client.list_mfa_devices().user_name(user);
        let pages = self.pages("ListMFADevices", |marker| list().set_marker(marker).into_paginator().send()).await?;
        let devices = pages.into_iter().flat_map(|page| page.mfa_devices);
        Ok(devices.map(|device| Item::MfaDevice(device.serial_number)).collect())
    }

    async fn delete_inline_policy(&self, user: &str, name: &str) -> Result<(), Error> {
        let send = || self.client.delete_user_policy().user_name(user).policy_name(name).send();
        gone_is_fine(self.patience.call("DeleteUserPolicy", &[], send).await.map(|_| ()))
    }

    async fn delete_login_profile(&self, user: &str) -> Result<(), Error> {
        let send = || self.client.delete_login_profile().user_name(user).send();
        gone_is_fine(self.patience.call("DeleteLoginProfile", &[], send).await.map(|_| ()))
    }

    async fn delete_signing_certificate(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || self.client.delete_signing_certificate().user_name(user).certificate_id(id).send();
        gone_is_fine(self.patience.call("DeleteSigningCertificate", &[], send).await.map(|_| ()))
    }

    async fn delete_ssh_public_key(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || self.client.delete_ssh_public_key().user_name(user).ssh_public_key_id(id).send();
        gone_is_fine(self.patience.call("DeleteSSHPublicKey", &[], send).await.map(|_| ()))
    }

    async fn delete_service_specific_credential(&self, user: &str, id: &str) -> Result<(), Error> {
        let send = || {
            let request = self.client.delete_service_specific_credential().user_name(user);
            request.service_specific_credential_id(id).send()
        };
        gone_is_fine(self.patience.call("DeleteServiceSpecificCredential", &[], send).await.map(|_| ()))
    }

    async fn deactivate_mfa_device(&self, user: &str, serial: &str) -> Result<(), Error> {
        let send = || self.client.deactivate_mfa_device().user_name(user).serial_number(serial).send();
        gone_is_fine(self.patience.call("DeactivateMFADevice", &[], send).await.map(|_| ()))
    }
}

fn or_empty(list: Result<Vec<Item>, Error>) -> Vec<Item> {
    list.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not list some contents of the user; assuming there are none");
        Vec::new()
    })
}
