//! The control API of the generator: JSON over HTTP, as the documentation of the crate's library describes it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::tally::Tally;
use crate::{flags, log};

/// What there is, for those who ask for something else.
const PATHS: &str = "GET /healthz, /counts, /seconds?from=N; POST /rate?per-second=N, /pause, /resume, /drain";

/// Without free file descriptors an accept fails at once, and again.
const BREATH: Duration = Duration::from_millis(20);

/// Answers for ever.
pub(super) async fn serve(listener: TcpListener, tally: Arc<Tally>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::event("accept failed", json!({ "error": error.to_string() }));
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let tally = tally.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &tally));
            // What goes wrong is the client's to notice.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer<B>(request: Request<B>, tally: &Tally) -> Result<Answer, Infallible> {
    let uri = request.uri();
    Ok(match (request.method(), uri.path()) {
        (&Method::GET, "/healthz" | "/readyz") => of(StatusCode::OK, &json!({ "ok": true })),
        (&Method::GET, "/counts") => counts(tally),
        (&Method::GET, "/seconds") => match from(uri) {
            Ok(from) => of(StatusCode::OK, &tally.seconds(from)),
            Err(message) => error(StatusCode::BAD_REQUEST, &message),
        },
        (&Method::POST, "/rate") => match rate(uri) {
            Ok(per_second) => {
                tally.set_pace(|pace| pace.per_second = per_second);
                counts(tally)
            }
            Err(message) => error(StatusCode::BAD_REQUEST, &message),
        },
        (&Method::POST, "/pause") => {
            tally.set_pace(|pace| pace.paused = true);
            counts(tally)
        }
        (&Method::POST, "/resume") => {
            tally.set_pace(|pace| pace.paused = false);
            counts(tally)
        }
        (&Method::POST, "/drain") => {
            tally.set_pace(|pace| pace.paused = true);
            tally.settled().await;
            counts(tally)
        }
        (method, path) => error(StatusCode::NOT_FOUND, &format!("no {method} {path}; there is {PATHS}")),
    })
}

/// All seconds if the parameter is absent.
fn from(uri: &Uri) -> Result<u64, String> {
    let Some(text) = parameter(uri, "from") else { return Ok(0) };
    text.parse().map_err(|_| format!("from={text}: give a second since 1970"))
}

fn rate(uri: &Uri) -> Result<f64, String> {
    let text = parameter(uri, "per-second").ok_or("per-second is absent: give requests a second")?;
    flags::rate(text).map_err(|message| format!("per-second={text}: {message}"))
}

fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn counts(tally: &Tally) -> Answer {
    of(StatusCode::OK, &tally.counts())
}

fn error(status: StatusCode, message: &str) -> Answer {
    of(status, &json!({ "error": message }))
}

fn of(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).expect("all keys are strings or numbers");
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
