//! One HTTP request to Coiled, retried until it gets a final response. Errors contain Coiled's own message.

use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::Coiled;
use crate::certificate::Problem;
use crate::error::Error;
use crate::http::AGENT;
use crate::http::cause;
use crate::page;
use crate::redact::shown;

/// Larger than any response that is read here. It keeps a faulty server from filling the function's memory.
const BODY_LIMIT: usize = 1 << 20;

/// A final response: one after which the request is not sent again.
#[derive(Debug)]
pub(crate) struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body as text. The secrets that this run has sent to Coiled are masked.
    pub body: String,
    call: String,
}

impl Response {
    /// The body as JSON. Fails if the status is not 2xx or the body is not JSON.
    pub(crate) fn json(&self) -> Result<Value, Error> {
        if !self.is_success() {
            return Err(self.error());
        }
        serde_json::from_str(&self.body).map_err(|_| {
            // The title of a page is text from a server too, so it is masked.
            let words = page::describe(&self.body).unwrap_or_else(|| self.body.clone());
            let words = shown(&format!("the response is not JSON: {words}"));
            Error::Coiled { call: self.call.clone(), status: self.status, words }
        })
    }

    /// Whether the status is 2xx.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The response as an error. 401 and 403 concern the token, and all other statuses concern the call.
    pub(crate) fn error(&self) -> Error {
        let words = words(&self.body);
        match self.status {
            // A page from a proxy does not say anything about the token.
            401 | 403 if page::describe(&self.body).is_none() => Error::Token { status: self.status, words },
            status => Error::Coiled { call: self.call.clone(), status, words },
        }
    }

    /// The field `action_required` of a 409. `confirm`: a person must confirm. `retry`: the call must be sent again.
    pub(crate) fn action_required(&self) -> Option<String> {
        if self.status != 409 {
            return None;
        }
        let value: Value = serde_json::from_str(&self.body).ok()?;
        value.get("action_required")?.as_str().map(str::to_owned)
    }
}

/// The message in an error's body: `message`, `detail`, `non_field_errors` or `code`, otherwise the text itself. It has
/// passed through [`shown`].
pub fn words(body: &str) -> String {
    if let Some(page) = page::describe(body) {
        return shown(&page);
    }
    let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let fields = ["message", "detail", "non_field_errors", "code"];
    let found = fields.iter().find_map(|field| text_in(value.get(field)?));
    let text = found.or_else(|| text_in(&value)).unwrap_or_else(|| body.trim().to_owned());
    if text.is_empty() { "no error message".to_owned() } else { shown(&text) }
}

fn text_in(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Array(items) if !items.is_empty() => {
            Some(items.iter().filter_map(text_in).collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}

impl Coiled {
    /// Sends a GET request. `path` is a list of segments.
    pub(crate) async fn get(&self, path: &[&str]) -> Result<Response, Error> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a request until it gets a final response. Use it for idempotent requests only.
    ///
    /// 429, 502, 503, 504 and lost connections are retried, as in Coiled's own client. A 409 is retried if its
    /// `action_required` is `retry`.
    pub(crate) async fn send(&self, method: Method, path: &[&str], query: Option<&str>) -> Result<Response, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            let outcome = self.attempt(&method, path, query).await;
            // Retrying does not help, because the certificate stays the same.
            if matches!(&outcome, Err(Error::Untrusted { .. })) {
                return outcome;
            }
            // An unreachable server usually means a wrong URL, so its retries get a tenth of the time.
            let patience = if outcome.is_err() { self.pace.retry / 10 } else { self.pace.retry };
            if matches!(&outcome, Ok(response) if !is_transient(response)) {
                return outcome;
            }
            let Some(pause) = self.pace.pause_before_retry(attempt, began, patience) else { return outcome };
            match outcome {
                Ok(response) => {
                    let Response { call, status, .. } = &response;
                    tracing::info!(%call, status, "Coiled is busy; sending the request again");
                }
                Err(error) => tracing::info!(%error, "Coiled is unreachable; sending the request again"),
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, method: &Method, path: &[&str], query: Option<&str>) -> Result<Response, Error> {
        let mut url = self.server.at(path);
        let call = format!("{method} {}", url.path());
        url.set_query(query);
        let exchange = async {
            let request = self.http.request(method.clone(), url).header("authorization", self.authorization_header());
            let response = request.header("client-version", AGENT).header("accept", "application/json").send().await?;
            let status = response.status().as_u16();
            Ok((status, read(response).await?))
        };
        let lost = |cause: String| Error::Unreachable { call: call.clone(), server: self.server.to_string(), cause };
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            self.untrusted(&call, &error).unwrap_or_else(|| lost(cause(&error)))
        };
        match timeout_at(self.pace.attempt_end(), exchange).await {
            Ok(Ok((status, body))) => Ok(Response { status, body: self.scrubbed(&body), call }),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(lost("no response in time".to_owned())),
        }
    }

    /// The error of a call that failed because of the server's certificate. `None` if it failed for another reason.
    pub(super) fn untrusted(&self, call: &str, error: &(dyn std::error::Error + 'static)) -> Option<Error> {
        let problem = Box::new(Problem::of(error)?);
        Some(Error::Untrusted { call: call.to_owned(), server: self.server.to_string(), problem })
    }

    /// The `authorization` header, flagged as sensitive so that libraries do not log it.
    pub(super) fn authorization_header(&self) -> HeaderValue {
        // This cannot fail, because `secrets::token` accepts only printable ASCII.
        let text = self.authorization();
        let mut value = HeaderValue::from_str(text.expose_secret()).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

async fn read(mut response: reqwest::Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn is_transient(response: &Response) -> bool {
    matches!(response.status, 429 | 502 | 503 | 504) || response.action_required().as_deref() == Some("retry")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_contains_coileds_own_message() {
        for (body, expected) in [
            (r#"{"message": "no"}"#, "no"),
            (r#"{"detail": "no"}"#, "no"),
            (r#"{"non_field_errors": ["no", "never"]}"#, "no; never"),
            (r#"{"code": "PERMISSIONS_ERROR"}"#, "PERMISSIONS_ERROR"),
            (r#""PERMISSIONS_ERROR""#, "PERMISSIONS_ERROR"),
            (r#"{"message": " ", "detail": "no"}"#, "no"),
            (r#"{"message": [], "detail": "no"}"#, "no"),
            ("Bad Gateway\n", "Bad Gateway"),
            ("", "no error message"),
        ] {
            assert_eq!(words(body), expected, "{body}");
        }
    }
}
