//! HTTP servers for one test. Each listens on a free port of 127.0.0.1 and stops when its handle is dropped.

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

/// The handle of a running server.
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

/// Marks a response that is never sent. The server closes the connection instead. No web framework offers this.
#[derive(Clone)]
struct Dropped;

/// A response that makes the server close the connection instead of sending it.
pub fn dropped() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Dropped);
    response
}

pub async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    Server { address, task: tokio::spawn(accept(listener, router)) }
}

async fn accept(listener: TcpListener, router: Router) {
    // The set belongs to this task, so that aborting the server also closes its connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(Box::pin(connection(stream, router.clone())));
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let response = router.call(request);
        async move { sendable(response.await) }
    });
    // An error means that the client disconnected or that a test injected a fault.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// Turns a dropped response into an error, because hyper then closes the connection without a response.
fn sendable(response: Result<Response, Infallible>) -> io::Result<Response> {
    match response {
        Ok(response) if response.extensions().get::<Dropped>().is_some() => {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
