//! Servers for one test: on a free port of 127.0.0.1, gone with their last handle.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A server at work.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// OwnershipTags a response that is never sent: the connection ends in its place, which no web framework offers.
#[derive(Clone)]
struct Dropped;

/// In place of a response: the connection ends.
pub fn dropped() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Dropped);
    response
}

/// Serves a router.
pub async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    Server { address, task: tokio::spawn(accept(listener, router)) }
}

async fn accept(listener: TcpListener, router: Router) {
    // Held here, so that the connections end with the server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(Box::pin(connection(stream, router.clone())));
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let answer = router.call(request);
        async move { sendable(answer.await) }
    });
    // An error here is a client that left, or a fault that was asked for.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// A service that fails makes hyper end the connection without a word.
fn sendable(answer: Result<Response, Infallible>) -> io::Result<Response> {
    match answer {
        Ok(response) if response.extensions().get::<Dropped>().is_some() => {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
