//! Destinations of experiments come, get their share, and go without a trace.

use super::*;
use crate::istio::patch::patched;

fn route(destinations: &Value) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7", "annotations": {"keep": "me"}},
        "spec": {"hosts": ["web"], "http": [{"route": destinations}]},
    })
}

fn to(host: &str, weight: i32) -> Value {
    json!({"destination": {"host": host}, "weight": weight})
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

const BASE: RouteAt = RouteAt { protocol: Protocol::Http, index: 0 };

#[track_caller]
fn check(case: &str, before: &Value, shares: &[(&str, Share)], expected: &Value) {
    let (before, known) = (route(before), names(&["exp-a", "exp-b"]));
    let services = Services { namespace: "shop", names: &known };
    let shares: BTreeMap<String, Share> = shares.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
    let wanted = Wanted { owner: "shop/web", known: &services, shares: &shares };
    let after = patched(&before, &changes(&before, &[BASE], wanted)).expect("it applies");
    assert_eq!(after["spec"]["http"][0]["route"], *expected, "{case}");
    assert_eq!(changes(&after, &[BASE], wanted), Vec::<Value>::new(), "{case}: again, and nothing");
    let got = weights(&after, BASE, &services);
    assert_eq!(got, shares.iter().map(|(name, share)| (name.clone(), share.weight)).collect(), "{case}");
    assert_eq!(recorded(&after, "shop/web"), shares.keys().cloned().collect(), "{case}");
    assert_eq!(without(&after, &services)["spec"], without(&before, &services)["spec"], "{case}: nothing else changes");
}

#[test]
fn destinations_come_change_and_go() {
    let share = |weight| Share { weight, port: None };
    let split = json!([to("stable", 90), to("canary", 10)]);
    let both = json!([to("stable", 90), to("canary", 10), to("exp-a", 20)]);
    check("nothing", &split, &[], &split);
    check("one comes", &split, &[("exp-a", share(20))], &both);
    check("one changes", &both, &[("exp-a", share(5))], &json!([to("stable", 90), to("canary", 10), to("exp-a", 5)]));
    check("one goes", &both, &[], &split);
    let first = json!([to("exp-a", 20), to("stable", 90), to("foreign", 3), to("exp-b", 1)]);
    check("wherever they stand", &first, &[], &json!([to("stable", 90), to("foreign", 3)]));
    let twice = json!([to("exp-a", 20), to("stable", 60), to("exp-a.shop.svc.cluster.local", 20)]);
    let once = json!([to("stable", 60), to("exp-a.shop.svc.cluster.local", 20)]);
    check("one that is there twice", &twice, &[("exp-a", share(20))], &once);
    let elsewhere = json!([to("stable", 90), to("exp-a.other", 20)]);
    check("one of another namespace is foreign", &elsewhere, &[], &elsewhere);
    let port = json!([to("stable", 90), {"destination": {"host": "exp-a", "port": {"number": 80}}, "weight": 20}]);
    check("a port is told", &json!([to("stable", 90)]), &[("exp-a", Share { weight: 20, port: Some(80) })], &port);
}

#[test]
fn a_route_of_another_namespace_names_the_service_in_full() {
    let mut vs = route(&json!([to("stable.shop", 100)]));
    vs["metadata"]["namespace"] = json!("mesh");
    let known = names(&["exp-a"]);
    let services = Services { namespace: "shop", names: &known };
    let shares = BTreeMap::from([("exp-a".to_owned(), Share { weight: 1, port: None })]);
    let wanted = Wanted { owner: "shop/web", known: &services, shares: &shares };
    let after = patched(&vs, &changes(&vs, &[BASE], wanted)).expect("it applies");
    assert_eq!(after["spec"]["http"][0]["route"][1]["destination"]["host"], "exp-a.shop.svc.cluster.local");
    assert!(sends_to(&after, "exp-a", "shop"));
}

#[track_caller]
fn check_sends(case: &str, route: &Value, sends: bool) {
    let vs = json!({"metadata": {"namespace": "shop"}, "spec": {"http": [{"route": [to("other", 100)]}, route]}});
    assert_eq!(sends_to(&vs, "exp", "shop"), sends, "{case}");
}

#[test]
fn whoever_could_get_a_request_counts() {
    check_sends("a weight", &json!({"route": [to("stable", 99), to("exp", 1)]}), true);
    check_sends("no weight", &json!({"route": [to("stable", 100), to("exp", 0)]}), false);
    check_sends("the only destination", &json!({"route": [{"destination": {"host": "exp"}}]}), true);
    check_sends("a mirror", &json!({"route": [to("stable", 100)], "mirror": {"host": "exp.shop.svc"}}), true);
    let mirrors = json!({"route": [to("stable", 100)], "mirrors": [{"destination": {"host": "exp"}}]});
    check_sends("one of several mirrors", &mirrors, true);
    check_sends("another Service", &json!({"route": [to("stable", 99), to("exp-2", 1)]}), false);
}

#[test]
fn a_rollout_that_is_gone_leaves_its_share_to_the_heaviest() {
    let mut vs = route(&json!([to("canary", 10), to("exp-a", 20), to("stable", 65), to("exp-b", 5)]));
    vs["metadata"]["annotations"][EXPERIMENT_SERVICES] = json!(r#"{"shop/web":["exp-a","exp-b"]}"#);
    let after = patched(&vs, &farewell(&vs, "shop/web")).expect("it applies");
    assert_eq!(after["spec"]["http"][0]["route"], json!([to("canary", 10), to("stable", 90)]));
    assert_eq!(after["metadata"]["annotations"], json!({"keep": "me"}));
    assert_eq!(farewell(&after, "shop/web"), Vec::<Value>::new());
    assert_eq!(farewell(&vs, "shop/other"), Vec::<Value>::new(), "those of others stay");
}

#[test]
fn subsets_are_made_and_removed_by_name_and_shape() {
    let subset = |name: &str, hash: &str| json!({"name": name, "labels": {POD_TEMPLATE_HASH: hash}});
    let own = json!({"name": "exp-b", "labels": {"app": "web"}});
    let dr = json!({"spec": {"subsets": [{"name": "stable"}, subset("exp-a", "old"), own]}});
    let known = names(&["exp-a", "exp-b"]);
    let hashes = BTreeMap::from([("exp-a".to_owned(), "new".to_owned())]);
    let after = patched(&dr, &subset_changes(&dr, &known, &hashes)).expect("it applies");
    assert_eq!(after["spec"]["subsets"], json!([{"name": "stable"}, own, subset("exp-a", "new")]));
    assert_eq!(subset_changes(&after, &known, &hashes), Vec::<Value>::new());
    let gone = patched(&after, &subset_changes(&after, &known, &BTreeMap::new())).expect("it applies");
    assert_eq!(gone["spec"]["subsets"], json!([{"name": "stable"}, own]), "a subset of somebody else's stays");
    assert_eq!(without_subsets(&after, &known), gone);
}

#[test]
fn a_subset_without_labels_is_no_subset_of_an_experiment() {
    for labels in [json!(null), json!({})] {
        let bare = json!({"name": "exp-a", "labels": labels});
        let dr = json!({"spec": {"subsets": [{"name": "stable"}, bare]}});
        let hashes = BTreeMap::from([("exp-a".to_owned(), "new".to_owned())]);
        for hashes in [hashes, BTreeMap::new()] {
            let after = patched(&dr, &subset_changes(&dr, &names(&["exp-a"]), &hashes)).expect("it applies");
            assert_eq!(after["spec"]["subsets"][1], bare, "{hashes:?}");
        }
    }
}
