//! Changes that a person makes by hand, to the stack's resources and to other resources in the account.

use super::World;

/// A valid policy document with one harmless permission.
pub const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}"#;

/// A self-signed certificate.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUDiPmpy1X4e5LgRNUtPe7ppIyzzIwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMxNzIyMTZaGA8yMTI2MTAzMDE3MjIx
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBfY
NS9sTsph7ZWhOvz/+f0Hb1bbtJKuz8Lv5j4ByedjWdgY8bFUWzqegkemY8ajZZ+n
vEyG6yIMwJax+Lel9J+jUzBRMB0GA1UdDgQWBBQupAGAhHeH0pG+5WlRpj6fEy+5
ZzAfBgNVHSMEGDAWgBQupAGAhHeH0pG+5WlRpj6fEy+5ZzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQCBnlJPoXTkP/i7u3zAPAXqw5lDPEXSJVIC
2yPMGDidlAIgdj3+j2ipR/un9N8GNkBYJcqLgicdw2vDQL5WLsjQFf4=
-----END CERTIFICATE-----";

impl World {
    /// Adds to a user everything that blocks its deletion, except groups and access keys: a password, an MFA device, an
    /// SSH key, a signing certificate, a service-specific credential, an inline policy and a managed policy.
    pub async fn put_everything_into(&self, user: &str) {
        let iam = &self.iam;
        iam.create_login_profile().user_name(user).password("Pa55word!Pa55word").send().await.unwrap();
        let device = iam.create_virtual_mfa_device().virtual_mfa_device_name("phone").send().await.unwrap();
        let serial = device.virtual_mfa_device.unwrap().serial_number;
        let enable = iam.enable_mfa_device().user_name(user).serial_number(&serial);
        enable.authentication_code1("123456").authentication_code2("654321").send().await.unwrap();
        iam.upload_ssh_public_key().user_name(user).ssh_public_key_body("ssh-rsa AAAA test").send().await.unwrap();
        iam.upload_signing_certificate().user_name(user).certificate_body(CERTIFICATE).send().await.unwrap();
        self.aws.add_service_specific_credential(user, "ACCACREDENTIAL");
        iam.put_user_policy().user_name(user).policy_name("inline").policy_document(DOCUMENT).send().await.unwrap();
        let arn = self.create_policy_by_hand("/", "own").await;
        iam.attach_user_policy().user_name(user).policy_arn(arn).send().await.unwrap();
    }

    /// Creates a policy without tags and returns its ARN.
    pub async fn create_policy_by_hand(&self, path: &str, name: &str) -> String {
        let created = self.iam.create_policy().path(path).policy_name(name).policy_document(DOCUMENT).send().await;
        created.unwrap().policy.unwrap().arn.unwrap()
    }

    /// Creates an access key of a user and returns its ID.
    pub async fn create_key_by_hand(&self, user: &str) -> String {
        self.iam.create_access_key().user_name(user).send().await.unwrap().access_key.unwrap().access_key_id
    }

    /// Makes the policy the permissions boundary of a new role or user named `theirs`.
    pub async fn bound_elsewhere(&self, kind: &str, arn: &str) {
        let (iam, trust) = (&self.iam, r#"{"Version":"2012-10-17","Statement":[]}"#);
        if kind == "role" {
            iam.create_role().role_name("theirs").assume_role_policy_document(trust).send().await.unwrap();
            let put = iam.put_role_permissions_boundary().role_name("theirs").permissions_boundary(arn);
            put.send().await.unwrap();
        } else {
            iam.create_user().user_name("theirs").send().await.unwrap();
            let put = iam.put_user_permissions_boundary().user_name("theirs").permissions_boundary(arn);
            put.send().await.unwrap();
        }
    }

    /// Removes the permissions boundary that [`World::bound_elsewhere`] set.
    pub async fn unbound_elsewhere(&self, kind: &str) {
        let iam = &self.iam;
        if kind == "role" {
            iam.delete_role_permissions_boundary().role_name("theirs").send().await.map(drop).unwrap();
        } else {
            iam.delete_user_permissions_boundary().user_name("theirs").send().await.map(drop).unwrap();
        }
    }

    /// Deletes the user as the console does, which first detaches its policies and deletes its keys.
    pub async fn delete_user_by_hand(&self) {
        for name in self.attached("coiled").await {
            let arn = self.policy_arn(&name);
            self.iam.detach_user_policy().user_name("coiled").policy_arn(arn).send().await.unwrap();
        }
        for key in self.keys("coiled").await {
            self.iam.delete_access_key().user_name("coiled").access_key_id(key).send().await.unwrap();
        }
        self.iam.delete_user().user_name("coiled").send().await.unwrap();
    }

    /// Deletes a key of the user `coiled`.
    pub async fn delete_key_by_hand(&self, id: &str) {
        self.iam.delete_access_key().user_name("coiled").access_key_id(id).send().await.unwrap();
    }

    /// Deletes the key of the user `coiled` that Coiled does not hold. The user has two keys if the outcome of the last
    /// registration is unknown.
    pub async fn choose_key_by_hand(&self) {
        let held = self.coiled.connection("ada").map(|held| held.access_key_id()).unwrap_or_default();
        let keys = self.keys("coiled").await;
        assert!(keys.len() == 2 && keys.contains(&held), "both keys must exist until a person chooses: {keys:?}");
        for key in keys.iter().filter(|key| **key != held) {
            self.delete_key_by_hand(key).await;
        }
    }

    /// Deactivates a key of the user `coiled`.
    pub async fn deactivate_key_by_hand(&self, id: &str) {
        let update = self.iam.update_access_key().user_name("coiled").access_key_id(id);
        update.status(aws_sdk_iam::types::StatusType::Inactive).send().await.unwrap();
    }

    /// Removes tags of the user `coiled`.
    pub async fn untag_user_by_hand(&self, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.iam.untag_user().user_name("coiled").set_tag_keys(Some(keys)).send().await.unwrap();
    }

    /// Removes tags of a policy.
    pub async fn untag_policy_by_hand(&self, name: &str, keys: &[&str]) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let arn = self.policy_arn(name);
        self.iam.untag_policy().policy_arn(arn).set_tag_keys(Some(keys)).send().await.unwrap();
    }

    /// Creates a role, a group or a user named `theirs`, depending on `kind`, and attaches the policy to it.
    pub async fn attach_elsewhere(&self, kind: &str, arn: &str) {
        let (iam, trust) = (&self.iam, r#"{"Version":"2012-10-17","Statement":[]}"#);
        match kind {
            "role" => {
                iam.create_role().role_name("theirs").assume_role_policy_document(trust).send().await.unwrap();
                iam.attach_role_policy().role_name("theirs").policy_arn(arn).send().await.map(drop).unwrap();
            }
            "group" => {
                iam.create_group().group_name("theirs").send().await.unwrap();
                iam.attach_group_policy().group_name("theirs").policy_arn(arn).send().await.map(drop).unwrap();
            }
            _ => {
                iam.create_user().user_name("theirs").send().await.unwrap();
                iam.attach_user_policy().user_name("theirs").policy_arn(arn).send().await.map(drop).unwrap();
            }
        }
    }

    /// Detaches the policy that [`World::attach_elsewhere`] attached.
    pub async fn detach_elsewhere(&self, kind: &str, arn: &str) {
        let iam = &self.iam;
        let detached = match kind {
            "role" => iam.detach_role_policy().role_name("theirs").policy_arn(arn).send().await.is_ok(),
            "group" => iam.detach_group_policy().group_name("theirs").policy_arn(arn).send().await.is_ok(),
            _ => iam.detach_user_policy().user_name("theirs").policy_arn(arn).send().await.is_ok(),
        };
        assert!(detached, "{kind}");
    }
}
