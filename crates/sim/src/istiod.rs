//! Istio's control plane as the cluster shows it: the EndpointSlice of istiod's Service.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_controller::ObjectName;

use crate::cluster::Cluster;

/// How long a killed istiod was away on a real cluster; proxies found it again later.
const AWAY_MAX: TimeDelta = TimeDelta::seconds(10);

/// How long the first one has been there when a world begins.
const AGE: TimeDelta = TimeDelta::days(1);

/// When a pod behind an EndpointSlice last changed, as Kubernetes tells it.
/// Source: <https://kubernetes.io/docs/reference/labels-annotations-taints/#endpoints-kubernetes-io-last-change-trigger-time>
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// An istiod that may be killed and comes back.
#[derive(Debug)]
pub(crate) struct Istiod {
    service: ObjectName,
    /// When the last one came or went.
    changed_at: DateTime<Utc>,
    /// How many there were before this one.
    former: u32,
    /// When the next one is ready.
    ready_at: Option<DateTime<Utc>>,
}

impl Istiod {
    /// One that is ready.
    pub(crate) fn new(service: ObjectName, cluster: &Cluster) -> Self {
        cluster.ensure_namespace(&service.namespace);
        let istiod = Istiod { service, changed_at: cluster.now() - AGE, former: 0, ready_at: None };
        istiod.show(cluster);
        istiod
    }

    /// Kills it; proxies know nothing new for `time`, for a part of which no istiod is ready.
    pub(crate) fn kill(&mut self, cluster: &Cluster, time: TimeDelta) {
        self.former += 1;
        self.changed_at = cluster.now();
        self.ready_at = Some(cluster.now() + time.min(AWAY_MAX));
        self.show(cluster);
    }

    /// Lets the next one be ready if its time has come.
    pub(crate) fn step(&mut self, cluster: &Cluster) {
        if self.ready_at.is_some_and(|at| at <= cluster.now()) {
            self.ready_at = None;
            self.changed_at = cluster.now();
            self.show(cluster);
        }
    }

    /// When the next one is ready.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.ready_at
    }

    fn show(&self, cluster: &Cluster) {
        match cluster.apply_manifest(self.slice()) {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the EndpointSlice of istiod was refused"),
        }
    }

    fn slice(&self) -> Value {
        let endpoint = json!({
            "addresses": [format!("10.0.255.{}", self.former % 250 + 1)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": self.service.namespace,
                "name": format!("{}-{}", self.service.name, self.former), "uid": format!("istiod-{}", self.former)},
        });
        let endpoints: Vec<Value> = self.ready_at.is_none().then_some(endpoint).into_iter().collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": self.service.namespace,
                "name": format!("{}-slice", self.service.name),
                "labels": {"kubernetes.io/service-name": self.service.name},
                "annotations": {LAST_CHANGE: self.changed_at.to_rfc3339_opts(SecondsFormat::Secs, true)},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
        })
    }
}
