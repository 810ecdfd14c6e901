//! A new version: the image of a Rollout, or of the workload that a Rollout refers to.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use crate::cluster::{Cluster, ROLLOUTS};
use crate::rollout_object::{Workload, workload};

/// `WORKLOAD[/CONTAINER]=IMAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetImage {
    /// Name of a Rollout, or of a Deployment, ReplicaSet or PodTemplate that a Rollout refers to.
    pub workload: String,
    /// Name of the container; may be left out if there is one only, or one named like the workload.
    pub container: Option<String>,
    /// The new image.
    pub image: String,
}

impl FromStr for SetImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` has not the form WORKLOAD[/CONTAINER]=IMAGE, such as reviews=registry/reviews:v2");
        let (target, image) = text.split_once('=').ok_or_else(wrong)?;
        let (workload, container) = match target.split_once('/') {
            Some((workload, container)) => (workload, Some(container.to_owned())),
            None => (target, None),
        };
        if workload.is_empty() || image.is_empty() || container.as_deref() == Some("") {
            return Err(wrong());
        }
        Ok(SetImage { workload: workload.to_owned(), container, image: image.to_owned() })
    }
}

impl fmt::Display for SetImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.workload)?;
        if let Some(container) = &self.container {
            write!(f, "/{container}")?;
        }
        write!(f, "={}", self.image)
    }
}

/// What a new image was set on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Namespace of the Rollout that it brings into motion.
    pub namespace: String,
    /// Name of that Rollout.
    pub rollout: String,
    /// What was patched, such as `Deployment reviews`.
    pub patched: String,
    /// The image before.
    pub before: String,
}

/// Sets an image.
///
/// # Errors
/// There is no such workload or container, or it runs that image already; the sentence says what there is.
pub fn set_image(cluster: &Cluster, change: &SetImage) -> Result<Changed, String> {
    let rollouts = cluster.list(&ROLLOUTS, None);
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let found = rollouts.iter().find(|rollout| {
        text(rollout, "name") == change.workload || workload(rollout).is_some_and(|of| of.name == change.workload)
    });
    let Some(rollout) = found else {
        let mut known: Vec<String> = rollouts.iter().map(|rollout| text(rollout, "name")).collect();
        known.extend(rollouts.iter().filter_map(|rollout| Some(workload(rollout)?.name.to_owned())));
        return Err(format!(
            "there is no Rollout `{}`, and no workload of that name that a Rollout refers to; there are: {}",
            change.workload,
            known.join(", ")
        ));
    };
    let namespace = text(rollout, "namespace");
    let own = text(rollout, "name");
    let own = Workload { resource: &ROLLOUTS, name: &own, template: "/spec/template" };
    let Workload { resource, name, template } = workload(rollout).unwrap_or(own);
    let object = cluster.get(resource, &namespace, name).map_err(|_| {
        format!("{} {name}, which Rollout {} refers to, does not exist", resource.kind, text(rollout, "name"))
    })?;
    let index = container_index(&object, template, change)?;
    let pointer = format!("{template}/spec/containers/{index}/image");
    let before = object.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    if before == change.image {
        return Err(format!("{} {name} runs {before} already; name another image", resource.kind));
    }
    let edit = |object: &mut Value| {
        if let Some(image) = object.pointer_mut(&pointer) {
            *image = json!(change.image);
        }
    };
    cluster.modify(resource, &namespace, name, edit).map_err(|error| error.to_string())?;
    Ok(Changed { namespace, rollout: text(rollout, "name"), patched: format!("{} {name}", resource.kind), before })
}

fn container_index(object: &Value, template: &str, change: &SetImage) -> Result<usize, String> {
    let containers = object.pointer(&format!("{template}/spec/containers")).and_then(Value::as_array);
    let names: Vec<&str> = containers.into_iter().flatten().map(|c| c["name"].as_str().unwrap_or_default()).collect();
    let wanted = change.container.as_deref().unwrap_or(&change.workload);
    match names.iter().position(|name| *name == wanted) {
        Some(index) => Ok(index),
        None if change.container.is_none() && names.len() == 1 => Ok(0),
        None => Err(format!(
            "{} has no container `{wanted}`; name one of [{}] as {}/CONTAINER=IMAGE",
            change.workload,
            names.join(", "),
            change.workload
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_read() {
        let one: SetImage = "reviews=registry:5000/reviews:v2".parse().expect("a workload and an image");
        assert_eq!(
            (one.workload.as_str(), one.container, one.image.as_str()),
            ("reviews", None, "registry:5000/reviews:v2")
        );
        let two: SetImage = "web/app=x:1".parse().expect("a container too");
        assert_eq!(two.container.as_deref(), Some("app"));
        for wrong in ["reviews", "=x", "reviews=", "reviews/=x"] {
            assert!(wrong.parse::<SetImage>().is_err(), "{wrong}");
        }
    }
}
