//! HTTP replies from AWS: moto's, and the layer's own in the format of each service.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::call::AwsCall;
use crate::serve::dropped;

pub(super) struct Reply {
    /// The HTTP status. Status 0 means [`Reply::none`], and status 1 means [`Reply::lost`]. Calls are recorded with
    /// them.
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// Whether AWS sent the reply, and not a proxy on the way to it.
    pub(super) from_aws: bool,
}

impl Reply {
    pub(super) async fn read(reply: reqwest::Response) -> Self {
        let status = reply.status().as_u16();
        let mut headers = reply.headers().clone();
        for name in ["content-length", "transfer-encoding", "connection"] {
            headers.remove(name);
        }
        Self { status, headers, body: reply.text().await.unwrap(), from_aws: true }
    }

    pub(super) fn xml(status: u16, body: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/xml".parse().unwrap());
        Self { status, headers, body, from_aws: true }
    }

    /// The page of a proxy on the way to AWS.
    pub(super) fn page(status: u16, body: &str) -> Self {
        Self { from_aws: false, ..Self::xml(status, body.into()) }
    }

    /// An error in the format of the call's service.
    pub(super) fn error(call: &AwsCall, status: u16, code: &str, message: &str) -> Self {
        if call.service != "secretsmanager" {
            let body = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>r</RequestId></ErrorResponse>"
            );
            return Self::xml(status, body);
        }
        let mut reply = Self::xml(status, serde_json::json!({"__type": code, "message": message}).to_string());
        reply.headers.insert("content-type", "application/x-amz-json-1.1".parse().unwrap());
        reply
    }

    /// A successful IAM reply with this content.
    pub(super) fn done(call: &AwsCall, inside: &str) -> Self {
        let action = &call.action;
        Self::xml(
            200,
            format!(
                "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{inside}</{action}Result>\
                 <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
            ),
        )
    }

    /// No reply: the connection is closed.
    pub(super) fn none() -> Self {
        Self { status: 0, headers: HeaderMap::new(), body: String::new(), from_aws: true }
    }

    /// A lost reply: the headers arrive, and then the connection is closed.
    pub(super) fn lost() -> Self {
        Self { status: 1, ..Self::none() }
    }

    /// Adds a request ID, which replies from AWS have and replies from a proxy do not. It is in the header
    /// `x-amzn-RequestId`, from which the SDKs read it, and in XML also in the body ("Make HTTP query requests" in the
    /// IAM user guide). moto sends the same ID with many replies.
    pub(super) fn with_request_id(mut self) -> Self {
        if !self.from_aws {
            return self;
        }
        let id = request_id();
        if let Some(old) = inside(&self.body, "RequestId") {
            self.body =
                self.body.replace(&format!("<RequestId>{old}</RequestId>"), &format!("<RequestId>{id}</RequestId>"));
        }
        self.headers.insert("x-amzn-requestid", id.parse().unwrap());
        self
    }

    /// Removes the request ID, as a proxy on the way might.
    pub(super) fn without_request_id(mut self) -> Self {
        if let Some(id) = inside(&self.body, "RequestId") {
            self.body = self.body.replace(&format!("<RequestId>{id}</RequestId>"), "");
        }
        self.headers.remove("x-amzn-requestid");
        Self { from_aws: false, ..self }
    }

    pub(super) fn error_code(&self) -> Option<String> {
        if (200..300).contains(&self.status) {
            return None;
        }
        if let Some(code) = inside(&self.body, "Code") {
            return Some(code.to_owned());
        }
        let value: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        value.get("__type")?.as_str().map(str::to_owned)
    }

    pub(super) fn into_response(self) -> Response {
        match self.status {
            0 => return dropped(),
            1 => return broken(self.headers),
            _ => {}
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        *response.headers_mut() = self.headers;
        response
    }
}

/// A response whose body fails at once. hyper then closes the connection after the headers.
fn broken(headers: HeaderMap) -> Response {
    let failing = futures_util::stream::once(async { Err::<String, _>(std::io::Error::other("lost")) });
    let mut response = Response::new(Body::from_stream(failing));
    *response.headers_mut() = headers;
    response.headers_mut().insert("content-length", "64".parse().unwrap());
    response
}

/// A new UUID for each reply.
fn request_id() -> String {
    static REPLIES: AtomicU64 = AtomicU64::new(1);
    format!("5eed5eed-0000-4000-8000-{:012x}", REPLIES.fetch_add(1, Ordering::SeqCst))
}

/// The text inside the first XML element with a name.
pub(super) fn inside<'x>(xml: &'x str, element: &str) -> Option<&'x str> {
    let start = xml.find(&format!("<{element}>"))? + element.len() + 2;
    let rest = &xml[start..];
    rest.find(&format!("</{element}>")).map(|end| &rest[..end])
}

/// The texts inside all XML elements with a name.
pub(super) fn all_inside<'x>(xml: &'x str, element: &str) -> Vec<&'x str> {
    let open = format!("<{element}>");
    xml.split(&open).skip(1).filter_map(|rest| rest.split(&format!("</{element}>")).next()).collect()
}
