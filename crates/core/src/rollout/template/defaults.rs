//! What Kubernetes assumes where a pod template says nothing: saying it makes no difference.

use serde_json::{Map, Value};

use super::quantity::billionths;

/// Defaults of a pod template, as a path and the JSON of its value; `[]` goes through a list.
const OF_TEMPLATE: [(&str, &str); 21] = [
    ("spec.restartPolicy", "\"Always\""),
    ("spec.dnsPolicy", "\"ClusterFirst\""),
    ("spec.schedulerName", "\"default-scheduler\""),
    ("spec.terminationGracePeriodSeconds", "30"),
    ("spec.enableServiceLinks", "true"),
    ("spec.hostNetwork", "false"),
    ("spec.hostPID", "false"),
    ("spec.hostIPC", "false"),
    ("spec.shareProcessNamespace", "false"),
    ("spec.volumes[].secret.defaultMode", "420"),
    ("spec.volumes[].configMap.defaultMode", "420"),
    ("spec.volumes[].downwardAPI.defaultMode", "420"),
    ("spec.volumes[].projected.defaultMode", "420"),
    ("spec.volumes[].projected.sources[].serviceAccountToken.expirationSeconds", "3600"),
    ("spec.volumes[].projected.sources[].downwardAPI.items[].fieldRef.apiVersion", "\"v1\""),
    ("spec.volumes[].downwardAPI.items[].fieldRef.apiVersion", "\"v1\""),
    ("spec.volumes[].ephemeral.volumeClaimTemplate.spec.volumeMode", "\"Filesystem\""),
    ("spec.volumes[].iscsi.iscsiInterface", "\"default\""),
    ("spec.volumes[].rbd.pool", "\"rbd\""),
    ("spec.volumes[].rbd.user", "\"admin\""),
    ("spec.volumes[].rbd.keyring", "\"/etc/ceph/keyring\""),
];

/// Defaults of a container.
const OF_CONTAINER: [(&str, &str); 14] = [
    ("terminationMessagePath", "\"/dev/termination-log\""),
    ("terminationMessagePolicy", "\"File\""),
    ("stdin", "false"),
    ("stdinOnce", "false"),
    ("tty", "false"),
    ("ports[].protocol", "\"TCP\""),
    ("env[].valueFrom.fieldRef.apiVersion", "\"v1\""),
    ("env[].valueFrom.resourceFieldRef.divisor", "\"0\""),
    ("volumeMounts[].readOnly", "false"),
    ("securityContext.procMount", "\"Default\""),
    ("lifecycle.postStart.httpGet.scheme", "\"HTTP\""),
    ("lifecycle.postStart.httpGet.path", "\"/\""),
    ("lifecycle.preStop.httpGet.scheme", "\"HTTP\""),
    ("lifecycle.preStop.httpGet.path", "\"/\""),
];

/// Defaults of a probe.
const OF_PROBE: [(&str, &str); 7] = [
    ("initialDelaySeconds", "0"),
    ("timeoutSeconds", "1"),
    ("periodSeconds", "10"),
    ("successThreshold", "1"),
    ("failureThreshold", "3"),
    ("httpGet.scheme", "\"HTTP\""),
    ("httpGet.path", "\"/\""),
];

/// The lists of containers of a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// The probes of a container.
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// Objects that mean nothing when they are empty. Elsewhere an empty object says something: `emptyDir: {}` is a source,
/// `namespaceSelector: {}` selects all namespaces.
const NOTHING_IF_EMPTY: [&str; 14] = [
    "metadata",
    "labels",
    "annotations",
    "spec",
    "securityContext",
    "resources",
    "limits",
    "requests",
    "nodeSelector",
    "affinity",
    "lifecycle",
    "overhead",
    "dnsConfig",
    "grpc",
];

/// Removes everything from a pod template that Kubernetes would assume anyway, and writes quantities in one way.
pub(super) fn remove(template: &mut Value) {
    for (path, default) in OF_TEMPLATE {
        remove_default(template, path, default);
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        remove_from_pod(spec);
    }
    prune(template);
}

/// Removes nulls, empty lists and texts, and empty objects that mean nothing, from the leaves up.
pub(super) fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for member in members.values_mut() {
                prune(member);
            }
            members.retain(|key, member| !means_nothing(key, member));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn means_nothing(key: &str, member: &Value) -> bool {
    match member {
        Value::Null => true,
        Value::String(text) => text.is_empty() && key != "operator",
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && NOTHING_IF_EMPTY.contains(&key),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn remove_from_pod(spec: &mut Map<String, Value>) {
    if let Some(alias) = spec.remove("serviceAccount") {
        spec.entry("serviceAccountName").or_insert(alias);
    }
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    each(spec.get_mut("volumes"), remove_from_volume);
    normalise(spec.get_mut("overhead"));
    for list in CONTAINERS {
        each(spec.get_mut(list), |container| {
            for (path, default) in OF_CONTAINER {
                remove_default(container, path, default);
            }
            if let Some(container) = container.as_object_mut() {
                remove_from_container(container);
            }
            if on_host {
                each(container.get_mut("ports"), remove_host_port);
            }
        });
    }
    normalise_resources(spec.get_mut("resources"));
}

fn remove_from_container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    if container.get("imagePullPolicy").and_then(Value::as_str) == Some(pull_policy(image)) {
        container.remove("imagePullPolicy");
    }
    for probe in PROBES {
        if let Some(probe) = container.get_mut(probe) {
            for (path, default) in OF_PROBE {
                remove_default(probe, path, default);
            }
        }
    }
    normalise_resources(container.get_mut("resources"));
}

/// When Kubernetes pulls an image if it is not told: always if the tag may move.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
        None if digest.is_some() => "IfNotPresent",
        None => "Always",
    }
}

/// A volume without any source is an empty directory.
fn remove_from_volume(volume: &mut Value) {
    let Some(volume) = volume.as_object_mut() else { return };
    if let Some(directory) = volume.get_mut("emptyDir").and_then(Value::as_object_mut) {
        normalise_one(directory.get_mut("sizeLimit"));
        directory.retain(|key, value| !means_nothing(key, value));
    }
    if volume.get("emptyDir").and_then(Value::as_object).is_some_and(Map::is_empty) {
        volume.remove("emptyDir");
    }
    let claim = volume.get_mut("ephemeral").and_then(|ephemeral| ephemeral.pointer_mut("/volumeClaimTemplate/spec"));
    normalise_resources(claim.and_then(|claim| claim.get_mut("resources")));
}

/// On the host's network, a port is the host's port.
fn remove_host_port(port: &mut Value) {
    if let Some(port) = port.as_object_mut()
        && port.contains_key("hostPort")
        && port.get("hostPort") == port.get("containerPort")
    {
        port.remove("hostPort");
    }
}

fn normalise_resources(resources: Option<&mut Value>) {
    if let Some(resources) = resources {
        normalise(resources.get_mut("limits"));
        normalise(resources.get_mut("requests"));
    }
}

fn normalise(amounts: Option<&mut Value>) {
    for amount in amounts.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        normalise_one(Some(amount));
    }
}

fn normalise_one(amount: Option<&mut Value>) {
    if let Some(amount) = amount
        && let Some(billionths) = billionths(amount)
    {
        *amount = Value::String(format!("{billionths}n"));
    }
}

fn each(list: Option<&mut Value>, visit: impl FnMut(&mut Value)) {
    list.and_then(Value::as_array_mut).into_iter().flatten().for_each(visit);
}

/// Removes the field at a path, in every element of the lists on its way, where it has its default value.
fn remove_default(value: &mut Value, path: &str, default: &str) {
    let (segment, rest) = path.split_once('.').map_or((path, None), |(segment, rest)| (segment, Some(rest)));
    match (segment.strip_suffix("[]"), rest) {
        (Some(list), Some(rest)) => each(value.get_mut(list), |item| remove_default(item, rest, default)),
        (None, Some(rest)) => {
            if let Some(member) = value.get_mut(segment) {
                remove_default(member, rest, default);
            }
        }
        (_, None) => {
            if let Some(members) = value.as_object_mut()
                && members
                    .get(segment)
                    .is_some_and(|member| default.parse::<Value>().is_ok_and(|default| *member == default))
            {
                members.remove(segment);
            }
        }
    }
}
