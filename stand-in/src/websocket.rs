//! The WebSocket that registers a key: greeting, one message from the client, progress messages, `FINISHED`.

use std::future::pending;

use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::Connection;
use super::faults::{Call, How};
use super::http::{App, CloseAtOnce, Number, authorization_error, rejected};
use super::mask::masked;
use super::server::Ending;
use super::state::{Refusal, State};
use super::{rules, verify};

/// The close code for a wrong token or workspace.
const FORBIDDEN: u16 = 4403;
/// The close code for a protocol violation.
const PROTOCOL_VIOLATION: u16 = 1008;
const NORMAL: u16 = 1000;

/// Accepts or rejects the upgrade, then runs the WebSocket in its own task.
pub(super) async fn upgrade(Shared(app): Shared<App>, Path(slug): Path<String>, mut request: Request) -> Response {
    let Some(key) = key(request.headers()) else {
        return rejected(StatusCode::BAD_REQUEST, "A WebSocket upgrade is required.");
    };
    let mut close_at_once = request.extensions().get::<CloseAtOnce>().map(|close| close.0);
    if !may_register(&app.state, request.headers(), &slug) {
        match app.state.look(|facts| facts.refusal) {
            Refusal::Upgrade => return rejected(StatusCode::FORBIDDEN, "The token cannot change this workspace."),
            Refusal::Close4403 => close_at_once = Some(FORBIDDEN),
        }
    }
    let Some(tasks) = app.tasks.upgrade() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let ending = request.extensions().get::<Ending>().cloned().unwrap_or_default();
    let number = request.extensions().get::<Number>().map_or(usize::MAX, |number| number.0);
    let upgraded = hyper::upgrade::on(&mut request);
    tasks.spawn(run_socket(upgraded, app, slug, number, ending, close_at_once));
    switching_protocols(&key)
}

fn key(headers: &HeaderMap) -> Option<String> {
    let is_websocket = headers.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_websocket.then(|| key.to_owned())
}

fn may_register(state: &State, headers: &HeaderMap, slug: &str) -> bool {
    authorization_error(state, headers).is_none()
        && state.look(|facts| facts.workspace(slug).is_some_and(|workspace| workspace.admin))
}

fn switching_protocols(key: &str) -> Response {
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes())),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn run_socket(
    upgraded: OnUpgrade,
    app: App,
    slug: String,
    number: usize,
    ending: Ending,
    close_at_once: Option<u16>,
) {
    // This fails if the client disconnects before the upgrade is complete.
    let Ok(upgraded) = upgraded.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let mut session = Session { socket, app, slug, number, ending };
    if let Err(Ended) = session.run(close_at_once).await {
        session.app.state.say("  the WebSocket ended early");
    }
}

/// The WebSocket has ended: one side closed it, or the connection was lost.
struct Ended;

/// One WebSocket.
struct Session {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    app: App,
    slug: String,
    number: usize,
    ending: Ending,
}

impl Session {
    async fn run(&mut self, close_at_once: Option<u16>) -> Result<(), Ended> {
        if let Some(code) = close_at_once {
            return self.close(code).await;
        }
        self.greet().await?;
        let message = self.registration().await?;
        self.before_effect().await?;
        let connection = self.validate(&message).await?;
        // From here on, the registration is in effect, even if the client disconnects.
        self.app.state.connected(&self.slug, connection);
        for message in [
            progress("CONFIGURING_BACKEND"),
            json!({"type": "cluster_info", "message": "of no interest here"}),
            progress("Creating the network"),
        ] {
            self.before_finished().await?;
            self.send(&message).await?;
        }
        self.finish().await
    }

    /// Injects a fault before one of the messages that precede `FINISHED`.
    async fn before_finished(&mut self) -> Result<(), Ended> {
        match self.app.state.fault(Call::WsProgress) {
            None => Ok(()),
            Some(How::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(How::Garbage) => self.send_text("<not json>".into()).await,
            Some(How::IsError(reason)) => self.reject(&reason).await,
            Some(How::Messages(messages)) => self.send_all(&messages).await,
            Some(how) => self.end(how).await,
        }
    }

    /// The server sends the first message. A client that sends a message before it violates the protocol.
    async fn greet(&mut self) -> Result<(), Ended> {
        match self.app.state.fault(Call::WsGreeting) {
            Some(How::Slow(time)) => self.silence_for(time).await?,
            Some(How::Garbage) => return self.send_text("hello, not in JSON".into()).await,
            Some(How::IsError(reason)) => return self.reject(&reason).await,
            Some(How::Messages(messages)) => return self.send_all(&messages).await,
            Some(how) => return self.end(how).await,
            None => {}
        }
        if self.has_sent_more() {
            return self.violated("a message before the greeting").await;
        }
        self.send(&json!({"type": "connected", "message": "hello"})).await
    }

    /// Delays the greeting. The client must not send anything in that time.
    async fn silence_for(&mut self, time: std::time::Duration) -> Result<(), Ended> {
        match tokio::time::timeout(time, self.receive()).await {
            Err(_elapsed) => Ok(()),
            Ok(Ok(_early)) => self.violated("a message before the greeting").await,
            Ok(Err(ended)) => Err(ended),
        }
    }

    /// Receives the client's only message.
    async fn registration(&mut self) -> Result<Value, Ended> {
        let message = self.receive().await?;
        if message.is_string() {
            self.violated("a message that isn't JSON").await?;
        }
        Ok(message)
    }

    /// Injects a fault after the message has arrived and before it takes effect.
    async fn before_effect(&mut self) -> Result<(), Ended> {
        match self.app.state.fault(Call::WsMessage) {
            None => Ok(()),
            Some(How::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(How::IsError(reason)) => self.reject(&reason).await,
            Some(How::ErrorThenSilence(reason)) => {
                self.send(&error(&reason)).await?;
                pending().await
            }
            Some(How::Garbage) => {
                self.send_text("<not json>".into()).await?;
                self.close(NORMAL).await
            }
            Some(How::Messages(messages)) => {
                self.send_all(&messages).await?;
                self.close(NORMAL).await
            }
            Some(how) => self.end(how).await,
        }
    }

    /// Returns the connection to store. Rejects a malformed registration and a key that does not work.
    async fn validate(&mut self, message: &Value) -> Result<Connection, Ended> {
        let violations = rules::violations(message);
        if !violations.is_empty() {
            let violations = violations.join("; ");
            self.app.state.violated(&violations);
            self.reject(&violations).await?;
        }
        if self.has_sent_more() {
            self.violated("a second message").await?;
        }
        let connection = Connection { data: message.get("data").cloned().unwrap_or_default() };
        if let Some(sts) = self.app.state.look(|facts| facts.sts.clone())
            && let Err(code) = verify::key_works(&sts, &connection).await
        {
            self.reject(&format!("AWS does not accept this access key: {code}")).await?;
        }
        Ok(connection)
    }

    /// Sends `FINISHED`. The registration is already in effect.
    async fn finish(&mut self) -> Result<(), Ended> {
        match self.app.state.fault(Call::WsFinish) {
            None => {}
            Some(How::Slow(time)) => tokio::time::sleep(time).await,
            Some(How::Garbage) => self.send_text("<not json>".into()).await?,
            Some(How::IsError(reason)) => {
                self.send(&error(&reason)).await?;
                self.progress("FINISHED").await?;
                return self.close(NORMAL).await;
            }
            Some(How::ErrorThenSilence(reason)) => {
                self.send(&error(&reason)).await?;
                return pending().await;
            }
            Some(How::Progress(lines)) => {
                for line in lines {
                    self.progress(&line).await?;
                }
            }
            Some(How::Messages(messages)) => self.send_all(&messages).await?,
            Some(How::FinishedThenDropped) => {
                self.progress("FINISHED").await?;
                return Err(Ended);
            }
            Some(How::FinishedThenSilence) => {
                self.progress("FINISHED").await?;
                return pending().await;
            }
            Some(how) => return self.end(how).await,
        }
        self.progress("FINISHED").await?;
        self.expect_close().await
    }

    /// After `FINISHED`, the client must close with 1000 without sending anything else.
    async fn expect_close(&mut self) -> Result<(), Ended> {
        match self.receive().await {
            Ok(_late) => self.violated("a message after FINISHED").await,
            Err(Ended) => {
                let code = self.app.state.look(|facts| facts.requests.get(self.number)?.close_code);
                if code != Some(NORMAL) {
                    let what = format!("expected close code {NORMAL} after FINISHED, got {code:?}");
                    self.app.state.violated(&what);
                }
                Ok(())
            }
        }
    }

    /// Faults that have the same effect at every stage.
    async fn end(&mut self, how: How) -> Result<(), Ended> {
        match how {
            How::Hang => pending().await,
            How::Reset => self.ending.reset(),
            How::CloseWith(code) => self.close(code).await?,
            How::CloseSaying(code, reason) => self.close_saying(code, &reason).await?,
            // The connection just ends. `Fault::is_meaningful` rules out all other faults.
            _ => {}
        }
        Err(Ended)
    }

    async fn reject(&mut self, reason: &str) -> Result<(), Ended> {
        self.send(&error(reason)).await?;
        self.close(NORMAL).await
    }

    async fn violated(&mut self, what: &str) -> Result<(), Ended> {
        self.app.state.violated(what);
        self.send(&error(what)).await?;
        self.close(PROTOCOL_VIOLATION).await
    }

    /// Closes the WebSocket and waits until the client has closed it or disconnected. Always returns `Ended`.
    async fn close(&mut self, code: u16) -> Result<(), Ended> {
        self.close_saying(code, "").await
    }

    async fn close_saying(&mut self, code: u16, reason: &str) -> Result<(), Ended> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        self.socket.send(Message::Close(Some(frame))).await.map_err(|_disconnected| Ended)?;
        while self.receive().await.is_ok() {}
        Err(Ended)
    }

    async fn progress(&mut self, line: &str) -> Result<(), Ended> {
        self.send(&progress(line)).await
    }

    async fn send_all(&mut self, messages: &[Value]) -> Result<(), Ended> {
        for message in messages {
            self.send(message).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: &Value) -> Result<(), Ended> {
        self.send_text(message.to_string()).await
    }

    async fn send_text(&mut self, text: String) -> Result<(), Ended> {
        self.app.state.say(&format!("  > {text}"));
        self.socket.send(Message::Text(text.into())).await.map_err(|_disconnected| Ended)
    }

    /// Receives and records the next text or binary message. `Ended` if the client closed or lost the connection.
    async fn receive(&mut self) -> Result<Value, Ended> {
        while let Some(Ok(message)) = self.socket.next().await {
            match message {
                Message::Text(text) => return Ok(self.record_message(&text)),
                Message::Binary(bytes) => return Ok(self.record_message(&String::from_utf8_lossy(&bytes))),
                Message::Close(frame) => self.record_close(frame.map(|frame| frame.code.into())),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Err(Ended)
    }

    /// Whether the client has already sent another message.
    fn has_sent_more(&mut self) -> bool {
        matches!(self.receive().now_or_never(), Some(Ok(_)))
    }

    fn record_message(&mut self, text: &str) -> Value {
        let message = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        self.app.state.say(&format!("  < {}", masked(&message)));
        self.app.state.annotate(self.number, |request| request.messages.push(message.clone()));
        message
    }

    fn record_close(&mut self, code: Option<u16>) {
        self.app.state.say(&format!("  < closed with {code:?}"));
        self.app.state.annotate(self.number, |request| request.close_code = code);
    }
}

fn progress(line: &str) -> Value {
    json!({"type": "update_options", "message": line})
}

fn error(reason: &str) -> Value {
    json!({"type": "update_options", "is_error": true, "message": reason})
}
