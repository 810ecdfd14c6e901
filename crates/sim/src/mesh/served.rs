//! What became of the requests of an interval.

use std::collections::BTreeMap;

/// Counts of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// All requests.
    pub requests: u64,
    /// Answered with 500 or more, or failed by routing.
    pub failed: u64,
    /// Never reached a pod: no route, no such subset, no ready pod, or pods that are gone.
    pub failed_by_routing: u64,
    /// What failed by routing, by Envoy's response flag: "NR" no route, "NC" no such subset or Service, "UH" no ready pod, "UF"
    /// all pods gone.
    pub by_flag: BTreeMap<String, u64>,
    /// By the subset that they were sent to, reached or not; "" stands for a Service as a whole.
    pub by_subset: BTreeMap<String, u64>,
    /// By the pod template hash of the pod that answered.
    pub by_pod_hash: BTreeMap<String, u64>,
    /// Copies that were made of requests, by the pod template hash of the pod that got them; what became of a copy counts
    /// nowhere else.
    pub mirrored_by_pod_hash: BTreeMap<String, u64>,
}

impl Served {
    /// Adds the counts of another interval or stream.
    pub fn add(&mut self, other: &Self) {
        let Self { requests, failed, failed_by_routing, by_flag, by_subset, by_pod_hash, mirrored_by_pod_hash } = other;
        self.requests += requests;
        self.failed += failed;
        self.failed_by_routing += failed_by_routing;
        for (mine, theirs) in [
            (&mut self.by_flag, by_flag),
            (&mut self.by_subset, by_subset),
            (&mut self.by_pod_hash, by_pod_hash),
            (&mut self.mirrored_by_pod_hash, mirrored_by_pod_hash),
        ] {
            for (name, count) in theirs {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
    }
}
