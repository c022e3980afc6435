//! The one answer: built within CloudFormation's limits, sent until the bucket takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::deadline::Deadlines;
use crate::error::Failure;
use crate::redact::{ResponseUrl, shorten};
use crate::request::Envelope;

/// CloudFormation reads no more of an answer than this, counted after JSON encoding (aws-cdk#23958).
pub const LIMIT: usize = 4096;

/// What a stack can read with `Fn::GetAtt`: strings only.
pub type Data = BTreeMap<&'static str, String>;

/// An answer as CloudFormation reads it.
///
/// No `NoEcho` field: nothing in [`Data`] is secret, and a masked value could not be read by other stacks.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response<'a> {
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
    /// Answers an envelope; a failure's Reason ends with where the log is.
    pub fn new(envelope: &'a Envelope, outcome: &Result<Data, Failure>, log: &str) -> Self {
        let (status, reason, data) = match outcome {
            Ok(data) => ("SUCCESS", String::new(), data.clone()),
            Err(failure) => ("FAILED", format!("{failure} Log: {}", shorten(log, 400)), Data::new()),
        };
        Self {
            status,
            reason,
            physical_resource_id: envelope.physical_resource_id(),
            stack_id: &envelope.stack_id,
            request_id: &envelope.request_id,
            logical_resource_id: &envelope.logical_resource_id,
            data,
        }
    }

    /// The bytes to send, within [`LIMIT`] whatever the services said: the Reason gives way first, then the Data, and
    /// last the echoed names, which no real request has so long.
    pub fn encode(mut self) -> Vec<u8> {
        let mut bytes = self.json();
        let mut room = self.reason.len();
        while bytes.len() > LIMIT && room > 0 {
            // One character may take up to six bytes in JSON, so the length is found by trying.
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
        // Strings and a map of strings always encode.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Keeps both ends of a Reason: the step and cause at its head, the advice and the log at its tail.
fn cut_middle(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let tail_length = (limit / 3).min(600);
    let start = (text.len() - tail_length..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let tail = text.get(start..).unwrap_or_default();
    format!("{}{tail}", shorten(text, limit - tail.len()))
}

fn head(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Sends answers; shared by all invocations of a process.
#[derive(Debug, Clone)]
pub struct Sender {
    http: reqwest::Client,
    pause: Duration,
}

/// No answer could be delivered; CloudFormation now waits for its `ServiceTimeout`.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be delivered to {url:?}: {cause}")]
pub struct Undelivered {
    url: ResponseUrl,
    cause: String,
}

impl Sender {
    /// A sender that waits `pause` between two attempts, longer each time.
    pub fn new(http: reqwest::Client, pause: Duration) -> Self {
        Self { http, pause }
    }

    /// PUTs the same bytes until they are taken or the run's time is over.
    ///
    /// A PUT fails now and then, and a stack then hangs for an hour (crhelper#39); so every failure is tried again,
    /// 4xx too: S3 answers those for a clock or a replica that lags.
    pub async fn send(&self, url: &ResponseUrl, body: &[u8], deadlines: Deadlines) -> Result<(), Undelivered> {
        let mut pause = self.pause;
        loop {
            let cause = match timeout_at(attempt_end(deadlines), self.put(url, body)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(cause)) => cause,
                Err(_) => "no reply in time".to_owned(),
            };
            tracing::warn!(url = ?url, %cause, "the answer was not taken");
            if Instant::now() + pause >= deadlines.answer {
                return Err(Undelivered { url: url.clone(), cause });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// One PUT, with the empty Content-Type that the pre-signed URL was signed for.
    async fn put(&self, url: &ResponseUrl, body: &[u8]) -> Result<(), String> {
        let request = self.http.put(url.expose()).header("content-type", "").body(body.to_vec());
        let reply = request.send().await.map_err(|error| crate::coiled::http::cause(&error.without_url()))?;
        if reply.status().is_success() { Ok(()) } else { Err(format!("status {}", reply.status().as_u16())) }
    }
}

/// One attempt gets a fair part of what is left, so that a hanging bucket does not take all of it.
fn attempt_end(deadlines: Deadlines) -> Instant {
    let now = Instant::now();
    let left = deadlines.answer.saturating_duration_since(now);
    now + (left / 2).clamp(left.min(Duration::from_secs(2)), Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::Error;

    fn envelope(stack_id: &str) -> Envelope {
        Envelope::read(&json!({"StackId": stack_id, "RequestId": "r", "LogicalResourceId": "C"}))
    }

    fn answer(stack_id: &str, words: &str) -> Vec<u8> {
        let failure = Failure::at("register", Error::Rejected(words.to_owned()));
        Response::new(&envelope(stack_id), &Err(failure), "/aws/lambda/f stream s").encode()
    }

    #[test]
    fn a_failure_says_step_cause_fix_and_log() {
        let value: Value = serde_json::from_slice(&answer("s", "no quota")).unwrap_or_default();
        let reason = value["Reason"].as_str().unwrap_or_default();
        for part in ["register:", "no quota", "Do what Coiled says", "/aws/lambda/f stream s"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(value["Status"], "FAILED");
        assert!(value.get("Data").is_none());
    }

    #[test]
    fn an_answer_is_never_too_long_whatever_was_said() {
        for unit in ["x", "\u{0}", "ö", "\"", "😀"] {
            let bytes = answer("s", &unit.repeat(9000));
            assert!(bytes.len() <= LIMIT, "{unit:?}: {}", bytes.len());
            let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            assert!(value["Reason"].as_str().is_some_and(|reason| reason.contains("stream s")), "{unit:?}");
        }
        assert!(answer(&"\u{1}".repeat(9000), "x").len() <= LIMIT);
    }

    #[test]
    fn success_has_data_and_no_reason() {
        let data = Data::from([("UserName", "coiled".to_owned())]);
        let bytes = Response::new(&envelope("s"), &Ok(data), "log").encode();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        assert_eq!(value["Data"], json!({"UserName": "coiled"}));
        assert!(value.get("Reason").is_none() && value.get("NoEcho").is_none());
    }
}
