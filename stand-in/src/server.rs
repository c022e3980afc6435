//! Accepts connections on loopback and, if a fault asks for it, breaks them in ways that web frameworks do not support.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::Router;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The tasks of one stand-in. Dropping this ends them.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

/// Lets a handler decide how its TCP connection ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// Makes the connection end with a reset instead of an orderly shutdown.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Flags a response that is not sent: the connection is dropped instead.
#[derive(Debug, Clone)]
struct Dropped;

/// A response that drops the connection instead of being sent.
pub(super) fn dropped() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Dropped);
    response
}

/// Whether the response drops the connection.
pub(super) fn is_dropped(response: &Response) -> bool {
    response.extensions().get::<Dropped>().is_some()
}

/// Accepts connections for as long as the stand-in lives.
pub(super) async fn serve(listener: TcpListener, router: Router, tasks: Weak<Tasks>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Without this, each of the many small messages waits 40 ms for the acknowledgment of the previous one.
        drop(stream.set_nodelay(true));
        let Some(tasks) = tasks.upgrade() else { return };
        tasks.spawn(connection(stream, router.clone()));
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let ending = Ending::default();
    let wire = Wire { stream, ending: ending.clone() };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ending.clone());
        let response = router.call(request);
        async move { sendable(response.await) }
    });
    // An error means that the client disconnected or that a fault was injected.
    drop(http1::Builder::new().serve_connection(TokioIo::new(wire), service).with_upgrades().await);
}

/// An error of the service makes hyper end the connection without a response.
fn sendable(response: Result<Response, Infallible>) -> io::Result<Response> {
    match response {
        Ok(response) if is_dropped(&response) => Err(io::ErrorKind::ConnectionAborted.into()),
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

/// A TCP stream that can be told to end with a reset.
struct Wire {
    stream: TcpStream,
    ending: Ending,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.ending.0.load(Ordering::SeqCst) {
            // If this fails, the connection shuts down in an orderly way, and the test that injected the reset fails.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
