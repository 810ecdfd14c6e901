//! SkyWalking: requests that were measured elsewhere go in as trace segments, minutes of metrics come out.
//!
//! No agent of SkyWalking runs in the pods of a suite. The load generator counts what the canary really answered, and
//! [`SkyWalking::book`] hands these counts to the server as one span per request. The server then does what it does for
//! everybody: it sorts spans into minutes by their own timestamps and works out `service_apdex` and the others.
//!
//! What is honest about that, and what is not:
//!
//! * How many requests were good, slow or failed is measured. The feeder scales nothing and rates nothing.
//! * How slow a request was is not: a good one counts as 100 ms, a slow one as 600 ms. The threshold is 500 ms.
//! * **When** it was is not, as soon as minutes are back-filled: the server then says of some past minutes what was
//!   measured just now, within seconds. It is as if the canary had served the same way a few minutes earlier. Without it
//!   every case would wait 90 s for its first complete minute, and three more for its window to fill.
//! * A post does not become visible at once: for up to a second the server may show a part of a minute. Kinds of requests
//!   take turns, so that the part has the same mix as the whole.
//! * That spans arrive late, or in the middle of a minute, is not tried here: a minute is booked when it is over, at once.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::Client;
use serde_json::{Value, json};

use super::wait::until;

/// The Service of `manifests/skywalking.yaml`, through the API server.
const SERVICE: &str = "/api/v1/namespaces/istio-system/services/oap:12800/proxy";

/// A longer name of a service is cut off by the server, and then nothing is found under the full name.
const NAME_MAX: usize = 70;

/// More would be too large for one post, and a minute takes only one.
const REQUESTS_MAX: u32 = 20_000;

/// The server writes every 3 s; a restarted one takes 10 s more.
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

/// How long requests take, in milliseconds. Up to 500 satisfies and up to 2000 is tolerated, which counts half.
const GOOD_MILLIS: i64 = 100;
const SLOW_MILLIS: i64 = 600;

/// Requests begin in this part of their minute, so that also slow ones end in it.
const SPREAD_MILLIS: i64 = 50_000;

/// What a service answered in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Without an error and fast.
    pub(crate) good: u32,
    /// Without an error, above the threshold of 500 ms.
    pub(crate) slow: u32,
    /// With an error.
    pub(crate) failed: u32,
}

impl Answered {
    /// All of them.
    pub(crate) fn total(self) -> u32 {
        self.good.saturating_add(self.slow).saturating_add(self.failed)
    }

    /// The apdex that the server will work out, times 10000 and rounded down; nothing without requests.
    pub(crate) fn apdex(self) -> Option<u64> {
        let halves = u64::from(self.good) * 2 + u64::from(self.slow);
        (halves * 10_000).checked_div(u64::from(self.total()) * 2)
    }
}

/// A way to the HTTP port of a server.
pub(crate) trait Post: Sync {
    /// Posts JSON to a path of the server; the body of a successful answer.
    fn post(&self, path: &str, body: String) -> impl Future<Output = Result<String>> + Send;
}

/// Through the API server, which reaches the cluster's Services from everywhere.
impl Post for Client {
    async fn post(&self, path: &str, body: String) -> Result<String> {
        let request = Request::post(format!("{SERVICE}{path}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body.into_bytes())
            .context("a path that is none")?;
        self.request_text(request).await.with_context(|| format!("SkyWalking does not answer {path}"))
    }
}

/// A SkyWalking server.
#[derive(Clone, Debug)]
pub(crate) struct SkyWalking<P> {
    way: P,
}

impl<P: Post> SkyWalking<P> {
    /// The server at the end of this way.
    pub(crate) fn new(way: P) -> Self {
        Self { way }
    }

    /// Waits until the server answers queries, and returns its version, such as `10.1.0-d28dfea`.
    ///
    /// # Errors
    /// If it does not within `limit`.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<String> {
        until("SkyWalking answers", limit, || async {
            let version = self.ask("{ version }", Value::Null).await?;
            Ok(version["version"].as_str().context("no version")?.to_owned())
        })
        .await
    }

    /// Books these requests in each of the minutes in which the server knows of none yet, and waits until it shows
    /// them. A minute that has some stays as it is: a second post for a minute may get lost. Which minutes those
    /// are is asked of the server, so that a server that lost its memory is told all again.
    ///
    /// Returns how many minutes were booked.
    ///
    /// # Errors
    /// If the name is too long, there are no requests or too many, or the server does not show them within 30 s.
    pub(crate) async fn book(&self, service: &str, minutes: &[DateTime<Utc>], answered: Answered) -> Result<usize> {
        ensure!(service.len() <= NAME_MAX, "SkyWalking cuts the name {service} off after {NAME_MAX} characters");
        ensure!(
            (1..=REQUESTS_MAX).contains(&answered.total()),
            "{} requests of {service} cannot be booked; 1 to {REQUESTS_MAX} can",
            answered.total()
        );
        let mut booked = Vec::new();
        for minute in minutes {
            if self.value("service_cpm", service, *minute).await? == 0 {
                self.way.post("/v3/segments", segments(service, *minute, answered).to_string()).await?;
                booked.push(*minute);
            }
        }
        for minute in &booked {
            until(&format!("SkyWalking shows the calls of {service} at {minute}"), VISIBLE_WITHIN, || async {
                let calls = self.value("service_cpm", service, *minute).await?;
                ensure!(calls == u64::from(answered.total()), "{calls} of {} calls", answered.total());
                // Each metric is written for itself. The server rounds as it likes.
                let apdex = self.value("service_apdex", service, *minute).await?;
                let expected = answered.apdex().unwrap_or_default();
                ensure!(apdex.abs_diff(expected) <= 1, "apdex {apdex} instead of {expected}");
                Ok(())
            })
            .await?;
        }
        Ok(booked.len())
    }

    /// The value of a metric of a service in the minute that begins at `minute`; 0 also means that there is none.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(crate) async fn value(&self, metric: &str, service: &str, minute: DateTime<Utc>) -> Result<u64> {
        let zone = self.zone().await?;
        let at = |time: DateTime<Utc>| time.with_timezone(&zone).format("%Y-%m-%d %H%M").to_string();
        let variables = json!({
            // 9.2 asks for a scope and has no answer for one minute alone, so the minute before comes with it.
            "condition": {
                "name": metric,
                "entity": { "scope": "Service", "serviceName": service, "normal": true },
            },
            "duration": { "start": at(minute - TimeDelta::minutes(1)), "end": at(minute), "step": "MINUTE" },
        });
        let query = "query ($condition: MetricsCondition!, $duration: Duration!) {
            read: readMetricsValues(condition: $condition, duration: $duration) { values { values { value } } } }";
        let answer = self.ask(query, variables).await?;
        let values = answer["read"]["values"]["values"].as_array().context("an answer without values")?;
        values.last().and_then(|bucket| bucket["value"].as_u64()).context("an answer without a number")
    }

    /// The zone in which the server reads times; in another one everything reads as 0.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(crate) async fn zone(&self) -> Result<FixedOffset> {
        let answer = self.ask("{ getTimeInfo { timezone } }", Value::Null).await?;
        let zone = answer["getTimeInfo"]["timezone"].as_str().context("no time zone")?;
        zone.parse().with_context(|| format!("the time zone {zone}"))
    }

    /// The `data` of an answer.
    async fn ask(&self, query: &str, variables: Value) -> Result<Value> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut answer: Value = serde_json::from_str(&self.way.post("/graphql", body).await?)?;
        ensure!(answer["errors"].is_null(), "SkyWalking says: {}", answer["errors"]);
        Ok(answer["data"].take())
    }
}

/// The last `count` minutes that are over, oldest first. Serin asks for those of them that ended 30 s ago or earlier; to
/// book one more than its window has is therefore enough at any second of a minute.
pub(crate) fn complete_minutes(now: DateTime<Utc>, count: u32) -> Vec<DateTime<Utc>> {
    let running = now.timestamp().div_euclid(60);
    let minutes = (1..=i64::from(count)).rev().map(|back| (running - back) * 60);
    minutes.filter_map(|seconds| DateTime::from_timestamp(seconds, 0)).collect()
}

/// One segment of one span for each request, spread over the minute.
///
/// Source of the format: <https://skywalking.apache.org/docs/main/v9.0.0/en/protocols/trace-data-protocol-v3>
fn segments(service: &str, minute: DateTime<Utc>, answered: Answered) -> Value {
    let (begin, total) = (minute.timestamp_millis(), i64::from(answered.total()));
    requests(answered)
        .into_iter()
        .zip(0i64..)
        .map(|((millis, failed), index)| {
            let start = begin + index * SPREAD_MILLIS / total;
            let id = format!("{}.{index}.{service}", minute.timestamp());
            json!({
                "traceId": id,
                "traceSegmentId": id,
                "service": service,
                "serviceInstance": "all",
                "spans": [{
                    "spanId": 0,
                    "parentSpanId": -1,
                    "operationName": "/",
                    "startTime": start,
                    "endTime": start + millis,
                    "spanType": "Entry",
                    "spanLayer": "Http",
                    "componentId": 2,
                    "isError": failed,
                }],
            })
        })
        .collect()
}

/// How long each request took and whether it failed; those of a kind at even distances.
fn requests(answered: Answered) -> Vec<(i64, bool)> {
    let kinds = [
        (answered.good, GOOD_MILLIS, false),
        (answered.slow, SLOW_MILLIS, false),
        (answered.failed, GOOD_MILLIS, true),
    ];
    let mut placed: Vec<(u64, (i64, bool))> = Vec::new();
    for (count, millis, failed) in kinds {
        // The middle of each one's share of the whole, which is 2^32 long.
        let place = |index: u32| ((u64::from(index) * 2 + 1) << 31) / u64::from(count);
        placed.extend((0..count).map(|index| (place(index), (millis, failed))));
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, request)| request).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use chrono::NaiveDateTime;

    use super::*;

    /// A server five and a half hours ahead, which shows the calls only when asked again, and the apdex still later.
    #[derive(Default)]
    struct Fake {
        minutes: Mutex<BTreeMap<(String, i64), (Answered, u32)>>,
        posts: Mutex<Vec<Value>>,
    }

    impl Post for &Fake {
        async fn post(&self, path: &str, body: String) -> Result<String> {
            let body: Value = serde_json::from_str(&body)?;
            if path == "/v3/segments" {
                for segment in body.as_array().context("segments")? {
                    let minute = segment["spans"][0]["startTime"].as_i64().context("a start")?.div_euclid(60_000);
                    let service = segment["service"].as_str().context("a service")?.to_owned();
                    let span = &segment["spans"][0];
                    let mut minutes = self.minutes.lock().unwrap();
                    let answered = &mut minutes.entry((service, minute)).or_default().0;
                    let millis = span["endTime"].as_i64().unwrap() - span["startTime"].as_i64().unwrap();
                    match (span["isError"] == true, millis) {
                        (true, _) => answered.failed += 1,
                        (false, 0..=500) => answered.good += 1,
                        (false, _) => answered.slow += 1,
                    }
                }
                self.posts.lock().unwrap().push(body);
                return Ok(String::new());
            }
            if body["query"] == "{ getTimeInfo { timezone } }" {
                return Ok(json!({ "data": { "getTimeInfo": { "timezone": "+0530" } } }).to_string());
            }
            let [start, end] =
                ["start", "end"].map(|end| body["variables"]["duration"][end].as_str().unwrap().to_owned());
            assert!(start < end, "9.2 refuses one minute");
            let end = NaiveDateTime::parse_from_str(&end, "%Y-%m-%d %H%M")?.and_utc() - TimeDelta::minutes(330);
            let entity = &body["variables"]["condition"]["entity"];
            assert_eq!(entity["scope"], "Service", "9.2 refuses an entity without");
            let key = (entity["serviceName"].as_str().unwrap().to_owned(), end.timestamp() / 60);
            let is_cpm = body["variables"]["condition"]["name"] == "service_cpm";
            let mut minutes = self.minutes.lock().unwrap();
            let shown = minutes.get_mut(&key).map_or(0, |(answered, asked)| {
                *asked += 1;
                match (is_cpm, *asked) {
                    (true, 2..) => u64::from(answered.total()),
                    (false, 4..) => answered.apdex().unwrap(),
                    (true | false, _) => 0,
                }
            });
            Ok(json!({ "data": { "read": { "values": { "values": [{ "value": 0 }, { "value": shown }] } } } })
                .to_string())
        }
    }

    fn noon() -> DateTime<Utc> {
        "2026-11-21T12:00:59Z".parse().expect("a time")
    }

    #[tokio::test]
    async fn each_minute_is_booked_once_and_seen() {
        let fake = Fake::default();
        let oap = SkyWalking::new(&fake);
        let answered = Answered { good: 5, slow: 3, failed: 2 };
        let book = async |count| oap.book("reviews", &complete_minutes(noon(), count), answered).await.expect("booked");
        assert_eq!(book(2).await, 2);
        assert_eq!(oap.value("service_cpm", "reviews", complete_minutes(noon(), 1)[0]).await.expect("a value"), 10);
        assert_eq!(book(3).await, 1, "only the minute that is new");
        assert_eq!(fake.posts.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn what_cannot_be_booked_is_refused_before_anything_is_sent() {
        let fake = Fake::default();
        let long = "x".repeat(71);
        let requests = |good| Answered { good, ..Answered::default() };
        for (service, answered, expected) in [
            (long.as_str(), requests(1), "after 70 characters"),
            ("reviews", requests(0), "0 requests of reviews"),
            ("reviews", requests(20_001), "1 to 20000 can"),
            ("reviews", Answered { slow: u32::MAX, ..requests(1) }, "1 to 20000 can"),
        ] {
            let error = SkyWalking::new(&fake).book(service, &complete_minutes(noon(), 1), answered).await;
            let error = error.expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(fake.posts.lock().unwrap().is_empty());
    }

    #[test]
    fn spans_begin_and_end_in_their_minute_and_are_as_many_as_counted() {
        let minute = complete_minutes(noon(), 1)[0];
        let all = segments("reviews", minute, Answered { good: 990, slow: 7, failed: 3 });
        let spans: Vec<&Value> = all.as_array().expect("a list").iter().map(|segment| &segment["spans"][0]).collect();
        let took = |span: &Value| span["endTime"].as_i64().unwrap() - span["startTime"].as_i64().unwrap();
        let count =
            |millis, failed| spans.iter().filter(|span| took(span) == millis && span["isError"] == failed).count();
        assert_eq!((count(100, false), count(600, false), count(100, true)), (990, 7, 3));
        for span in &spans {
            let (start, end) = (span["startTime"].as_i64().unwrap(), span["endTime"].as_i64().unwrap());
            assert!(start >= minute.timestamp_millis() && end < minute.timestamp_millis() + 60_000, "{span}");
        }
        let ids: std::collections::BTreeSet<String> =
            all.as_array().unwrap().iter().map(|segment| segment["traceSegmentId"].to_string()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn each_part_of_a_minute_has_the_mix_of_the_whole() {
        for (failed, each_hundred) in [(100, 10), (10, 1), (0, 0), (1000, 100)] {
            let all = requests(Answered { good: 1000 - failed, slow: 0, failed });
            assert_eq!(all.len(), 1000);
            for part in all.chunks(100) {
                assert_eq!(part.iter().filter(|(_, failed)| *failed).count(), each_hundred, "{failed} of 1000");
            }
        }
    }

    #[test]
    fn apdex_is_what_a_server_was_seen_to_answer() {
        for (good, slow, failed, expected) in [
            (5, 3, 2, Some(6500)),
            (990, 0, 10, Some(9900)),
            (6000, 5, 2, Some(9992)),
            (0, 0, 4, Some(0)),
            (0, 0, 0, None),
        ] {
            assert_eq!(Answered { good, slow, failed }.apdex(), expected, "{good} {slow} {failed}");
        }
    }

    #[test]
    fn complete_minutes_end_with_the_last_that_is_over() {
        let texts =
            |count| complete_minutes(noon(), count).iter().map(|at| at.format("%H%M").to_string()).collect::<Vec<_>>();
        assert_eq!(texts(3), ["1157", "1158", "1159"]);
        assert!(texts(0).is_empty());
    }
}
