//! Reads CloudFormation's requests.
//!
//! A well-formed event is read through the types of `aws_lambda_events`. If the handler took those types as its
//! argument, an event that does not fit them would fail before the handler ran, and CloudFormation would never get a
//! response. So the handler takes a [`Value`]. An event that does not fit is read field by field, so that a response is
//! sent. The types print `ResponseURL` with its signature, so they stay in this module.

use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceRequest;
use serde::Deserialize;
use serde_json::Value;

use crate::cloudformation::physical_id::PhysicalId;
use crate::redact::ResponseUrl;

type Typed = CloudFormationCustomResourceRequest<Value, Value>;

/// The operation that CloudFormation requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestType {
    /// Create the connection.
    Create,
    /// Change the connection in place.
    Update,
    /// Delete the connection.
    Delete,
}

/// What a request asks for, with the fields that only some requests have.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Create the connection.
    Create,
    /// Change the connection in place.
    Update {
        /// The resource's physical ID as CloudFormation knows it.
        physical_id: String,
        /// The properties before the Update. Read them leniently: an earlier version may have accepted other values.
        old_properties: Value,
    },
    /// Delete the connection.
    Delete {
        /// The resource's physical ID as CloudFormation knows it.
        physical_id: String,
    },
    /// A request type that CloudFormation does not send, exactly as in the event.
    Unknown(String),
}

/// A request. A field that is missing from a malformed event is empty.
///
/// Source: "Custom resource request objects" in the CloudFormation user guide.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// What is requested.
    pub request: Request,
    /// Where to PUT the response. `None` if it is missing or not a web address.
    pub response_url: Option<ResponseUrl>,
    /// `arn:P:cloudformation:R:A:stack/NAME/GUID`.
    pub stack_id: String,
    /// Unique per request. A repeated delivery of a request has the same ID.
    pub request_id: String,
    /// The resource's name in the template.
    pub logical_resource_id: String,
    /// The desired properties.
    pub properties: Value,
    /// Why the event is malformed. `None` if it is well-formed.
    pub malformed: Option<String>,
}

/// Builds the envelope from a typed request. The three kinds of typed requests share these field names.
macro_rules! envelope {
    ($typed:ident, $request:expr) => {
        Envelope {
            request: $request,
            response_url: ResponseUrl::parse(&$typed.response_url),
            stack_id: $typed.stack_id,
            request_id: $typed.request_id,
            logical_resource_id: $typed.logical_resource_id,
            properties: $typed.resource_properties,
            malformed: None,
        }
    };
}

impl Envelope {
    /// Reads any JSON value and never fails.
    pub fn read(event: &Value) -> Self {
        Self::typed(event).unwrap_or_else(|reason| Self { malformed: Some(reason), ..Self::lenient(event) })
    }

    /// Reads a well-formed event. The error says why the event is malformed.
    fn typed(event: &Value) -> Result<Self, String> {
        match Typed::deserialize(event).map_err(|error| error.to_string())? {
            Typed::Create(event) => Ok(envelope!(event, Request::Create)),
            Typed::Update(event) => {
                let (physical_id, old_properties) = (event.physical_resource_id, event.old_resource_properties);
                Ok(envelope!(event, Request::Update { physical_id, old_properties }))
            }
            Typed::Delete(event) => {
                let physical_id = event.physical_resource_id;
                Ok(envelope!(event, Request::Delete { physical_id }))
            }
            _ => Err("unknown request type".into()),
        }
    }

    /// Reads each field that the event contains.
    fn lenient(event: &Value) -> Self {
        let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = |field: &str| event.get(field).cloned().unwrap_or(Value::Null);
        let physical_id = text("PhysicalResourceId");
        let request = match text("RequestType").as_str() {
            "Create" => Request::Create,
            "Update" => Request::Update { physical_id, old_properties: value("OldResourceProperties") },
            "Delete" => Request::Delete { physical_id },
            other => Request::Unknown(other.to_owned()),
        };
        Self {
            request,
            response_url: ResponseUrl::parse(&text("ResponseURL")),
            stack_id: text("StackId"),
            request_id: text("RequestId"),
            logical_resource_id: text("LogicalResourceId"),
            properties: value("ResourceProperties"),
            malformed: None,
        }
    }

    /// The request type. `None` if it is unknown.
    pub(crate) fn request_type(&self) -> Option<RequestType> {
        match self.request {
            Request::Create => Some(RequestType::Create),
            Request::Update { .. } => Some(RequestType::Update),
            Request::Delete { .. } => Some(RequestType::Delete),
            Request::Unknown(_) => None,
        }
    }

    /// The request type as it was written, for the log.
    pub(crate) fn type_name(&self) -> &str {
        match &self.request {
            Request::Create => "Create",
            Request::Update { .. } => "Update",
            Request::Delete { .. } => "Delete",
            Request::Unknown(name) => name,
        }
    }

    /// The properties before an Update; null in every other request.
    pub fn old_properties(&self) -> &Value {
        match &self.request {
            Request::Update { old_properties, .. } => old_properties,
            Request::Create | Request::Delete { .. } | Request::Unknown(_) => &Value::Null,
        }
    }

    /// The required fields that are missing. The ownership tags and the lease are built from these.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        [("StackId", &self.stack_id), ("RequestId", &self.request_id), ("LogicalResourceId", &self.logical_resource_id)]
            .into_iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(field, _)| field)
            .collect()
    }

    /// Whether the request contains everything that the ownership tags need.
    pub(crate) fn is_identified(&self) -> bool {
        !self.stack_id.is_empty() && !self.logical_resource_id.is_empty()
    }

    /// The physical ID to respond with: the ID that CloudFormation sent if it belongs to this resource, otherwise a new
    /// one.
    pub fn physical_resource_id(&self) -> PhysicalId {
        self.sent_physical_id().unwrap_or_else(|| self.new_physical_id())
    }

    /// Whether this function has ever responded for this resource. If the Create was canceled or timed out,
    /// CloudFormation generates another physical ID itself (cloudformation-coverage-roadmap#1814).
    pub(crate) fn was_answered(&self) -> bool {
        self.sent_physical_id().is_some()
    }

    fn new_physical_id(&self) -> PhysicalId {
        PhysicalId::new(&self.stack_id, &self.logical_resource_id)
    }

    fn sent_physical_id(&self) -> Option<PhysicalId> {
        match &self.request {
            Request::Update { physical_id, .. } | Request::Delete { physical_id } => {
                self.new_physical_id().sent(physical_id)
            }
            Request::Create | Request::Unknown(_) => None,
        }
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
    /// For example `us-east-1`.
    pub region: Option<&'a str>,
    /// The 12-digit account ID.
    pub account: Option<&'a str>,
}

#[cfg(test)]
mod tests;
