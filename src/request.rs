//! Reads CloudFormation's requests from raw JSON.
//!
//! With a typed event, Lambda fails before the handler runs if a property does not parse, and CloudFormation never gets
//! a response. So the fields are read one by one from a [`Value`], and each may be missing. Only `ResponseURL` is
//! required to respond.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::redact::ResponseUrl;

/// The operation that CloudFormation requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// Create the connection.
    Create,
    /// Change the connection in place.
    Update,
    /// Delete the connection.
    Delete,
}

/// The fields of a request. A missing field is empty.
///
/// Source: "Custom resource request objects" in the CloudFormation user guide.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The unparsed text. [`Envelope::request_type`] parses it.
    pub request_type: String,
    /// Where to PUT the response. `None` if it is missing or not a web address.
    pub response_url: Option<ResponseUrl>,
    /// `arn:P:cloudformation:R:A:stack/NAME/GUID`.
    pub stack_id: String,
    /// Unique per request. A repeated delivery of a request has the same ID.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_resource_id: String,
    /// The resource's physical ID as CloudFormation knows it. Empty in a Create.
    pub sent_physical_id: String,
    /// The wanted properties.
    pub properties: Value,
    /// The properties before an Update. Read them leniently: an earlier version may have accepted other values.
    pub old_properties: Value,
}

impl Envelope {
    /// Reads any JSON value and never fails.
    pub fn read(event: &Value) -> Self {
        let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = |field: &str| event.get(field).cloned().unwrap_or(Value::Null);
        Self {
            request_type: text("RequestType"),
            response_url: ResponseUrl::parse(&text("ResponseURL")),
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            sent_physical_id: text("PhysicalResourceId"),
            properties: value("ResourceProperties"),
            old_properties: value("OldResourceProperties"),
        }
    }

    /// The parsed request type. `None` if it is unknown.
    pub fn request_type(&self) -> Option<RequestType> {
        match self.request_type.as_str() {
            "Create" => Some(RequestType::Create),
            "Update" => Some(RequestType::Update),
            "Delete" => Some(RequestType::Delete),
            _ => None,
        }
    }

    /// The required fields that are missing. Ownership tags and lease are built from them.
    pub fn missing(&self) -> Vec<&'static str> {
        [("StackId", &self.stack_id), ("RequestId", &self.request_id), ("LogicalResourceId", &self.logical_resource_id)]
            .into_iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(field, _)| field)
            .collect()
    }

    /// Whether the request contains everything that the ownership tags need.
    pub fn is_identified(&self) -> bool {
        !self.stack_id.is_empty() && !self.logical_resource_id.is_empty()
    }

    /// The physical ID of this resource, which never changes.
    ///
    /// If an Update returns another ID, CloudFormation deletes the resource with the old one. A log stream's name as ID
    /// caused that (aws-cdk#13527). A digest keeps the ID within CloudFormation's limit of 1 KB.
    pub fn physical_resource_id(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.stack_id.as_bytes());
        digest.update([0]);
        digest.update(self.logical_resource_id.as_bytes());
        let hex = crate::redact::hex(&digest.finalize());
        format!("coiled-connection-{}", hex.get(..32).unwrap_or_default())
    }

    /// Whether this function has ever responded for this resource. If the Create was canceled or timed out,
    /// CloudFormation generates another physical ID itself (cloudformation-coverage-roadmap#1814).
    pub fn was_answered(&self) -> bool {
        self.sent_physical_id == self.physical_resource_id()
    }

    /// Reads the stack's partition, region and account from the StackId.
    pub fn stack(&self) -> Stack<'_> {
        let mut parts = self.stack_id.split(':');
        let mut part = |n| parts.nth(n).filter(|part| !part.is_empty());
        Stack { partition: part(1), region: part(1), account: part(0) }
    }
}

/// The location of the stack. A part is `None` if the StackId does not contain it.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: Option<&'a str>,
    /// Such as `us-east-1`.
    pub region: Option<&'a str>,
    /// The 12-digit account ID.
    pub account: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(stack_id: &str, logical_resource_id: &str) -> Envelope {
        Envelope::read(&json!({"StackId": stack_id, "LogicalResourceId": logical_resource_id}))
    }

    #[test]
    fn an_event_of_any_shape_can_be_read() {
        for event in [json!(null), json!([]), json!({"StackId": 7, "ResponseURL": {}})] {
            assert_eq!(Envelope::read(&event).missing(), ["StackId", "RequestId", "LogicalResourceId"]);
        }
    }

    #[test]
    fn a_stack_id_contains_partition_region_and_account() {
        let envelope = envelope("arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/a/b", "C");
        let stack = envelope.stack();
        assert_eq!(stack.partition, Some("aws-cn"));
        assert_eq!(stack.region, Some("cn-north-1"));
        assert_eq!(stack.account, Some("123456789012"));
    }

    #[test]
    fn the_physical_id_depends_only_on_the_stack_and_the_logical_id() {
        let id = envelope("stack", "Connection").physical_resource_id();
        assert_eq!(id, envelope("stack", "Connection").physical_resource_id());
        assert_ne!(id, envelope("stack", "Other").physical_resource_id());
        assert_ne!(id, envelope("stackC", "onnection").physical_resource_id());
        assert!(id.len() < 1024);
    }
}
