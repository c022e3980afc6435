//! What is in a user and keeps it from being deleted: some of it ours, the rest put there by a person.
//!
//! IAM deletes no user that still has any of these (terraform-provider-aws#12903). The user is ours, so what is in it
//! goes with it. Groups alone stay: RemoveUserFromGroup is authorised on the group, and a right over every group is too
//! much for this function.

use std::fmt;

use futures_util::future::try_join_all;

use super::Iam;
use crate::aws::{absent_is_none, gone_is_fine};
use crate::error::Error;

/// One thing in a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An access key's id.
    AccessKey(String),
    /// The ARN of an attached managed policy.
    AttachedPolicy(String),
    /// The name of an inline policy.
    InlinePolicy(String),
    /// A password for the console.
    LoginProfile,
    /// A signing certificate's id.
    SigningCertificate(String),
    /// An SSH public key's id.
    SshPublicKey(String),
    /// A service-specific credential's id.
    ServiceSpecificCredential(String),
    /// An MFA device's serial number; it is deactivated, and the device itself stays in the account.
    MfaDevice(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::AccessKey(id) => write!(f, "access key {id}"),
            Item::AttachedPolicy(arn) => write!(f, "attachment of {arn}"),
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
    /// Everything in the user that has to go before it can.
    ///
    /// A list that can't be had is not in the way: if something of its kind is there, DeleteUser says so.
    pub async fn contents(&self, user: &str) -> Vec<Item> {
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
        lists.into_iter().flat_map(or_nothing).collect()
    }

    /// Removes one thing; one that isn't there any more is fine.
    pub async fn remove(&self, user: &str, item: &Item) -> Result<(), Error> {
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

    /// Removes many things side by side.
    pub async fn remove_all(&self, user: &str, items: &[Item]) -> Result<(), Error> {
        try_join_all(items.iter().map(|item| self.remove(user, item))).await.map(|_| ())
    }

    /// The groups that the user is in.
    pub async fn groups(&self, user: &str) -> Result<Vec<String>, Error> {
        let send = || self.client.list_groups_for_user().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListGroupsForUser", &[], send).await)?;
        Ok(reply.map(|reply| reply.groups).unwrap_or_default().into_iter().map(|group| group.group_name).collect())
    }

    async fn access_keys(&self, user: &str) -> Result<Vec<Item>, Error> {
        Ok(self.keys(user).await?.into_iter().map(|key| Item::AccessKey(key.id)).collect())
    }

    async fn attached_policies(&self, user: &str) -> Result<Vec<Item>, Error> {
        Ok(self.attached(user).await?.into_iter().map(Item::AttachedPolicy).collect())
    }

    async fn inline_policies(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.list_user_policies().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListUserPolicies", &[], send).await)?;
        Ok(reply.map(|reply| reply.policy_names).unwrap_or_default().into_iter().map(Item::InlinePolicy).collect())
    }

    async fn login_profile(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.get_login_profile().user_name(user).send();
        let reply = absent_is_none(self.patience.call("GetLoginProfile", &[], send).await)?;
        Ok(reply.map(|_| Item::LoginProfile).into_iter().collect())
    }

    async fn signing_certificates(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.list_signing_certificates().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListSigningCertificates", &[], send).await)?;
        let certificates = reply.map(|reply| reply.certificates).unwrap_or_default();
        Ok(certificates.into_iter().map(|certificate| Item::SigningCertificate(certificate.certificate_id)).collect())
    }

    async fn ssh_public_keys(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.list_ssh_public_keys().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListSSHPublicKeys", &[], send).await)?;
        let keys = reply.and_then(|reply| reply.ssh_public_keys).unwrap_or_default();
        Ok(keys.into_iter().map(|key| Item::SshPublicKey(key.ssh_public_key_id)).collect())
    }

    async fn service_specific_credentials(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.list_service_specific_credentials().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListServiceSpecificCredentials", &[], send).await)?;
        let credentials = reply.and_then(|reply| reply.service_specific_credentials).unwrap_or_default();
        let item = |id| Item::ServiceSpecificCredential(id);
        Ok(credentials.into_iter().map(|credential| item(credential.service_specific_credential_id)).collect())
    }

    async fn mfa_devices(&self, user: &str) -> Result<Vec<Item>, Error> {
        let send = || self.client.list_mfa_devices().user_name(user).send();
        let reply = absent_is_none(self.patience.call("ListMFADevices", &[], send).await)?;
        let devices = reply.map(|reply| reply.mfa_devices).unwrap_or_default();
        Ok(devices.into_iter().map(|device| Item::MfaDevice(device.serial_number)).collect())
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

fn or_nothing(list: Result<Vec<Item>, Error>) -> Vec<Item> {
    list.unwrap_or_else(|error| {
        tracing::warn!(%error, "a list of what is in the user can't be had");
        Vec::new()
    })
}
