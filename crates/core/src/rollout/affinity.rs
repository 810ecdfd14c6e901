//! Anti-affinity: pods of a new version stay off the nodes on which stable ones are, as far as the spec asks for that.
//!
//! The term is written into the pod template of the ReplicaSet alone, where it counts for nothing when templates are
//! compared (see `template::affinity`), and goes when the revision is stable itself.

use serde_json::{Value, json};
use serin_api::labels::POD_TEMPLATE_HASH;

use crate::plan::{Effect, Planned};
use crate::rollout::parse::AntiAffinity;
use crate::rollout::template::affinity::{PREFERRED, REQUIRED, without_injected};

use super::scene::Scene;
use super::state::State;

/// A pod template for the new ReplicaSet with the term that the spec asks for.
pub(crate) fn inject(scene: &Scene<'_>, state: &State, template: &Value) -> Value {
    let mut template = without_injected(template);
    let Some((stable, rule)) = wanted(scene, state) else { return template };
    let mut term = json!({
        "labelSelector": {"matchExpressions": [{"key": POD_TEMPLATE_HASH, "operator": "In", "values": [stable]}]},
        "namespaces": [scene.observed.rollout.metadata.namespace],
        "topologyKey": "kubernetes.io/hostname",
    });
    let list = match rule {
        AntiAffinity::Required => REQUIRED,
        AntiAffinity::Preferred(weight) => {
            term = json!({"weight": weight, "podAffinityTerm": term});
            PREFERRED
        }
    };
    let mut place = &mut template;
    for key in ["spec", "affinity", "podAntiAffinity"] {
        if !place[key].is_object() {
            place[key] = json!({});
        }
        place = &mut place[key];
    }
    match place[list].as_array_mut() {
        Some(terms) => terms.push(term),
        None => place[list] = json!([term]),
    }
    template
}

/// What brings the term of an existing ReplicaSet up to date; pods that are there already stay.
pub(crate) fn refresh(scene: &Scene<'_>, state: &State) -> Option<Planned> {
    let rs = scene.new_replica_set()?;
    let goal = inject(scene, state, &rs.template);
    let (is, should) = (rs.template.pointer("/spec/affinity"), goal.pointer("/spec/affinity"));
    if is == should {
        return None;
    }
    let list = |key: &str| should.and_then(|affinity| affinity.pointer(&format!("/podAntiAffinity/{key}")));
    let anti = should.and_then(|affinity| affinity.get("podAntiAffinity"));
    let affinity = match (should, anti) {
        (None, _) => Value::Null,
        (Some(_), None) => json!({"podAntiAffinity": null}),
        (Some(_), Some(_)) => {
            json!({"podAntiAffinity": {REQUIRED: list(REQUIRED), PREFERRED: list(PREFERRED)}})
        }
    };
    let patch = json!({"spec": {"template": {"spec": {"affinity": affinity}}}});
    Some(Planned { effect: Effect::PatchReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), patch }, event: None })
}

/// The stable revision that the new one keeps away from, and how strictly.
fn wanted<'s>(scene: &Scene<'_>, state: &'s State) -> Option<(&'s str, AntiAffinity)> {
    let rule = scene.spec.canary.anti_affinity?;
    let stable = state.stable_hash.as_deref().filter(|stable| *stable != state.current_hash)?;
    Some((stable, rule))
}
