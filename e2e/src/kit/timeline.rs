//! A record of what happened in a namespace: every change of rollouts, routes, pods and events, with its time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use kube::api::{DynamicObject, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::cluster::text;
use super::place::Place;
use super::rollout::{ARGO, ISTIO, weights};

/// The kinds that are watched.
const KINDS: [(&str, &str); 6] = [
    (ARGO, "Rollout"),
    (ARGO, "AnalysisRun"),
    (ISTIO, "VirtualService"),
    (ISTIO, "DestinationRule"),
    ("v1", "Pod"),
    ("v1", "Event"),
];

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: DateTime<Utc>,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) what: String,
    /// The object after the change; null after a deletion.
    pub(crate) object: Value,
}

/// A record that goes on until it is dropped.
#[derive(Clone)]
pub(crate) struct Timeline {
    entries: Arc<Mutex<Vec<Entry>>>,
    _watches: Arc<Watches>,
}

struct Watches(Vec<JoinHandle<()>>);

impl Drop for Watches {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Timeline {
    /// Begins to watch a namespace.
    pub(crate) async fn begin(place: &Place) -> Result<Self> {
        let entries: Arc<Mutex<Vec<Entry>>> = Arc::default();
        let mut watches = Vec::new();
        for (version, kind) in KINDS {
            // Before Serin's definitions are there, there is nothing of that kind to see.
            let Ok(api) = place.cluster.api(version, kind, &place.namespace).await else { continue };
            let entries = entries.clone();
            watches.push(tokio::spawn(async move {
                let mut last: BTreeMap<String, String> = BTreeMap::new();
                loop {
                    let from = match api.list(&kube::api::ListParams::default().limit(1)).await {
                        Ok(list) => list.metadata.resource_version.unwrap_or_default(),
                        Err(_) => String::from("0"),
                    };
                    if let Ok(events) = api.watch(&WatchParams::default(), &from).await {
                        let mut events = std::pin::pin!(events);
                        while let Ok(Some(event)) = events.try_next().await {
                            note(&entries, &mut last, kind, event);
                        }
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }));
        }
        Ok(Timeline { entries, _watches: Arc::new(Watches(watches)) })
    }

    /// All entries so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().expect("nobody panics with it").clone()
    }

    /// The canary's weights that the VirtualService had, each with the time at which it was first seen; repeats left out.
    pub(crate) fn weights(&self) -> Vec<(DateTime<Utc>, i64)> {
        let mut all: Vec<(DateTime<Utc>, i64)> = Vec::new();
        for entry in self.entries().iter().filter(|entry| entry.kind == "VirtualService" && !entry.object.is_null()) {
            let (_, canary) = weights(&entry.object);
            if all.last().is_none_or(|(_, last)| *last != canary) {
                all.push((entry.at, canary));
            }
        }
        all
    }

    /// Checks that from the weight with that index on, the canary's weights were `up` and then only fell, to 0 at last: at
    /// once, or in turns where the pods of the canary become stable in turns.
    pub(crate) fn went(&self, from: usize, up: &[i64]) -> Result<()> {
        let weights: Vec<i64> = self.weights().into_iter().skip(from).map(|(_, weight)| weight).collect();
        let (rising, falling) = weights.split_at(up.len().min(weights.len()));
        ensure!(rising == up && falling.is_sorted_by(|a, b| a > b), "the canary's weights were {weights:?}");
        ensure!(falling.last() == Some(&0), "the canary's weights were {weights:?}");
        Ok(())
    }

    /// The record as text, a line for each entry.
    pub(crate) fn text(&self) -> String {
        let lines = self.entries().into_iter().map(|entry| {
            format!("{} {:<15} {:<40} {}\n", entry.at.format("%H:%M:%S%.3f"), entry.kind, entry.name, entry.what)
        });
        lines.collect()
    }
}

fn note(
    entries: &Mutex<Vec<Entry>>,
    last: &mut BTreeMap<String, String>,
    kind: &'static str,
    event: WatchEvent<DynamicObject>,
) {
    let (object, gone) = match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
        WatchEvent::Deleted(object) => (object, true),
        WatchEvent::Bookmark(_) | WatchEvent::Error(_) => return,
    };
    let name = object.metadata.name.clone().unwrap_or_default();
    let object = serde_json::to_value(object).unwrap_or_default();
    let what = if gone { "deleted".to_owned() } else { brief(kind, &object) };
    if last.insert(name.clone(), what.clone()).is_none_or(|before| before != what) {
        let object = if gone { Value::Null } else { object };
        entries.lock().expect("nobody panics with it").push(Entry { at: Utc::now(), kind, name, what, object });
    }
}

/// What matters of an object, in a line. Two states with the same line are not told apart.
fn brief(kind: &str, object: &Value) -> String {
    match kind {
        "Rollout" => {
            let status = &object["status"];
            let get = |key: &str| status[key].to_string();
            format!(
                "{} step {} current {} stable {} abort {} pods {}/{} weights {} “{}” holds {}",
                text(status, "/phase"),
                get("currentStepIndex"),
                text(status, "/currentPodHash"),
                text(status, "/stableRS"),
                get("abort"),
                get("availableReplicas"),
                get("replicas"),
                status.pointer("/canary/weights/canary/weight").unwrap_or(&Value::Null),
                text(status, "/message"),
                status.pointer("/serin/holds").unwrap_or(&Value::Null),
            )
        }
        "AnalysisRun" => {
            let status = &object["status"];
            format!("{} “{}” {}", text(status, "/phase"), text(status, "/message"), status["metricResults"])
        }
        "VirtualService" => {
            let (stable, canary) = weights(object);
            format!("stable {stable} canary {canary}")
        }
        "DestinationRule" => object.pointer("/spec/subsets").unwrap_or(&Value::Null).to_string(),
        "Pod" => {
            let conditions =
                object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            let ready = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True");
            let leaving = if object.pointer("/metadata/deletionTimestamp").is_some() { " leaving" } else { "" };
            let ready = if ready { "ready" } else { "not ready" };
            format!("{} {ready}{leaving} {}", text(object, "/status/phase"), object["metadata"]["labels"])
        }
        _ => format!(
            "{} {} “{}”",
            text(object, "/involvedObject/name"),
            text(object, "/reason"),
            text(object, "/message")
        ),
    }
}
