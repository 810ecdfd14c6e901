//! Requests to the target: on a new connection each, or on kept ones in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Empty;
use tokio::time::{Instant, timeout_at};

use super::Args;
use super::cause::Cause;
use super::connection::{Connection, Reply};
use super::names::Names;

/// What became of a request.
pub(super) enum Outcome {
    /// A server answered, or a proxy below 400.
    Answered { version: String, status: u16, took: Duration },
    /// Nobody answered, or a proxy with an error of its own.
    Failed(Cause),
}

/// How to ask the target.
pub(super) struct Client {
    names: Names,
    path: Uri,
    host: HeaderValue,
    header: Option<(HeaderName, HeaderValue)>,
    time_limit: Duration,
    fresh: bool,
    kept_max: usize,
    /// Held by each connection, so that its references are their number and one.
    open: Arc<()>,
    /// Used in turn, so that none grows old.
    idle: Mutex<VecDeque<Connection>>,
}

impl Client {
    /// # Errors
    /// The target has no host.
    pub(super) fn new(args: &Args) -> Result<Self> {
        let authority = args.target.authority().context("TARGET has no host")?;
        let path = args.target.path_and_query().map_or("/", |path| path.as_str());
        let host = HeaderValue::from_str(authority.as_str()).context("TARGET has no usable host")?;
        Ok(Client {
            names: Names::new(authority.host(), authority.port_u16().unwrap_or(80)),
            path: path.parse().context("TARGET has no usable path")?,
            host: args.host.clone().unwrap_or(host),
            header: args.header.clone(),
            time_limit: args.timeout,
            fresh: args.fresh,
            kept_max: usize::from(args.connections),
            open: Arc::default(),
            idle: Mutex::default(),
        })
    }

    /// Sends one request; it is not tried again.
    pub(super) async fn get(&self) -> Outcome {
        let begun = Instant::now();
        let deadline = begun + self.time_limit;
        let (reply, took) = match self.ask(begun, deadline).await {
            Ok(reply) => reply,
            Err(cause) => return Outcome::Failed(cause),
        };
        let is_error = reply.status.is_client_error() || reply.status.is_server_error();
        match reply.version {
            Some(version) => Outcome::Answered { version, status: reply.status.as_u16(), took },
            None if is_error => Outcome::Failed(Cause::Proxy(reply.status, reply.text)),
            None => Outcome::Answered { version: "none".to_owned(), status: reply.status.as_u16(), took },
        }
    }

    async fn ask(&self, begun: Instant, deadline: Instant) -> Result<(Reply, Duration), Cause> {
        let mut connection = match self.kept() {
            Some(connection) => connection,
            None => self.connect(deadline).await?,
        };
        let reply = connection.ask(self.request(), deadline).await?;
        let took = begun.elapsed();
        if !self.fresh && timeout_at(deadline, connection.is_reusable()).await.unwrap_or(false) {
            self.keep(connection);
        }
        Ok((reply, took))
    }

    /// None as long as there are fewer connections than are to be kept.
    fn kept(&self) -> Option<Connection> {
        if self.fresh {
            return None;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        let open = Arc::strong_count(&self.open) - 1;
        if open < self.kept_max { None } else { idle.pop_front() }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.kept_max {
            idle.push_back(connection);
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Cause> {
        // Taken before the first wait, so that requests at the same time see each other.
        let open = self.open.clone();
        let addresses = timeout_at(deadline, self.names.addresses()).await.unwrap_or_default();
        if addresses.is_empty() {
            return Err(Cause::Dns);
        }
        let made = timeout_at(deadline, Connection::open(&addresses, open)).await;
        made.unwrap_or(Err(Cause::ConnectTimeout))
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        if let Some((name, value)) = self.header.clone() {
            request.headers_mut().insert(name, value);
        }
        if self.fresh {
            // The server closes first then, and keeps the closed port for its minute.
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn each_request_has_the_header_that_was_asked_for() {
        let request = |further: &[&str]| {
            let all = [&["load", "--target", "http://shop:9080/"], further].concat();
            let arguments = Arguments::try_parse_from(all).expect("arguments");
            Client::new(&arguments.args).expect("a client").request().headers().clone()
        };
        assert_eq!(request(&["--header", "x-team: shop"])["x-team"], "shop");
        assert!(!request(&[]).contains_key("x-team"));
    }
}
