//! Tests of the cluster through its public surface: a real kube client, and the direct calls.

use std::sync::Arc;

use chrono::DateTime;
use futures::{StreamExt, TryStreamExt};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
    WatchEvent, WatchParams,
};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use super::*;
use crate::clock::SimClock;
use crate::faults::{Crash, Failure, Rule};

fn cluster() -> Cluster {
    let cluster = Cluster::new(Arc::new(SimClock::new(DateTime::UNIX_EPOCH)));
    cluster.ensure_namespace("shop");
    cluster
}

fn api(cluster: &Cluster, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(cluster.client(), "shop", &resource)
}

fn rollouts(cluster: &Cluster) -> Api<DynamicObject> {
    api(cluster, "argoproj.io", "v1alpha1", "Rollout")
}

fn rollout(name: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": name}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}},
    })
}

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the test's own object decodes")
}

fn code(error: kube::Error) -> (u16, String, String) {
    let kube::Error::Api(status) = error else {
        panic!("not an answer of the API server: {error}");
    };
    (status.code, status.reason, status.message)
}

#[tokio::test(start_paused = true)]
async fn an_object_lives_from_create_to_delete() {
    let cluster = cluster();
    let api = rollouts(&cluster);
    let created = api.create(&PostParams::default(), &decode(rollout("a"))).await.unwrap();
    assert_eq!(created.metadata.generation, Some(1));
    assert!(created.metadata.uid.is_some());
    let again = api.create(&PostParams::default(), &decode(rollout("a"))).await;
    assert_eq!(
        code(again.unwrap_err()),
        (409, "AlreadyExists".into(), "rollouts.argoproj.io \"a\" already exists".into())
    );

    let status = json!({"status": {"phase": "Healthy"}, "spec": {"replicas": 9}});
    let patched = api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(patched.data["status"]["phase"], "Healthy");
    assert_eq!(patched.data["spec"]["replicas"], 2, "the status path leaves the spec alone");
    assert_eq!(patched.metadata.generation, Some(1));

    let spec = json!({"status": {"phase": "Degraded"}, "spec": {"replicas": 9}});
    let patched = api.patch("a", &PatchParams::default(), &Patch::Merge(&spec)).await.unwrap();
    assert_eq!(patched.data["status"]["phase"], "Healthy", "the main path leaves the status alone");
    assert_eq!(patched.metadata.generation, Some(2));

    let stale = api.replace("a", &PostParams::default(), &created).await;
    assert_eq!(code(stale.unwrap_err()).1, "Conflict");
    assert!(api.delete("a", &DeleteParams::default()).await.unwrap().is_right());
    let gone = api.get("a").await;
    assert_eq!(code(gone.unwrap_err()), (404, "NotFound".into(), "rollouts.argoproj.io \"a\" not found".into()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_test_of_a_json_patch_is_invalid_and_changes_nothing() {
    let cluster = cluster();
    let vs = json!({
        "apiVersion": "networking.istio.io/v1beta1", "kind": "VirtualService",
        "metadata": {"name": "v"}, "spec": {"http": [{"route": [{"weight": 100}]}]},
    });
    let api = api(&cluster, "networking.istio.io", "v1alpha3", "VirtualService");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1beta1", "VirtualService"));
    let beta: Api<DynamicObject> = Api::namespaced_with(cluster.client(), "shop", &resource);
    beta.create(&PostParams::default(), &decode(vs)).await.unwrap();
    let patch = |version: &str| -> Patch<Value> {
        Patch::Json(decode(json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90},
        ])))
    };
    let refused = api.patch("v", &PatchParams::default(), &patch("1")).await;
    assert_eq!(code(refused.unwrap_err()).0, 422);
    let live = api.get("v").await.unwrap();
    assert_eq!(live.types.as_ref().unwrap().api_version, "networking.istio.io/v1alpha3");
    let version = live.metadata.resource_version.unwrap();
    let done = api.patch("v", &PatchParams::default(), &patch(&version)).await.unwrap();
    assert_eq!(done.data["spec"]["http"][0]["route"][0]["weight"], 90);
}

#[tokio::test(start_paused = true)]
async fn a_watch_replays_then_follows_and_expires() {
    let cluster = cluster();
    let api = rollouts(&cluster);
    let first = cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let params = WatchParams::default().labels("app=a");
    let mut stream = api.watch(&params, meta::text(&first, "resourceVersion")).await.unwrap().boxed();
    cluster.create(&ROLLOUTS, rollout("b")).unwrap();
    cluster
        .modify(&ROLLOUTS, "shop", "a", |a| {
            a["spec"]["replicas"] = json!(5);
        })
        .unwrap();
    let event = stream.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Modified(ref o) if o.data["spec"]["replicas"] == 5), "{event:?}");
    cluster
        .modify(&ROLLOUTS, "shop", "a", |a| {
            a["metadata"]["labels"]["app"] = json!("z");
        })
        .unwrap();
    let event = stream.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Deleted(_)), "it left the selection: {event:?}");

    cluster.compact();
    let mut old = api.watch(&params, meta::text(&first, "resourceVersion")).await.unwrap().boxed();
    let event = old.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(ref status) if status.code == 410), "{event:?}");
    assert!(old.try_next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_and_by_selector() {
    let cluster = cluster();
    for name in ["a", "b", "c", "d", "e"] {
        cluster.create(&ROLLOUTS, rollout(name)).unwrap();
    }
    let api = rollouts(&cluster);
    let mut params = ListParams::default().limit(2);
    let mut names = Vec::new();
    loop {
        let page = api.list(&params).await.unwrap();
        names.push(page.items.iter().filter_map(|o| o.metadata.name.clone()).collect::<Vec<_>>());
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = ListParams::default().limit(2).continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    let one = api.list(&ListParams::default().fields("metadata.name=c")).await.unwrap();
    assert_eq!(one.items.len(), 1);
}

#[test]
fn finalizers_hold_a_deletion_up() {
    let cluster = cluster();
    let mut object = rollout("a");
    object["metadata"]["finalizers"] = json!(["serin.dev/test"]);
    cluster.create(&ROLLOUTS, object).unwrap();
    let held = cluster.delete(&ROLLOUTS, "shop", "a").unwrap();
    assert!(meta::deleting(&held));
    cluster
        .modify(&ROLLOUTS, "shop", "a", |a| {
            a["metadata"]["finalizers"] = json!([]);
        })
        .unwrap();
    assert!(cluster.get(&ROLLOUTS, "shop", "a").is_err());
}

#[test]
fn what_an_object_owns_goes_with_it() {
    let cluster = cluster();
    let owner = cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let reference =
        json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "a", "uid": meta::uid(&owner)}]);
    let set = json!({"metadata": {"name": "rs", "namespace": "shop", "ownerReferences": reference}});
    let set = cluster.create(&REPLICA_SETS, set).unwrap();
    let reference = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": meta::uid(&set)}]);
    cluster
        .create(&PODS, json!({"metadata": {"name": "pod", "namespace": "shop", "ownerReferences": reference}}))
        .unwrap();
    let mut events = cluster.subscribe();
    events.drain();
    cluster.delete(&ROLLOUTS, "shop", "a").unwrap();
    let gone: Vec<String> = events.drain().iter().map(|c| format!("{} {}", c.kind.word(), c.resource)).collect();
    assert_eq!(gone, ["DELETED rollouts.argoproj.io", "DELETED replicasets.apps", "DELETED pods"]);
}

#[test]
fn an_object_without_living_owners_is_collected() {
    let cluster = cluster();
    let reference = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "no-such-uid"}]);
    let pod = json!({"metadata": {"name": "pod", "namespace": "shop", "ownerReferences": reference}});
    cluster.create(&PODS, pod).unwrap();
    assert!(cluster.get(&PODS, "shop", "pod").is_err());
}

#[test]
fn unknown_kinds_are_kept_and_named() {
    let cluster = cluster();
    let manifest = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "m", "namespace": "elsewhere"}});
    let applied = cluster.apply_manifest(manifest.clone()).unwrap();
    assert!(!applied.known && applied.created);
    let applied = cluster.apply_manifest(manifest).unwrap();
    assert!(!applied.known && !applied.created);
    let error = cluster.apply_manifest(json!({"kind": "Pod"})).unwrap_err();
    assert!(error.message.contains("apiVersion"), "{error}");
    let future = json!({"apiVersion": "argoproj.io/v2", "kind": "Rollout", "metadata": {"name": "r"}});
    let error = cluster.apply_manifest(future).unwrap_err();
    assert!(error.message.contains("is served in v1alpha1"), "{error}");
    let error = cluster.apply_manifest(json!("text")).unwrap_err();
    assert!(error.message.contains("apiVersion"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_one_object_in_both_groups() {
    let cluster = cluster();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "regarding": {"kind": "Rollout", "name": "a"}, "note": "it moves", "reason": "Moved", "type": "Normal",
    });
    let new = api(&cluster, "events.k8s.io", "v1", "Event");
    let created = new.create(&PostParams::default(), &decode(event)).await.unwrap();
    assert_eq!(created.data["note"], "it moves");
    let old = api(&cluster, "", "v1", "Event");
    let params = ListParams::default().fields("involvedObject.name=a,reason=Moved");
    let listed = old.list(&params).await.unwrap().items;
    assert_eq!(listed[0].data["message"], "it moves");
    assert!(cluster.get(&EVENTS, "shop", "e").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_ends_with_its_bookmark() {
    let cluster = cluster();
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let api = rollouts(&cluster);
    let params = WatchParams::default().initial_events();
    let mut stream = api.watch(&params, "0").await.unwrap().boxed();
    assert!(matches!(stream.try_next().await.unwrap().unwrap(), WatchEvent::Added(_)));
    let end = stream.try_next().await.unwrap().unwrap();
    let WatchEvent::Bookmark(end) = end else {
        panic!("not a bookmark: {end:?}");
    };
    assert_eq!(end.metadata.annotations["k8s.io/initial-events-end"], "true");
    cluster.faults().drop_watches();
    assert!(stream.try_next().await.unwrap().is_none(), "a dropped watch ends");
}

#[tokio::test(start_paused = true)]
async fn the_client_librarys_watcher_recovers_from_lost_watches_and_compaction() {
    let cluster = cluster();
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let config = watcher::Config::default();
    let stream = watcher::watcher(rollouts(&cluster), config).default_backoff().applied_objects();
    let mut stream = std::pin::pin!(stream);
    let mut name = async || stream.try_next().await.unwrap().and_then(|object| object.metadata.name);
    assert_eq!(name().await.as_deref(), Some("a"));
    cluster.create(&ROLLOUTS, rollout("b")).unwrap();
    assert_eq!(name().await.as_deref(), Some("b"));
    cluster.faults().drop_watches();
    cluster.create(&ROLLOUTS, rollout("c")).unwrap();
    cluster.compact();
    let mut found = Vec::new();
    while found.last().map(String::as_str) != Some("c") {
        match stream.next().await {
            Some(Ok(object)) => found.extend(object.metadata.name),
            Some(Err(error)) => assert!(error.to_string().contains("too old"), "{error}"),
            None => panic!("the watcher ended"),
        }
    }
    assert!(found.contains(&"c".to_owned()));
}

/// Whatever a client sends, the server answers and goes on.
#[test]
fn no_request_brings_the_server_down() {
    let cluster = cluster();
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    cluster.create(&DEPLOYMENTS, rollout("a")).unwrap();
    let bodies = [
        "",
        "null",
        "7",
        "[]",
        "[[]]",
        "{}",
        "{\"metadata\": 7}",
        "{\"metadata\": {\"name\": 7, \"labels\": 7}}",
        "{\"metadata\": {\"name\": \"a\", \"ownerReferences\": 7, \"finalizers\": {}}, \"spec\": 7, \"status\": []}",
        "{\"metadata\": {\"name\": \"b\"}, \"spec\": {\"ports\": [7], \"replicas\": []}, \"stringData\": {\"a\": 7}}",
        "[{\"op\": \"add\", \"path\": \"\", \"value\": 7}]",
        "[{\"op\": \"remove\", \"path\": \"/metadata\"}]",
        "{\"spec\": {\"template\": {\"spec\": {\"containers\": [7, {}, {\"$patch\": \"delete\"}]}}}}",
        "{\"apiVersion\": \"x/y\", \"kind\": \"Rollout\", \"metadata\": {\"managedFields\": []}}",
    ];
    let kinds = [
        "application/json",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "application/vnd.kubernetes.protobuf",
    ];
    let paths = [
        "/api/v1/namespaces",
        "/api/v1/namespaces/shop/services",
        "/api/v1/namespaces/shop/secrets",
        "/api/v1/namespaces/shop/pods/p?watch=1&resourceVersion=x&labelSelector=(((",
        "/apis/apps/v1/namespaces/shop/deployments/a",
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts",
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/a?fieldManager=m&force=1",
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/a/status",
        "/apis/argoproj.io/v1alpha1/rollouts/a/scale",
        "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/a/scale",
        "/apis/events.k8s.io/v1/namespaces/shop/events",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "/apis/none/v1",
        "/%",
        "/",
    ];
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
        for (path, kind) in paths.iter().flat_map(|path| kinds.map(|kind| (path, kind))) {
            for body in bodies {
                let request = http::Request::builder()
                    .method(method)
                    .uri(*path)
                    .header("content-type", kind)
                    .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
                    .body(bytes::Bytes::from_static(body.as_bytes()))
                    .unwrap();
                let response = cluster.respond(&request).unwrap();
                assert!(response.status().as_u16() < 500, "{method} {path} {kind} {body}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn withheld_changes_arrive_once_released() {
    let cluster = cluster();
    let api = rollouts(&cluster);
    let version = cluster.version().to_string();
    let mut stream = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    cluster.faults().withhold(&ROLLOUTS);
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_secs(60), stream.try_next()).await;
    assert!(early.is_err(), "the change is held back");
    cluster.faults().release(&ROLLOUTS);
    assert!(matches!(stream.try_next().await.unwrap().unwrap(), WatchEvent::Added(_)));
}

fn owned_set(owner: &Value, finalizers: &[&str]) -> Value {
    json!({"metadata": {
        "name": "rs", "namespace": "shop", "finalizers": finalizers, "ownerReferences": [
            {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "a", "uid": meta::uid(owner)},
        ],
    }})
}

fn delete_a(cluster: &Cluster, propagation: Propagation) {
    let mut store = cluster.lock();
    let kind = store.registry.by_plural("argoproj.io", "rollouts").unwrap();
    let place = ("shop".to_owned(), "a".to_owned());
    store.delete(kind, &place, propagation, DateTime::UNIX_EPOCH).unwrap();
}

#[test]
fn a_foreground_deletion_ends_with_the_last_dependent() {
    let cluster = cluster();
    let owner = cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    cluster.create(&REPLICA_SETS, owned_set(&owner, &["serin.dev/test"])).unwrap();
    delete_a(&cluster, Propagation::Foreground);
    assert!(cluster.get(&ROLLOUTS, "shop", "a").is_ok(), "a dependent is left");
    cluster
        .modify(&REPLICA_SETS, "shop", "rs", |set| {
            set["metadata"]["finalizers"] = json!([]);
        })
        .unwrap();
    assert!(cluster.get(&REPLICA_SETS, "shop", "rs").is_err());
    assert!(cluster.get(&ROLLOUTS, "shop", "a").is_err());
}

#[test]
fn an_orphaning_deletion_leaves_the_dependents() {
    let cluster = cluster();
    let owner = cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    cluster.create(&REPLICA_SETS, owned_set(&owner, &[])).unwrap();
    delete_a(&cluster, Propagation::Orphan);
    assert!(cluster.get(&ROLLOUTS, "shop", "a").is_err());
    let left = cluster.get(&REPLICA_SETS, "shop", "rs").unwrap();
    assert!(meta::owners(&left).is_empty());
}

#[test]
fn a_write_that_changes_nothing_is_no_write() {
    let cluster = cluster();
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let before = cluster.version();
    cluster.modify(&ROLLOUTS, "shop", "a", |_| {}).unwrap();
    cluster.patch_merge(&ROLLOUTS, "shop", "a", &json!({"spec": {"replicas": 2}})).unwrap();
    assert_eq!(cluster.version(), before);
}

#[test]
fn selectors_of_rollouts_and_replica_sets_stay_as_they_are() {
    let cluster = cluster();
    cluster.create(&ROLLOUTS, rollout("a")).unwrap();
    let change = json!({"spec": {"selector": {"matchLabels": {"app": "b"}}}});
    let refused = cluster.patch_merge(&ROLLOUTS, "shop", "a", &change).unwrap_err();
    assert_eq!(refused.code, 422);
    assert!(refused.message.contains(".spec.selector is immutable"), "{refused}");
    cluster.create(&REPLICA_SETS, rollout("rs")).unwrap();
    let refused = cluster.patch_merge(&REPLICA_SETS, "shop", "rs", &change).unwrap_err();
    assert!(refused.message.contains("field is immutable"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_writes_cuts_the_client_off() {
    let cluster = cluster();
    let api = rollouts(&cluster);
    cluster.faults().crash(Crash::After(2));
    api.create(&PostParams::default(), &decode(rollout("a"))).await.unwrap();
    let lost = api.create(&PostParams::default(), &decode(rollout("b"))).await;
    assert!(matches!(lost, Err(kube::Error::Service(_))), "{lost:?}");
    assert!(api.get("a").await.is_err());
    assert!(cluster.get(&ROLLOUTS, "shop", "b").is_ok(), "the write itself was carried out");
    cluster.faults().reset();
    cluster.faults().add(Rule::next(Failure::Conflict).on("create", "rollouts"));
    let refused = api.create(&PostParams::default(), &decode(rollout("c"))).await;
    assert_eq!(code(refused.unwrap_err()).0, 409);
    let codes: Vec<u16> = cluster.writes().iter().map(|write| write.code).collect();
    assert_eq!(codes, [201, 201, 409]);
}
