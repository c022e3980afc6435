//! Registers a key over a WebSocket: opens it, waits for the greeting, sends one message and reads until the end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response as HttpResponse};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::Coiled;
use super::http::words;
use super::message::Message;
use crate::certificate::innermost;
use crate::error::Error;
use crate::http::AGENT;
use crate::redact::{shown, without_last_word};

/// How long the server may keep sending after an error message before it closes the connection.
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// The interval between pings. Provisioning can be silent for minutes, and networks drop idle connections.
const PING: Duration = Duration::from_secs(30);
/// The call's name in errors.
const CALL: &str = "WebSocket cluster-info";
/// Coiled's close code for a wrong token or an unknown workspace.
const CLOSED_FORBIDDEN: u16 = 4403;

/// An open WebSocket that has received the greeting.
#[derive(Debug)]
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// How one attempt to register the key ended.
enum Ending {
    Finished,
    /// Coiled rejected the registration, with this message.
    Rejected(String),
    /// The outcome is unknown, for this reason.
    Unknown(String),
}

impl Coiled {
    /// Opens the WebSocket and waits for the greeting. Transient failures are retried.
    pub(crate) async fn open(&self, workspace: &str) -> Result<Socket, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match timeout_at(self.pace.attempt_end(), self.open_once(workspace)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => error,
                Err(_) => self.lost("no greeting in time".into()),
            };
            let transient = match &error {
                Error::Coiled { status, .. } => matches!(status, 429 | 502 | 503 | 504),
                error => matches!(error, Error::Unreachable { .. }),
            };
            let pause = self.pace.pause_before_retry(attempt, began, self.pace.retry).filter(|_| transient);
            let Some(pause) = pause else { return Err(error) };
            tracing::info!(%error, "could not open the WebSocket; trying again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn open_once(&self, workspace: &str) -> Result<Socket, Error> {
        let address = self.server.websocket_at(&["ws", "api", "v1", workspace, "cluster-info", ""]);
        let mut request = address.into_client_request().map_err(|error| self.lost(error.to_string()))?;
        request.headers_mut().insert("authorization", self.authorization_header());
        request.headers_mut().insert("client-version", HeaderValue::from_static(AGENT));
        request.headers_mut().insert("user-agent", HeaderValue::from_static(AGENT));
        let limits = WebSocketConfig::default().max_message_size(Some(1 << 20)).read_buffer_size(8 << 10);
        let connected = connect_async_with_config(request, Some(limits), true).await;
        let (stream, _) = connected.map_err(|error| self.not_opened(workspace, error))?;
        let mut socket = Socket(stream);
        socket.greeting().await.map_err(|ending| self.lost(ending))?;
        Ok(socket)
    }

    fn lost(&self, cause: String) -> Error {
        Error::Unreachable { call: CALL.into(), server: self.server.to_string(), cause: shown(&self.scrubbed(&cause)) }
    }

    /// Coiled rejects the upgrade if the token may not change the workspace or the workspace does not exist.
    fn not_opened(&self, workspace: &str, error: WsError) -> Error {
        let WsError::Http(response) = error else {
            return self.untrusted(CALL, &error).unwrap_or_else(|| self.lost(innermost(&error)));
        };
        let status = response.status().as_u16();
        let words = words(&self.scrubbed(&body(&response)));
        match status {
            401 => Error::Token { status, words },
            403 | 404 => Error::Workspace(format!(
                "the token cannot change workspace {workspace} (status {status}: {words}); the workspace must exist \
                 and the token's owner must be one of its admins"
            )),
            _ => Error::Coiled { call: CALL.into(), status, words },
        }
    }

    /// Sends the message, repeatedly if necessary, until its outcome is known or time runs out.
    ///
    /// Sending the same message again is safe. `before_send` runs before the first byte is sent, because from then on
    /// Coiled may hold the key.
    pub(crate) async fn register(
        &self,
        workspace: &str,
        message: &Message,
        first: Option<Socket>,
        before_send: impl Fn(),
    ) -> Result<(), Error> {
        let mut socket = first;
        let mut unknown: Option<String> = None;
        let mut attempt = 0;
        loop {
            let open = match socket.take() {
                Some(socket) => Ok(socket),
                None => self.open(workspace).await,
            };
            let ending = match (open, &unknown) {
                (Ok(socket), _) => {
                    before_send();
                    self.send_once(socket, message).await
                }
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => Ending::Rejected(error.to_string()),
            };
            match (ending, unknown.take()) {
                (Ending::Finished, _) => return Ok(()),
                (Ending::Rejected(words), None) => return Err(Error::Rejected(words)),
                // An earlier attempt may have taken effect, so this rejection does not prove that Coiled has no key.
                (Ending::Rejected(words), Some(before)) => {
                    return Err(Error::OutcomeUnknown(format!("{before}; the next attempt failed: {words}")));
                }
                (Ending::Unknown(cause), _) => unknown = Some(cause),
            }
            let pause = self.pace.pause(attempt);
            if Instant::now() + pause >= self.pace.until {
                return Err(Error::OutcomeUnknown(unknown.unwrap_or_default()));
            }
            tracing::warn!(
                cause = unknown.as_deref(),
                "the outcome of the registration is unknown; sending the same message again"
            );
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, mut socket: Socket, message: &Message) -> Ending {
        self.will_send(&message.secrets);
        let text = message.text.expose_secret().to_owned();
        let conversation = async {
            if let Err(error) = socket.0.send(Frame::text(text)).await {
                return Ending::Unknown(innermost(&error));
            }
            socket.read_to_end(self).await
        };
        match timeout_at(self.pace.until, conversation).await {
            Ok(ending) => ending,
            Err(_) => Ending::Unknown("Coiled did not finish in time".into()),
        }
    }
}

impl Socket {
    /// The server sends the first message. Its content does not matter.
    async fn greeting(&mut self) -> Result<(), String> {
        loop {
            match self.0.next().await {
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => return Ok(()),
                Some(Ok(Frame::Close(frame))) => return Err(describe(frame.as_ref())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(innermost(&error)),
                None => return Err("the connection ended before the greeting".into()),
            }
        }
    }

    /// Reads until success or until the server closes the connection.
    ///
    /// An error message means failure, even if FINISHED follows. The last error message is reported.
    async fn read_to_end(&mut self, coiled: &Coiled) -> Ending {
        let mut rejection: Option<String> = None;
        let mut until = coiled.pace.until;
        loop {
            let frame = match timeout_at(until.min(Instant::now() + PING), self.0.next()).await {
                Ok(frame) => frame,
                Err(_) if Instant::now() >= until => {
                    return ending(rejection, "Coiled did not finish in time".into());
                }
                Err(_) => match self.0.send(Frame::Ping(Vec::new().into())).await {
                    Ok(()) => continue,
                    Err(error) => return ending(rejection, innermost(&error)),
                },
            };
            match frame {
                Some(Ok(Frame::Text(text))) => match read(&coiled.scrubbed(text.as_str())) {
                    Meaning::Error(words) => {
                        until = until.min(Instant::now() + AFTER_ERROR);
                        rejection = Some(words);
                    }
                    Meaning::Finished if rejection.is_none() => {
                        self.close().await;
                        return Ending::Finished;
                    }
                    Meaning::Progress(words) => tracing::info!(words, "Coiled reports progress"),
                    Meaning::Finished | Meaning::Irrelevant => {}
                },
                Some(Ok(Frame::Close(frame))) => return closed(rejection, frame.as_ref(), coiled),
                Some(Ok(_)) => {}
                Some(Err(error)) => return ending(rejection, innermost(&error)),
                None => return ending(rejection, "the connection ended without a close frame".into()),
            }
        }
    }

    /// Closes the WebSocket. The key is registered by then, so a failure does not matter.
    async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = tokio::time::timeout(Duration::from_secs(1), self.0.close(Some(frame))).await;
    }
}

/// The part of a rejected upgrade's body that arrived together with the head. The library does not read the rest. If
/// the end is missing, the last word is dropped, because part of a secret would not be recognized.
fn body(response: &HttpResponse<Option<Vec<u8>>>) -> String {
    let body = response.body().as_deref().unwrap_or_default();
    let text = String::from_utf8_lossy(body).into_owned();
    let length = response.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    if length == Some(body.len()) { text } else { without_last_word(&text).to_owned() }
}

fn ending(rejection: Option<String>, cause: String) -> Ending {
    rejection.map_or(Ending::Unknown(cause), Ending::Rejected)
}

fn closed(rejection: Option<String>, frame: Option<&CloseFrame>, coiled: &Coiled) -> Ending {
    let forbidden = || "the token is invalid or is not allowed to change this workspace (close code 4403)".to_owned();
    match frame {
        Some(frame) if u16::from(frame.code) == CLOSED_FORBIDDEN => {
            Ending::Rejected(rejection.unwrap_or_else(forbidden))
        }
        frame => ending(rejection, shown(&coiled.scrubbed(&describe(frame)))),
    }
}

fn describe(frame: Option<&CloseFrame>) -> String {
    frame.map_or_else(
        || "Coiled closed the connection without a close code".to_owned(),
        |frame| format!("Coiled closed the connection with code {} {}", u16::from(frame.code), frame.reason.as_str()),
    )
}

/// The meaning of one message from Coiled.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The registration is complete.
    Finished,
    /// The registration failed, with this message.
    Error(String),
    /// The registration is still running. The text is meant for people.
    Progress(String),
    /// The message is not about the registration.
    Irrelevant,
}

/// Reads one message. Its text has passed through [`shown`]. Unknown and malformed messages are [`Meaning::Irrelevant`].
pub fn read(text: &str) -> Meaning {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return Meaning::Irrelevant };
    let is = |flag: &str| message.get(flag).and_then(Value::as_bool).unwrap_or(false);
    let words = message.get("message").and_then(Value::as_str).unwrap_or_default();
    if is("is_error") || is("raise") {
        return Meaning::Error(shown(if words.is_empty() { text } else { words }));
    }
    match (message.get("type").and_then(Value::as_str), words) {
        (Some("update_options"), "FINISHED") => Meaning::Finished,
        // These are meant for Coiled's web page.
        (Some("update_options"), "" | "CONFIGURING_BACKEND" | "NOT_CONFIGURING_BACKEND") => Meaning::Irrelevant,
        (Some("update_options"), words) => Meaning::Progress(shown(words)),
        _ => Meaning::Irrelevant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_message_is_recognized() {
        for (text, meaning) in [
            (r#"{"type": "update_options", "message": "FINISHED"}"#, Meaning::Finished),
            (r#"{"type": "other", "message": "FINISHED"}"#, Meaning::Irrelevant),
            (r#"{"type": "other", "is_error": true, "message": "no"}"#, Meaning::Error("no".into())),
            (r#"{"type": "update_options", "raise": true, "message": "no"}"#, Meaning::Error("no".into())),
            (r#"{"type": "update_options", "message": "Creating a VPC"}"#, Meaning::Progress("Creating a VPC".into())),
            (r#"{"type": "update_options", "message": "CONFIGURING_BACKEND"}"#, Meaning::Irrelevant),
            ("not json", Meaning::Irrelevant),
        ] {
            assert_eq!(read(text), meaning, "{text}");
        }
    }
}
