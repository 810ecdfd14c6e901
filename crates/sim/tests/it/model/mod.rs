//! Random walks: people, tools and accidents in any order, and what must hold after each of them.
//!
//! `MODEL_SEEDS=FROM..TO` walks other seeds than the usual ones. A seed that found something becomes a test of its own.

mod dice;
mod foreign;
mod stages;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_controller::ObjectName;
use serin_sim::WorldConfig;
use serin_sim::cluster::{DEPLOYMENTS, DESTINATION_RULES, EXPERIMENTS, PODS, REPLICA_SETS, SERVICES, VIRTUAL_SERVICES};
use serin_sim::faults::Crash;
use serin_sim::manifests::Manifest;
use serin_sim::mesh::{Quality, Telemetry, Traffic, Versions};

use self::dice::{Action, BROKEN, Dice, FAILING};
use self::foreign::Foreign;
use self::stages::{MANAGED, Shape};
use crate::bench::{Bench, object_mut, tell};

/// Actions of one walk.
const ACTIONS: usize = 30;

/// After what time every proxy knows a pod; times of pods are in whole seconds.
const PODS_KNOWN: TimeDelta = TimeDelta::seconds(3);

/// Which manifests and actions a walk takes.
#[derive(Clone, Copy, Debug)]
enum Width {
    /// Those that are common to all canaries.
    Narrow,
    /// All that there are, with istiod in view.
    Wide,
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
    shape: Shape,
    /// What belongs to others.
    foreign: Foreign,
    /// The manifests of the routes, as a git tool applies them.
    applied: Vec<Value>,
    /// Versions in the order in which they were asked for.
    versions: Vec<String>,
    /// Until when proxies learn of nothing.
    cut_off: DateTime<Utc>,
    /// How far the update was when it was last looked at.
    progress: Option<Progress>,
}

/// How far an update is: revision, steps and step.
type Progress = (Value, Value, i64);

impl Walk {
    async fn begin(seed: u64, width: Width, dice: &mut Dice) -> Self {
        let all = match width {
            Width::Narrow => stages::narrow(seed, dice),
            Width::Wide => stages::wide(dice),
        };
        let mut config = WorldConfig { seed, ..WorldConfig::default() };
        config.istiod = match width {
            Width::Narrow => None,
            Width::Wide => Some(ObjectName::new("istio-system", "istiod")),
        };
        // Up to just below the time that the controller allows for.
        let lag_ms = match seed % 4 {
            0 => 0,
            1 => 1_900,
            _ => 500,
        };
        let rollout = object_mut(&mut all.clone(), "Rollout").clone();
        let shape = Shape::of(&rollout);
        if shape.is_meshed() {
            config.propagation = TimeDelta::milliseconds(lag_ms);
        } else {
            // Pods go as those of a Deployment do, whatever proxies know.
            config.propagation = TimeDelta::zero();
        }
        let name = rollout["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        config.pods.broken_images = BROKEN.iter().map(|tag| format!("registry.example/{name}:{tag}")).collect();
        let trace = Trace { seed, log: vec![format!("{width:?}: {}", rollout["spec"])] };
        let mut bench = Bench::up(&all, config).await;
        let failing = FAILING.iter().map(|tag| format!("registry.example/{name}:{tag}")).collect();
        let versions = Versions { new_images: failing, quality: Quality::Errors, telemetry: Telemetry::Reported };
        bench.world.set_versions(versions);
        let is_route = |manifest: &&Manifest| manifest.object["kind"] == "VirtualService";
        let applied = all.iter().filter(is_route).map(|manifest| manifest.object.clone()).collect();
        if shape.has_http_steps {
            let mut testers = Traffic::to(&bench.namespace, &name).at_rate(20.0);
            testers.headers = BTreeMap::from([("x-team".to_owned(), "checkout".to_owned())]);
            bench.world.set_streams(vec![Traffic::to(&bench.namespace, &name).at_rate(40.0), testers]);
        }
        let foreign = Foreign::of(&bench);
        let (versions, cut_off) = (vec!["v1".to_owned()], bench.world.now());
        Walk { bench, trace, shape, foreign, applied, versions, cut_off, progress: None }
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
            Action::Undo => self.undo(),
            Action::Window(revisions) => {
                self.bench.patch(&json!({"spec": {"rollbackWindow": {"revisions": revisions}}}));
            }
            Action::RestartPods(seconds) => {
                let at = (self.bench.world.now() + TimeDelta::seconds(*seconds)).format("%Y-%m-%dT%H:%M:%SZ");
                self.bench.patch(&json!({"spec": {"restartAt": at.to_string()}}));
            }
            Action::ScaleDown(when) => self.bench.patch(&json!({"spec": {"workloadRef": {"scaleDown": when}}})),
            Action::Dynamic(dynamic) => self.patch_canary(&json!({"dynamicStableScale": dynamic})),
            Action::Steps(variant) => self.patch_canary(&json!({"steps": stages::steps(*variant)})),
            Action::Switching(variant) => {
                self.bench.patch(&json!({"spec": {"strategy": {"blueGreen": stages::switching(*variant)}}}));
            }
            Action::Experiment(number) => self.experiment(*number),
            Action::IstiodAway(seconds) => {
                let time = TimeDelta::seconds(*seconds);
                self.cut_off = self.cut_off.max(self.bench.world.now() + time);
                self.bench.world.cut_off_proxies(time);
            }
        }
        self.bench.settle().await;
        self.check().await;
    }

    fn deploy(&mut self, version: &str) {
        let image = format!("registry.example/{}:{version}", self.bench.name);
        let rollout = self.bench.rollout();
        let present = match rollout.pointer("/spec/workloadRef/name").and_then(Value::as_str) {
            Some(name) => self.bench.get(&DEPLOYMENTS, name),
            None => rollout,
        };
        if present["spec"]["template"]["spec"]["containers"][0]["image"] != image.as_str() {
            self.versions.push(version.to_owned());
            self.bench.deploy(version);
        }
    }

    fn undo(&mut self) {
        if let Some(before) = self.versions.len().checked_sub(2) {
            let version = self.versions[before].clone();
            self.deploy(&version);
        }
    }

    fn patch_canary(&mut self, patch: &Value) {
        self.bench.patch(&json!({"spec": {"strategy": {"canary": patch}}}));
    }

    /// Somebody tries two versions beside each other, with pods that nobody else selects.
    fn experiment(&mut self, number: u64) {
        let pods = |name: &str, version: &str| {
            let labels = json!({"app": format!("lab-{name}")});
            let image = format!("registry.example/{}:{version}", self.bench.name);
            json!({
                "name": name, "replicas": 2, "selector": {"matchLabels": labels}, "service": {},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [
                    {"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]}},
            })
        };
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
            "metadata": {"name": format!("lab-{number}"), "namespace": self.bench.namespace},
            "spec": {"duration": "20s", "scaleDownDelaySeconds": 5, "templates": [pods("a", "v1"), pods("b", "v2")]},
        });
        // A name that is taken stays with the first.
        drop(self.bench.cluster().create(&EXPERIMENTS, object));
    }

    /// Whether no pod changes its role at present, so that an accident to one of several pods harms nobody.
    fn is_calm(&self) -> bool {
        let is_still = matches!(self.bench.phase().as_str(), "Paused" | "Healthy") && self.bench.is_observed();
        if !self.shape.is_routed {
            return is_still;
        }
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
        // The routes of git are for the Service that is stable at first.
        let is_as_in_git = self.bench.status("/canary/stablePingPong") != "pong";
        is_still && if sides_are_one { !is_as_in_git || self.bench.weight() == 0 } else { is_as_in_git }
    }

    /// Takes one of several ready pods away; that nobody serves after the last one has gone is nobody's fault.
    fn delete_pod(&mut self, index: u64) {
        let pods = self.bench.cluster().list(&PODS, Some(&self.bench.namespace));
        let set_of = |pod: &Value| pod["metadata"]["ownerReferences"][0]["name"].clone();
        let now = self.bench.world.now();
        let known = |pod: &Value| ready_since(pod).is_some_and(|since| since + PODS_KNOWN < now);
        let many = |pod: &Value| pods.iter().filter(|p| set_of(p) == set_of(pod) && known(p)).count() > 1;
        let spare: Vec<&Value> = pods.iter().map(AsRef::as_ref).filter(|pod| many(pod)).collect();
        // Proxies that are cut off call whom they know.
        if spare.is_empty() || !self.is_calm() || now < self.cut_off + PODS_KNOWN {
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
        self.progress = None;
    }

    async fn pass(&mut self, seconds: i64) {
        let until = self.bench.world.now() + TimeDelta::seconds(seconds);
        loop {
            self.bench.settle().await;
            if !self.is_disturbed() {
                self.check_state();
                self.check_progress();
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
        self.check_progress();
        let writes = self.bench.cluster().writes().len();
        self.bench.settle().await;
        let more = self.bench.cluster().writes().split_off(writes);
        assert!(more.is_empty(), "the controller had come to rest, and writes again: {more:?}");
    }

    fn check_state(&self) {
        let served = self.bench.world.served();
        assert_eq!(served.failed_by_routing, 0, "{served:?}\n{}", self.bench.told());
        self.foreign.check(&self.bench);
        self.check_served();
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

    /// Whoever is sent somewhere whatever the weights are finds somebody there.
    fn check_served(&self) {
        if self.shape.is_blue_green {
            let active = self.bench.rollout()["spec"]["strategy"]["blueGreen"]["activeService"].clone();
            assert!(self.ready_behind(&json!({"host": active})) > 0, "nobody behind {active}\n{}", self.bench.told());
        }
        for vs in self.bench.cluster().list(&VIRTUAL_SERVICES, Some(&self.bench.namespace)) {
            let routes = vs["spec"]["http"].as_array().into_iter().flatten();
            for route in routes.filter(|route| MANAGED.iter().any(|name| route["name"] == *name)) {
                for destination in route["route"].as_array().into_iter().flatten() {
                    let ready = self.ready_behind(&destination["destination"]);
                    assert!(ready > 0 || destination["weight"] == 0, "{route:#}\n{}", self.bench.told());
                }
            }
        }
    }

    /// No step is gone back to, unless the update begins anew.
    fn check_progress(&mut self) {
        let index = self.bench.status("/currentStepIndex").as_i64();
        let is_aborted = self.bench.status("/abort") == true;
        let now = index
            .filter(|_| !is_aborted && self.bench.is_observed())
            .map(|index| (self.bench.status("/currentPodHash"), self.bench.status("/currentStepHash"), index));
        if let (Some((hash, steps, before)), Some(now)) = (&self.progress, &now)
            && (hash, steps) == (&now.0, &now.1)
        {
            assert!(now.2 >= *before, "from step {before} back to {}\n{}", now.2, self.bench.told());
        }
        self.progress = now;
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
        self.foreign.check_alone(&self.bench);
        for experiment in self.bench.cluster().list(&EXPERIMENTS, Some(&self.bench.namespace)) {
            let phase = experiment["status"]["phase"].as_str().unwrap_or_default();
            assert!(["Successful", "Failed", "Error"].contains(&phase), "{experiment:#}");
        }
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

fn walk(seed: u64, width: Width) {
    tell(async {
        let mut dice = Dice(seed);
        let mut walk = Walk::begin(seed, width, &mut dice).await;
        for turn in 0..ACTIONS {
            let action = match width {
                Width::Narrow => dice.action(turn),
                Width::Wide => dice.wide_action(turn, walk.shape),
            };
            walk.act(&action).await;
        }
        walk.end().await;
    });
}

fn narrow(seed: u64) {
    walk(seed, Width::Narrow);
}

fn wide(seed: u64) {
    walk(seed, Width::Wide);
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
    seeds(0).for_each(narrow);
}

#[test]
fn odd_walks_keep_what_must_hold() {
    seeds(1).for_each(narrow);
}

#[test]
fn even_wide_walks_keep_what_must_hold() {
    seeds(0).for_each(wide);
}

#[test]
fn odd_wide_walks_keep_what_must_hold() {
    seeds(1).for_each(wide);
}

/// Surplus pods that went while others changed their role; a side that was pointed at pods before proxies knew their labels.
#[test]
fn walks_that_found_something() {
    [39, 167].into_iter().for_each(narrow);
}
