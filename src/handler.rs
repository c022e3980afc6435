//! Handles one event and sends exactly one response, whatever fails.

use std::time::SystemTime;

use aws_config::SdkConfig;
use serde_json::Value;

use crate::aws::shared;
use crate::cloudformation::destination;
use crate::cloudformation::physical_id::PhysicalId;
use crate::cloudformation::request::{Envelope, RequestType};
use crate::cloudformation::response::{Data, Response, Sender, Undelivered};
use crate::config::Config;
use crate::deadline::Deadlines;
use crate::error::{Error, Failure};
use crate::redact::ResponseUrl;
use crate::resource::context::Context;
use crate::{delete, reconcile};

/// The parts of the Lambda context that a run needs.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When Lambda kills the process.
    pub deadline: SystemTime,
    /// Log group and stream, for the status reason of a failure.
    pub log: String,
}

/// The function and the clients that its invocations share.
#[derive(Debug, Clone)]
pub struct Function {
    sdk: SdkConfig,
    config: Config,
    http: reqwest::Client,
    iam: aws_sdk_iam::Client,
    sender: Sender,
}

impl Function {
    /// Creates the clients. `sdk` provides credentials, region and endpoints.
    ///
    /// # Errors
    /// Fails if the TLS backend cannot be initialized, because HTTPS requests need it.
    pub fn new(sdk: &SdkConfig, config: Config) -> Result<Self, reqwest::Error> {
        let http = crate::http::client()?;
        let sdk = shared(sdk);
        let sender = Sender::new(http.clone(), config.poll / 2);
        Ok(Self { iam: aws_sdk_iam::Client::new(&sdk), sdk, config, http, sender })
    }

    /// Handles one event.
    ///
    /// # Errors
    /// Only if the response could not be delivered. All other failures are reported in the response.
    pub async fn handle(&self, event: Value, invocation: Invocation) -> Result<(), Undelivered> {
        let deadlines = Deadlines::until(invocation.deadline);
        let envelope = Envelope::read(&event);
        // The raw event contains the ResponseURL with its signature in plain text.
        drop(event);
        announce(&envelope);
        // Without a response, CloudFormation would not learn what this run created. So a request without a URL changes
        // nothing.
        let Some(url) = self.destination(&envelope) else { return Ok(()) };
        let (outcome, physical_id) = self.decide(&envelope, deadlines).await;
        match &outcome {
            Ok(_) => tracing::info!(request_id = %envelope.request_id, "SUCCESS"),
            Err(failure) => tracing::error!(request_id = %envelope.request_id, reason = %failure, "FAILED"),
        }
        let response = Response::new(&envelope, &outcome, &invocation.log).with_physical_id(&physical_id);
        let body = response.encode();
        let sent = self.sender.send(url, &body, deadlines).await;
        if let Err(undelivered) = &sent {
            // A person can end the wait by sending this text to the request's ResponseURL in a PUT request.
            let response = String::from_utf8_lossy(&body);
            tracing::error!(%undelivered, %response, "CloudFormation now waits until ServiceTimeout");
        }
        sent
    }

    /// The URL for the response. CloudFormation's requests always have one.
    fn destination<'e>(&self, envelope: &'e Envelope) -> Option<&'e ResponseUrl> {
        let Some(url) = &envelope.response_url else {
            tracing::error!("the request has no valid ResponseURL, so nothing was changed and no response was sent");
            return None;
        };
        let partition = envelope.stack().partition.filter(|_| envelope.stack_id.starts_with("arn:"));
        let checked = destination::check(&url.expose(), partition, &self.config.response_hosts);
        if let Err(problem) = &checked {
            tracing::error!(
                ?url,
                problem,
                "the ResponseURL is not one of CloudFormation's, so nothing was changed and no response was sent; the \
                 environment variable RESPONSE_URL_HOSTS allows other hosts"
            );
        }
        checked.is_ok().then_some(url)
    }

    /// The outcome, and the physical ID to respond with.
    async fn decide(&self, envelope: &Envelope, deadlines: Deadlines) -> (Result<Data, Failure>, PhysicalId) {
        let request = envelope.request_type();
        let deadlines = if request == Some(RequestType::Delete) { deadlines.without_undo() } else { deadlines };
        let context = Context::new(&self.sdk, &self.config, &self.http, self.iam.clone(), envelope, deadlines);
        let outcome = match request {
            Some(RequestType::Delete) => Box::pin(delete::run(&context)).await,
            Some(request) => Box::pin(reconcile::run(&context, request)).await,
            None => {
                let cause = format!("RequestType is \"{}\"", crate::redact::shorten(envelope.type_name(), 60));
                Err(Failure::at("request", Error::Request(cause)))
            }
        };
        (outcome, context.physical_id())
    }
}

fn announce(envelope: &Envelope) {
    tracing::info!(
        request_type = %crate::redact::shorten(envelope.type_name(), 60),
        request_id = %envelope.request_id,
        stack_id = %envelope.stack_id,
        logical_resource_id = %envelope.logical_resource_id,
        response_url = %envelope.response_url.as_ref().map(ToString::to_string).unwrap_or_default(),
        properties = %crate::properties::names(&envelope.properties),
        "request"
    );
}
