//! What can go wrong between the controller and the world; each variant names the operation that failed.

use std::net::SocketAddr;

use crate::queue::Backoff;

/// An operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error("{operation}: {}", said(source))]
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

    /// Whether somebody has to do something before it can succeed: grant a right, mend a webhook, a spec or a disruption
    /// budget, choose another name.
    #[must_use]
    pub fn needs_help(&self) -> bool {
        self.backoff() == Backoff::Refused || self.code() == Some(500)
    }

    /// Whether the API server left a request without an answer, or could not be reached.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        match self {
            Error::Timeout { .. } => true,
            Error::Request { .. } => matches!(self.code(), None | Some(429 | 503 | 504)),
            Error::NameTaken { .. }
            | Error::Panicked { .. }
            | Error::Bind { .. }
            | Error::Serve { .. }
            | Error::Signals(_)
            | Error::LeadershipLost { .. } => false,
        }
    }

    /// What it is about, in words that are the same whenever the same goes wrong again.
    #[must_use]
    pub fn topic(&self) -> String {
        match self {
            Error::Request { operation, .. } | Error::Timeout { operation, .. } => {
                format!("{operation}: {}", self.code().unwrap_or_default())
            }
            Error::NameTaken { .. }
            | Error::Panicked { .. }
            | Error::Bind { .. }
            | Error::Serve { .. }
            | Error::Signals(_)
            | Error::LeadershipLost { .. } => self.to_string(),
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

/// What the API server said, or what kept it from saying anything. The client library's own words for an answer hold every
/// field of it, which nobody can read.
fn said(error: &kube::Error) -> String {
    let Some(status) = api_status(error) else { return error.to_string() };
    let code = format!("{} {}", status.code, status.reason);
    match status.message.as_str() {
        "" => format!("the API server answered {}", code.trim_end()),
        message => format!("{message} ({})", code.trim_end()),
    }
}

fn api_status(error: &kube::Error) -> Option<&kube::core::Status> {
    if let kube::Error::Api(status) = error { Some(status) } else { None }
}
