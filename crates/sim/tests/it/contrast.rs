//! What goes wrong with Argo Rollouts, as docs/reference/differences.md lists it, and goes right here.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{DESTINATION_RULES, VIRTUAL_SERVICES};
use serin_sim::faults::{Failure, Rule};
use serin_sim::manifests::Manifest;

use crate::bench::{Bench, manifest, manifests, object_mut, tell, weights};

fn http(bench: &Bench) -> Vec<Value> {
    bench.get(&VIRTUAL_SERVICES, "checkout")["spec"]["http"].as_array().cloned().unwrap_or_default()
}

fn canary(all: &mut [Manifest]) -> &mut Value {
    &mut object_mut(all, "Rollout")["spec"]["strategy"]["canary"]
}

/// Two routes without name, two of one name, and the one that is split.
fn with_routes_alike() -> Vec<Manifest> {
    let mut all = manifests("routes");
    let split = object_mut(&mut all, "VirtualService")["spec"]["http"][0]["route"].clone();
    let other =
        |path: &str| json!({"match": [{"uri": {"prefix": path}}], "route": [{"destination": {"host": "checkout"}}]});
    let named = |name: &str, path: &str| {
        let mut route = other(path);
        route["name"] = json!(name);
        route
    };
    let routes =
        json!([other("/a"), other("/b"), named("twin", "/c"), named("twin", "/d"), {"name": "main", "route": split}]);
    object_mut(&mut all, "VirtualService")["spec"]["http"] = routes;
    canary(&mut all)["trafficRouting"]["istio"]["virtualService"]["routes"] = json!(["main"]);
    all
}

#[test]
fn routes_that_look_alike_stay_as_many_as_they_are() {
    tell(async {
        let mut bench = Bench::up(&with_routes_alike(), WorldConfig::default()).await;
        let before = http(&bench);
        bench.deploy("v2");
        bench
            .wait("the end", |bench| {
                let mut now = http(bench);
                now.retain(|route| route["name"] != "testers" && route["name"] != "shadow");
                assert_eq!((now.len(), &now[..4]), (5, &before[..4]), "{}", bench.told());
                bench.is_observed() && bench.phase() == "Healthy"
            })
            .await;
        assert_eq!(http(&bench), before);
        bench.assert_all_routed("routes that look alike");
    });
}

#[test]
fn a_healthy_rollout_with_header_steps_writes_nothing_whatever_makes_it_look() {
    tell(async {
        let mut bench = Bench::of("routes").await;
        bench.deploy("v2");
        bench.healthy().await;
        bench.pass(120).await;
        let writes = |bench: &Bench| {
            let all = bench.cluster().writes();
            all.iter().filter(|write| write.plural == "virtualservices").count()
        };
        let (written, told) = (writes(&bench), bench.entries.len());
        assert!(written > 4, "the routes came and went");
        for round in 1..=5 {
            bench.annotate("team.example/round", &round.to_string());
            bench.settle().await;
            bench.world.restart_controller();
            bench.pass(600).await;
        }
        assert_eq!((writes(&bench), bench.entries.len()), (written, told), "{}", bench.told());
    });
}

#[test]
fn a_header_route_that_was_refused_is_not_believed_to_be_there() {
    tell(async {
        let mut bench = Bench::of("routes").await;
        bench.cluster().faults().add(Rule::next(Failure::Internal).on("patch", "virtualservices").after(0, 5));
        bench.deploy("v2");
        let names = |bench: &Bench| -> Vec<String> {
            http(bench).iter().map(|route| route["name"].as_str().unwrap_or("main").to_owned()).collect()
        };
        bench
            .wait("the third step", |bench| {
                let is_next = bench.status("/currentStepIndex").as_i64() >= Some(2);
                assert!(!is_next || names(bench) == ["testers", "main"], "{:?}\n{}", names(bench), bench.told());
                is_next
            })
            .await;
        assert!(format!("{:?}", bench.cluster().faults()).contains("times: 0"), "{:?}", bench.cluster().faults());
        bench.healthy().await;
        bench.pass(60).await;
        assert_eq!(names(&bench), ["main"]);
    });
}

#[test]
fn a_third_subset_stays_with_its_share_and_its_policy() {
    let mut all = manifests("short");
    let debug = json!({"name": "debug", "labels": {"app": "checkout", "version": "stable"}, "trafficPolicy": {"tls": {"mode": "DISABLE"}}});
    let rule = object_mut(&mut all, "DestinationRule");
    rule["spec"]["subsets"].as_array_mut().expect("subsets").push(debug.clone());
    let route = &mut object_mut(&mut all, "VirtualService")["spec"]["http"][0]["route"];
    route[0]["weight"] = json!(90);
    route
        .as_array_mut()
        .expect("a route")
        .push(json!({"destination": {"host": "checkout", "subset": "debug"}, "weight": 10}));
    tell(async {
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        bench.deploy("v2");
        bench
            .wait("the end", |bench| {
                assert_eq!(bench.get(&DESTINATION_RULES, "checkout")["spec"]["subsets"][2], debug);
                assert_eq!(weights(&bench.get(&VIRTUAL_SERVICES, "checkout"))[0][2], 10);
                bench.is_observed() && bench.phase() == "Healthy"
            })
            .await;
        assert_eq!(weights(&bench.get(&VIRTUAL_SERVICES, "checkout")), [[90, 0, 10]]);
    });
}

#[test]
fn an_abort_is_heard_while_a_subset_waits_for_pods() {
    tell(async {
        let mut bench = Bench::of("short").await;
        bench.deploy("does-not-exist");
        bench.pass(20).await;
        assert_eq!(bench.phase(), "Progressing");
        bench.annotate("serin.dev/abort", "enough");
        bench.settle().await;
        assert!(bench.message().starts_with("RolloutAborted"), "{}", bench.message());
    });
}

#[test]
fn a_virtual_service_that_cannot_be_written_holds_the_step_and_the_status_says_so() {
    tell(async {
        let mut bench = Bench::of("several_routes").await;
        let names = ["checkout", "checkout-edge"];
        let lowest = |bench: &Bench| names.iter().map(|name| weights(&bench.get(&VIRTUAL_SERVICES, name))[0][1]).min();
        bench.cluster().faults().add(Rule::next(Failure::Internal).on("patch", "virtualservices").after(1, 4));
        bench.deploy("v2");
        bench
            .wait("the second step", |bench| {
                let told = bench.status("/canary/weights/canary/weight").as_i64();
                assert!(told <= lowest(bench), "{told:?} is told, {:?} is there", lowest(bench));
                bench.status("/currentStepIndex") == 1
            })
            .await;
        assert_eq!(lowest(&bench), Some(20));
        assert!(format!("{:?}", bench.cluster().faults()).contains("times: 0"), "{:?}", bench.cluster().faults());
    });
}

#[test]
fn header_routes_go_from_every_virtual_service_whatever_comes_before_it() {
    let mut all = manifests("routes");
    let mut plain = object_mut(&mut all, "VirtualService").clone();
    let split = plain["spec"]["http"][0]["route"].clone();
    plain["metadata"]["name"] = json!("a-queue");
    plain["spec"] = json!({"hosts": ["queue"], "tcp": [{"route": split}]});
    let first = all.iter().position(|one| one.object["kind"] == "VirtualService").expect("a VirtualService");
    all.insert(first, manifest(plain));
    let istio = &mut canary(&mut all)["trafficRouting"]["istio"];
    istio["virtualService"] = Value::Null;
    istio["virtualServices"] = json!([{"name": "a-queue"}, {"name": "checkout"}]);
    tell(async {
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        bench.deploy("v2");
        bench.step_is(4).await;
        assert_eq!(http(&bench).len(), 3);
        bench.annotate("serin.dev/abort", "enough");
        bench.settle().await;
        assert_eq!(http(&bench).len(), 1, "{:#?}", http(&bench));
    });
}

/// Every Rust file below a folder.
fn sources(folder: &Path, texts: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_page_of_differences_names_exists() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/reference/differences.md")).expect("the page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Argo")).collect();
    let mut texts = Vec::new();
    sources(&root.join("crates"), &mut texts).expect("the sources");
    let mut named = 0;
    for row in &rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        for name in last.split('`').skip(1).step_by(2) {
            let is_there = texts.iter().any(|text| text.contains(&format!("fn {name}(")));
            assert!(is_there, "there is no test {name}, which this row names: {row}");
            named += 1;
        }
        assert!(last.contains('`') || last.trim() == "–", "this row names no test: {row}");
    }
    assert!(rows.len() >= 17 && named >= 17, "{} rows, {named} tests", rows.len());
}
