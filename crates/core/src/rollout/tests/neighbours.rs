//! Others who are in the way: ReplicaSets of the same name, and Rollouts that set the same routes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use serin_api::labels;

use super::world::{World, key};
use crate::istio::Selection;
use crate::rollout::observed::Rival;

#[test]
fn a_name_that_somebody_else_has_makes_another_hash() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    let plain = world.clone().turned_to("v2");
    world.observed.names_taken = BTreeSet::from([format!("web-{plain}")]);
    world.settle();
    assert_eq!(world.status().collision_count, Some(1));
    let hash = world.rs("v2").hash.clone();
    assert_ne!(hash, plain);
    assert_eq!(world.rs("v2").name, format!("web-{hash}"));
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    world.observed.names_taken.clear();
    world.settle();
    assert_eq!(world.rs("v2").hash, hash, "a name that is free again changes nothing");
    let sets = world.observed.replica_sets.len();
    world.set_image("v1");
    world.wait(60);
    world.set_image("v2");
    world.settle();
    assert_eq!((world.rs("v2").hash.as_str(), world.observed.replica_sets.len()), (hash.as_str(), sets));
}

#[test]
fn min_ready_seconds_reach_the_pods_that_are_there() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    world.settle();
    let sets = world.observed.replica_sets.len();
    world.set_spec(&json!({"minReadySeconds": 7}));
    world.settle();
    assert_eq!((world.rs("v1").min_ready_seconds, world.rs("v2").min_ready_seconds), (7, 7));
    assert_eq!(world.observed.replica_sets.len(), sets, "and make no revision");
}

#[test]
fn annotations_of_a_rollout_reach_the_newest_revision_and_stay() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    world.settle();
    world.annotate("kubernetes.io/change-cause", "a better search");
    world.annotate("team", "search");
    let foreign = [labels::LAST_APPLIED, labels::NOTIFIED, labels::SCALE_DOWN_DEADLINE, labels::EPHEMERAL_METADATA];
    foreign.into_iter().for_each(|key| world.annotate(key, "not to be copied"));
    let before = world.rs("v2").clone();
    world.settle();
    let after = &world.rs("v2").annotations;
    assert_eq!(after["kubernetes.io/change-cause"], "a better search");
    for key in foreign.into_iter().chain([labels::REVISION, labels::DESIRED_REPLICAS]) {
        assert_eq!(after.get(key), before.annotations.get(key), "{key}");
    }
    assert_eq!(world.rs("v2").template, before.template, "no pod is made anew");
    assert!(!world.rs("v1").annotations.contains_key("team"), "what is said now is said of the newest");
    world.annotate("team", "shop");
    world.patch(&json!({"metadata": {"annotations": {"kubernetes.io/change-cause": null}}}));
    world.settle();
    assert_eq!(world.rs("v2").annotations["team"], "shop");
    assert_eq!(world.rs("v2").annotations["kubernetes.io/change-cause"], "a better search", "a history stays");
    world.set_image("v1");
    world.settle();
    assert_eq!(world.rs("v1").annotations["team"], "shop", "a revision that is the newest again has them, too");
}

fn rival(routes: &[&str], subsets: &[&str]) -> Rival {
    let routes = routes.iter().map(|route| (*route).to_owned()).collect();
    Rival {
        name: "shop/other".to_owned(),
        routes: BTreeMap::from([(key("web"), Selection { routes, ..Selection::default() })]),
        subsets: subsets.iter().map(|subset| (*subset).to_owned()).collect(),
    }
}

/// What is said about a rival, and how often.
#[track_caller]
fn check(case: &str, rival: Rival, wanted: Option<&str>) {
    let mut world = World::hashes().deployed();
    world.told.clear();
    world.observed.rivals = vec![rival];
    world.settle();
    let told: Vec<&String> = world.told.iter().filter(|line| line.starts_with("SharedRoutes: ")).collect();
    let condition = world.condition("RoutesContested");
    match wanted {
        None => assert_eq!((told.len(), condition.as_str()), (0, "absent"), "{case}"),
        Some(wanted) => {
            let message = format!("{wanted}; let one of the two Rollouts name others");
            assert_eq!(told, [&format!("SharedRoutes: {message}")], "{case}");
            assert_eq!(condition, format!("True SharedRoutes: {message}"), "{case}");
        }
    }
    world.observed.rivals.clear();
    world.settle();
    assert_eq!(world.condition("RoutesContested"), "absent", "{case}: it is over");
}

#[test]
fn rollouts_that_set_the_same_are_told_of() {
    let routes = "Rollout shop/other sets the same routes of VirtualService web";
    check("the only route", rival(&[], &[]), Some(routes));
    check("another route", rival(&["elsewhere"], &[]), None);
    check("another subset", rival(&["elsewhere"], &["foreign"]), None);
    let subset = "Rollout shop/other sets the same subset canary of DestinationRule web";
    check("a subset", rival(&["elsewhere"], &["canary", "foreign"]), Some(subset));
    check("both", rival(&[], &["canary"]), Some(&format!("{routes}; {subset}")));
}
