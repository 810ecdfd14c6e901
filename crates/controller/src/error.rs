//! What can go wrong between the controller and the world; each variant names the operation that failed.

use std::net::SocketAddr;

use crate::queue::Backoff;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error("{operation}: {source}")]
    Request {
        /// Verb, kind and name, such as `patch status of Rollout shop/web`.
        operation: String,
        /// What the client or the API server said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("{operation}: no answer within {seconds} s")]
    Timeout {
        /// Verb, kind and name.
        operation: String,
        /// How long we waited.
        seconds: u64,
    },
    /// An object that is to be created exists, and belongs to somebody else.
    #[error("{operation}: an object of this name exists and is controlled by {owner}; rename or delete it")]
    NameTaken {
        /// Verb, kind and name.
        operation: String,
        /// Kind and name of its controller, or `nobody`.
        owner: String,
    },
    /// A decision broke down; nothing was changed.
    #[error("decide about {key}: {message}")]
    Panicked {
        /// What was decided about.
        key: String,
        /// The panic's message.
        message: String,
    },
    /// An address cannot be listened on.
    #[error("listen on {address} for {purpose}: {source}; choose another port with {flag}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        purpose: &'static str,
        /// The flag that sets the port.
        flag: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The server for metrics and probes ended.
    #[error("serve {purpose}: {source}")]
    Serve {
        /// What it is for.
        purpose: &'static str,
        /// Why it ended.
        #[source]
        source: std::io::Error,
    },
    /// The signal handlers could not be installed.
    #[error("listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// Another replica became the leader while this one still worked.
    #[error("leadership of lease {lease} was lost; restarting is safe")]
    LeadershipLost {
        /// Namespace and name of the lease.
        lease: String,
    },
}

impl Error {
    /// The HTTP status of the API server's answer, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Error::Request { source, .. } => api_status(source).map(|status| status.code),
            Error::Timeout { .. }
            | Error::NameTaken { .. }
            | Error::Panicked { .. }
            | Error::Bind { .. }
            | Error::Serve { .. }
            | Error::Signals(_)
            | Error::LeadershipLost { .. } => None,
        }
    }

    /// How soon it makes sense to try again.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        match self.code() {
            Some(409) => Backoff::Conflict,
            Some(429 | 500..=599) => Backoff::Unavailable,
            Some(_) => Backoff::Refused,
            None => match self {
                Error::Request { .. } | Error::Timeout { .. } => Backoff::Unavailable,
                Error::NameTaken { .. }
                | Error::Panicked { .. }
                | Error::Bind { .. }
                | Error::Serve { .. }
                | Error::Signals(_)
                | Error::LeadershipLost { .. } => Backoff::Refused,
            },
        }
    }
}

fn api_status(error: &kube::Error) -> Option<&kube::core::Status> {
    if let kube::Error::Api(status) = error { Some(status) } else { None }
}
