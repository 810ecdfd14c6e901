//! Tests of the reading of a spec, by table over changes of a Rollout that is valid.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use serin_api::Rollout;

use super::*;
use crate::istio::ManagedKind;
use crate::rollout::ControlPlane;
use crate::rollout::observed::{Found, Raw, Settings, Template, TemplateKey, Workload, Writer};
use crate::rollout::step::{CanaryScale, Step};

/// A Rollout with everything that it refers to, as JSON that a test may change.
struct World {
    rollout: Value,
    workload: Value,
    services: Value,
    virtual_service: Value,
    destination_rule: Value,
    templates: Value,
}

impl World {
    fn new() -> Self {
        World {
            rollout: json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "reviews-rollout", "namespace": "bookinfo"},
                "spec": {
                    "replicas": 5,
                    "selector": {"matchLabels": {"app": "reviews"}},
                    "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews"},
                    "strategy": {"canary": {
                        "analysis": {
                            "templates": [{"templateName": "apdex"}], "startingStep": 2,
                            "args": [{"name": "service-name", "value": "canary|reviews"}],
                        },
                        "canaryMetadata": {"labels": {"version": "canary"}, "annotations": {"version": "canary"}},
                        "stableMetadata": {"labels": {"version": "stable"}},
                        "trafficRouting": {"istio": {
                            "virtualService": {"name": "reviews"},
                            "destinationRule": {
                                "name": "reviews", "canarySubsetName": "canary", "stableSubsetName": "stable",
                            },
                        }},
                        "steps": [{"setWeight": 10}, {"pause": {"duration": "10m"}}, {"setWeight": 20}],
                    }},
                },
            }),
            workload: json!({
                "template": {
                    "metadata": {"labels": {"app": "reviews", "version": "stable"}},
                    "spec": {"containers": [{"name": "reviews", "image": "reviews:1"}]},
                },
                "selector": {"matchLabels": {"app": "reviews", "version": "stable"}},
            }),
            services: json!({}),
            virtual_service: json!({
                "metadata": {"name": "reviews", "namespace": "bookinfo"},
                "spec": {"http": [{"route": [
                    {"destination": {"host": "reviews", "subset": "stable"}, "weight": 100},
                    {"destination": {"host": "reviews", "subset": "canary"}, "weight": 0},
                ]}]},
            }),
            destination_rule: json!({
                "spec": {"host": "reviews", "subsets": [{"name": "stable"}, {"name": "canary"}]},
            }),
            templates: json!({"apdex": {
                "args": [{"name": "service-name"}],
                "metrics": [{
                    "name": "apdex", "interval": "5m", "successCondition": "result[0] >= 0.9",
                    "provider": {"prometheus": {"address": "http://prometheus", "query": "x{s=\"{{args.service-name}}\"}"}},
                }],
            }}),
        }
    }

    /// Merges a JSON merge patch into the spec.
    fn with(mut self, patch: &Value) -> Self {
        json_patch::merge(&mut self.rollout["spec"], patch);
        self
    }

    fn with_canary(self, patch: &Value) -> Self {
        self.with(&json!({"strategy": {"canary": patch}}))
    }

    fn with_steps(self, steps: &Value) -> Self {
        self.with_canary(&json!({"steps": steps}))
    }

    /// Without Istio, analysis and workloadRef: the least that is a Rollout.
    fn basic() -> Self {
        let world = World::new();
        let template = world.workload["template"].clone();
        world
            .with(&json!({"template": template, "workloadRef": null}))
            .with_canary(&json!({"trafficRouting": null, "analysis": null}))
    }

    /// Split by Services instead of subsets.
    fn by_services() -> Self {
        let mut world = World::new().with_canary(&json!({
            "canaryService": "reviews-canary", "stableService": "reviews-stable",
            "trafficRouting": {"istio": {"destinationRule": null}},
        }));
        world.services = json!({
            "reviews-canary": {"metadata": {"name": "reviews-canary"}, "spec": {"selector": {"app": "reviews"}}},
            "reviews-stable": {"metadata": {"name": "reviews-stable"}, "spec": {"selector": {"app": "reviews"}}},
        });
        world.virtual_service["spec"]["http"][0]["route"] =
            json!([{"destination": {"host": "reviews-stable"}}, {"destination": {"host": "reviews-canary"}}]);
        world
    }

    /// Switched by Services.
    fn blue_green(patch: &Value) -> Self {
        let mut world = World::by_services().with(&json!({"strategy": {"canary": null, "blueGreen": {
            "activeService": "reviews-stable", "previewService": "reviews-canary",
        }}}));
        json_patch::merge(&mut world.rollout["spec"]["strategy"]["blueGreen"], patch);
        world
    }

    fn observe(&self) -> Observed {
        let raw = |object: &Value| {
            if object.is_null() {
                return Found::Missing;
            }
            Found::Present(Raw {
                object: Arc::new(object.clone()),
                version: "1".to_owned(),
                seen_at: DateTime::<Utc>::UNIX_EPOCH,
                writer: Writer::Unknown,
            })
        };
        let key = VirtualServiceKey { namespace: "bookinfo".to_owned(), name: "reviews".to_owned() };
        let rollout: Rollout = serde_json::from_value(self.rollout.clone()).expect("a Rollout");
        let templates = self.templates.as_object().expect("templates").iter().map(|(name, spec)| {
            let spec = Arc::new(serde_json::from_value(spec.clone()).expect("a template"));
            let key = TemplateKey { cluster_scope: false, name: name.clone() };
            (key, Found::Present(Template { spec, semantics: None }))
        });
        Observed {
            now: DateTime::<Utc>::UNIX_EPOCH,
            workload: Some(if self.workload.is_null() {
                Found::Missing
            } else {
                Found::Present(Workload {
                    template: self.workload["template"].clone(),
                    selector: self.workload["selector"].clone(),
                    generation: 1,
                    replicas: Some(1),
                })
            }),
            replica_sets: Vec::new(),
            pods: Vec::new(),
            services: self.services.as_object().into_iter().flatten().map(|(name, o)| (name.clone(), raw(o))).collect(),
            virtual_services: BTreeMap::from([(key, raw(&self.virtual_service))]),
            destination_rule: Some(raw(&self.destination_rule)),
            left_behind: Vec::new(),
            templates: templates.collect(),
            analysis_runs: Vec::new(),
            names_taken: BTreeSet::new(),
            rivals: Vec::new(),
            experiments: Vec::new(),
            experiment_services: BTreeMap::new(),
            experiment_pods: Vec::new(),
            control_plane: ControlPlane::Unknown,
            settings: Settings::default(),
            rollout: Arc::new(rollout),
        }
    }

    fn spec(&self) -> Spec {
        parse(&self.observe()).expect("a valid spec")
    }
}

#[track_caller]
fn check(case: &str, world: &World, errors: &[&str]) {
    let got: Vec<String> = parse(&world.observe()).err().unwrap_or_default().iter().map(ToString::to_string).collect();
    assert_eq!(got, errors, "{case}");
}

#[test]
fn the_bookinfo_rollout_is_read() {
    let spec = World::new().spec();
    assert_eq!((spec.replicas, spec.replicas_given, spec.min_ready_seconds), (5, true, 0));
    assert_eq!((spec.revision_history_limit, spec.analysis_history, spec.paused), (10, (5, 5), false));
    assert_eq!((spec.progress_deadline, spec.progress_deadline_abort), (TimeDelta::seconds(600), false));
    assert_eq!(spec.selector, json!({"matchLabels": {"app": "reviews"}}), "the Rollout's own comes first");
    assert_eq!(spec.match_labels, BTreeMap::from([("app".to_owned(), "reviews".to_owned())]));
    assert_eq!(spec.template["spec"]["containers"][0]["image"], "reviews:1");
    let canary = spec.canary;
    let steps: Vec<Step> = canary.steps.iter().cloned().collect();
    assert_eq!(steps, [Step::SetWeight(10), Step::Pause(Some(TimeDelta::minutes(10))), Step::SetWeight(20)]);
    assert_eq!((canary.surge_max, canary.unavailable_max), (IntOrPercent::Percent(25), IntOrPercent::Percent(25)));
    assert_eq!(canary.scale_down_delay, TimeDelta::seconds(30));
    assert_eq!(canary.abort_scale_down_delay, Some(TimeDelta::seconds(30)));
    assert_eq!(canary.background.and_then(|background| background.starting_step), Some(2));
    assert_eq!(canary.canary_metadata.labels["version"], "canary");
    let routing = canary.routing.expect("routing");
    assert_eq!(routing.virtual_services[0].key.namespace, "bookinfo");
    assert_eq!(routing.destination_rule.expect("a DestinationRule").stable_subset, "stable");
}

#[test]
fn defaults_depend_on_the_traffic_routing() {
    let spec = World::basic().with(&json!({"replicas": null})).spec();
    assert_eq!((spec.replicas, spec.replicas_given), (1, false));
    assert_eq!(spec.canary.scale_down_delay, TimeDelta::zero());
    assert_eq!(spec.canary.routing, None);
    let spec = World::new().with_canary(&json!({"abortScaleDownDelaySeconds": 0})).spec();
    assert_eq!(spec.canary.abort_scale_down_delay, None, "zero keeps the canary");
    let spec = World::new().with(&json!({"selector": null})).with_canary(&json!({"canaryMetadata": null})).spec();
    assert_eq!(spec.match_labels["version"], "stable", "the workload's selector is taken where there is no other");
    assert!(World::by_services().spec().canary.routing.expect("routing").destination_rule.is_none());
}

#[test]
fn steps_are_read() {
    let steps = json!([
        {"pause": {}}, {"pause": {"duration": 30}}, {"pause": {"duration": "90"}},
        {"setCanaryScale": {"weight": 25}}, {"setCanaryScale": {"replicas": 2}}, {"setCanaryScale": {"matchTrafficWeight": true}},
    ]);
    let spec = World::new().with_steps(&steps).spec();
    let steps: Vec<Step> = spec.canary.steps.iter().cloned().collect();
    assert_eq!(
        steps,
        [
            Step::Pause(None),
            Step::Pause(Some(TimeDelta::seconds(30))),
            Step::Pause(Some(TimeDelta::seconds(90))),
            Step::SetCanaryScale(CanaryScale::Weight(25)),
            Step::SetCanaryScale(CanaryScale::Replicas(2)),
            Step::SetCanaryScale(CanaryScale::MatchTrafficWeight),
        ]
    );
}

#[test]
fn header_and_mirror_steps_are_read() {
    let managed = json!({"trafficRouting": {"managedRoutes": [{"name": "h"}, {"name": "m"}]}});
    let header = json!([{"headerName": "a", "headerValue": {"exact": "b"}}, {"headerName": "c", "headerValue": {"regex": "d.*"}}]);
    let mirror = json!([{"method": {"exact": "GET"}, "path": {"prefix": "/"}, "headers": {"a": {"exact": "b"}}}]);
    let steps = json!([
        {"setHeaderRoute": {"name": "h", "match": header}}, {"setMirrorRoute": {"name": "m", "match": mirror, "percentage": 5}},
        {"setHeaderRoute": {"name": "h"}},
    ]);
    let spec = World::new().with_canary(&managed).with_steps(&steps).spec();
    assert_eq!(spec.canary.routing.clone().expect("routing").managed_routes, ["h", "m"]);
    let both = spec.canary.steps.routes_at(1);
    assert_eq!(
        both[0].matches,
        [json!({"headers": {"a": {"exact": "b"}}}), json!({"headers": {"c": {"regex": "d.*"}}})]
    );
    let mirror = json!({"method": {"exact": "GET"}, "uri": {"prefix": "/"}, "headers": {"a": {"exact": "b"}}});
    assert_eq!((both[1].kind, &both[1].matches), (ManagedKind::Mirror { percentage: 5 }, &vec![mirror]));
    let left: Vec<String> = spec.canary.steps.routes_at(2).into_iter().map(|route| route.name).collect();
    assert_eq!(left, ["m"], "without a match a step removes its route");
}

#[test]
fn header_and_mirror_steps_are_checked() {
    let steps = |name: &str, value: &Value| json!([{"setHeaderRoute": {"name": name, "match": [{"headerName": "a", "headerValue": value}]}}]);
    let exact = json!({"exact": "b"});
    let field = "spec.strategy.canary.steps[0].setHeaderRoute";
    check(
        "no names",
        &World::new().with_steps(&steps("h", &exact)),
        &[&format!(
            "{field}: Invalid value: \"h\": Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'"
        )],
    );
    let managed = json!({"trafficRouting": {"managedRoutes": [{"name": "h"}]}});
    let world = || World::new().with_canary(&managed);
    check("a name that is listed", &world().with_steps(&steps("h", &exact)), &[]);
    check(
        "another name",
        &world().with_steps(&steps("x", &exact)),
        &[&format!(
            "{field}: Invalid value: \"x\": Steps define a route that does not exist in \
             spec.strategy.canary.trafficRouting.managedRoutes"
        )],
    );
    check(
        "two values",
        &world().with_steps(&steps("h", &json!({"exact": "b", "prefix": "b"}))),
        &[&format!(
            "{field}.match[0].headerValue: Invalid value: \"\": StringMatch match value must have exactly one of the \
             following: exact, regex, prefix"
        )],
    );
    check(
        "no value",
        &world().with_steps(&steps("h", &json!({}))),
        &[&format!(
            "{field}.match[0].headerValue: Invalid value: \"\": StringMatch value missed, match value must have one of the \
             following: exact, regex, prefix"
        )],
    );
    check(
        "no routing",
        &World::basic().with_steps(&steps("h", &exact)),
        &[&format!(
            "{field}: Invalid value: \"\": SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix"
        )],
    );
    let mirror = json!([{"setMirrorRoute": {"name": "h", "match": [{}], "percentage": 101}}]);
    let field = "spec.strategy.canary.steps[0].setMirrorRoute";
    check(
        "a mirror of nothing",
        &world().with_steps(&mirror),
        &[
            &format!("{field}.percentage: Invalid value: 101: percentage needs to be between 0 and 100"),
            &format!("{field}.match[0]: Required value: a match needs a method, a path or headers"),
        ],
    );
}

#[test]
fn numbers_of_pods_are_checked() {
    let field = "spec.strategy.canary";
    check(
        "a stable side that nothing measures",
        &World::basic().with_canary(&json!({"dynamicStableScale": true})),
        &[&format!(
            "{field}.dynamicStableScale: Invalid value: true: Canary dynamicStableScale can only be used with traffic routing"
        )],
    );
    check(
        "a stable side that both stays and goes",
        &World::new().with_canary(&json!({"dynamicStableScale": true, "scaleDownDelaySeconds": 5})),
        &[&format!(
            "{field}.dynamicStableScale: Invalid value: true: Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        )],
    );
    check(
        "an unknown kind of threshold",
        &World::new().with_canary(&json!({"replicaProgressThreshold": {"type": "Share", "value": 1}})),
        &[&format!("{field}.replicaProgressThreshold.type: Invalid value: \"Share\": must be Percent or Pods")],
    );
    assert_eq!((Threshold::Percent(50).of(5), Threshold::Percent(50).of(0), Threshold::Pods(3).of(2)), (3, 0, 2));
}

#[test]
fn numbers_are_checked() {
    check(
        "negative numbers",
        &World::new().with(&json!({"replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1})),
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check(
        "a deadline that is met before pods are available",
        &World::new().with(&json!({"minReadySeconds": 600})),
        &["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"],
    );
    check(
        "neither surge nor unavailable",
        &World::new().with_canary(&json!({"maxSurge": 0, "maxUnavailable": "0%"})),
        &["spec.strategy.canary.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero"],
    );
    check("no surge alone is fine", &World::new().with_canary(&json!({"maxSurge": 0})), &[]);
    check(
        "shares that are none",
        &World::new().with_canary(&json!({"maxSurge": "some", "maxUnavailable": "150%"})),
        &[
            "spec.strategy.canary.maxSurge: Invalid value: \"some\": must be a number of pods, or a percentage such as \
         \"25%\"; neither may be negative",
            "spec.strategy.canary.maxUnavailable: Invalid value: \"150%\": should not be more than 100%",
        ],
    );
    check(
        "a delay without traffic routing",
        &World::basic().with_canary(&json!({"scaleDownDelaySeconds": 3})),
        &[
            "spec.strategy.canary.scaleDownDelaySeconds: Invalid value: 3: Canary scaleDownDelaySeconds can only be used \
         with traffic routing",
        ],
    );
}

#[test]
fn the_workload_is_checked() {
    check(
        "neither template nor workloadRef",
        &World::basic().with(&json!({"template": null, "selector": null})),
        &[
            "spec.selector: Required value: Rollout has missing field '.spec.selector'",
            "spec.template: Required value: Rollout has missing field '.spec.template'",
        ],
    );
    check(
        "an empty selector",
        &World::new().with(&json!({"selector": {"matchLabels": null}})),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    check(
        "both template and workloadRef",
        &World::new().with(&json!({"template": {"spec": {"containers": [{}]}}})),
        &["spec.template: Forbidden: template must be empty for workload reference rollout"],
    );
    check("a blank template beside a workloadRef is fine", &World::new().with(&json!({"template": {"spec": {}}})), &[]);
    check(
        "a selector that does not match",
        &World::new().with(&json!({"selector": {"matchLabels": {"app": "x"}}})),
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"reviews\",\"version\":\"stable\"}: `selector` does \
         not match template `labels`",
        ],
    );
    let mut world = World::new();
    world.workload = Value::Null;
    check(
        "a workload that is not there",
        &world,
        &["spec.workloadRef.name: Invalid value: \"reviews\": deployments.apps \"reviews\" not found"],
    );
    check(
        "a workload of another kind",
        &World::new().with(&json!({"workloadRef": {"kind": "StatefulSet"}})),
        &[
            "spec.workloadRef: Invalid value: \"apps/v1 StatefulSet\": must be a Deployment or ReplicaSet of apps/v1, or a \
         PodTemplate of v1",
        ],
    );
    check(
        "no containers",
        &World::basic().with(&json!({"template": {"spec": {"containers": []}}})),
        &["spec.template.spec.containers: Required value: the pod template needs at least one container"],
    );
    check(
        "labels of a role that take pods away",
        &World::new().with_canary(&json!({"canaryMetadata": {"labels": {"app": "x"}}})),
        &[
            "spec.strategy.canary.canaryMetadata.labels: Forbidden: pods with these labels would not match spec.selector any \
         more; use other keys",
        ],
    );
}

#[test]
fn strategies_are_checked() {
    check(
        "none",
        &World::new().with(&json!({"strategy": {"canary": null}})),
        &[
            "spec.strategy: Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
        ],
    );
    check(
        "both",
        &World::new().with(&json!({"strategy": {"blueGreen": {"activeService": "x"}}})),
        &["spec.strategy: Invalid value: \"blueGreen, canary\": Multiple Strategies can not be listed"],
    );
    check(
        "one Service for both sides",
        &World::basic().with_canary(&json!({"canaryService": "a", "stableService": "a"})),
        &[
            "spec.strategy.canary.stableService: Invalid value: \"a\": This rollout uses the same service for the stable and \
         canary services, but two different services are required.",
            "spec.strategy.canary.canaryService: Invalid value: \"a\": services \"a\" not found",
            "spec.strategy.canary.stableService: Invalid value: \"a\": services \"a\" not found",
        ],
    );
}

#[test]
fn steps_are_checked() {
    check(
        "every wrong step is told",
        &World::new().with_steps(&json!([
            {}, {"setWeight": 10, "pause": {}}, {"setWeight": 101}, {"pause": {"duration": "-5s"}},
            {"pause": {"duration": "5 minutes"}}, {"setCanaryScale": {}}, {"setCanaryScale": {"replicas": -1}},
        ])),
        &[
            "spec.strategy.canary.steps[0]: Invalid value: \"\": Step must have one of the following set: experiment, \
             setWeight, setCanaryScale, plugin or pause, or analysis; this one has none",
            "spec.strategy.canary.steps[1]: Invalid value: \"setWeight, pause\": Step must have one of the following set: \
             experiment, setWeight, setCanaryScale, plugin or pause, or analysis; write setWeight and pause as separate \
             steps",
            "spec.strategy.canary.steps[2].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100",
            "spec.strategy.canary.steps[3].pause.duration: Invalid value: \"-5s\": Duration needs to be greater than 0",
            "spec.strategy.canary.steps[4].pause.duration: Invalid value: \"5 minutes\": `5 minutes` is not a duration; \
             write a number and a unit, such as 30s, 5m or 1h30m",
            "spec.strategy.canary.steps[5].setCanaryScale: Required value: exactly one of weight, replicas and \
             matchTrafficWeight: true",
            "spec.strategy.canary.steps[6].setCanaryScale.replicas: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check(
        "a scale without traffic routing",
        &World::basic().with_steps(&json!([{"setCanaryScale": {"weight": 5}}])),
        &[
            "spec.strategy.canary.steps[0].setCanaryScale: Invalid value: \"\": SetCanaryScale requires TrafficRouting to be \
         set",
        ],
    );
    check(
        "a step that comes later",
        &World::new().with_steps(&json!([{"setWeight": 5}, {"plugin": {"name": "x"}}])),
        &["spec.strategy.canary.steps[1].plugin: Forbidden: plugin is not supported yet; use an analysis step"],
    );
}

#[test]
fn traffic_routing_is_checked() {
    let istio = |patch: &Value| World::new().with_canary(&json!({"trafficRouting": {"istio": patch}}));
    check(
        "no VirtualService",
        &istio(&json!({"virtualService": null})),
        &["spec.strategy.canary.trafficRouting.istio.virtualService: Required value: either VirtualService or \
         VirtualServices must be configured"],
    );
    check(
        "both forms",
        &istio(&json!({"virtualServices": [{"name": "x"}]})),
        &[
            "spec.strategy.canary.trafficRouting.istio.virtualServices: Invalid value: \"virtualService, virtualServices\": \
         either VirtualService or VirtualServices must be configured, not both",
        ],
    );
    check(
        "the same twice",
        &istio(
            &json!({"virtualService": null, "virtualServices": [{"name": "reviews"}, {"name": "reviews.bookinfo"}]}),
        ),
        &[
            "spec.strategy.canary.trafficRouting.istio.virtualServices[1].name: Invalid value: \"reviews.bookinfo\": the \
         VirtualService is listed twice; list all of its routes once",
        ],
    );
    check(
        "no Services and no DestinationRule",
        &istio(&json!({"destinationRule": null})),
        &[
            "spec.strategy.canary.canaryService: Invalid value: \"\": Canary service and Stable service must to be set to use \
         Traffic Routing; canaryService is missing, and so is stableService, unless a destinationRule is given",
            "spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: \"reviews\": Istio VirtualService \
         has invalid HTTP routes. Error: Canary Service '' not found in route",
            "spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: \"reviews\": Istio VirtualService \
         has invalid HTTP routes. Error: Stable Service '' not found in route",
        ],
    );
    check(
        "one subset for both sides",
        &istio(&json!({"destinationRule": {"canarySubsetName": "stable"}})),
        &[
            "spec.strategy.canary.trafficRouting.istio.destinationRule.stableSubsetName: Invalid value: \"stable\": canary and \
         stable need two different subsets",
        ],
    );
    check(
        "another router",
        &World::new().with_canary(&json!({"trafficRouting": {"istio": null, "nginx": {"stableIngress": "x"}}})),
        &["spec.strategy.canary.trafficRouting.nginx: Forbidden: nginx is not supported yet; use trafficRouting.istio"],
    );
    check(
        "no router",
        &World::new().with_canary(&json!({"trafficRouting": {"istio": null, "managedRoutes": [{"name": "x"}]}})),
        &[
            "spec.strategy.canary.trafficRouting.istio: Required value: trafficRouting needs istio; remove trafficRouting to \
         split by numbers of pods",
        ],
    );
}

#[test]
fn istio_objects_are_checked() {
    const NAME: &str = "spec.strategy.canary.trafficRouting.istio.virtualService.name: Invalid value: \"reviews\": ";
    let mut world = World::new();
    world.virtual_service = Value::Null;
    check(
        "a VirtualService that is not there",
        &world,
        &[&format!("{NAME}virtualservices.networking.istio.io \"reviews\" not found")],
    );
    let mut world = World::new();
    world.virtual_service["spec"]["http"] = json!([{}, {}]);
    check(
        "routes that need names",
        &world,
        &[&format!(
            "{NAME}Istio VirtualService has invalid HTTP routes. Error: spec.http[] should be set in VirtualService and it must \
         have exactly one route when omitting spec.strategy.canary.trafficRouting.istio.virtualService.routes"
        )],
    );
    let mut world = World::new();
    world.virtual_service["spec"]["http"][0]["route"][1]["destination"]["subset"] = json!("v2");
    check(
        "a subset that no destination has",
        &world,
        &[&format!(
            "{NAME}Istio VirtualService has invalid HTTP routes. Error: Canary DestinationRule subset 'canary' not found in route"
        )],
    );
    let mut world = World::new();
    world.destination_rule = Value::Null;
    check(
        "a DestinationRule that is not there",
        &world,
        &["spec.strategy.canary.trafficRouting.istio.destinationRule.name: Invalid value: \"reviews\": \
         destinationrules.networking.istio.io \"reviews\" not found"],
    );
    world.destination_rule = json!({"spec": {"host": "reviews", "subsets": [{"name": "stable"}]}});
    check(
        "a subset that is not there",
        &world,
        &[
            "spec.strategy.canary.trafficRouting.istio.destinationRule.canarySubsetName: Invalid value: \"canary\": there is no \
         subset named 'canary'; the DestinationRule has [stable]",
        ],
    );
}

#[test]
fn services_are_checked() {
    let mut world = World::by_services();
    world.services["reviews-canary"] = Value::Null;
    world.services["reviews-stable"]["metadata"]["annotations"] =
        json!({serin_api::labels::MANAGED_BY_ROLLOUTS: "other"});
    world.services["reviews-stable"]["spec"]["selector"]["tier"] = json!("web");
    check(
        "missing, another's, and of other pods",
        &world,
        &[
            "spec.strategy.canary.canaryService: Invalid value: \"reviews-canary\": services \"reviews-canary\" not found",
            "spec.strategy.canary.stableService: Invalid value: \"reviews-stable\": Service \"reviews-stable\" is managed by \
         another Rollout",
            "spec.strategy.canary.stableService: Invalid value: \"reviews-stable\": Service \"reviews-stable\" has unmatch label \
         \"tier\" in rollout",
        ],
    );
    world = World::by_services();
    world.services["reviews-canary"]["spec"]["selector"] = json!({});
    check(
        "a Service without a selector",
        &world,
        &[
            "spec.strategy.canary.canaryService: Invalid value: \"reviews-canary\": Service \"reviews-canary\" has no selector; \
         give it one that selects the pods",
        ],
    );
}

#[test]
fn analyses_are_checked() {
    let analysis = |patch: &Value| World::new().with_canary(&json!({"analysis": patch}));
    check(
        "a template that is not there",
        &analysis(&json!({"templates": [{"templateName": "x"}]})),
        &["spec.strategy.canary.analysis.templates[0]: AnalysisTemplate `x` does not exist"],
    );
    check(
        "no template",
        &analysis(&json!({"templates": null})),
        &["spec.strategy.canary.analysis.templates: Required value: an analysis needs at least one template"],
    );
    check(
        "an argument without value",
        &analysis(&json!({"args": null})),
        &["spec.strategy.canary.analysis.args: args.service-name was not resolved"],
    );
    check(
        "a hash that is known later",
        &analysis(&json!({"args": [
            {"name": "service-name", "valueFrom": {"podTemplateHashValue": "Latest"}},
        ]})),
        &[],
    );
    check(
        "a status that comes later",
        &analysis(&json!({"args": [
            {"name": "service-name", "valueFrom": {"fieldRef": {"fieldPath": "status.stableRS"}}},
        ]})),
        &[],
    );
    check(
        "a step that does not end",
        &World::new().with_steps(&json!([{"analysis": {
            "templates": [{"templateName": "apdex"}], "args": [{"name": "service-name", "value": "x"}],
        }}])),
        &[
            "spec.strategy.canary.steps[0].analysis.templates: Invalid value: \"apdex\": AnalysisTemplate apdex has metric apdex \
         which runs indefinitely. Invalid value for count: what waits for it needs one",
        ],
    );
    let mut world = World::new();
    world.templates["apdex"]["metrics"][0]["successCondition"] = json!("result[0] >");
    let errors = parse(&world.observe()).expect_err("a condition that does not compile");
    assert_eq!(errors[0].field, "spec.strategy.canary.analysis.metrics[0].successCondition");
}

#[test]
fn the_message_names_the_rollout_and_every_error() {
    let errors = [FieldError::new("spec.a", "Invalid value: 1: x"), FieldError::new("spec.b", "Required value: y")];
    assert_eq!(
        invalid_message("reviews", &errors),
        "The Rollout \"reviews\" is invalid: spec.a: Invalid value: 1: x; spec.b: Required value: y"
    );
}

#[test]
fn blue_green_is_read_with_its_defaults() {
    let spec = World::blue_green(&json!({})).spec();
    let blue_green = spec.blue_green.expect("blue-green");
    assert_eq!(blue_green.active_service, "reviews-stable");
    assert_eq!(blue_green.preview_service.as_deref(), Some("reviews-canary"));
    assert_eq!((blue_green.auto_promotion, blue_green.auto_promotion_delay), (true, None));
    assert_eq!(blue_green.preview_replicas, None);
    assert_eq!(spec.canary.scale_down_delay, TimeDelta::seconds(30));
    assert_eq!(spec.canary.abort_scale_down_delay, Some(TimeDelta::seconds(30)));
    let forever = World::blue_green(&json!({"abortScaleDownDelaySeconds": 0, "autoPromotionSeconds": 60})).spec();
    assert_eq!(forever.canary.abort_scale_down_delay, None);
    assert_eq!(forever.blue_green.and_then(|spec| spec.auto_promotion_delay), Some(TimeDelta::seconds(60)));
}

#[test]
fn blue_green_is_checked() {
    let refused = |case: &str, patch: &Value, errors: &[&str]| check(case, &World::blue_green(patch), errors);
    refused(
        "no active Service",
        &json!({"activeService": ""}),
        &["spec.strategy.blueGreen.activeService: Required value: the Service that carries production traffic"],
    );
    refused(
        "one Service for both",
        &json!({"previewService": "reviews-stable"}),
        &[
            "spec.strategy.blueGreen.previewService: Invalid value: \"reviews-stable\": This rollout uses the same service \
           for the active and preview services, but two different services are required.",
        ],
    );
    refused(
        "a Service that is not there",
        &json!({"previewService": "x"}),
        &["spec.strategy.blueGreen.previewService: Invalid value: \"x\": services \"x\" not found"],
    );
    refused(
        "more waiting revisions than there are",
        &json!({"scaleDownDelayRevisionLimit": 11}),
        &["spec.strategy.blueGreen.scaleDownDelayRevisionLimit: Invalid value: 11: must not be greater than \
           revisionHistoryLimit, which is 10"],
    );
    refused(
        "negative numbers",
        &json!({"previewReplicaCount": -1, "autoPromotionSeconds": -1}),
        &[
            "spec.strategy.blueGreen.autoPromotionSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.strategy.blueGreen.previewReplicaCount: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    let mut world = World::blue_green(&json!({"previewMetadata": {"labels": {"version": "new"}}}));
    world.services["reviews-stable"]["spec"]["selector"]["version"] = json!("stable");
    check(
        "a selector that the preview does not match",
        &world,
        &["spec.strategy.blueGreen.activeService: Invalid value: \"reviews-stable\": Service \"reviews-stable\" has \
           unmatch label \"version\" in rollout"],
    );
    refused(
        "an analysis without end",
        &json!({"prePromotionAnalysis": {
            "templates": [{"templateName": "apdex"}], "args": [{"name": "service-name", "value": "x"}],
        }}),
        &[
            "spec.strategy.blueGreen.prePromotionAnalysis.templates: Invalid value: \"apdex\": AnalysisTemplate apdex has \
           metric apdex which runs indefinitely. Invalid value for count: what waits for it needs one",
        ],
    );
    refused(
        "an anti-affinity of neither kind",
        &json!({"antiAffinity": {}}),
        &[
            "spec.strategy.blueGreen.antiAffinity: Invalid value: \"\": AntiAffinity must have exactly one strategy listed",
        ],
    );
}

#[test]
fn what_is_general_is_checked() {
    check(
        "a negative window",
        &World::new().with(&json!({"rollbackWindow": {"revisions": -1}})),
        &["spec.rollbackWindow.revisions: Invalid value: -1: must be greater than or equal to 0"],
    );
    check("a window of nothing", &World::new().with(&json!({"rollbackWindow": {}})), &[]);
    for known in ["never", "onsuccess", "progressively", ""] {
        check(known, &World::new().with(&json!({"workloadRef": {"scaleDown": known}})), &[]);
    }
    check(
        "another word",
        &World::new().with(&json!({"workloadRef": {"scaleDown": "onSuccess"}})),
        &["spec.workloadRef.scaleDown: Invalid value: \"onSuccess\": must be never, onsuccess or progressively"],
    );
    let field = "spec.strategy.canary";
    let weight = |weight: i32| {
        let preferred = json!({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": weight}});
        World::new().with_canary(&json!({"antiAffinity": preferred}))
    };
    check("an anti-affinity", &weight(100), &[]);
    check(
        "a weight that the scheduler does not know",
        &weight(101),
        &[&format!("{field}.antiAffinity.weight: Invalid value: 101: AntiAffinity weight must be between 1-100")],
    );
    check(
        "a weight that Istio has no use for",
        &World::new().with_canary(&json!({"trafficRouting": {"maxTrafficWeight": 1000}})),
        &[&format!(
            "{field}.trafficRouting.maxTrafficWeight: Invalid value: 1000: Canary maxTrafficWeight in traffic routing only \
             supported in Nginx and Plugins"
        )],
    );
    let subsets = |names: &Value| {
        World::new()
            .with_canary(&json!({"trafficRouting": {"istio": {"destinationRule": {"additionalSubsetNames": names}}}}))
    };
    check("other subsets", &subsets(&json!(["batch"])), &[]);
    check(
        "subsets that are none of the others",
        &subsets(&json!(["batch", "stable"])),
        &[&format!(
            "{field}.trafficRouting.istio.destinationRule.additionalSubsetNames[1]: Invalid value: \"stable\": the canary and \
             the stable subset are no additional ones; remove the name here"
        )],
    );
}

#[test]
fn ping_pong_is_checked() {
    let both = json!({"pingPong": {"pingService": "reviews-stable", "pongService": "reviews-canary"}});
    let world =
        || World::by_services().with_canary(&json!({"canaryService": null, "stableService": null})).with_canary(&both);
    check("both Services", &world(), &[]);
    let services = |world: World| (world.spec().canary.canary_service, world.spec().canary.stable_service);
    let names = |canary: &str, stable: &str| (Some(canary.to_owned()), Some(stable.to_owned()));
    assert_eq!(services(world()), names("reviews-stable", "reviews-canary"), "ping comes first");
    for (turn, expected) in
        [("ping", ("reviews-canary", "reviews-stable")), ("pong", ("reviews-stable", "reviews-canary"))]
    {
        let mut world = world();
        world.rollout["status"] = json!({"canary": {"stablePingPong": turn}});
        assert_eq!(services(world), names(expected.0, expected.1), "{turn} is stable");
    }
    let field = "spec.strategy.canary";
    let same = world().with_canary(&json!({"pingPong": {"pongService": "reviews-stable"}}));
    let errors = parse(&same.observe()).expect_err("one Service for both");
    let detail =
        "This rollout uses the same service for the ping and pong services, but two different services are required.";
    let expected = format!("{field}.pingPong.pongService: Invalid value: \"reviews-stable\": {detail}");
    assert_eq!(errors[0].to_string(), expected);
    check(
        "the other fields as well",
        &world().with_canary(&json!({"canaryService": "reviews-canary"})),
        &[&format!("{field}.canaryService: Forbidden: pingPong names both Services; remove this one")],
    );
    let errors = parse(&World::basic().with_canary(&both).observe()).expect_err("no routes");
    let detail = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only";
    assert_eq!(errors[0].to_string(), format!("{field}.pingPong: Invalid value: \"\": {detail}"));
}
