//! istioctl: what it says of a namespace, and what a proxy has been sent.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::kit::{Cluster, text};

/// The port of the workload's Service.
const PORT: u16 = 9080;

/// The remarks of `istioctl analyze` on a namespace: level, and code with message.
pub(super) async fn analyze(cluster: &Cluster, namespace: &str) -> Result<Vec<(String, String)>> {
    let mut command = command(cluster);
    command.args(["analyze", "--namespace", namespace, "--output", "json", "--failure-threshold", "Error"]);
    let output = command.output().await.context("failed to run istioctl")?;
    // It also ends with an error if it finds one; then there is a list all the same.
    let remarks: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("istioctl analyze: {}", String::from_utf8_lossy(&output.stderr)))?;
    let words = |remark: &Value| {
        (text(remark, "/level").to_owned(), format!("{}: {}", text(remark, "/code"), text(remark, "/message")))
    };
    Ok(remarks.iter().map(words).collect())
}

/// A proxy that routes to a Service.
pub(super) struct Proxy {
    cluster: Cluster,
    /// `POD.NAMESPACE`.
    pub(super) name: String,
    /// The Service's full name.
    service: String,
    /// The host of the requests, by which it finds the route.
    host: String,
}

impl Proxy {
    pub(super) fn new(cluster: &Cluster, name: &str, service: &str, host: &str) -> Self {
        Proxy { cluster: cluster.clone(), name: name.to_owned(), service: service.to_owned(), host: host.to_owned() }
    }

    /// The weights of the subsets `stable` and `canary` in the first route for the host.
    pub(super) async fn shares(&self) -> Result<(i64, i64)> {
        let configurations = self.config("routes", &[]).await?;
        let hosts = configurations.iter().flat_map(|it| array(it, "/virtualHosts"));
        let ours = |host: &&Value| array(host, "/domains").iter().any(|domain| *domain == self.host.as_str());
        // The host also stands among the routes of ports that the Service does not have.
        let to_port = |route: &&Value| route.to_string().contains(&format!("outbound|{PORT}|"));
        let mut routes = hosts.filter(ours).filter_map(|host| host.pointer("/routes/0/route"));
        let route = routes.find(to_port).with_context(|| format!("{} has no route for {}", self.name, self.host))?;
        // A destination without weight is left out, and a single one has none.
        let alone = text(route, "/cluster");
        let of = |subset: &str| {
            let name = self.named(subset);
            let weighted = array(route, "/weightedClusters/clusters").iter().find(|it| text(it, "/name") == name);
            let weight = weighted.and_then(|it| it["weight"].as_i64());
            if alone == name { 100 } else { weight.unwrap_or_default() }
        };
        Ok((of("stable"), of("canary")))
    }

    /// The subsets for which it has a cluster.
    pub(super) async fn subsets(&self) -> Result<BTreeSet<String>> {
        let clusters = self.config("clusters", &["--fqdn", &self.service]).await?;
        let names = clusters.iter().map(|cluster| text(cluster, "/name"));
        let subsets = names.filter_map(|name| name.strip_prefix(&format!("outbound|{PORT}|"))?.split('|').next());
        Ok(subsets.filter(|subset| !subset.is_empty()).map(str::to_owned).collect())
    }

    /// The addresses behind a subset.
    pub(super) async fn endpoints(&self, subset: &str) -> Result<BTreeSet<String>> {
        let clusters = self.config("endpoints", &["--cluster", &self.named(subset)]).await?;
        let hosts = clusters.iter().flat_map(|cluster| array(cluster, "/hostStatuses"));
        Ok(hosts.map(|host| text(host, "/address/socketAddress/address").to_owned()).collect())
    }

    /// The name of the cluster of a subset.
    fn named(&self, subset: &str) -> String {
        format!("outbound|{PORT}|{subset}|{}", self.service)
    }

    async fn config(&self, what: &str, filter: &[&str]) -> Result<Vec<Value>> {
        let mut command = command(&self.cluster);
        command.args(["proxy-config", what, &self.name, "--output", "json"]).args(filter);
        let output = command.output().await.context("failed to run istioctl")?;
        ensure!(output.status.success(), "istioctl proxy-config {what}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).with_context(|| format!("istioctl proxy-config {what} gave no list"))
    }
}

fn command(cluster: &Cluster) -> Command {
    let mut command = Command::new(&cluster.endpoints.istioctl);
    command.arg("--kubeconfig").arg(&cluster.endpoints.kubeconfig);
    command
}

/// A list in an object, or the empty one.
fn array<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
