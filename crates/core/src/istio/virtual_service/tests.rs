//! Tests of the edits of weights, by table and by property.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::patch::apply;
use super::super::routes::{Protocol, Selection, select};
use super::*;

fn subsets() -> Sides {
    let side = |name: &str| Side::Subset { host: Some("reviews".to_owned()), name: name.to_owned(), service: None };
    Sides { canary: side("canary"), stable: side("stable"), rollout_namespace: "bookinfo".to_owned() }
}

fn services() -> Sides {
    let side = |name: &str| Side::Service(name.to_owned());
    Sides { canary: side("reviews-canary"), stable: side("reviews"), rollout_namespace: "bookinfo".to_owned() }
}

fn to(host: &str, subset: &str, weight: Option<i64>) -> Value {
    let mut destination = json!({"destination": {"host": host}});
    if !subset.is_empty() {
        destination["destination"]["subset"] = json!(subset);
    }
    if let Some(weight) = weight {
        destination["weight"] = json!(weight);
    }
    destination
}

fn vs(destinations: &[Value]) -> Value {
    json!({"metadata": {"name": "reviews", "namespace": "bookinfo", "resourceVersion": "7"},
           "spec": {"http": [{"route": destinations}]}})
}

const HTTP0: RouteAt = RouteAt { protocol: Protocol::Http, index: 0 };

/// Sets the weight and compares the weights afterwards, or the errors.
#[track_caller]
fn check(case: &str, sides: &Sides, destinations: &[Value], weight: i32, wanted: Result<&[i64], &[&str]>) {
    let before = vs(destinations);
    let got = set_weights(&before, "7", &[HTTP0], sides, weight).map(|patch| {
        let after = apply(&before, &patch);
        let routes = after.pointer("/spec/http/0/route").and_then(Value::as_array).expect("destinations");
        assert_eq!(set_weights(&after, "8", &[HTTP0], sides, weight), Ok(Vec::new()), "{case}: again, and nothing");
        let weights = observed_weights(&after, &[HTTP0], sides).expect("weights");
        assert!(weights[0].carries(weight), "{case}: {weights:?}");
        routes.iter().map(|route| route["weight"].as_i64().unwrap_or(-1)).collect::<Vec<_>>()
    });
    let got = got.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
    let wanted =
        wanted.map(<[i64]>::to_vec).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(got, wanted, "{case}");
}

#[test]
fn weights_are_set_by_subset() {
    let (stable, canary) = (to("reviews", "stable", Some(100)), to("reviews", "canary", Some(0)));
    let sides = subsets();
    let check = |case, destinations: &[Value], weight, wanted| check(case, &sides, destinations, weight, wanted);
    check("canary and stable share the route", &[stable.clone(), canary.clone()], 10, Ok(&[90, 10]));
    check("in whatever order", &[canary.clone(), stable.clone()], 10, Ok(&[10, 90]));
    check("what is there already stays", &[stable.clone(), canary.clone()], 0, Ok(&[100, 0]));
    check("more than everything is everything", &[stable.clone(), canary.clone()], 120, Ok(&[0, 100]));
    check("less than nothing is nothing", &[stable.clone(), canary.clone()], -5, Ok(&[100, 0]));
    check(
        "an absent weight is added",
        &[to("reviews", "stable", Some(100)), to("reviews", "canary", None)],
        5,
        Ok(&[95, 5]),
    );
    check(
        "a full host name is the same host",
        &[to("reviews.bookinfo.svc.cluster.local", "stable", None), to("reviews.bookinfo", "canary", None)],
        50,
        Ok(&[50, 50]),
    );
    let foreign = to("legacy", "", Some(20));
    check(
        "a foreign destination keeps its weight",
        &[stable.clone(), foreign.clone(), canary.clone()],
        10,
        Ok(&[70, 20, 10]),
    );
    check(
        "and leaves the canary no more than the rest",
        &[stable.clone(), foreign, canary.clone()],
        100,
        Ok(&[0, 20, 80]),
    );
    check(
        "a foreign destination that takes everything",
        &[stable.clone(), canary.clone(), to("legacy", "", Some(100))],
        10,
        Err(&[
            "spec.http[0].route: destinations that are neither canary nor stable have a weight of 100, which leaves \
               nothing to split; lower it below 100",
        ]),
    );
    check(
        "a foreign weight that is no number",
        &[stable.clone(), canary.clone(), json!({"destination": {"host": "x"}, "weight": "many"})],
        10,
        Err(&["spec.http[0].route[2].weight: must be a whole number from 0 to 100"]),
    );
    check(
        "no destinations at all",
        &[],
        10,
        Err(&[
            "spec.http[0].route: Canary DestinationRule subset 'canary' not found in route",
            "spec.http[0].route: Stable DestinationRule subset 'stable' not found in route",
        ]),
    );
    check(
        "the subset of another host is foreign",
        &[stable.clone(), to("ratings", "canary", Some(0))],
        10,
        Err(&[
            "spec.http[0].route: Canary DestinationRule subset 'canary' not found in route: its destination has host \
         'ratings', the DestinationRule is for host 'reviews'",
        ]),
    );
    check(
        "a side that is there twice",
        &[stable, canary.clone(), canary],
        10,
        Err(&[
            "spec.http[0].route: Canary DestinationRule subset 'canary' found 2 times in route; one destination must carry \
         its weight",
        ]),
    );
}

#[test]
fn weights_are_set_by_service() {
    let sides = services();
    let check = |case, destinations: &[Value], weight, wanted| check(case, &sides, destinations, weight, wanted);
    let (stable, canary) = (to("reviews", "", Some(100)), to("reviews-canary", "", Some(0)));
    check("canary and stable share the route", &[stable.clone(), canary.clone()], 25, Ok(&[75, 25]));
    check(
        "the same name in another namespace is foreign",
        &[stable.clone(), to("reviews-canary.other", "", None)],
        25,
        Err(&["spec.http[0].route: Canary Service 'reviews-canary' not found in route"]),
    );
    check(
        "an only destination is not enough",
        &[stable],
        25,
        Err(&["spec.http[0].route: Canary Service 'reviews-canary' not found in route"]),
    );
}

#[test]
fn a_canary_service_named_like_the_host_does_not_take_both_weights() {
    let side = |name: &str, service: &str| Side::Subset {
        host: Some("reviews".to_owned()),
        name: name.to_owned(),
        service: Some(service.to_owned()),
    };
    let sides = Sides {
        canary: side("canary", "reviews"),
        stable: side("stable", "reviews-stable"),
        rollout_namespace: "bookinfo".to_owned(),
    };
    let (stable, canary) = (to("reviews", "stable", Some(100)), to("reviews", "canary", Some(0)));
    check("both are told apart by subset", &sides, &[stable, canary.clone()], 30, Ok(&[70, 30]));
    let by_service = to("reviews-stable", "", Some(100));
    check("a side without subset is known by its Service", &sides, &[by_service, canary], 30, Ok(&[70, 30]));
}

#[test]
fn short_names_are_relative_to_the_virtual_service() {
    let mut object = vs(&[to("reviews", "stable", Some(100)), to("reviews", "canary", None)]);
    object["metadata"]["namespace"] = json!("edge");
    assert_eq!(check_destinations(&object, &[HTTP0], &subsets()).len(), 2, "edge's reviews is not bookinfo's");
    let full = "reviews.bookinfo.svc.cluster.local";
    let mut object = vs(&[to(full, "stable", Some(100)), to(full, "canary", None)]);
    object["metadata"]["namespace"] = json!("edge");
    assert_eq!(check_destinations(&object, &[HTTP0], &subsets()), Vec::new());
}

#[test]
fn the_patch_tests_what_it_relies_on() {
    let mut object = vs(&[to("reviews", "stable", Some(100)), to("reviews", "canary", None)]);
    object["spec"]["http"][0]["name"] = json!("primary");
    let patch = set_weights(&object, "7", &[HTTP0], &subsets(), 10).expect("a patch");
    assert_eq!(
        json!(patch),
        json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
            {"op": "test", "path": "/spec/http/0/name", "value": "primary"},
            {"op": "test", "path": "/spec/http/0/route/1/destination", "value": {"host": "reviews", "subset": "canary"}},
            {"op": "add", "path": "/spec/http/0/route/1/weight", "value": 10},
            {"op": "test", "path": "/spec/http/0/route/0/destination", "value": {"host": "reviews", "subset": "stable"}},
            {"op": "replace", "path": "/spec/http/0/route/0/weight", "value": 90},
        ])
    );
}

#[test]
fn a_canary_share_is_agreed_or_not() {
    let route = |index, canary, stable, foreign| RouteWeights {
        route: RouteAt { protocol: Protocol::Http, index },
        canary,
        stable,
        foreign,
    };
    assert_eq!(observed_canary_weight(&[]), None);
    assert_eq!(observed_canary_weight(&[route(0, 10, 90, 0), route(1, 10, 80, 10)]), Some(10));
    assert_eq!(observed_canary_weight(&[route(0, 10, 90, 0), route(1, 20, 80, 0)]), None);
    assert_eq!(weight_range(&[route(0, 10, 90, 0), route(1, 20, 80, 0)]), Some(WeightRange { min: 10, max: 20 }));
    assert_eq!(route(0, 1, 2, 0).canary_percent(), 33, "weights need not sum to 100");
    assert_eq!(route(0, 0, 0, 0).canary_percent(), 0);
}

fn any_destination() -> impl Strategy<Value = Value> {
    let weight = prop_oneof![Just(None), (0..60_i64).prop_map(Some)];
    ("[a-z]{1,4}", prop_oneof![Just(""), Just("v1")], weight, any::<bool>()).prop_map(|(host, subset, weight, port)| {
        let mut destination = to(&format!("x{host}"), subset, weight);
        destination["headers"] = json!({"request": {"set": {"a": "b"}}});
        if port {
            destination["destination"]["port"] = json!({"number": 9080});
        }
        destination
    })
}

fn any_route() -> impl Strategy<Value = Value> {
    let ours =
        (prop_oneof![Just(None), (0..=100_i64).prop_map(Some)], prop_oneof![Just(None), (0..=100_i64).prop_map(Some)]);
    (proptest::collection::vec(any_destination(), 0..2), ours, any::<bool>(), 0..4_usize).prop_map(
        |(mut destinations, (stable, canary), named, at)| {
            let at = at.min(destinations.len());
            destinations.insert(at, to("reviews", "stable", stable));
            destinations.insert(at, to("reviews", "canary", canary));
            let mut route =
                json!({"route": destinations, "timeout": "3s", "retries": {"attempts": 2}, "newer": [1, null]});
            if named {
                route["name"] = json!("primary");
            }
            route
        },
    )
}

/// The object without the weights of canary and stable.
fn without_our_weights(object: &Value) -> Value {
    let mut object = object.clone();
    for route in object["spec"]["http"].as_array_mut().into_iter().flatten() {
        for destination in route["route"].as_array_mut().into_iter().flatten() {
            if matches!(destination["destination"]["subset"].as_str(), Some("canary" | "stable")) {
                destination.as_object_mut().expect("a destination").remove("weight");
            }
        }
    }
    object
}

proptest! {
    #[test]
    fn nothing_but_our_weights_changes(route in any_route(), weight in -10..120_i32, others in proptest::collection::vec(any_destination(), 0..3)) {
        let mut before = vs(&[]);
        before["spec"]["hosts"] = json!(["reviews"]);
        before["spec"]["http"] = json!([{"name": "other", "route": others}, route]);
        let route = RouteAt { protocol: Protocol::Http, index: 1 };
        let patch = set_weights(&before, "7", &[route], &subsets(), weight).expect("a patch");
        let after = apply(&before, &patch);
        prop_assert_eq!(without_our_weights(&before), without_our_weights(&after));
        let weights = observed_weights(&after, &[route], &subsets()).expect("weights");
        prop_assert_eq!(weights[0].canary + weights[0].stable + weights[0].foreign, 100);
        prop_assert!(weights[0].carries(weight));
        prop_assert!(set_weights(&after, "8", &[route], &subsets(), weight).expect("a patch").is_empty());
    }

    #[test]
    fn no_object_makes_it_panic(text in "[\\[\\]{}:,\"a-z0-9]{0,40}", weight in any::<i32>()) {
        let spec: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        for object in [json!({"spec": spec}), json!({"spec": {"http": spec}}), json!({"spec": {"http": [{"route": [spec]}]}})] {
            let routes = select(&object, &Selection::default()).unwrap_or_else(|_| vec![HTTP0]);
            let _ = set_weights(&object, "1", &routes, &subsets(), weight);
            let _ = observed_weights(&object, &routes, &subsets());
        }
    }
}
