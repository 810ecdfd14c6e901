//! Random walks: people, tools and accidents in any order, and what must hold after each of them.
//!
//! `MODEL_SEEDS=FROM..TO` walks other seeds than the usual ones. A seed that found something becomes a test of its own.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{DESTINATION_RULES, PODS, REPLICA_SETS, ROLLOUTS, Resource, SERVICES, VIRTUAL_SERVICES};
use serin_sim::faults::Crash;
use serin_sim::manifests::Manifest;
use serin_sim::mesh::{Quality, Telemetry, Versions};

use crate::bench::{Bench, manifests, object_mut, tell};

/// Actions of one walk.
const ACTIONS: usize = 30;
/// Versions whose pods never become ready.
const BROKEN: [&str; 3] = ["broken-1", "broken-2", "broken-3"];
/// Versions that answer with errors.
const FAILING: [&str; 3] = ["failing-1", "failing-2", "failing-3"];

/// After what time every proxy knows a pod; times of pods are in whole seconds.
const PODS_KNOWN: TimeDelta = TimeDelta::seconds(3);

/// Something that happens.
#[derive(Clone, Debug)]
enum Action {
    Deploy(String),
    Annotate(&'static str, String),
    Scale(i64),
    Pause(bool),
    DeletePod(u64),
    ApplyRoutes,
    CrashAtWrite(u64),
    Restart,
    Withhold(&'static Resource, i64),
    DropWatches,
    Pass(i64),
}

/// SplitMix64: any seed gives a good walk, and the same one each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.below(u64::try_from(all.len()).expect("few"));
        all[usize::try_from(index).expect("small")]
    }

    fn seconds(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("small")
    }

    fn action(&mut self, turn: usize) -> Action {
        let watched: [&'static Resource; 6] =
            [&ROLLOUTS, &REPLICA_SETS, &PODS, &VIRTUAL_SERVICES, &DESTINATION_RULES, &SERVICES];
        match self.below(24) {
            0..=2 => Action::Deploy(format!("v{}", 1 + self.below(4))),
            3 => Action::Deploy(self.pick(&BROKEN).to_owned()),
            4 => Action::Deploy(self.pick(&FAILING).to_owned()),
            5 | 6 => Action::Annotate("serin.dev/promote", format!("p{turn}")),
            7 => Action::Annotate("serin.dev/promote-full", format!("f{turn}")),
            8 => Action::Annotate("serin.dev/abort", format!("a{turn}")),
            9 => Action::Annotate("serin.dev/retry", format!("r{turn}")),
            10 => Action::Scale(1 + self.seconds(6)),
            11 => Action::Pause(self.below(3) == 0),
            12 => Action::DeletePod(self.below(100)),
            13 => Action::ApplyRoutes,
            14 | 15 => Action::CrashAtWrite(1 + self.below(6)),
            16 => Action::Restart,
            17 => Action::Withhold(self.pick(&watched), 1 + self.seconds(10)),
            18 => Action::DropWatches,
            19 | 20 => Action::Pass(self.seconds(4)),
            _ => Action::Pass(self.seconds(40)),
        }
    }
}

/// What a walk did so far; told if it ends badly.
struct Trace {
    seed: u64,
    log: Vec<String>,
}

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {} failed after:\n  {}", self.seed, self.log.join("\n  "));
        }
    }
}

/// One walk.
struct Walk {
    bench: Bench,
    trace: Trace,
    routes: Vec<Value>,
    /// The manifests of the routes, as a git tool applies them.
    applied: Vec<Value>,
}

fn stage_of(seed: u64, dice: &mut Dice) -> Vec<Manifest> {
    let file = dice.pick(&["short", "short", "short", "services", "tcp", "several_routes"]);
    let mut all = manifests(match seed % 8 {
        2 => "canary_scale",
        5 => "step_analysis",
        _ => file,
    });
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(1 + dice.below(5));
    all
}

impl Walk {
    async fn begin(seed: u64, dice: &mut Dice) -> Self {
        let all = stage_of(seed, dice);
        let mut config = WorldConfig { seed, ..WorldConfig::default() };
        // Up to just below the time that the controller allows for.
        let lag_ms = match seed % 4 {
            0 => 0,
            1 => 1_900,
            _ => 500,
        };
        config.propagation = TimeDelta::milliseconds(lag_ms);
        let rollout = object_mut(&mut all.clone(), "Rollout").clone();
        let name = rollout["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        config.pods.broken_images = BROKEN.iter().map(|tag| format!("registry.example/{name}:{tag}")).collect();
        let trace = Trace { seed, log: vec![format!("{} replicas of {name}", rollout["spec"]["replicas"])] };
        let mut bench = Bench::up(&all, config).await;
        let failing = FAILING.iter().map(|tag| format!("registry.example/{name}:{tag}")).collect();
        let versions = Versions { new_images: failing, quality: Quality::Errors, telemetry: Telemetry::Reported };
        bench.world.set_versions(versions);
        let is_route = |manifest: &&Manifest| manifest.object["kind"] == "VirtualService";
        let applied = all.iter().filter(is_route).map(|manifest| manifest.object.clone()).collect();
        let routes = foreign(&bench);
        Walk { bench, trace, routes, applied }
    }

    async fn act(&mut self, action: &Action) {
        let at = self.bench.world.now().format("%H:%M:%S%.3f");
        self.trace.log.push(format!("{at} {action:?}"));
        match action {
            Action::Deploy(version) => self.deploy(version),
            Action::Annotate(key, token) => self.bench.annotate(key, token),
            Action::Scale(replicas) => self.bench.patch(&json!({"spec": {"replicas": replicas}})),
            Action::Pause(paused) => self.bench.patch(&json!({"spec": {"paused": paused}})),
            Action::DeletePod(index) => self.delete_pod(*index),
            Action::ApplyRoutes => self.apply_routes(),
            Action::CrashAtWrite(number) => self.crash(*number).await,
            Action::Restart => self.bench.world.restart_controller(),
            Action::Withhold(kind, seconds) => {
                self.bench.cluster().faults().withhold(kind);
                self.pass(*seconds).await;
                self.bench.cluster().faults().release(kind);
            }
            Action::DropWatches => self.bench.cluster().faults().drop_watches(),
            Action::Pass(seconds) => self.pass(*seconds).await,
        }
        self.bench.settle().await;
        self.check().await;
    }

    fn deploy(&mut self, version: &str) {
        let image = format!("registry.example/{}:{version}", self.bench.name);
        let rollout = self.bench.rollout();
        let present = match rollout.pointer("/spec/workloadRef/name").and_then(Value::as_str) {
            Some(name) => self.bench.get(&serin_sim::cluster::DEPLOYMENTS, name),
            None => rollout,
        };
        if present["spec"]["template"]["spec"]["containers"][0]["image"] != image.as_str() {
            self.bench.deploy(version);
        }
    }

    /// Whether no pod changes its role at present, so that an accident to one of several pods harms nobody.
    fn is_calm(&self) -> bool {
        let rules = self.bench.cluster().list(&DESTINATION_RULES, Some(&self.bench.namespace));
        let sides_are_one = match rules.first() {
            Some(_) => self.bench.subset_hash("canary") == self.bench.subset_hash("stable"),
            None => {
                let hash = |side: &str| {
                    let service = self.bench.get(&SERVICES, &format!("{}-{side}", self.bench.name));
                    service["spec"]["selector"]["rollouts-pod-template-hash"].clone()
                };
                hash("canary") == hash("stable")
            }
        };
        let is_still = matches!(self.bench.phase().as_str(), "Paused" | "Healthy") && self.bench.is_observed();
        is_still && (!sides_are_one || self.bench.weight() == 0)
    }

    /// Takes one of several ready pods away; that nobody serves after the last one has gone is nobody's fault.
    fn delete_pod(&mut self, index: u64) {
        let pods = self.bench.cluster().list(&PODS, Some(&self.bench.namespace));
        let set_of = |pod: &Value| pod["metadata"]["ownerReferences"][0]["name"].clone();
        let now = self.bench.world.now();
        let known = |pod: &Value| ready_since(pod).is_some_and(|since| since + PODS_KNOWN < now);
        let many = |pod: &Value| pods.iter().filter(|p| set_of(p) == set_of(pod) && known(p)).count() > 1;
        let spare: Vec<&Value> = pods.iter().map(AsRef::as_ref).filter(|pod| many(pod)).collect();
        if spare.is_empty() || !self.is_calm() {
            return;
        }
        let pod = spare[usize::try_from(index).expect("small") % spare.len()];
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        self.bench.cluster().delete(&PODS, &self.bench.namespace, name).expect("it is there");
    }

    /// As a git tool does. In a hand-over that would take traffic from the pods that serve it.
    fn apply_routes(&mut self) {
        if !self.is_calm() {
            return;
        }
        for object in &self.applied {
            let mut object = object.clone();
            object["metadata"]["namespace"] = json!(self.bench.namespace);
            self.bench.world.apply(object).expect("the tool may write");
        }
    }

    /// The controller crashes at one of its next writes, and is back 3 s later.
    async fn crash(&mut self, number: u64) {
        let faults = self.bench.cluster().faults();
        faults.reset();
        faults.crash(Crash::Before(number));
        self.pass(3).await;
        self.bench.cluster().faults().reset();
        self.bench.world.restart_controller();
    }

    async fn pass(&mut self, seconds: i64) {
        let until = self.bench.world.now() + TimeDelta::seconds(seconds);
        loop {
            self.bench.settle().await;
            if !self.is_disturbed() {
                self.check_state();
            }
            let now = self.bench.world.now();
            if now >= until {
                return;
            }
            let due = self.bench.world.next_due().map_or(until, |due| due.min(until));
            self.bench.world.move_to(due.max(now + TimeDelta::milliseconds(1)));
        }
    }

    fn is_disturbed(&self) -> bool {
        format!("{:?}", self.bench.cluster().faults()).contains("crashed: true")
    }

    /// What must hold whenever nothing is left to do at a moment.
    async fn check(&mut self) {
        self.check_state();
        let writes = self.bench.cluster().writes().len();
        self.bench.settle().await;
        let more = self.bench.cluster().writes().split_off(writes);
        assert!(more.is_empty(), "the controller had come to rest, and writes again: {more:?}");
    }

    fn check_state(&self) {
        let served = self.bench.world.served();
        assert_eq!(served.failed_by_routing, 0, "{served:?}\n{}", self.bench.told());
        assert_eq!(foreign(&self.bench), self.routes, "somebody else's fields changed");
        for vs in self.bench.cluster().list(&VIRTUAL_SERVICES, Some(&self.bench.namespace)) {
            for route in splits(&vs) {
                let sum: i64 = route.iter().filter_map(|destination| destination["weight"].as_i64()).sum();
                assert_eq!(sum, 100, "{vs:#}");
                for destination in route.iter().filter(|destination| destination["weight"] != 0) {
                    let ready = self.ready_behind(&destination["destination"]);
                    assert!(ready > 0, "{destination} has no ready pods\n{}", self.bench.told());
                }
            }
        }
    }

    /// Ready pods that a destination selects.
    fn ready_behind(&self, destination: &Value) -> usize {
        let host = destination["host"].as_str().unwrap_or_default();
        let service = self.bench.get(&SERVICES, host);
        let mut wanted = service["spec"]["selector"].as_object().cloned().unwrap_or_default();
        if destination["subset"].is_string() {
            let rule = self.bench.get(&DESTINATION_RULES, &self.bench.name);
            let subsets = rule["spec"]["subsets"].as_array().cloned().unwrap_or_default();
            let subset = subsets.iter().find(|subset| subset["name"] == destination["subset"]);
            wanted.extend(subset.and_then(|s| s["labels"].as_object().cloned()).unwrap_or_default());
        }
        let pods = self.bench.cluster().list(&PODS, Some(&self.bench.namespace));
        let selected = |pod: &Value| wanted.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value);
        pods.iter().filter(|pod| is_ready(pod) && selected(pod)).count()
    }

    /// However the walk went, a good version can be deployed after it.
    async fn end(&mut self) {
        self.trace.log.push("the end: v9".to_owned());
        self.bench.cluster().faults().reset();
        self.bench.patch(&json!({"spec": {"paused": false, "replicas": 3}}));
        self.deploy("v9");
        self.bench.settle().await;
        self.bench.annotate("serin.dev/promote-full", "the end");
        self.bench.healthy().await;
        self.pass(120).await;
        self.check().await;
        let sets = self.bench.cluster().list(&REPLICA_SETS, Some(&self.bench.namespace));
        let own = sets.iter().filter(|set| set["metadata"]["labels"]["rollouts-pod-template-hash"].is_string());
        let left: Vec<i64> =
            own.map(|set| set["spec"]["replicas"].as_i64().unwrap_or(-1)).filter(|n| *n != 0).collect();
        assert_eq!(left, [3], "only the new version has pods");
    }
}

fn is_ready(pod: &Value) -> bool {
    ready_since(pod).is_some()
}

fn ready_since(pod: &Value) -> Option<DateTime<Utc>> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|c| c["type"] == "Ready" && c["status"] == "True")?;
    ready["lastTransitionTime"].as_str()?.parse().ok()
}

/// The destinations of every route that splits.
fn splits(vs: &Value) -> Vec<&Vec<Value>> {
    let protocols = ["http", "tls", "tcp"].into_iter();
    let routes = protocols.flat_map(|protocol| vs["spec"][protocol].as_array().into_iter().flatten());
    routes.filter_map(|route| route["route"].as_array()).filter(|destinations| destinations.len() > 1).collect()
}

/// The VirtualServices without the weights of splits.
fn foreign(bench: &Bench) -> Vec<Value> {
    let all = bench.cluster().list(&VIRTUAL_SERVICES, Some(&bench.namespace));
    let blank = |vs: &Value| {
        let mut spec = vs["spec"].clone();
        for protocol in ["http", "tcp"] {
            for route in spec[protocol].as_array_mut().into_iter().flatten() {
                for destination in route["route"].as_array_mut().into_iter().flatten() {
                    destination["weight"] = Value::Null;
                }
            }
        }
        json!([spec, vs["metadata"]["annotations"], vs["metadata"]["labels"]])
    };
    all.iter().map(|vs| blank(vs)).collect()
}

fn walk(seed: u64) {
    tell(async {
        let mut dice = Dice(seed);
        let mut walk = Walk::begin(seed, &mut dice).await;
        for turn in 0..ACTIONS {
            let action = dice.action(turn);
            walk.act(&action).await;
        }
        walk.end().await;
    });
}

/// The seeds to walk, every second of them.
fn seeds(first: u64) -> impl Iterator<Item = u64> {
    let asked = std::env::var("MODEL_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| {
        let (from, to) = text.split_once("..")?;
        Some(from.parse().ok()?..to.parse().ok()?)
    });
    range.unwrap_or(0..40).skip(usize::try_from(first).expect("0 or 1")).step_by(2)
}

#[test]
fn even_walks_keep_what_must_hold() {
    seeds(0).for_each(walk);
}

#[test]
fn odd_walks_keep_what_must_hold() {
    seeds(1).for_each(walk);
}

/// Surplus pods that went while others changed their role; a side that was pointed at pods before proxies knew their labels.
#[test]
fn walks_that_found_something() {
    [39, 167].into_iter().for_each(walk);
}
