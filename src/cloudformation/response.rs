//! The one response to a request: built within CloudFormation's size limit, and sent until S3 accepts it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cloudformation::physical_id::PhysicalId;
use crate::cloudformation::request::{Envelope, RequestType};
use crate::deadline::Deadlines;
use crate::error::Failure;
use crate::redact::{ResponseUrl, cut_middle, shorten};

/// The longest response that CloudFormation accepts, in bytes after JSON encoding (aws-cdk#23958).
pub(crate) const LIMIT: usize = 4096;

/// `sam deploy` and the console cannot update a stack whose creation was rolled back.
const AFTER_CREATE: &str = " If the stack is in ROLLBACK_COMPLETE, delete it before you deploy again.";

/// The attributes for `Fn::GetAtt`. This project returns strings only.
pub(crate) type Data = BTreeMap<&'static str, String>;

/// A response as CloudFormation reads it.
///
/// There is no `NoEcho` field, because [`Data`] does not contain secrets. The field would also mask the values in the
/// stack's outputs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Response<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    physical_resource_id: String,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    data: Data,
}

impl<'a> Response<'a> {
    /// The response to a request. A failure's `Reason` ends with the location of the log, `log`.
    pub(crate) fn new(envelope: &'a Envelope, outcome: &Result<Data, Failure>, log: &str) -> Self {
        let (status, reason, data) = match outcome {
            Ok(data) => ("SUCCESS", String::new(), data.clone()),
            Err(failure) => {
                let advice = if envelope.request_type() == Some(RequestType::Create) { AFTER_CREATE } else { "" };
                ("FAILED", format!("{}{advice} Log: {}", failure.reason(), shorten(log, 400)), Data::new())
            }
        };
        Self {
            status,
            reason,
            physical_resource_id: envelope.physical_resource_id().to_string(),
            stack_id: &envelope.stack_id,
            request_id: &envelope.request_id,
            logical_resource_id: &envelope.logical_resource_id,
            data,
        }
    }

    /// The same response with this physical ID.
    pub(crate) fn with_physical_id(self, id: &PhysicalId) -> Self {
        Self { physical_resource_id: id.to_string(), ..self }
    }

    /// Encodes the response within [`LIMIT`]. If it is too long, the `Reason` is shortened first, then `Data` is
    /// dropped. The echoed names are cut last, because real requests do not have such long names.
    pub(crate) fn encode(mut self) -> Vec<u8> {
        let mut bytes = self.json();
        let mut room = self.reason.len();
        while bytes.len() > LIMIT && room > 0 {
            // JSON escapes a character with up to six bytes, so the right length cannot be calculated. Shorten and
            // encode again.
            room = room.saturating_sub((bytes.len() - LIMIT).div_ceil(6).max(1));
            self.reason = cut_middle(&self.reason, room);
            bytes = self.json();
        }
        if bytes.len() > LIMIT {
            self.data.clear();
            bytes = self.json();
        }
        if bytes.len() > LIMIT {
            self.stack_id = head(self.stack_id, 400);
            self.request_id = head(self.request_id, 60);
            self.logical_resource_id = head(self.logical_resource_id, 60);
            bytes = self.json();
        }
        bytes
    }

    fn json(&self) -> Vec<u8> {
        // Encoding cannot fail: the struct contains only strings and a map of strings.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn head(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Sends responses. All invocations of a process share it and its HTTP connections.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    http: reqwest::Client,
    pause: Duration,
}

/// The response could not be delivered. CloudFormation waits until `ServiceTimeout` and then fails the operation.
#[derive(Debug, thiserror::Error)]
#[error("the response could not be delivered to {url:?}: {cause}")]
pub struct Undelivered {
    url: ResponseUrl,
    cause: String,
}

impl Sender {
    /// A sender that waits `pause` before the second attempt and twice as long each time after that, up to 5 s.
    pub(crate) fn new(http: reqwest::Client, pause: Duration) -> Self {
        Self { http, pause }
    }

    /// PUTs the same bytes until S3 accepts them or time runs out.
    ///
    /// PUTs fail occasionally, and a stack without a response hangs for an hour by default (crhelper#39). So every
    /// failure is retried, including 4xx: S3 also returns those for clock skew and stale reads.
    pub(crate) async fn send(&self, url: &ResponseUrl, body: &[u8], deadlines: Deadlines) -> Result<(), Undelivered> {
        let mut pause = self.pause;
        loop {
            let cause = match timeout_at(attempt_end(deadlines), self.put(url, body)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(cause)) => cause,
                Err(_) => "no response in time".to_owned(),
            };
            tracing::warn!(url = ?url, %cause, "the response was not accepted");
            if Instant::now() + pause >= deadlines.response {
                return Err(Undelivered { url: url.clone(), cause });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// One PUT. The pre-signed URL was signed for an empty Content-Type, so S3 rejects any other.
    async fn put(&self, url: &ResponseUrl, body: &[u8]) -> Result<(), String> {
        let request = self.http.put(url.expose()).header("content-type", "").body(body.to_vec());
        let reply = request.send().await.map_err(|error| crate::http::cause(&error.without_url()))?;
        if reply.status().is_success() { Ok(()) } else { Err(format!("status {}", reply.status().as_u16())) }
    }
}

/// One attempt gets half of the remaining time, at most 5 s, so that a hanging PUT leaves time for another one. If less
/// than 250 ms remain, the attempt gets all of the time.
fn attempt_end(deadlines: Deadlines) -> Instant {
    let now = Instant::now();
    let left = deadlines.response.saturating_duration_since(now);
    now + (left / 2).clamp(left.min(Duration::from_millis(250)), Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Error;

    fn envelope(stack_id: &str) -> Envelope {
        Envelope::read(&json!({"StackId": stack_id, "RequestId": "r", "LogicalResourceId": "C"}))
    }

    fn failed_response(stack_id: &str, message: &str) -> Vec<u8> {
        let failure = Failure::at("register", Error::Rejected(message.to_owned()));
        Response::new(&envelope(stack_id), &Err(failure), "/aws/lambda/f stream s").encode()
    }

    #[test]
    fn a_failed_response_contains_step_cause_fix_and_log() {
        let value: Value = serde_json::from_slice(&failed_response("s", "no quota")).unwrap_or_default();
        let reason = value["Reason"].as_str().unwrap_or_default();
        for part in ["register:", "no quota", "Fix the problem in Coiled's message", "/aws/lambda/f stream s"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(value["Status"], "FAILED");
        assert!(value.get("Data").is_none());
    }

    #[test]
    fn a_response_stays_within_the_limit_for_any_message() {
        for unit in ["x", "\u{0}", "ö", "\"", "😀"] {
            let bytes = failed_response("s", &unit.repeat(9000));
            // CloudFormation's limit, whatever the constant is.
            assert!(bytes.len() <= 4096, "{unit:?}: {}", bytes.len());
            let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            assert!(value["Reason"].as_str().is_some_and(|reason| reason.contains("stream s")), "{unit:?}");
        }
        assert!(failed_response(&"\u{1}".repeat(9000), "x").len() <= 4096);
    }

    #[test]
    fn a_successful_response_has_data_and_no_reason() {
        let data = Data::from([("UserName", "coiled".to_owned())]);
        let bytes = Response::new(&envelope("s"), &Ok(data), "log").encode();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        assert_eq!(value["Data"], json!({"UserName": "coiled"}));
        assert!(value.get("Reason").is_none() && value.get("NoEcho").is_none());
    }
}
