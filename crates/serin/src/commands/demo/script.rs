//! What the demo plays: our own manifests, and the chapters for any manifests.

use std::path::Path;

use serde_json::Value;
use serin_sim::demo::Chapter;
use serin_sim::image::SetImage;
use serin_sim::manifests::{self, Manifest};
use serin_sim::simulate::Conduct;

use crate::exit::BadInput;

/// Our own manifests by file name.
const OUR_OWN: [(&str, &str); 4] = [
    ("namespace.yaml", include_str!("../../demo_manifests/namespace.yaml")),
    ("reviews.yaml", include_str!("../../demo_manifests/reviews.yaml")),
    ("mesh.yaml", include_str!("../../demo_manifests/mesh.yaml")),
    ("analysis.yaml", include_str!("../../demo_manifests/analysis.yaml")),
];

/// Our own manifests.
pub(super) fn our_own() -> Result<Vec<Manifest>, BadInput> {
    let mut all = Vec::new();
    for (file, text) in OUR_OWN {
        let parsed = manifests::parse(Path::new(file), text);
        all.extend(parsed.map_err(|errors| BadInput::all(&errors))?);
    }
    Ok(all)
}

/// A good version of the first Rollout, and a bad one.
///
/// # Errors
/// There is no Rollout, or it has no image.
pub(super) fn chapters(manifests: &[Manifest]) -> Result<Vec<Chapter>, String> {
    let named = |kind: &str, name: Option<&str>| {
        let objects = manifests.iter().map(|manifest| &manifest.object);
        let mut of_kind = objects.filter(|object| object["kind"] == kind);
        of_kind.find(|object| name.is_none() || object["metadata"]["name"].as_str() == name)
    };
    let rollout = named("Rollout", None).ok_or("there is no Rollout (argoproj.io/v1alpha1) in these manifests")?;
    let name = rollout["metadata"]["name"].as_str().unwrap_or_default();
    let reference = rollout.pointer("/spec/workloadRef/name").and_then(Value::as_str);
    let owner = reference.map_or(Some(rollout), |reference| named("Deployment", Some(reference)));
    let container = owner.and_then(|owner| owner.pointer("/spec/template/spec/containers/0"));
    let image = container.and_then(|container| container["image"].as_str());
    let Some((container, image)) = container.zip(image) else {
        return Err(format!("Rollout {name} has no pod template with an image, and refers to no Deployment with one"));
    };
    let chapter = |headline: String, version: u32, conduct| Chapter {
        headline,
        set_image: SetImage {
            workload: reference.unwrap_or(name).to_owned(),
            container: container["name"].as_str().map(str::to_owned),
            image: later(image, version),
        },
        conduct,
    };
    Ok(vec![
        chapter(format!("A good version of {name} comes: it is promoted step by step"), 2, Conduct::Healthy),
        chapter(format!("A bad version of {name} comes: every fifth request fails"), 3, Conduct::Errors),
    ])
}

/// The name of a later version: `v1` becomes `v2`, or the tag is replaced.
fn later(image: &str, version: u32) -> String {
    let later = format!("v{version}");
    if let Some(at) = image.rfind("v1") {
        let next = image[at + 2..].chars().next();
        if next.is_none_or(|next| !next.is_ascii_digit()) {
            return format!("{}{later}{}", &image[..at], &image[at + 2..]);
        }
    }
    let bare = image.split_once('@').map_or(image, |(bare, _)| bare);
    match bare.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => format!("{name}:{later}"),
        Some(_) | None => format!("{bare}:{later}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_manifests_have_a_story() {
        let chapters = chapters(&our_own().expect("they parse")).expect("they have a Rollout");
        let images: Vec<&str> = chapters.iter().map(|chapter| chapter.set_image.image.as_str()).collect();
        assert_eq!(images, ["registry.example.org/aviary/reviews:v2", "registry.example.org/aviary/reviews:v3"]);
        assert_eq!(chapters[0].set_image.workload, "reviews");
    }

    #[test]
    fn a_later_version_has_another_image() {
        let check = |image: &str, wanted: &str| assert_eq!(later(image, 2), wanted);
        check("x/reviews:v1", "x/reviews:v2");
        check("docker.io/istio/reviews-v1:1.16.4", "docker.io/istio/reviews-v2:1.16.4");
        check("nginx", "nginx:v2");
        check("host:5000/nginx", "host:5000/nginx:v2");
        check("nginx:1.27", "nginx:v2");
        check("nginx:v12", "nginx:v2");
        check("nginx@sha256:abc", "nginx:v2");
    }

    #[test]
    fn without_a_rollout_there_is_no_story() {
        assert!(chapters(&[]).expect_err("there is nothing").contains("no Rollout"));
    }
}
