//! What may happen in a walk, and the dice that choose it.

use serin_sim::cluster::{DESTINATION_RULES, PODS, REPLICA_SETS, ROLLOUTS, Resource, SERVICES, VIRTUAL_SERVICES};

use super::stages::Shape;

/// Versions whose pods never become ready.
pub(super) const BROKEN: [&str; 3] = ["broken-1", "broken-2", "broken-3"];
/// Versions that answer with errors.
pub(super) const FAILING: [&str; 3] = ["failing-1", "failing-2", "failing-3"];

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Deploy(String),
    Annotate(&'static str, String),
    Scale(i64),
    Pause(bool),
    DeletePod(u64),
    ApplyRoutes,
    CrashAtWrite(u64),
    Restart,
    Withhold(&'static Resource, i64),
    DropWatches,
    Pass(i64),
    /// The version that was asked for before the present one.
    Undo,
    /// `spec.rollbackWindow`.
    Window(Option<u64>),
    /// `spec.restartAt` so many seconds from now.
    RestartPods(i64),
    /// `workloadRef.scaleDown`.
    ScaleDown(&'static str),
    /// `dynamicStableScale`.
    Dynamic(bool),
    /// Other steps, header and mirror routes and experiments among them.
    Steps(u64),
    /// What comes before and after the switch of a blue-green update.
    Switching(u64),
    /// An Experiment by itself.
    Experiment(u64),
    /// Istio's control plane is killed, and proxies are cut off for some seconds.
    IstiodAway(i64),
}

/// SplitMix64: any seed gives a good walk, and the same one each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.below(u64::try_from(all.len()).expect("few"));
        all[usize::try_from(index).expect("small")]
    }

    fn seconds(&mut self, bound: u64) -> i64 {
        i64::try_from(self.below(bound)).expect("small")
    }

    /// What may happen to every Rollout.
    pub(super) fn action(&mut self, turn: usize) -> Action {
        let watched: [&'static Resource; 6] =
            [&ROLLOUTS, &REPLICA_SETS, &PODS, &VIRTUAL_SERVICES, &DESTINATION_RULES, &SERVICES];
        match self.below(24) {
            0..=2 => Action::Deploy(format!("v{}", 1 + self.below(4))),
            3 => Action::Deploy(self.pick(&BROKEN).to_owned()),
            4 => Action::Deploy(self.pick(&FAILING).to_owned()),
            5 | 6 => Action::Annotate("serin.dev/promote", format!("p{turn}")),
            7 => Action::Annotate("serin.dev/promote-full", format!("f{turn}")),
            8 => Action::Annotate("serin.dev/abort", format!("a{turn}")),
            9 => Action::Annotate("serin.dev/retry", format!("r{turn}")),
            10 => Action::Scale(1 + self.seconds(6)),
            11 => Action::Pause(self.below(3) == 0),
            12 => Action::DeletePod(self.below(100)),
            13 => Action::ApplyRoutes,
            14 | 15 => Action::CrashAtWrite(1 + self.below(6)),
            16 => Action::Restart,
            17 => Action::Withhold(self.pick(&watched), 1 + self.seconds(10)),
            18 => Action::DropWatches,
            19 | 20 => Action::Pass(self.seconds(4)),
            _ => Action::Pass(self.seconds(40)),
        }
    }

    /// As [`Dice::action`], and in a third of all cases something that not every Rollout has.
    pub(super) fn wide_action(&mut self, turn: usize, shape: Shape) -> Action {
        if self.below(3) > 0 {
            return self.action(turn);
        }
        let mut all = vec![
            Action::Undo,
            Action::Window(self.pick(&[None, Some(1), Some(3)])),
            Action::RestartPods(self.seconds(20)),
            Action::Experiment(self.below(1_000)),
        ];
        if shape.is_meshed() {
            all.extend([Action::IstiodAway(10 + self.seconds(16)), Action::IstiodAway(10 + self.seconds(16))]);
        }
        if shape.has_workload {
            all.push(Action::ScaleDown(self.pick(&["never", "onsuccess", "progressively"])));
        }
        if shape.is_routed {
            all.push(Action::Dynamic(self.below(3) > 0));
        }
        if shape.has_http_steps {
            all.extend([Action::Steps(self.below(4)), Action::Steps(self.below(4))]);
        }
        if shape.is_blue_green {
            all.extend([Action::Switching(self.below(3)), Action::Switching(self.below(3))]);
        }
        let chosen = self.below(u64::try_from(all.len()).expect("few"));
        all.swap_remove(usize::try_from(chosen).expect("small"))
    }
}
