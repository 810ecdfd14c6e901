//! All metrics sources behind one call: substitutes arguments, picks the provider, and redacts secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serin_api::{Metric, MetricProvider};
use serin_core::analysis::args::substitute;
use serin_core::analysis::sample::{ArgValue, Measure, Outcome};

use crate::address::basic;
use crate::redact::Redactor;
use crate::reply::wrong;
use crate::{Answer, Prometheus, Provider, Request, SkyWalking, Transport};

/// What metrics need not say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// URL of the Prometheus server that metrics without an address ask.
    pub prometheus_address: Option<String>,
}

/// The metrics sources that measurements can be taken from. One for the whole process: it remembers what servers said
/// about themselves.
#[derive(Debug, Default)]
pub struct Sources {
    prometheus: Prometheus,
    sky_walking: SkyWalking,
}

impl Sources {
    /// Sources that have not been asked anything yet.
    #[must_use]
    pub fn new(defaults: Defaults) -> Self {
        Self { prometheus: Prometheus::new(defaults.prometheus_address), sky_walking: SkyWalking::default() }
    }

    /// Takes one measurement as of `now`.
    ///
    /// `secrets` holds the values of the secret arguments by argument name; it may hold the known ones, too. The values
    /// of arguments that `measure` does not know as plain text appear nowhere in the answer but in what was measured.
    pub async fn measure(
        &self,
        measure: &Measure,
        secrets: &BTreeMap<String, String>,
        now: DateTime<Utc>,
        transport: &dyn Transport,
    ) -> Answer {
        let values = match values(measure, secrets) {
            Ok(values) => values,
            Err(outcome) => return Answer::without_value(outcome),
        };
        let hidden = hidden(measure, &values);
        let metric = match substitute(&measure.spec, &values) {
            Ok(metric) => metric,
            Err(message) => return Redactor::new(hidden).answer(Answer::without_value(wrong(message))),
        };
        let credentials = basic_credentials(&metric);
        let redactor = Redactor::new(if hidden.is_empty() { Vec::new() } else { with(hidden, credentials.as_deref()) });
        let request = Request { metric, semantics: measure.semantics, now };
        let answer = match self.provider(&request.metric.provider) {
            Ok(provider) => provider.measure(&request, transport).await,
            Err(outcome) => Answer::without_value(outcome),
        };
        cut(redactor.answer(answer))
    }

    fn provider(&self, provider: &MetricProvider) -> Result<&dyn Provider, Outcome> {
        let set = set_providers(provider);
        match set[..] {
            ["prometheus"] => Ok(&self.prometheus),
            ["skywalking"] => Ok(&self.sky_walking),
            [] => Err(wrong("the metric has no provider; set provider.prometheus or provider.skywalking")),
            [other] => Err(wrong(format!("provider {other} is not supported yet; use prometheus or skywalking"))),
            _ => Err(wrong(format!("the metric has several providers ({}); keep one", set.join(", ")))),
        }
    }
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
    let auth = metric.provider.prometheus.as_ref()?.authentication.as_ref()?.basic_auth.as_ref()?;
    Some(basic(auth.username.as_deref().unwrap_or_default(), auth.password.as_deref().unwrap_or_default()))
}

fn with<'a>(mut hidden: Vec<&'a str>, more: Option<&'a str>) -> Vec<&'a str> {
    hidden.extend(more);
    hidden
}

/// Names of the providers that are set.
fn set_providers(provider: &MetricProvider) -> Vec<&str> {
    let named = [
        ("prometheus", provider.prometheus.is_some()),
        ("skywalking", provider.skywalking.is_some()),
        ("web", provider.web.is_some()),
        ("job", provider.job.is_some()),
        ("kayenta", provider.kayenta.is_some()),
        ("datadog", provider.datadog.is_some()),
        ("wavefront", provider.wavefront.is_some()),
        ("newRelic", provider.new_relic.is_some()),
        ("cloudWatch", provider.cloud_watch.is_some()),
        ("graphite", provider.graphite.is_some()),
        ("influxdb", provider.influxdb.is_some()),
    ];
    let plugins = provider.plugin.keys().map(String::as_str);
    named.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).chain(plugins).collect()
}

/// Shortens texts that would make an object too large for the cluster's store.
fn cut(mut answer: Answer) -> Answer {
    shorten(&mut answer.value);
    answer.metadata.values_mut().for_each(shorten);
    match &mut answer.outcome {
        Outcome::Measured(_) => {}
        Outcome::NoData { message } | Outcome::SourceDown { message } | Outcome::Wrong { message } => shorten(message),
    }
    answer
}

fn shorten(text: &mut String) {
    /// Status keeps ten measurements of each metric, and an object has at most about 1.5 MB.
    const BYTES_MAX: usize = 16 << 10;
    if text.len() > BYTES_MAX {
        let whole = text.len();
        let end = (0..=BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        text.truncate(end);
        text.push_str(&format!("… ({whole} bytes)"));
    }
}
