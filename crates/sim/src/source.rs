//! The way to the simulated metrics sources and web endpoints: no sockets, and a switch to take them down.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serin_providers::{Transport, TransportError, TransportErrorKind, TransportOptions};

use crate::clock::SimClock;
use crate::metrics::Sources;

/// What a web endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAnswer {
    /// How the addresses begin that answer so.
    pub url: String,
    /// The body, always with status 200.
    pub body: String,
}

impl FromStr for WebAnswer {
    type Err = String;

    /// Reads `URL=BODY`. The address ends before the first `=` behind which JSON begins; queries have `=` as well. Other
    /// text can follow only an address without a query.
    fn from_str(text: &str) -> Result<Self, String> {
        let json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text);
        let mut places = text.match_indices('=').map(|(at, _)| at);
        let first = places.clone().next().ok_or_else(|| {
            format!("`{text}` has not the form URL=BODY, such as 'http://quality.example/=' followed by JSON")
        })?;
        let at = places.find(|at| json(&text[at + 1..]).is_ok()).unwrap_or(first);
        let (url, body) = (&text[..at], &text[at + 1..]);
        if !url.parse::<http::Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) {
            return Err(format!("`{url}` is no address; write it whole, such as 'http://quality.example/=true'"));
        }
        if let Err(error) = json(body)
            && (url.contains('?') || body.starts_with(['{', '[', '"']))
        {
            return Err(format!(
                "`{body}` is no JSON ({error}); other text can only follow an address without a query"
            ));
        }
        Ok(WebAnswer { url: url.to_owned(), body: body.to_owned() })
    }
}

/// Carries requests to the sources of a world; clones share one switch.
#[derive(Clone)]
pub struct SourceTransport {
    sources: Arc<Sources>,
    answers: Arc<Mutex<Vec<WebAnswer>>>,
    clock: SimClock,
    down: Arc<AtomicBool>,
}

impl SourceTransport {
    /// A way to sources that are up.
    #[must_use]
    pub fn new(sources: Sources, clock: SimClock) -> Self {
        let (answers, down) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        SourceTransport { sources: Arc::new(sources), answers, clock, down }
    }

    /// Makes the sources refuse every connection from now on.
    pub fn take_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// Sets what web endpoints answer; the longest address that fits a request counts.
    pub fn set_answers(&self, answers: Vec<WebAnswer>) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    fn answer(&self, url: &str) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = answers.iter().filter(|answer| url.starts_with(&answer.url));
        fitting.max_by_key(|answer| answer.url.len()).map(|answer| Bytes::from(answer.body.clone()))
    }

    /// Lets the sources answer again.
    pub fn bring_up(&self) {
        self.down.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Transport for SourceTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _: &TransportOptions,
    ) -> Result<http::Response<Bytes>, TransportError> {
        if self.down.load(Ordering::Relaxed) {
            let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
            return Err(TransportError {
                kind: TransportErrorKind::Refused,
                message: format!("connection to {host} refused"),
            });
        }
        let url = request.uri().to_string();
        if let Some(body) = self.answer(&url) {
            return Ok(http::Response::new(body));
        }
        if !Sources::knows(request.uri().path()) {
            // A query may hold a secret.
            let place = url.split('?').next().unwrap_or_default();
            let message = format!("the simulation knows no answer of {place}; `simulate --answer` gives it one");
            return Err(TransportError { kind: TransportErrorKind::Dns, message });
        }
        Ok(self.sources.respond(&request, self.clock.now()))
    }
}

impl fmt::Debug for SourceTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTransport").field("down", &self.down).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::metrics::{Store, skywalking};

    #[tokio::test]
    async fn web_endpoints_answer_as_they_were_told_to() {
        let sources = Sources::new(&Store::default(), skywalking::Config::default());
        let transport = SourceTransport::new(sources, SimClock::new(DateTime::UNIX_EPOCH));
        let answer = |url: &str, body: &str| WebAnswer { url: url.to_owned(), body: body.to_owned() };
        transport.set_answers(vec![answer("http://a/", "short"), answer("http://a/long", "long")]);
        let cases = [
            ("http://a/x?y=1", Ok("short")),
            ("http://a/long/er", Ok("long")),
            (
                "http://b/api/v1/verdict",
                Err("the simulation knows no answer of http://b/api/v1/verdict; `simulate --answer` gives it one"),
            ),
            ("http://b/?secret", Err("the simulation knows no answer of http://b/; `simulate --answer` gives it one")),
        ];
        for (url, wanted) in cases {
            let request = http::Request::get(url).body(Bytes::new()).expect("a request");
            let options = TransportOptions { timeout: Duration::from_secs(1), insecure: false };
            let answered = transport.send(request, &options).await;
            let told = answered.map(|response| String::from_utf8_lossy(response.body()).into_owned());
            assert_eq!(told.map_err(|error| error.message), wanted.map(str::to_owned).map_err(str::to_owned), "{url}");
        }
    }

    #[test]
    fn answers_are_read_as_people_write_them() {
        let cases = [
            ("http://a/=fine", Ok(("http://a/", "fine"))),
            ("http://a/=x=1", Ok(("http://a/=x", "1"))),
            (r#"https://a/?of=b&x=1={"ok": "a=b"}"#, Ok(("https://a/?of=b&x=1", r#"{"ok": "a=b"}"#))),
            ("http://a/=", Ok(("http://a/", ""))),
            ("http://a", Err("`http://a` has not the form URL=BODY, such as ")),
            ("=1", Err("`` is no address; write it whole, such as 'http://quality.example/=")),
            ("quality.example/=1", Err("`quality.example/` is no address;")),
            ("ftp://quality/=1", Err("`ftp://quality/` is no address;")),
            (r#"http://quality/={"ok": tru}"#, Err(r#"`{"ok": tru}` is no JSON ("#)),
            ("http://quality/?of=kettle", Err("`kettle` is no JSON")),
            ("http://quality/?of=kettle=fine", Err("other text can only follow an address without a query")),
        ];
        for (text, wanted) in cases {
            match (text.parse::<WebAnswer>(), wanted) {
                (Ok(answer), Ok((url, body))) => assert_eq!((answer.url.as_str(), answer.body.as_str()), (url, body)),
                (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
                (read, wanted) => panic!("{text}: {read:?}, expected {wanted:?}"),
            }
        }
    }
}
