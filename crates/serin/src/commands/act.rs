//! What `promote`, `abort`, `retry` and `pause` have in common: read a Rollout, decide on a patch, write it unless somebody
//! was faster.

use anyhow::{Context, bail};
use clap::Args;
use kube::api::{Api, Patch, PatchParams};
use kube::core::response::reason;
use serde_json::{Value, json};
use serin_api::{Rollout, RolloutStatus};

use crate::cluster::{self, Connection};
use crate::console::Console;
use crate::exit::Exit;

/// How often something is tried when the Rollout changes at the same time, as it does whenever the controller acts.
const TRIES: usize = 5;

/// Who we are to the API server.
const FIELD_MANAGER: &str = "serin-cli";

/// The Rollouts that are meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Targets {
    /// Names of Rollouts; the word `rollout` may stand before them, as in kubectl.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Namespace of the Rollouts [default: that of the kubeconfig's context].
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Targets {
    /// The names without what says that they are of Rollouts: `rollout a b`, `rollout/a`.
    fn plain_names(&self) -> impl Iterator<Item = &str> {
        let is_kind = |word: &str| ["rollout", "rollouts", "ro"].contains(&word);
        let kind_first = self.names.len() > 1 && self.names.first().is_some_and(|first| is_kind(first));
        let names = self.names.iter().skip(usize::from(kind_first));
        names.map(move |name| match name.split_once('/') {
            Some((kind, name)) if is_kind(kind) => name,
            Some(_) | None => name,
        })
    }
}

/// What to do with one Rollout.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// Merge-patch the status.
    Status {
        /// The fields of the status.
        fields: Value,
        /// What to tell when it is done.
        done: String,
    },
    /// Merge-patch the spec.
    Spec {
        /// The fields of the spec.
        fields: Value,
        /// What to tell when it is done.
        done: String,
    },
    /// Leave it as it is, since it is as wanted.
    Nothing(String),
    /// Leave it as it is, since it cannot be done.
    Refuse(String),
}

/// Carries out what `decide` says about each Rollout. One that fails does not keep the others from being tried.
pub(super) fn act_on(
    targets: &Targets,
    decide: &dyn Fn(&Rollout) -> Act,
    console: &mut Console,
) -> anyhow::Result<Exit> {
    cluster::install_tls();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, default) = targets.connection.open().await?;
        let namespace = targets.namespace.as_deref().unwrap_or(&default);
        let api: Api<Rollout> = Api::namespaced(client, namespace);
        let mut exit = Exit::Done;
        for name in targets.plain_names() {
            match act_on_one(&api, name, decide).await {
                Ok(done) => console.line(format_args!("{namespace}/{name}: {done}"))?,
                Err(error) => {
                    exit = Exit::No;
                    console.tell_error(&error.context(format!("{namespace}/{name}")));
                }
            }
        }
        Ok(exit)
    })
}

async fn act_on_one(api: &Api<Rollout>, name: &str, decide: &dyn Fn(&Rollout) -> Act) -> anyhow::Result<String> {
    let mut before = None;
    for _ in 0..TRIES {
        let rollout = api.get(name).await.map_err(cluster::in_words).context("cannot be read")?;
        let act = decide(&rollout);
        // What would have another outcome now is not what was asked for: promoted twice, a step more would be skipped.
        if before.as_ref().is_some_and(|before| *before != act) {
            break;
        }
        if let Some(done) = try_once(api, &rollout, (name, &act)).await? {
            return Ok(done);
        }
        before = Some(act);
    }
    bail!("somebody was faster: the Rollout changed while this was on its way; look at it, then try again")
}

/// Does it, and tells so; `None` if the Rollout has changed since it was read.
async fn try_once(api: &Api<Rollout>, rollout: &Rollout, (name, act): (&str, &Act)) -> anyhow::Result<Option<String>> {
    let version = rollout.metadata.resource_version.clone().unwrap_or_default();
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    // Whoever writes in between, the controller above all, may have changed what this was decided from.
    let body =
        |part: &str, fields: &Value| Patch::Merge(json!({"metadata": {"resourceVersion": version}, part: fields}));
    let (patched, done) = match act {
        Act::Nothing(why) => return Ok(Some(why.clone())),
        Act::Refuse(why) => bail!(why.clone()),
        Act::Spec { fields, done } => (api.patch(name, &params, &body("spec", fields)).await, done),
        Act::Status { fields, done } => {
            let body = body("status", fields);
            match api.patch_status(name, &params, &body).await {
                // Definitions of old have no status subresource.
                Err(kube::Error::Api(status)) if status.is_not_found() => (api.patch(name, &params, &body).await, done),
                patched => (patched, done),
            }
        }
    };
    match patched {
        Ok(_) => Ok(Some(done.clone())),
        Err(kube::Error::Api(status)) if status.reason == reason::CONFLICT => Ok(None),
        Err(error) => Err(cluster::in_words(error)).context("cannot be patched"),
    }
}

/// The status; empty if there is none yet.
pub(super) fn status_of(rollout: &Rollout) -> RolloutStatus {
    rollout.status.clone().unwrap_or_default()
}

/// Why the status cannot be relied upon; `None` if it speaks of the present spec.
pub(super) fn unseen(rollout: &Rollout) -> Option<String> {
    let observed = status_of(rollout).observed_generation.unwrap_or_default();
    let generation = rollout.metadata.generation.unwrap_or_default().to_string();
    (observed != generation).then(|| {
        "no controller has seen its latest change yet; try again in a moment, or look for the controller".to_owned()
    })
}

/// Whether there is nothing left of the update.
pub(super) fn is_promoted(status: &RolloutStatus) -> bool {
    status.stable_rs.is_some() && status.stable_rs == status.current_pod_hash
}

/// A Rollout for the tests of the subcommands.
#[cfg(test)]
#[track_caller]
pub(super) fn example(spec: &Value, status: &Value) -> Rollout {
    let mut whole = json!({"observedGeneration": "1", "currentPodHash": "new", "stableRS": "old"});
    for (field, value) in status.as_object().into_iter().flatten() {
        whole[field] = value.clone();
    }
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
    let mut whole_spec = json!({"strategy": {"canary": {"steps": steps}}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        whole_spec[field] = value.clone();
    }
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "generation": 1},
        "spec": whole_spec, "status": whole,
    });
    serde_json::from_value(rollout).expect("a Rollout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_may_stand_before_the_names() {
        for (case, words, wanted) in [
            ("a name", vec!["reviews"], vec!["reviews"]),
            ("names", vec!["reviews", "ratings"], vec!["reviews", "ratings"]),
            ("the kind before", vec!["rollout", "reviews", "ratings"], vec!["reviews", "ratings"]),
            ("the kind in the name", vec!["ro/reviews", "rollouts/ratings"], vec!["reviews", "ratings"]),
            ("a Rollout with the name of the kind", vec!["rollout"], vec!["rollout"]),
        ] {
            let names = words.into_iter().map(str::to_owned).collect();
            let targets = Targets { names, namespace: None, connection: Connection::default() };
            assert_eq!(targets.plain_names().collect::<Vec<_>>(), wanted, "{case}");
        }
    }
}
