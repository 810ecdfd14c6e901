//! Connections, and how they end without losing a request.
//!
//! After the signal everything is served as before, for the time of the drain; each answer asks its client to let go
//! of the connection. Then what has reached the kernel is accepted, the port is closed, and every connection ends as
//! it may: at once if it is idle, after its answer if it has a request, and after a grace if it is new, as its first
//! request may be on its way. A request on a kept connection that crosses with its end cannot be saved by any server
//! of HTTP/1.1; only a client that sent nothing in the whole drain can meet that.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::Site;
use crate::log;

/// How long the first request of a new connection may take to come when the server is to end.
const GRACE: Duration = Duration::from_secs(2);

/// Without free file descriptors an accept fails at once, and again.
const BREATH: Duration = Duration::from_millis(20);

/// The open port with its connections.
pub(super) struct Open {
    listener: TcpListener,
    connections: Connections,
}

impl Open {
    pub(super) fn new(listener: TcpListener, site: Arc<Site>) -> Self {
        Open { listener, connections: Connections { site, ending: watch::Sender::new(false), tasks: JoinSet::new() } }
    }

    /// Accepts connections for ever; nothing is lost when the future is dropped and another one made.
    pub(super) async fn serve(&mut self) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.connections.begin(stream),
                    Err(error) => complain(&error).await,
                },
                Some(_) = self.connections.tasks.join_next() => {}
            }
        }
    }

    /// Closes the port, ends the connections, and returns when the last answer is out.
    ///
    /// # Errors
    /// The runtime does not give the port back.
    pub(super) async fn finish(self) -> Result<()> {
        let Open { listener, mut connections } = self;
        // The kernel itself is asked who waits: what the runtime knows may be older.
        let listener = listener.into_std().context("cannot take the port back")?;
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            connections.begin(TcpStream::from_std(stream)?);
        }
        drop(listener);
        connections.ending.send_replace(true);
        while connections.tasks.join_next().await.is_some() {}
        Ok(())
    }
}

struct Connections {
    site: Arc<Site>,
    ending: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn begin(&mut self, stream: TcpStream) {
        self.tasks.spawn(connection(stream, self.site.clone(), self.ending.subscribe()));
    }
}

/// A connection from its first byte to its last.
async fn connection(stream: TcpStream, site: Arc<Site>, mut ending: watch::Receiver<bool>) {
    // Small answers go out at once; without this they are only later.
    let _ = stream.set_nodelay(true);
    let used = AtomicBool::new(false);
    let service = service_fn(|request| {
        used.store(true, Ordering::SeqCst);
        site.answer(request)
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    // The connection first, each time: a request that is here already is read before the end is noticed. What goes
    // wrong on the connection is its client's to notice.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = ending.wait_for(|ending| *ending) => {}
    }
    if !used.load(Ordering::SeqCst) {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = sleep(GRACE) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn complain(error: &io::Error) {
    log::event("accept failed", json!({ "error": error.to_string() }));
    sleep(BREATH).await;
}
