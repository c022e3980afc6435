//! The function's role. It is rendered from template.yaml and enforced for each of the function's calls, and every call
//! is recorded for the check of the whole suite.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::call::AwsCall;
use super::reply::Reply;
use super::{Aws, FUNCTION_KEY, Shared};
use crate::locked;
use crate::policy::evaluate::{Policy, Request};
use crate::policy::names::LOG_STREAM;
use crate::policy::record::{self, Entry};
use crate::policy::template::{Parameters, Place, Template};

/// The role in the stack of one request.
pub struct Role {
    parameters: Parameters,
    place: Place,
    policy: Policy,
    /// Whether the test expects a missing permission. Denied calls are then not recorded.
    lacks_something: bool,
}

impl Role {
    pub fn new(parameters: Parameters, place: Place, lacks_something: bool) -> Self {
        let policy = Template::shipped().stack(&parameters, &place).role_policy();
        Self { parameters, place, policy, lacks_something }
    }

    /// Whether the role grants this request. Records the request for the check of the whole suite.
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
    /// Replaces the role. CloudFormation creates or updates the role before it invokes the function.
    pub fn set_role(&self, role: Role) {
        locked(&self.shared.facts).role = Some(Arc::new(role));
    }

    /// Makes the calls that Lambda makes with the function's role at every invocation: it creates a log stream and
    /// writes to it. CreateLogStream is authorized on the new stream (aws-solutions/aws-crr-monitor#8).
    pub fn write_log(&self, group: &str) {
        let stream = format!("{group}:log-stream:{LOG_STREAM}");
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            self.shared.missing(&[Request::new(action, &stream)]);
        }
    }

    /// The requests that the role denied.
    pub fn denied(&self) -> BTreeSet<String> {
        locked(&self.shared.facts).denied.clone()
    }

    /// The customer managed KMS key of a secret, if it has one.
    pub fn key_of_secret(&self, secret: &str) -> Option<String> {
        locked(&self.shared.facts).secret_keys.get(secret).cloned()
    }
}

impl Shared {
    /// AccessDenied if the function's role does not grant a call.
    pub(super) fn denial(&self, call: &AwsCall) -> Option<Reply> {
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

    /// IAM's error message for the first request that the role does not grant.
    fn missing(&self, needs: &[Request]) -> Option<String> {
        // No role is set if a test makes calls with the function's credentials itself.
        let role = locked(&self.facts).role.clone()?;
        let missing = needs.iter().find(|request| !role.grants(request))?;
        let given = role.parameters.keys().cloned().collect::<Vec<_>>().join(", ");
        locked(&self.facts).denied.insert(format!("{missing} (stack parameters: {given})"));
        Some(format!("not authorized to perform: {} on resource: {}", missing.action, missing.resource))
    }

    /// Records a new secret's full ARN, and its customer managed KMS key.
    pub(super) fn note_new_secret(&self, call: &AwsCall, reply: &Reply) {
        let created: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let Some(arn) = created["ARN"].as_str() else { return };
        let mut facts = locked(&self.facts);
        facts.secret_arns.insert(arn.to_owned());
        if let Some(key) = call.params.get("KmsKeyId") {
            facts.secret_keys.insert(arn.to_owned(), key.clone());
        }
    }
}
