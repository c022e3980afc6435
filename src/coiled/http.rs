//! One request to Coiled: sent until it is answered, its errors in Coiled's own words.

use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::{AGENT, Coiled};
use crate::aws::innermost;
use crate::error::Error;
use crate::redact::{scrub, shorten};

/// More than any answer that is read here; a server gone wild can't fill the function's memory.
const BODY_LIMIT: usize = 1 << 20;

/// An answer with a status that is final.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body as text, without secrets.
    pub body: String,
    call: String,
}

impl Reply {
    /// The body as JSON; an answer of success that holds none is an error.
    pub fn json(&self) -> Result<Value, Error> {
        if !self.is_success() {
            return Err(self.error());
        }
        serde_json::from_str(&self.body).map_err(|_| {
            let words = format!("an answer that is not JSON: {}", shorten(&self.body, 200));
            Error::Coiled { call: self.call.clone(), status: self.status, words }
        })
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer as an error, sorted by what the reader does next.
    pub fn error(&self) -> Error {
        let words = words(&self.body);
        match self.status {
            401 | 403 => Error::Token { status: self.status, words },
            status => Error::Coiled { call: self.call.clone(), status, words },
        }
    }

    /// `action_required` of a 409: what Coiled wants a person to do.
    pub fn action_required(&self) -> Option<String> {
        if self.status != 409 {
            return None;
        }
        let value: Value = serde_json::from_str(&self.body).ok()?;
        value.get("action_required")?.as_str().map(str::to_owned)
    }
}

/// What an error's body says: `message`, `detail`, `non_field_errors`, a code, or the text itself.
pub fn words(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let fields = ["message", "detail", "non_field_errors", "code"];
    let found = fields.iter().find_map(|field| said(value.get(field)?));
    let text = found.or_else(|| said(&value)).unwrap_or_else(|| body.trim().to_owned());
    if text.is_empty() { "no words".to_owned() } else { shorten(&text, 600) }
}

fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Array(items) if !items.is_empty() => Some(items.iter().filter_map(said).collect::<Vec<_>>().join("; ")),
        _ => None,
    }
}

/// What a failed connection died of, without its URL.
pub fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no reply in time".to_owned() } else { innermost(error) }
}

impl Coiled {
    /// GETs a path.
    pub async fn get(&self, path: &[&str]) -> Result<Reply, Error> {
        self.send(Method::GET, path, None).await
    }

    /// Sends a request until it gets a final answer. 429, 502, 503, 504 and a lost connection are tried again, as
    /// Coiled's own client does; so is a 409 that says `retry`. Only idempotent requests come here.
    pub async fn send(&self, method: Method, path: &[&str], query: Option<&str>) -> Result<Reply, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            let outcome = self.attempt(&method, path, query).await;
            // A server that is not there at all is more often a typing error than a bad moment.
            let patience = if outcome.is_err() { self.pace.retry / 10 } else { self.pace.retry };
            if matches!(&outcome, Ok(reply) if !is_passing(reply)) {
                return outcome;
            }
            let Some(pause) = self.pace.again(attempt, began, patience) else { return outcome };
            match outcome {
                Ok(reply) => tracing::info!(call = %reply.call, status = reply.status, "Coiled is busy; asked again"),
                Err(error) => tracing::info!(%error, "asked again"),
            }
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, method: &Method, path: &[&str], query: Option<&str>) -> Result<Reply, Error> {
        let mut url = self.server.at(path);
        let call = format!("{method} {}", url.path());
        url.set_query(query);
        let exchange = async {
            let request = self.http.request(method.clone(), url).header("authorization", self.authorization_header());
            let reply = request.header("client-version", AGENT).header("accept", "application/json").send().await?;
            let status = reply.status().as_u16();
            Ok((status, read(reply).await?))
        };
        let lost = |cause: String| Error::Unreachable { call: call.clone(), server: self.server.to_string(), cause };
        match timeout_at(self.pace.attempt_end(), exchange).await {
            Ok(Ok((status, body))) => Ok(Reply { status, body: scrub(&body, &[&self.token]), call }),
            Ok(Err(error)) => Err(lost(cause(&reqwest::Error::without_url(error)))),
            Err(_) => Err(lost("no reply in time".to_owned())),
        }
    }

    /// The header, marked so that no library prints it.
    pub(super) fn authorization_header(&self) -> HeaderValue {
        // A token holds only printable ASCII: `secrets::token` sees to that.
        let text = self.authorization();
        let mut value = HeaderValue::from_str(text.expose_secret()).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

async fn read(mut reply: reqwest::Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn is_passing(reply: &Reply) -> bool {
    matches!(reply.status, 429 | 502 | 503 | 504) || reply.action_required().as_deref() == Some("retry")
}

/// The client that all requests of a process share.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(AGENT)
        .connect_timeout(std::time::Duration::from_secs(5))
        // The token goes to the server that was named, and nowhere else.
        .redirect(reqwest::redirect::Policy::none())
        // The WebSocket knows no proxies; requests take the same way.
        .no_proxy()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_in_coileds_words() {
        for (body, expected) in [
            (r#"{"message": "no"}"#, "no"),
            (r#"{"detail": "no"}"#, "no"),
            (r#"{"non_field_errors": ["no", "never"]}"#, "no; never"),
            (r#"{"code": "PERMISSIONS_ERROR"}"#, "PERMISSIONS_ERROR"),
            (r#""PERMISSIONS_ERROR""#, "PERMISSIONS_ERROR"),
            ("Bad Gateway\n", "Bad Gateway"),
            ("", "no words"),
        ] {
            assert_eq!(words(body), expected, "{body}");
        }
    }
}
