//! A world with one of the test manifests in it, and what the tests ask of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_sim::cluster::{
    Cluster, DEPLOYMENTS, DESTINATION_RULES, POD_TEMPLATES, REPLICA_SETS, ROLLOUTS, Resource, VIRTUAL_SERVICES,
};
use serin_sim::image::{SetImage, set_image};
use serin_sim::manifests::{Manifest, load};
use serin_sim::simulate::{Conduct, behave};
use serin_sim::stage;
use serin_sim::timeline::{Entry, Timeline, What};
use serin_sim::{World, WorldConfig};

/// The manifests of `tests/manifests/NAME.yaml`.
pub(crate) fn manifests(name: &str) -> Vec<Manifest> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(format!("{name}.yaml"));
    load(&[file]).unwrap_or_else(|errors| panic!("{name}.yaml: {errors:?}"))
}

/// The first object of a kind among manifests, to be edited before it is applied.
pub(crate) fn object_mut<'m>(manifests: &'m mut [Manifest], kind: &str) -> &'m mut Value {
    let found = manifests.iter_mut().find(|manifest| manifest.object["kind"] == kind);
    &mut found.unwrap_or_else(|| panic!("a {kind} among the manifests")).object
}

/// A manifest out of an object.
pub(crate) fn manifest(object: Value) -> Manifest {
    Manifest { file: PathBuf::from("test.yaml"), document: 1, object }
}

/// Runs a test's story; nothing in it waits for real time.
pub(crate) fn tell<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without timers");
    runtime.block_on(story)
}

/// A world and the Rollout that its story is about.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) entries: Vec<Entry>,
    timeline: Timeline,
}

impl Bench {
    /// A world in which the manifests were applied and nothing has happened yet.
    pub(crate) fn set(manifests: &[Manifest], config: WorldConfig) -> Self {
        let timeline = Timeline::default();
        let world = World::new(config, Some(Arc::new(timeline.clone())));
        stage::set(&world, manifests, None).unwrap_or_else(|error| panic!("{error}"));
        let rollouts = world.cluster().list(&ROLLOUTS, None);
        let text = |field: &str| rollouts[0]["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        Bench { world, namespace, name, entries: Vec::new(), timeline }
    }

    /// A world in which the first deployment is complete, and clients call.
    pub(crate) async fn up(manifests: &[Manifest], config: WorldConfig) -> Self {
        let mut bench = Self::set(manifests, config);
        let is_up = stage::bring_up(&mut bench.world, manifests).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(is_up, "the first deployment never became Healthy: {:#}", bench.rollout()["status"]);
        bench.entries.extend(bench.timeline.take());
        bench
    }

    /// As [`Bench::up`], of the manifests of a file.
    pub(crate) async fn of(file: &str) -> Self {
        Self::up(&manifests(file), WorldConfig::default()).await
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        self.world.cluster()
    }

    /// Lets clients call once every proxy knows the first pods.
    pub(crate) async fn open_streams(&mut self) {
        self.pass(5).await;
        stage::open_streams(&mut self.world);
    }

    /// An object of the Rollout's namespace.
    pub(crate) fn get(&self, resource: &Resource, name: &str) -> Arc<Value> {
        self.cluster().get(resource, &self.namespace, name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn rollout(&self) -> Arc<Value> {
        self.get(&ROLLOUTS, &self.name)
    }

    pub(crate) fn status(&self, pointer: &str) -> Value {
        self.rollout()["status"].pointer(pointer).cloned().unwrap_or_default()
    }

    pub(crate) fn phase(&self) -> String {
        self.status("/phase").as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.status("/message").as_str().unwrap_or_default().to_owned()
    }

    /// A condition of the Rollout as `status reason`.
    pub(crate) fn condition(&self, kind: &str) -> String {
        let conditions = self.status("/conditions");
        let found = conditions.as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
        found.map_or_else(String::new, |c| {
            format!("{} {}", c["status"].as_str().unwrap_or("?"), c["reason"].as_str().unwrap_or("?"))
        })
    }

    /// The canary's weight on the first route of the VirtualService that has the Rollout's name.
    pub(crate) fn weight(&self) -> i64 {
        let vs = self.get(&VIRTUAL_SERVICES, &self.name);
        weights(&vs).first().and_then(|route| route.get(1)).copied().unwrap_or(-1)
    }

    /// The hash to which a subset of the DestinationRule is restricted.
    pub(crate) fn subset_hash(&self, subset: &str) -> String {
        let rule = self.get(&DESTINATION_RULES, &self.name);
        let subsets = rule["spec"]["subsets"].as_array().cloned().unwrap_or_default();
        let found = subsets.iter().find(|s| s["name"] == subset);
        let hash = found.and_then(|s| s["labels"]["rollouts-pod-template-hash"].as_str());
        hash.unwrap_or_default().to_owned()
    }

    /// Sets the image of the Rollout or its Deployment to that of a version, such as `v2`.
    pub(crate) fn deploy(&mut self, version: &str) {
        let image = format!("registry.example/{}:{version}", self.name);
        let change = SetImage { workload: self.name.clone(), container: None, image };
        set_image(self.cluster(), &change).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Makes a version behave in some way.
    pub(crate) fn behave(&mut self, version: &str, conduct: Conduct) {
        let image = format!("registry.example/{}:{version}", self.name);
        behave(&mut self.world, conduct, &image);
    }

    /// Lays a merge patch over the Rollout, as a client would.
    pub(crate) fn patch(&mut self, patch: &Value) {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        self.cluster().patch_merge(&ROLLOUTS, &namespace, &name, patch).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Sets an annotation of the Rollout.
    pub(crate) fn annotate(&mut self, key: &str, value: &str) {
        self.patch(&json!({"metadata": {"annotations": {key: value}}}));
    }

    /// Lets everything happen that is due.
    pub(crate) async fn settle(&mut self) {
        self.world.settle().await.unwrap_or_else(|error| panic!("{error}"));
        self.entries.extend(self.timeline.take());
    }

    /// Lets time pass.
    pub(crate) async fn pass(&mut self, seconds: i64) {
        let until = self.world.now() + TimeDelta::seconds(seconds);
        self.world.run_until(until, |_| false).await.unwrap_or_else(|error| panic!("{error}"));
        self.entries.extend(self.timeline.take());
    }

    /// Lets time pass until something is true, at most an hour.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, done: impl Fn(&Bench) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let horizon = self.world.now() + TimeDelta::hours(1);
            loop {
                self.world.settle().await.unwrap_or_else(|error| panic!("{error}"));
                self.entries.extend(self.timeline.take());
                if done(self) {
                    return;
                }
                let due = self.world.next_due().filter(|due| *due < horizon);
                let Some(due) = due else {
                    panic!("{caller}: {what} never came; status: {:#}\n{}", self.rollout()["status"], self.told());
                };
                self.world.move_to(due.max(self.world.now() + TimeDelta::milliseconds(1)));
            }
        }
    }

    /// Lets time pass until the controller has seen the spec and shows a phase.
    #[track_caller]
    pub(crate) fn phase_is(&mut self, phase: &'static str) -> impl Future<Output = ()> {
        self.wait(phase, move |bench| bench.is_observed() && bench.phase() == phase)
    }

    /// Lets time pass until the update stands in a step, counting from 0 as the status does.
    #[track_caller]
    pub(crate) fn step_is(&mut self, step: i64) -> impl Future<Output = ()> {
        self.wait("the step", move |bench| bench.is_observed() && bench.status("/currentStepIndex") == step)
    }

    /// Lets time pass until what is asked for is stable, Healthy and without loose ends.
    #[track_caller]
    pub(crate) fn healthy(&mut self) -> impl Future<Output = ()> {
        self.wait("Healthy", |bench| {
            bench.is_observed()
                && bench.phase() == "Healthy"
                && bench.status("/stableRS") == bench.status("/currentPodHash")
        })
    }

    /// Whether the controller has seen the spec and, if there is one, the workload that it refers to.
    pub(crate) fn is_observed(&self) -> bool {
        let rollout = self.rollout();
        let seen = |object: &Value, field: &str| {
            rollout["status"][field].as_str()
                == object["metadata"]["generation"].as_i64().map(|g| g.to_string()).as_deref()
        };
        let reference = &rollout["spec"]["workloadRef"];
        let kind = match reference["kind"].as_str() {
            Some("ReplicaSet") => &REPLICA_SETS,
            Some("PodTemplate") => &POD_TEMPLATES,
            Some(_) | None => &DEPLOYMENTS,
        };
        seen(&rollout, "observedGeneration")
            && reference["name"].as_str().is_none_or(|name| {
                let workload = self.cluster().get(kind, &self.namespace, name);
                workload.is_ok_and(|workload| seen(&workload, "workloadObservedGeneration"))
            })
    }

    /// Fails if any request never reached a pod.
    #[track_caller]
    pub(crate) fn assert_all_routed(&self, case: &str) {
        let served = self.world.served();
        assert!(served.requests > 0, "{case}: nobody called, so nothing was tested");
        assert_eq!(served.failed_by_routing, 0, "{case}: {:?}\n{}", served, self.told());
    }

    /// How many events of a reason were told so far.
    pub(crate) fn events(&self, wanted: &str) -> usize {
        let is_it = |entry: &&Entry| matches!(&entry.what, What::Event { reason, .. } if reason == wanted);
        self.entries.iter().filter(is_it).count()
    }

    /// Everything told so far, for people.
    pub(crate) fn told(&self) -> String {
        let start: Option<DateTime<Utc>> = self.entries.first().map(|entry| entry.at);
        let line = |entry: &Entry| format!("{:>8.1} {:?}", since(start, entry.at), entry.what);
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The wanted weights that entries tell of, in their order.
pub(crate) fn weights_wanted(entries: &[Entry]) -> Vec<i32> {
    let mut all: Vec<i32> = Vec::new();
    for entry in entries {
        if let What::Weight { desired, .. } = entry.what
            && all.last() != Some(&desired)
        {
            all.push(desired);
        }
    }
    all
}

/// Seconds between two moments.
pub(crate) fn since(start: Option<DateTime<Utc>>, at: DateTime<Utc>) -> f64 {
    start.map_or(0.0, |start| (at - start).num_milliseconds() as f64 / 1000.0)
}

/// The weights of every route of a VirtualService that has more than one destination.
pub(crate) fn weights(vs: &Value) -> Vec<Vec<i64>> {
    let routes =
        ["http", "tls", "tcp"].into_iter().flat_map(|protocol| vs["spec"][protocol].as_array().into_iter().flatten());
    routes
        .filter_map(|route| route["route"].as_array())
        .filter(|destinations| destinations.len() > 1)
        .map(|destinations| destinations.iter().map(|d| d["weight"].as_i64().unwrap_or(0)).collect())
        .collect()
}
