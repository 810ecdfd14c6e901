//! Pointing a Service at the pods of one revision, for every strategy in the same way.

use crate::istio::service::{selector_hash, switch};
use crate::plan::{Effect, Event, Planned};
use crate::rollout::observed::Raw;

use super::scene::Scene;

/// What points a Service at a revision and marks it as the Rollout's; `None` if it stands so. Only a change of the revision
/// is told.
pub(crate) fn point(scene: &Scene<'_>, raw: &Raw, name: &str, hash: &str) -> Option<Planned> {
    let patch = switch(&raw.object, &raw.version, scene.rollout_name(), Some(hash))?;
    let before = selector_hash(&raw.object).unwrap_or_default();
    let message = format!("Switched selector for service '{name}' from '{before}' to '{hash}'");
    Some(Planned {
        effect: Effect::SwitchService { name: name.to_owned(), patch },
        event: (before != hash).then(|| Event::normal("SwitchService", message)),
    })
}
