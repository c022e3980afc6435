//! What CloudFormation sends, read by hand from raw JSON.
//!
//! A typed event whose properties don't parse never reaches a handler, and then nobody answers. So the envelope is
//! picked out of a [`Value`] field by field, and each field may be missing: `ResponseURL` alone decides whether an
//! answer can be sent at all.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::redact::ResponseUrl;

/// The three things that CloudFormation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestType {
    /// Make the connection.
    Create,
    /// Change it in place.
    Update,
    /// Take it away.
    Delete,
}

/// The fields of a request that every answer needs, as far as they were there.
///
/// Source: "Custom resource request objects" in the CloudFormation user guide.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// As it was written; [`Envelope::request_type`] reads it.
    pub request_type: String,
    /// Where the answer goes.
    pub response_url: Option<ResponseUrl>,
    /// `arn:P:cloudformation:R:A:stack/NAME/GUID`.
    pub stack_id: String,
    /// Unique for each request; a repeated delivery carries the same one.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_resource_id: String,
    /// The resource's id as CloudFormation has it: none in a Create.
    pub sent_physical_id: String,
    /// What the resource shall be.
    pub properties: Value,
    /// What it was before an Update; read leniently only.
    pub old_properties: Value,
}

impl Envelope {
    /// Takes the envelope out of an event; never fails.
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

    /// The request type, if it is one that this function knows.
    pub fn request_type(&self) -> Option<RequestType> {
        match self.request_type.as_str() {
            "Create" => Some(RequestType::Create),
            "Update" => Some(RequestType::Update),
            "Delete" => Some(RequestType::Delete),
            _ => None,
        }
    }

    /// The fields without which nothing can be made or found: they are the marks of ownership.
    pub fn missing(&self) -> Vec<&'static str> {
        [("StackId", &self.stack_id), ("RequestId", &self.request_id), ("LogicalResourceId", &self.logical_resource_id)]
            .into_iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(field, _)| field)
            .collect()
    }

    /// Whether the marks of ownership can be told from it.
    pub fn is_identified(&self) -> bool {
        !self.stack_id.is_empty() && !self.logical_resource_id.is_empty()
    }

    /// The one id that this resource has for ever.
    ///
    /// A changed id makes CloudFormation delete "the old one" after an Update, and a log stream's name as id did just
    /// that (aws-cdk#13527). A digest keeps it short whatever the names are: the limit is 1 KB.
    pub fn physical_resource_id(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.stack_id.as_bytes());
        digest.update([0]);
        digest.update(self.logical_resource_id.as_bytes());
        let hex = crate::redact::hex(&digest.finalize());
        format!("coiled-connection-{}", hex.get(..32).unwrap_or_default())
    }

    /// Whether this function has ever answered for this resource. Where it has not, CloudFormation makes an id up
    /// (cloudformation-coverage-roadmap#1814): the Create was cancelled, or its time was over.
    pub fn was_answered(&self) -> bool {
        self.sent_physical_id == self.physical_resource_id()
    }

    /// Partition, region and account of the stack, each if the StackId has it.
    pub fn stack(&self) -> Stack<'_> {
        let mut parts = self.stack_id.split(':');
        let mut part = |n| parts.nth(n).filter(|part| !part.is_empty());
        Stack { partition: part(1), region: part(1), account: part(0) }
    }
}

/// What a StackId says of the place where the stack is.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: Option<&'a str>,
    /// The stack's region.
    pub region: Option<&'a str>,
    /// The stack's account.
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
    fn an_event_of_any_shape_gives_an_envelope() {
        for event in [json!(null), json!([]), json!({"StackId": 7, "ResponseURL": {}})] {
            assert_eq!(Envelope::read(&event).missing(), ["StackId", "RequestId", "LogicalResourceId"]);
        }
    }

    #[test]
    fn a_stack_id_names_its_place() {
        let envelope = envelope("arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/a/b", "C");
        let stack = envelope.stack();
        assert_eq!(stack.partition, Some("aws-cn"));
        assert_eq!(stack.region, Some("cn-north-1"));
        assert_eq!(stack.account, Some("123456789012"));
    }

    #[test]
    fn the_physical_id_depends_on_stack_and_logical_id_alone() {
        let id = envelope("stack", "Connection").physical_resource_id();
        assert_eq!(id, envelope("stack", "Connection").physical_resource_id());
        assert_ne!(id, envelope("stack", "Other").physical_resource_id());
        assert_ne!(id, envelope("stackC", "onnection").physical_resource_id());
        assert!(id.len() < 1024);
    }
}
