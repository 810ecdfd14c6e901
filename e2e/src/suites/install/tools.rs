//! The programs that people install and use Serin with: helm, kubectl and Serin's own command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::kit::{IMAGE, Stage, repository, until};

/// Values of every installation here: our image, and only our Rollouts.
fn values(stage: &Stage) -> [String; 3] {
    let (repository, tag) = IMAGE;
    let instance = &stage.serin.instance;
    [format!("image.repository={repository}"), format!("image.tag={tag}"), format!("controller.instanceID={instance}")]
}

/// Installs the chart with helm itself, in place of what the kit has installed in the same way but without it.
pub(super) async fn install(stage: &Stage) -> Result<()> {
    stage.serin.uninstall().await?;
    let namespaces = stage.cluster.api("v1", "Namespace", "").await?;
    until("the old release is gone", Duration::from_secs(90), || async {
        ensure!(namespaces.get_opt(&stage.serin.namespace).await?.is_none(), "{} is there", stage.serin.namespace);
        Ok(())
    })
    .await?;
    upgrade(stage, &[]).await
}

/// Installs or upgrades with further values, and waits until all is ready.
pub(super) async fn upgrade(stage: &Stage, more: &[&str]) -> Result<()> {
    let chart = repository().join("charts/serin");
    let mut arguments =
        vec!["upgrade", "--install", "serin", path(&chart)?, "--create-namespace", "--wait", "--timeout=120s"];
    let own = values(stage);
    for value in own.iter().map(String::as_str).chain(more.iter().copied()) {
        arguments.extend(["--set", value]);
    }
    let notes = helm(stage, &arguments).await?;
    ensure!(notes.contains(&stage.serin.instance), "the notes do not say whom it serves: {notes}");
    stage.serin.ready().await
}

/// Runs helm in the release's namespace.
pub(super) async fn helm(stage: &Stage, arguments: &[&str]) -> Result<String> {
    output(stage, (&stage.cluster.endpoints.helm, &stage.serin.namespace), arguments).await
}

/// Runs kubectl in the case's namespace.
pub(super) async fn kubectl(stage: &Stage, arguments: &[&str]) -> Result<String> {
    output(stage, (&stage.cluster.endpoints.kubectl, &stage.place.namespace), arguments).await
}

/// Runs Serin's command line, as it was built last, in the case's namespace.
pub(super) async fn serin(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let built = ["target/debug/serin", "target/release/serin"].map(|program| repository().join(program));
    let age = |program: &PathBuf| program.metadata().and_then(|it| it.modified()).ok();
    let newest = built.into_iter().filter(|program| program.exists()).max_by_key(age);
    let newest = newest.context("serin is not built: run `serin-e2e build`")?;
    output(stage, (&newest, &stage.place.namespace), arguments).await
}

/// What a program says on its standard output; its complaint if it fails.
async fn output(stage: &Stage, (program, namespace): (&Path, &str), arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).args(["--namespace", namespace]).env("KUBECONFIG", &stage.cluster.endpoints.kubeconfig);
    let output = command.output().await.with_context(|| format!("failed to run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {}: {said}{complaint}", program.display(), arguments.join(" "));
    Ok(said)
}

/// A path as an argument.
pub(super) fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
