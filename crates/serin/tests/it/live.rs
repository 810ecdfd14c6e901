//! The demo, and the subcommands that talk to a cluster, against it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{code, serin, stderr, stdout};

/// More time than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A demo that is served on some port, and ends with this value.
struct Served {
    child: Child,
    server: String,
    /// What it tells; it ends when nobody listens any more.
    _story: BufReader<ChildStdout>,
}

impl Served {
    fn start() -> Self {
        Served::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(["demo", "--listen", "127.0.0.1:0", "--speed", "1"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut story = BufReader::new(child.stdout.take().unwrap());
        story.read_line(&mut line).unwrap();
        let server = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Served { child, server, _story: story }
    }

    /// Runs a subcommand against it.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = serin(&[arguments, &["-n", "aviary", "-s", &self.server]].concat());
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn rollout(&self) -> Value {
        serde_json::from_str(&self.run(&["get", "rollout", "reviews", "-o", "json"])).unwrap()
    }

    #[track_caller]
    fn wait_for_phase(&self, phase: &str) {
        let began = Instant::now();
        loop {
            let rollout = self.rollout();
            let observed = rollout["status"]["observedGeneration"].as_str().map(str::to_owned);
            let is_seen = observed == Some(rollout["metadata"]["generation"].to_string());
            if is_seen && rollout["status"]["phase"] == phase {
                return;
            }
            assert!(began.elapsed() < LIMIT, "never {phase}: {:#}", rollout["status"]);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_rollout_is_shown_paused_and_resumed() {
    let served = Served::start();
    served.wait_for_phase("Healthy");
    let tree = served.run(&["get", "rollout", "reviews"]);
    for part in ["Rollout aviary/reviews  Healthy", "stable  revision 1", "5/5 ready", "reviews:v1", "100 %"] {
        assert!(tree.contains(part), "{part}\n{tree}");
    }
    let check = |arguments: &[&str], part: &str| {
        let said = served.run(arguments);
        assert!(said.contains(part), "{arguments:?}: {said}");
    };
    check(&["promote", "reviews"], "is stable already");
    check(&["abort", "reviews"], "nothing to abort");
    check(&["retry", "reviews"], "nothing to retry");
    check(&["pause", "reviews"], "paused");
    served.wait_for_phase("Paused");
    check(&["pause", "reviews"], "is paused already");
    check(&["promote", "reviews"], "goes on");
    served.wait_for_phase("Healthy");
    let output = serin(&["promote", "nobody", "-n", "aviary", "-s", &served.server]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("\"nobody\" not found"), "{}", stderr(&output));
}

const EXPERIMENT: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Experiment
metadata: {name: by-hand, namespace: aviary}
spec:
  templates:
    - name: new
      replicas: 2
      selector: {matchLabels: {app: by-hand}}
      template:
        metadata: {labels: {app: by-hand}}
        spec:
          containers: [{name: web, image: "registry.example/reviews:v2"}]
"#;

#[test]
fn an_experiment_is_shown_with_its_pods() {
    let place = std::env::temp_dir().join(format!("serin-get-experiment-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    for file in ["analysis.yaml", "mesh.yaml", "namespace.yaml", "reviews.yaml"] {
        let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo_manifests").join(file);
        std::fs::copy(own, place.join(file)).unwrap();
    }
    std::fs::write(place.join("experiment.yaml"), EXPERIMENT).unwrap();
    let served = Served::start_with(&["--manifests", place.to_str().unwrap()]);
    let began = Instant::now();
    let tree = loop {
        let tree = served.run(&["get", "experiment", "by-hand"]);
        if tree.contains("Experiment aviary/by-hand  Running") {
            break tree;
        }
        assert!(began.elapsed() < LIMIT, "never Running: {tree}");
    };
    for part in ["new                  2/2 ready   ●●  reviews:v2  Running", "no end of its own"] {
        assert!(tree.contains(part), "{part}\n{tree}");
    }
    let wide = served.run(&["get", "exp", "by-hand", "-o", "wide"]);
    assert!(wide.contains("● by-hand-new-"), "{wide}");
    let object: Value = serde_json::from_str(&served.run(&["get", "experiments", "by-hand", "-o", "json"])).unwrap();
    assert_eq!(object["status"]["phase"], "Running");
    let output = serin(&["get", "experiment", "nobody", "-n", "aviary", "-s", &served.server]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("there is no Experiment nobody in namespace aviary"), "{}", stderr(&output));
    std::fs::remove_dir_all(&place).unwrap();
}

#[test]
fn the_demo_tells_its_story() {
    let output = serin(&["demo", "--once", "--speed", "1000"]);
    let story = stdout(&output);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let places: Vec<Option<usize>> = [
        "The first deployment",
        "A good version of reviews comes",
        "weight  ███████████████░░░░░  75 % canary",
        "phase   Healthy",
        "A bad version of reviews comes",
        "phase   Degraded: RolloutAborted",
        " 0 failed by routing",
    ]
    .into_iter()
    .scan(0, |from, part| {
        let place = story[*from..].find(part).map(|at| at + *from);
        *from = place.unwrap_or(*from);
        Some(place)
    })
    .collect();
    assert!(places.iter().all(Option::is_some), "{places:?}\n{story}");
}
