//! What a workspace is connected to, as Coiled shows it; and taking the connection away.

use reqwest::Method;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Coiled;
use super::http::words;
use crate::error::Error;
use crate::redact::hex;

/// The readable options of a workspace: everything but the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(Value);

/// What came of taking a connection away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disconnected {
    /// Coiled has forgotten the credentials.
    Now,
    /// There was nothing to forget.
    Already,
}

impl Shown {
    /// Reads an answer of `backend_options`.
    pub fn new(answer: Value) -> Self {
        Self(answer)
    }

    fn backend(&self) -> &str {
        self.0.get("backend").and_then(Value::as_str).unwrap_or_default()
    }

    fn option(&self, name: &str) -> &str {
        self.0.get("options").and_then(|options| options.get(name)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the workspace is connected to a cloud. One never configured showed a default backend and a region in
    /// 2022; the backends' old names (`vm_aws`, …) say the provider themselves.
    pub fn is_connected(&self) -> bool {
        match self.backend() {
            "vm" => !self.option("provider_name").is_empty(),
            "vm_aws" | "vm_gcp" | "vm_azure" => true,
            _ => false,
        }
    }

    /// Whether this is an AWS connection of that region: all that is known of a registration whose outcome is not.
    pub fn is_aws_in(&self, region: &str) -> bool {
        self.is_connected() && self.option("provider_name") == "aws" && self.option("aws_region_name") == region
    }

    /// A digest by which the same connection is recognised later. What is null or empty does not count, so that a new
    /// field of the server's that nobody has filled changes nothing.
    pub fn digest(&self) -> String {
        let part = |name: &str| self.0.get(name).and_then(essential).unwrap_or_default();
        hex(&Sha256::digest(format!("{}\n{}", part("backend"), part("options"))))
    }

    /// For a person: which cloud, which region.
    pub fn describe(&self) -> String {
        let parts = [self.option("provider_name"), self.option("aws_region_name")];
        let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if known.is_empty() { format!("backend {}", self.backend()) } else { known.join(", ") }
    }
}

/// A value without what is null or empty, its objects' keys in order; `None` if nothing remains.
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
    /// What the workspace is connected to; 404 where it, or anything of it, is unknown.
    pub async fn shown(&self, workspace: &str) -> Result<Shown, Error> {
        let reply = self.get(&["api", "v1", workspace, "backend_options", ""]).await?;
        match reply.status {
            404 => Ok(Shown::new(Value::Null)),
            _ => reply.json().map(Shown::new),
        }
    }

    /// Makes Coiled forget the workspace's AWS credentials, whoever set them: so look first at whose they are.
    /// `confirm` answers for a person when Coiled asks one.
    pub async fn disconnect(&self, workspace: &str, confirm: bool) -> Result<Disconnected, Error> {
        let path = ["api", "v2", "cloud-credentials", workspace, "aws"];
        let mut reply = self.send(Method::DELETE, &path, None).await?;
        if reply.action_required().as_deref() == Some("confirm") {
            if !confirm {
                return Err(Error::Confirm(words(&reply.body)));
            }
            reply = self.send(Method::DELETE, &path, Some("confirm=1")).await?;
        }
        match reply.status {
            404 => Ok(Disconnected::Already),
            // Without a body is fine; what is no JSON comes from something in between, and Coiled has forgotten nothing.
            _ if reply.is_success() && reply.body.trim().is_empty() => Ok(Disconnected::Now),
            _ => reply.json().map(|_| Disconnected::Now),
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
    fn connected_needs_backend_and_provider() {
        assert!(Shown::new(aws("us-east-2")).is_connected());
        assert!(Shown::new(json!({"backend": "vm_aws", "options": {}})).is_connected());
        for nothing in [
            json!(null),
            json!({"backend": "vm", "options": {"aws_region_name": "us-east-2"}}),
            json!({"backend": "x"}),
        ] {
            assert!(!Shown::new(nothing.clone()).is_connected(), "{nothing}");
        }
    }

    #[test]
    fn empty_fields_change_no_digest_and_full_ones_do() {
        let plain = Shown::new(aws("us-east-2"));
        let mut padded = aws("us-east-2");
        padded["options"]["network"] = json!({"network_id": null, "x": []});
        padded["registry"] = json!({"type": "ecr"});
        assert_eq!(plain.digest(), Shown::new(padded.clone()).digest());
        padded["options"]["network"]["network_id"] = json!("vpc-1");
        assert_ne!(plain.digest(), Shown::new(padded).digest());
        assert_ne!(plain.digest(), Shown::new(aws("us-east-1")).digest());
    }
}
