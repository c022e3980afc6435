//! A minimal client that sends given messages and records everything that it receives.

use std::time::Duration;

use coiled_stand_in::{Call, Fault, How, StandIn};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The time limit of each step. A step that takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// After this time without a response, a call counts as hanging.
pub const SILENCE: Duration = Duration::from_millis(200);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Everything that a WebSocket received until it closed.
#[derive(Debug, Default)]
pub struct Heard {
    pub messages: Vec<Value>,
    pub close_code: Option<u16>,
    pub broken: bool,
}

impl Heard {
    pub fn errors(&self) -> Vec<&str> {
        let errors = self.messages.iter().filter(|message| message["is_error"] == true);
        errors.filter_map(|message| message["message"].as_str()).collect()
    }

    pub fn is_finished(&self) -> bool {
        self.messages.iter().any(|message| message["message"] == "FINISHED")
    }
}

pub fn valid() -> Value {
    json!({"type": "update_options", "logging_context": {}, "coiled-session-id": "s", "data": {
        "backend": "vm",
        "options": {
            "aws_region_name": "us-east-2",
            "account_role": "",
            "credentials": {"aws_access_key": "AKIAEXAMPLE", "aws_secret_key": "secret"},
            "firewall": {},
            "firewall_spec": {"ingress": [{"ports": [8786, 8787], "cidr": "0.0.0.0/0"}]},
            "network": {"network_id": "vpc-1", "scheduler_subnet_id": "subnet-1"},
            "zone": null,
            "provider_name": "aws",
            "type": "aws_cloudbridge_backend_options",
        },
        "registry": {
            "type": "ecr", "public_ecr": false, "region": "us-east-2",
            "credentials": {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"},
        },
    }})
}

pub fn with_docker_hub() -> Value {
    let mut message = valid();
    message["data"]["registry"] = json!({
        "type": "docker_hub", "account": "team", "username": "ada", "password": "p", "uri": "docker.io",
    });
    message
}

pub async fn open(stand_in: &StandIn, workspace: &str, token: &str) -> Result<Socket, Error> {
    let url = stand_in.url().replacen("http", "ws", 1);
    let mut request = format!("{url}/ws/api/v1/{workspace}/cluster-info/").into_client_request()?;
    request.headers_mut().insert("authorization", format!("ApiToken {token}").parse().unwrap());
    request.headers_mut().insert("client-version", "0.0.0".parse().unwrap());
    let (socket, _) = tokio::time::timeout(PATIENCE, connect_async(request)).await.expect("a response in time")?;
    Ok(socket)
}

pub async fn opened(stand_in: &StandIn) -> Socket {
    open(stand_in, "ada", &stand_in.token()).await.expect("an open WebSocket")
}

pub async fn hear_one(socket: &mut Socket) -> Message {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message in time");
    message.expect("a message").expect("a connection")
}

pub async fn say(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.expect("a connection");
}

/// Receives messages until the WebSocket closes. Like Coiled's client, it closes with code 1000 after `FINISHED`.
pub async fn hear_all(socket: &mut Socket) -> Heard {
    let mut heard = Heard::default();
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("an end in time") {
            Some(Ok(Message::Text(text))) => {
                let message = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
                let is_last = message["message"] == "FINISHED";
                heard.messages.push(message);
                if is_last {
                    close(socket, 1000).await;
                }
            }
            Some(Ok(Message::Close(frame))) => heard.close_code = frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) => heard.broken = true,
            None => return heard,
        }
    }
}

pub async fn close(socket: &mut Socket, code: u16) {
    let frame = CloseFrame { code: code.into(), reason: "".into() };
    // The server may already have closed the connection. The tests check what the server recorded.
    drop(socket.close(Some(frame)).await);
}

pub async fn register(stand_in: &StandIn, message: &Value) -> Heard {
    let mut socket = opened(stand_in).await;
    hear_one(&mut socket).await;
    say(&mut socket, message).await;
    hear_all(&mut socket).await
}

pub async fn call(stand_in: &StandIn, method: &str, path: &str) -> Result<(u16, Value), reqwest::Error> {
    let request = reqwest::Client::new()
        .request(method.parse().unwrap(), format!("{}{path}", stand_in.url()))
        .header("authorization", format!("ApiToken {}", stand_in.token()))
        .header("client-version", "0.0.0");
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text))))
}

pub fn fault(stand_in: &StandIn, on: Call, how: How) {
    stand_in.fault(Fault { on, how, times: 1 });
}
