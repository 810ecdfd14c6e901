//! The manifests that the suites roll out, as YAML files with a few changes.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cluster::{text, yaml};

/// Objects that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Manifests(pub(crate) Vec<Value>);

/// Bookinfo's `reviews`: a Deployment that the Rollout refers to, and subsets chosen by labels of the two roles.
const REVIEWS: &str = include_str!("../../fixtures/reviews.yaml");

/// A Rollout with a pod template of its own, and subsets told apart by the pod hash.
const SHOP: &str = include_str!("../../fixtures/shop.yaml");

/// Two metrics from Prometheus: success rate and p99 of one side.
const SIGNALS: &str = include_str!("../../fixtures/signals.yaml");

/// A blue-green Rollout with its two Services, and a route on which Envoy tries nothing twice.
const CART: &str = include_str!("../../fixtures/methods/blue-green.yaml");

/// What `shop` has instead for header and mirror routes.
const ROUTES: &str = include_str!("../../fixtures/methods/routes.yaml");

/// What `shop` has instead for an experiment with a share of the traffic.
const EXPERIMENT: &str = include_str!("../../fixtures/methods/experiment.yaml");

impl Manifests {
    /// Bookinfo's `reviews`: Service, Deployment, Rollout, VirtualService, DestinationRule, all named `reviews`.
    /// Steps 10, 20, 40, 60, 80 with short pauses; role labels as subset labels; no analysis.
    pub(crate) fn reviews() -> Result<Self> {
        Ok(Manifests(yaml(REVIEWS)?))
    }

    /// `shop`: Service, Rollout, VirtualService, DestinationRule; hash labels; no analysis.
    pub(crate) fn shop() -> Result<Self> {
        Ok(Manifests(yaml(SHOP)?))
    }

    /// `cart`: Services `cart` and `cart-preview`, Rollout, VirtualService; a blue-green update that waits for a person.
    pub(crate) fn cart() -> Result<Self> {
        Ok(Manifests(yaml(CART)?))
    }

    /// `shop` with a canary that testers reach by a header first, and that gets copies of the requests then.
    pub(crate) fn routes() -> Result<Self> {
        Self::shop_with(ROUTES)
    }

    /// `shop` with an experiment at 20 %, whose two sets of pods get 10 % each.
    pub(crate) fn experiment() -> Result<Self> {
        Self::shop_with(EXPERIMENT)
    }

    /// `shop`, its Rollout merged with this text, and nothing tried twice by Envoy.
    fn shop_with(text: &str) -> Result<Self> {
        let mut manifests = Self::shop()?.untried()?;
        let patch: Value = serde_saphyr::from_str(text)?;
        let rollout = manifests.0.iter_mut().find(|object| object["kind"] == "Rollout").context("no Rollout")?;
        merge(rollout, &patch);
        Ok(manifests)
    }

    /// Envoy tries nothing twice, so that whatever goes wrong is seen.
    pub(crate) fn untried(self) -> Result<Self> {
        self.set("VirtualService", "/spec/http/0/retries", json!({"attempts": 0}))
    }

    /// AnalysisTemplate `signals` with arguments `host`, `subset`.
    pub(crate) fn signals() -> Result<Self> {
        Ok(Manifests(yaml(SIGNALS)?))
    }

    /// Both together.
    pub(crate) fn and(mut self, others: Manifests) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The name of the Rollout.
    pub(crate) fn rollout(&self) -> &str {
        self.0.iter().find(|object| object["kind"] == "Rollout").map_or("", |rollout| text(rollout, "/metadata/name"))
    }

    /// Replaces what is at a JSON pointer of the object of that kind; the parent must exist.
    pub(crate) fn set(mut self, kind: &str, pointer: &str, value: Value) -> Result<Self> {
        let object = self.0.iter_mut().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"))?;
        let (parent, key) = pointer.rsplit_once('/').context("a pointer begins with a slash")?;
        let parent = object.pointer_mut(parent).with_context(|| format!("{kind} has no {parent}"))?;
        match parent.as_array_mut() {
            Some(items) => items[key.parse::<usize>()?] = value,
            None => parent[key] = value,
        }
        Ok(self)
    }

    /// Sets environment variables of the workload: its version, and how it behaves.
    pub(crate) fn env(mut self, variables: &[(&str, &str)]) -> Result<Self> {
        let containers = self.0.iter_mut().filter_map(|object| object.pointer_mut("/spec/template/spec/containers/0"));
        let mut found = 0;
        for container in containers {
            found += 1;
            let env = variables.iter().map(|(name, value)| json!({"name": name, "value": value}));
            container["env"] = env.collect();
        }
        ensure!(found > 0, "no pod template");
        Ok(self)
    }

    /// The version alone.
    pub(crate) fn version(self, version: &str) -> Result<Self> {
        self.env(&[("VERSION", version)])
    }

    /// Only Rollouts with this label are served by the release of that instance.
    pub(crate) fn instance(mut self, instance: &str) -> Self {
        for object in self.0.iter_mut().filter(|object| object["kind"] == "Rollout") {
            object["metadata"]["labels"]["argo-rollouts.argoproj.io/controller-instance-id"] = instance.into();
        }
        self
    }

    /// The steps of the canary.
    pub(crate) fn steps(self, steps: Value) -> Result<Self> {
        self.set("Rollout", "/spec/strategy/canary/steps", steps)
    }

    /// The number of pods.
    pub(crate) fn replicas(self, count: u32) -> Result<Self> {
        self.set("Rollout", "/spec/replicas", count.into())
    }

    /// A background analysis of the canary by `signals` from the step with that index on.
    pub(crate) fn analysed(self, host: &str, starting_step: u32) -> Result<Self> {
        let args = json!([{"name": "host", "value": host}, {"name": "subset", "value": "canary"}]);
        let analysis = json!({"templates": [{"templateName": "signals"}], "startingStep": starting_step, "args": args});
        Ok(self.set("Rollout", "/spec/strategy/canary/analysis", analysis)?.and(Manifests::signals()?))
    }

    /// Lets an analysis of latency pass whatever else the machine has to do, where latency is not what is tested.
    pub(crate) fn patient(self) -> Result<Self> {
        self.set("AnalysisTemplate", "/spec/metrics/1/successCondition", "result[0] <= 60000".into())
    }
}

/// Lays a patch over an object: maps are merged, everything else is replaced.
fn merge(object: &mut Value, patch: &Value) {
    if let (Some(own), Some(patch)) = (object.as_object_mut(), patch.as_object()) {
        for (key, value) in patch {
            merge(own.entry(key).or_insert(Value::Null), value);
        }
    } else {
        *object = patch.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixtures_of_methods_can_be_read() {
        let strategy = |manifests: Manifests| {
            let rollout = manifests.0.into_iter().find(|object| object["kind"] == "Rollout").expect("a Rollout");
            rollout["spec"]["strategy"].clone()
        };
        assert_eq!(strategy(Manifests::cart().expect("cart"))["blueGreen"]["autoPromotionEnabled"], false);
        for (manifests, step) in [(Manifests::routes(), "setHeaderRoute"), (Manifests::experiment(), "experiment")] {
            let strategy = strategy(manifests.expect(step));
            assert!(strategy["canary"]["steps"][1][step].is_object(), "{strategy:#}");
            let istio = &strategy["canary"]["trafficRouting"]["istio"];
            assert_eq!(istio["destinationRule"]["canarySubsetName"], "canary", "what shop says stays");
        }
    }
}
