//! The controller is stopped between any two of its writes, refused, cut off and kept in the dark; the end is the same.

use chrono::TimeDelta;
use serde_json::Value;
use serin_sim::WorldConfig;
use serin_sim::cluster::{
    ANALYSIS_RUNS, DESTINATION_RULES, JOBS, PODS, REPLICA_SETS, ROLLOUTS, Resource, SERVICES, VIRTUAL_SERVICES,
};
use serin_sim::faults::{Crash, Failure, Rule};
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifests, tell};
use crate::snapshot::{assert_same, snapshot};

/// An update from nothing to its end.
#[derive(Clone, Copy, Debug)]
struct Story {
    file: &'static str,
    conduct: Conduct,
}

const GOOD: Story = Story { file: "short", conduct: Conduct::Healthy };
const BAD: Story = Story { file: "short", conduct: Conduct::Errors };
const BLUE_GREEN: Story = Story { file: "blue_green", conduct: Conduct::Healthy };
const BLUE_GREEN_BAD: Story = Story { file: "blue_green", conduct: Conduct::Errors };
const JOBS_TOO: Story = Story { file: "jobs", conduct: Conduct::Healthy };
const ROUTES: Story = Story { file: "routes", conduct: Conduct::Healthy };
const BAD_ROUTES: Story = Story { file: "routes", conduct: Conduct::Errors };
const EXPERIMENT: Story = Story { file: "experiment", conduct: Conduct::Healthy };
const SERVICES_ONLY: Story = Story { file: "services", conduct: Conduct::Healthy };

/// How long a stopped controller stays away.
const DOWNTIME: TimeDelta = TimeDelta::seconds(4);
/// How long an update may take, whatever happens to it.
const PATIENCE: TimeDelta = TimeDelta::hours(2);

/// What befalls the controller while time passes.
trait Trouble {
    /// Called after each moment.
    fn strike(&mut self, bench: &mut Bench);
}

/// Nothing befalls it.
struct Peace;

impl Trouble for Peace {
    fn strike(&mut self, _: &mut Bench) {}
}

/// Tells a story from the first apply to its end, and yields what is there then.
async fn play(story: Story, case: &str, begin: impl Fn(&Bench), trouble: &mut dyn Trouble) -> Value {
    let manifests = manifests(story.file);
    let mut bench = Bench::set(&manifests, WorldConfig::default());
    begin(&bench);
    go_on(&mut bench, (case, "the first deployment"), trouble, |bench| bench.phase() == "Healthy").await;
    bench.open_streams().await;
    bench.behave("v2", story.conduct);
    bench.deploy("v2");
    let aborts = story.conduct == Conduct::Errors;
    go_on(&mut bench, (case, "the end"), trouble, |bench| {
        let promoted = bench.status("/stableRS") == bench.status("/currentPodHash");
        bench.is_observed() && if aborts { bench.phase() == "Degraded" } else { promoted && bench.phase() == "Healthy" }
    })
    .await;
    let rest = bench.world.now() + TimeDelta::minutes(2);
    go_on(&mut bench, (case, "the aftermath"), trouble, |bench| bench.world.now() >= rest).await;
    bench.cluster().faults().reset();
    bench.pass(30).await;
    bench.assert_all_routed(case);
    snapshot(bench.cluster())
}

/// Lets time pass, and trouble strike, until something is true.
async fn go_on(bench: &mut Bench, what: (&str, &str), trouble: &mut dyn Trouble, done: impl Fn(&Bench) -> bool) {
    let horizon = bench.world.now() + PATIENCE;
    loop {
        bench.settle().await;
        trouble.strike(bench);
        bench.settle().await;
        if done(bench) {
            return;
        }
        let now = bench.world.now();
        assert!(now < horizon, "{what:?} never came: {:#}\n{}", bench.rollout()["status"], bench.told());
        let soon = now + TimeDelta::seconds(1);
        let due = bench.world.next_due().map_or(soon, |due| due.clamp(now + TimeDelta::milliseconds(1), soon));
        bench.world.move_to(due);
    }
}

/// Starts the controller again some time after its crash.
#[derive(Default)]
struct Restart {
    at: Option<chrono::DateTime<chrono::Utc>>,
    happened: bool,
}

impl Trouble for Restart {
    fn strike(&mut self, bench: &mut Bench) {
        if !bench.cluster().faults().crashed() {
            return;
        }
        let at = *self.at.get_or_insert(bench.world.now() + DOWNTIME);
        if bench.world.now() >= at {
            bench.cluster().faults().reset();
            bench.world.restart_controller();
            self.happened = true;
        }
    }
}

/// The end of a story without trouble, and the plural of the object of each write.
fn undisturbed(story: Story) -> (Value, Vec<String>) {
    let cluster = std::cell::Cell::new(None);
    let end = tell(play(story, "undisturbed", |bench| cluster.set(Some(bench.cluster().clone())), &mut Peace));
    let writes = cluster.take().expect("a cluster").writes();
    (end, writes.into_iter().map(|write| write.plural).collect())
}

/// Crashes at every write of a story but those of events, on which nothing depends.
fn check_crashes(story: Story, crash: fn(u64) -> Crash) {
    let (expected, writes) = undisturbed(story);
    let numbered = (1_u64..).zip(&writes).filter(|(_, plural)| *plural != "events");
    let mut crashes = 0;
    for (number, _) in numbered {
        let case = format!("{story:?}, {:?}", crash(number));
        let mut restart = Restart::default();
        let end = tell(play(story, &case, |bench| bench.cluster().faults().crash(crash(number)), &mut restart));
        assert!(restart.happened, "{case}: never happened");
        assert_same(&case, &expected, &end);
        crashes += 1;
    }
    assert!(crashes > 15, "{story:?} has {crashes} writes only");
}

// A crash after a write and one before the next leave the same behind, so that one of them is enough for each story.

#[test]
fn a_crash_before_any_write_of_a_promotion_changes_nothing() {
    check_crashes(GOOD, Crash::Before);
}

#[test]
fn a_crash_after_any_write_of_an_abort_changes_nothing() {
    check_crashes(BAD, Crash::After);
}

#[test]
fn a_crash_before_any_write_with_services_as_sides_changes_nothing() {
    check_crashes(SERVICES_ONLY, Crash::Before);
}

#[test]
fn a_crash_before_any_write_of_a_switch_changes_nothing() {
    check_crashes(BLUE_GREEN, Crash::Before);
}

#[test]
fn a_crash_after_any_write_of_a_switch_and_back_changes_nothing() {
    check_crashes(BLUE_GREEN_BAD, Crash::After);
}

#[test]
fn a_crash_around_any_write_with_jobs_changes_nothing() {
    check_crashes(JOBS_TOO, Crash::Before);
    check_crashes(JOBS_TOO, Crash::After);
}

#[test]
fn a_crash_before_any_write_of_header_and_mirror_routes_changes_nothing() {
    check_crashes(ROUTES, Crash::Before);
}

#[test]
fn a_crash_after_any_write_of_an_abort_with_header_and_mirror_routes_changes_nothing() {
    check_crashes(BAD_ROUTES, Crash::After);
}

#[test]
fn a_crash_before_any_write_with_an_experiment_changes_nothing() {
    check_crashes(EXPERIMENT, Crash::Before);
}

/// Lets every `period`-th request fail.
fn check_failures(story: Story, failure: Failure) {
    let (expected, _) = undisturbed(story);
    for period in [3, 5, 7] {
        let case = format!("{story:?}, every {period}. request meets {failure:?}");
        let begin = |bench: &Bench| {
            for _ in 0..1000 {
                bench.cluster().faults().add(Rule::next(failure).after(period - 1, 1));
            }
        };
        let end = tell(play(story, &case, begin, &mut Peace));
        assert_same(&case, &expected, &end);
    }
}

#[test]
fn refused_and_lost_requests_are_made_up_for() {
    let failures =
        [Failure::Conflict, Failure::Internal, Failure::TooManyRequests, Failure::Disconnect, Failure::LostAnswer];
    for failure in failures {
        check_failures(GOOD, failure);
        check_failures(BAD, failure);
    }
}

/// Holds back the changes of some kinds, then lets them go, or ends the watches instead.
struct Dark {
    kinds: Vec<&'static Resource>,
    rhythm: TimeDelta,
    lists_again: bool,
    next: Option<chrono::DateTime<chrono::Utc>>,
    is_dark: bool,
}

impl Trouble for Dark {
    fn strike(&mut self, bench: &mut Bench) {
        let now = bench.world.now();
        if now < *self.next.get_or_insert(now) {
            return;
        }
        self.next = Some(now + self.rhythm);
        self.is_dark = !self.is_dark;
        let faults = bench.cluster().faults();
        if !self.is_dark && self.lists_again {
            faults.drop_watches();
        }
        for kind in &self.kinds {
            if self.is_dark { faults.withhold(kind) } else { faults.release(kind) }
        }
    }
}

#[test]
fn late_and_missed_changes_are_made_up_for() {
    let all: [&'static Resource; 7] =
        [&ROLLOUTS, &REPLICA_SETS, &PODS, &VIRTUAL_SERVICES, &DESTINATION_RULES, &SERVICES, &ANALYSIS_RUNS];
    let mut sets: Vec<Vec<&'static Resource>> = all.iter().map(|kind| vec![*kind]).collect();
    sets.push(all.to_vec());
    for story in [GOOD, BAD] {
        let (expected, _) = undisturbed(story);
        for kinds in &sets {
            for (rhythm, lists_again) in [(3, false), (5, true)] {
                let names: Vec<&str> = kinds.iter().map(|kind| kind.plural.as_ref()).collect();
                let case = format!("{story:?}, {names:?} late by {rhythm} s, lists again: {lists_again}");
                let rhythm = TimeDelta::seconds(rhythm);
                let mut dark = Dark { kinds: kinds.clone(), rhythm, lists_again, next: None, is_dark: false };
                let end = tell(play(story, &case, |_| {}, &mut dark));
                assert_same(&case, &expected, &end);
            }
        }
    }
}

#[test]
fn jobs_that_are_seen_late_or_not_at_all_for_a_while_are_made_up_for() {
    let (expected, _) = undisturbed(JOBS_TOO);
    let sets: [&[&'static Resource]; 4] = [&[&JOBS], &[&PODS], &[&ANALYSIS_RUNS], &[&JOBS, &PODS, &ANALYSIS_RUNS]];
    for kinds in sets {
        for (rhythm, lists_again) in [(3, false), (5, true)] {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.plural.as_ref()).collect();
            let case = format!("{names:?} late by {rhythm} s, lists again: {lists_again}");
            let rhythm = TimeDelta::seconds(rhythm);
            let mut dark = Dark { kinds: kinds.to_vec(), rhythm, lists_again, next: None, is_dark: false };
            let end = tell(play(JOBS_TOO, &case, |_| {}, &mut dark));
            assert_same(&case, &expected, &end);
        }
    }
    for failure in [Failure::Conflict, Failure::Internal, Failure::Disconnect, Failure::LostAnswer] {
        check_failures(JOBS_TOO, failure);
    }
}

#[test]
fn an_update_waits_for_an_analysis_that_cannot_be_created() {
    tell(async {
        let mut bench = Bench::of(BAD.file).await;
        let refused = Rule::next(Failure::Internal).on("create", "analysisruns").after(0, u64::MAX);
        bench.cluster().faults().add(refused);
        bench.behave("v2", Conduct::Errors);
        bench.deploy("v2");
        bench.pass(600).await;
        assert_eq!((bench.weight(), bench.status("/currentStepIndex")), (20, 1.into()), "{}", bench.told());
        let holds = bench.status("/serin/holds").to_string();
        assert!(holds.contains("AnalysisRun checkout-"), "the status says what is missing: {holds}");
        bench.cluster().faults().reset();
        bench.phase_is("Degraded").await;
        bench.assert_all_routed("no analysis");
    });
}

#[test]
fn an_analysis_that_somebody_deletes_is_run_again() {
    tell(async {
        let mut bench = Bench::of(BAD.file).await;
        bench.behave("v2", Conduct::Errors);
        bench.deploy("v2");
        let running = |bench: &Bench| bench.status("/canary/currentBackgroundAnalysisRunStatus/status") == "Running";
        bench.wait("a running analysis", running).await;
        let run = bench.status("/canary/currentBackgroundAnalysisRunStatus/name");
        let run = run.as_str().expect("a name").to_owned();
        bench.cluster().delete(&ANALYSIS_RUNS, "shop", &run).expect("it is there");
        bench.phase_is("Degraded").await;
        assert!(bench.message().starts_with("RolloutAborted: "), "{}", bench.message());
        bench.assert_all_routed("a deleted analysis");
    });
}
