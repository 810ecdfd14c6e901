//! Transcripts of short scenarios, kept beside them: whatever changes what people see shows up in review.
//!
//! `tests/scenarios/NAME.yaml` names a manifest and what happens; `NAME.txt` is what the controller told. After a change
//! on purpose, `UPDATE_GOLDEN=1 cargo test -p serin-sim --test it golden` writes them anew.

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serin_sim::WorldConfig;
use serin_sim::cluster::ROLLOUTS;
use serin_sim::manifests::Manifest;
use serin_sim::simulate::Conduct;
use serin_sim::timeline::{Entry, What};

use self::look::{Sight, look};
use crate::bench::{Bench, manifest, manifests, object_mut, since, tell};

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
    /// Merged into the first object of a kind before it is applied.
    #[serde(default)]
    objects: BTreeMap<String, Value>,
    /// Objects beside those of the manifests.
    #[serde(default)]
    more: Vec<Value>,
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
    /// Time passes until the update stands in a step, counting from 1.
    UntilStep(i64),
    /// What there is of something at this moment.
    Look(Sight),
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

/// The manifests of a scenario as they are applied.
fn objects(scenario: &Scenario) -> Vec<Manifest> {
    let mut all = manifests(&scenario.manifests);
    json_patch::merge(object_mut(&mut all, "Rollout"), &Value::Object(scenario.rollout.clone()));
    for (kind, patch) in &scenario.objects {
        json_patch::merge(object_mut(&mut all, kind), patch);
    }
    all.extend(scenario.more.iter().cloned().map(manifest));
    all
}

/// Plays a scenario and yields what was told.
fn play(scenario: &Scenario) -> String {
    let mut all = objects(scenario);
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
                Act::UntilStep(step) => bench.step_is(step - 1).await,
                Act::Look(sight) => {
                    for seen in look(&bench, *sight) {
                        writeln!(text, "{:>9}    {seen}", "").expect("text");
                    }
                }
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
        Act::UntilStep(step) => format!("until step {step}"),
        Act::Look(sight) => format!("{sight:?}").to_lowercase(),
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
        let told = play(&read(&file));
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

fn read(file: &Path) -> Scenario {
    let source = fs::read_to_string(file).expect("a scenario");
    serde_saphyr::from_str(&source).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The first column of the tables of a page of the reference, where it is a field.
fn fields(page: &str) -> Vec<String> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next().map(str::to_owned));
    cells.filter_map(|cell| Some(cell.trim_matches('*').strip_prefix('`')?.strip_suffix('`')?.to_owned())).collect()
}

/// Whether a field is set somewhere in an object; `[]` stands for any element, `{}` for any value.
fn is_set(object: &Value, path: &[String]) -> bool {
    match path {
        [] => !object.is_null(),
        [first, rest @ ..] if first == "[]" => {
            object.as_array().is_some_and(|all| all.iter().any(|one| is_set(one, rest)))
        }
        [first, rest @ ..] if first == "{}" => {
            object.as_object().is_some_and(|all| all.values().any(|one| is_set(one, rest)))
        }
        [first, rest @ ..] => is_set(&object[first.as_str()], rest),
    }
}

#[test]
fn every_field_of_a_strategy_has_a_scenario() {
    let rollout = |scenario: &Scenario| object_mut(&mut objects(scenario), "Rollout").clone();
    let rollouts: Vec<Value> = scenarios(true).iter().map(|file| rollout(&read(file))).collect();
    let mut refused = fields("refused.md");
    // Only for other routers.
    refused.push("spec.strategy.canary.trafficRouting.maxTrafficWeight".to_owned());
    let mut wanted = fields("api.md");
    wanted.retain(|field| {
        field.starts_with("spec.strategy.") && !refused.iter().any(|no| field.starts_with(no.as_str()))
    });
    assert!(wanted.len() > 100, "the page of the fields has another form now: {wanted:?}");
    let path = |field: &String| -> Vec<String> {
        field.replace("[]", ".[]").replace("{}", ".{}").split('.').map(str::to_owned).collect()
    };
    wanted.retain(|field| !rollouts.iter().any(|rollout| is_set(rollout, &path(field))));
    assert!(wanted.is_empty(), "no scenario sets {wanted:#?}");
}
