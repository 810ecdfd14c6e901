//! Two Services that swap their roles with each revision.

use serde_json::json;

use super::world::World;
use crate::plan::Effect;

fn turn(world: &World) -> String {
    world.status().canary.stable_ping_pong.unwrap_or_default()
}

/// Weights that were written since, of the Service that is second in the route.
fn written(plans: &[crate::rollout::Plan]) -> usize {
    let effects = plans.iter().flat_map(|plan| &plan.effects);
    effects.filter(|planned| matches!(planned.effect, Effect::ApplyRoutes { .. })).count()
}

#[test]
fn a_promotion_swaps_the_roles_and_moves_no_traffic() {
    for replicas in [1, 5] {
        let mut world = World::ping_pong().spec(&json!({"replicas": replicas})).deployed();
        assert_eq!((turn(&world).as_str(), world.weight()), ("ping", 0), "{replicas}");
        for (version, stable, pong) in [("v2", "pong", 100), ("v3", "ping", 0), ("v4", "pong", 100)] {
            let before = world.weight();
            world.set_image(version);
            world.settle();
            let canary = if stable == "pong" { 20 } else { 80 };
            assert_eq!(world.weight(), canary, "{version}: {}", world.line());
            assert_ne!(turn(&world), stable, "{version}: not yet");
            let hash = world.rs(version).hash.clone();
            assert_eq!(world.service(&format!("web-{stable}")), Some(hash.as_str()), "{version}");
            world.set_status(&json!({"pauseConditions": null}));
            let mut plans = Vec::new();
            while turn(&world) != stable {
                plans.push(world.turn());
            }
            assert_eq!(world.weight(), pong, "{version}: all traffic is there already");
            let promotion = plans.pop().expect("a plan");
            assert_eq!(written(&[promotion]), 0, "{version}: the promotion moves nothing");
            let plans: Vec<_> = (0..40).map(|_| world.turn()).collect();
            assert_eq!((written(&plans), world.weight()), (0, pong), "{version}: nor does what follows it");
            world.wait(60);
            assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{version}: {}", world.line());
            assert_ne!(before, world.weight());
            assert_eq!(world.observed.pods.len(), usize::try_from(replicas).expect("few"), "{version}");
            assert_eq!(world.service("web-ping"), Some(hash.as_str()), "{version}: both stand for it");
            assert_eq!(world.service("web-pong"), Some(hash.as_str()), "{version}: both stand for it");
            let weights = world.status().canary.weights.expect("weights");
            assert_eq!(weights.stable.service_name, Some(format!("web-{stable}")), "{version}");
            assert_eq!((weights.stable.weight, weights.canary.weight), (100, 0), "{version}");
        }
    }
}

#[test]
fn an_abort_keeps_the_roles() {
    let mut world = World::ping_pong().deployed();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"abort": true}));
    world.wait(60);
    assert_eq!((turn(&world).as_str(), world.weight()), ("ping", 0));
    world.set_image("v1");
    world.wait(60);
    assert_eq!((turn(&world).as_str(), world.weight()), ("ping", 0), "a return is no promotion");
    world.expect("Healthy, step 2, 0 %, 5 v1");
}

#[test]
fn what_argo_rollouts_began_goes_on() {
    let mut world = World::ping_pong().deployed();
    world.set_image("v2");
    world.settle();
    // As its status has it: the same fields, and nothing of our own.
    world.patch(&json!({"status": {"serin": null}}));
    world.set_status(&json!({"pauseConditions": null}));
    world.wait(60);
    assert_eq!((turn(&world).as_str(), world.weight()), ("pong", 100));
}
