//! What people and tools do in mid-canary, and what the controller makes of it.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{DEPLOYMENTS, DESTINATION_RULES, PODS, REPLICA_SETS, ROLLOUTS, VIRTUAL_SERVICES};
use serin_sim::manifests::Manifest;
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifest, manifests, object_mut, tell, weights};

/// A pause long enough for whatever a test does meanwhile.
const LONG_PAUSE: &str = "1h";

/// The manifests of `short`, with pauses that only a promotion ends.
fn unhurried() -> Vec<Manifest> {
    let mut all = manifests("short");
    let steps = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"];
    *steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": LONG_PAUSE}}]);
    all
}

/// Version v2 stands in the pause at 20 %.
async fn at_first_pause() -> Bench {
    let mut bench = Bench::up(&unhurried(), WorldConfig::default()).await;
    bench.deploy("v2");
    bench.step_is(1).await;
    bench
}

/// Version v2 stands in the pause at 60 %.
async fn at_second_pause() -> Bench {
    let mut bench = at_first_pause().await;
    bench.annotate("serin.dev/promote", "on");
    bench.step_is(3).await;
    assert_eq!(bench.weight(), 60);
    bench
}

#[track_caller]
fn assert_conditions(bench: &Bench, expected: &[(&str, &str)]) {
    for (kind, state) in expected {
        assert_eq!(bench.condition(kind), *state, "condition {kind} in {:#}", bench.status("/conditions"));
    }
}

fn replicas(bench: &Bench, hash: &Value) -> i64 {
    let name = format!("{}-{}", bench.name, hash.as_str().unwrap_or_default());
    bench.get(&REPLICA_SETS, &name)["spec"]["replicas"].as_i64().unwrap_or(-1)
}

#[test]
fn phases_and_conditions_follow_an_update() {
    tell(async {
        let mut bench = Bench::up(&unhurried(), WorldConfig::default()).await;
        let healthy = [
            ("Progressing", "True NewReplicaSetAvailable"),
            ("Completed", "True RolloutCompleted"),
            ("Healthy", "True RolloutHealthy"),
            ("Available", "True AvailableReason"),
        ];
        assert_conditions(&bench, &healthy);
        assert_conditions(&bench, &[("Paused", "")]);
        bench.deploy("v2");
        bench.settle().await;
        assert_eq!(
            (bench.phase().as_str(), bench.message().as_str()),
            ("Progressing", "more replicas need to be updated")
        );
        assert_conditions(&bench, &[("Completed", "False RolloutCompleted"), ("Healthy", "False RolloutHealthy")]);
        bench.step_is(1).await;
        assert_eq!(bench.phase(), "Paused");
        assert!(bench.message().contains("has no data"), "the first minute has no samples: {}", bench.message());
        bench.wait("the first samples", |bench| bench.message() == "CanaryPauseStep").await;
        assert_conditions(&bench, &[("Progressing", "Unknown RolloutPaused"), ("Paused", "True RolloutPaused")]);
        assert_eq!(bench.status("/canary/weights/canary/weight"), 20);
        assert_eq!(bench.status("/canary/weights/stable/weight"), 80);
        bench.annotate("serin.dev/promote-full", "now");
        bench.healthy().await;
        assert_conditions(&bench, &healthy);
        assert_conditions(&bench, &[("Paused", "False RolloutPaused")]);
        assert_eq!(bench.weight(), 0);
        bench.assert_all_routed("an update");
    });
}

#[test]
fn a_destination_rule_that_is_named_no_longer_is_as_its_author_wrote_it() {
    tell(async {
        let mut all = unhurried();
        let written = object_mut(&mut all, "DestinationRule").clone();
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        assert_eq!(json!(bench.subset_hash("stable")), bench.status("/stableRS"));
        bench.patch(&json!({"spec": {"strategy": {"canary": {"trafficRouting": null}}}}));
        bench.settle().await;
        let rule = bench.get(&DESTINATION_RULES, "checkout");
        assert_eq!(rule["spec"], written["spec"], "in the same moment");
        assert_eq!(rule["metadata"]["annotations"], written["metadata"]["annotations"]);
        bench.healthy().await;
        let writes = bench.cluster().writes().len();
        bench.pass(60).await;
        assert_eq!(bench.cluster().writes().len(), writes, "nothing is left to do");
        bench.assert_all_routed("a spec without traffic routing");
    });
}

#[test]
fn a_git_tool_that_applies_its_weights_and_subsets_is_overruled() {
    tell(async {
        let mut bench = at_first_pause().await;
        let all = unhurried();
        for (step, weight) in [(1, 20), (3, 60)] {
            bench.step_is(step).await;
            for kind in ["VirtualService", "DestinationRule"] {
                let mut object = object_mut(&mut all.clone(), kind).clone();
                object["metadata"]["namespace"] = json!("shop");
                bench.world.apply(object).expect("the tool may write");
                bench.settle().await;
                if kind == "VirtualService" {
                    assert_eq!(bench.weight(), weight, "weights are set right in the same moment, at step {step}");
                }
                bench.pass(5).await;
                assert_eq!(bench.weight(), weight, "{kind} at step {step}\n{}", bench.told());
                assert_eq!(json!(bench.subset_hash("canary")), bench.status("/currentPodHash"), "{kind}");
                assert_eq!(json!(bench.subset_hash("stable")), bench.status("/stableRS"), "{kind}");
            }
            bench.annotate("serin.dev/promote", &format!("past {step}"));
        }
        bench.healthy().await;
        bench.assert_all_routed("overwritten weights");
    });
}

#[test]
fn what_is_not_ours_survives_byte_for_byte() {
    let mut all = unhurried();
    let vs = object_mut(&mut all, "VirtualService");
    vs["metadata"]["annotations"]["tool.example/note"] = json!("keep me");
    vs["spec"]["exportTo"] = json!(["."]);
    vs["spec"]["http"][0]["retries"] = json!({"attempts": 3, "perTryTimeout": "2s", "futureField": [1, null, "x"]});
    vs["spec"]["http"][0]["route"] = json!([
        {"destination": {"host": "checkout"}, "weight": 10, "headers": {"request": {"set": {"x-lane": "any"}}}},
        {"destination": {"host": "checkout", "subset": "stable"}, "weight": 90},
        {"destination": {"host": "checkout", "subset": "canary"}, "weight": 0, "headers": {"response": {"remove": ["x"]}}},
    ]);
    let rule = object_mut(&mut all, "DestinationRule");
    rule["metadata"]["annotations"]["tool.example/note"] = json!("keep me too");
    rule["spec"]["trafficPolicy"] = json!({"connectionPool": {"http": {"http2MaxRequests": 100}}});
    rule["spec"]["subsets"].as_array_mut().expect("subsets").insert(
        0,
        json!({"name": "legacy", "labels": {"version": "legacy"}, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}}),
    );
    rule["spec"]["subsets"][1]["trafficPolicy"] = json!({"tls": {"mode": "ISTIO_MUTUAL"}});
    let foreign_of_vs = |bench: &Bench| {
        let mut vs = bench.get(&VIRTUAL_SERVICES, "checkout").as_ref().clone();
        for index in [1, 2] {
            vs["spec"]["http"][0]["route"][index]["weight"] = json!(0);
        }
        for field in ["resourceVersion", "generation", "managedFields"] {
            vs["metadata"][field] = Value::Null;
        }
        vs.to_string()
    };
    let foreign_of_rule = |bench: &Bench| {
        let mut rule = bench.get(&DESTINATION_RULES, "checkout").as_ref().clone();
        for subset in rule["spec"]["subsets"].as_array_mut().into_iter().flatten() {
            subset["labels"].as_object_mut().and_then(|labels| labels.remove("rollouts-pod-template-hash"));
        }
        let annotations = rule["metadata"]["annotations"].as_object_mut();
        annotations.and_then(|all| all.remove("argo-rollouts.argoproj.io/managed-by-rollouts"));
        for field in ["resourceVersion", "generation", "managedFields"] {
            rule["metadata"][field] = Value::Null;
        }
        rule.to_string()
    };
    tell(async {
        let mut bench = Bench::set(&all, WorldConfig::default());
        let before = (foreign_of_vs(&bench), foreign_of_rule(&bench));
        bench.healthy().await;
        bench.open_streams().await;
        bench.deploy("v2");
        for (step, canary) in [(1, 20), (3, 60)] {
            bench.step_is(step).await;
            let vs = bench.get(&VIRTUAL_SERVICES, "checkout");
            assert_eq!(
                weights(&vs),
                [[10, 90 - canary, canary]],
                "stable gives what the canary gets, the foreign share stays"
            );
            assert_eq!(before, (foreign_of_vs(&bench), foreign_of_rule(&bench)), "at step {step}");
            bench.annotate("serin.dev/promote", &format!("past {step}"));
        }
        bench.healthy().await;
        bench.pass(120).await;
        assert_eq!(before, (foreign_of_vs(&bench), foreign_of_rule(&bench)), "after the update");
        bench.assert_all_routed("a foreign destination");
    });
}

#[test]
fn a_newer_revision_takes_the_place_of_one_under_way() {
    for wait_for_weight in [false, true] {
        let case = format!("v3 comes in mid-canary, with weight on v2: {wait_for_weight}");
        tell(async {
            let mut bench = if wait_for_weight {
                at_second_pause().await
            } else {
                let mut bench = Bench::up(&unhurried(), WorldConfig::default()).await;
                bench.deploy("v2");
                bench.settle().await;
                bench
            };
            let (stable, second) = (bench.status("/stableRS"), bench.status("/currentPodHash"));
            bench.deploy("v3");
            bench.step_is(1).await;
            bench.wait("the weight of v3", |bench| bench.weight() == 20).await;
            assert_eq!(bench.status("/stableRS"), stable, "{case}");
            assert_ne!(bench.status("/currentPodHash"), second, "{case}");
            bench.pass(60).await;
            assert_eq!(replicas(&bench, &second), 0, "{case}: v2 is drained");
            bench.annotate("serin.dev/promote-full", "v3");
            bench.healthy().await;
            bench.pass(60).await;
            assert_eq!(replicas(&bench, &stable), 0, "{case}: v1 is drained");
            bench.assert_all_routed(&case);
        });
    }
}

#[test]
fn going_back_to_stable_in_mid_canary_skips_all_steps() {
    tell(async {
        let mut bench = at_second_pause().await;
        let (stable, second) = (bench.status("/stableRS"), bench.status("/currentPodHash"));
        bench.deploy("v1");
        bench.healthy().await;
        assert_eq!(bench.status("/stableRS"), stable);
        assert_eq!(bench.weight(), 0);
        assert_eq!(bench.events("SkipSteps"), 1, "{}", bench.told());
        bench.pass(60).await;
        assert_eq!(replicas(&bench, &second), 0);
        assert_eq!(replicas(&bench, &stable), 3);
        bench.assert_all_routed("back to stable");
    });
}

#[test]
fn an_abort_by_annotation_goes_back_at_once_and_a_retry_starts_anew() {
    tell(async {
        let mut bench = at_second_pause().await;
        bench.annotate("serin.dev/abort", "1");
        bench.settle().await;
        assert_eq!(bench.weight(), 0, "an abort takes the weight away in the same moment");
        assert_eq!(
            (bench.phase().as_str(), bench.message().as_str()),
            ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")
        );
        assert_conditions(&bench, &[("Progressing", "False RolloutAborted"), ("Healthy", "False RolloutHealthy")]);
        assert_eq!(bench.status("/abort"), true);
        assert!(bench.status("/abortedAt").is_string());
        let second = bench.status("/currentPodHash");
        bench.pass(25).await;
        assert!(replicas(&bench, &second) > 0, "the canary stays for 30 s");
        bench.pass(10).await;
        assert_eq!(replicas(&bench, &second), 0, "and goes then");
        bench.annotate("serin.dev/promote", "in vain");
        bench.pass(60).await;
        assert_eq!(bench.phase(), "Degraded", "the token of the abort acts once, a promotion does not undo it");
        bench.annotate("serin.dev/retry", "1");
        bench.step_is(1).await;
        assert_eq!(bench.weight(), 20);
        bench.pass(60).await;
        assert_eq!(bench.phase(), "Paused", "the old abort does not act again");
        bench.annotate("serin.dev/promote-full", "1");
        bench.healthy().await;
        bench.assert_all_routed("abort and retry");
    });
}

#[test]
fn a_token_acts_once_for_its_revision() {
    tell(async {
        let mut bench = at_first_pause().await;
        let stable = bench.status("/stableRS");
        let stable = stable.as_str().expect("a hash");
        bench.annotate("serin.dev/promote", stable);
        bench.pass(10).await;
        assert_eq!(bench.status("/currentStepIndex"), 1, "a token that names another revision does not act");
        assert_eq!(bench.events("CommandIgnored"), 1, "and is told of once: {}", bench.told());
        let current = bench.status("/currentPodHash");
        let current = current.as_str().expect("a hash");
        bench.annotate("serin.dev/promote", &format!("{current}:4"));
        bench.pass(10).await;
        assert_eq!(bench.status("/currentStepIndex"), 1, "a token for a later step waits for it");
        bench.annotate("serin.dev/promote", "go");
        bench.step_is(3).await;
        bench.pass(10).await;
        assert_eq!(bench.status("/currentStepIndex"), 3, "the same token does not act again in the next pause");
        bench.patch(&json!({"metadata": {"annotations": {"serin.dev/promote": null}}}));
        bench.pass(10).await;
        assert_eq!(bench.status("/currentStepIndex"), 3, "that a token disappears means nothing");
        bench.annotate("serin.dev/promote", "go");
        bench.pass(10).await;
        assert_eq!(bench.status("/currentStepIndex"), 3, "nor does it act when it comes back");
        bench.annotate("serin.dev/promote", &format!("{current}:4"));
        bench.healthy().await;
        bench.assert_all_routed("tokens");
        bench.annotate("serin.dev/promote", "left in git");
        bench.pass(10).await;
        bench.deploy("v3");
        bench.step_is(1).await;
        bench.pass(60).await;
        assert_eq!(bench.status("/currentStepIndex"), 1, "a token that came before an update does not promote it");
    });
}

#[test]
fn promote_full_skips_what_is_left_without_losing_a_request() {
    tell(async {
        let mut bench = Bench::up(&unhurried(), WorldConfig::default()).await;
        bench.deploy("v2");
        bench.settle().await;
        bench.annotate("serin.dev/promote-full", "before there is a pod");
        bench.healthy().await;
        assert_eq!(bench.weight(), 0);
        bench.pass(60).await;
        bench.assert_all_routed("promote-full");
    });
}

#[test]
fn spec_paused_holds_the_steps_until_it_is_gone() {
    tell(async {
        let mut bench = Bench::of("short").await;
        bench.deploy("v2");
        bench.step_is(1).await;
        bench.patch(&json!({"spec": {"paused": true}}));
        bench.pass(300).await;
        assert_eq!((bench.phase().as_str(), bench.message().as_str()), ("Paused", "manually paused"));
        assert_conditions(&bench, &[("Paused", "True RolloutPaused")]);
        assert_eq!(bench.status("/currentStepIndex"), 1);
        assert_eq!(bench.weight(), 20);
        bench.patch(&json!({"spec": {"paused": false}}));
        bench.healthy().await;
        bench.assert_all_routed("spec.paused");
    });
}

#[test]
fn clients_that_patch_the_status_are_heeded() {
    tell(async {
        let mut bench = at_first_pause().await;
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        bench.step_is(3).await;
        assert_eq!(bench.weight(), 60, "promote");
        bench.patch(&json!({"status": {"abort": true}}));
        bench.settle().await;
        assert_eq!((bench.weight(), bench.phase().as_str()), (0, "Degraded"), "abort");
        assert!(bench.status("/abortedAt").is_string());
        bench.pass(40).await;
        bench.patch(&json!({"status": {"abort": false}}));
        bench.step_is(1).await;
        assert_eq!((bench.weight(), bench.phase().as_str()), (20, "Paused"), "retry");
        bench.patch(&json!({"status": {"promoteFull": true}}));
        bench.healthy().await;
        assert_ne!(bench.status("/promoteFull"), true, "promote --full is taken back");
        bench.assert_all_routed("clients");
    });
}

#[test]
fn a_change_of_replicas_in_mid_canary_scales_both_sides() {
    tell(async {
        let mut bench = at_second_pause().await;
        let (stable, second) = (bench.status("/stableRS"), bench.status("/currentPodHash"));
        for (all, canary) in [(6, 4), (2, 2), (5, 3)] {
            bench.patch(&json!({"spec": {"replicas": all}}));
            bench.pass(20).await;
            assert_eq!((replicas(&bench, &stable), replicas(&bench, &second)), (all, canary), "{all} replicas");
            assert_eq!((bench.weight(), bench.phase().as_str()), (60, "Paused"), "{all} replicas");
        }
        bench.annotate("serin.dev/promote", "last");
        bench.healthy().await;
        bench.assert_all_routed("scaling");
    });
}

#[test]
fn a_rollout_that_is_deleted_takes_its_pods_and_its_label_along_and_is_left_alone() {
    tell(async {
        let mut bench = at_second_pause().await;
        bench.cluster().delete(&ROLLOUTS, "shop", "checkout").expect("it is there");
        bench.pass(60).await;
        let left = bench.cluster().list(&PODS, Some("shop"));
        assert!(left.iter().all(|pod| pod["metadata"]["labels"]["rollouts-pod-template-hash"].is_null()), "{left:#?}");
        let rules = bench.cluster().list(&DESTINATION_RULES, Some("shop"));
        let restricted = |rule: &&std::sync::Arc<Value>| rule.to_string().contains("rollouts-pod-template-hash");
        assert_eq!(rules.iter().filter(restricted).count(), 0, "what takes its place can be reached: {rules:#?}");
        let writes = bench.cluster().writes().len();
        bench.pass(3600).await;
        assert_eq!(bench.cluster().writes().len(), writes, "nobody writes for a Rollout that is gone");
    });
}

#[test]
fn a_virtual_service_that_comes_late_is_waited_for() {
    tell(async {
        let (late, rest): (Vec<Manifest>, Vec<Manifest>) =
            unhurried().into_iter().partition(|manifest| manifest.object["kind"] == "VirtualService");
        let mut bench = Bench::set(&rest, WorldConfig::default());
        bench.pass(30).await;
        assert_eq!(bench.phase(), "Degraded");
        assert!(
            bench.message().starts_with("InvalidSpec: ") && bench.message().contains("checkout"),
            "{}",
            bench.message()
        );
        assert_eq!(bench.condition("InvalidSpec"), "True InvalidSpec");
        let mut object = late[0].object.clone();
        object["metadata"]["namespace"] = json!("shop");
        bench.world.apply(object).expect("a VirtualService");
        bench.healthy().await;
        assert_eq!(bench.condition("InvalidSpec"), "", "the condition goes with its cause");
    });
}

#[test]
fn a_virtual_service_that_goes_in_mid_canary_holds_the_update_until_it_is_back() {
    tell(async {
        let mut bench = at_first_pause().await;
        bench.cluster().delete(&VIRTUAL_SERVICES, "shop", "checkout").expect("it is there");
        bench.annotate("serin.dev/promote", "meanwhile");
        bench.pass(60).await;
        assert_eq!(bench.phase(), "Degraded");
        let sizes = (replicas(&bench, &bench.status("/stableRS")), replicas(&bench, &bench.status("/currentPodHash")));
        assert_eq!(sizes, (3, 1), "nothing is scaled while routes are unknown");
        let mut object = object_mut(&mut unhurried(), "VirtualService").clone();
        object["metadata"]["namespace"] = json!("shop");
        bench.world.apply(object).expect("a VirtualService");
        bench.step_is(3).await;
        assert_eq!(bench.weight(), 60);
        bench.annotate("serin.dev/promote", "last");
        bench.healthy().await;
        bench.assert_all_routed("a VirtualService that was gone");
    });
}

#[test]
fn a_canary_that_never_gets_ready_misses_its_deadline() {
    for abort in [false, true] {
        tell(async {
            let mut all = unhurried();
            let spec = &mut object_mut(&mut all, "Rollout")["spec"];
            spec["progressDeadlineSeconds"] = json!(30);
            spec["progressDeadlineAbort"] = json!(abort);
            let mut bench = Bench::up(&all, WorldConfig::default()).await;
            bench.deploy("error");
            bench.pass(25).await;
            assert_eq!(bench.phase(), "Progressing", "before the deadline");
            bench.pass(10).await;
            let late = format!(
                "ReplicaSet \"checkout-{}\" has timed out progressing.",
                bench.status("/currentPodHash").as_str().unwrap_or_default()
            );
            assert_eq!(bench.phase(), "Degraded");
            if abort {
                assert_eq!(bench.message(), format!("RolloutAborted: Rollout aborted update to revision 2: {late}"));
                assert_conditions(&bench, &[("Progressing", "False RolloutAborted")]);
            } else {
                assert_eq!(bench.message(), format!("ProgressDeadlineExceeded: {late}"));
                assert_conditions(&bench, &[("Progressing", "False ProgressDeadlineExceeded")]);
            }
            assert_eq!(bench.weight(), 0, "pods that are not ready get no weight");
            bench.deploy("v3");
            bench.step_is(1).await;
            assert_eq!((bench.weight(), bench.phase().as_str()), (20, "Paused"), "a better version goes on as usual");
            bench.annotate("serin.dev/promote-full", "v3");
            bench.healthy().await;
            bench.assert_all_routed("a canary that is never ready");
        });
    }
}

#[test]
fn an_invalid_spec_is_told_and_changes_nothing_until_it_is_mended() {
    tell(async {
        let mut bench = at_second_pause().await;
        let steps = bench.rollout()["spec"]["strategy"]["canary"]["steps"].clone();
        bench.patch(&json!({"spec": {"strategy": {"canary": {"steps": [{"setWeight": 150}, {"setWeight": -1}]}}}}));
        bench.pass(60).await;
        assert_eq!(bench.phase(), "Degraded");
        let message = bench.message();
        assert!(message.starts_with("InvalidSpec: The Rollout \"checkout\" is invalid: "), "{message}");
        assert!(
            message.contains("steps[0].setWeight") && message.contains("steps[1].setWeight"),
            "every error: {message}"
        );
        assert_eq!(bench.weight(), 60, "traffic stays where it is");
        bench.patch(&json!({"spec": {"strategy": {"canary": {"steps": steps}}}}));
        bench.pass(10).await;
        assert_eq!(bench.condition("InvalidSpec"), "");
        assert_eq!((bench.status("/currentStepIndex"), bench.phase().as_str()), (json!(3), "Paused"));
        bench.annotate("serin.dev/promote", "last");
        bench.healthy().await;
        bench.assert_all_routed("an invalid spec");
    });
}

#[test]
fn a_malformed_rollout_does_not_disturb_a_good_one() {
    tell(async {
        let mut all = unhurried();
        let mut bad = object_mut(&mut all, "Rollout").clone();
        bad["metadata"]["name"] = json!("zz-malformed");
        bad["spec"] = json!({
            "replicas": 2,
            "selector": {"matchLabels": {"app": "other"}},
            "template": {
                "metadata": {"labels": {"app": "other"}},
                "spec": {"containers": [{"name": "other", "image": "other:1", "resources": {"limits": {"memory": "invalid"}}}]},
            },
            "strategy": {"canary": {"steps": [{"pause": {"duration": "a while"}}]}},
        });
        all.push(manifest(bad));
        let mut bench = Bench::set(&all, WorldConfig::default());
        bench.healthy().await;
        bench.open_streams().await;
        let bad = bench.get(&ROLLOUTS, "zz-malformed");
        let message = bad["status"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("InvalidSpec: ") && message.contains("steps[0].pause.duration"), "{message}");
        bench.deploy("v2");
        bench.step_is(1).await;
        bench.annotate("serin.dev/promote-full", "1");
        bench.healthy().await;
        bench.assert_all_routed("beside a malformed Rollout");
    });
}

#[test]
fn a_pod_that_disappears_is_replaced_and_the_update_goes_on() {
    tell(async {
        let mut bench = at_second_pause().await;
        for version in ["stable", "canary"] {
            let pods = bench.cluster().list(&PODS, Some("shop"));
            let pod = pods.iter().find(|pod| {
                pod["metadata"]["labels"]["version"] == version
                    && pod["metadata"]["labels"]["rollouts-pod-template-hash"].is_string()
            });
            let name = pod.and_then(|pod| pod["metadata"]["name"].as_str()).expect("a pod").to_owned();
            bench.cluster().delete(&PODS, "shop", &name).expect("it is there");
            bench.pass(10).await;
            assert_eq!((bench.weight(), bench.phase().as_str()), (60, "Paused"), "{version}");
        }
        bench.annotate("serin.dev/promote", "last");
        bench.healthy().await;
        bench.assert_all_routed("pods that disappear");
    });
}

#[test]
fn the_deployment_that_is_referred_to_may_be_scaled_to_zero() {
    tell(async {
        let mut bench = Bench::of("short").await;
        let none = json!({"spec": {"replicas": 0}});
        bench.cluster().patch_merge(&DEPLOYMENTS, "shop", "checkout", &none).expect("it is there");
        bench.pass(30).await;
        bench.behave("v2", Conduct::Healthy);
        bench.deploy("v2");
        bench.healthy().await;
        bench.assert_all_routed("a Deployment without pods");
    });
}
