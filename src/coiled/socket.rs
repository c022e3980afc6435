//! Registering over the WebSocket: open, be greeted, send one message, read to the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::http::words;
use super::registration::Message;
use super::{AGENT, Coiled};
use crate::aws::innermost;
use crate::error::Error;
use crate::redact::{scrub, shorten};

/// After an error message the server goes on talking until it closes; one that never closes is not waited for longer.
const AFTER_ERROR: Duration = Duration::from_secs(10);
/// Provisioning is silent for minutes, and networks forget silent connections after some.
const PING: Duration = Duration::from_secs(30);
/// The wrong token, or no such workspace.
const CLOSED_FORBIDDEN: u16 = 4403;

/// An open connection whose greeting has been received.
#[derive(Debug)]
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// How one sending of the message ended.
enum Ending {
    Finished,
    /// Coiled said no, in these words.
    Refused(String),
    /// Nothing says what became of it.
    Unknown(String),
}

impl Coiled {
    /// Opens the socket and takes the greeting; connection failures are tried again.
    pub async fn open(&self, workspace: &str) -> Result<Socket, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            let error = match timeout_at(self.pace.attempt_end(), self.open_once(workspace)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => error,
                Err(_) => self.lost("no greeting in time".into()),
            };
            let passing = match &error {
                Error::Coiled { status, .. } => matches!(status, 429 | 502 | 503 | 504),
                error => matches!(error, Error::Unreachable { .. }),
            };
            let pause = self.pace.again(attempt, began, self.pace.retry).filter(|_| passing);
            let Some(pause) = pause else { return Err(error) };
            tracing::info!(%error, "the socket is opened again");
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
        Error::Unreachable { call: "WebSocket cluster-info".into(), server: self.server.to_string(), cause }
    }

    /// A refused upgrade means that the token may not change this workspace, or that there is none such.
    fn not_opened(&self, workspace: &str, error: WsError) -> Error {
        let WsError::Http(reply) = error else { return self.lost(innermost(&error)) };
        let status = reply.status().as_u16();
        let body = reply.body().as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default();
        let words = words(&scrub(&body, &[&self.token]));
        match status {
            401 => Error::Token { status, words },
            403 | 404 => Error::Workspace(format!(
                "Coiled does not let this token change workspace {workspace} (status {status}: {words}); its owner has to be an admin there"
            )),
            _ => Error::Coiled { call: "WebSocket cluster-info".into(), status, words },
        }
    }

    /// Sends the message until its outcome is known or the time is over; sending it again is safe, for it says the
    /// same. `sent` is set before the first byte leaves: from then on Coiled may hold the key.
    pub async fn register(
        &self,
        workspace: &str,
        message: &Message,
        first: Option<Socket>,
        sent: &AtomicBool,
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
                    sent.store(true, Ordering::SeqCst);
                    self.send_once(socket, message).await
                }
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => Ending::Refused(error.to_string()),
            };
            match (ending, unknown.take()) {
                (Ending::Finished, _) => return Ok(()),
                (Ending::Refused(words), None) => return Err(Error::Rejected(words)),
                // The first sending may have worked all the same.
                (Ending::Refused(words), Some(before)) => {
                    return Err(Error::OutcomeUnknown(format!("{before}; then: {words}")));
                }
                (Ending::Unknown(cause), _) => unknown = Some(cause),
            }
            let pause = self.pace.pause(attempt);
            if Instant::now() + pause >= self.pace.until {
                return Err(Error::OutcomeUnknown(unknown.unwrap_or_default()));
            }
            tracing::warn!(cause = unknown.as_deref(), "the outcome is unknown; the same message is sent again");
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, mut socket: Socket, message: &Message) -> Ending {
        let secrets: Vec<&SecretString> = message.secrets.iter().chain([&self.token]).collect();
        let text = message.text.expose_secret().to_owned();
        let conversation = async {
            if let Err(error) = socket.0.send(Frame::text(text)).await {
                return Ending::Unknown(innermost(&error));
            }
            socket.read_to_the_end(&secrets, self.pace.until).await
        };
        match timeout_at(self.pace.until, conversation).await {
            Ok(ending) => ending,
            Err(_) => Ending::Unknown("Coiled was still at work when the time was over".into()),
        }
    }
}

impl Socket {
    /// The server speaks first; what it says does not matter.
    async fn greeting(&mut self) -> Result<(), String> {
        loop {
            match self.0.next().await {
                Some(Ok(Frame::Text(_) | Frame::Binary(_))) => return Ok(()),
                Some(Ok(Frame::Close(frame))) => return Err(describe(frame.as_ref())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(innermost(&error)),
                None => return Err("closed before the greeting".into()),
            }
        }
    }

    /// Reads until success, or until the close. An error message decides, and the last one is shown; a success that
    /// comes after it heals nothing.
    async fn read_to_the_end(&mut self, secrets: &[&SecretString], until: Instant) -> Ending {
        let mut refused: Option<String> = None;
        let mut until = until;
        loop {
            let frame = match timeout_at(until.min(Instant::now() + PING), self.0.next()).await {
                Ok(frame) => frame,
                Err(_) if Instant::now() >= until => {
                    return ending(refused, "Coiled was still at work when the time was over".into());
                }
                Err(_) => match self.0.send(Frame::Ping(Vec::new().into())).await {
                    Ok(()) => continue,
                    Err(error) => return ending(refused, innermost(&error)),
                },
            };
            match frame {
                Some(Ok(Frame::Text(text))) => match read(&scrub(text.as_str(), secrets)) {
                    Said::Error(words) => {
                        until = until.min(Instant::now() + AFTER_ERROR);
                        refused = Some(words);
                    }
                    Said::Finished if refused.is_none() => {
                        self.close().await;
                        return Ending::Finished;
                    }
                    Said::Progress(words) => tracing::info!(words, "Coiled reports progress"),
                    Said::Finished | Said::Noise => {}
                },
                Some(Ok(Frame::Close(frame))) => return closed(refused, frame.as_ref()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return ending(refused, innermost(&error)),
                None => return ending(refused, "the connection ended".into()),
            }
        }
    }

    /// Says good-bye; whether the server hears it changes nothing.
    async fn close(&mut self) {
        let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = tokio::time::timeout(Duration::from_secs(1), self.0.close(Some(goodbye))).await;
    }
}

fn ending(refused: Option<String>, cause: String) -> Ending {
    refused.map_or(Ending::Unknown(cause), Ending::Refused)
}

fn closed(refused: Option<String>, frame: Option<&CloseFrame>) -> Ending {
    match frame {
        Some(frame) if u16::from(frame.code) == CLOSED_FORBIDDEN => ending(
            Some(
                refused
                    .unwrap_or_else(|| "the token is wrong, or may not change this workspace (close code 4403)".into()),
            ),
            String::new(),
        ),
        frame => ending(refused, describe(frame)),
    }
}

fn describe(frame: Option<&CloseFrame>) -> String {
    frame.map_or_else(
        || "closed without a reason".to_owned(),
        |frame| format!("closed with code {} {}", u16::from(frame.code), shorten(frame.reason.as_str(), 200)),
    )
}

/// What one message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It has worked.
    Finished,
    /// It has not, in these words.
    Error(String),
    /// It is at work, in words for a person.
    Progress(String),
    /// Nothing for us.
    Noise,
}

/// Reads one message; whatever it holds.
pub fn read(text: &str) -> Said {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return Said::Noise };
    let is = |flag: &str| message.get(flag).and_then(Value::as_bool).unwrap_or(false);
    let words = message.get("message").and_then(Value::as_str).unwrap_or_default();
    if is("is_error") || is("raise") {
        return Said::Error(if words.is_empty() { shorten(text, 300) } else { shorten(words, 600) });
    }
    match (message.get("type").and_then(Value::as_str), words) {
        (Some("update_options"), "FINISHED") => Said::Finished,
        // For Coiled's web page.
        (Some("update_options"), "" | "CONFIGURING_BACKEND" | "NOT_CONFIGURING_BACKEND") => Said::Noise,
        (Some("update_options"), words) => Said::Progress(shorten(words, 300)),
        _ => Said::Noise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        for (text, said) in [
            (r#"{"type": "update_options", "message": "FINISHED"}"#, Said::Finished),
            (r#"{"type": "other", "message": "FINISHED"}"#, Said::Noise),
            (r#"{"type": "other", "is_error": true, "message": "no"}"#, Said::Error("no".into())),
            (r#"{"type": "update_options", "raise": true, "message": "no"}"#, Said::Error("no".into())),
            (r#"{"type": "update_options", "message": "Making a VPC"}"#, Said::Progress("Making a VPC".into())),
            (r#"{"type": "update_options", "message": "CONFIGURING_BACKEND"}"#, Said::Noise),
            ("not json", Said::Noise),
        ] {
            assert_eq!(read(text), said, "{text}");
        }
    }
}
