//! CustomResourceDefinitions: the kind that one defines, and the status that says it is served.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::registry::{Kind, Scale};
use super::resource::Resource;

/// The kind that a definition describes; nothing if it lacks a name or a version.
pub(crate) fn kind(definition: &Value) -> Option<Kind> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let versions: Vec<&Value> =
        spec["versions"].as_array()?.iter().filter(|version| version["served"] == true).collect();
    let storage = versions.iter().find(|version| version["storage"] == true).or(versions.first())?;
    let kind = names["kind"].as_str()?;
    let resource = Resource {
        group: owned(&spec["group"])?,
        version: owned(&storage["name"])?,
        plural: owned(&names["plural"])?,
        kind: Cow::Owned(kind.to_owned()),
        namespaced: spec["scope"] == "Namespaced",
    };
    let subresources = &storage["subresources"];
    Some(Kind {
        versions: versions.iter().filter_map(|version| version["name"].as_str().map(str::to_owned)).collect(),
        singular: names["singular"].as_str().map_or_else(|| kind.to_lowercase(), str::to_owned),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        status: subresources["status"].is_object(),
        scale: scale(&subresources["scale"]),
        custom: true,
        served: true,
        columns: storage["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
        schema: storage["schema"].get("openAPIV3Schema").cloned(),
        resource,
    })
}

/// The definition with the conditions that clients wait for; nothing if it has them already.
pub(crate) fn establish(definition: &Value) -> Option<Value> {
    if definition["status"]["conditions"].is_array() {
        return None;
    }
    let since = &definition["metadata"]["creationTimestamp"];
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    let stored: Vec<&Value> = definition["spec"]["versions"]
        .as_array()?
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| &version["name"])
        .collect();
    let mut next = definition.clone();
    next["status"] = json!({
        "acceptedNames": definition["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": stored,
    });
    Some(next)
}

fn scale(value: &Value) -> Option<Scale> {
    Some(Scale {
        spec: pointer(&value["specReplicasPath"])?,
        status: pointer(&value["statusReplicasPath"])?,
        selector: pointer(&value["labelSelectorPath"]),
    })
}

/// A path such as `.spec.replicas` as a JSON pointer.
fn pointer(path: &Value) -> Option<String> {
    path.as_str().map(|path| path.replace('.', "/"))
}

fn owned(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().map(|text| Cow::Owned(text.to_owned()))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
