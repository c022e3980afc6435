//! Connections: accepted on loopback, and broken on request in ways that no web framework offers.

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

/// The tasks of one stand-in; they end when this is dropped.
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
    /// The connection will be reset when it is dropped, in place of an orderly end.
    pub(super) fn reset(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// OwnershipTags a response that is never sent: the connection is dropped in its place.
#[derive(Debug, Clone)]
struct Dropped;

/// In place of a response: the connection ends.
pub(super) fn dropped() -> Response {
    let mut response = ().into_response();
    response.extensions_mut().insert(Dropped);
    response
}

/// Whether this response will never be sent.
pub(super) fn is_dropped(response: &Response) -> bool {
    response.extensions().get::<Dropped>().is_some()
}

/// Accepts connections for as long as the stand-in lives.
pub(super) async fn serve(listener: TcpListener, router: Router, tasks: Weak<Tasks>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Messages are small and many; without this each waits 40 ms for the last one's acknowledgement.
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
        let answer = router.call(request);
        async move { sendable(answer.await) }
    });
    // An error here is a client that left, or a fault that was asked for.
    drop(http1::Builder::new().serve_connection(TokioIo::new(wire), service).with_upgrades().await);
}

/// A service that fails makes hyper end the connection without a word.
fn sendable(answer: Result<Response, Infallible>) -> io::Result<Response> {
    match answer {
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
            // Where this fails the connection ends in order, which the test that asked for a reset will notice.
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
