//! The WebSocket over which a key is registered: greeting, one message, progress, `FINISHED`.

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
use super::http::{App, CloseAtOnce, Number, not_authorised, refused};
use super::mask::masked;
use super::server::Ending;
use super::state::{Refusal, State};
use super::{rules, verify};

/// Wrong token or workspace.
const FORBIDDEN: u16 = 4403;
/// The client broke the protocol.
const POLICY: u16 = 1008;
const NORMAL: u16 = 1000;

/// Answers the request for a WebSocket, and talks on it.
pub(super) async fn upgrade(Shared(app): Shared<App>, Path(slug): Path<String>, mut request: Request) -> Response {
    let Some(key) = key(request.headers()) else {
        return refused(StatusCode::BAD_REQUEST, "This is a WebSocket.");
    };
    let mut close_at_once = request.extensions().get::<CloseAtOnce>().map(|close| close.0);
    if !may_register(&app.state, request.headers(), &slug) {
        match app.state.look(|facts| facts.refusal) {
            Refusal::Upgrade => return refused(StatusCode::FORBIDDEN, "Not yours."),
            Refusal::Close4403 => close_at_once = Some(FORBIDDEN),
        }
    }
    let Some(tasks) = app.tasks.upgrade() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let ending = request.extensions().get::<Ending>().cloned().unwrap_or_default();
    let number = request.extensions().get::<Number>().map_or(usize::MAX, |number| number.0);
    let upgraded = hyper::upgrade::on(&mut request);
    tasks.spawn(talk(upgraded, app, slug, number, ending, close_at_once));
    switching_protocols(&key)
}

fn key(headers: &HeaderMap) -> Option<String> {
    let is_websocket = headers.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    is_websocket.then(|| key.to_owned())
}

fn may_register(state: &State, headers: &HeaderMap, slug: &str) -> bool {
    not_authorised(state, headers).is_none()
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

async fn talk(upgraded: OnUpgrade, app: App, slug: String, number: usize, ending: Ending, close_at_once: Option<u16>) {
    // A client that leaves before the upgrade is done has nothing to talk about.
    let Ok(upgraded) = upgraded.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let mut talk = Talk { socket, app, slug, number, ending };
    if let Err(Over) = talk.run(close_at_once).await {
        talk.app.state.say("  the WebSocket ended early");
    }
}

/// Nothing more can be said on this WebSocket: it was closed, dropped or left.
struct Over;

/// One WebSocket.
struct Talk {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    app: App,
    slug: String,
    number: usize,
    ending: Ending,
}

impl Talk {
    async fn run(&mut self, close_at_once: Option<u16>) -> Result<(), Over> {
        if let Some(code) = close_at_once {
            return self.close(code).await;
        }
        self.greet().await?;
        let message = self.registration().await?;
        self.before_it_counts().await?;
        let connection = self.judge(&message).await?;
        // From here on it counts, whether or not the client stays to hear of it.
        self.app.state.connected(&self.slug, connection);
        for message in [
            progress("CONFIGURING_BACKEND"),
            json!({"type": "cluster_info", "message": "of no interest here"}),
            progress("Creating the network"),
        ] {
            self.on_the_way().await?;
            self.send(&message).await?;
        }
        self.finish().await
    }

    /// One of the messages before `FINISHED` is due.
    async fn on_the_way(&mut self) -> Result<(), Over> {
        match self.app.state.fault(Call::WsProgress) {
            None => Ok(()),
            Some(How::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(How::Garbage) => self.send_text("<not json>".into()).await,
            Some(How::IsError(reason)) => self.refuse(&reason).await,
            Some(How::Messages(messages)) => self.send_all(&messages).await,
            Some(how) => self.end(how).await,
        }
    }

    /// The first word is the server's; a client that speaks before it broke the protocol.
    async fn greet(&mut self) -> Result<(), Over> {
        match self.app.state.fault(Call::WsGreeting) {
            Some(How::Slow(time)) => self.silence_for(time).await?,
            Some(How::Garbage) => return self.send_text("hello, not in JSON".into()).await,
            Some(How::IsError(reason)) => return self.refuse(&reason).await,
            Some(How::Messages(messages)) => return self.send_all(&messages).await,
            Some(how) => return self.end(how).await,
            None => {}
        }
        if self.has_said_more() {
            return self.violated("a message before the greeting").await;
        }
        self.send(&json!({"type": "connected", "message": "hello"})).await
    }

    /// Waits, in which time the client must wait too.
    async fn silence_for(&mut self, time: std::time::Duration) -> Result<(), Over> {
        match tokio::time::timeout(time, self.receive()).await {
            Err(_elapsed) => Ok(()),
            Ok(Ok(_early)) => self.violated("a message before the greeting").await,
            Ok(Err(over)) => Err(over),
        }
    }

    /// The one message that the client has to say.
    async fn registration(&mut self) -> Result<Value, Over> {
        let message = self.receive().await?;
        if message.is_string() {
            self.violated("a message that isn't JSON").await?;
        }
        Ok(message)
    }

    /// The message is here, and nothing took effect.
    async fn before_it_counts(&mut self) -> Result<(), Over> {
        match self.app.state.fault(Call::WsMessage) {
            None => Ok(()),
            Some(How::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(How::IsError(reason)) => self.refuse(&reason).await,
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

    /// What is to be stored; a wrong shape or a key that doesn't work is refused.
    async fn judge(&mut self, message: &Value) -> Result<Connection, Over> {
        let faults = rules::faults(message);
        if !faults.is_empty() {
            let faults = faults.join("; ");
            self.app.state.violated(&faults);
            self.refuse(&faults).await?;
        }
        if self.has_said_more() {
            self.violated("a second message").await?;
        }
        let connection = Connection { data: message.get("data").cloned().unwrap_or_default() };
        if let Some(sts) = self.app.state.look(|facts| facts.sts.clone())
            && let Err(code) = verify::key_works(&sts, &connection).await
        {
            self.refuse(&format!("AWS doesn't accept this access key: {code}")).await?;
        }
        Ok(connection)
    }

    /// The registration took effect; what is left is to say so.
    async fn finish(&mut self) -> Result<(), Over> {
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
                return Err(Over);
            }
            Some(How::FinishedThenSilence) => {
                self.progress("FINISHED").await?;
                return pending().await;
            }
            Some(how) => return self.end(how).await,
        }
        self.progress("FINISHED").await?;
        self.goodbye().await
    }

    /// After `FINISHED` the client has one thing to do: close with 1000.
    async fn goodbye(&mut self) -> Result<(), Over> {
        match self.receive().await {
            Ok(_late) => self.violated("a message after FINISHED").await,
            Err(Over) => {
                let code = self.app.state.look(|facts| facts.requests.get(self.number)?.close_code);
                if code != Some(NORMAL) {
                    let what = format!("after FINISHED the client left with {code:?}, not with 1000");
                    self.app.state.violated(&what);
                }
                Ok(())
            }
        }
    }

    /// The endings that are the same at every stage.
    async fn end(&mut self, how: How) -> Result<(), Over> {
        match how {
            How::Hang => pending().await,
            How::Reset => self.ending.reset(),
            How::CloseWith(code) => self.close(code).await?,
            // What is left is a connection that just ends; `Fault::is_meaningful` bars the rest.
            _ => {}
        }
        Err(Over)
    }

    async fn refuse(&mut self, reason: &str) -> Result<(), Over> {
        self.send(&error(reason)).await?;
        self.close(NORMAL).await
    }

    async fn violated(&mut self, what: &str) -> Result<(), Over> {
        self.app.state.violated(what);
        self.send(&error(what)).await?;
        self.close(POLICY).await
    }

    /// Always `Over`, once the client has answered or left.
    async fn close(&mut self, code: u16) -> Result<(), Over> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        self.socket.send(Message::Close(Some(frame))).await.map_err(|_left| Over)?;
        while self.receive().await.is_ok() {}
        Err(Over)
    }

    async fn progress(&mut self, line: &str) -> Result<(), Over> {
        self.send(&progress(line)).await
    }

    async fn send_all(&mut self, messages: &[Value]) -> Result<(), Over> {
        for message in messages {
            self.send(message).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: &Value) -> Result<(), Over> {
        self.send_text(message.to_string()).await
    }

    async fn send_text(&mut self, text: String) -> Result<(), Over> {
        self.app.state.say(&format!("  > {text}"));
        self.socket.send(Message::Text(text.into())).await.map_err(|_left| Over)
    }

    /// The next message that says something, taken down; `Over` when the client closed or left.
    async fn receive(&mut self) -> Result<Value, Over> {
        while let Some(Ok(message)) = self.socket.next().await {
            match message {
                Message::Text(text) => return Ok(self.heard(&text)),
                Message::Binary(bytes) => return Ok(self.heard(&String::from_utf8_lossy(&bytes))),
                Message::Close(frame) => self.left_with(frame.map(|frame| frame.code.into())),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Err(Over)
    }

    /// Whether another message is here already.
    fn has_said_more(&mut self) -> bool {
        matches!(self.receive().now_or_never(), Some(Ok(_)))
    }

    fn heard(&mut self, text: &str) -> Value {
        let message = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        self.app.state.say(&format!("  < {}", masked(&message)));
        self.app.state.annotate(self.number, |request| request.messages.push(message.clone()));
        message
    }

    fn left_with(&mut self, code: Option<u16>) {
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
