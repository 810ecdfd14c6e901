//! Reads the spec of an analysis into what decisions need, and reports every mistake in it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serin_api::{AnalysisRunSpec, AnalysisTemplateSpec, Argument, DryRun, MeasurementRetention, Metric};

use super::args::{Slot, arg_value, references, resolve};
use super::condition::Condition;
use super::metric::{Reading, read_metric};
use super::rules::{dry_run_names, retention_limits};
use super::sample::ArgValue;
use crate::field_error::FieldError;

/// A run as decisions need it.
#[derive(Debug)]
pub struct RunPlan {
    /// Its metrics, in the order of the spec.
    pub metrics: Vec<MetricPlan>,
    /// Values of its arguments by name.
    pub args: BTreeMap<String, ArgValue>,
}

/// A metric as decisions need it.
#[derive(Debug)]
pub struct MetricPlan {
    /// Name, unique in the run.
    pub name: String,
    /// Distance between two measurements.
    pub interval: Option<TimeDelta>,
    /// Time from the start of the run to the first measurement.
    pub initial_delay: TimeDelta,
    /// Number of measurements as given; `None` if absent or not positive.
    pub count: Option<i64>,
    /// What a good measurement fulfils.
    pub success: Option<Rule>,
    /// What a bad measurement fulfils.
    pub failure: Option<Rule>,
    /// Bad measurements that are tolerated; `None` if any number is (−1 in the spec).
    pub failure_limit: Option<i64>,
    /// Inconclusive measurements that are tolerated; `None` if the spec does not say, which means 0.
    pub inconclusive_limit: Option<i64>,
    /// Errors in a row that are tolerated; `None` if the spec does not say, which means 4.
    pub consecutive_error_limit: Option<i64>,
    /// Good measurements in a row that end the metric as successful; `None` if no number does.
    pub consecutive_success_limit: Option<i64>,
    /// Whether it is measured but does not count.
    pub dry_run: bool,
    /// Number of measurements that status keeps.
    pub retention: usize,
    /// Whether each measurement is a Job, which takes its time.
    pub is_job: bool,
}

/// A condition with its text, which messages quote.
#[derive(Debug)]
pub struct Rule {
    /// The condition as the spec has it, arguments substituted.
    pub text: String,
    /// The same, compiled.
    pub condition: Condition,
}

impl MetricPlan {
    /// Number of measurements after which the metric is over; `None` if it goes on until something ends it.
    #[must_use]
    pub fn effective_count(&self) -> Option<i64> {
        self.count.or(if self.interval.is_none() { Some(1) } else { None })
    }
}

/// Why a run cannot be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid {
    /// Arguments without value and placeholders without argument.
    pub arguments: Vec<FieldError>,
    /// Everything else.
    pub spec: Vec<FieldError>,
}

impl Invalid {
    /// All mistakes as one message, in Argo Rollouts' words.
    #[must_use]
    pub fn message(&self) -> String {
        let part = |title: &str, errors: &[FieldError]| {
            (!errors.is_empty()).then(|| format!("{title}: {}", FieldError::join(errors)))
        };
        let parts =
            [part("Unable to resolve metric arguments", &self.arguments), part("Analysis spec invalid", &self.spec)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Reads the spec of a run.
///
/// # Errors
/// All mistakes in it.
pub fn plan(spec: &AnalysisRunSpec) -> Result<RunPlan, Invalid> {
    let (mut args, mut invalid) = (BTreeMap::new(), Invalid::default());
    for arg in &spec.args {
        match arg_value(arg) {
            Some(value) => {
                args.insert(arg.name.clone(), value);
            }
            None => invalid.arguments.push(FieldError::new("", format!("argument \"{}\" was not supplied", arg.name))),
        }
    }
    let source = Source {
        metrics: &spec.metrics,
        dry_run: &spec.dry_run,
        retention: &spec.measurement_retention,
        known: args.iter().map(|(name, value)| (name.as_str(), Some(value))).collect(),
        whole: true,
    };
    let metrics = read(&source, &mut invalid);
    if invalid == Invalid::default() { Ok(RunPlan { metrics, args }) } else { Err(invalid) }
}

/// All mistakes in the spec of a run; empty if there are none.
#[must_use]
pub fn validate_run(spec: &AnalysisRunSpec) -> Vec<FieldError> {
    plan(spec).err().map_or_else(Vec::new, |invalid| {
        let arguments = invalid.arguments.into_iter().map(|e| if e.field.is_empty() { e.under("args") } else { e });
        arguments.chain(invalid.spec).collect()
    })
}

/// All mistakes in the spec of a template that can be seen before its arguments have values; empty if there are none.
#[must_use]
pub fn validate(spec: &AnalysisTemplateSpec) -> Vec<FieldError> {
    let values: Vec<Option<ArgValue>> = spec.args.iter().map(arg_value).collect();
    let source = Source {
        metrics: &spec.metrics,
        dry_run: &spec.dry_run,
        retention: &spec.measurement_retention,
        known: spec.args.iter().zip(&values).map(|(arg, value)| (arg.name.as_str(), value.as_ref())).collect(),
        whole: spec.templates.is_empty(),
    };
    let mut invalid = Invalid::default();
    read(&source, &mut invalid);
    let mut errors = invalid.arguments;
    errors.extend(invalid.spec);
    errors.extend(duplicate_args(&spec.args));
    errors
}

/// A spec with what is known of its arguments.
struct Source<'a> {
    metrics: &'a [Metric],
    dry_run: &'a [DryRun],
    retention: &'a [MeasurementRetention],
    /// Every argument that there is; `None` for one whose value comes later.
    known: BTreeMap<&'a str, Option<&'a ArgValue>>,
    /// Whether these are all metrics, so that there must be one and rules must match one of them.
    whole: bool,
}

/// Stands for secrets where a spec is only looked at.
const REDACTED: &str = "*****";

fn read(source: &Source<'_>, invalid: &mut Invalid) -> Vec<MetricPlan> {
    if source.whole && source.metrics.is_empty() {
        invalid.spec.push(FieldError::new("metrics", "no metrics specified"));
    }
    // A field that has one of these cannot be judged yet.
    let open: Vec<&str> = source.known.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    let mut names = BTreeSet::new();
    let mut plans = Vec::new();
    for (index, metric) in source.metrics.iter().enumerate() {
        let field = format!("metrics[{index}]");
        let mut errors = secrets_in_conditions(metric, &source.known);
        if !names.insert(metric.name.as_str()) {
            errors.push(FieldError::new("name", format!("duplicate name '{}'", metric.name)));
        }
        match resolve(metric, &|name| slot(&source.known, name)) {
            Err(unknown) => {
                let message = format!("failed to resolve {}", unknown.join(", "));
                invalid.arguments.push(FieldError::new(field.clone(), message));
            }
            Ok(resolved) => {
                let Reading { plan, errors: found } = read_metric(&resolved, &open);
                errors.extend(found);
                plans.push(plan);
            }
        }
        invalid.spec.extend(errors.into_iter().map(|error| error.under(&field)));
    }
    let names: Vec<&str> = source.metrics.iter().map(|metric| metric.name.as_str()).collect();
    let (dry_run, errors) = dry_run_names(source.dry_run, &names, source.whole);
    invalid.spec.extend(errors);
    let (limits, errors) = retention_limits(source.retention, &names, source.whole);
    invalid.spec.extend(errors);
    for plan in &mut plans {
        plan.dry_run = dry_run.contains(plan.name.as_str());
        plan.retention = limits.get(plan.name.as_str()).copied().unwrap_or(plan.retention);
    }
    plans
}

fn slot<'a>(known: &BTreeMap<&str, Option<&'a ArgValue>>, name: &str) -> Slot<'a> {
    match known.get(name) {
        None => Slot::Unknown,
        Some(None) => Slot::Open,
        Some(Some(ArgValue::Known(value))) => Slot::Text(value),
        Some(Some(ArgValue::Secret { .. })) => Slot::Text(REDACTED),
    }
}

/// Conditions are judged where secrets are never seen.
fn secrets_in_conditions(metric: &Metric, known: &BTreeMap<&str, Option<&ArgValue>>) -> Vec<FieldError> {
    let conditions = [("successCondition", &metric.success_condition), ("failureCondition", &metric.failure_condition)];
    let mut errors = Vec::new();
    for (field, text) in conditions {
        for name in references(text.as_deref().unwrap_or_default()) {
            if let Some(Some(ArgValue::Secret { .. })) = known.get(name.as_str()) {
                let message = format!("args.{name} comes from a Secret; a condition must not use one");
                errors.push(FieldError::new(field, message));
            }
        }
    }
    errors
}

fn duplicate_args(args: &[Argument]) -> Vec<FieldError> {
    let mut names = BTreeSet::new();
    let again = args.iter().enumerate().filter(|(_, arg)| !names.insert(arg.name.as_str()));
    again
        .map(|(index, arg)| FieldError::new(format!("args[{index}].name"), format!("duplicate name '{}'", arg.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The fields over a good metric, and arguments; expected are the errors.
    #[track_caller]
    fn check(what: &str, fields: impl Into<Value>, args: impl Into<Value>, expected: &[&str]) {
        let mut metric = json!({"name": "m", "provider": {"prometheus": {"address": "http://p", "query": "up"}}});
        for (field, value) in fields.into().as_object().expect("fields") {
            metric[field] = value.clone();
        }
        let spec = json!({"metrics": [metric], "args": args.into()});
        check_spec(what, spec, expected);
    }

    #[track_caller]
    fn check_spec(what: &str, spec: Value, expected: &[&str]) {
        let run: AnalysisRunSpec = serde_json::from_value(spec).expect("a spec");
        let errors: Vec<String> = validate_run(&run).iter().map(FieldError::to_string).collect();
        assert_eq!(errors, expected, "{what}");
    }

    #[test]
    fn good_metrics_have_no_errors() {
        check("the least", json!({}), json!([]), &[]);
        check(
            "all",
            json!({"interval": "1m30s", "initialDelay": "10s", "count": 10, "failureLimit": "2", "inconclusiveLimit": 1,
                "consecutiveErrorLimit": 0, "consecutiveSuccessLimit": 3,
                "successCondition": "result[0] >= 0.95", "failureCondition": "result[0] < 0.9"}),
            json!([]),
            &[],
        );
        check("no limit of failures", json!({"failureLimit": -1, "consecutiveSuccessLimit": 2}), json!([]), &[]);
        check(
            "limits from arguments",
            json!({"interval": "{{args.every}}", "failureLimit": "{{ args.limit }}", "successCondition": "result[0] > {{args.limit}}"}),
            json!([{"name": "every", "value": "5m"}, {"name": "limit", "value": "3"}]),
            &[],
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_field() {
        check(
            "several at once",
            json!({"interval": "5", "initialDelay": "soon", "count": "many", "failureLimit": -2, "inconclusiveLimit": -1,
                "consecutiveErrorLimit": -1, "consecutiveSuccessLimit": -1}),
            json!([]),
            &[
                "metrics[0].interval: `5` is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
                "metrics[0].initialDelay: `soon` is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
                "metrics[0].count: `many` is not a whole number",
                "metrics[0].failureLimit: must be >= -1, where -1 means no limit; it is -2",
                "metrics[0].inconclusiveLimit: must be >= 0; it is -1",
                "metrics[0].consecutiveErrorLimit: must be >= 0; it is -1",
                "metrics[0].consecutiveSuccessLimit: must be >= 0, where 0 turns it off; it is -1",
            ],
        );
        check(
            "a negative interval",
            json!({"interval": "-5s"}),
            json!([]),
            &["metrics[0].interval: must not be negative; it is -5s"],
        );
        check(
            "count without interval",
            json!({"count": 2}),
            json!([]),
            &["metrics[0].interval: must be given when count > 1"],
        );
        check(
            "neither limit",
            json!({"interval": "1s", "failureLimit": -1}),
            json!([]),
            &[
                "metrics[0].failureLimit: -1 turns it off, then consecutiveSuccessLimit must be > 0 or nothing ends the metric",
            ],
        );
        check(
            "count below the failure limit",
            json!({"interval": "1s", "count": 2, "failureLimit": 3}),
            json!([]),
            &[
                "metrics[0].count: 2 is less than failureLimit + consecutiveSuccessLimit (3): the metric could not end as either",
            ],
        );
        check(
            "count below the inconclusive limit",
            json!({"interval": "1s", "count": 2, "inconclusiveLimit": 3}),
            json!([]),
            &["metrics[0].count: 2 is less than inconclusiveLimit (3)"],
        );
        check("no name", json!({"name": ""}), json!([]), &["metrics[0].name: must be given"]);
    }

    #[test]
    fn providers_are_one_and_known() {
        let check_provider = |what, provider, expected| check(what, json!({"provider": provider}), json!([]), expected);
        check_provider("none", json!({}), &["metrics[0].provider: no provider specified"]);
        check_provider(
            "two",
            json!({"prometheus": {"query": "up"}, "web": {"url": "http://w"}}),
            &["metrics[0].provider: multiple providers specified: prometheus, web"],
        );
        check_provider(
            "one that is not there yet",
            json!({"datadog": {"query": "q"}}),
            &[
                "metrics[0].provider.datadog: provider `datadog` is not supported yet; use prometheus, skywalking, web or job",
            ],
        );
        check_provider(
            "a plugin",
            json!({"plugin": {"x/y": {}}}),
            &[
                "metrics[0].provider.plugin: provider `plugin` is not supported yet; use prometheus, skywalking, web or job",
            ],
        );
        check_provider(
            "no query",
            json!({"prometheus": {"address": "http://p"}}),
            &["metrics[0].provider.prometheus.query: must be given"],
        );
        check_provider(
            "an interval of SkyWalking",
            json!({"skywalking": {"address": "http://s", "query": "q", "interval": "3"}}),
            &[
                "metrics[0].provider.skywalking.interval: `3` is not a duration; write a number and a unit, such as 30s, 5m or 1h30m",
            ],
        );
    }

    #[test]
    fn web_and_job_must_have_what_they_need() {
        let check_provider = |what, provider, expected| check(what, json!({"provider": provider}), json!([]), expected);
        let pod = |spec: Value| json!({"job": {"spec": {"template": {"spec": spec}}}});
        check_provider("a web metric", json!({"web": {"url": "http://w", "jsonPath": "{$.a[0].b}"}}), &[]);
        check_provider("one with a body", json!({"web": {"url": "http://w", "method": "POST", "jsonBody": {}}}), &[]);
        check_provider(
            "one with all mistakes",
            json!({"web": {"url": "", "method": "HEAD", "body": "a", "jsonBody": {}, "jsonPath": "a"}}),
            &[
                "metrics[0].provider.web.url: must be given",
                "metrics[0].provider.web.method: must be GET, POST or PUT; it is HEAD",
                "metrics[0].provider.web.body: use either body or jsonBody",
                "metrics[0].provider.web.jsonPath: `a` cannot be read as JSONPath; write an expression such as {$.data.value}",
            ],
        );
        check_provider(
            "a body that GET has not",
            json!({"web": {"url": "http://w", "body": "a"}}),
            &["metrics[0].provider.web.method: must be POST or PUT when there is a body"],
        );
        check_provider("a job", pod(json!({"containers": [{"name": "c"}], "restartPolicy": "OnFailure"})), &[]);
        check_provider(
            "a job without containers",
            json!({"job": {"spec": {}}}),
            &["metrics[0].provider.job.spec.template.spec.containers: must be given"],
        );
        check_provider(
            "a job that never ends",
            pod(json!({"containers": [{"name": "c"}], "restartPolicy": "Always"})),
            &["metrics[0].provider.job.spec.template.spec.restartPolicy: must be Never or OnFailure"],
        );
    }

    #[test]
    fn arguments_must_be_there() {
        check("unknown", json!({"interval": "{{args.x}}"}), json!([]), &["metrics[0]: failed to resolve {{args.x}}"]);
        check("without value", json!({}), json!([{"name": "x"}]), &["args: argument \"x\" was not supplied"]);
        check(
            "a secret in a condition",
            json!({"successCondition": "result == '{{args.s}}'"}),
            json!([{"name": "s", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]),
            &["metrics[0].successCondition: args.s comes from a Secret; a condition must not use one"],
        );
        check(
            "a value that is no number",
            json!({"interval": "1s", "count": "{{args.n}}"}),
            json!([{"name": "n", "value": "x"}]),
            &["metrics[0].count: `x` is not a whole number"],
        );
    }

    #[test]
    fn conditions_are_compiled_with_the_place_of_the_error() {
        let spec = json!({"metrics": [{"name": "m", "successCondition": "result[0] >", "failureCondition": "result[0] == 1",
            "provider": {"prometheus": {"query": "up"}}}]});
        let run: AnalysisRunSpec = serde_json::from_value(spec).expect("a spec");
        let errors = validate_run(&run);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].field, "metrics[0].successCondition");
        assert!(errors[0].message.contains("(1:"), "{errors:?}");
    }

    #[test]
    fn the_rules_of_a_run_must_match_its_metrics() {
        let metric = |name: &str| json!({"name": name, "provider": {"prometheus": {"query": "up"}}});
        check_spec("no metrics", json!({"metrics": []}), &["metrics: no metrics specified"]);
        check_spec(
            "twice the same",
            json!({"metrics": [metric("m"), metric("m")]}),
            &["metrics[1].name: duplicate name 'm'"],
        );
        check_spec(
            "rules that match nothing",
            json!({"metrics": [metric("m")], "dryRun": [{"metricName": "m"}, {"metricName": "x.*"}],
                "measurementRetention": [{"metricName": "y", "limit": 3}, {"metricName": "(", "limit": 3}]}),
            &[
                "dryRun[1].metricName: `x.*` matches no metric; there are m",
                "measurementRetention[0].metricName: `y` matches no metric; there are m",
                "measurementRetention[1].metricName: `(` is not a regular expression",
            ],
        );
        let spec = json!({"metrics": [metric("ab"), metric("c")], "dryRun": [{"metricName": "b"}],
            "measurementRetention": [{"metricName": "c", "limit": 3}, {"metricName": "ab", "limit": 0}]});
        let plan = plan(&serde_json::from_value(spec).expect("a spec")).expect("a plan");
        let got: Vec<(bool, usize)> = plan.metrics.iter().map(|metric| (metric.dry_run, metric.retention)).collect();
        assert_eq!(got, [(true, 10), (false, 3)]);
    }

    #[test]
    fn a_template_is_judged_as_far_as_it_is_known() {
        let spec = json!({"args": [{"name": "open"}, {"name": "known", "value": "x"}], "metrics": [{
            "name": "m", "interval": "{{args.open}}", "count": "{{args.open}}", "failureLimit": "{{args.known}}",
            "successCondition": "result[0] > {{args.open}}", "provider": {"prometheus": {"query": "{{args.absent}}"}},
        }]});
        let errors = |spec: Value| -> Vec<String> {
            let spec: AnalysisTemplateSpec = serde_json::from_value(spec).expect("a spec");
            validate(&spec).iter().map(FieldError::to_string).collect()
        };
        assert_eq!(errors(spec.clone()), ["metrics[0]: failed to resolve {{args.absent}}"]);
        let mut declared = spec;
        declared["args"].as_array_mut().expect("a list").push(json!({"name": "absent"}));
        assert_eq!(errors(declared), ["metrics[0].failureLimit: `x` is not a whole number"]);
        assert_eq!(
            errors(json!({"templates": [{"templateName": "t"}], "dryRun": [{"metricName": "elsewhere"}]})),
            [""; 0]
        );
        assert_eq!(errors(json!({})), ["metrics: no metrics specified"]);
        assert_eq!(
            errors(json!({"templates": [{"templateName": "t"}], "args": [{"name": "a"}, {"name": "a"}]})),
            ["args[1].name: duplicate name 'a'"]
        );
    }
}
