//! `serin simulate` on the manifests of the demo.

use serde_json::Value;

use crate::program::{code, serin, stderr, stdout};

const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo_manifests");
const NEW_IMAGE: &str = "reviews=registry.example.org/aviary/reviews:v2";

/// The entries, the last of which tells how it ended.
#[track_caller]
fn simulate(world: &str, exit: i32) -> Vec<Value> {
    let output = serin(&[
        "simulate",
        "-f",
        MANIFESTS,
        "--set-image",
        NEW_IMAGE,
        "--world",
        world,
        "-o",
        "json",
        "--horizon",
        // Longer than an update takes, and than the progress deadline.
        "1h",
    ]);
    assert_eq!(code(&output), exit, "{world}: {}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn check(world: &str, exit: i32, phase: &str, message: &str) -> Vec<Value> {
    let entries = simulate(world, exit);
    assert!(entries.iter().all(|entry| entry["at"].is_string() && entry["kind"].is_string()), "{world}");
    let result = entries.last().unwrap();
    assert_eq!((&result["kind"], &result["phase"]), (&"result".into(), &phase.into()), "{world}: {result}");
    assert!(result["message"].as_str().unwrap().contains(message), "{world}: {result}");
    assert_eq!(result["requests"]["failedByRouting"], 0, "{world}: {result}");
    entries
}

#[test]
fn a_good_version_is_promoted_step_by_step() {
    let entries = check("healthy", 0, "Healthy", "");
    let weights =
        entries.iter().filter(|entry| entry["kind"] == "weight").filter_map(|entry| entry["desired"].as_i64());
    let weights: Vec<i64> = weights.collect();
    assert_eq!(weights[..4], [10, 25, 50, 75], "{weights:?}");
    assert_eq!(entries, simulate("healthy", 0), "equal input gives equal output");
}

#[test]
fn bad_versions_are_taken_back() {
    check("errors", 3, "Degraded", "RolloutAborted: Rollout aborted update to revision 2");
    check("slow", 3, "Degraded", "RolloutAborted: Rollout aborted update to revision 2");
}

#[test]
fn without_an_answer_the_step_waits() {
    check("no-data", 4, "Progressing", "nothing is rolled back");
    check("backend-down", 4, "Progressing", "nothing is rolled back");
}

#[test]
fn the_timeline_can_be_read() {
    let output = serin(&["simulate", "-f", MANIFESTS, "--set-image", NEW_IMAGE]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    for part in
        ["+00:00:00  step    1/8 setWeight: 10", "measure apdex Successful", "ended Healthy", " 0 failed by routing"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let output = serin(&["simulate", "-f", MANIFESTS, "--set-image", "rumours=x"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("error: --set-image: there is no Rollout `rumours`"), "{}", stderr(&output));
}

const PAUSES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pauses.yaml");

/// What is told of a Rollout that waits for a person and asks a web endpoint.
#[track_caller]
fn check_flags(case: &str, flags: &[&str], exit: i32, told: &[&str]) {
    let all = ["simulate", "-f", PAUSES, "--set-image", "kettle=example.org/kettle:2", "--horizon", "1h"];
    let output = serin(&[all.as_slice(), flags].concat());
    let text = stdout(&output) + &stderr(&output);
    assert_eq!(code(&output), exit, "{case}: {text}");
    for part in told {
        assert!(text.contains(part), "{case}: {part}\n{text}");
    }
}

#[test]
fn what_the_simulation_cannot_know_can_be_told() {
    let promoted = "  person  promotes: CanaryPauseStep in step 2 ends";
    let later = ["--promote-after", "10m"];
    let unknown = "the simulation knows no answer of http://quality.example/kettle;";
    let fine = [later[0], later[1], "--answer", r#"http://quality.example/={"verdict": "fine"}"#];
    let poor = [later[0], later[1], "--answer", r#"http://quality.example/kettle?of={"verdict": "poor"}"#];
    check_flags("nobody promotes", &[], 4, &["horizon: Paused: CanaryPauseStep (after 1h)"]);
    check_flags("nobody answers", &later, 4, &[promoted, unknown, "SourceDown"]);
    check_flags("a good answer", &fine, 0, &[promoted, "measure verdict Successful", "ended Healthy (after 11m"]);
    check_flags("a bad answer", &poor, 3, &["aborted: Degraded: RolloutAborted"]);
    check_flags("no time at all", &["--promote-after", "0s"], 2, &["`0s` must be longer than nothing"]);
    check_flags("no answer in it", &["--answer", "http://a"], 2, &["`http://a` has not the form URL=BODY"]);
}

const EXPERIMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/experiments.yaml");

/// Simulates the Experiments with one word of them replaced; yields the last entry.
#[track_caller]
fn experiment(case: &str, (from, to): (&str, &str), exit: i32) -> Value {
    let text = std::fs::read_to_string(EXPERIMENTS).unwrap();
    assert!(text.contains(from), "{case}: {from} is not there");
    let file =
        std::env::temp_dir().join(format!("serin-simulate-{}-{}.yaml", case.replace(' ', "-"), std::process::id()));
    std::fs::write(&file, text.replace(from, to)).unwrap();
    let output = serin(&["simulate", "-f", file.to_str().unwrap(), "-o", "json", "--horizon", "1h"]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code(&output), exit, "{case}: {}{}", stdout(&output), stderr(&output));
    serde_json::from_str(stdout(&output).lines().last().unwrap()).unwrap()
}

#[test]
fn an_experiment_without_a_rollout_runs_to_its_end() {
    let output = serin(&["simulate", "-f", EXPERIMENTS]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
    for part in [
        "Template 'new' transitioned from Progressing -> Running",
        "measure smoke Successful",
        "Experiment transitioned from Running -> Successful",
        "ended Successful",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let successful = experiment("as it is", ("exit 0", "exit 0"), 0);
    assert_eq!((&successful["end"], &successful["phase"]), (&"healthy".into(), &"Successful".into()));
    let failed = experiment("a job that fails", ("exit 0", "exit 1"), 3);
    assert_eq!((&failed["end"], &failed["phase"]), (&"aborted".into(), &"Failed".into()));
    assert!(failed["message"].as_str().unwrap().contains("Metric \"smoke\" assessed Failed"), "{failed}");
    let endless = experiment("no end", ("duration: 5m", "progressDeadlineSeconds: 600"), 4);
    assert_eq!((&endless["end"], &endless["phase"]), (&"waiting".into(), &"Running".into()));
}

#[test]
fn an_experiment_without_a_rollout_has_no_image_to_set() {
    let output = serin(&["simulate", "-f", EXPERIMENTS, "--set-image", "reviews=x"]);
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("error: --set-image: there is no Rollout among the manifests"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn flags_that_cannot_be_used_are_named_with_the_fix() {
    let check = |flags: &[&str], told: &[&str]| {
        let output = serin(&[&["simulate", "-f", PAUSES], flags].concat());
        let text = stderr(&output);
        assert_eq!(code(&output), 2, "{flags:?}: {text}");
        for part in told {
            assert!(text.contains(part), "{flags:?}: {part}\n{text}");
        }
    };
    check(&["--promote-after", "10m"], &["--promote-after: there is no new version", "add --set-image WORKLOAD=IMAGE"]);
    check(&["--world", "errors"], &["--world: there is no new version", "or leave --world out"]);
    check(
        &["--answer", "quality/=1"],
        &["--answer <URL=BODY>", "`quality/` is no address; write it whole, such as 'http://"],
    );
}
