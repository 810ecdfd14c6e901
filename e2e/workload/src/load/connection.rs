//! One connection to the target, and one exchange on it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::cause::Cause;

/// A server that closes a connection because it is idle does so before it can have read the request; one that is heard
/// of later than this had read it.
const CROSSING: Duration = Duration::from_secs(1);

/// How much of an answer's text is kept; the rest is read and dropped.
const TEXT_MAX: usize = 1024;

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The header `x-version`; absent if nobody said so.
    pub(super) version: Option<String>,
    /// The start of the text.
    pub(super) text: String,
}

/// A connection that can be used once more after each complete answer.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    received: Arc<AtomicU64>,
    used: bool,
    /// Shared by all connections of a client, to know their number.
    _open: Arc<()>,
}

impl Connection {
    /// Connects to the first of `addresses` that accepts. `open` is held as long as the connection.
    pub(super) async fn open(addresses: &[SocketAddr], open: Arc<()>) -> Result<Self, Cause> {
        let refused = |error: io::Error| Cause::Connect(error.kind());
        let stream = TcpStream::connect(addresses).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let received = Arc::new(AtomicU64::new(0));
        let stream = Listening { stream, received: received.clone() };
        let made = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| Cause::of_exchange(&error))?;
        // What goes wrong is told to the request.
        tokio::spawn(async { drop(connection.await) });
        Ok(Connection { sender, received, used: false, _open: open })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn ask(&mut self, request: Request<Empty<Bytes>>, deadline: Instant) -> Result<Reply, Cause> {
        let received = self.received.load(Ordering::SeqCst);
        let begun = Instant::now();
        let answer = timeout_at(deadline, self.sender.send_request(request)).await.map_err(|_| Cause::Timeout)?;
        let answer = answer.map_err(|error| {
            let cause = Cause::of_exchange(&error);
            if !matches!(cause, Cause::Reset | Cause::Closed) {
                cause
            } else if self.received.load(Ordering::SeqCst) > received {
                Cause::CutOff
            } else if self.used && begun.elapsed() < CROSSING {
                Cause::Stale
            } else {
                cause
            }
        })?;
        self.used = true;
        let status = answer.status();
        let version = answer.headers().get("x-version").map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let text = timeout_at(deadline, text(answer.into_body())).await.map_err(|_| Cause::Timeout)?;
        Ok(Reply { status, version, text: text.map_err(|_| Cause::CutOff)? })
    }

    /// Whether it can be used once more, when that is known.
    pub(super) async fn is_reusable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether the server has let go of it.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

async fn text(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(part) = frame?.into_data() {
            let room = TEXT_MAX.saturating_sub(text.len());
            text.extend(part.iter().take(room));
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// A stream that counts the bytes that it brings.
struct Listening {
    stream: TcpStream,
    received: Arc<AtomicU64>,
}

impl AsyncRead for Listening {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        self.received.fetch_add(count as u64, Ordering::SeqCst);
        result
    }
}

impl AsyncWrite for Listening {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
