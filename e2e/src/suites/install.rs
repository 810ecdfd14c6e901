//! Serin comes and goes while versions are rolled out: no traffic is lost, and none moves that nobody asked to move.

mod hands;
mod rights;
mod tools;

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use self::tools::{helm, install, kubectl, path, upgrade};
use crate::kit::{Case, Load, Manifests, Release, Stage, Subject, hold, repository, text, until};

const SUITE: &str = "install";
const LIMIT: Duration = Duration::from_secs(400);

/// The API of Rollouts, and the kind that says what is in it.
const ARGO: &str = "argoproj.io/v1alpha1";
const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

/// The label of everything that the chart makes.
const RELEASE_LABEL: &str = "app.kubernetes.io/name=serin";

/// The label by which Serin tells the subsets apart.
const HASH: &str = "rollouts-pod-template-hash";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "upgraded and taken back in mid canary", LIMIT, upgraded),
        Case::new(SUITE, "uninstalled in mid canary", LIMIT, uninstalled),
        Case::new(SUITE, "taken out for good", LIMIT, taken_out),
        Case::new(SUITE, "rollouts deleted in mid canary", LIMIT, deleted),
        Case::new(SUITE, "definitions applied again", LIMIT, defined_again),
        Case::new(SUITE, "with rights in one namespace", LIMIT, narrow),
        Case::new(SUITE, "a right is taken away", LIMIT, rights::taken_away),
        Case::new(SUITE, "the command line", LIMIT, hands::command_line),
    ]
}

/// `shop` with pauses as long as `pause`, its first version Healthy, under load.
async fn running(stage: &Stage, pause: Value) -> Result<(Manifests, Subject, Load)> {
    let pause = json!({"pause": pause});
    let manifests = Manifests::shop()?.steps(json!([{"setWeight": 20}, pause, {"setWeight": 60}, pause]))?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("shop").await?;
    Ok((manifests, subject, load))
}

/// The new version alone, without the routes.
async fn update(stage: &Stage, manifests: &Manifests, version: &str) -> Result<()> {
    let manifests = manifests.clone().version(version)?;
    let rollout = manifests.0.into_iter().filter(|object| object["kind"] == "Rollout").collect();
    stage.apply(&Manifests(rollout)).await.map(drop)
}

async fn upgraded(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({"duration": "8s"})).await?;
    let from = stage.timeline.weights().len();
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    allowed(&stage).await?;
    let before = stage.serin.pods().await?;
    upgrade(&stage, &["controller.logLevel=debug", "replicas=2"]).await?;
    let after = stage.serin.pods().await?;
    ensure!(
        after.len() == 2 && !after.iter().any(|pod| before.contains(pod)),
        "controllers: {before:?}, then {after:?}"
    );
    subject.healthy(Duration::from_secs(90)).await?;
    stage.timeline.went(from, &[20, 60, 100])?;
    allowed(&stage).await?;
    let from = stage.timeline.weights().len();
    update(&stage, &manifests, "v3").await?;
    subject.reaches(3, Duration::from_secs(60)).await?;
    helm(&stage, &["rollback", "serin", "1", "--wait", "--timeout=120s"]).await?;
    stage.serin.ready().await?;
    ensure!(stage.serin.pods().await?.len() == 1, "{:?} remain", stage.serin.pods().await?);
    subject.healthy(Duration::from_secs(90)).await?;
    stage.timeline.went(from, &[20, 60, 100])?;
    allowed(&stage).await?;
    helm(&stage, &["uninstall", "serin", "--wait"]).await?;
    lossless(&stage, &load).await
}

async fn uninstalled(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({})).await?;
    let from = stage.timeline.weights().len();
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    allowed(&stage).await?;
    helm(&stage, &["uninstall", "serin", "--wait"]).await?;
    let left = || remains(&stage, &subject);
    let before = left().await?;
    hold("all stays as it was", Duration::from_secs(8), || async {
        let now = left().await?;
        ensure!(now == before, "{before} became {now}");
        Ok(())
    })
    .await?;
    ensure!(subject.weights().await? == (80, 20), "weights are {:?}", subject.weights().await?);
    let (hits, total) = load.share("v2", 20, Duration::from_secs(3)).await?;
    stage.figures.note("share without a controller", format!("{hits}/{total}"));
    defined(&stage).await?;
    upgrade(&stage, &[]).await?;
    for step in [3, 5] {
        subject.annotate("serin.dev/promote", &format!("past {step}")).await?;
        if step == 3 {
            subject.reaches(3, Duration::from_secs(60)).await?;
        }
    }
    subject.healthy(Duration::from_secs(60)).await?;
    stage.timeline.went(from, &[20, 60, 100])?;
    allowed(&stage).await?;
    helm(&stage, &["uninstall", "serin", "--wait"]).await?;
    lossless(&stage, &load).await
}

/// As the guide says: abort, wait until the canary's pods are gone, let the pods go on without their Rollout.
async fn taken_out(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let manifests = Manifests::shop()?.steps(json!([{"setWeight": 20}, {"pause": {}}]))?;
    let manifests = manifests.set("Rollout", "/spec/strategy/canary/abortScaleDownDelaySeconds", 5.into())?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("shop").await?;
    update(&stage, &manifests, "v2").await?;
    let canary = subject.reaches(1, Duration::from_secs(60)).await?.current;
    subject.annotate("serin.dev/abort", "to leave").await?;
    subject.aborted(Duration::from_secs(30)).await?;
    until("the canary's pods are gone", Duration::from_secs(60), || async {
        let pods = stage.place.list("v1", "Pod", &format!("{HASH}={canary}")).await?;
        ensure!(pods.is_empty(), "{} are left", pods.len());
        Ok(())
    })
    .await?;
    orphan(&stage, &subject).await?;
    lifted(&stage, &subject).await?;
    allowed(&stage).await?;
    helm(&stage, &["uninstall", "serin", "--wait"]).await?;
    ensure!(subject.weights().await? == (100, 0), "weights are {:?}", subject.weights().await?);
    load.share("v2", 0, Duration::from_secs(3)).await?;
    ensure!(subject.pods().await?.len() == 2, "there are {} pods", subject.pods().await?.len());
    defined(&stage).await?;
    lossless(&stage, &load).await
}

/// Both versions stay, and each subset is all of them: nobody is left without an answer.
async fn deleted(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({})).await?;
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let pods = subject.pods().await?.len();
    orphan(&stage, &subject).await?;
    lifted(&stage, &subject).await?;
    allowed(&stage).await?;
    let before = load.counts().await?;
    hold("the pods stay", Duration::from_secs(5), || async {
        let now = subject.pods().await?.len();
        ensure!(now == pods, "{pods} pods became {now}");
        Ok(())
    })
    .await?;
    stage.figures.note("answered after", format!("{:?}", load.counts().await?.minus(&before).answered));
    lossless(&stage, &load).await
}

async fn defined_again(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({"duration": "4s"})).await?;
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let uid = text(&subject.object().await?, "/metadata/uid").to_owned();
    // As a release of another version would have left it behind.
    let definitions = stage.cluster.api(DEFINITIONS.0, DEFINITIONS.1, "").await?;
    let older =
        json!({"apiVersion": DEFINITIONS.0, "kind": DEFINITIONS.1, "spec": {"names": {"shortNames": ["ro", "older"]}}});
    let params = PatchParams { field_manager: Some("helm".to_owned()), ..PatchParams::default() };
    definitions.patch("rollouts.argoproj.io", &params, &Patch::Merge(older)).await?;
    let crds = repository().join("crds");
    let applied = kubectl(&stage, &["apply", "--server-side", "--force-conflicts", "-f", path(&crds)?]).await?;
    ensure!(applied.lines().count() == 5, "not five definitions: {applied}");
    let names = stage.cluster.get(DEFINITIONS.0, DEFINITIONS.1, "", "rollouts.argoproj.io").await?;
    ensure!(
        names.pointer("/spec/names/shortNames") == Some(&json!(["ro"])),
        "it is not as in crds/: {}",
        names["spec"]["names"]
    );
    kubectl(&stage, &["apply", "--dry-run=server", "-f", path(&crds)?]).await?;
    kubectl(&stage, &["apply", "--dry-run=server", "-k", path(&crds)?]).await?;
    ensure!(text(&subject.object().await?, "/metadata/uid") == uid, "the Rollout is another one");
    subject.healthy(Duration::from_secs(60)).await?;
    plain_manifests(&stage).await?;
    allowed(&stage).await?;
    lossless(&stage, &load).await
}

/// A release that serves only its own namespace, and may not do anything elsewhere.
async fn narrow(stage: Stage) -> Result<()> {
    let serin =
        Release { namespace: stage.place.namespace.clone(), instance: "install-narrow".to_owned(), ..stage.serin };
    let stage = Stage { serin, ..stage };
    upgrade(&stage, &["controller.namespaced=true", "rbac.secrets.read=false"]).await?;
    let host = format!("reviews.{}.svc.cluster.local", stage.place.namespace);
    let manifests = Manifests::reviews()?.analysed(&host, 1)?.patient()?;
    let manifests = manifests.steps(json!([{"setWeight": 20}, {"pause": {"duration": "10s"}}, {"setWeight": 60}]))?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("reviews").await?;
    let from = stage.timeline.weights().len();
    stage.apply(&manifests.version("v2")?).await?;
    subject.reaches(2, Duration::from_secs(90)).await?;
    subject.healthy(Duration::from_secs(90)).await?;
    stage.timeline.went(from, &[20, 60, 100])?;
    let runs = stage.place.list(ARGO, "AnalysisRun", "").await?;
    ensure!(
        runs.len() == 1 && text(&runs[0], "/status/phase") == "Successful",
        "{} AnalysisRuns: {runs:?}",
        runs.len()
    );
    let roles = stage.cluster.list("rbac.authorization.k8s.io/v1", "ClusterRole", "", RELEASE_LABEL).await?;
    let ours = roles.iter().filter(|role| text(role, "/metadata/name").ends_with(&stage.serin.namespace)).count();
    ensure!(ours == 0, "there is a ClusterRole");
    allowed(&stage).await?;
    helm(&stage, &["uninstall", "serin", "--wait"]).await?;
    lossless(&stage, &load).await
}

/// What `kubectl apply -f charts/serin/install.yaml` would do, without another controller that serves all.
async fn plain_manifests(stage: &Stage) -> Result<()> {
    let namespaces = stage.cluster.api("v1", "Namespace", "").await?;
    let had = namespaces.get_opt("serin").await?.is_some();
    if !had {
        kubectl(stage, &["create", "namespace", "serin"]).await?;
    }
    let file = repository().join("charts/serin/install.yaml");
    // Its objects name their namespaces, and kubectl refuses those that are not the one that it is told.
    let endpoints = &stage.cluster.endpoints;
    let mut command = tokio::process::Command::new(&endpoints.kubectl);
    command.args(["apply", "--dry-run=server", "-f", path(&file)?]).env("KUBECONFIG", &endpoints.kubeconfig);
    let output = command.output().await?;
    if !had {
        namespaces.delete("serin", &DeleteParams::default()).await?;
    }
    ensure!(output.status.success(), "install.yaml: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// `kubectl delete rollout --cascade=orphan`: its ReplicaSets stay.
async fn orphan(stage: &Stage, subject: &Subject) -> Result<()> {
    kubectl(stage, &["delete", "rollout", &subject.name, "--cascade=orphan", "--timeout=30s"]).await?;
    Ok(())
}

/// Waits until the DestinationRule has nothing of Serin's left.
async fn lifted(stage: &Stage, subject: &Subject) -> Result<()> {
    until("the subsets are as their author wrote them", Duration::from_secs(10), || async {
        let rule = stage.place.get("networking.istio.io/v1", "DestinationRule", &subject.name).await?;
        let labels: Vec<&Value> = (0..2).filter_map(|i| rule.pointer(&format!("/spec/subsets/{i}/labels"))).collect();
        ensure!(
            labels.len() == 2 && labels.iter().all(|it| **it == json!({"app": subject.name})),
            "labels are {labels:?}"
        );
        let ours = rule["metadata"]["annotations"].to_string();
        ensure!(!ours.contains("managed-by"), "its annotations are {ours}");
        Ok(())
    })
    .await
}

/// What routes traffic: weights, subsets, and the pods of each revision.
async fn remains(stage: &Stage, subject: &Subject) -> Result<String> {
    let rule = stage.place.get("networking.istio.io/v1", "DestinationRule", &subject.name).await?;
    let mut pods: Vec<String> =
        subject.pods().await?.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    pods.sort();
    Ok(format!("{:?} {} {pods:?}", subject.weights().await?, rule["spec"]["subsets"]))
}

/// The definitions are there, and the Rollouts with them.
async fn defined(stage: &Stage) -> Result<()> {
    let definitions = stage.cluster.list(DEFINITIONS.0, DEFINITIONS.1, "", "").await?;
    let ours = definitions.iter().filter(|it| text(it, "/spec/group") == "argoproj.io").count();
    ensure!(ours == 5, "{ours} of five definitions are there");
    stage.place.list(ARGO, "Rollout", "").await.map(drop)
}

/// No controller was refused anything.
async fn allowed(stage: &Stage) -> Result<()> {
    let refusals = stage.serin.refusals().await?;
    ensure!(refusals.is_empty(), "refused: {refusals:?}");
    Ok(())
}

/// Every request was answered.
async fn lossless(stage: &Stage, load: &Load) -> Result<()> {
    stage.figures.note("requests", load.all_answered().await?.sent);
    Ok(())
}
