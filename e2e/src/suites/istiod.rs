//! What istiod makes of the routes: it finds nothing to complain about, and sends every proxy the weights that Serin reports.

mod istioctl;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::istioctl::{Proxy, analyze};
use crate::kit::{Case, Load, LoadSpec, Manifests, Stage, Subject, text, until};

const SUITE: &str = "istiod";

/// How long istiod and the proxies get to follow a change, and istioctl to tell: each question takes it a second.
const FOLLOWS: Duration = Duration::from_secs(15);

pub(super) fn cases() -> Vec<Case> {
    let limit = Duration::from_secs(300);
    vec![
        Case::new(SUITE, "proxies have the weights by hash", limit, |stage| {
            let shop = Manifests::shop();
            async move { agrees(stage, shop?).await }
        }),
        Case::new(SUITE, "proxies have the weights by role", limit, |stage| {
            let reviews = Manifests::reviews();
            async move { agrees(stage, reviews?).await }
        }),
        Case::new(SUITE, "proxies have an abort", limit, aborted),
    ]
}

/// What is looked at: a Rollout, and the two proxies that route to it.
struct Scene {
    stage: Stage,
    subject: Subject,
    proxies: Vec<(Proxy, Load)>,
    /// Whether the subsets are told apart by labels of the two roles.
    by_role: bool,
}

async fn agrees(stage: Stage, manifests: Manifests) -> Result<()> {
    let manifests = exposed(&stage, manifests)?;
    let scene = Scene::open(stage, &manifests).await?;
    scene.agree("before", 0).await?;
    scene.stage.apply(&manifests.version("v2")?).await?;
    for (step, weight) in [(1, 20), (3, 60), (5, 100)] {
        scene.subject.reaches(step, Duration::from_secs(60)).await?;
        scene.agree(&format!("at {weight} %"), weight).await?;
        for (_, load) in &scene.proxies {
            load.share("v2", weight, Duration::from_secs(3)).await?;
        }
        scene.subject.annotate("serin.dev/promote", &step.to_string()).await?;
    }
    scene.subject.healthy(Duration::from_secs(60)).await?;
    scene.agree("after", 0).await?;
    scene.close().await
}

async fn aborted(stage: Stage) -> Result<()> {
    let manifests = exposed(&stage, Manifests::shop()?)?;
    let scene = Scene::open(stage, &manifests).await?;
    scene.stage.apply(&manifests.version("v2")?).await?;
    scene.subject.reaches(1, Duration::from_secs(60)).await?;
    scene.subject.annotate("serin.dev/promote", "1").await?;
    scene.subject.reaches(3, Duration::from_secs(60)).await?;
    scene.agree("at 60 %", 60).await?;
    scene.subject.annotate("serin.dev/abort", "now").await?;
    scene.subject.aborted(Duration::from_secs(30)).await?;
    scene.agree("after the abort", 0).await?;
    scene.close().await
}

/// The same, also behind the ingress gateway, with steps that wait for us.
fn exposed(stage: &Stage, manifests: Manifests) -> Result<Manifests> {
    let (name, host) = (manifests.rollout().to_owned(), host(stage));
    let gateway = json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": name}, "spec": {
        "selector": {"istio": "ingressgateway"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [host]}]}});
    let steps =
        json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}, {"setWeight": 100}, {"pause": {}}]);
    let manifests = manifests.steps(steps)?.set("VirtualService", "/spec/gateways", json!([name, "mesh"]))?;
    Ok(manifests.set("VirtualService", "/spec/hosts", json!([name, host]))?.and(Manifests(vec![gateway])))
}

/// The host at the gateway, which no other case has.
fn host(stage: &Stage) -> String {
    format!("{}.example.test", stage.place.namespace)
}

impl Scene {
    async fn open(stage: Stage, manifests: &Manifests) -> Result<Self> {
        let subject = stage.settled(manifests).await?;
        let service = format!("{}.{}.svc.cluster.local", subject.name, stage.place.namespace);
        let specs = [
            LoadSpec::mesh(&stage.place.namespace, &subject.name),
            LoadSpec::gateway(&stage.place.namespace, &host(&stage)),
        ];
        let mut loads = Vec::new();
        for spec in specs {
            loads.push(Load::start(&stage.cluster, &LoadSpec { rate: 50, ..spec }).await?);
        }
        let pods = stage.cluster.list("v1", "Pod", "istio-system", "istio=ingressgateway").await?;
        let gateway = pods.first().map(|pod| text(pod, "/metadata/name")).context("there is no ingress gateway")?;
        let sidecar =
            Proxy::new(&stage.cluster, &format!("load-{}.e2e-load", stage.place.namespace), &service, &service);
        let gateway = Proxy::new(&stage.cluster, &format!("{gateway}.istio-system"), &service, &host(&stage));
        let by_role = subject.object().await?.pointer("/spec/strategy/canary/canaryMetadata").is_some();
        Ok(Scene { stage, subject, proxies: [sidecar, gateway].into_iter().zip(loads).collect(), by_role })
    }

    /// Istio finds nothing wrong, Serin reports the canary's weight, and each proxy has it, and the pods behind each side.
    async fn agree(&self, when: &str, weight: i64) -> Result<()> {
        let figures = &self.stage.figures;
        let remarks = analyze(&self.stage.cluster, &self.stage.place.namespace).await?;
        // At rest there are no pods with the label of a canary, and the manifests have such a subset all the same.
        let idle = |says: &str| weight == 0 && self.by_role && says.starts_with("IST0173: The Subset canary ");
        let complaints: Vec<_> = remarks.iter().filter(|(level, says)| level != "Info" && !idle(says)).collect();
        ensure!(complaints.is_empty(), "{when}: istioctl analyze says {complaints:?}");
        let codes: BTreeSet<&str> =
            remarks.iter().map(|(_, says)| says.split(':').next().unwrap_or_default()).collect();
        figures.note("analyze informs of", format!("{codes:?}"));
        until("Serin reports the weight", FOLLOWS, || async {
            let reported = self.reported().await?;
            ensure!(reported == weight, "{when}: status.canary.weights has {reported} for the canary");
            Ok(())
        })
        .await?;
        let begun = Instant::now();
        for (proxy, _) in &self.proxies {
            until(&format!("{} agrees {when}", proxy.name), FOLLOWS, || self.agrees(proxy, weight)).await?;
        }
        figures.note(&format!("agreed {when} after"), format!("{:.1} s", begun.elapsed().as_secs_f64()));
        Ok(())
    }

    async fn reported(&self) -> Result<i64> {
        let object = self.subject.object().await?;
        // A Rollout at rest may leave out the weights: all is on stable.
        let weights = object.pointer("/status/canary/weights/canary/weight");
        Ok(weights.and_then(Value::as_i64).unwrap_or_default())
    }

    async fn agrees(&self, proxy: &Proxy, weight: i64) -> Result<()> {
        let shares = proxy.shares().await?;
        ensure!(shares == (100 - weight, weight), "{} routes {shares:?} to stable and canary", proxy.name);
        let clusters = proxy.subsets().await?;
        let both = ["canary", "stable"].map(str::to_owned);
        ensure!(clusters.iter().eq(&both), "{} has clusters for the subsets {clusters:?}", proxy.name);
        let seen = self.subject.seen().await?;
        for (subset, hash, share) in [("stable", seen.stable, 100 - weight), ("canary", seen.current, weight)] {
            // What no traffic goes to may be behind a subset in transition.
            if share == 0 {
                continue;
            }
            let (has, pods) = (proxy.endpoints(subset).await?, self.addresses(&hash).await?);
            ensure!(has == pods, "{} has {has:?} behind {subset}, whose pods are {pods:?}", proxy.name);
        }
        Ok(())
    }

    /// The addresses of the ready pods of a revision.
    async fn addresses(&self, hash: &str) -> Result<BTreeSet<String>> {
        let pods = self.stage.place.list("v1", "Pod", &format!("rollouts-pod-template-hash={hash}")).await?;
        let ready = pods.iter().filter(|pod| {
            let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
            let ready =
                conditions.is_some_and(|all| all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"));
            ready && pod.pointer("/metadata/deletionTimestamp").is_none()
        });
        Ok(ready.map(|pod| text(pod, "/status/podIP").to_owned()).collect())
    }

    async fn close(&self) -> Result<()> {
        for (proxy, load) in &self.proxies {
            let counts = load.all_answered().await.with_context(|| format!("through {}", proxy.name))?;
            self.stage.figures.note(&format!("requests through {}", proxy.name), counts.sent);
        }
        Ok(())
    }
}
