//! Simulated rollouts: what canary and stable count at every poll.

use serin_core::evidence::{Arm, Poll, Stratum};

use super::draw::Draw;

/// How the canary's share goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shares {
    /// From 5 % to 50 % in ten steps of equal length.
    Ramp,
    /// To and fro between 1 % and 80 %.
    Jumps,
    /// To 50 % while the evidence is above 1, to 5 % while it is below: an adversary that plays on.
    Chasing,
    /// 10 % for ten minutes, then 20, 40, 60 and 80 % for five each: the steps of the bookinfo demo, in polls of half a minute.
    Bookinfo,
    /// The same from beginning to end.
    Fixed(f64),
}

/// Traffic of a rollout.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) requests_per_second: f64,
    /// Rate of bad requests on stable.
    pub(super) error_rate: f64,
    /// The odds of a bad request on the canary over those on stable.
    pub(super) ratio: f64,
    pub(super) polls: u32,
    pub(super) seconds_per_poll: f64,
    /// Whether once in twenty polls both sides have 50 times as many bad requests.
    pub(super) bursts: bool,
    /// How often a bad request is counted.
    pub(super) counts_per_bad_request: u64,
    pub(super) shares: Shares,
}

/// Pods of stable.
const PODS: u64 = 5;

impl Scenario {
    /// An hour at one poll a minute, 0.3 % errors on both sides, and a ramp.
    pub(super) fn hour(requests_per_second: f64) -> Self {
        Scenario {
            requests_per_second,
            error_rate: 0.003,
            ratio: 1.0,
            polls: 60,
            seconds_per_poll: 60.0,
            bursts: false,
            counts_per_bad_request: 1,
            shares: Shares::Ramp,
        }
    }

    /// The half hour of the bookinfo demo at 100 requests a second.
    pub(super) fn bookinfo() -> Self {
        Scenario { seconds_per_poll: 30.0, shares: Shares::Bookinfo, ..Scenario::hour(100.0) }
    }

    /// The canary's share at a poll, where `log_evidence` is what the polls before have shown.
    pub(super) fn share(&self, poll: u32, log_evidence: f64) -> f64 {
        match self.shares {
            Shares::Ramp => 0.05 * f64::from(1 + poll * 10 / self.polls),
            Shares::Jumps => [0.01, 0.5, 0.05, 0.8, 0.2][poll as usize % 5],
            Shares::Bookinfo => [0.1, 0.1, 0.2, 0.4, 0.6, 0.8][poll as usize / 10 % 6],
            Shares::Chasing if log_evidence > 0.0 => 0.5,
            Shares::Chasing => 0.05,
            Shares::Fixed(share) => share,
        }
    }

    /// What is counted at a poll with this share.
    pub(super) fn poll(&self, share: f64, draw: &mut Draw) -> Poll {
        let burst = if self.bursts && draw.uniform() < 0.05 { 50.0 } else { 1.0 };
        let rate = (self.error_rate * burst).min(1.0);
        let requests = (self.requests_per_second * self.seconds_per_poll).round() as u64;
        let canary = draw.binomial(requests, share);
        let stable = requests - canary;
        let of_canary = self.ratio * rate / (1.0 - rate + self.ratio * rate);
        let bad = [draw.binomial(canary, of_canary), draw.binomial(stable, rate)];
        let counted = |requests: u64, bad: u64| {
            Arm::new(requests + bad * (self.counts_per_bad_request - 1), bad * self.counts_per_bad_request)
        };
        let stratum = Stratum::new(counted(canary, bad[0]), counted(stable, bad[1])).expect("counts of a simulation");
        let stable_pods = split(stable, bad[1], draw).map(|(requests, bad)| counted(requests, bad)).collect();
        Poll { strata: vec![stratum], stable_pods }
    }
}

/// Requests and bad ones of stable, by pods.
fn split(requests: u64, bad: u64, draw: &mut Draw) -> impl Iterator<Item = (u64, u64)> {
    let mut left = (requests - bad, bad);
    let pods: Vec<(u64, u64)> = (0..PODS)
        .map(|pod| {
            let chance = 1.0 / (PODS - pod) as f64;
            let of_pod = (draw.binomial(left.0, chance), draw.binomial(left.1, chance));
            left = (left.0 - of_pod.0, left.1 - of_pod.1);
            (of_pod.0 + of_pod.1, of_pod.1)
        })
        .collect();
    pods.into_iter()
}
