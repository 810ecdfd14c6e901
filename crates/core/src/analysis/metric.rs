//! Reads one metric of a spec.

use chrono::TimeDelta;
use serde_json::Value;
use serin_api::{IntOrString, Metric, MetricProvider};

use super::condition::Condition;
use super::parse::{MetricPlan, Rule};
use crate::field_error::FieldError;
use crate::json_path::JsonPath;
use crate::time::parse_duration;

/// What could be read of a metric, and what is wrong with the rest.
pub(super) struct Reading {
    pub(super) plan: MetricPlan,
    /// With fields relative to the metric.
    pub(super) errors: Vec<FieldError>,
}

/// Number of measurements that status keeps of a metric, unless a rule says otherwise.
const RETENTION_DEFAULT: usize = 10;

/// Reads a metric whose arguments are substituted, save for those in `open`, whose values come later: a field that
/// still has one of them is taken as absent.
pub(super) fn read_metric(metric: &Metric, open: &[&str]) -> Reading {
    let mut reader = Reader { open, errors: Vec::new() };
    if metric.name.is_empty() {
        reader.refuse("name", "must be given");
    }
    let plan = MetricPlan {
        name: metric.name.clone(),
        interval: reader.duration("interval", metric.interval.as_deref()),
        initial_delay: reader.duration("initialDelay", metric.initial_delay.as_deref()).unwrap_or_default(),
        count: reader.number("count", metric.count.as_ref()).filter(|count| *count > 0),
        success: reader.rule("successCondition", metric.success_condition.as_deref()),
        failure: reader.rule("failureCondition", metric.failure_condition.as_deref()),
        failure_limit: reader
            .limit("failureLimit", metric.failure_limit.as_ref(), -1, ", where -1 means no limit")
            .map_or(Some(0), |limit| (limit >= 0).then_some(limit)),
        inconclusive_limit: reader.limit("inconclusiveLimit", metric.inconclusive_limit.as_ref(), 0, ""),
        consecutive_error_limit: reader.limit("consecutiveErrorLimit", metric.consecutive_error_limit.as_ref(), 0, ""),
        consecutive_success_limit: reader
            .limit("consecutiveSuccessLimit", metric.consecutive_success_limit.as_ref(), 0, ", where 0 turns it off")
            .filter(|limit| *limit > 0),
        dry_run: false,
        retention: RETENTION_DEFAULT,
        is_job: metric.provider.job.is_some(),
    };
    if reader.errors.is_empty() && !reader.is_open_in_numbers(metric) {
        reader.compare(&plan);
    }
    reader.provider(&metric.provider);
    Reading { plan, errors: reader.errors }
}

struct Reader<'a> {
    open: &'a [&'a str],
    errors: Vec<FieldError>,
}

impl Reader<'_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Whether a text still has a placeholder whose value comes later.
    fn is_open(&self, text: &str) -> bool {
        !self.open.is_empty() && super::args::references(text).iter().any(|name| self.open.contains(&name.as_str()))
    }

    /// Whether a field that [`Reader::compare`] looks at is not known yet.
    fn is_open_in_numbers(&self, metric: &Metric) -> bool {
        let numbers =
            [&metric.count, &metric.failure_limit, &metric.inconclusive_limit, &metric.consecutive_success_limit];
        let texts = numbers.into_iter().flatten().filter_map(IntOrString::as_str);
        texts.chain(metric.interval.as_deref()).any(|text| self.is_open(text))
    }

    fn duration(&mut self, field: &str, text: Option<&str>) -> Option<TimeDelta> {
        let text = text.filter(|text| !text.is_empty() && !self.is_open(text))?;
        match parse_duration(text) {
            Ok(duration) if duration < TimeDelta::zero() => {
                self.refuse(field, format!("must not be negative; it is {text}"));
                None
            }
            Ok(duration) => Some(duration),
            Err(error) => {
                self.refuse(field, error);
                None
            }
        }
    }

    fn number(&mut self, field: &str, value: Option<&IntOrString>) -> Option<i64> {
        let value = value?;
        if value.as_str().is_some_and(|text| text.is_empty() || self.is_open(text)) {
            return None;
        }
        let number = value.as_int();
        if number.is_none() {
            self.refuse(field, format!("`{value}` is not a whole number"));
        }
        number
    }

    fn limit(&mut self, field: &str, value: Option<&IntOrString>, least: i64, hint: &str) -> Option<i64> {
        let number = self.number(field, value)?;
        if number < least {
            self.refuse(field, format!("must be >= {least}{hint}; it is {number}"));
            return None;
        }
        Some(number)
    }

    fn rule(&mut self, field: &str, text: Option<&str>) -> Option<Rule> {
        let text = text.filter(|text| !text.is_empty() && !self.is_open(text))?;
        match Condition::parse(text) {
            Ok(condition) => Some(Rule { text: text.to_owned(), condition }),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    /// The rules that concern several fields.
    fn compare(&mut self, plan: &MetricPlan) {
        if plan.failure_limit.is_none() && plan.consecutive_success_limit.is_none() {
            let off = "-1 turns it off, then consecutiveSuccessLimit must be > 0 or nothing ends the metric";
            self.refuse("failureLimit", off);
        }
        if plan.count > Some(1) && plan.interval.is_none() {
            self.refuse("interval", "must be given when count > 1");
        }
        let Some(count) = plan.count else { return };
        let limits = plan.failure_limit.unwrap_or(0).saturating_add(plan.consecutive_success_limit.unwrap_or(0));
        if count < limits {
            let sum = format!("failureLimit + consecutiveSuccessLimit ({limits})");
            self.refuse("count", format!("{count} is less than {sum}: the metric could not end as either"));
        }
        if let Some(limit) = plan.inconclusive_limit.filter(|limit| count < *limit) {
            self.refuse("count", format!("{count} is less than inconclusiveLimit ({limit})"));
        }
    }

    fn provider(&mut self, provider: &MetricProvider) {
        let json = serde_json::to_value(provider).unwrap_or_default();
        let named: Vec<(&String, &Value)> = json.as_object().into_iter().flatten().collect();
        let (name, settings) = match named.as_slice() {
            [] => return self.refuse("provider", "no provider specified"),
            [one] => *one,
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
                return self.refuse("provider", format!("multiple providers specified: {}", names.join(", ")));
            }
        };
        match name.as_str() {
            "prometheus" => self.query("prometheus", settings),
            "skywalking" => {
                self.query("skywalking", settings);
                self.duration("provider.skywalking.interval", settings.get("interval").and_then(Value::as_str));
            }
            "web" => self.web(settings),
            "job" => self.job(settings),
            other => {
                let message =
                    format!("provider `{other}` is not supported yet; use prometheus, skywalking, web or job");
                self.refuse(&format!("provider.{other}"), message);
            }
        }
    }

    fn query(&mut self, provider: &str, settings: &Value) {
        if text(settings, "query").is_empty() {
            self.refuse(&format!("provider.{provider}.query"), "must be given");
        }
    }

    fn web(&mut self, settings: &Value) {
        if text(settings, "url").is_empty() {
            self.refuse("provider.web.url", "must be given");
        }
        let method = text(settings, "method");
        let is_get = method.is_empty() || method == "GET";
        if !is_get && !["POST", "PUT"].contains(&method) && !self.is_open(method) {
            self.refuse("provider.web.method", format!("must be GET, POST or PUT; it is {method}"));
        }
        let (has_text, has_json) = (!text(settings, "body").is_empty(), settings.get("jsonBody").is_some());
        if has_text && has_json {
            self.refuse("provider.web.body", "use either body or jsonBody");
        } else if is_get && (has_text || has_json) {
            self.refuse("provider.web.method", "must be POST or PUT when there is a body");
        }
        let path = text(settings, "jsonPath");
        if !path.is_empty()
            && !self.is_open(path)
            && let Err(error) = JsonPath::parse(path)
        {
            self.refuse("provider.web.jsonPath", error);
        }
    }

    fn job(&mut self, settings: &Value) {
        let containers = settings.pointer("/spec/template/spec/containers").and_then(Value::as_array);
        if containers.is_none_or(Vec::is_empty) {
            self.refuse("provider.job.spec.template.spec.containers", "must be given");
        }
        let policy = settings.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str);
        if policy == Some("Always") {
            self.refuse("provider.job.spec.template.spec.restartPolicy", "must be Never or OnFailure");
        }
    }
}

/// The text of a field; empty if there is none.
fn text<'v>(settings: &'v Value, field: &str) -> &'v str {
    settings.get(field).and_then(Value::as_str).unwrap_or_default()
}
