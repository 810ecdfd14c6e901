//! etcd, the API server, the controller manager and the scheduler.

use std::time::Duration;

use anyhow::Result;

use super::command::until;
use super::daemon::{self, Daemon};
use super::forward;
use super::kubectl;
use super::layout::{Layout, NODE_ADDRESS, POD_RANGE, SERVICE_RANGE};

const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";
const ISSUER: &str = "https://kubernetes.default.svc";

/// All of them, in the order in which they start.
#[must_use]
pub fn daemons(layout: &Layout) -> Vec<Daemon> {
    vec![etcd(layout), api_server(layout), controller_manager(layout), scheduler(layout)]
}

/// Starts them and waits until the API answers on the host and controllers work.
///
/// # Errors
/// If one ends, or they are not ready in time.
pub fn start(layout: &Layout) -> Result<()> {
    daemon::launch(layout, &etcd(layout))?;
    daemon::launch(layout, &api_server(layout))?;
    forward::start(layout, forward::API)?;
    until("the API server is ready", Duration::from_secs(60), || {
        daemon::expect_alive(layout, "etcd")?;
        daemon::expect_alive(layout, "kube-apiserver")?;
        forward::expect_alive(layout, forward::API)?;
        Ok(kubectl::succeeds(layout, &["get", "--raw", "/readyz"]))
    })?;
    daemon::launch(layout, &controller_manager(layout))?;
    daemon::launch(layout, &scheduler(layout))?;
    until("the controller manager makes service accounts", Duration::from_secs(30), || {
        daemon::expect_alive(layout, "kube-controller-manager")?;
        daemon::expect_alive(layout, "kube-scheduler")?;
        Ok(kubectl::succeeds(layout, &["get", "serviceaccount", "default", "--namespace", "default"]))
    })
}

fn etcd(layout: &Layout) -> Daemon {
    let mut command = program(layout, "etcd");
    command.extend([
        format!("--data-dir={}", layout.data("etcd").display()),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        format!("--listen-peer-urls={ETCD_PEER}"),
        format!("--initial-advertise-peer-urls={ETCD_PEER}"),
        format!("--initial-cluster=default={ETCD_PEER}"),
        // A power cut may lose the last seconds, which no test would miss.
        "--unsafe-no-fsync".to_owned(),
        "--auto-compaction-retention=1".to_owned(),
    ]);
    Daemon::inside("etcd", command)
}

fn api_server(layout: &Layout) -> Daemon {
    let pki = |name: &str| layout.pki(name).display().to_string();
    let mut command = program(layout, "kube-apiserver");
    command.extend([
        format!("--etcd-servers={ETCD}"),
        format!("--bind-address={NODE_ADDRESS}"),
        format!("--advertise-address={NODE_ADDRESS}"),
        format!("--tls-cert-file={}", pki("apiserver.crt")),
        format!("--tls-private-key-file={}", pki("apiserver.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-account-key-file={}", pki("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", pki("service-accounts.key")),
        // The second audience is that of the tokens by which proxies ask istiod for certificates.
        format!("--api-audiences={ISSUER},istio-ca"),
        format!("--kubelet-client-certificate={}", pki("apiserver-kubelet.crt")),
        format!("--kubelet-client-key={}", pki("apiserver-kubelet.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--requestheader-client-ca-file={}", pki("ca.crt")),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        format!("--proxy-client-cert-file={}", pki("front-proxy.crt")),
        format!("--proxy-client-key-file={}", pki("front-proxy.key")),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
        "--event-ttl=2h".to_owned(),
    ]);
    Daemon::inside("kube-apiserver", command)
}

fn controller_manager(layout: &Layout) -> Daemon {
    let pki = |name: &str| layout.pki(name).display().to_string();
    let mut command = client(layout, "kube-controller-manager");
    command.extend([
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--service-account-private-key-file={}", pki("service-accounts.key")),
        "--use-service-account-credentials=true".to_owned(),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        format!("--cluster-cidr={POD_RANGE}"),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--node-monitor-grace-period=40s".to_owned(),
        "--horizontal-pod-autoscaler-sync-period=15s".to_owned(),
    ]);
    Daemon::inside("kube-controller-manager", command)
}

fn scheduler(layout: &Layout) -> Daemon {
    Daemon::inside("kube-scheduler", client(layout, "kube-scheduler"))
}

/// A program that is a client of the API and the only one of its kind, allowed more requests than by default, which hundreds of
/// simulated pods need.
fn client(layout: &Layout, name: &str) -> Vec<String> {
    let kubeconfig = layout.inner_kubeconfig(name).display().to_string();
    let mut command = program(layout, name);
    command.extend([
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    command
}

fn program(layout: &Layout, name: &str) -> Vec<String> {
    vec![layout.program(name).display().to_string()]
}
