//! A cluster in memory in which plans come true at once: ReplicaSets grow, pods follow, objects take their patches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_api::{Rollout, RolloutStatus};

use super::lab::Lab;
use super::lag::Lag;
use crate::plan::{Event, Wake};
use crate::rollout::ControlPlane;
use crate::rollout::observed::{
    Found, Observed, Pod, Raw, ReplicaSet, Settings, Template, TemplateKey, VirtualServiceKey, Workload, Writer,
};
use crate::rollout::{Plan, decide};

/// Turns after which a world that still changes is held to change for ever.
const TURNS_MAX: usize = 200;

/// A Rollout `web` with what it refers to and what came of it.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) observed: Observed,
    /// Everything that was told so far, as `Reason: message`.
    pub(super) told: Vec<String>,
    /// Whether evictions are refused, and changes of the Deployment.
    pub(super) protected: bool,
    /// Images whose pods never become ready.
    pub(super) broken: BTreeSet<String>,
    /// How many pods of an image become ready.
    pub(super) ready_max: BTreeMap<String, usize>,
    lag: Lag,
    pub(super) lab: Lab,
    /// Whether an Experiment changed in the last turn.
    is_busy: bool,
    args: Vec<String>,
    pub(super) versions: u64,
}

impl World {
    /// Without traffic routing; two steps.
    pub(super) fn basic() -> Self {
        let rollout = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web", "generation": 1},
            "spec": {
                "replicas": 5,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web:v1"}]},
                },
                "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}},
            },
        });
        let now: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
        let observed = Observed {
            now,
            rollout: Arc::new(serde_json::from_value::<Rollout>(rollout).expect("a Rollout")),
            workload: None,
            replica_sets: Vec::new(),
            pods: Vec::new(),
            services: BTreeMap::new(),
            virtual_services: BTreeMap::new(),
            destination_rule: None,
            left_behind: Vec::new(),
            templates: BTreeMap::new(),
            analysis_runs: Vec::new(),
            names_taken: BTreeSet::new(),
            rivals: Vec::new(),
            experiments: Vec::new(),
            experiment_services: BTreeMap::new(),
            experiment_pods: Vec::new(),
            control_plane: ControlPlane::Unknown,
            settings: Settings::default(),
        };
        World {
            observed,
            told: Vec::new(),
            protected: false,
            broken: BTreeSet::new(),
            ready_max: BTreeMap::new(),
            lag: Lag::default(),
            lab: Lab::default(),
            is_busy: false,
            args: Vec::new(),
            versions: 0,
        }
    }

    /// Split by the subsets of a DestinationRule, whose labels are roles that pods get and lose.
    pub(super) fn roles() -> Self {
        let role = |role: &str| json!({"labels": {"role": role}});
        World::subsets(&json!({"role": "stable"}), &json!({"role": "canary"}))
            .canary(&json!({"canaryMetadata": role("canary"), "stableMetadata": role("stable")}))
    }

    /// Split by subsets that differ in the hash alone.
    pub(super) fn hashes() -> Self {
        World::subsets(&json!({"app": "web"}), &json!({"app": "web"}))
    }

    /// Split by two Services.
    pub(super) fn services() -> Self {
        let mut world = World::basic().canary(&json!({
            "canaryService": "web-canary", "stableService": "web-stable",
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        }));
        world.put_services();
        world.put_route("web", &json!([destination("web-stable", None, 100), destination("web-canary", None, 0)]));
        world
    }

    /// Split by subsets, with Services beside them.
    pub(super) fn both() -> Self {
        let mut world = World::hashes().canary(&json!({"canaryService": "web-canary", "stableService": "web-stable"}));
        world.put_services();
        world
    }

    /// Split by two Services that swap their roles.
    pub(super) fn ping_pong() -> Self {
        let mut world = World::basic().canary(&json!({
            "pingPong": {"pingService": "web-ping", "pongService": "web-pong"},
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        }));
        world.put_service("web-ping");
        world.put_service("web-pong");
        world.put_route("web", &json!([destination("web-ping", None, 100), destination("web-pong", None, 0)]));
        world
    }

    /// Without traffic routing, with Services beside the pods.
    pub(super) fn named_services() -> Self {
        let mut world = World::basic().canary(&json!({"canaryService": "web-canary", "stableService": "web-stable"}));
        world.put_services();
        world
    }

    /// Switched by Services.
    pub(super) fn blue_green() -> Self {
        let blue_green = json!({"activeService": "web-active", "previewService": "web-preview"});
        let mut world = World::basic().spec(&json!({"strategy": {"canary": null, "blueGreen": blue_green}}));
        world.put_service("web-active");
        world.put_service("web-preview");
        world
    }

    /// Merges into `spec.strategy.blueGreen`.
    pub(super) fn with_blue_green(self, patch: &Value) -> Self {
        self.spec(&json!({"strategy": {"blueGreen": patch}}))
    }

    fn subsets(stable: &Value, canary: &Value) -> Self {
        let mut world = World::basic().canary(&json!({"trafficRouting": {"istio": {
            "virtualService": {"name": "web"},
            "destinationRule": {"name": "web", "canarySubsetName": "canary", "stableSubsetName": "stable"},
        }}}));
        let rule = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"host": "web", "subsets": [
            {"name": "stable", "labels": stable}, {"name": "canary", "labels": canary}, {"name": "foreign"},
        ]}});
        world.observed.destination_rule = Some(Found::Present(world.raw(rule)));
        let route = json!([destination("web", Some("stable"), 100), destination("web", Some("canary"), 0)]);
        world.put_route("web", &route);
        world
    }

    fn put_services(&mut self) {
        self.put_service("web-stable");
        self.put_service("web-canary");
    }

    fn put_service(&mut self, name: &str) {
        let service = json!({"metadata": {"name": name}, "spec": {"selector": {"app": "web"}}});
        let raw = self.raw(service);
        self.observed.services.insert(name.to_owned(), Found::Present(raw));
    }

    /// A VirtualService with one route.
    pub(super) fn put_route(&mut self, name: &str, destinations: &Value) {
        let object = json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"hosts": ["web"], "http": [{"route": destinations}]},
        });
        let raw = self.raw(object);
        self.observed.virtual_services.insert(key(name), Found::Present(raw));
    }

    /// An AnalysisTemplate `check` without arguments.
    pub(super) fn with_template(mut self) -> Self {
        let args: Vec<Value> = self.args.iter().map(|name| json!({"name": name})).collect();
        let spec = json!({"args": args, "metrics": [{"name": "ok", "interval": "1m", "count": 5, "successCondition": "result[0] > 0",
            "provider": {"prometheus": {"address": "http://prometheus", "query": "up"}}}]});
        let spec = Arc::new(serde_json::from_value(spec).expect("a template"));
        let template = Found::Present(Template { spec, semantics: None });
        self.observed.templates.insert(TemplateKey { cluster_scope: false, name: "check".to_owned() }, template);
        self
    }

    /// Arguments without values for the AnalysisTemplate `check`.
    pub(super) fn with_args(mut self, names: &[&str]) -> Self {
        self.args = names.iter().map(ToString::to_string).collect();
        self
    }

    pub(super) fn raw(&mut self, mut object: Value) -> Raw {
        self.versions += 1;
        let version = self.versions.to_string();
        object["metadata"]["resourceVersion"] = json!(version);
        let seen_at = self.observed.now - TimeDelta::hours(1);
        Raw { object: Arc::new(object), version, seen_at, writer: Writer::Unknown }
    }

    /// Takes the pod template from a Deployment of five pods.
    pub(super) fn with_workload(mut self, scale_down: &str) -> Self {
        let template = self.observed.rollout.spec.template.clone().expect("a template");
        let selector = json!({"matchLabels": {"app": "web"}});
        let workload = Workload { template, selector, generation: 1, replicas: Some(5) };
        self.observed.workload = Some(Found::Present(workload));
        let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": scale_down});
        self.spec(&json!({"template": null, "workloadRef": reference}))
    }

    /// Changes the Deployment.
    fn change_workload(&mut self, change: impl FnOnce(&mut Workload)) {
        let Some(Found::Present(workload)) = &mut self.observed.workload else { panic!("there is no Deployment") };
        change(workload);
        workload.generation += 1;
    }

    /// Scales the Deployment, as a person does.
    pub(super) fn set_deployment(&mut self, replicas: i32) {
        self.change_workload(|workload| workload.replicas = Some(replicas));
    }

    /// Gives the Deployment's template another image.
    pub(super) fn set_workload_image(&mut self, tag: &str) {
        let image = format!("web:{tag}");
        self.change_workload(|workload| workload.template["spec"]["containers"][0]["image"] = json!(image));
    }

    /// Pods that the Deployment asks for.
    pub(super) fn deployment(&self) -> i32 {
        let found = self.observed.workload.as_ref().and_then(|found| found.present());
        found.and_then(|workload| workload.replicas).expect("a Deployment")
    }

    /// Merges into `spec`.
    pub(super) fn spec(mut self, patch: &Value) -> Self {
        self.set_spec(patch);
        self
    }

    /// Merges into `spec.strategy.canary`.
    pub(super) fn canary(self, patch: &Value) -> Self {
        self.spec(&json!({"strategy": {"canary": patch}}))
    }

    /// Replaces the steps.
    pub(super) fn steps(self, steps: &Value) -> Self {
        self.canary(&json!({"steps": steps}))
    }

    /// Merges into `spec`, as a user does.
    pub(super) fn set_spec(&mut self, patch: &Value) {
        self.patch(&json!({"spec": patch}));
        let metadata = &mut Arc::make_mut(&mut self.observed.rollout).metadata;
        metadata.generation = metadata.generation.map(|generation| generation + 1);
    }

    /// Gives the template another image.
    pub(super) fn set_image(&mut self, tag: &str) {
        let template = self.observed.rollout.spec.template.clone().unwrap_or_default();
        let mut container = template["spec"]["containers"][0].clone();
        container["image"] = json!(format!("web:{tag}"));
        self.set_spec(&json!({"template": {"spec": {"containers": [container]}}}));
    }

    /// Merges into `status`, as a client does.
    pub(super) fn set_status(&mut self, patch: &Value) {
        self.patch(&json!({"status": patch}));
    }

    /// Sets an annotation of the Rollout.
    pub(super) fn annotate(&mut self, key: &str, value: &str) {
        self.patch(&json!({"metadata": {"annotations": {key: value}}}));
    }

    pub(super) fn patch(&mut self, patch: &Value) {
        let mut rollout = serde_json::to_value(&*self.observed.rollout).expect("JSON");
        json_patch::merge(&mut rollout, patch);
        self.observed.rollout = Arc::new(serde_json::from_value(rollout).expect("a Rollout"));
    }

    /// Gives an AnalysisRun a phase and a message.
    pub(super) fn report(&mut self, run: &str, phase: &str, message: &str) {
        let found = self.observed.analysis_runs.iter_mut().find(|r| r.metadata.name.as_deref() == Some(run));
        let found = found.unwrap_or_else(|| panic!("there is no run {run}"));
        let status = json!({"phase": phase, "message": message});
        Arc::make_mut(found).status = Some(serde_json::from_value(status).expect("a status"));
    }

    /// Names of the AnalysisRuns that were not asked to end.
    pub(super) fn runs(&self) -> Vec<&str> {
        let runs = self.observed.analysis_runs.iter().filter(|run| !run.spec.terminate);
        runs.filter_map(|run| run.metadata.name.as_deref()).collect()
    }

    /// Decides once and lets all of it come true, one second later.
    #[track_caller]
    pub(super) fn turn(&mut self) -> Plan {
        self.turn_with(usize::MAX)
    }

    /// A turn in which no more than some effects come true: the controller crashed.
    #[track_caller]
    pub(super) fn turn_with(&mut self, effects_max: usize) -> Plan {
        if self.observed.control_plane.reconnected_at().is_some_and(|until| until <= self.observed.now) {
            self.observed.control_plane = ControlPlane::Listening;
            self.lag.cut_off = None;
        }
        let mut plan = decide(&self.observed);
        self.observed.now += TimeDelta::seconds(1);
        if let Some(status) = &plan.status {
            // Over the wire, so that what does not survive there shows.
            let wire = serde_json::to_value(status).expect("JSON");
            let status: RolloutStatus = serde_json::from_value(wire).expect("a status");
            Arc::make_mut(&mut self.observed.rollout).status = Some(status);
        }
        for planned in plan.effects.iter().take(effects_max) {
            self.bring_about(&planned.effect);
        }
        let of_effects = plan.effects.iter().take(effects_max).filter_map(|planned| planned.event.as_ref());
        self.told.extend(Event::in_order(&plan.events, of_effects).into_iter().map(words));
        let (has_changed, wake) = self.turn_experiments(effects_max);
        self.is_busy = has_changed;
        plan.wake = Wake::earlier(plan.wake.take(), wake);
        self.lag.see(&self.observed);
        plan
    }

    /// Turns until nothing changes any more, and takes what only waits for the mesh with it.
    #[track_caller]
    pub(super) fn settle(&mut self) -> Plan {
        for _ in 0..TURNS_MAX {
            let plan = self.turn();
            let soon = self.observed.now + self.observed.settings.propagation + TimeDelta::seconds(2);
            let is_quiet = plan.status.is_none() && plan.effects.is_empty() && plan.events.is_empty() && !self.is_busy;
            if is_quiet && plan.wake.as_ref().is_none_or(|wake| wake.at > soon) {
                return plan;
            }
        }
        panic!("it does not come to rest: {:#?}", decide(&self.observed));
    }

    /// Lets time pass, and looks whenever a plan asked for that.
    #[track_caller]
    pub(super) fn wait(&mut self, seconds: i64) {
        let until = self.observed.now + TimeDelta::seconds(seconds);
        loop {
            match self.settle().wake {
                Some(wake) if wake.at <= until => self.observed.now = self.observed.now.max(wake.at),
                Some(_) | None => break,
            }
        }
        self.observed.now = self.observed.now.max(until);
        self.settle();
    }

    /// No istiod is there any more. Where proxies had not yet found the one before, they still know what they knew then.
    pub(super) fn lose_istiod(&mut self) {
        let known = match self.observed.control_plane {
            ControlPlane::Away { known } | ControlPlane::Reconnecting { known, .. } => known,
            ControlPlane::Unknown | ControlPlane::Listening => self.observed.now,
        };
        self.lag.cut_off = Some(known);
        self.observed.control_plane = ControlPlane::Away { known };
    }

    /// One is there again, and proxies take half a minute to find it.
    pub(super) fn regain_istiod(&mut self) {
        if let ControlPlane::Away { known } = self.observed.control_plane {
            let until = self.observed.now + self.observed.settings.reconnect;
            self.observed.control_plane = ControlPlane::Reconnecting { known, until };
        }
    }

    /// A first deployment that is complete.
    #[track_caller]
    pub(super) fn deployed(mut self) -> Self {
        self.settle();
        assert_eq!(self.status().phase.as_deref(), Some("Healthy"), "{}", self.line());
        self
    }

    /// The status as last written.
    pub(super) fn status(&self) -> RolloutStatus {
        self.observed.rollout.status.clone().unwrap_or_default()
    }

    /// `spec.restartAt`.
    pub(super) fn restart_at(&self) -> Option<DateTime<Utc>> {
        self.observed.rollout.spec.restart_at.map(|time| time.0)
    }

    /// What clients see, in one line.
    pub(super) fn line(&self) -> String {
        let status = self.status();
        let mut line = status.phase.clone().unwrap_or_default();
        if let Some(message) = &status.message {
            line += &format!(" ({message})");
        }
        if let Some(step) = status.current_step_index {
            line += &format!(", step {step}");
        }
        if let Some(raw) = self.observed.services.get("web-active").and_then(|found| found.present()) {
            let hash = crate::istio::service::selector_hash(&raw.object);
            let serving = self.observed.replica_sets.iter().find(|rs| Some(rs.hash.as_str()) == hash);
            line += &format!(", {} active", serving.map_or("nobody", |rs| image(&rs.template)));
        }
        if !self.observed.virtual_services.is_empty() {
            line += &format!(", {} %", self.weight());
        }
        let mut pods: BTreeMap<String, usize> = BTreeMap::new();
        for pod in &self.observed.pods {
            *pods.entry(self.image_of(pod)).or_default() += 1;
        }
        for (image, count) in pods {
            line += &format!(", {count} {image}");
        }
        line
    }

    #[track_caller]
    pub(super) fn expect(&self, line: &str) {
        assert_eq!(self.line(), line);
    }

    /// Canary weight of the first VirtualService.
    pub(super) fn weight(&self) -> i64 {
        let split = self.http().iter().find(|route| route["route"][1].is_object());
        split.expect("a split")["route"][1]["weight"].as_i64().expect("a weight")
    }

    /// HTTP routes of the first VirtualService.
    pub(super) fn http(&self) -> &[Value] {
        let (_, found) = self.observed.virtual_services.first_key_value().expect("a VirtualService");
        found.present().expect("present").object["spec"]["http"].as_array().expect("routes")
    }

    /// The hash that an image gets after one decision.
    pub(super) fn turned_to(mut self, tag: &str) -> String {
        self.turn();
        self.rs(tag).hash.clone()
    }

    /// The ReplicaSet of an image.
    pub(super) fn rs(&self, tag: &str) -> &ReplicaSet {
        let found = self.observed.replica_sets.iter().find(|rs| image(&rs.template) == tag);
        found.unwrap_or_else(|| panic!("there is no ReplicaSet of {tag}"))
    }

    pub(super) fn rs_mut(&mut self, tag: &str) -> &mut ReplicaSet {
        self.observed.replica_sets.iter_mut().find(|rs| image(&rs.template) == tag).expect("a ReplicaSet")
    }

    fn image_of(&self, pod: &Pod) -> String {
        let rs = self.observed.replica_sets.iter().find(|rs| rs.name == pod.replica_set);
        rs.map(|rs| image(&rs.template).to_owned()).unwrap_or_default()
    }

    /// Hash that a subset is restricted to.
    pub(super) fn subset(&self, name: &str) -> Option<&str> {
        let rule = self.observed.destination_rule.as_ref()?.present()?;
        crate::istio::destination_rule::subset_hash(&rule.object, name)
    }

    /// Hash that a Service is restricted to.
    pub(super) fn service(&self, name: &str) -> Option<&str> {
        crate::istio::service::selector_hash(&self.observed.services[name].present()?.object)
    }

    pub(super) fn condition(&self, kind: &str) -> String {
        let status = self.status();
        let found = status.conditions.iter().find(|c| c.kind == kind);
        found.map_or("absent".to_owned(), |c| format!("{} {}: {}", c.status, c.reason, c.message))
    }

    /// Makes all pods of an image ready or not.
    pub(super) fn break_image(&mut self, tag: &str, broken: bool) {
        if broken {
            self.broken.insert(tag.to_owned())
        } else {
            self.broken.remove(tag)
        };
        self.let_live();
    }

    /// Lets no more than some pods of an image be ready.
    pub(super) fn keep_ready(&mut self, tag: &str, ready_max: i32) {
        self.ready_max.insert(tag.to_owned(), usize::try_from(ready_max).expect("not negative"));
        self.let_live();
    }

    /// No longer looks whether somebody serves every side; for stories in which everything is broken.
    pub(super) fn ignoring_outages(mut self) -> Self {
        self.lag.ignored = true;
        self
    }
}

fn destination(host: &str, subset: Option<&str>, weight: i32) -> Value {
    json!({"destination": {"host": host, "subset": subset}, "weight": weight})
}

pub(super) fn key(name: &str) -> VirtualServiceKey {
    VirtualServiceKey { namespace: "shop".to_owned(), name: name.to_owned() }
}

/// The tag of a template's image.
pub(super) fn image(template: &Value) -> &str {
    template["spec"]["containers"][0]["image"].as_str().and_then(|image| image.split(':').nth(1)).unwrap_or_default()
}

pub(super) fn words(event: &Event) -> String {
    format!("{}: {}", event.reason, event.message)
}
