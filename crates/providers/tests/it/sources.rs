//! Which provider is asked, and with which arguments.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_core::analysis::sample::{ArgValue, Semantics};
use serin_providers::Sources;

use crate::fake::{Fake, line, measure, noon};

async fn check(provider: Value, expected: &str) {
    let fake = Fake::always(200, "{}");
    let measure = measure(&provider, Semantics::Serin);
    let answer = Sources::default().measure(&measure, &BTreeMap::new(), noon(), &fake).await;
    assert_eq!(line(&answer.outcome), expected);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn other_providers_are_refused_by_name() {
    let unsupported =
        |name: &str| format!("wrong: provider {name} is not supported yet; use prometheus, skywalking, web or job");
    check(json!({"job": {}}), "wrong: a Job is not asked; the controller runs it").await;
    check(json!({"newRelic": {"query": "x"}}), &unsupported("newRelic")).await;
    check(json!({"plugin": {"acme/x": {}}}), &unsupported("acme/x")).await;
    let none = "wrong: the metric has no provider; set prometheus, skywalking, web or job below provider";
    check(json!({}), none).await;
    let both = "wrong: the metric has several providers (prometheus, skywalking); keep one";
    check(json!({"prometheus": {"query": "x"}, "skywalking": {"query": "x"}}), both).await;
}

#[tokio::test]
async fn arguments_are_substituted_and_missing_ones_named() {
    let provider = json!({"prometheus": {"address": "http://p", "query": "up{app=\"{{args.app}}\"}"}});
    check(provider.clone(), "wrong: failed to resolve {{args.app}}").await;

    let mut with_secret = measure(&provider, Semantics::Serin);
    with_secret.args.insert("app".into(), ArgValue::Secret { name: "s".into(), key: "k".into() });
    let fake = Fake::always(500, "");
    let answer = Sources::default().measure(&with_secret, &BTreeMap::new(), noon(), &fake).await;
    assert_eq!(line(&answer.outcome), "wrong: argument \"app\": key 'k' of secret 's' was not read");

    let mut known = measure(&provider, Semantics::Serin);
    known.args.insert("app".into(), ArgValue::Known("a&b".into()));
    Sources::default().measure(&known, &BTreeMap::new(), noon(), &fake).await;
    assert!(fake.seen()[0].body.starts_with("query=up%7Bapp%3D%22a%26b%22%7D&"), "{:?}", fake.seen());
}

#[tokio::test]
async fn values_that_no_object_can_hold_are_cut() {
    let provider = json!({"prometheus": {"address": "http://p", "query": "up"}});
    let series: Vec<Value> = (0..9_000).map(|n| json!({"metric": {}, "value": [1, format!("{n}")]})).collect();
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": series}});
    let fake = Fake::always(200, &body.to_string());
    let answer =
        Sources::default().measure(&measure(&provider, Semantics::Serin), &BTreeMap::new(), noon(), &fake).await;
    assert!(answer.value.ends_with("… (43891 bytes)"), "{}", &answer.value[answer.value.len() - 40..]);
    assert!(answer.value.len() < 17_000);
    assert!(line(&answer.outcome).contains("8999.0"));
}
