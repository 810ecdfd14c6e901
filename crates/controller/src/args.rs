//! How a controller is set up: the flags of `serin controller` as plain values.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chrono::TimeDelta;
use serin_core::analysis::sample::Semantics;
use serin_core::rollout::observed::Settings;

use crate::change::ObjectName;

/// The flags of the controller, with upstream's names and defaults where it has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    /// `--namespace`: the only namespace to serve; all if absent. Cluster templates are not read then.
    pub namespace: Option<String>,
    /// `--instance-id`: serve only Rollouts, Experiments and AnalysisRuns whose instance label says so; without it, only
    /// those without the label.
    pub instance_id: Option<String>,
    /// `--rollout-threads`: number of reconciles at a time; at least 1.
    pub workers: usize,
    /// Address that metrics and probes are served on.
    pub listen: IpAddr,
    /// `--metricsPort`: port of `/metrics`; 0 for any that is free.
    pub metrics_port: u16,
    /// `--healthzPort`: port of `/healthz` and `/readyz`; 0 for any that is free.
    pub healthz_port: u16,
    /// `--leader-elect`: whether several replicas elect one that works.
    pub leader_elect: bool,
    /// Namespace of the Lease: that of the controller's own pod.
    pub lease_namespace: String,
    /// Who this replica is; unique among the replicas, such as the pod's name.
    pub identity: String,
    /// `--leader-election-lease-duration`: after this time without renewal another replica takes over.
    pub lease_duration: Duration,
    /// `--leader-election-renew-deadline`: after this time without renewal the leader stops writing.
    pub renew_deadline: Duration,
    /// `--leader-election-retry-period`: time between two tries to take or renew the lease.
    pub retry_period: Duration,
    /// `--istio-api-version`: version of `networking.istio.io`; the newest that the cluster serves if absent.
    pub istio_api_version: Option<String>,
    /// How long the mesh is given to take over a change before the next one may rely on it.
    pub propagation: TimeDelta,
    /// `--istiod`: the Service of Istio's control plane; its endpoints are not watched if absent.
    pub istiod: Option<ObjectName>,
    /// `--proxy-reconnect`: how long proxies are given to find istiod again after it was away.
    pub reconnect: TimeDelta,
    /// Rules for absent data, unless a template's annotation says otherwise.
    pub semantics: Semantics,
    /// URL of the Prometheus server that metrics without an address ask.
    pub prometheus_address: Option<String>,
    /// How long one request to the API server may take; with leader election at most the time between the renew deadline
    /// and the end of the lease.
    pub request_time_limit: Duration,
}

impl Default for Args {
    fn default() -> Self {
        let settings = Settings::default();
        Args {
            namespace: None,
            instance_id: None,
            workers: 10,
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            metrics_port: 8090,
            healthz_port: 8080,
            leader_elect: true,
            lease_namespace: "serin".to_owned(),
            identity: unique_identity(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
            istio_api_version: None,
            propagation: settings.propagation,
            istiod: Some(ObjectName::new("istio-system", "istiod")),
            reconnect: settings.reconnect,
            semantics: settings.semantics,
            prometheus_address: None,
            request_time_limit: Duration::from_secs(30),
        }
    }
}

/// `HOST_PID-START`: in containers every process has the same number, and a copied host name must not make two leaders.
fn unique_identity() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "serin".to_owned());
    let start = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{host}_{}-{:x}", std::process::id(), start.as_nanos())
}

impl Args {
    /// Name of the Lease: `serin-controller-lock`, with the instance behind it if there is one, so that instances do not
    /// stand in each other's way.
    #[must_use]
    pub fn lease_name(&self) -> String {
        match &self.instance_id {
            Some(instance) => format!("serin-controller-lock-{instance}"),
            None => "serin-controller-lock".to_owned(),
        }
    }

    /// What decisions depend on.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            instance_id: self.instance_id.clone(),
            propagation: self.propagation,
            reconnect: self.reconnect,
            semantics: self.semantics,
        }
    }

    /// What is wrong with these values, if anything, naming the flag.
    ///
    /// # Errors
    /// A sentence that names the flag and the fix.
    pub fn check(&self) -> Result<(), String> {
        if self.workers == 0 {
            return Err("--rollout-threads is 0; at least 1 is needed".to_owned());
        }
        if self.leader_elect && self.renew_deadline >= self.lease_duration {
            return Err(
                "--leader-election-renew-deadline must be shorter than --leader-election-lease-duration".to_owned()
            );
        }
        if self.leader_elect && self.retry_period >= self.renew_deadline {
            return Err(
                "--leader-election-retry-period must be shorter than --leader-election-renew-deadline".to_owned()
            );
        }
        if self.leader_elect && self.lease_duration.as_secs() == 0 {
            return Err("--leader-election-lease-duration must be at least 1s".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, change: impl FnOnce(&mut Args), flag: Option<&str>) {
        let mut args = Args::default();
        change(&mut args);
        match (args.check(), flag) {
            (Ok(()), None) => {}
            (Err(error), Some(flag)) => assert!(error.contains(flag), "{case}: {error}"),
            (result, _) => panic!("{case}: {result:?}"),
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_the_name_of_their_flag() {
        check("the defaults work", |_| {}, None);
        check("nobody would work", |args| args.workers = 0, Some("--rollout-threads"));
        check(
            "the lease would be lost before the leader stops",
            |args| args.renew_deadline = Duration::from_secs(15),
            Some("--leader-election-renew-deadline"),
        );
        check(
            "there would be no second try",
            |args| args.retry_period = Duration::from_secs(10),
            Some("--leader-election-retry-period"),
        );
        check(
            "without election its times do not matter",
            |args| {
                args.leader_elect = false;
                args.retry_period = Duration::from_secs(99);
            },
            None,
        );
    }

    #[test]
    fn two_replicas_do_not_share_an_identity() {
        // Both are process 1 of their containers: only what else is in the name tells them apart.
        let (one, other) = (Args::default().identity, Args::default().identity);
        assert_ne!(one, other);
    }

    #[test]
    fn instances_have_leases_of_their_own() {
        let args = Args { instance_id: Some("blue".to_owned()), ..Args::default() };
        assert_eq!(args.lease_name(), "serin-controller-lock-blue");
        assert_eq!(Args::default().lease_name(), "serin-controller-lock");
    }
}
