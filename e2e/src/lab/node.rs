//! One real node: containerd, kubelet, kube-proxy and the cluster's DNS, with the images that were built.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::command::{run, succeeds, until};
use super::daemon::{self, Daemon};
use super::digest;
use super::layout::{CGROUP, DNS_ADDRESS, Layout, NODE_ADDRESS, NODE_NAME, POD_RANGE};
use super::{kubectl, namespaces};

const COREDNS: &str = include_str!("../../manifests/coredns.yaml");

/// All of them, in the order in which they start.
#[must_use]
pub fn daemons(layout: &Layout) -> Vec<Daemon> {
    vec![containerd(layout), kubelet(layout), kube_proxy(layout)]
}

/// Starts them, imports images, and waits until the node and the cluster's DNS are ready.
///
/// # Errors
/// If one ends, or they are not ready in time.
pub fn start(layout: &Layout) -> Result<()> {
    write_configuration(layout)?;
    daemon::launch(layout, &containerd(layout))?;
    until("containerd answers", Duration::from_secs(20), || {
        daemon::expect_alive(layout, "containerd")?;
        Ok(succeeds(ctr(layout)?.arg("version")))
    })?;
    import_all(layout)?;
    if !daemon::is_alive(layout, "kubelet") {
        distrust(layout)?;
    }
    daemon::launch(layout, &kubelet(layout))?;
    daemon::launch(layout, &kube_proxy(layout))?;
    kubectl::apply(layout, COREDNS)?;
    until("the node is ready", Duration::from_secs(60), || {
        daemon::expect_alive(layout, "kubelet")?;
        daemon::expect_alive(layout, "kube-proxy")?;
        let node = format!("node/{NODE_NAME}");
        Ok(kubectl::succeeds(layout, &["wait", "--for=condition=Ready", &node, "--timeout=3s"]))
    })?;
    kubectl::wait_for_deployment(layout, "kube-system", "coredns", Duration::from_secs(60))
}

/// Imports every built image whose archive has changed since it was imported last; returns their names.
///
/// # Errors
/// If containerd refuses one.
pub fn import_all(layout: &Layout) -> Result<Vec<String>> {
    let mut imported = Vec::new();
    let folder = layout.images();
    let mut archives: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("failed to list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "tar"))
        .collect();
    archives.sort();
    let remembered = layout.data("imported");
    fs::create_dir_all(&remembered).with_context(|| format!("failed to make {}", remembered.display()))?;
    for archive in archives {
        let (Some(name), Some(stamp)) = (archive.file_stem(), digest::read(&archive)) else { continue };
        let file = remembered.join(name);
        if fs::read_to_string(&file).is_ok_and(|old| old == stamp) {
            continue;
        }
        run(ctr(layout)?.args(["--namespace", "k8s.io", "images", "import"]).arg(&archive))?;
        fs::write(&file, stamp).with_context(|| format!("failed to write {}", file.display()))?;
        imported.push(name.to_string_lossy().into_owned());
    }
    if !remembered.join("pause").exists() {
        bail!("there is no image to hold the namespaces of a pod: run `serin-e2e build images` first");
    }
    Ok(imported)
}

/// Takes back what the kubelet of an earlier start said about the node and its pods, so that ready means ready now.
fn distrust(layout: &Layout) -> Result<()> {
    if !kubectl::succeeds(layout, &["get", "node", NODE_NAME]) {
        return Ok(());
    }
    let retract = |object: &[&str], status: &str| {
        let patch = json!({ "status": { "conditions": [{ "type": "Ready", "status": status }] } }).to_string();
        let mut arguments = vec!["patch", "--subresource=status", "--type=strategic", "--patch", &patch];
        arguments.extend(object);
        kubectl::run(layout, &arguments).map(drop)
    };
    retract(&["node", NODE_NAME], "Unknown")?;
    let on_node = format!("--field-selector=spec.nodeName={NODE_NAME}");
    let names = "--output=custom-columns=:.metadata.namespace,:.metadata.name";
    let pods = kubectl::run(layout, &["get", "pods", "--all-namespaces", &on_node, "--no-headers", names])?;
    for (namespace, name) in pods.lines().filter_map(|line| line.trim().split_once(char::is_whitespace)) {
        retract(&["pod", name.trim(), "--namespace", namespace], "False")?;
    }
    Ok(())
}

fn containerd(layout: &Layout) -> Daemon {
    let config = layout.config("containerd.toml").display().to_string();
    Daemon::inside("containerd", vec!["containerd".to_owned(), "--config".to_owned(), config])
}

fn kubelet(layout: &Layout) -> Daemon {
    let command = vec![
        layout.program("kubelet").display().to_string(),
        format!("--config={}", layout.config("kubelet.json").display()),
        format!("--kubeconfig={}", layout.inner_kubeconfig("kubelet").display()),
        format!("--hostname-override={NODE_NAME}"),
        format!("--node-ip={NODE_ADDRESS}"),
        "--root-dir=/var/lib/kubelet".to_owned(),
    ];
    Daemon::inside("kubelet", command)
}

fn kube_proxy(layout: &Layout) -> Daemon {
    let command = vec![
        layout.program("kube-proxy").display().to_string(),
        format!("--kubeconfig={}", layout.inner_kubeconfig("kube-proxy").display()),
        "--proxy-mode=iptables".to_owned(),
        format!("--cluster-cidr={POD_RANGE}"),
        format!("--hostname-override={NODE_NAME}"),
        format!("--bind-address={NODE_ADDRESS}"),
        "--metrics-bind-address=127.0.0.1:10249".to_owned(),
        "--healthz-bind-address=127.0.0.1:10256".to_owned(),
        // The table of connections is the whole machine's.
        "--conntrack-max-per-core=0".to_owned(),
    ];
    Daemon::inside("kube-proxy", command)
}

fn ctr(layout: &Layout) -> Result<std::process::Command> {
    let mut ctr = namespaces::enter(layout, "ctr")?;
    ctr.arg("--address").arg(layout.run().join("containerd.sock"));
    Ok(ctr)
}

fn write_configuration(layout: &Layout) -> Result<()> {
    let networks = layout.config("networks");
    fs::create_dir_all(&networks).with_context(|| format!("failed to make {}", networks.display()))?;
    for (file, text) in [
        (networks.join("10-bridge.conflist"), network()),
        (layout.config("containerd.toml"), containerd_configuration(layout)),
        (layout.config("kubelet.json"), kubelet_configuration(layout)),
        // Pods that ask for the node's resolver get none: there is nothing outside to ask.
        (layout.config("node-resolv.conf"), String::new()),
    ] {
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}

/// All pods on one bridge, with an address out of the node's range.
fn network() -> String {
    let ranges = json!([[{ "subnet": POD_RANGE }]]);
    let ipam = json!({ "type": "host-local", "ranges": ranges, "routes": [{ "dst": "0.0.0.0/0" }] });
    let bridge =
        json!({ "type": "bridge", "bridge": "serin-pods", "isGateway": true, "hairpinMode": true, "ipam": ipam });
    let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    json!({ "cniVersion": "0.4.0", "name": "serin-e2e", "plugins": [bridge, ports] }).to_string()
}

fn containerd_configuration(layout: &Layout) -> String {
    let (root, run) = (layout.data("containerd"), layout.run());
    let (root, run, networks) = (root.display(), run.display(), layout.config("networks"));
    let networks = networks.display();
    format!(
        r#"version = 2
root = "{root}"
state = "{run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]
[grpc]
address = "{run}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
disable_apparmor = true
# Without CAP_SYS_RESOURCE, as in many containers, no pod starts otherwise.
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{networks}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}

/// The kubelet reads JSON as well as YAML.
fn kubelet_configuration(layout: &Layout) -> String {
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": layout.pki("ca.crt") },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": layout.pki("kubelet.crt"),
        "tlsPrivateKeyFile": layout.pki("kubelet.key"),
        "containerRuntimeEndpoint": format!("unix://{}/containerd.sock", layout.run().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{CGROUP}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": ["pods"],
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": layout.config("node-resolv.conf"),
        "nodeStatusUpdateFrequency": "5s",
        "evictionHard": { "memory.available": "200Mi", "nodefs.available": "1Gi" },
        // Nothing can be pulled again, so nothing may be collected.
        "imageMinimumGCAge": "720h",
        "imageGCHighThresholdPercent": 100,
        "maxPods": 110,
        "shutdownGracePeriod": "0s",
    });
    format!("{configuration:#}\n")
}
