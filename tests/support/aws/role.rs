//! The role that the function runs as: rendered from template.yaml, enforced for each of its calls, and recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::call::AwsCall;
use super::reply::Reply;
use super::{Aws, FUNCTION_KEY, Shared};
use crate::support::locked;
use crate::support::policy::evaluate::{Policy, Request};
use crate::support::policy::names::LOG_STREAM;
use crate::support::policy::record::{self, Entry};
use crate::support::policy::template::{Parameters, Place, Template};

/// A role, as the stack of one request makes it.
pub struct Role {
    parameters: Parameters,
    place: Place,
    policy: Policy,
    /// Whether a test is about a right that is missing.
    lacks_something: bool,
}

impl Role {
    /// The role under these parameters.
    pub fn new(parameters: Parameters, place: Place, lacks_something: bool) -> Self {
        let policy = Template::shipped().stack(&parameters, &place).role_policy();
        Self { parameters, place, policy, lacks_something }
    }

    /// Whether it grants this; noted down for the judgement of the whole suite.
    fn grants(&self, request: &Request) -> bool {
        let is_granted = self.policy.allows(request);
        if is_granted || !self.lacks_something {
            let (parameters, place) = (self.parameters.clone(), self.place.clone());
            record::note(&Entry { parameters, place, request: request.clone() });
        }
        is_granted
    }
}

impl Aws {
    /// CloudFormation makes or changes the role before it asks the function.
    pub fn set_role(&self, role: Role) {
        locked(&self.shared.facts).role = Some(Arc::new(role));
    }

    /// What Lambda does in the function's name at every invocation: opens a log stream, and writes to it.
    /// CreateLogStream is authorised on the stream to be (aws-solutions/aws-crr-monitor#8).
    pub fn write_log(&self, group: &str) {
        let stream = format!("{group}:log-stream:{LOG_STREAM}");
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            self.shared.missing(&[Request::new(action, &stream)]);
        }
    }

    /// What the role was asked for and does not grant.
    pub fn denied(&self) -> BTreeSet<String> {
        locked(&self.shared.facts).denied.clone()
    }

    /// The KMS key of a secret that has one of its own.
    pub fn key_of_secret(&self, secret: &str) -> Option<String> {
        locked(&self.shared.facts).secret_keys.get(secret).cloned()
    }
}

impl Shared {
    /// AccessDenied for what the function's role does not grant.
    pub(super) fn refusal(&self, call: &AwsCall) -> Option<Reply> {
        if call.access_key_id != FUNCTION_KEY {
            return None;
        }
        let missing = self.missing(&self.needs(call))?;
        let (status, code) = match call.service.as_str() {
            "secretsmanager" => (400, "AccessDeniedException"),
            _ => (403, "AccessDenied"),
        };
        Some(Reply::error(call, status, code, &missing))
    }

    /// The first of these that the role does not grant, in IAM's words.
    fn missing(&self, needs: &[Request]) -> Option<String> {
        // Without a role it is a test that makes the function's calls itself.
        let role = locked(&self.facts).role.clone()?;
        let missing = needs.iter().find(|request| !role.grants(request))?;
        let given = role.parameters.keys().cloned().collect::<Vec<_>>().join(", ");
        locked(&self.facts).denied.insert(format!("{missing} (the stack is given {given})"));
        Some(format!("not authorized to perform: {} on resource: {}", missing.action, missing.resource))
    }

    /// Notes that a secret has a KMS key of its own.
    pub(super) fn note_key_of_secret(&self, call: &AwsCall, reply: &Reply) {
        let made: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        if let (Some(arn), Some(key)) = (made["ARN"].as_str(), call.params.get("KmsKeyId")) {
            locked(&self.facts).secret_keys.insert(arn.to_owned(), key.clone());
        }
    }
}
