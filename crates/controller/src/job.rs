//! Starts the Jobs that take measurements: puts secret arguments in their places, and creates.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serin_core::analysis::job::StartJob;
use serin_core::analysis::sample::{Outcome as SampleOutcome, Sample};
use serin_core::plan::{Target, Verb, Write};

use crate::decision::Subject;
use crate::error::Error;
use crate::events::clipped;
use crate::execute::{Executor, Outcome, Written};
use crate::secrets;

/// What came of starting a Job.
pub(crate) enum Start {
    /// It exists, since now or from before.
    Created(Written),
    /// It does not come to be: its measurement ends with this.
    Refused(Sample),
}

impl Executor {
    /// Creates a Job of the subject. One that is there already counts as created if the same run owns it, so that a
    /// measurement never has two.
    pub(crate) async fn start_job(
        &self,
        subject: &Subject,
        job: &StartJob,
        now: DateTime<Utc>,
    ) -> Result<Start, Outcome> {
        let refused = |outcome: SampleOutcome| Start::Refused(sample(job, outcome, now));
        let secrets = match secrets::secrets_of(&self.cluster, &job.run.namespace, &job.measure).await {
            Ok(secrets) => secrets,
            Err(outcome) => return Ok(refused(outcome)),
        };
        let resolved = match serin_providers::resolve(&job.measure, &secrets) {
            Ok(resolved) => resolved,
            Err(outcome) => return Ok(refused(outcome)),
        };
        let object = match job.object(&resolved.metric) {
            Ok(object) => object,
            Err(message) => return Ok(refused(SampleOutcome::Wrong { message })),
        };
        let write = Write { target: Target::Job, namespace: None, name: job.name.clone(), verb: Verb::Create(object) };
        match self.bring_about(subject, &write).await {
            Ok(written) => Ok(Start::Created(written)),
            Err(Outcome::Failed(error)) => match refusal(&error) {
                Some(outcome) => Ok(refused(outcome(said(&resolved.redact(&error.to_string()))))),
                None => Err(Outcome::Failed(error)),
            },
            Err(outcome) => Err(outcome),
        }
    }
}

/// The longest message of a measurement, in bytes: the API server quotes a Job that it does not want.
const MESSAGE_MAX: usize = 1024;

/// Secrets are redacted before anything is cut, so that no half of one is left.
fn said(redacted: &str) -> String {
    clipped(redacted, MESSAGE_MAX).into_owned()
}

/// What it means for a measurement that its Job is not created; `None` where the API server is not well, and the same Job is
/// tried again.
fn refusal(error: &Error) -> Option<fn(String) -> SampleOutcome> {
    let wrong: fn(String) -> SampleOutcome = |message| SampleOutcome::Wrong { message };
    let down: fn(String) -> SampleOutcome = |message| SampleOutcome::SourceDown { message };
    match error.code() {
        None if matches!(error, Error::NameTaken { .. }) => Some(wrong),
        None | Some(408 | 429) => None,
        // Our own credentials: nothing that the Job could be blamed for.
        Some(401) => Some(down),
        Some(403) if is_out_of_quota(error) => Some(down),
        Some(code) => (400..500).contains(&code).then_some(wrong),
    }
}

/// Whether others use up what the namespace may have, or that is not known yet; both end without anybody changing the Job.
/// The API server says so in words alone.
fn is_out_of_quota(error: &Error) -> bool {
    let text = error.to_string();
    ["exceeded quota:", "status unknown for quota:"].iter().any(|words| text.contains(words))
}

fn sample(job: &StartJob, outcome: SampleOutcome, now: DateTime<Utc>) -> Sample {
    Sample {
        metric: job.measure.metric.clone(),
        started_at: job.started_at,
        finished_at: now,
        outcome,
        value: String::new(),
        metadata: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use serin_core::analysis::job::RunIdentity;
    use serin_core::analysis::sample::{ArgValue, Measure, Semantics};

    use super::*;
    use crate::change::Key;
    use crate::cluster::Cluster;
    use crate::fake::{self, Asked, Log};
    use crate::lease::Leadership;
    use crate::metrics::Metrics;

    fn start() -> StartJob {
        let pod = json!({"containers": [{"name": "c", "args": ["{{args.token}}"]}]});
        let spec = json!({"name": "m", "provider": {"job": {"spec": {"template": {"spec": pod}}}}});
        let secret = ArgValue::Secret { name: "s".into(), key: "k".into() };
        StartJob {
            name: "u.m.1".into(),
            run: RunIdentity { namespace: "shop".into(), name: "run".into(), uid: "u".into() },
            measure: Measure {
                metric: "m".into(),
                spec: serde_json::from_value(spec).expect("a metric"),
                args: BTreeMap::from([("token".to_owned(), secret)]),
                semantics: Semantics::Serin,
            },
            started_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Starts the Job where the Secret exists, with these answers to its creation and to a look at it.
    async fn run(created: (u16, Value), found: (u16, Value)) -> (Result<Start, Outcome>, Log) {
        let (client, log) = fake::client(move |asked: &Asked| match asked.method.as_str() {
            "POST" => created.clone(),
            _ if asked.path.contains("/secrets/") => (200, json!({"data": {"k": "aHVudGVyMg=="}})),
            _ => found.clone(),
        });
        let executor =
            Executor { cluster: Cluster::new(client, None, Metrics::new()), leadership: Leadership::always() };
        let subject = Subject { key: Key::analysis_run("shop", "run"), uid: "u".into(), version: "5".into() };
        (executor.start_job(&subject, &start(), DateTime::UNIX_EPOCH).await, log)
    }

    fn told(result: &Result<Start, Outcome>) -> String {
        match result {
            Ok(Start::Created(written)) => format!("created {} {}", written.kind, written.name),
            Ok(Start::Refused(sample)) => format!("refused {}: {:?}", sample.metric, sample.outcome),
            Err(outcome) => format!("{outcome:?}"),
        }
    }

    fn job_of(uid: &str) -> (u16, Value) {
        let owner = json!({"controller": true, "kind": "AnalysisRun", "name": "x", "uid": uid});
        (200, json!({"metadata": {"resourceVersion": "7", "ownerReferences": [owner]}}))
    }

    #[tokio::test]
    async fn a_job_is_created_with_its_arguments_in_place() {
        let (result, log) = run(job_of("u"), fake::status(404, "NotFound")).await;
        assert_eq!(told(&result), "created Job shop/u.m.1");
        let asked = log.all();
        assert_eq!(log.short(), ["GET s", "POST jobs"]);
        assert_eq!(asked[1].path, "/apis/batch/v1/namespaces/shop/jobs");
        let body = &asked[1].body;
        assert_eq!(body["spec"]["template"]["spec"]["containers"][0]["args"], json!(["hunter2"]));
        assert_eq!(body["metadata"]["name"], "u.m.1");
    }

    #[tokio::test]
    async fn a_job_that_is_there_already_is_not_made_again() {
        let exists = || fake::status(409, "AlreadyExists");
        assert_eq!(told(&run(exists(), job_of("u")).await.0), "created Job shop/u.m.1");
        let theirs = told(&run(exists(), job_of("other")).await.0);
        assert!(
            theirs.starts_with("refused m: Wrong") && theirs.contains("is controlled by AnalysisRun x"),
            "{theirs}"
        );
    }

    #[tokio::test]
    async fn a_refusal_ends_the_measurement_and_shows_no_secret() {
        let invalid = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422, "reason": "Invalid",
            "message": "args: Invalid value: \"hunter2\"",
        });
        let refused = told(&run((422, invalid), fake::status(404, "NotFound")).await.0);
        assert!(refused.starts_with("refused m: Wrong") && refused.contains("*****"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }

    #[tokio::test]
    async fn what_keeps_a_job_from_being_made_is_held_against_it_only_where_it_is_its_own() {
        let answer = |code: u16, reason: &str, message: &str| {
            let (_, mut body) = fake::status(code, reason);
            body["message"] = json!(message);
            (code, body)
        };
        let quota = "jobs.batch \"u.m.1\" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, used: \
                     count/jobs.batch=5, limited: count/jobs.batch=5";
        let cases = [
            (answer(401, "Unauthorized", "Unauthorized"), "refused m: SourceDown"),
            (answer(403, "Forbidden", quota), "refused m: SourceDown"),
            (
                answer(403, "Forbidden", "status unknown for quota: few, resources: count/jobs.batch"),
                "refused m: SourceDown",
            ),
            (answer(403, "Forbidden", "failed quota: few: must specify limits.cpu"), "refused m: Wrong"),
            (answer(403, "Forbidden", "User \"serin\" cannot create resource \"jobs\""), "refused m: Wrong"),
            (answer(413, "RequestEntityTooLarge", "too large"), "refused m: Wrong"),
        ];
        for (created, expected) in cases {
            let result = told(&run(created.clone(), fake::status(404, "NotFound")).await.0);
            assert!(result.starts_with(expected), "{created:?}: {result}");
        }
    }

    #[tokio::test]
    async fn a_long_refusal_is_cut_without_leaving_half_a_secret() {
        for length in 950..1_030 {
            let (_, mut invalid) = fake::status(422, "Invalid");
            invalid["message"] = json!(format!("{}hunter2{}", "x".repeat(length), "y".repeat(2_000)));
            let refused = told(&run((422, invalid), fake::status(404, "NotFound")).await.0);
            assert!(refused.len() < 1_200 && !refused.contains("hu"), "{length}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_well_is_asked_again() {
        for code in [408, 429, 500, 503] {
            let (result, _) = run(fake::status(code, "Trouble"), fake::status(404, "NotFound")).await;
            assert!(matches!(result, Err(Outcome::Failed(_))), "{code}: {}", told(&result));
        }
    }
}
