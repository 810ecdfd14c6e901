//! What the page of metrics shows, and that nothing outlives its object.

use std::sync::Arc;

use serde_json::json;
use serin_core::plan::Event;
use serin_core::rollout;

use super::*;
use crate::change::Kind;
use crate::execute::Report;

fn template(name: &str) -> Arc<serde_json::Value> {
    let metric = |name: &str, provider: serde_json::Value| json!({"name": name, "provider": provider});
    Arc::new(json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"metrics": [
        metric("rate", json!({"prometheus": {"query": "up"}})), metric("rate", json!({"prometheus": {"query": "down"}})),
        metric("apdex", json!({"skywalking": {}})), metric("odd", json!("nobody")),
    ]}}))
}

#[test]
fn a_fresh_page_is_whole_and_names_the_version() {
    let page = Metrics::new().render();
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(page.contains(&format!("argo_rollouts_controller_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    assert!(page.contains("serin_unsafe_plans_total 0"), "{page}");
}

#[test]
fn requests_are_counted_by_kind_verb_and_code() {
    let metrics = Metrics::new();
    metrics.request("Rollout", "shop", "patch", 200);
    metrics.request("Rollout", "shop", "patch", 200);
    let page = metrics.render();
    let line = "controller_clientset_k8s_request_total{kind=\"Rollout\",namespace=\"shop\",verb=\"patch\",status_code=\"200\"} 2";
    assert!(page.contains(line), "{page}");
}

#[test]
fn errors_keep_their_name_and_go_with_their_object() {
    let metrics = Metrics::new();
    let key = Key::rollout("shop", "web");
    metrics.broke_down(&key);
    assert!(metrics.render().contains("rollout_reconcile_error{namespace=\"shop\",name=\"web\"} 1"));
    metrics.forget(&key);
    assert!(!metrics.render().contains("name=\"web\""));
}

/// A Rollout in its second step, as observed, with what was decided about it.
fn decision() -> Decision {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"replicas": 4, "strategy": {"canary": {
            "steps": [{"setWeight": 20}, {"pause": {}}],
            "trafficRouting": {"istio": {"virtualService": {"name": "web"}}},
        }}},
    });
    let status = json!({
        "phase": "Paused", "currentStepIndex": 1, "replicas": 5, "availableReplicas": 4, "updatedReplicas": 1,
        "abortedAt": "1970-01-01T00:00:00Z",
        "duration": {
            "rolloutStartedAt": "1969-12-31T23:58:00Z", "finishedAt": "1970-01-01T00:00:00Z", "completionStatus": "Aborted",
            "totalManualPauseDurationSeconds": 45,
        },
        "serin": {"stepStartedAt": "1970-01-01T00:00:00Z", "abortCause": "Background analysis phase error/failed"},
    });
    let observed = rollout::Observed {
        now: DateTime::UNIX_EPOCH,
        rollout: Arc::new(serde_json::from_value(object).expect("a Rollout")),
        workload: None,
        replica_sets: Vec::new(),
        pods: Vec::new(),
        services: BTreeMap::new(),
        virtual_services: BTreeMap::new(),
        destination_rule: None,
        left_behind: Vec::new(),
        templates: BTreeMap::new(),
        analysis_runs: Vec::new(),
        names_taken: std::collections::BTreeSet::new(),
        rivals: Vec::new(),
        experiments: Vec::new(),
        experiment_services: BTreeMap::new(),
        experiment_pods: Vec::new(),
        control_plane: rollout::ControlPlane::Unknown,
        settings: rollout::observed::Settings::default(),
    };
    let facts = rollout::Facts { weight_desired: Some(20), weight_observed: Some(10), ..rollout::Facts::default() };
    let plan = rollout::Plan {
        status: Some(serde_json::from_value(status).expect("a status")),
        events: vec![Event::normal("RolloutPaused", "Rollout is paused")],
        holds: vec![rollout::Hold::WaitingForPromotion { step: 1 }],
        facts,
        ..rollout::Plan::default()
    };
    Decision::Rollout { observed: Box::new(observed), plan: Box::new(plan) }
}

#[test]
fn a_rollout_is_described_until_it_is_gone() {
    let (metrics, key) = (Metrics::new(), Key::rollout("shop", "web"));
    let events = vec![Event::normal("RolloutPaused", "Rollout is paused")];
    let report = Report { status_written: true, events, ..Report::default() };
    let decision = decision();
    let record = Record { at: DateTime::UNIX_EPOCH, decision: &decision, report: &report };
    metrics.record(&key, &record, DateTime::UNIX_EPOCH + TimeDelta::milliseconds(20));
    let page = metrics.render();
    let web = "namespace=\"shop\",name=\"web\"";
    for line in [
        format!("rollout_info{{{web},strategy=\"canary\",traffic_router=\"Istio\",phase=\"Paused\"}} 1"),
        format!("rollout_info_replicas_desired{{{web}}} 4"),
        format!("rollout_info_replicas_unavailable{{{web}}} 1"),
        format!("rollout_reconcile_bucket{{le=\"0.15\",{web}}} 1"),
        format!("rollout_events_total{{{web},type=\"Normal\",reason=\"RolloutPaused\"}} 1"),
        format!("serin_rollout_weight_desired{{{web}}} 20"),
        format!("serin_rollout_weight_observed{{{web}}} 10"),
        format!("serin_rollout_step_index{{{web}}} 1"),
        format!("serin_rollout_steps{{{web}}} 2"),
        format!("serin_rollout_step_seconds{{{web}}} 0"),
        format!("serin_rollout_hold{{{web},reason=\"WaitingForPromotion\"}} 1"),
        "serin_abort_total{cause=\"background_analysis\"} 1".to_owned(),
        "rollout_duration_seconds_sum{status=\"Aborted\"} 120.0".to_owned(),
        "rollout_duration_seconds_bucket{le=\"60.0\",status=\"Aborted\"} 0".to_owned(),
        "rollout_progression_duration_seconds_sum{status=\"Aborted\"} 75.0".to_owned(),
        "rollout_manual_pause_duration_seconds_bucket{le=\"0.0\",status=\"Aborted\"} 0".to_owned(),
        "rollout_manual_pause_duration_seconds_count{status=\"Aborted\"} 1".to_owned(),
    ] {
        assert!(page.lines().any(|got| got == line), "{line} is not on the page:\n{page}");
    }
    metrics.forget(&key);
    assert!(!metrics.render().contains(web));
}

#[test]
fn templates_are_listed_while_they_exist() {
    let metrics = Metrics::new();
    metrics.change(&Change::Applied(Kind::AnalysisTemplate, template("a")));
    metrics.change(&Change::Replaced(Kind::AnalysisTemplate, vec![template("b\"c")]));
    let page = metrics.render();
    assert!(page.contains("analysis_template_info{namespace=\"shop\",name=\"b\\\"c\"} 1"), "{page}");
    assert!(!page.contains("name=\"a\""), "{page}");
    let measured: Vec<&str> = page.lines().filter(|line| line.starts_with("analysis_template_metric_info")).collect();
    let line = |kind: &str, metric: &str| {
        format!(
            "analysis_template_metric_info{{namespace=\"shop\",name=\"b\\\"c\",type=\"{kind}\",metric=\"{metric}\"}} 1"
        )
    };
    let expected = [line("Prometheus", "rate"), line("Unknown Provider", "odd"), line("skywalking", "apdex")];
    assert_eq!(measured, expected, "each once, malformed or not");
    metrics.change(&Change::Deleted(Kind::AnalysisTemplate, template("b\"c")));
    assert!(!metrics.render().contains("analysis_template"));
}

#[test]
fn who_overwrites_is_counted_by_name_within_bounds_and_forgotten_with_the_rollout() {
    let (metrics, key) = (Metrics::new(), Key::rollout("shop", "web"));
    let report = Report { status_written: true, ..Report::default() };
    let overwrite = |manager: &str| {
        let Decision::Rollout { observed, mut plan } = decision() else { panic!("it is about a Rollout") };
        plan.facts.overwritten = vec![rollout::Overwritten {
            name: "web".to_owned(),
            manager: manager.to_owned(),
            operation: "Apply".to_owned(),
            from: 20,
            to: 0,
        }];
        let decision = Decision::Rollout { observed, plan };
        let record = Record { at: DateTime::UNIX_EPOCH, decision: &decision, report: &report };
        metrics.record(&key, &record, DateTime::UNIX_EPOCH);
    };
    (0..20).for_each(|number| overwrite(&format!("tool-{number}")));
    overwrite("tool-0");
    let page = metrics.render();
    let series = |manager: &str, value: u32| {
        format!("serin_routes_overwritten_total{{namespace=\"shop\",name=\"web\",manager=\"{manager}\"}} {value}")
    };
    for line in [series("tool-0", 2), series("tool-7", 1), series("others", 12)] {
        assert!(page.lines().any(|got| got == line), "{line} is not on the page:\n{page}");
    }
    assert!(!page.contains("tool-8"), "{page}");
    metrics.forget(&key);
    assert!(!metrics.render().contains("manager="));
}
