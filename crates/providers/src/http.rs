//! The transport over the network.

use std::error::Error;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, StatusCode, Url};

use crate::transport::{Transport, TransportError, TransportErrorKind, TransportOptions};

/// Sends requests over HTTP and HTTPS. Connections are kept and reused.
///
/// An answer may have at most 8 MiB. Redirects are followed only if method and body stay (307, 308), and only on the same
/// host: to the same port, or from http to https. Headers may be credentials, and stay with the host they are meant for.
///
/// The process must have installed a default `rustls` crypto provider before; without one, requests fail with an error
/// of kind [`TransportErrorKind::Tls`].
#[derive(Debug)]
pub struct HttpTransport {
    checked: Result<Client, String>,
    unchecked: Result<Client, String>,
    plain: Result<Client, String>,
}

impl HttpTransport {
    /// A transport. In an image without CA certificates it still reaches plain http and insecure https.
    #[must_use]
    pub fn new() -> Self {
        Self {
            checked: client(|builder| builder),
            unchecked: client(|builder| builder.tls_danger_accept_invalid_certs(true)),
            // Trusts nobody, so that it can be built where no CA certificates are.
            plain: client(|builder| builder.tls_certs_only([])),
        }
    }

    fn client_for(&self, url: &Url, options: &TransportOptions) -> Result<&Client, TransportError> {
        let client = match (url.scheme(), options.insecure) {
            (_, true) => &self.unchecked,
            ("http", false) => self.checked.as_ref().map_or(&self.plain, |_| &self.checked),
            (_, false) => &self.checked,
        };
        client.as_ref().map_err(|message| TransportError::new(TransportErrorKind::Tls, message))
    }
}

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        options: &TransportOptions,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| failure(error, options.timeout))?;
        *request.timeout_mut() = Some(options.timeout);
        let client = self.client_for(request.url(), options)?;
        let mut response = client.execute(request).await.map_err(|error| failure(error, options.timeout))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, options.timeout))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(TransportError::new(
                    TransportErrorKind::TooLarge,
                    format!("the answer is larger than {} MiB", BODY_BYTES_MAX >> 20),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body.freeze());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

/// The largest answer that is read, after decompression.
const BODY_BYTES_MAX: usize = 8 << 20;

const REDIRECTS_MAX: usize = 5;

fn client(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, String> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err("no TLS crypto provider is installed in this process".to_owned());
    }
    let builder = Client::builder()
        .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(Policy::custom(redirect));
    with(builder).build().map_err(|error| format!("HTTPS cannot be used: {}", chain(&error)))
}

fn redirect(attempt: Attempt<'_>) -> Action {
    let keeps_body = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let stays = attempt.previous().first().is_some_and(|first| stays_on_host(first, attempt.url()));
    if keeps_body && stays && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
}

fn stays_on_host(from: &Url, to: &Url) -> bool {
    let upgraded = from.scheme() == "http" && to.scheme() == "https";
    let same = from.scheme() == to.scheme() && from.port_or_known_default() == to.port_or_known_default();
    from.host_str() == to.host_str() && (same || upgraded)
}

fn failure(error: reqwest::Error, timeout: Duration) -> TransportError {
    // The URL may hold a secret, and is added by those who know what to leave out.
    let error = error.without_url();
    let kind = kind(&error);
    let message = match kind {
        TransportErrorKind::Timeout => format!("no answer within {} s", timeout.as_secs_f64()),
        TransportErrorKind::Refused
        | TransportErrorKind::Dns
        | TransportErrorKind::Tls
        | TransportErrorKind::TooLarge
        | TransportErrorKind::Other => chain(&error),
    };
    TransportError::new(kind, message)
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(kind) = kind_of_cause(error) {
            return kind;
        }
        cause = error.source();
    }
    TransportErrorKind::Other
}

fn kind_of_cause(error: &(dyn Error + 'static)) -> Option<TransportErrorKind> {
    if error.is::<rustls::Error>() {
        return Some(TransportErrorKind::Tls);
    }
    if let Some(io) = error.downcast_ref::<io::Error>() {
        if io.kind() == io::ErrorKind::ConnectionRefused {
            return Some(TransportErrorKind::Refused);
        }
        // An error within an I/O error is not its source, only the source of that one is.
        if let Some(inner) = io.get_ref() {
            return kind_of_cause(inner);
        }
    }
    // The client library has no public type for it.
    error.to_string().starts_with("dns error").then_some(TransportErrorKind::Dns)
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some errors repeat their cause.
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}
