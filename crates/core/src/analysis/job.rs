//! A Job that takes one measurement: what is seen of it, what it is called, and how it is made.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use serin_api::{Metric, labels};

use super::sample::Measure;

/// Metadata of a measurement: name of its Job. The key is Argo Rollouts'.
pub const JOB_NAME_KEY: &str = "job-name";
/// Metadata of a measurement: namespace of its Job. The key is Argo Rollouts'.
pub const JOB_NAMESPACE_KEY: &str = "job-namespace";
/// Metadata of a measurement: UID of its Job once it was seen, so that one that is gone is not made a second time.
pub const JOB_UID_KEY: &str = "serin.dev/job-uid";

/// A Job as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// How far it is, by its conditions.
    pub state: JobState,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What keeps one of its pods from ever starting, as a sentence; `None` if nothing does.
    pub stuck: Option<String>,
    /// How one of its pods failed, as a sentence; `None` if none did.
    pub failed_pod: Option<String>,
}

/// How far a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Neither complete nor failed.
    Running,
    /// Its condition `Complete` is true.
    Complete,
    /// Its condition `Failed` is true.
    Failed {
        /// Reason of the condition, such as `DeadlineExceeded`.
        reason: String,
        /// Message of the condition.
        message: String,
    },
}

impl Job {
    /// Why it failed, for people.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let JobState::Failed { reason, message } = &self.state else { return None };
        let why = match (reason.as_str(), message.as_str()) {
            ("", "") => format!("Job {} failed", self.name),
            ("", text) | (text, "") => text.to_owned(),
            (reason, message) => format!("{message} ({reason})"),
        };
        Some(match &self.failed_pod {
            Some(pod) => format!("{why}; {pod}"),
            None => why,
        })
    }
}

/// A Job to create for a measurement that the status shows as running.
#[derive(Clone, Debug, PartialEq)]
pub struct StartJob {
    /// Name of the Job.
    pub name: String,
    /// The AnalysisRun that it belongs to.
    pub run: RunIdentity,
    /// The metric with its arguments, which are substituted by the executor, who alone sees secrets.
    pub measure: Measure,
    /// When the measurement began, as the status has it.
    pub started_at: DateTime<Utc>,
}

/// Who a Job belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunIdentity {
    /// Namespace of the AnalysisRun, and of its Jobs.
    pub namespace: String,
    /// Name of the AnalysisRun.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl StartJob {
    /// The whole Job, from the metric with all arguments substituted.
    ///
    /// Labels and annotations are those that the metric gives and those by which Argo Rollouts finds Jobs and their pods.
    ///
    /// # Errors
    /// What the metric lacks, as a sentence.
    pub fn object(&self, metric: &Metric) -> Result<Value, String> {
        let job = metric.provider.job.as_ref().ok_or("the metric has no provider.job")?;
        let mut spec = job.spec.clone().ok_or("provider.job.spec must be given")?;
        let template = spec.get_mut("template").ok_or("provider.job.spec.template must be given")?;
        object_at(template, "metadata", |metadata| {
            set(metadata, "labels", &[(labels::ANALYSIS_RUN_UID, &self.run.uid)]);
        });
        object_at(template, "spec", |pod| {
            // The default of pods, Always, is one that Jobs must not have.
            pod.entry("restartPolicy").or_insert_with(|| json!("Never"));
        });
        let given = job.metadata.as_ref();
        let part = |key: &str| given.and_then(|metadata| metadata.get(key)).cloned().unwrap_or_else(|| json!({}));
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        metadata.insert("namespace".to_owned(), json!(self.run.namespace));
        metadata.insert("labels".to_owned(), part("labels"));
        metadata.insert("annotations".to_owned(), part("annotations"));
        set(&mut metadata, "labels", &[(labels::ANALYSIS_RUN_UID, &self.run.uid)]);
        let names = [
            (labels::ANALYSIS_RUN_NAME, &self.run.name),
            (labels::ANALYSIS_RUN_NAMESPACE, &self.run.namespace),
            (labels::METRIC_NAME, &metric.name),
        ];
        set(&mut metadata, "annotations", &names.map(|(key, value)| (key, value.as_str())));
        metadata.insert("ownerReferences".to_owned(), json!([self.owner()]));
        Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}))
    }

    fn owner(&self) -> Value {
        json!({
            "apiVersion": labels::API_VERSION, "kind": "AnalysisRun", "name": self.run.name, "uid": self.run.uid,
            "controller": true, "blockOwnerDeletion": true,
        })
    }
}

/// Edits the object at a key, which is made if there is none.
fn object_at(parent: &mut Value, key: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
    let Some(parent) = parent.as_object_mut() else { return };
    let child = parent.entry(key).or_insert_with(|| json!({}));
    if child.is_null() {
        *child = json!({});
    }
    if let Some(child) = child.as_object_mut() {
        edit(child);
    }
}

fn set(metadata: &mut Map<String, Value>, key: &str, values: &[(&str, &str)]) {
    let mut holder = Value::Object(std::mem::take(metadata));
    object_at(&mut holder, key, |object| {
        for (name, value) in values {
            object.insert((*name).to_owned(), json!(value));
        }
    });
    if let Value::Object(changed) = holder {
        *metadata = changed;
    }
}

/// A Job's pods bear its name as a label, and those have at most so many characters.
const NAME_CHARS_MAX: usize = 63;

/// Name of the Job of a metric's `number`-th measurement: `UID.METRIC.NUMBER`.
///
/// A metric whose name is too long for that or cannot be part of a name is shortened, and told apart by a sum over
/// its whole name.
pub(super) fn job_name(run_uid: &str, metric: &str, number: i64) -> String {
    let plain = format!("{run_uid}.{metric}.{number}");
    if plain.len() <= NAME_CHARS_MAX && is_name(metric) {
        return plain;
    }
    let sum = fnv1a(metric.as_bytes());
    let ends = format!("{run_uid}.-{sum:08x}.{number}").len();
    let mut short: String = metric.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    short.truncate(NAME_CHARS_MAX.saturating_sub(ends));
    let short = short.trim_matches('-');
    let dash = if short.is_empty() { "" } else { "-" };
    format!("{run_uid}.{short}{dash}{sum:08x}.{number}")
}

/// The number at the end of a Job's name.
pub(super) fn job_number(name: &str) -> Option<i64> {
    name.rsplit_once('.')?.1.parse().ok()
}

/// Whether a text may stand between two dots of a name, or is several such texts with dots between them.
fn is_name(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.chars().all(is_plain) && !part.starts_with('-') && !part.ends_with('-'))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::sample::Semantics;
    use super::*;

    const UID: &str = "6f2d7a52-5a3c-4d0e-9b0e-0123456789ab";

    fn start(metric: impl Into<Value>) -> StartJob {
        let spec: Metric = serde_json::from_value(metric.into()).expect("a metric");
        let measure = Measure { metric: spec.name.clone(), spec, args: BTreeMap::new(), semantics: Semantics::Serin };
        let run = RunIdentity { namespace: "shop".into(), name: "run".into(), uid: UID.into() };
        StartJob { name: "job".into(), run, measure, started_at: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn a_job_is_the_metric_s_spec_with_what_finds_it() {
        let start = start(json!({"name": "m", "provider": {"job": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"why": "b"}},
            "spec": {"backoffLimit": 0, "template": {
                "metadata": {"labels": {"rev": "1"}}, "spec": {"containers": [{"name": "c", "image": "i"}]},
            }},
        }}}));
        let expected = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "job", "namespace": "shop",
                "labels": {"team": "a", "analysisrun.argoproj.io/uid": UID},
                "annotations": {
                    "why": "b", "analysisrun.argoproj.io/name": "run", "analysisrun.argoproj.io/namespace": "shop",
                    "analysisrun.argoproj.io/metric-name": "m",
                },
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "name": "run", "uid": UID,
                    "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {"backoffLimit": 0, "template": {
                "metadata": {"labels": {"rev": "1", "analysisrun.argoproj.io/uid": UID}},
                "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"},
            }},
        });
        assert_eq!(start.object(&start.measure.spec), Ok(expected));
    }

    #[test]
    fn a_restart_policy_that_is_given_stays_and_what_is_null_is_made() {
        let start = start(json!({"name": "m", "provider": {"job": {"metadata": {"labels": null}, "spec": {
            "template": {"metadata": null, "spec": {"restartPolicy": "OnFailure"}},
        }}}}));
        let object = start.object(&start.measure.spec).expect("a Job");
        assert_eq!(object["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
        assert_eq!(object["spec"]["template"]["metadata"]["labels"][labels::ANALYSIS_RUN_UID], UID);
        assert_eq!(object["metadata"]["labels"], json!({labels::ANALYSIS_RUN_UID: UID}));
    }

    #[test]
    fn a_metric_without_what_a_job_needs_is_refused() {
        let refused = |provider: Value| {
            let start = start(json!({"name": "m", "provider": provider}));
            start.object(&start.measure.spec).expect_err("a mistake")
        };
        assert_eq!(refused(json!({"prometheus": {"query": "up"}})), "the metric has no provider.job");
        assert_eq!(refused(json!({"job": {}})), "provider.job.spec must be given");
        assert_eq!(refused(json!({"job": {"spec": {}}})), "provider.job.spec.template must be given");
    }

    #[test]
    fn names_are_as_argo_rollouts_has_them_where_they_can_be() {
        assert_eq!(job_name(UID, "sleep-job", 1), format!("{UID}.sleep-job.1"));
        assert_eq!(job_name(UID, "a.b", 12), format!("{UID}.a.b.12"));
        assert_eq!(job_number(&job_name(UID, "a.b", 12)), Some(12));
        let odd =
            ["Success Rate", "success_rate", "a-metric-with-a-long-name", "a-metric-with-a-long-nam", "é", "-", "a..b"];
        let names: BTreeSet<String> = odd.iter().map(|metric| job_name(UID, metric, 100)).collect();
        assert_eq!(names.len(), odd.len(), "they stay apart: {names:?}");
        for name in names {
            assert!(name.len() <= 63 && is_name(&name) && name.starts_with(UID) && name.ends_with(".100"), "{name}");
        }
    }

    #[test]
    fn a_failure_says_why() {
        let job = |reason: &str, message: &str, failed_pod: Option<&str>| Job {
            name: "job".into(),
            uid: "u".into(),
            state: JobState::Failed { reason: reason.into(), message: message.into() },
            deleting: false,
            stuck: None,
            failed_pod: failed_pod.map(str::to_owned),
        };
        assert_eq!(job("R", "It failed", None).failure().as_deref(), Some("It failed (R)"));
        assert_eq!(job("R", "", Some("pod p")).failure().as_deref(), Some("R; pod p"));
        assert_eq!(job("", "", None).failure().as_deref(), Some("Job job failed"));
        assert_eq!(Job { state: JobState::Complete, ..job("", "", None) }.failure(), None);
    }
}
