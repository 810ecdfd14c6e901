//! What the answer of an endpoint means.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use serin_core::analysis::condition::MetricResult;
use serin_core::analysis::sample::{Outcome, Semantics};

use super::ask::Path;
use crate::Answer;
use crate::reply::{Source, wrong};

/// Reads an answer.
pub(super) fn read(
    source: &Source<'_>,
    response: &Response<Bytes>,
    path: &Path,
    semantics: Semantics,
) -> Result<Answer, Outcome> {
    if let Some(refused) = source.refused(response) {
        return Err(told_as_argo(response, refused));
    }
    let Ok(json) = serde_json::from_slice::<Value>(response.body()) else {
        // A text is a result, too, unless there is reason to believe that it was to be something else.
        return match (path, semantics) {
            (Path::Whole | Path::At(..), Semantics::Argo) => Ok(text(response)),
            (Path::Whole, Semantics::Serin) if !claims_json(response) => Ok(text(response)),
            (Path::Whole | Path::At(..), Semantics::Serin) => source.json(response).map(|json| measured(&json)),
        };
    };
    match path {
        Path::Whole => Ok(measured(&json)),
        Path::At(path, written) => match path.find(&json).first() {
            Some(found) => Ok(measured(found)),
            None => Err(nothing(source, written, semantics)),
        },
    }
}

/// Puts Argo Rollouts' words before ours, since that is what people search for.
fn told_as_argo(response: &Response<Bytes>, refused: Outcome) -> Outcome {
    let told = |message| format!("received non 2xx response code: {}; {message}", response.status().as_u16());
    match refused {
        Outcome::Wrong { message } => Outcome::Wrong { message: told(message) },
        Outcome::SourceDown { message } => Outcome::SourceDown { message: told(message) },
        Outcome::NoData { .. } | Outcome::Measured(_) => refused,
    }
}

fn nothing(source: &Source<'_>, path: &str, semantics: Semantics) -> Outcome {
    let message = format!("the answer of {} has nothing at {path}", source.address);
    match semantics {
        Semantics::Serin => Outcome::NoData { message },
        Semantics::Argo => wrong(format!("Could not find JSONPath in body: {message}")),
    }
}

fn measured(json: &Value) -> Answer {
    answer(json.to_string(), json.clone())
}

fn text(response: &Response<Bytes>) -> Answer {
    let text = String::from_utf8_lossy(response.body()).into_owned();
    answer(text.clone(), Value::String(text))
}

fn answer(value: String, result: Value) -> Answer {
    Answer { outcome: Outcome::Measured(MetricResult::Json(result)), value, metadata: BTreeMap::new() }
}

fn claims_json(response: &Response<Bytes>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}
