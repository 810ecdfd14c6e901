//! Tests of managed routes, by table over the VirtualService before and after.

use serde_json::{Value, json};

use super::super::patch::apply;
use super::super::virtual_service::Side;
use super::*;

const OWNER: &str = "shop/web";

fn sides() -> Sides {
    let side = |name: &str| Side::Subset { host: Some("web".to_owned()), name: name.to_owned(), service: None };
    Sides { canary: side("canary"), stable: side("stable"), rollout_namespace: "shop".to_owned() }
}

fn header(name: &str) -> ManagedRoute {
    let matches = vec![json!({"headers": {"agent": {"exact": "x"}}})];
    ManagedRoute { name: name.to_owned(), matches, kind: ManagedKind::Header }
}

fn mirror(name: &str, percentage: i32) -> ManagedRoute {
    let matches = vec![json!({"method": {"exact": "GET"}})];
    ManagedRoute { name: name.to_owned(), matches, kind: ManagedKind::Mirror { percentage } }
}

fn split(canary: i32) -> Value {
    json!([
        {"destination": {"host": "web", "subset": "stable", "port": {"number": 80}}, "weight": 100 - canary},
        {"destination": {"host": "web", "subset": "canary", "port": {"number": 80}}, "weight": canary},
    ])
}

fn to_canary() -> Value {
    json!([{"destination": {"host": "web", "subset": "canary", "port": {"number": 80}}, "weight": 100}])
}

fn vs(http: &Value) -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "annotations": {"keep": "me"}}, "spec": {"http": http}})
}

fn names() -> Vec<String> {
    ["first", "second"].map(str::to_owned).to_vec()
}

/// What becomes of the routes where the one named `main`, or the only one, is split.
#[track_caller]
fn check(case: &str, before: &Value, routes: &[ManagedRoute], wanted: &Value) {
    let annotated = vs(before);
    let mut bare = annotated.clone();
    bare["metadata"].as_object_mut().expect("metadata").remove("annotations");
    for before in [annotated, bare] {
        let base = |vs: &Value| -> Vec<RouteAt> {
            let is_base = |(_, route): &(usize, &Value)| name(route).is_none_or(|name| name == "main");
            let all = http(vs).iter().enumerate().filter(is_base);
            all.map(|(index, _)| RouteAt { protocol: Protocol::Http, index }).collect()
        };
        let names = names();
        let asked = Wanted { owner: OWNER, names: &names, routes };
        let after = apply(&before, &changes(&before, &base(&before), asked, &sides()).expect("operations"));
        assert_eq!(after["spec"]["http"], *wanted, "{case}");
        assert_eq!(changes(&after, &base(&after), asked, &sides()), Ok(Vec::new()), "{case}: again, and nothing");
        assert_eq!(without(&after, &names), without(&before, &names), "{case}: nothing else changes");
        let gone = apply(&after, &farewell(&after, OWNER));
        assert_eq!(gone["spec"], without(&before, &names)["spec"], "{case}: the Rollout leaves no route behind");
        assert!(!gone.to_string().contains(MANAGED_ROUTES), "{case}: nor a record of one: {gone}");
        assert_eq!(without(&gone, &names), without(&before, &names), "{case}: and changes nothing else");
    }
}

#[test]
fn a_managed_route_derives_from_the_one_behind_it() {
    let main = json!({"route": split(20), "timeout": "3s", "retries": {"attempts": 2}, "rewrite": {"uri": "/v2"},
        "corsPolicy": {"maxAge": "1h"}});
    let with = |extra: &Value| {
        let mut route = main.clone();
        json_patch::merge(&mut route, extra);
        route
    };
    let agent = json!([{"headers": {"agent": {"exact": "x"}}}]);
    let first = with(&json!({"name": "first", "match": agent, "route": to_canary()}));
    check("a header route", &json!([main]), &[header("first")], &json!([first, main]));
    let get = json!([{"method": {"exact": "GET"}}]);
    let mirrored = json!({"name": "second", "match": get, "mirrorPercentage": {"value": 30},
        "mirror": {"host": "web", "subset": "canary", "port": {"number": 80}}});
    let second = with(&mirrored);
    check("a mirror route", &json!([main]), &[mirror("second", 30)], &json!([second, main]));
    let both = [mirror("second", 30), header("first")];
    check("in the order of their names", &json!([main]), &both, &json!([first, second, main]));
    check("there is none any more", &json!([first, second, main]), &[], &json!([main]));
    check("one of two stays", &json!([first, second, main]), &[mirror("second", 30)], &json!([second, main]));
    check("what somebody changed comes back", &json!([main, {"name": "first"}]), &both, &json!([first, second, main]));
    let own = with(&json!({"mirror": {"host": "audit"}, "mirrorPercentage": {"value": 1}}));
    let mut second = with(&json!({"name": "second", "match": get}));
    second["mirrors"] = json!([
        {"destination": {"host": "audit"}, "percentage": {"value": 1}},
        {"destination": {"host": "web", "subset": "canary", "port": {"number": 80}}, "percentage": {"value": 30}},
    ]);
    check("beside a mirror of the author's", &json!([own]), &[mirror("second", 30)], &json!([second, own]));
}

#[test]
fn foreign_routes_keep_their_requests() {
    let admin =
        json!({"name": "admin", "match": [{"uri": {"prefix": "/admin"}}], "route": [{"destination": {"host": "a"}}]});
    let main = json!({"name": "main", "match": [{"uri": {"prefix": "/shop"}}], "route": split(0)});
    let mut first = main.clone();
    first["name"] = json!("first");
    first["match"] = json!([{"uri": {"prefix": "/shop"}, "headers": {"agent": {"exact": "x"}}}]);
    first["route"] = to_canary();
    check("it comes after them", &json!([admin, main]), &[header("first")], &json!([admin, first, main]));
    let twice = json!([main, admin, main]);
    check("before each base", &twice, &[header("first")], &json!([first, main, admin, first, main]));
    let mut other = main.clone();
    other["match"] = json!([{"method": {"exact": "POST"}}]);
    check("none without a request", &json!([other]), &[mirror("second", 5)], &json!([other]));
}

#[test]
fn what_is_there_is_read() {
    let names = names();
    let read = |http: &Value| existing(&vs(http), &names, &sides());
    assert_eq!(read(&json!([{"route": split(20)}])), Existing::default(), "only routes of the names count");
    let split_route = read(&json!([{"name": "second", "route": split(20)}]));
    assert_eq!(split_route.splitting.iter().map(|weights| weights.canary).collect::<Vec<_>>(), [20]);
    assert!(!split_route.to_canary);
    assert!(read(&json!([{"name": "first", "route": to_canary()}])).to_canary);
}

#[test]
fn the_record_names_rollouts_apart() {
    let main = json!([{"route": split(0)}]);
    let mut object = vs(&main);
    object["metadata"]["annotations"][MANAGED_ROUTES] = json!("{\"other/api\":[\"theirs\"]}");
    let names = names();
    let routes = [header("first")];
    let asked = Wanted { owner: OWNER, names: &names, routes: &routes };
    let base = [RouteAt { protocol: Protocol::Http, index: 0 }];
    let after = apply(&object, &changes(&object, &base, asked, &sides()).expect("operations"));
    let text = after["metadata"]["annotations"][MANAGED_ROUTES].as_str().expect("a text");
    assert_eq!(text, "{\"other/api\":[\"theirs\"],\"shop/web\":[\"first\"]}");
    assert_eq!(apply(&after, &farewell(&after, OWNER)), object, "the other Rollout's stay");
}
