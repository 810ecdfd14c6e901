//! What the page of metrics shows, and that nothing outlives its object.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::change::Kind;

fn template(name: &str) -> Arc<serde_json::Value> {
    Arc::new(json!({"metadata": {"namespace": "shop", "name": name}}))
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

#[test]
fn templates_are_listed_while_they_exist() {
    let metrics = Metrics::new();
    metrics.change(&Change::Applied(Kind::AnalysisTemplate, template("a")));
    metrics.change(&Change::Replaced(Kind::AnalysisTemplate, vec![template("b\"c")]));
    let page = metrics.render();
    assert!(page.contains("analysis_template_info{namespace=\"shop\",name=\"b\\\"c\"} 1"), "{page}");
    assert!(!page.contains("name=\"a\""), "{page}");
    metrics.change(&Change::Deleted(Kind::AnalysisTemplate, template("b\"c")));
    assert!(!metrics.render().contains("analysis_template_info"));
}
