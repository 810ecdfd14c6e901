//! Tests of template hashes and template equality.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rollout::step::Step;

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "reviews"}},
        "spec": {
            "containers": [{
                "name": "reviews",
                "image": "docker.io/istio/examples-bookinfo-reviews-v1:1.16.4",
                "env": [{"name": "LOG_DIR", "value": "/tmp/logs"}],
                "ports": [{"containerPort": 9080}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "readinessProbe": {"httpGet": {"port": 9080}},
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

/// Compares the template with one that has another value at a place, both ways; other pods have another hash.
#[track_caller]
fn check(case: &str, pointer: &str, value: Value, same: bool) {
    let (path, key) = pointer.rsplit_once('/').expect("a place");
    let mut other = template();
    other.pointer_mut(path).and_then(Value::as_object_mut).expect("an object").insert(key.to_owned(), value);
    assert_eq!(same_template(&template(), &other), same, "{case}");
    assert_eq!(same_template(&other, &template()), same, "{case}, the other way");
    assert!(same || pod_hash(&template(), None) != pod_hash(&other, None), "{case}, by hash");
}

#[test]
fn what_kubernetes_assumes_makes_no_difference() {
    let same = |case, pointer, value| check(case, pointer, value, true);
    same("the restart policy", "/spec/restartPolicy", json!("Always"));
    same("the DNS policy", "/spec/dnsPolicy", json!("ClusterFirst"));
    same("the scheduler", "/spec/schedulerName", json!("default-scheduler"));
    same("the grace period", "/spec/terminationGracePeriodSeconds", json!(30));
    same("an empty security context", "/spec/securityContext", json!({}));
    same("the termination log", "/spec/containers/0/terminationMessagePath", json!("/dev/termination-log"));
    same("its policy", "/spec/containers/0/terminationMessagePolicy", json!("File"));
    same("when to pull a fixed tag", "/spec/containers/0/imagePullPolicy", json!("IfNotPresent"));
    same("the protocol of a port", "/spec/containers/0/ports/0/protocol", json!("TCP"));
    same("the period of a probe", "/spec/containers/0/readinessProbe/periodSeconds", json!(10));
    same("the path of a probe", "/spec/containers/0/readinessProbe/httpGet/path", json!("/"));
    same("a quantity in other units", "/spec/containers/0/resources/limits/cpu", json!("1000m"));
    same("a quantity as a number", "/spec/containers/0/resources/limits/cpu", json!(1));
    same("memory in other units", "/spec/containers/0/resources/limits/memory", json!("1024Mi"));
    same("no time of creation", "/metadata/creationTimestamp", Value::Null);
    same("no init containers", "/spec/initContainers", json!([]));
    same("our own label", "/metadata/labels/rollouts-pod-template-hash", json!("abc"));
    same("no annotations", "/metadata/annotations", json!({}));
}

#[test]
fn everything_else_makes_a_difference() {
    let other = |case, pointer, value| check(case, pointer, value, false);
    other("another image", "/spec/containers/0/image", json!("docker.io/istio/examples-bookinfo-reviews-v2:1.16.4"));
    other("another restart policy", "/spec/restartPolicy", json!("Never"));
    other("always pulling a fixed tag", "/spec/containers/0/imagePullPolicy", json!("Always"));
    other("another label", "/metadata/labels/version", json!("v2"));
    other("another quantity", "/spec/containers/0/resources/limits/cpu", json!("2"));
    other("another port", "/spec/containers/0/ports/0/containerPort", json!(9081));
    other("an unknown field", "/spec/containers/0/newer", json!({"field": false}));
    other("a security context", "/spec/securityContext", json!({"runAsNonRoot": false}));
    other("no token", "/spec/automountServiceAccountToken", json!(false));
    other("another value", "/spec/containers/0/env/0/value", json!(""));
    let affinity = |term: Value| json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    let mut all = template();
    all["spec"]["affinity"] = affinity(json!({"topologyKey": "x", "namespaceSelector": {}}));
    let mut own = template();
    own["spec"]["affinity"] = affinity(json!({"topologyKey": "x"}));
    assert!(!same_template(&all, &own), "a selector of all namespaces is not none");
}

#[test]
fn an_alias_of_the_service_account_is_the_same() {
    let with = |fields: Value| {
        let mut template = template();
        template["spec"].as_object_mut().expect("a spec").extend(fields.as_object().expect("fields").clone());
        template
    };
    let name = with(json!({"serviceAccountName": "a"}));
    assert!(same_template(&name, &with(json!({"serviceAccountName": "a", "serviceAccount": "a"}))));
    assert!(same_template(&name, &with(json!({"serviceAccount": "a"}))));
    assert!(!same_template(&name, &with(json!({"serviceAccountName": "b", "serviceAccount": "b"}))));
}

#[test]
fn a_pull_policy_follows_from_the_tag() {
    #[track_caller]
    fn check(image: &str, policy: &str) {
        let with = |extra: Value| {
            let mut container = json!({"name": "a", "image": image});
            container.as_object_mut().expect("a container").extend(extra.as_object().expect("fields").clone());
            json!({"spec": {"containers": [container]}})
        };
        assert!(same_template(&with(json!({})), &with(json!({"imagePullPolicy": policy}))), "{image}");
    }
    check("nginx", "Always");
    check("nginx:latest", "Always");
    check("nginx:1.2", "IfNotPresent");
    check("registry:5000/nginx", "Always");
    check("registry:5000/nginx:1", "IfNotPresent");
    check("nginx@sha256:0123", "IfNotPresent");
}

#[test]
fn injected_metadata_can_be_left_out() {
    let mut other = template();
    other["metadata"]["labels"]["version"] = json!("canary");
    other["metadata"]["annotations"] = json!({"version": "canary"});
    let version = || [("version".to_owned(), String::new())].into_iter().collect();
    let keys = Metadata { labels: version(), annotations: version() };
    assert!(same_template_but(&template(), &other, &keys));
    let labels_only = Metadata { labels: version(), ..Metadata::default() };
    assert!(!same_template_but(&template(), &other, &labels_only));
}

#[test]
fn the_hash_is_that_of_argo_rollouts() {
    let name = "canary-scaledowndelay";
    let template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{
            "name": name,
            "image": "nginx:1.19-alpine",
            "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
            "resources": {"requests": {"memory": "16Mi", "cpu": "5m"}},
        }]},
    });
    assert_eq!(pod_hash(&template, None), "674d8cf959", "a hash that its own tests know");
    let mut with_label = template.clone();
    with_label["metadata"]["labels"]["rollouts-pod-template-hash"] = json!("674d8cf959");
    assert_eq!(pod_hash(&with_label, None), "674d8cf959", "the hash itself is no part of it");
    let mut newer = template;
    newer["spec"]["newer"] = json!(1);
    let mut newest = newer.clone();
    newest["spec"]["newer"] = json!(2);
    assert_ne!(pod_hash(&newer, None), pod_hash(&newest, None), "fields that it does not know count too");
}

/// Hashes that Argo Rollouts 1.9 computed, with its own types, of these templates.
#[test]
fn templates_have_the_hash_that_argo_rollouts_gives_them() {
    let reviews = json!({"metadata": {"creationTimestamp": null, "labels": {"app": "reviews", "version": "stable"}},
        "spec": {"serviceAccountName": "bookinfo-reviews", "containers": [{"name": "reviews",
        "image": "docker.io/istio/examples-bookinfo-reviews-v1:1.16.4", "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "LOG_DIR", "value": "/tmp/logs"}], "ports": [{"containerPort": 9080}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}], "volumes": [{"name": "tmp",
        "emptyDir": {}}]}});
    assert_eq!(pod_hash(&reviews, None), "7c7796796d");
    let much = json!({"metadata": {"labels": {"app": "a"}, "annotations": {"note": "<a & b>"}},
        "spec": {"securityContext": {"runAsNonRoot": true, "fsGroup": 0}, "hostNetwork": false,
        "terminationGracePeriodSeconds": 0, "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1,
        "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
        "whenUnsatisfiable": "ScheduleAnyway"}], "initContainers": [{"name": "i", "image": "i",
        "restartPolicy": "Always"}], "containers": [{"name": "a", "image": "a:1",
        "resources": {"limits": {"cpu": 1.5, "memory": "1024Mi"}, "requests": {"cpu": "1000m",
        "memory": "1234.567k"}}, "livenessProbe": {"httpGet": {"port": 80, "path": "/"}, "periodSeconds": 5},
        "readinessProbe": {"grpc": {"port": 90}}, "lifecycle": {"preStop": {"exec": {"command": ["sleep",
        "5"]}}}, "env": [{"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "envFrom": [{"secretRef": {"name": "s", "optional": true}}], "volumeMounts": [{"name": "v",
        "mountPath": "/v", "readOnly": true}], "securityContext": {"capabilities": {"drop": ["ALL"]}}}],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t",
        "expirationSeconds": 600}}, {"configMap": {"name": "c"}}]}}, {"name": "e",
        "emptyDir": {"sizeLimit": "0.5Gi"}}]}});
    assert_eq!(pod_hash(&much, None), "5f5855ddd8");
}

#[test]
fn hashes_are_fit_for_names_and_differ_by_collision() {
    let hash = pod_hash(&template(), None);
    assert!(!hash.is_empty() && hash.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{hash}");
    assert_ne!(hash, pod_hash(&template(), Some(0)));
    assert_ne!(pod_hash(&template(), Some(1)), pod_hash(&template(), Some(2)));
    assert_eq!(encode(0), "4", "the digit 0 has the code 48, which is 21 modulo 27");
    assert_eq!(fnv1a(b"a"), 0xe40c_292c, "the published test vector");
}

#[test]
fn steps_are_hashed_as_go_writes_them() {
    let wire = serde_json::from_value::<Vec<serin_api::CanaryStep>>(json!([{"setWeight": 20}, {"pause": {}}]));
    let steps = Steps::new(vec![Step::SetWeight(20), Step::Pause(None)], &wire.expect("steps"));
    assert_eq!(steps.text(), r#"[{"setWeight":20},{"pause":{}}]"#);
    assert_eq!(step_hash(&steps), encode(fnv1a(steps.text().as_bytes())));
    assert_eq!(step_hash(&Steps::new(Vec::new(), &[])), encode(fnv1a(b"null")));
    let wire = json!([{"analysis": {"templates": [], "args": [{"name": "a", "value": "<&>"}]}}]);
    let wire: Vec<serin_api::CanaryStep> = serde_json::from_value(wire).expect("steps");
    let steps = Steps::new(Vec::new(), &wire);
    assert_eq!(step_hash(&steps), encode(fnv1a(steps.text().replace("<&>", r"\u003c\u0026\u003e").as_bytes())));
}

/// Hashes that Argo Rollouts 1.9 computed, with its own types, of these steps.
#[test]
fn steps_have_the_hash_that_argo_rollouts_gives_them() {
    #[track_caller]
    fn check(case: &str, steps: Value, expected: &str) {
        let wire: Vec<serin_api::CanaryStep> = serde_json::from_value(steps).expect("steps");
        assert_eq!(step_hash(&Steps::new(Vec::new(), &wire)), expected, "{case}");
    }
    check(
        "weights and pauses",
        json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "10m"}}]),
        "84f8f86479",
    );
    check(
        "seconds as numbers and texts",
        json!([{"setWeight": 20}, {"pause": {"duration": 30}}, {"pause": {"duration": "30"}}]),
        "59975f9975",
    );
    check(
        "scales, and a weight of nothing",
        json!([{"setCanaryScale": {"replicas": 2}}, {"setCanaryScale": {"weight": 0}},
            {"setCanaryScale": {"matchTrafficWeight": true}}, {"setWeight": 0}]),
        "7f66495cbb",
    );
    check(
        "routes",
        json!([
            {"setHeaderRoute": {"name": "h", "match": [{"headerName": "x", "headerValue": {"exact": "a<b"}},
                {"headerName": "y", "headerValue": {"prefix": "p"}}]}},
            {"setMirrorRoute": {"name": "m", "percentage": 50, "match": [{"method": {"exact": "GET"},
                "path": {"prefix": "/"}, "headers": {"b": {"regex": ".*"}, "a": {"exact": "1"}}}]}},
            {"setMirrorRoute": {"name": "m"}},
        ]),
        "77487f554f",
    );
    check(
        "an analysis",
        json!([{"analysis": {
            "templates": [{"templateName": "t", "clusterScope": true}, {"templateName": "u"}],
            "args": [{"name": "a", "value": "v"}, {"name": "b", "valueFrom": {"podTemplateHashValue": "Latest"}},
                {"name": "c", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}}],
            "dryRun": [{"metricName": ".*"}], "measurementRetention": [{"metricName": ".*", "limit": 5}],
            "analysisRunMetadata": {"labels": {"b": "1", "a": "2"}, "annotations": {"c": "d"}},
        }}]),
        "766ff58cc7",
    );
    check(
        "an experiment",
        json!([{"experiment": {
            "templates": [
                {"name": "baseline", "specRef": "stable", "replicas": 1, "weight": 5, "service": {"name": "s"},
                    "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "selector": {"matchLabels": {"a": "b"}}},
                {"name": "canary", "specRef": "canary"},
            ],
            "duration": "1h",
            "analyses": [{"name": "x", "templateName": "t", "clusterScope": true, "requiredForCompletion": true,
                "args": [{"name": "a", "value": "v"}]}],
            "dryRun": [{"metricName": "m"}], "analysisRunMetadata": {"labels": {"a": "b"}}, "scaleDownDelaySeconds": 5,
        }}]),
        "f97d8db4",
    );
    check("no steps", json!([]), "5ffbfbbd64");
}

#[test]
fn blank_templates_are_known() {
    for blank in
        [json!(null), json!({}), json!({"metadata": {"creationTimestamp": null}, "spec": {"containers": null}})]
    {
        assert!(is_blank(&blank), "{blank}");
    }
    assert!(!is_blank(&template()));
}

proptest! {
    #[test]
    fn no_template_makes_it_panic(text in "[\\[\\]{}:,\"a-z0-9]{0,40}") {
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        for template in [value.clone(), json!({"spec": value}), json!({"spec": {"containers": value, "volumes": [value]}}),
                         json!({"metadata": {"labels": value}, "spec": {"containers": [value]}})] {
            prop_assert!(same_template(&template, &template));
            prop_assert_eq!(pod_hash(&template, None), pod_hash(&template, None));
            let _ = is_blank(&template);
        }
    }
}
