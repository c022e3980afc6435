//! Checks with STS whether an AWS access key works, as Coiled does.
//!
//! The call is signed and sent without `aws-sdk-sts`. A build of the stand-in would otherwise consist mostly of the SDK
//! and its TLS stack, which a server on loopback does not need.

use std::error::Error;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::Connection;

const GET_CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// In bytes. Far larger than any response from STS.
const LARGEST_BODY: usize = 1 << 16;

/// Calls GetCallerIdentity once, with the connection's key.
///
/// # Errors
///
/// The error code from STS, or the reason why the call failed without one.
pub(super) async fn key_works(endpoint: &str, connection: &Connection) -> Result<(), String> {
    let refusal = refusal(endpoint, connection).await.map_err(|error| error.to_string())?;
    refusal.map_or(Ok(()), Err)
}

/// Why STS rejects the key; `None` if it accepts the key.
async fn refusal(endpoint: &str, connection: &Connection) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
    let request = signed(endpoint, connection)?;
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), LARGEST_BODY).await?;
    let code = || error_code(&String::from_utf8_lossy(&body)).unwrap_or_else(|| format!("STS responded with {status}"));
    Ok((!status.is_success()).then(code))
}

fn signed(endpoint: &str, connection: &Connection) -> Result<Request<Body>, Box<dyn Error + Send + Sync>> {
    let form = (header::CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
    let url = format!("{}/", endpoint.trim_end_matches('/'));
    let key = Credentials::new(connection.access_key_id(), connection.secret_access_key(), None, None, "registration");
    let identity = key.into();
    let region = connection.region();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name("sts")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?;
    let body = SignableBody::Bytes(GET_CALLER_IDENTITY.as_bytes());
    let signable = SignableRequest::new("POST", url.as_str(), [form].into_iter(), body)?;
    let (instructions, _signature) = sign(signable, &params.into())?.into_parts();
    let mut request = Request::post(url).header(form.0, form.1).body(Body::from(GET_CALLER_IDENTITY))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// The code in an error response: `<ErrorResponse><Error>…<Code>InvalidClientTokenId</Code>…`.
fn error_code(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    Some(code.trim().to_owned())
}
