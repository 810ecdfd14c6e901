//! The series that Prometheus would have scraped from the sidecars: Istio's standard metrics.

use std::collections::BTreeMap;

use super::super::store::{Call, Contents, Gap, Server};
use super::super::timeline::{BUCKETS_MS, Timeline, Totals};
use super::select::{Samples, Wanted};
use super::value::{Labels, NAME, Series, number, stale};

const REQUESTS: &str = "istio_requests_total";
const BUCKET: &str = "istio_request_duration_milliseconds_bucket";
const SUM: &str = "istio_request_duration_milliseconds_sum";
const COUNT: &str = "istio_request_duration_milliseconds_count";

/// All names under which something is scraped.
pub(super) const NAMES: [&str; 5] = [REQUESTS, BUCKET, SUM, COUNT, "up"];

impl Samples for Contents {
    fn select(&self, wanted: &Wanted<'_>, after: i64, until: i64) -> Vec<Series> {
        let mut found = Vec::new();
        if NAMES[..4].iter().any(|name| wanted.accepts_name(name)) {
            for recorded in &self.calls {
                for ((status, flags), timeline) in &recorded.outcomes {
                    for reporter in reporters(&recorded.call) {
                        let labels = labels(&recorded.call, reporter, (*status, flags));
                        let gaps = if *reporter == "destination" { recorded.gaps.as_slice() } else { &[] };
                        self.families(&labels, (timeline, gaps), (wanted, after, until), &mut found);
                    }
                }
            }
        }
        if wanted.accepts_name("up") {
            let labels = Labels::from([
                (NAME.to_owned(), "up".to_owned()),
                ("instance".to_owned(), "mesh".to_owned()),
                ("job".to_owned(), "envoy-stats".to_owned()),
            ]);
            if wanted.accepts(|name| labels.get(name).map_or("", String::as_str)) {
                found.push(Series { labels, points: self.points(i64::MIN, after, until, |_| Some(1.0)) });
            }
        }
        found
    }
}

impl Contents {
    /// The series of one reporter and one outcome, as far as they are wanted.
    fn families(
        &self,
        labels: &Labels,
        scraped: (&Timeline, &[Gap]),
        window: (&Wanted<'_>, i64, i64),
        found: &mut Vec<Series>,
    ) {
        let (wanted, after, until) = window;
        let (timeline, gaps) = scraped;
        let mut offer = |name: &str, bound: Option<&str>, read: &dyn Fn(&Totals) -> f64| {
            let label = |wanted: &str| match wanted {
                NAME => name,
                "le" => bound.unwrap_or_default(),
                other => labels.get(other).map_or("", String::as_str),
            };
            if !wanted.accepts(label) {
                return;
            }
            let points = self.points(timeline.first(), after, until, |scrape| {
                match gaps.iter().find(|gap| (gap.from..gap.until).contains(&scrape)) {
                    None => timeline.at(scrape).map(read),
                    Some(gap) => (gap.from == scrape).then(stale),
                }
            });
            let mut labels = labels.clone();
            labels.insert(NAME.to_owned(), name.to_owned());
            labels.extend(bound.map(|bound| ("le".to_owned(), bound.to_owned())));
            found.push(Series { labels, points });
        };
        offer(REQUESTS, None, &|totals| totals.requests as f64);
        offer(SUM, None, &|totals| totals.duration_ms);
        offer(COUNT, None, &|totals| totals.requests as f64);
        for index in 0..=BUCKETS_MS.len() {
            let bound = BUCKETS_MS.get(index).copied().unwrap_or(f64::INFINITY);
            offer(BUCKET, Some(&number(bound)), &|totals| totals.at_most(index) as f64);
        }
    }

    /// The points of the scrapes after `after` and not after `until`, from scrape number `first` on.
    fn points(&self, first: i64, after: i64, until: i64, read: impl Fn(i64) -> Option<f64>) -> Vec<(i64, f64)> {
        let begin = (self.scrapes.at(after) + 1).max(first);
        (begin..=self.scrapes.at(until))
            .filter_map(|scrape| Some((self.scrapes.time_ms(scrape), read(scrape)?)))
            .collect()
    }
}

/// Who reports a call: both sides, or only the caller if no pod was reached.
fn reporters(call: &Call) -> &'static [&'static str] {
    if call.server.is_some() { &["destination", "source"] } else { &["source"] }
}

/// Istio's labels for one side of a call, without the metric's name.
fn labels(call: &Call, reporter: &str, outcome: (u16, &str)) -> Labels {
    let unknown = Server {
        workload: "unknown".to_owned(),
        namespace: "unknown".to_owned(),
        app: "unknown".to_owned(),
        version: "unknown".to_owned(),
        canonical_service: "unknown".to_owned(),
        canonical_revision: "unknown".to_owned(),
    };
    let server = call.server.as_ref().unwrap_or(&unknown);
    let mut parts = call.host.split('.');
    let (service, namespace) = (parts.next().unwrap_or("unknown"), parts.next().unwrap_or("unknown"));
    let policy = if reporter == "destination" { "mutual_tls" } else { "unknown" };
    let status = outcome.0.to_string();
    [
        ("connection_security_policy", policy),
        ("destination_app", &server.app),
        ("destination_canonical_revision", &server.canonical_revision),
        ("destination_canonical_service", &server.canonical_service),
        ("destination_service", &call.host),
        ("destination_service_name", service),
        ("destination_service_namespace", namespace),
        ("destination_version", &server.version),
        ("destination_workload", &server.workload),
        ("destination_workload_namespace", &server.namespace),
        ("reporter", reporter),
        ("request_protocol", "http"),
        ("response_code", &status),
        ("response_flags", outcome.1),
        ("source_workload", &call.caller.workload),
        ("source_workload_namespace", &call.caller.namespace),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect::<BTreeMap<_, _>>()
}
