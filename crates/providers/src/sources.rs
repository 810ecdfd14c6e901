//! All metrics sources behind one call: puts arguments in place, picks the provider, and redacts secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serin_api::MetricProvider;
use serin_core::analysis::sample::{Measure, Outcome};

use crate::reply::wrong;
use crate::resolve::resolve;
use crate::{Answer, Prometheus, Provider, Request, SkyWalking, Transport, Web};

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
    web: Web,
}

impl Sources {
    /// Sources that have not been asked anything yet.
    #[must_use]
    pub fn new(defaults: Defaults) -> Self {
        Self { prometheus: Prometheus::new(defaults.prometheus_address), sky_walking: SkyWalking::default(), web: Web }
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
        let resolved = match resolve(measure, secrets) {
            Ok(resolved) => resolved,
            Err(outcome) => return Answer::without_value(outcome),
        };
        let request = Request { metric: resolved.metric.clone(), semantics: measure.semantics, now };
        let answer = match self.provider(&request.metric.provider) {
            Ok(provider) => provider.measure(&request, transport).await,
            Err(outcome) => Answer::without_value(outcome),
        };
        cut(resolved.redact_answer(answer))
    }

    fn provider(&self, provider: &MetricProvider) -> Result<&dyn Provider, Outcome> {
        let set = set_providers(provider);
        match set[..] {
            ["prometheus"] => Ok(&self.prometheus),
            ["skywalking"] => Ok(&self.sky_walking),
            ["web"] => Ok(&self.web),
            ["job"] => Err(wrong("a Job is not asked; the controller runs it")),
            [] => Err(wrong("the metric has no provider; set prometheus, skywalking, web or job below provider")),
            [other] => {
                Err(wrong(format!("provider {other} is not supported yet; use prometheus, skywalking, web or job")))
            }
            _ => Err(wrong(format!("the metric has several providers ({}); keep one", set.join(", ")))),
        }
    }
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
