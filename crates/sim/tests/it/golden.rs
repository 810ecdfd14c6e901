//! Transcripts of short scenarios, kept beside them: whatever changes what people see shows up in review.
//!
//! `tests/scenarios/NAME.yaml` names a manifest and what happens; `NAME.txt` is what the controller told. After a change
//! on purpose, `UPDATE_GOLDEN=1 cargo test -p serin-sim --test it golden` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serin_sim::WorldConfig;
use serin_sim::cluster::ROLLOUTS;
use serin_sim::simulate::Conduct;
use serin_sim::timeline::{Entry, What};

use crate::bench::{Bench, manifests, object_mut, since, tell};

/// A file of `tests/scenarios`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What the scenario shows, in a sentence.
    shows: String,
    /// Name of the manifests.
    manifests: String,
    /// Merged into the Rollout before it is applied.
    #[serde(default)]
    rollout: serde_json::Map<String, Value>,
    /// What happens, in this order.
    story: Vec<Act>,
}

/// One thing that happens.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Act {
    /// A version is deployed.
    Deploy(String),
    /// That version behaves in some way from now on.
    Behave { version: String, conduct: String },
    /// The Rollout gets an annotation.
    Annotate { key: String, value: String },
    /// A merge patch is laid over the Rollout.
    Patch(Value),
    /// The manifests are applied again, as a git tool does; the Rollout itself is left alone.
    ApplyAgain(String),
    /// The controller is stopped and started again.
    Restart(String),
    /// Seconds pass.
    Pass(i64),
    /// Time passes until the Rollout is in a phase.
    Until(String),
}

fn conduct(name: &str) -> Conduct {
    match name {
        "healthy" => Conduct::Healthy,
        "errors" => Conduct::Errors,
        "slow" => Conduct::Slow,
        "no-data" => Conduct::NoData,
        "no-traffic" => Conduct::NoTraffic,
        "backend-down" => Conduct::BackendDown,
        other => panic!("there is no conduct `{other}`"),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Plays a scenario and yields what was told.
fn play(scenario: &Scenario) -> String {
    let mut all = manifests(&scenario.manifests);
    json_patch::merge(object_mut(&mut all, "Rollout"), &Value::Object(scenario.rollout.clone()));
    tell(async {
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        bench.entries.clear();
        let began = bench.world.now();
        let mut text = format!("# {}\n\n", scenario.shows);
        for act in &scenario.story {
            let at = since(Some(began), bench.world.now());
            writeln!(text, "{at:>7.1}  > {}", words(act)).expect("text");
            match act {
                Act::Deploy(version) => bench.deploy(version),
                Act::Behave { version, conduct: name } => bench.behave(version, conduct(name)),
                Act::Annotate { key, value } => bench.annotate(key, value),
                Act::Patch(patch) => bench.patch(patch),
                Act::ApplyAgain(kind) => {
                    let mut object = object_mut(&mut all, kind).clone();
                    object["metadata"]["namespace"] = bench.rollout()["metadata"]["namespace"].clone();
                    bench.world.apply(object).expect("the tool may write");
                }
                Act::Restart(_) => bench.world.restart_controller(),
                Act::Pass(seconds) => bench.pass(*seconds).await,
                Act::Until(phase) => bench.wait(phase, |bench| bench.is_observed() && bench.phase() == *phase).await,
            }
            bench.settle().await;
            for entry in std::mem::take(&mut bench.entries) {
                let at = since(Some(began), entry.at);
                writeln!(text, "{at:>7.1}    {}", line(&entry)).expect("text");
            }
        }
        text + &summary(&bench)
    })
}

fn words(act: &Act) -> String {
    match act {
        Act::Deploy(version) => format!("deploy {version}"),
        Act::Behave { version, conduct } => format!("{version}: {conduct}"),
        Act::Annotate { key, value } => format!("annotate {key}={value}"),
        Act::Patch(patch) => format!("patch {patch}"),
        Act::ApplyAgain(kind) => format!("apply the {kind} again"),
        Act::Restart(why) => format!("restart the controller: {why}"),
        Act::Pass(seconds) => format!("{seconds} s pass"),
        Act::Until(phase) => format!("until {phase}"),
    }
}

fn line(entry: &Entry) -> String {
    match &entry.what {
        What::Phase { phase, message } => format!("phase {phase}: {message}").trim_end_matches(": ").to_owned(),
        What::Weight { desired, observed } => {
            format!("weight {desired} wanted, {} there", observed.map_or("none".to_owned(), |w| w.to_string()))
        }
        What::Step { step, steps, words } => format!("step {step} of {steps}: {words}"),
        What::Measurement { metric, phase, value, message } => {
            format!("measured {metric}: {phase} {value} {message}").trim_end().to_owned()
        }
        What::Hold { reason, message } => format!("hold {reason}: {message}"),
        What::Person { words } => format!("person {words}"),
        What::Event { kind, reason, message } => format!("{kind} {reason}: {message}"),
    }
}

fn summary(bench: &Bench) -> String {
    let rollout = bench.get(&ROLLOUTS, &bench.name);
    let status = &rollout["status"];
    let served = bench.world.served();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    format!(
        "\n{} {}\ncurrent {}, stable {}\n{} requests, {} failed, {} of them by routing\n",
        text("phase"),
        text("message"),
        text("currentPodHash"),
        text("stableRS"),
        served.requests,
        served.failed,
        served.failed_by_routing
    )
}

/// The scenarios in the order of their names; each has its transcript and each transcript its scenario, or the test fails.
fn scenarios(update: bool) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = fs::read_dir(folder()).expect("the folder").map(|f| f.expect("a file").path()).collect();
    let named = |extension: &str| -> BTreeSet<PathBuf> {
        let fitting = files.iter().filter(|file| file.extension().is_some_and(|own| own == extension));
        fitting.map(|file| file.with_extension("")).collect()
    };
    let (scenarios, transcripts) = (named("yaml"), named("txt"));
    assert_eq!(files.len(), scenarios.len() + transcripts.len(), "there are .yaml and .txt only: {files:?}");
    let untold: Vec<_> = transcripts.difference(&scenarios).collect();
    assert!(untold.is_empty(), "transcripts without a scenario; bring back its .yaml or remove the .txt: {untold:?}");
    let unkept: Vec<_> = scenarios.difference(&transcripts).collect();
    assert!(update || unkept.is_empty(), "scenarios without a transcript; run with UPDATE_GOLDEN=1: {unkept:?}");
    scenarios.into_iter().map(|name| name.with_extension("yaml")).collect()
}

#[test]
fn scenarios_are_told_as_they_were() {
    let update = std::env::var("UPDATE_GOLDEN").is_ok();
    let mut differing = Vec::new();
    for file in scenarios(update) {
        let source = fs::read_to_string(&file).expect("a scenario");
        let scenario: Scenario = serde_saphyr::from_str(&source).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let told = play(&scenario);
        let golden = file.with_extension("txt");
        if update {
            fs::write(&golden, &told).expect("a transcript can be written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        let first = told.lines().zip(expected.lines()).find(|(told, expected)| told != expected);
        if told != expected {
            differing.push(format!("{}: first difference (now, before): {first:#?}", golden.display()));
        }
    }
    assert!(differing.is_empty(), "run with UPDATE_GOLDEN=1 if this is on purpose\n{}", differing.join("\n"));
}
