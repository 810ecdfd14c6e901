//! Analyses whose measurements are Jobs or answers of web endpoints: from the manifests to what becomes of the update.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{ANALYSIS_RUNS, JOBS, PODS};
use serin_sim::faults::{Failure, Rule};
use serin_sim::manifests::Manifest;
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifests, object_mut, tell};

/// The manifests with other arguments for the step's analysis.
fn with_args(args: &Value) -> Vec<Manifest> {
    let mut manifests = manifests("jobs");
    object_mut(&mut manifests, "Rollout")["spec"]["strategy"]["canary"]["steps"][1]["analysis"]["args"] = args.clone();
    manifests
}

/// The manifests with an edited Job, which is measured once.
fn with_job(args: &Value, edit: impl FnOnce(&mut Value)) -> Vec<Manifest> {
    let mut manifests = with_args(args);
    let metric = &mut object_mut(&mut manifests, "AnalysisTemplate")["spec"]["metrics"][0];
    metric["count"] = json!(1);
    edit(&mut metric["provider"]["job"]["spec"]);
    manifests
}

async fn deployed(manifests: &[Manifest]) -> Bench {
    let mut bench = Bench::up(manifests, WorldConfig::default()).await;
    bench.behave("v2", Conduct::Healthy);
    bench.deploy("v2");
    bench
}

impl Bench {
    fn run(&self) -> Value {
        self.cluster().list(&ANALYSIS_RUNS, None).first().map(|run| (**run).clone()).unwrap_or_default()
    }

    fn jobs(&self) -> Vec<Value> {
        self.cluster().list(&JOBS, None).iter().map(|job| (**job).clone()).collect()
    }

    /// How many times the controller has asked for a Job.
    fn jobs_created(&self) -> usize {
        let writes = self.cluster().writes();
        writes.iter().filter(|write| write.verb == "create" && write.plural == "jobs").count()
    }

    async fn job_runs(&mut self) {
        self.wait("a running Job", |bench| {
            let pods = bench.cluster().list(&PODS, None);
            pods.iter().any(|pod| {
                pod["metadata"]["ownerReferences"][0]["kind"] == "Job" && pod["status"]["phase"] == "Running"
            })
        })
        .await;
    }
}

#[test]
fn jobs_that_complete_let_the_update_go_on() {
    tell(async {
        let mut bench = deployed(&manifests("jobs")).await;
        bench.healthy().await;
        let (run, jobs) = (bench.run(), bench.jobs());
        assert_eq!(run["status"]["phase"], "Successful", "{run:#}");
        assert_eq!(jobs.len(), 2, "one for each measurement");
        let uid = run["metadata"]["uid"].as_str().expect("a UID");
        for (number, job) in (1..).zip(&jobs) {
            let measurement = &run["status"]["metricResults"][0]["measurements"][number - 1];
            let name = format!("{uid}.smoke.{number}");
            assert_eq!(job["metadata"]["name"], name);
            assert_eq!(measurement["metadata"]["job-name"], name);
            assert_eq!(measurement["metadata"]["job-namespace"], "shop");
            assert_eq!(job["metadata"]["labels"], json!({"team": "payments", "analysisrun.argoproj.io/uid": uid}));
            assert_eq!(job["metadata"]["annotations"]["analysisrun.argoproj.io/name"], run["metadata"]["name"]);
        }
        let run = run["metadata"]["name"].as_str().expect("a name");
        bench.cluster().delete(&ANALYSIS_RUNS, "shop", run).expect("it is there");
        bench.pass(5).await;
        assert!(bench.jobs().is_empty(), "they go with their run");
    });
}

/// Checks that an update is aborted, and what its message contains.
fn check_abort(manifests: &[Manifest], parts: &[&str]) {
    tell(async {
        let mut bench = deployed(manifests).await;
        bench.phase_is("Degraded").await;
        let message = bench.message();
        for part in parts {
            assert!(message.contains(part), "{message} lacks {part}");
        }
        assert_eq!(bench.run()["status"]["phase"], "Failed");
        bench.assert_all_routed(parts[0]);
    });
}

#[test]
fn a_job_that_fails_aborts_the_update_and_says_why() {
    let failed =
        "Step-based analysis phase error/failed: Metric \"smoke\" assessed Failed due to failed (1) > failureLimit (0)";
    let limit = "Job has reached the specified backoff limit (BackoffLimitExceeded)";
    let args = json!([{"name": "code", "value": "3"}]);
    check_abort(&with_args(&args), &[failed, limit, "container smoke ended with exit code 3 (Error)"]);
    let endless = json!([{"name": "seconds", "value": "6000"}]);
    let deadline = with_job(&endless, |spec| spec["activeDeadlineSeconds"] = json!(10));
    check_abort(&deadline, &[failed, "Job was active longer than specified deadline (DeadlineExceeded)"]);
}

#[test]
fn a_job_that_cannot_start_pauses_the_update() {
    tell(async {
        let image = json!([{"name": "image", "value": "registry.example/smoke:does-not-exist"}]);
        let mut bench = deployed(&with_args(&image)).await;
        bench.phase_is("Paused").await;
        assert_eq!(bench.status("/pauseConditions/0/reason"), "InconclusiveAnalysisRun", "{}", bench.told());
        let run = bench.run();
        assert_eq!(run["status"]["phase"], "Inconclusive");
        let message = run["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("container smoke has terminal error (ErrImagePull): "), "{message}");
        bench.pass(10).await;
        assert!(bench.jobs().is_empty(), "nobody waits for it any more");
    });
}

#[test]
fn a_job_that_is_refused_is_an_error_and_not_tried_for_ever() {
    tell(async {
        let mut bench = Bench::up(&manifests("jobs"), WorldConfig::default()).await;
        let refusal = Rule::next(Failure::Forbidden).on("create", "jobs").after(0, u64::MAX);
        bench.cluster().faults().add(refusal);
        bench.deploy("v2");
        bench.phase_is("Degraded").await;
        let message = bench.message();
        assert!(message.contains("due to consecutiveErrors (5) > consecutiveErrorLimit (4)"), "{message}");
        assert!(message.contains("create Job shop/"), "{message}");
        bench.assert_all_routed("refused Jobs");
    });
}

/// The manifests with an endless Job beside the steps.
fn in_background() -> Vec<Manifest> {
    let mut manifests = with_job(&json!([]), |_| {});
    let canary = &mut object_mut(&mut manifests, "Rollout")["spec"]["strategy"]["canary"];
    canary["analysis"] =
        json!({"templates": [{"templateName": "smoke"}], "args": [{"name": "seconds", "value": "6000"}]});
    canary["steps"] = json!([{"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 60}]);
    manifests
}

#[test]
fn a_job_that_is_under_way_ends_with_its_update() {
    tell(async {
        let mut bench = deployed(&in_background()).await;
        bench.job_runs().await;
        bench.healthy().await;
        bench.pass(10).await;
        assert_eq!(bench.phase(), "Healthy", "what was not asked for any more pauses nothing: {}", bench.told());
        let run = bench.run();
        assert_eq!(run["status"]["phase"], "Inconclusive", "{run:#}");
        let measurement = &run["status"]["metricResults"][0]["measurements"][0];
        assert_eq!(
            (&measurement["phase"], &measurement["message"]),
            (&json!("Inconclusive"), &json!("Metric Terminated"))
        );
        assert!(bench.jobs().is_empty(), "it does not go on");
        bench.assert_all_routed("an endless Job");
    });
}

#[test]
fn a_job_that_is_under_way_ends_with_an_abort() {
    tell(async {
        let mut bench = deployed(&in_background()).await;
        bench.job_runs().await;
        bench.annotate("serin.dev/abort", "now");
        bench.phase_is("Degraded").await;
        bench.pass(10).await;
        assert!(bench.phase() == "Degraded" && bench.jobs().is_empty(), "{}", bench.told());
        bench.assert_all_routed("an abort");
    });
}

#[test]
fn promoting_past_a_job_that_is_under_way_pauses_nothing() {
    tell(async {
        let endless = json!([{"name": "seconds", "value": "6000"}]);
        let mut bench = deployed(&with_args(&endless)).await;
        bench.job_runs().await;
        bench.annotate("serin.dev/promote", "now");
        bench.healthy().await;
        assert!(bench.jobs().is_empty(), "{}", bench.told());
        assert_eq!(bench.run()["status"]["phase"], "Inconclusive");
    });
}

#[test]
fn a_controller_that_starts_anew_waits_for_the_job_that_is_under_way() {
    tell(async {
        let mut bench = deployed(&with_job(&json!([{"name": "seconds", "value": "30"}]), |_| {})).await;
        bench.job_runs().await;
        let before = bench.jobs();
        bench.world.restart_controller();
        bench.healthy().await;
        assert_eq!(
            bench.jobs().iter().map(|job| &job["metadata"]["uid"]).collect::<Vec<_>>(),
            [&before[0]["metadata"]["uid"]]
        );
        assert_eq!(bench.jobs_created(), 1);
        let run = bench.run();
        assert_eq!(run["status"]["metricResults"][0]["measurements"].as_array().map(Vec::len), Some(1), "{run:#}");
    });
}

#[test]
fn a_job_that_somebody_deletes_is_an_error_of_its_measurement() {
    tell(async {
        let mut bench = deployed(&with_job(&json!([{"name": "seconds", "value": "30"}]), |_| {})).await;
        bench.job_runs().await;
        let name = bench.jobs()[0]["metadata"]["name"].as_str().expect("a name").to_owned();
        bench.cluster().delete(&JOBS, "shop", &name).expect("it is there");
        bench.healthy().await;
        let measurements = bench.run()["status"]["metricResults"][0]["measurements"].clone();
        assert_eq!((&measurements[0]["phase"], &measurements[1]["phase"]), (&json!("Error"), &json!("Successful")));
        assert_eq!(measurements[0]["message"], format!("Job {name} was deleted before it ended"));
        assert_ne!(bench.jobs()[0]["metadata"]["name"], name, "the next measurement has a Job of its own");
    });
}

#[test]
fn a_web_metric_promotes_what_is_good_and_aborts_what_is_bad() {
    tell(async {
        let mut bench = Bench::of("web").await;
        bench.behave("v2", Conduct::Healthy);
        bench.deploy("v2");
        bench.healthy().await;
        let run = bench.run();
        let measurements = run["status"]["metricResults"][0]["measurements"].as_array().expect("measurements");
        assert!(measurements.iter().any(|m| m["phase"] == "Successful" && m["value"] == "\"1\""), "{run:#}");
        // The query looks a minute back, at whoever was the canary then.
        bench.pass(90).await;
        bench.behave("v3", Conduct::Errors);
        bench.deploy("v3");
        bench.phase_is("Degraded").await;
        let failed = "Metric \"success-rate\" assessed Failed due to failed (2) > failureLimit (1)";
        assert!(bench.message().contains(failed), "{}", bench.message());
        bench.assert_all_routed("a web metric");
    });
}

#[test]
fn a_web_metric_holds_the_update_while_there_is_nothing_to_judge() {
    tell(async {
        let mut bench = Bench::of("web").await;
        bench.behave("v2", Conduct::NoData);
        bench.deploy("v2");
        bench.pass(600).await;
        let message = bench.message();
        assert!(message.contains("has nothing at {$.data.result[0].value[1]}"), "{message}\n{}", bench.told());
        bench.world.transport().take_down();
        bench.pass(60).await;
        assert!(bench.message().contains("cannot be asked"), "{}", bench.message());
        assert_eq!(bench.weight(), 20);
    });
}
