//! How a request reaches a metrics source: over the network, or within a simulation.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// Sends requests to metrics sources.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole answer, whatever its status.
    ///
    /// # Errors
    /// There is no answer, or it is larger than the transport accepts.
    async fn send(
        &self,
        request: http::Request<Bytes>,
        options: &TransportOptions,
    ) -> Result<http::Response<Bytes>, TransportError>;
}

/// What a request needs beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportOptions {
    /// The longest time until the whole answer is there.
    pub timeout: Duration,
    /// Whether the server's certificate is not checked.
    pub insecure: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of failure it is.
    pub kind: TransportErrorKind,
    /// What failed, for people.
    pub message: String,
}

/// Kinds of failure to get an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// The time was over before the answer was there.
    Timeout,
    /// Nobody listens at the address.
    Refused,
    /// The host's name stands for no address.
    Dns,
    /// The connection could not be encrypted, or the server could not prove who it is.
    Tls,
    /// The answer is larger than the transport accepts.
    TooLarge,
    /// Anything else, such as a connection that broke.
    Other,
}

impl TransportError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
