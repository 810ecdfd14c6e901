//! Two controllers: when the one that leads dies or leaves, the other goes on, and nothing is done twice.

mod record;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use self::record::{Before, checked};
use crate::kit::{Case, Manifests, Release, Stage, until};

const SUITE: &str = "leader";

/// How long a lease lasts that is not renewed, and the time between two tries to get it.
const LEASE: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(2);

/// What it may take to send a kill and to see the Lease change, beside what is measured.
const LOOKING: Duration = Duration::from_secs(1);

/// The bound for a leader that gives the Lease back.
const HANDED_OVER: Duration = Duration::from_secs(5);

/// The canary's weights of every update here.
pub(super) const WEIGHTS: [i64; 3] = [20, 60, 100];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "the leader is killed seven times", Duration::from_secs(900), |stage| {
            let shop = Manifests::shop();
            async move { killed(stage, shop?, 7).await }
        }),
        Case::new(SUITE, "the leader is killed with role labels", Duration::from_secs(600), |stage| {
            let host = format!("reviews.{}.svc.cluster.local", stage.place.namespace);
            let reviews = Manifests::reviews().and_then(|reviews| reviews.analysed(&host, 1)?.patient());
            async move { killed(stage, reviews?, 3).await }
        }),
        Case::new(SUITE, "the leader is asked to stop", Duration::from_secs(400), stopped),
        Case::new(SUITE, "a frozen leader comes back", Duration::from_secs(300), frozen),
    ]
}

/// Steps that are short, since there are many updates.
fn short(manifests: Manifests) -> Result<Manifests> {
    let pause = json!({"pause": {"duration": "3s"}});
    manifests.steps(json!([{"setWeight": 20}, pause, {"setWeight": 60}, pause]))
}

/// A version of the workload alone: to apply the routes too would undo what has been done to them, and it is done again.
fn update(manifests: &Manifests, version: usize) -> Result<Manifests> {
    let manifests = manifests.clone().version(&format!("v{version}"))?;
    let workload = |object: &Value| object["kind"] == "Rollout" || object["kind"] == "Deployment";
    Ok(Manifests(manifests.0.into_iter().filter(workload).collect()))
}

async fn killed(stage: Stage, manifests: Manifests, updates: usize) -> Result<()> {
    let mut dice = Dice::new();
    stage.figures.note("seed", dice.seed);
    println!("       the seed is {}; SERIN_E2E_SEED sets it", dice.seed);
    let serin = pair(&stage).await?;
    let manifests = short(manifests)?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load(&subject.name).await?;
    let watch = Watch::begin(&serin);
    // From before the first weight to the hand-over, each moment about as often as the others.
    let mut moments: Vec<i64> = (0..updates).map(|round| [0, 20, 60, 100][round % 4]).collect();
    dice.shuffle(&mut moments);
    let mut took = Vec::new();
    for (round, after) in moments.into_iter().enumerate() {
        let before = Before::note(&stage, &subject).await?;
        stage.apply(&update(&manifests, round + 2)?).await?;
        before.reaches(after).await?;
        sleep(Duration::from_millis(dice.below(3000))).await;
        // One of five dies and comes back in its place; the others go for good, as with their node.
        let way = if round % 5 == 3 { Way::Process } else { Way::Pod };
        let (gap, how) = kill(&serin, way).await?;
        took.push(format!("{:.1} s after {after} % ({how})", gap.as_secs_f64()));
        stage.figures.note("succeeded after", took.join(", "));
        subject.healthy(Duration::from_secs(120)).await?;
        checked(&stage, &subject, &before, round + 2).await.with_context(|| format!("in update {}", round + 1))?;
        serin.ready().await?;
        one_leads(&serin).await?;
    }
    watch.end()?;
    stage.figures.note("requests", load.all_answered().await?.sent);
    Ok(())
}

async fn stopped(stage: Stage) -> Result<()> {
    let serin = pair(&stage).await?;
    let manifests = short(Manifests::shop()?)?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load(&subject.name).await?;
    let watch = Watch::begin(&serin);
    let mut took = Vec::new();
    for (round, after) in [20, 100].into_iter().enumerate() {
        let before = Before::note(&stage, &subject).await?;
        stage.apply(&update(&manifests, round + 2)?).await?;
        before.reaches(after).await?;
        let (old, begun) = (serin.holder().await?, Instant::now());
        serin.terminate(&old).await?;
        succeeded(&serin, &old, HANDED_OVER).await?;
        took.push(format!("{:.1} s after {after} %", begun.elapsed().as_secs_f64()));
        stage.figures.note("handed over after", took.join(", "));
        subject.healthy(Duration::from_secs(60)).await?;
        checked(&stage, &subject, &before, round + 2).await?;
        serin.ready().await?;
        one_leads(&serin).await?;
    }
    watch.end()?;
    stage.figures.note("requests", load.all_answered().await?.sent);
    Ok(())
}

/// A leader that stands still for longer than its lease, as on a machine that is out of breath, and then goes on.
async fn frozen(stage: Stage) -> Result<()> {
    let serin = pair(&stage).await?;
    let manifests = short(Manifests::shop()?)?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load(&subject.name).await?;
    let before = Before::note(&stage, &subject).await?;
    stage.apply(&update(&manifests, 2)?).await?;
    before.reaches(20).await?;
    let (pod, identity) = (serin.holder().await?, serin.leader().await?);
    if !serin.signal(&pod, "STOP").await? {
        stage.figures.note("not tried", "the node is another machine");
        return Ok(());
    }
    let begun = Instant::now();
    let next = succeeded(&serin, &identity, LEASE + RETRY + LOOKING).await;
    stage.figures.note("succeeded after", format!("{:.1} s", begun.elapsed().as_secs_f64()));
    let further = before.reaches(60).await;
    // In any case: a process that stands still cannot be ended in order.
    serin.signal(&pod, "CONT").await?;
    next.and(further)?;
    subject.healthy(Duration::from_secs(60)).await?;
    checked(&stage, &subject, &before, 2).await?;
    serin.ready().await?;
    one_leads(&serin).await?;
    stage.figures.note("requests", load.all_answered().await?.sent);
    Ok(())
}

/// The suite's release with two replicas, of which one leads.
async fn pair(stage: &Stage) -> Result<Release> {
    let serin = Release::install(&stage.cluster, SUITE, &["replicas=2"]).await?;
    one_leads(&serin).await?;
    Ok(serin)
}

/// What becomes of the leader.
#[derive(Clone, Copy)]
enum Way {
    /// Its process is killed, and its container started again.
    Process,
    /// Its process is killed and its pod removed.
    Pod,
}

/// Kills the leader, waits for the next one, and says how long that took and what it died of.
async fn kill(serin: &Release, way: Way) -> Result<(Duration, &'static str)> {
    let (pod, identity) = (serin.holder().await?, serin.leader().await?);
    let begun = Instant::now();
    let found = serin.signal(&pod, "KILL").await?;
    let how = match (way, found) {
        (Way::Process, true) => "SIGKILL",
        (Way::Pod, true) => "SIGKILL, pod removed",
        // Its node is another machine.
        (Way::Process | Way::Pod, false) => "pod removed",
    };
    if how != "SIGKILL" {
        serin.kill(&pod).await?;
    }
    succeeded(serin, &identity, LEASE + RETRY + LOOKING).await?;
    Ok((begun.elapsed(), how))
}

/// Waits until somebody holds the lease who does not begin with `old`.
async fn succeeded(serin: &Release, old: &str, limit: Duration) -> Result<()> {
    until("somebody else leads", limit, || async {
        let holder = serin.leader().await?;
        ensure!(!holder.is_empty() && !holder.starts_with(old), "the lease is held by {holder:?}");
        Ok(())
    })
    .await
}

/// Waits until exactly the holder of the lease says of itself that it leads.
async fn one_leads(serin: &Release) -> Result<()> {
    until("exactly the holder of the lease leads", RETRY + LOOKING, || async {
        let (leading, holder) = (serin.leading().await?, serin.holder().await?);
        ensure!(leading == [holder.clone()], "{leading:?} say that they lead, {holder} has the lease");
        Ok(())
    })
    .await
}

/// Looks all the time whether two lead.
struct Watch {
    found: Arc<Mutex<Option<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn begin(serin: &Release) -> Self {
        let (found, serin) = (Arc::new(Mutex::new(None)), serin.clone());
        let note = found.clone();
        let task = tokio::spawn(async move {
            loop {
                sleep(Duration::from_millis(500)).await;
                // The pages are read one after the other, and the lease may be handed over in between: two looks in a row.
                let Ok(first) = serin.leading().await else { continue };
                if first.len() > 1 && serin.leading().await.is_ok_and(|second| second.len() > 1) {
                    *note.lock().expect("nobody panics with it") = Some(format!("{first:?} led at the same time"));
                }
            }
        });
        Watch { found, task }
    }

    fn end(self) -> Result<()> {
        let found = self.found.lock().expect("nobody panics with it").clone();
        ensure!(found.is_none(), "{}", found.unwrap_or_default());
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Random numbers that a seed repeats (SplitMix64).
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed in `SERIN_E2E_SEED`, or one from the clock.
    fn new() -> Self {
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |time| time.as_secs());
        let seed = std::env::var("SERIN_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
        Dice { seed, state: seed }
    }

    /// A number from 0 on and below `end`, which is not 0 and small against 2^64.
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
