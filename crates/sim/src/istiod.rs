//! Istio's control plane as the cluster shows it: the EndpointSlice of istiod's Service.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_controller::ObjectName;

use crate::cluster::Cluster;

/// How long a killed istiod was away on a real cluster; proxies found it again later.
const AWAY_MAX: TimeDelta = TimeDelta::seconds(10);

/// An istiod that may be killed and comes back.
#[derive(Debug)]
pub(crate) struct Istiod {
    service: ObjectName,
    /// How many there were before this one.
    former: u32,
    /// When the next one is ready.
    ready_at: Option<DateTime<Utc>>,
}

impl Istiod {
    /// One that is ready.
    pub(crate) fn new(service: ObjectName, cluster: &Cluster) -> Self {
        cluster.ensure_namespace(&service.namespace);
        let istiod = Istiod { service, former: 0, ready_at: None };
        istiod.show(cluster);
        istiod
    }

    /// Kills it; proxies know nothing new for `time`, for a part of which no istiod is ready.
    pub(crate) fn kill(&mut self, cluster: &Cluster, time: TimeDelta) {
        self.former += 1;
        self.ready_at = Some(cluster.now() + time.min(AWAY_MAX));
        self.show(cluster);
    }

    /// Lets the next one be ready if its time has come.
    pub(crate) fn step(&mut self, cluster: &Cluster) {
        if self.ready_at.is_some_and(|at| at <= cluster.now()) {
            self.ready_at = None;
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
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
        })
    }
}
