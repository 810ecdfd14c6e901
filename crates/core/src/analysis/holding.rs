//! Which metrics of a run hold the step: those that have nothing to judge, or nobody to ask.

use serin_api::AnalysisRun;

use super::judge::Verdict;
use super::phase::Phase;
use crate::rollout::hold::Hold;

/// Why a run holds the step of its Rollout; empty for a run that is over, and for one whose metrics were all judged at
/// their last measurement. Dry-run metrics hold nothing.
#[must_use]
pub fn holding(run: &AnalysisRun) -> Vec<Hold> {
    let Some(status) = run.status.as_ref().filter(|status| !Phase::of(&status.phase).completed()) else {
        return Vec::new();
    };
    let name = run.metadata.name.clone().unwrap_or_default();
    let metrics =
        status.metric_results.iter().filter(|result| !result.dry_run && !Phase::of(&result.phase).completed());
    metrics
        .filter_map(|result| {
            let last = result.measurements.last()?;
            let (run, metric) = (name.clone(), result.name.clone());
            let message = last.message.clone().unwrap_or_default();
            match Verdict::of(last)? {
                Verdict::NoData => {
                    let message = message.strip_prefix("no data: ").map_or(message.clone(), str::to_owned);
                    Some(Hold::NoData { run, metric, message })
                }
                Verdict::SourceDown => Some(Hold::SourceDown { run, metric, message }),
                Verdict::Successful | Verdict::Failed | Verdict::Inconclusive | Verdict::Error => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The status of a run as JSON; expected are the holds as reason and sentence.
    #[track_caller]
    fn check(what: &str, status: &Value, expected: &[(&str, &str)]) {
        let run = json!({"metadata": {"name": "run"}, "spec": {"metrics": []}, "status": status});
        let run: AnalysisRun = serde_json::from_value(run).expect("a run");
        let got: Vec<(&str, String)> = holding(&run).iter().map(|hold| (hold.reason(), hold.to_string())).collect();
        let expected: Vec<(&str, String)> =
            expected.iter().map(|(reason, text)| (*reason, (*text).to_owned())).collect();
        assert_eq!(got, expected, "{what}");
    }

    fn result(name: &str, outcome: &str, dry_run: bool) -> Value {
        let measurement = match outcome {
            "no-data" => {
                json!({"phase": "Inconclusive", "message": "no data: none", "metadata": {"serin.dev/outcome": "no-data"}})
            }
            "source-down" => {
                json!({"phase": "Error", "message": "refused", "metadata": {"serin.dev/outcome": "source-down"}})
            }
            phase => json!({"phase": phase}),
        };
        json!({"name": name, "phase": "Running", "dryRun": dry_run, "measurements": [{"phase": "Error"}, measurement]})
    }

    #[test]
    fn a_run_holds_while_its_last_measurements_tell_nothing() {
        let no_data = "metric a of run has no data (none); the step waits, nothing is rolled back";
        let down = "the source of metric b of run cannot be asked (refused); the step waits, nothing is rolled back";
        let running = |results: Value| json!({"phase": "Running", "metricResults": results});
        check(
            "both kinds",
            &running(json!([result("a", "no-data", false), result("b", "source-down", false)])),
            &[("NoData", no_data), ("SourceDown", down)],
        );
        check("judged metrics", &running(json!([result("a", "Successful", false), result("b", "Error", false)])), &[]);
        check("a dry run", &running(json!([result("a", "no-data", true)])), &[]);
        check("nothing measured", &running(json!([{"name": "a", "phase": "Pending"}])), &[]);
        let mut over = result("a", "no-data", false);
        over["phase"] = json!("Successful");
        check("a metric that is over", &running(json!([over])), &[]);
        check("a run that is over", &json!({"phase": "Failed", "metricResults": [result("a", "no-data", false)]}), &[]);
        check("a run without status", &Value::Null, &[]);
    }
}
