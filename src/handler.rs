//! One event in, one answer out, on every path.

use std::time::SystemTime;

use aws_config::SdkConfig;
use serde_json::Value;

use crate::aws::shared;
use crate::config::Config;
use crate::context::Context;
use crate::deadline::Deadlines;
use crate::error::{Error, Failure};
use crate::request::{Envelope, RequestType};
use crate::response::{Data, Response, Sender, Undelivered};
use crate::{absent, present};

/// Where this invocation runs: what the Lambda context says of it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When Lambda kills the process.
    pub deadline: SystemTime,
    /// Log group and stream, named in every Reason.
    pub log: String,
}

/// The function, with what all its invocations share.
#[derive(Debug, Clone)]
pub struct Function {
    sdk: SdkConfig,
    config: Config,
    http: reqwest::Client,
    iam: aws_sdk_iam::Client,
    sender: Sender,
}

impl Function {
    /// Clients from one SDK configuration: credentials, region, endpoints.
    ///
    /// # Errors
    /// If there is no TLS to be had, which no request could do without.
    pub fn new(sdk: &SdkConfig, config: Config) -> Result<Self, reqwest::Error> {
        let http = crate::coiled::http::client()?;
        let sdk = shared(sdk, &config);
        let sender = Sender::new(http.clone(), config.poll / 2);
        Ok(Self { iam: aws_sdk_iam::Client::new(&sdk), sdk, config, http, sender })
    }

    /// Handles one event.
    ///
    /// # Errors
    /// Only where no answer could be delivered; everything else that goes wrong is in the answer.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<(), Undelivered> {
        let deadlines = Deadlines::until(invocation.deadline);
        let envelope = Envelope::read(&event);
        // The event goes: it holds the ResponseURL as plain text.
        drop(event);
        announce(&envelope);
        let Some(url) = &envelope.response_url else {
            // CloudFormation always sends one. Whatever were made now, nobody would hear of it.
            tracing::error!("there is no ResponseURL: nothing is done, and nobody can be answered");
            return Ok(());
        };
        let outcome = self.decide(&envelope, deadlines).await;
        match &outcome {
            Ok(_) => tracing::info!(request_id = %envelope.request_id, "SUCCESS"),
            Err(failure) => tracing::error!(request_id = %envelope.request_id, reason = %failure, "FAILED"),
        }
        let body = Response::new(&envelope, &outcome, &invocation.log).encode();
        let sent = self.sender.send(url, &body, deadlines).await;
        if let Err(undelivered) = &sent {
            // What a person needs to end the wait by hand: a PUT of this text to the request's own URL.
            tracing::error!(%undelivered, answer = %String::from_utf8_lossy(&body), "CloudFormation waits for its ServiceTimeout now");
        }
        sent
    }

    async fn decide(&self, envelope: &Envelope, deadlines: Deadlines) -> Result<Data, Failure> {
        let request = envelope.request_type();
        let deadlines = if request == Some(RequestType::Delete) { deadlines.without_undo() } else { deadlines };
        let context = Context::new(&self.sdk, &self.config, &self.http, self.iam.clone(), envelope, deadlines);
        match request {
            Some(RequestType::Delete) => Box::pin(absent::run(&context)).await,
            Some(request) => Box::pin(present::run(&context, request)).await,
            None => {
                let cause = format!("RequestType is \"{}\"", crate::redact::shorten(&envelope.request_type, 60));
                Err(Failure::at("request", Error::Request(cause)))
            }
        }
    }
}

fn announce(envelope: &Envelope) {
    tracing::info!(
        request_type = %crate::redact::shorten(&envelope.request_type, 60),
        request_id = %envelope.request_id,
        stack_id = %envelope.stack_id,
        logical_resource_id = %envelope.logical_resource_id,
        response_url = %envelope.response_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        properties = %crate::properties::names(&envelope.properties),
        "request"
    );
}
