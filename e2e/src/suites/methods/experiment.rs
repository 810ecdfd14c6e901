//! An experiment as a step: its pods get their shares beside the canary, and give them back.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{SOON, WINDOW, answered_by, awake, finish};
use crate::kit::{ISTIO, Manifests, Stage, Subject, agrees, is_serving, text, until};

/// The experiment's sets of pods.
const TEMPLATES: [&str; 2] = ["baseline", "candidate"];

/// A person goes on when all has been counted.
pub(super) async fn shared(stage: Stage) -> Result<()> {
    let manifests = Manifests::experiment()?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("shop").await?;
    stage.apply(&manifests.version("v2")?).await?;
    routed(&stage, &[60, 20, 10, 10]).await?;
    let mut before = Vec::new();
    for template in TEMPLATES {
        let pods = pods(&subject, template).await?;
        // Proxies know the route when these pods get requests.
        awake(&stage, &pods).await?;
        before.push((template, answered_by(&stage, &pods).await?, pods, load.counts().await?));
    }
    let (hits, total) = load.share("v2", 30, WINDOW).await?;
    stage.figures.note("share of the new version at 20 + 10 %", format!("{hits}/{total}"));
    for (template, answered, pods, counts) in before {
        let answered = answered_by(&stage, &pods).await?.saturating_sub(answered);
        let sent = load.counts().await?.minus(&counts).sent;
        stage.figures.note(&format!("requests of the {template} at 10 %"), format!("{answered}/{sent}"));
        agrees(answered, sent, 10)?;
    }

    subject.annotate("serin.dev/promote", "past the experiment").await?;
    subject.healthy(SOON).await?;
    routed(&stage, &[100, 0]).await?;
    until("nothing is left of the experiment", SOON, || async {
        let services = stage.place.list("v1", "Service", "").await?;
        let names: Vec<&str> = services.iter().map(|service| text(service, "/metadata/name")).collect();
        ensure!(names == ["shop"], "Services {names:?}");
        let pods = subject.pods().await?;
        let left = pods.iter().filter(|pod| TEMPLATES.iter().any(|template| is_of(pod, template))).count();
        ensure!(left == 0, "{left} pods");
        Ok(())
    })
    .await?;
    load.share("v2", 100, WINDOW).await?;
    finish(&stage, &load, &["v1", "v2"]).await
}

/// Waits until the destinations of the route have these weights.
async fn routed(stage: &Stage, wanted: &[i64]) -> Result<()> {
    until(&format!("the weights are {wanted:?}"), SOON, || async {
        let service = stage.place.get(ISTIO, "VirtualService", "shop").await?;
        let route = service.pointer("/spec/http/0/route").and_then(Value::as_array).cloned().unwrap_or_default();
        let weights: Vec<i64> = route.iter().map(|one| one["weight"].as_i64().unwrap_or_default()).collect();
        ensure!(weights == wanted, "they are {weights:?}");
        Ok(())
    })
    .await
}

/// Names of the serving pods of one of the experiment's templates; an error if there are none.
async fn pods(subject: &Subject, template: &str) -> Result<Vec<String>> {
    let pods = subject.pods().await?;
    let serving = pods.iter().filter(|pod| is_serving(pod) && is_of(pod, template));
    let names: Vec<String> = serving.map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    ensure!(!names.is_empty(), "no pod of {template} serves");
    Ok(names)
}

/// Pods are named like their ReplicaSet, which is named like its template.
fn is_of(pod: &Value, template: &str) -> bool {
    text(pod, "/metadata/name").contains(&format!("-{template}-"))
}
