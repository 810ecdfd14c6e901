//! Puts the arguments of a measurement in their places, and keeps the secret ones out of what is shown.

use std::collections::BTreeMap;

use serin_api::Metric;
use serin_core::analysis::args::substitute;
use serin_core::analysis::sample::{ArgValue, Measure, Outcome};

use crate::Answer;
use crate::address::basic;
use crate::redact::Redactor;
use crate::reply::wrong;

/// A metric with all its arguments in place.
#[derive(Debug)]
pub struct Resolved {
    /// The metric; it may hold secrets.
    pub metric: Metric,
    redactor: Redactor,
}

impl Resolved {
    /// A text without the secrets that the metric holds.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    pub(crate) fn redact_answer(&self, answer: Answer) -> Answer {
        self.redactor.answer(answer)
    }
}

/// Puts the arguments of a measurement in their places.
///
/// `secrets` holds the values of the secret arguments by argument name; it may hold the known ones, too. Whatever the
/// measurement does not itself hold as plain text counts as secret.
///
/// # Errors
/// An argument without value, or a placeholder without argument.
pub fn resolve(measure: &Measure, secrets: &BTreeMap<String, String>) -> Result<Resolved, Outcome> {
    let values = values(measure, secrets)?;
    let hidden = hidden(measure, &values);
    let metric = substitute(&measure.spec, &values)
        .map_err(|message| wrong(Redactor::new(hidden.iter().copied()).text(&message)))?;
    let credentials = basic_credentials(&metric);
    let credentials = credentials.as_deref().filter(|_| !hidden.is_empty());
    let redactor = Redactor::new(hidden.iter().copied().chain(credentials));
    Ok(Resolved { metric, redactor })
}

/// The value of every argument.
fn values(measure: &Measure, secrets: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Outcome> {
    let mut values = secrets.clone();
    for (name, value) in &measure.args {
        match value {
            ArgValue::Known(value) => {
                values.insert(name.clone(), value.clone());
            }
            ArgValue::Secret { name: secret, key } => {
                if !values.contains_key(name) {
                    return Err(wrong(format!("argument \"{name}\": key '{key}' of secret '{secret}' was not read")));
                }
            }
        }
    }
    Ok(values)
}

/// The values that must not be shown: all that the measurement does not itself hold as plain text.
fn hidden<'a>(measure: &Measure, values: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let is_known = |name: &String| matches!(measure.args.get(name), Some(ArgValue::Known(_)));
    values.iter().filter(|(name, _)| !is_known(name)).map(|(_, value)| value.as_str()).collect()
}

/// User and password in the form in which they are sent.
fn basic_credentials(metric: &Metric) -> Option<String> {
    let prometheus = metric.provider.prometheus.as_ref().and_then(|p| p.authentication.as_ref());
    let web = metric.provider.web.as_ref().and_then(|web| web.authentication.as_ref());
    let auth = prometheus.or(web)?.basic_auth.as_ref()?;
    Some(basic(auth.username.as_deref().unwrap_or_default(), auth.password.as_deref().unwrap_or_default()))
}
