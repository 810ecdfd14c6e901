//! What simulated pods do, as stages for kwok: start, be looked at by probes, work, fail, and go.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::layout::Layout;

/// The time from a pod's place on a node to its running containers, about that of a small image that is there already.
pub const START: Duration = Duration::from_millis(500);

/// How nodes come to life, relative to the folder of stages in kwok's module.
pub const OF_NODES: [&str; 2] =
    ["node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml"];

/// How pods do: names of files, and what is written there once the words in angle brackets are replaced.
const OF_PODS: [(&str, &str); 6] = [
    ("pod-start.yaml", include_str!("../../manifests/simulated/pod-start.yaml")),
    ("pod-refusal.yaml", include_str!("../../manifests/simulated/pod-refusal.yaml")),
    ("pod-probe.yaml", include_str!("../../manifests/simulated/pod-probe.yaml")),
    ("pod-gates.yaml", include_str!("../../manifests/simulated/pod-gates.yaml")),
    ("pod-work.yaml", include_str!("../../manifests/simulated/pod-work.yaml")),
    ("pod-end.yaml", include_str!("../../manifests/simulated/pod-end.yaml")),
];

/// Expressions of jq that several stages share, from the longest to those within them.
const WORDS: [(&str, &str); 6] = [
    // Of a pod: whether its containers can run. The names are those that tests of rollouts give to what shall not work.
    (
        "<fate>",
        r#"if any(<containers>; .image | test("<image-that-is-missing>")) then "has no image" elif any(<containers>; .command[0]? // "" | test("^(/bad|exit$)")) then "has no program" else "runs" end"#,
    ),
    ("<image-that-is-missing>", "[:-]error$|does-not-exist"),
    ("<containers>", ".spec.containers[]"),
    // Of a pod: the status of each condition by its type.
    ("<conditions>", "(.status.conditions // [] | map({(.type): .status}) | add // {})"),
    // Of a container.
    ("<words>", "((.command // []) + (.args // []))"),
    // Of the words of a command: the seconds that it sleeps.
    (
        "<sleep>",
        r#"(. // [] | join(" ") | capture("sleep +(?<number>[0-9]+)(?<unit>[smhd]?)") // {number: "0", unit: ""} | (.number | tonumber) * {"": 1, s: 1, m: 60, h: 3600, d: 86400}[.unit])"#,
    ),
];

/// Writes the stages of pods that start within this time.
///
/// # Errors
/// If a file cannot be written.
pub fn write(layout: &Layout, start: Duration) -> Result<()> {
    for (name, template) in OF_PODS {
        let file = of_pods(layout, name);
        fs::write(&file, filled(template, start)).with_context(|| format!("failed to write {}", file.display()))?;
    }
    Ok(())
}

/// Whether the stages that are written are those of pods that start within this time.
#[must_use]
pub fn are_of(layout: &Layout, start: Duration) -> bool {
    let is_same = |(name, template): &(&str, &str)| {
        fs::read_to_string(of_pods(layout, name)).is_ok_and(|text| text == filled(template, start))
    };
    OF_PODS.iter().all(is_same)
}

/// The files of all stages.
#[must_use]
pub fn files(layout: &Layout) -> Vec<PathBuf> {
    let pods = OF_PODS.iter().map(|(name, _)| of_pods(layout, name));
    OF_NODES.iter().map(|stage| of_nodes(layout, stage)).chain(pods).collect()
}

/// Where a stage of nodes is kept once it is built.
#[must_use]
pub fn of_nodes(layout: &Layout, stage: &str) -> PathBuf {
    let name = stage.rsplit('/').next().unwrap_or(stage);
    layout.parts().join("stages").join(name)
}

fn of_pods(layout: &Layout, name: &str) -> PathBuf {
    layout.config(name)
}

fn filled(template: &str, start: Duration) -> String {
    let text = WORDS.iter().fold(template.to_owned(), |text, (word, meaning)| text.replace(word, meaning));
    text.replace("<start-milliseconds>", &start.as_millis().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_yaml_without_a_word_left() {
        for (name, template) in OF_PODS {
            let text = filled(template, START);
            let stage: serde_json::Value = serde_saphyr::from_str(&text).expect(name);
            assert_eq!(stage["kind"], "Stage", "{name}");
            assert_eq!(format!("{}.yaml", stage["metadata"]["name"].as_str().expect(name)), name);
            let left: Vec<&str> = text.matches("<").collect();
            let groups = text.matches("(?<").count();
            assert_eq!(left.len(), groups, "{name}: a word has no meaning");
        }
    }

    #[test]
    fn the_time_of_the_start_is_that_which_was_asked_for() {
        let text = filled(OF_PODS[0].1, Duration::from_secs(2));
        assert!(text.contains("2000 + 1000 *"), "{text}");
    }
}
