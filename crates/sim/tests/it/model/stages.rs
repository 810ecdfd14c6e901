//! The Rollouts that walks are about, with the steps and switches that they are given on the way.

use serde_json::{Value, json};
use serin_sim::manifests::Manifest;

use super::dice::Dice;
use crate::bench::{manifests, object_mut};

/// Names of the routes that steps make and take away.
pub(super) const MANAGED: [&str; 2] = ["testers", "shadow"];

/// What a Rollout has that not every one has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) has_workload: bool,
    /// A canary whose traffic is split by routes.
    pub(super) is_routed: bool,
    /// Header and mirror routes and weighted experiments are possible.
    pub(super) has_http_steps: bool,
    pub(super) is_blue_green: bool,
}

impl Shape {
    pub(super) fn of(rollout: &Value) -> Self {
        let strategy = &rollout["spec"]["strategy"];
        let routing = &strategy["canary"]["trafficRouting"];
        Shape {
            has_workload: !rollout["spec"]["workloadRef"].is_null(),
            is_routed: !routing.is_null(),
            has_http_steps: !routing["managedRoutes"].is_null(),
            is_blue_green: !strategy["blueGreen"].is_null(),
        }
    }

    /// Whether anything is promised to those whose proxies learn late of a change.
    pub(super) fn is_meshed(self) -> bool {
        self.is_routed || self.is_blue_green
    }
}

/// The manifests of a walk in which only what is common to all happens.
pub(super) fn narrow(seed: u64, dice: &mut Dice) -> Vec<Manifest> {
    let file = dice.pick(&["short", "short", "short", "services", "tcp", "several_routes"]);
    let mut all = manifests(match seed % 8 {
        2 => "canary_scale",
        5 => "step_analysis",
        _ => file,
    });
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(1 + dice.below(5));
    all
}

/// The manifests of a walk in which everything may happen.
pub(super) fn wide(dice: &mut Dice) -> Vec<Manifest> {
    let file = dice.pick(&[
        "blue_green",
        "blue_green",
        "routes",
        "experiment",
        "services",
        "services",
        "short",
        "several_routes",
        "tcp",
        "basic",
    ]);
    let mut all = manifests(file);
    let rollout = object_mut(&mut all, "Rollout");
    rollout["spec"]["replicas"] = json!(1 + dice.below(5));
    if dice.below(3) == 0 {
        rollout["spec"]["rollbackWindow"] = json!({"revisions": 1 + dice.below(3)});
    }
    let canary = &mut rollout["spec"]["strategy"]["canary"];
    if canary["trafficRouting"].is_null() {
        return all;
    }
    if file == "services" && dice.below(2) == 0 {
        swap_roles(canary);
    }
    if dice.below(3) == 0 {
        canary["dynamicStableScale"] = json!(true);
    }
    if file != "tcp" {
        canary["trafficRouting"]["managedRoutes"] = json!(MANAGED.map(|name| json!({"name": name})));
    }
    all
}

/// Lets the two Services of a canary swap their roles with every promotion.
fn swap_roles(canary: &mut Value) {
    let swapped = json!({"pingService": canary["stableService"], "pongService": canary["canaryService"]});
    let canary = canary.as_object_mut().expect("an object");
    canary.retain(|field, _| field != "canaryService" && field != "stableService");
    canary.insert("pingPong".to_owned(), swapped);
}

/// Steps to change to.
pub(super) fn steps(variant: u64) -> Value {
    match variant {
        0 => {
            json!([{"setWeight": 20}, {"pause": {"duration": "20s"}}, {"setWeight": 60}, {"pause": {"duration": "20s"}}])
        }
        1 => json!([
            {"setCanaryScale": {"replicas": 1}},
            {"setHeaderRoute": {"name": "testers", "match": [{"headerName": "x-team", "headerValue": {"exact": "checkout"}}]}},
            {"pause": {"duration": "15s"}},
            {"setMirrorRoute": {"name": "shadow", "match": [{"path": {"prefix": "/"}}], "percentage": 50}},
            {"pause": {"duration": "15s"}},
            {"setCanaryScale": {"matchTrafficWeight": true}},
            {"setWeight": 60},
            {"setHeaderRoute": {"name": "testers"}},
            {"pause": {"duration": "20s"}},
        ]),
        2 => json!([
            {"setWeight": 10},
            {"experiment": {"duration": "20s", "scaleDownDelaySeconds": 0, "templates": [
                {"name": "new", "specRef": "canary", "weight": 20},
                {"name": "old", "specRef": "stable", "weight": 5, "replicas": 2},
            ]}},
            {"setWeight": 50},
            {"pause": {}},
        ]),
        _ => json!([]),
    }
}

/// What may come before and after a switch.
pub(super) fn switching(variant: u64) -> Value {
    let analysis = json!({"templates": [{"templateName": "success-rate"}]});
    match variant {
        0 => json!({"autoPromotionEnabled": false, "previewReplicaCount": 1, "postPromotionAnalysis": analysis}),
        1 => json!({"autoPromotionEnabled": true, "autoPromotionSeconds": 10, "previewReplicaCount": null}),
        _ => json!({"autoPromotionEnabled": true, "autoPromotionSeconds": null, "postPromotionAnalysis": null,
            "scaleDownDelaySeconds": 0, "abortScaleDownDelaySeconds": 5}),
    }
}
