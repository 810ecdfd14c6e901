//! What belongs to others in VirtualServices and DestinationRules, and whether it is as they wrote it.

use serde_json::{Value, json};
use serin_api::labels::{EXPERIMENT_SERVICES, MANAGED_BY_ROLLOUTS, MANAGED_ROUTES, POD_TEMPLATE_HASH};
use serin_sim::cluster::{DESTINATION_RULES, VIRTUAL_SERVICES};

use super::stages::MANAGED;
use crate::bench::Bench;

/// The objects as their authors wrote them, without weights and hashes.
#[derive(Debug)]
pub(super) struct Foreign(Vec<Value>);

impl Foreign {
    pub(super) fn of(bench: &Bench) -> Self {
        Foreign(present(bench))
    }

    /// Nothing was taken away or changed; managed routes and the share of experiments may be there besides.
    #[track_caller]
    pub(super) fn check(&self, bench: &Bench) {
        let mut now = present(bench);
        for (object, before) in now.iter_mut().zip(&self.0) {
            leave_out(object, before);
        }
        assert_eq!(now, self.0, "somebody else's fields changed");
    }

    /// As [`Foreign::check`], and nothing is there besides.
    #[track_caller]
    pub(super) fn check_alone(&self, bench: &Bench) {
        assert_eq!(present(bench), self.0, "something was left behind");
    }
}

/// Labels, annotations and spec of all objects, without what every update writes.
fn present(bench: &Bench) -> Vec<Value> {
    let kinds = [&VIRTUAL_SERVICES, &DESTINATION_RULES].into_iter();
    let all = kinds.flat_map(|kind| bench.cluster().list(kind, Some(&bench.namespace)));
    all.map(|object| {
        let mut spec = object["spec"].clone();
        for protocol in ["http", "tcp"] {
            for route in spec[protocol].as_array_mut().into_iter().flatten() {
                for destination in route["route"].as_array_mut().into_iter().flatten() {
                    destination["weight"] = Value::Null;
                }
            }
        }
        for subset in spec["subsets"].as_array_mut().into_iter().flatten() {
            if let Some(labels) = subset["labels"].as_object_mut() {
                labels.remove(POD_TEMPLATE_HASH);
            }
        }
        let mut annotations = object["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.remove(MANAGED_BY_ROLLOUTS);
        json!({"spec": spec, "annotations": annotations, "labels": object["metadata"]["labels"]})
    })
    .collect()
}

/// Takes out what an update may have added.
fn leave_out(object: &mut Value, before: &Value) {
    if let Some(annotations) = object["annotations"].as_object_mut() {
        annotations.retain(|key, _| key != MANAGED_ROUTES && key != EXPERIMENT_SERVICES);
    }
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let subsets = list(&before["spec"], "subsets");
    if let Some(all) = object["spec"]["subsets"].as_array_mut() {
        all.retain(|subset| subsets.iter().any(|known| known["name"] == subset["name"]));
    }
    let known: Vec<Value> = list(&before["spec"], "http").iter().flat_map(|route| list(route, "route")).collect();
    if let Some(routes) = object["spec"]["http"].as_array_mut() {
        routes.retain(|route| !MANAGED.iter().any(|name| route["name"] == *name));
        for route in routes {
            if let Some(all) = route["route"].as_array_mut() {
                all.retain(|destination| known.contains(destination));
            }
        }
    }
}
