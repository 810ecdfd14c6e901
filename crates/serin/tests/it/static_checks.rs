//! `serin lint`, `serin crds`, and flags that are wrong.

use serde_json::Value;

use crate::program::{code, serin, stderr, stdout};

fn data(file: &str) -> String {
    format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn good_manifests_are_good() {
    let output = serin(&["lint", "-f", &data("good.yaml")]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(
        stdout(&output).contains("2 objects of Serin in 1 file checked: 0 errors, 0 warnings"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn every_error_is_told_with_file_object_and_field() {
    let output = serin(&["lint", "-f", &data("bad.yaml"), "-o", "json"]);
    assert_eq!(code(&output), 2, "{}", stdout(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let findings: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| {
            assert!(f["file"].as_str().unwrap().ends_with("bad.yaml"), "{f}");
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text(&f["severity"]), text(&f["object"]["name"]), text(&f["field"]))
        })
        .collect();
    assert_eq!(
        findings,
        [
            "error success-rate spec.metrics[0].successCondition",
            "error tasting spec.templates",
            "error tasting spec.duration",
            "error teapot spec.strategy.canary.stableSrvice",
            "warning teapot spec.workloadRef.name",
            "error teapot spec.strategy.canary.steps[0].setWeight",
        ]
        .map(str::to_owned),
        "{report:#}"
    );
    assert_eq!(report["summary"]["errors"], 5);
}

#[test]
fn an_amount_that_is_none_gives_a_warning() {
    let output = serin(&["lint", "-f", &data("amounts.yaml")]);
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{text}");
    assert!(text.contains("spec.template.spec.containers[0].resources.requests"), "{text}");
    assert!(text.contains("0 errors, 1 warning"), "{text}");
}

#[test]
fn a_file_that_is_no_yaml_does_not_hide_the_others() {
    let output = serin(&["lint", "-f", &data(".")]);
    let text = stdout(&output);
    assert_eq!(code(&output), 2, "{text}");
    assert!(text.contains("broken.yaml: is no valid YAML"), "{text}");
    assert!(text.contains("steps[0].setWeight"), "{text}");
}

#[test]
fn the_definitions_are_yaml() {
    let output = serin(&["crds"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&stdout(&output)).unwrap();
    let names: Vec<&str> = documents.iter().filter_map(|d| d["metadata"]["name"].as_str()).collect();
    assert!(names.contains(&"rollouts.argoproj.io") && names.len() == 5, "{names:?}");
    assert!(documents.iter().all(|d| d["kind"] == "CustomResourceDefinition"));
}

#[track_caller]
fn check(case: &str, arguments: &[&str], part: &str) {
    let output = serin(arguments);
    assert_eq!(code(&output), 2, "{case}: {}", stderr(&output));
    assert!(stderr(&output).contains("error: ") && stderr(&output).contains(part), "{case}: {}", stderr(&output));
}

#[test]
fn bad_flags_are_named() {
    check("an unknown subcommand", &["promot"], "promot");
    check("a world that there is not", &["simulate", "-f", "x", "--world", "rainy"], "--world");
    check("an image without workload", &["simulate", "-f", "x", "--set-image", "x"], "WORKLOAD[/CONTAINER]=IMAGE");
    check("a horizon without unit", &["simulate", "-f", "x", "--horizon", "6"], "--horizon");
    check("a file that there is not", &["simulate", "-f", "no/such/file.yaml"], "no/such/file.yaml");
    check("nothing to lint", &["lint"], "--filename");
    check("no port", &["controller", "--metrics-port", "x"], "--metrics-port");
    check("no log level", &["controller", "--log-level", "a=b=c"], "--log-level");
}
