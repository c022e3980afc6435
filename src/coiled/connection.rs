//! Reads a workspace's connection to a cloud, and disconnects the workspace.

use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Coiled;
use super::http::words;
use crate::error::Error;
use crate::redact::{hex, shown};

/// A workspace's connection as Coiled shows it: all options except the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(Value);

/// The result of a disconnect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disconnected {
    /// Coiled removed the credentials.
    Now,
    /// Coiled had no credentials for the workspace.
    Already,
}

impl Shown {
    /// Wraps a response from `backend_options`.
    pub fn new(response: Value) -> Self {
        Self(response)
    }

    fn backend(&self) -> &str {
        self.0.get("backend").and_then(Value::as_str).unwrap_or_default()
    }

    fn option(&self, name: &str) -> &str {
        self.0.get("options").and_then(|options| options.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the workspace is connected to a cloud account of its owner.
    ///
    /// A new workspace runs on Coiled's own cloud. It then has the backend `vm_aws`, `vm_gcp` or `vm_azure`, with a
    /// region and perhaps a provider. Only the backend `vm` is a customer's account: see `is_customer_hosted` in the
    /// published client's `utils`. In 2022, an unconfigured workspace had the backend `vm` and a region, but no
    /// provider.
    pub fn is_connected(&self) -> bool {
        self.backend() == "vm" && !self.option("provider_name").is_empty()
    }

    /// Whether this is an AWS connection in that region. For a pending registration, nothing more can be compared.
    pub fn is_aws_in(&self, region: &str) -> bool {
        self.is_connected() && self.option("provider_name") == "aws" && self.option("aws_region_name") == region
    }

    /// Whether this is a connection by access key, in that region and with these network options. Coiled does not show
    /// anything else about such a connection. A connection by role delegation also has a role.
    pub(crate) fn is_by_key_in(&self, region: &str, network: &Value) -> bool {
        let shown = self.0.get("options").and_then(|options| options.get("network"));
        self.is_aws_in(region)
            && self.option("account_role").is_empty()
            && shown.and_then(essential) == essential(network)
    }

    /// A digest that identifies this connection in later responses.
    ///
    /// Null and empty values are left out, so the digest does not change if Coiled adds a field that is not set.
    pub fn digest(&self) -> String {
        let part = |name: &str| self.0.get(name).and_then(essential).unwrap_or_default();
        hex(&Sha256::digest(format!("{}\n{}", part("backend"), part("options"))))
    }

    /// The cloud and the region, for logs and error texts.
    pub fn describe(&self) -> String {
        let parts = [self.option("provider_name"), self.option("aws_region_name")];
        let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        shown(&if known.is_empty() { format!("backend {}", self.backend()) } else { known.join(", ") })
    }
}

/// The value without null and empty parts and with sorted keys. `None` if nothing remains.
fn essential(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => Some(items.iter().filter_map(essential).collect::<Vec<_>>())
            .filter(|items| !items.is_empty())
            .map(Value::Array),
        Value::Object(map) => {
            let mut fields: Vec<_> =
                map.iter().filter_map(|(key, value)| Some((key.clone(), essential(value)?))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Some(Value::Object(fields.into_iter().collect()))
                .filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
        }
        other => Some(other.clone()),
    }
}

impl Coiled {
    /// The workspace's connection. A 404 counts as not connected, because Coiled does not know the workspace or its
    /// options.
    pub(crate) async fn shown(&self, workspace: &str) -> Result<Shown, Error> {
        let response = self.get(&["api", "v1", workspace, "backend_options", ""]).await?;
        match response.status {
            404 => Ok(Shown::new(Value::Null)),
            _ => response.json().map(Shown::new),
        }
    }

    /// Removes the workspace's AWS credentials from Coiled.
    ///
    /// Coiled removes them regardless of who set them, so the caller must first check that they belong to this stack.
    /// If Coiled asks for confirmation and `confirm` is false, this fails.
    pub(crate) async fn disconnect(&self, workspace: &str, confirm: bool) -> Result<Disconnected, Error> {
        let path = ["api", "v2", "cloud-credentials", workspace, "aws"];
        let mut response = self.send(Method::DELETE, &path, None).await?;
        if response.action_required().as_deref() == Some("confirm") {
            if !confirm {
                return Err(Error::Confirm(words(&response.body)));
            }
            response = self.send(Method::DELETE, &path, Some("confirm=1")).await?;
        }
        match response.status {
            404 => Ok(Disconnected::Already),
            // An empty body means success. A body that is not JSON comes from a proxy, so Coiled has not removed
            // anything.
            _ if response.is_success() && response.body.trim().is_empty() => Ok(Disconnected::Now),
            _ => response.json().map(|_| Disconnected::Now),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn aws(region: &str) -> Value {
        json!({"backend": "vm", "options": {"provider_name": "aws", "aws_region_name": region}})
    }

    #[test]
    fn a_workspace_is_connected_only_if_it_has_a_backend_and_a_provider() {
        assert!(Shown::new(aws("us-east-2")).is_connected());
        let hosted =
            |cloud| json!({"backend": cloud, "options": {"provider_name": "aws", "aws_region_name": "us-east-2"}});
        for unconnected in [
            json!(null),
            json!({}),
            json!([]),
            json!({"backend": null, "options": null}),
            json!({"backend": "vm"}),
            json!({"backend": "vm", "options": null}),
            json!({"backend": "vm", "options": {"aws_region_name": "us-east-2"}}),
            json!({"backend": "vm", "options": {"aws_region_name": "us-east-2", "provider_name": null}}),
            json!({"backend": "x"}),
            hosted("vm_aws"),
            hosted("vm_gcp"),
            hosted("vm_azure"),
        ] {
            assert!(!Shown::new(unconnected.clone()).is_connected(), "{unconnected}");
        }
    }

    #[test]
    fn the_digest_ignores_empty_fields_and_includes_all_others() {
        let plain = Shown::new(aws("us-east-2"));
        let mut padded = aws("us-east-2");
        padded["options"]["network"] = json!({"network_id": null, "x": []});
        padded["registry"] = json!({"type": "ecr"});
        assert_eq!(plain.digest(), Shown::new(padded.clone()).digest());
        padded["options"]["network"]["network_id"] = json!("vpc-1");
        assert_ne!(plain.digest(), Shown::new(padded).digest());
        assert_ne!(plain.digest(), Shown::new(aws("us-east-1")).digest());
    }

    /// Delete disconnects a workspace whose record a person removed if its connection fits the properties.
    #[test]
    fn only_an_aws_connection_by_key_in_the_same_region_and_network_fits_the_properties() {
        let with = |option: &str, value: Value| {
            let mut response = aws("us-east-2");
            response["options"][option] = value;
            Shown::new(response)
        };
        let (none, own) = (Value::Null, json!({"network_id": "vpc-1"}));
        let fits = |shown: &Shown, network| shown.is_by_key_in("us-east-2", network);
        for (shown, network) in [
            (Shown::new(aws("us-east-2")), &none),
            (with("network", json!({"network_id": "", "firewall_id": null})), &none),
            (with("network", json!({"network_id": "vpc-1", "firewall_id": ""})), &own),
        ] {
            assert!(shown.is_aws_in("us-east-2") && fits(&shown, network), "{shown:?}");
        }
        for (shown, is_aws) in [
            (Shown::new(json!(null)), false),
            (Shown::new(aws("us-east-1")), false),
            (with("provider_name", json!("gcp")), false),
            (with("provider_name", json!("")), false),
            (with("account_role", json!("arn:aws:iam::111122223333:role/coiled")), true),
            (with("network", own.clone()), true),
        ] {
            assert_eq!((shown.is_aws_in("us-east-2"), fits(&shown, &none)), (is_aws, false), "{shown:?}");
        }
        assert!(!fits(&Shown::new(aws("us-east-2")), &own));
        let hosted = Shown::new(json!({"backend": "vm_aws", "options": aws("us-east-2")["options"]}));
        assert!(!hosted.is_aws_in("us-east-2"));
    }
}
