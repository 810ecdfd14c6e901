//! Which keys a change concerns, and what a key then finds in the caches.

use serde_json::json;
use serin_core::rollout::ControlPlane;

use super::*;

/// A Rollout with a selector, a DestinationRule, two VirtualServices, Services, a template and a workload.
fn rollout(name: &str, version: u32) -> Arc<Value> {
    Arc::new(json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version.to_string()},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "strategy": {"canary": {
                "canaryService": format!("{name}-canary"),
                "analysis": {"templates": [{"templateName": "outer"}]},
                "trafficRouting": {"istio": {
                    "virtualServices": [{"name": name}, {"name": format!("{name}.mesh")}],
                    "destinationRule": {"name": name, "canarySubsetName": "c", "stableSubsetName": "s"},
                }},
            }},
        },
    }))
}

fn object(name: &str, version: u32) -> Value {
    json!({"metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version.to_string()}})
}

fn with(mut object: Value, path: &str, value: Value) -> Arc<Value> {
    let (parent, key) = path.rsplit_once('/').expect("a path");
    object.pointer_mut(parent).expect("a parent")[key] = value;
    Arc::new(object)
}

fn replica_set(name: &str, owner: Option<&str>, version: u32) -> Arc<Value> {
    let mut object = object(name, version);
    object["metadata"]["labels"] = json!({"app": "web", labels::POD_TEMPLATE_HASH: "abc"});
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] =
            json!([{"kind": "Rollout", "name": owner, "uid": format!("uid-{owner}"), "controller": true}]);
    }
    Arc::new(object)
}

fn pod(name: &str, owner: &str, ready: &str, version: u32) -> Arc<Value> {
    let mut object = object(name, version);
    object["metadata"]["labels"] = json!({labels::POD_TEMPLATE_HASH: "abc"});
    object["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": owner, "uid": format!("uid-{owner}"), "controller": true}]);
    object["status"] = json!({"conditions": [{"type": "Ready", "status": ready}]});
    Arc::new(object)
}

fn now(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)
}

/// Caches with two Rollouts, `web` and `api`.
fn two_rollouts() -> Caches {
    let mut caches = Caches::new(Filter::default());
    for name in ["web", "api"] {
        caches.apply(Change::Applied(Kind::Rollout, rollout(name, 1)), now(0));
    }
    caches
}

#[track_caller]
fn check(case: &str, caches: &mut Caches, change: Change, keys: &[Key]) {
    assert_eq!(caches.apply(change, now(1)), keys, "{case}");
}

#[test]
fn a_change_concerns_the_rollouts_that_name_the_object() {
    let web = || vec![Key::rollout("shop", "web")];
    let caches = &mut two_rollouts();
    let named = |kind, name| Change::Applied(kind, Arc::new(object(name, 1)));
    check("a Service", caches, named(Kind::Service, "web-canary"), &web());
    check("a Service that nobody names", caches, named(Kind::Service, "other"), &[]);
    check("a DestinationRule", caches, named(Kind::DestinationRule, "web"), &web());
    check("a VirtualService", caches, named(Kind::VirtualService, "web"), &web());
    let elsewhere = with(object("web", 1), "/metadata/namespace", json!("mesh"));
    check("one in another namespace", caches, Change::Applied(Kind::VirtualService, elsewhere), &web());
    check("a workload", caches, named(Kind::Deployment, "web"), &web());
    check("the same version again", caches, named(Kind::VirtualService, "web"), &[]);
    check("a ReplicaSet of that name", caches, named(Kind::WorkloadReplicaSet, "web"), &[]);
    check("a PodTemplate of that name", caches, named(Kind::PodTemplate, "web"), &[]);
    check("a deletion", caches, Change::Deleted(Kind::VirtualService, Arc::new(object("web", 2))), &web());
}

#[test]
fn a_template_concerns_whoever_includes_it_however_indirectly() {
    let caches = &mut two_rollouts();
    let both = [Key::rollout("shop", "api"), Key::rollout("shop", "web")];
    let template = |name, version, includes: Value| {
        Change::Applied(Kind::AnalysisTemplate, with(object(name, version), "/spec", json!({"templates": includes})))
    };
    let inner = json!([{"templateName": "inner"}]);
    check("a template", caches, template("outer", 1, inner), &both);
    check("an included template", caches, template("inner", 1, json!([{"templateName": "outer"}])), &both);
    let more = json!([{"templateName": "inner"}, {"templateName": "more"}]);
    check("a circle ends", caches, template("outer", 2, more), &both);
    check("a template no longer included", caches, template("outer", 3, json!([])), &both);
    check("concerns nobody any more", caches, template("inner", 2, json!([])), &[]);
    let found = caches.templates_of(&ObjectName::new("shop", "web"));
    assert_eq!(found.keys().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["outer"]);
}

#[test]
fn children_concern_their_owner() {
    let caches = &mut two_rollouts();
    let web = || vec![Key::rollout("shop", "web")];
    let applied = |object| Change::Applied(Kind::ReplicaSet, object);
    check("an owned ReplicaSet", caches, applied(replica_set("web-1", Some("web"), 1)), &web());
    check("an orphan that one selects", caches, applied(replica_set("web-0", None, 1)), &web());
    check("an orphan that was adopted", caches, applied(replica_set("web-0", Some("web"), 2)), &web());
    check("one of somebody else", caches, applied(replica_set("x", Some("nobody"), 1)), &[]);
    let pods = |ready, version| Change::Applied(Kind::Pod, pod("web-1-a", "web-1", ready, version));
    check("a pod", caches, pods("False", 1), &web());
    check("a pod that looks the same", caches, pods("False", 2), &[]);
    check("a pod that became ready", caches, pods("True", 3), &web());
    check("a pod that went", caches, Change::Deleted(Kind::Pod, pod("web-1-a", "web-1", "True", 4)), &web());
    let unlabelled = Arc::new(object("web-1", 9));
    check("a ReplicaSet that lost its hash", caches, applied(unlabelled), &web());
    assert_eq!(caches.replica_sets_of(&ObjectName::new("shop", "web")).len(), 1);
}

#[test]
fn an_orphan_is_seen_by_those_who_may_adopt_it_and_marked_as_such() {
    let caches = &mut two_rollouts();
    caches.apply(Change::Applied(Kind::ReplicaSet, replica_set("web-0", None, 1)), now(1));
    caches.apply(Change::Applied(Kind::ReplicaSet, replica_set("web-1", Some("web"), 1)), now(1));
    let seen = caches.replica_sets_of(&ObjectName::new("shop", "web"));
    let seen: Vec<_> = seen.iter().map(|rs| (rs.name.as_str(), rs.owned)).collect();
    assert_eq!(seen, [("web-0", false), ("web-1", true)]);
    assert!(caches.replica_sets_of(&ObjectName::new("shop", "api")).is_empty());
}

#[test]
fn a_pod_keeps_the_time_of_its_last_change_of_labels_or_readiness() {
    let caches = &mut two_rollouts();
    caches.apply(Change::Applied(Kind::ReplicaSet, replica_set("web-1", Some("web"), 1)), now(0));
    caches.apply(Change::Applied(Kind::Pod, pod("p", "web-1", "True", 1)), now(1));
    let mut annotated = (*pod("p", "web-1", "True", 2)).clone();
    annotated["metadata"]["annotations"] = json!({"a": "b"});
    caches.apply(Change::Applied(Kind::Pod, Arc::new(annotated)), now(5));
    let sets = caches.replica_sets_of(&ObjectName::new("shop", "web"));
    assert_eq!(caches.pods_of(&sets)[0].seen_at, now(1));
    caches.apply(Change::Applied(Kind::Pod, pod("p", "web-1", "False", 3)), now(9));
    assert_eq!(caches.pods_of(&sets)[0].seen_at, now(9));
}

#[test]
fn a_fresh_list_removes_what_is_not_in_it() {
    let caches = &mut two_rollouts();
    let keys = caches.apply(Change::Replaced(Kind::Rollout, vec![rollout("web", 1)]), now(1));
    assert_eq!(keys, [Key::rollout("shop", "api")]);
    assert_eq!(caches.keys().collect::<Vec<_>>(), [Key::rollout("shop", "web")]);
    check("whose references are gone", caches, Change::Applied(Kind::Service, Arc::new(object("api-canary", 1))), &[]);
}

#[test]
fn an_instance_sees_its_own_objects_only() {
    let labelled =
        |version| with((*rollout("web", version)).clone(), "/metadata/labels", json!({labels::INSTANCE_ID: "blue"}));
    let blue = Filter { instance_id: Some("blue".to_owned()), ..Filter::default() };
    let key = [Key::rollout("shop", "web")];
    let caches = &mut Caches::new(blue);
    check("without the label", caches, Change::Applied(Kind::Rollout, rollout("web", 1)), &[]);
    check("with it", caches, Change::Applied(Kind::Rollout, labelled(2)), &key);
    check("when it is taken away", caches, Change::Applied(Kind::Rollout, rollout("web", 3)), &key);
    assert_eq!(caches.keys().count(), 0);
    let caches = &mut Caches::new(Filter::default());
    check("without instance, with the label", caches, Change::Applied(Kind::Rollout, labelled(1)), &[]);
    let caches = &mut Caches::new(Filter { namespace: Some("other".to_owned()), ..Filter::default() });
    check("in another namespace", caches, Change::Applied(Kind::Rollout, rollout("web", 1)), &[]);
}

#[test]
fn an_istiod_that_goes_concerns_every_rollout() {
    let slice = |version: u32, of: &str, ready: bool| {
        Arc::new(json!({
            "metadata": {"namespace": "istio-system", "name": format!("{of}-x"), "resourceVersion": version.to_string(),
                "labels": {"kubernetes.io/service-name": of}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        }))
    };
    let applied = |version, of, ready| Change::Applied(Kind::EndpointSlice, slice(version, of, ready));
    let istiod = Some(ObjectName::new("istio-system", "istiod"));
    let filter = Filter {
        istiod,
        namespace: Some("shop".to_owned()),
        reconnect: chrono::TimeDelta::seconds(30),
        ..Filter::default()
    };
    let caches = &mut Caches::new(filter);
    let web = [Key::rollout("shop", "web")];
    check("a Rollout", caches, Change::Applied(Kind::Rollout, rollout("web", 1)), &web);
    check("another Service", caches, applied(1, "other", false), &[]);
    check("istiod is there", caches, applied(2, "istiod", true), &[]);
    assert_eq!(caches.control_plane(now(1)), ControlPlane::Listening);
    check("it goes", caches, applied(3, "istiod", false), &web);
    assert!(matches!(caches.control_plane(now(1)), ControlPlane::Away { .. }));
    check("another one is there", caches, applied(4, "istiod", true), &web);
    assert!(matches!(caches.control_plane(now(1)), ControlPlane::Reconnecting { .. }));
}

#[test]
fn a_malformed_object_stops_nobody() {
    let caches = &mut two_rollouts();
    let broken = with((*rollout("bad", 1)).clone(), "/spec/replicas", json!("many"));
    check("one field is left out", caches, Change::Applied(Kind::Rollout, broken), &[Key::rollout("shop", "bad")]);
    check("no name", caches, Change::Applied(Kind::Rollout, Arc::new(json!({"metadata": {}}))), &[]);
    check("no object", caches, Change::Applied(Kind::Rollout, Arc::new(json!(7))), &[]);
    let template = with(object("outer", 1), "/spec", json!({"metrics": [{"name": 7}]}));
    caches.apply(Change::Applied(Kind::AnalysisTemplate, template), now(1));
    let found = caches.templates_of(&ObjectName::new("shop", "web"));
    assert!(found.values().all(|found| matches!(found, Found::Malformed(_))), "{found:?}");
}

#[test]
fn managed_fields_and_the_last_applied_copy_are_not_kept() {
    let caches = &mut two_rollouts();
    let mut rule = object("web", 1);
    rule["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
    rule["metadata"]["annotations"] = json!({labels::LAST_APPLIED: "{}", "kept": "yes"});
    caches.apply(Change::Applied(Kind::DestinationRule, Arc::new(rule)), now(3));
    let Some(Found::Present(raw)) = caches.destination_rule_of(&ObjectName::new("shop", "web")) else {
        panic!("the rule is there");
    };
    assert_eq!(raw.object.pointer("/metadata/managedFields"), None);
    assert_eq!(raw.object.pointer("/metadata/annotations"), Some(&json!({"kept": "yes"})));
    assert_eq!((raw.version.as_str(), raw.seen_at), ("1", now(3)));
}

#[test]
fn only_an_edit_of_the_spec_starts_the_time_that_the_mesh_needs() {
    let caches = &mut two_rollouts();
    let seen_at = |caches: &Caches| match caches.destination_rule_of(&ObjectName::new("shop", "web")) {
        Some(Found::Present(raw)) => raw.seen_at,
        other => panic!("the rule is there: {other:?}"),
    };
    let mut rule = object("web", 1);
    rule["spec"] = json!({"host": "web"});
    for (version, at, annotation, host, expected) in
        [("1", 3, "a", "web", 3), ("2", 5, "b", "web", 3), ("3", 7, "b", "web.shop", 7)]
    {
        rule["metadata"]["resourceVersion"] = json!(version);
        rule["metadata"]["annotations"] = json!({"note": annotation});
        rule["spec"]["host"] = json!(host);
        caches.apply(Change::Applied(Kind::DestinationRule, Arc::new(rule.clone())), now(at));
        assert_eq!(seen_at(caches), now(expected), "version {version}");
    }
}

#[test]
fn what_belongs_to_an_experiment_concerns_it_and_the_rollout_that_sends_requests_there() {
    let owned = |object: Value, kind: &str, owner: &str| {
        let owner = json!([{"kind": kind, "name": owner, "uid": format!("uid-{owner}"), "controller": true}]);
        with(object, "/metadata/ownerReferences", owner)
    };
    let caches = &mut two_rollouts();
    let mut experiment = (*owned(object("exp", 1), "Rollout", "web")).clone();
    experiment["spec"] = json!({"templates": [{"name": "a", "service": {}}, {"name": "b", "service": {"name": "own"}}],
        "analyses": [{"name": "x", "templateName": "inner"}]});
    let (web, exp) = (Key::rollout("shop", "web"), Key::experiment("shop", "exp"));
    let applied = |kind, object| Change::Applied(kind, object);
    check("it itself", caches, applied(Kind::Experiment, Arc::new(experiment)), &[web.clone(), exp.clone()]);
    let mut rs = object("exp-a", 1);
    rs["metadata"]["labels"] = json!({labels::POD_TEMPLATE_HASH: "abc"});
    check(
        "its ReplicaSet",
        caches,
        applied(Kind::ReplicaSet, owned(rs.clone(), "Experiment", "exp")),
        std::slice::from_ref(&exp),
    );
    check("a pod of that", caches, applied(Kind::Pod, pod("pod", "exp-a", "True", 1)), std::slice::from_ref(&web));
    let service = owned(object("exp-a", 1), "Experiment", "exp");
    check("its Service", caches, applied(Kind::Service, service.clone()), &[web.clone(), exp.clone()]);
    check(
        "one of a name that it asks for",
        caches,
        applied(Kind::Service, Arc::new(object("own", 1))),
        std::slice::from_ref(&exp),
    );
    let template = with(object("inner", 1), "/metadata/name", json!("inner"));
    check("a template that it names", caches, applied(Kind::AnalysisTemplate, template), std::slice::from_ref(&exp));
    let routes = applied(Kind::VirtualService, Arc::new(object("web", 1)));
    check("the routes of its Rollout", caches, routes, &[web.clone(), exp.clone()]);
    let name = ObjectName::new("shop", "exp");
    rs["metadata"]["name"] = json!("exp-b");
    caches.apply(applied(Kind::ReplicaSet, Arc::new(rs)), now(1));
    assert_eq!(caches.taken_from_experiment(&name), BTreeSet::from(["exp-b".to_owned()]));
    caches.note_taken(&Key::Experiment(name.clone()), "exp-c");
    assert_eq!(caches.taken_from_experiment(&name), BTreeSet::from(["exp-b".to_owned(), "exp-c".to_owned()]));
    assert!(caches.names_taken(&name).is_empty(), "a Rollout of the same name wanted nothing");
    caches.note_taken(&Key::Rollout(name.clone()), "exp-d");
    assert_eq!(caches.names_taken(&name), BTreeSet::from(["exp-d".to_owned()]));
    assert_eq!(caches.services_of_experiment(&name).into_keys().collect::<Vec<_>>(), ["exp-a", "own"]);
    let rollout = ObjectName::new("shop", "web");
    assert_eq!(caches.experiment_pods_of(&rollout).len(), 1);
    assert_eq!(caches.experiment_services_of(&rollout).into_keys().collect::<Vec<_>>(), ["exp-a"]);
    check("its Service goes", caches, Change::Deleted(Kind::Service, service), &[web, exp]);
    assert!(caches.experiment_services_of(&rollout).is_empty());
}

#[test]
fn an_experiment_of_another_instance_is_seen_by_its_rollout_and_not_served() {
    let experiment = |version: u32, label: Value| {
        let mut object = object("web-1", version);
        object["metadata"]["labels"] = json!({labels::INSTANCE_ID: label});
        object["metadata"]["ownerReferences"] =
            json!([{"kind": "Rollout", "name": "web", "uid": "uid-web", "controller": true}]);
        object["spec"] = json!({"templates": []});
        Change::Applied(Kind::Experiment, Arc::new(object))
    };
    let caches = &mut two_rollouts();
    let name = ObjectName::new("shop", "web-1");
    let keys = [Key::rollout("shop", "web"), Key::Experiment(name.clone())];
    check("of another instance", caches, experiment(2, json!("green")), &keys);
    assert!(caches.experiment(&name).is_none());
    assert_eq!(caches.experiments_of(&ObjectName::new("shop", "web")).len(), 1);
    check("taken over", caches, experiment(3, Value::Null), &keys);
    assert!(caches.experiment(&name).is_some());
}

#[test]
fn a_replica_set_that_stands_by_itself_may_be_a_workload() {
    let caches = &mut Caches::new(Filter::default());
    let name = ObjectName::new("shop", "web");
    let reference = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"});
    let rollout = with((*rollout("web", 1)).clone(), "/spec/workloadRef", reference);
    caches.apply(Change::Applied(Kind::Rollout, rollout), now(0));
    let set = |version: u32, labels: Value| {
        let mut object = object("web", version);
        object["metadata"]["generation"] = json!(version);
        object["metadata"]["labels"] = labels;
        object["spec"] = json!({"selector": {}, "template": {"spec": {}}});
        Change::Applied(Kind::WorkloadReplicaSet, Arc::new(object))
    };
    assert_eq!(caches.workload_of(&name), Some(Found::Missing));
    check("it comes", caches, set(1, json!({"app": "web"})), &[Key::rollout("shop", "web")]);
    let generation = |caches: &Caches| Some(caches.workload_of(&name)?.present()?.generation);
    assert_eq!(generation(caches), Some(1));
    for hash in [labels::POD_TEMPLATE_HASH, labels::DEPLOYMENT_TEMPLATE_HASH] {
        check("somebody's own", caches, set(2, json!({hash: "abc"})), &[Key::rollout("shop", "web")]);
        assert_eq!(caches.workload_of(&name), Some(Found::Missing), "{hash}");
        caches.apply(set(3, json!({})), now(1));
        assert_eq!(generation(caches), Some(3));
    }
}
