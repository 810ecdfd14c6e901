//! Expressions with values computed by hand.

use promql_parser::parser::parse;

use super::super::eval::Eval;
use super::super::select::{Samples, Wanted};
use super::super::value::{Labels, NAME, Series, Value, number};
use super::NOON;

/// Series with one point every 15 s from noon to two minutes past.
struct Fixed(Vec<Series>);

impl Samples for Fixed {
    fn select(&self, wanted: &Wanted<'_>, after: i64, until: i64) -> Vec<Series> {
        let meant = |series: &&Series| wanted.accepts(|label| series.labels.get(label).map_or("", String::as_str));
        let cut = |series: &Series| Series {
            labels: series.labels.clone(),
            points: series.points.iter().copied().filter(|(at, _)| *at > after && *at <= until).collect(),
        };
        self.0.iter().filter(meant).map(cut).collect()
    }
}

fn series(name: &str, labels: &[(&str, &str)], values: impl Fn(usize) -> f64) -> Series {
    let mut all: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.insert(NAME.to_owned(), name.to_owned());
    Series { labels: all, points: (0..=8).map(|index| (NOON + 15_000 * index as i64, values(index))).collect() }
}

/// Ten requests to reviews every 15 s, two of which fail; a histogram with half of 100 requests up to 50 ms, 90 up to 100 ms.
fn fixed() -> Fixed {
    let requests = |reporter: &str, workload: &str, code: &str, each: f64| {
        let labels = [("reporter", reporter), ("destination_workload", workload), ("response_code", code)];
        series("istio_requests_total", &labels, move |index| each * index as f64)
    };
    let bucket = |bound: &str, each: f64| {
        series("h_bucket", &[("le", bound), ("app", "reviews")], move |index| each * index as f64)
    };
    let gauge = |app: &str, offset: f64| series("gauge", &[("app", app)], move |index| index as f64 + offset);
    let resetting = [0.0, 10.0, 20.0, 30.0, 5.0, 15.0, 25.0, 35.0, 45.0];
    Fixed(vec![
        requests("destination", "reviews-rollout", "200", 8.0),
        requests("destination", "reviews-rollout", "500", 2.0),
        requests("source", "reviews-rollout", "503", 100.0),
        requests("destination", "idle", "200", 0.0),
        bucket("25", 0.0),
        bucket("50", 50.0),
        bucket("100", 90.0),
        bucket("+Inf", 100.0),
        gauge("a", 0.0),
        gauge("b", 10.0),
        series("target", &[("app", "a"), ("team", "red")], |_| 1.0),
        series("resetting", &[], move |index| resetting[index]),
        series("alone", &[], |_| 2.5),
    ])
}

/// One line for each element: labels if there are any, then the value with at most six decimals.
fn show(value: &Value) -> String {
    let rounded = |value: f64| number(if value.is_finite() { (value * 1e6).round() / 1e6 } else { value });
    let element = |labels: &Labels, value: &str| {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{} {value}", labels.join(",")).trim().to_owned()
    };
    match value {
        Value::Scalar(value) => format!("scalar {}", rounded(*value)),
        Value::Text(text) => format!("string {text}"),
        Value::Vector(samples) => {
            samples.iter().map(|each| element(&each.labels, &rounded(each.value))).collect::<Vec<_>>().join("; ")
        }
        Value::Matrix(window) => window
            .series
            .iter()
            .map(|each| element(&each.labels, &format!("{:?}", each.points)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Evaluates at two minutes past noon.
fn check(sentence: &str, expression: &str, wanted: &str) {
    let at = NOON + 120_000;
    let eval = Eval { samples: &fixed(), at, start: at, end: at };
    let shown = match parse(expression).and_then(|expr| eval.eval(&expr)) {
        Ok(value) => show(&value),
        Err(message) => format!("error: {message}"),
    };
    let fits = wanted
        .strip_prefix("error: ")
        .map_or(shown == wanted, |part| shown.starts_with("error: ") && shown.contains(part));
    assert!(fits, "{sentence}: {expression}\n  is     {shown}\n  wanted {wanted}");
}

const OF_REVIEWS: &str = r#"reporter="destination",destination_workload="reviews-rollout""#;

#[test]
fn success_rate_as_istio_users_write_it() {
    let rate = |matchers: &str| format!("sum(rate(istio_requests_total{{{matchers}}}[2m]))");
    let all = rate(OF_REVIEWS);
    let good = rate(&format!(r#"{OF_REVIEWS},response_code!~"5.*""#));
    check("8 of 10 requests succeed", &format!("{good} / {all}"), "0.8");
    check("10 requests in 15 s", &all, "0.666667");
    check("without traffic it is 0/0", &format!("{0} / {0}", rate(r#"destination_workload="idle""#)), "NaN");
    check("an unknown series gives nothing", &format!("{0} / {0}", rate(r#"destination_workload="nope""#)), "");
    check("a default for nothing", &format!("{} or vector(1)", rate(r#"destination_workload="nope""#)), "1");
    check("a regular expression is anchored", &rate(r#"destination_workload=~"reviews""#), "");
    check("a missing label equals nothing", &rate(&format!(r#"{OF_REVIEWS},missing="""#)), "0.666667");
    check(
        "by code",
        &format!("sum by (response_code) (increase(istio_requests_total{{{OF_REVIEWS}}}[2m]))"),
        "response_code=200 64; response_code=500 16",
    );
    check(
        "without the others",
        &format!("sum without (reporter, destination_workload) (irate(istio_requests_total{{{OF_REVIEWS}}}[1m]))"),
        "response_code=200 0.533333; response_code=500 0.133333",
    );
    check("an error share in percent", &format!("round(100 * (1 - {good} / {all}))"), "20");
}

#[test]
fn quantiles_of_a_histogram() {
    let at = |phi: &str| format!("histogram_quantile({phi}, sum by (le) (rate(h_bucket[2m])))");
    check("the median lies at the end of its bucket", &at("0.5"), "50");
    check("between bounds it is interpolated", &at("0.7"), "75");
    check("the last bound is the most that is known", &at("0.99"), "100");
    check("labels other than le stay", "histogram_quantile(0.9, rate(h_bucket[2m]))", "app=reviews 100");
    check(
        "nothing observed gives NaN",
        "histogram_quantile(0.9, rate(h_bucket{le=~\"25|.Inf\"}[2m]) * 0)",
        "app=reviews NaN",
    );
    check(
        "without the infinite bucket it is NaN",
        "histogram_quantile(0.9, rate(h_bucket{le!=\"+Inf\"}[2m]))",
        "app=reviews NaN",
    );
}

#[test]
fn ranges_and_moments() {
    check("a reset counts from zero", "increase(resetting[2m])", "74.285714");
    check("a gauge may fall", "delta(resetting[2m])", "40");
    check("the range is open at its start", "count_over_time(alone[2m])", "8");
    check("average", "avg_over_time(gauge{app=\"a\"}[2m])", "app=a 4.5");
    check("the extremes", "max_over_time(gauge{app=\"a\"}[2m]) - min_over_time(gauge{app=\"a\"}[2m])", "app=a 7");
    check("sum", "sum_over_time(alone[1m])", "10");
    check("quantile", "quantile_over_time(0.5, gauge{app=\"a\"}[2m])", "app=a 4.5");
    check("resets and changes", "resets(resetting[2m]) + changes(alone[2m])", "1");
    check("offset", "gauge{app=\"a\"} offset 1m", "__name__=gauge,app=a 4");
    check("a fixed moment", "gauge{app=\"a\"} @ 1728043260", "__name__=gauge,app=a 4");
    check("a fixed moment and an offset", "gauge{app=\"a\"} @ end() offset 30s", "__name__=gauge,app=a 6");
    check("one point makes no rate", "rate(gauge[10s])", "");
    check("a subquery", "max_over_time(sum(gauge)[1m:30s])", "26");
    check("a range alone", "alone[30s]", "__name__=alone [(1728043305000, 2.5), (1728043320000, 2.5)]");
}

#[test]
fn operators() {
    check("precedence and powers", "-2 ^ 2 + 7 % 4 * 2", "scalar 2");
    check("a filter keeps value and name", "gauge > 10", "__name__=gauge,app=b 18");
    check("with bool it is a number", "gauge > bool 10", "app=a 0; app=b 1");
    check("a number on the left filters too", "10 < gauge", "__name__=gauge,app=b 18");
    check("labels must agree", "gauge + gauge", "app=a 16; app=b 36");
    check("on and group_left", "gauge * on (app) group_left (team) target", "app=a,team=red 8");
    check("group_right", "target * on (app) group_right () gauge", "app=a 8");
    check("ignoring", "gauge * ignoring (team) target", "app=a 8");
    check("and", "gauge and on (app) target", "__name__=gauge,app=a 8");
    check("unless", "gauge unless on (app) target", "__name__=gauge,app=b 18");
    check("or", "gauge{app=\"a\"} or gauge", "__name__=gauge,app=a 8; __name__=gauge,app=b 18");
    check("many on both sides", "gauge * on () gauge", "error: many-to-many matching not allowed");
    check("many on one side needs to be said", "gauge * on () alone", "error: group_left");
}

#[test]
fn aggregations_and_functions() {
    check("average, count, spread", "avg(gauge) + count(gauge) + max(gauge) - min(gauge)", "25");
    check("the largest", "topk(1, gauge)", "__name__=gauge,app=b 18");
    check("the smallest", "bottomk(1, gauge)", "__name__=gauge,app=a 8");
    check("a quantile", "quantile(0.25, gauge)", "10.5");
    check("standard deviation", "stddev(gauge)", "5");
    check("sorted", "sort_desc(gauge)", "__name__=gauge,app=b 18; __name__=gauge,app=a 8");
    check("a vector of one is a number", "scalar(alone) + 1", "scalar 3.5");
    check("a vector of two is none", "scalar(gauge)", "scalar NaN");
    check("time", "time()", "scalar 1728043320");
    check("clamped", "clamp_max(clamp_min(gauge, 9), 12)", "app=a 9; app=b 12");
    check("rounded to a multiple", "round(alone, 2)", "2");
    check("absent", "absent(nope{app=\"x\",b=~\"y\"})", "app=x 1");
    check("not absent", "absent(alone)", "");
    check("absent over a range", "absent_over_time(nope[5m])", "1");
    check(
        "a label from another",
        "label_replace(target, \"short\", \"$1\", \"team\", \"(.)ed\")",
        "__name__=target,app=a,short=r,team=red 1",
    );
    check("what is not simulated says so", "holt_winters(alone[2m], 0.5, 0.5)", "error: ");
    check("predictions are not simulated", "predict_linear(alone[2m], 60)", "error: predict_linear");
}

#[test]
fn a_sample_counts_for_five_minutes() {
    for (after_last, wanted) in [(299_999, "__name__=alone 2.5"), (300_000, "")] {
        let at = NOON + 120_000 + after_last;
        let eval = Eval { samples: &fixed(), at, start: at, end: at };
        assert_eq!(
            show(&eval.eval(&parse("alone").unwrap()).unwrap()),
            wanted,
            "{after_last} ms after the last sample"
        );
    }
}
