//! Runs a rollout by evidence.

use std::collections::BTreeMap;

use serin_core::evidence::{Plan, Poll, Question, State, assess};

use super::draw::Draw;
use super::traffic::Scenario;

/// How lumps of bad requests are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lumps {
    /// As the plan says.
    Declared,
    /// From stable's pods in 60 polls before the rollout, and during it.
    Learned,
}

/// One rollout: all polls, and what is known after each of them.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) polls: Vec<Poll>,
    /// `ln E` for an abort.
    pub(super) log_evidence: Vec<f64>,
    /// `ln E'` for a promotion.
    pub(super) log_promotion_evidence: Vec<f64>,
    /// Whether the interval of 95 % has the true odds ratio.
    pub(super) covered: Vec<bool>,
}

impl Run {
    /// The poll, counted from 1, at which `ln E` first reached a line.
    pub(super) fn crosses(&self, line: f64) -> Option<usize> {
        self.log_evidence.iter().position(|log| *log >= line).map(|poll| poll + 1)
    }
}

impl Run {
    /// The poll, counted from 1, at which the evidence for a promotion first reached a line.
    pub(super) fn promotes(&self, line: f64) -> Option<usize> {
        self.log_promotion_evidence.iter().position(|log| *log >= line).map(|poll| poll + 1)
    }

    /// The poll, counted from 1, at which the interval first left the truth out.
    pub(super) fn misleads(&self) -> Option<usize> {
        self.covered.iter().position(|covered| !covered).map(|poll| poll + 1)
    }
}

/// A plan with one question about errors.
pub(super) fn plan(counts_per_request: u32) -> Plan {
    let question = Question { counts_per_request, ..Question::new("errors") };
    Plan { questions: vec![question], false_abort_rate: 0.05, miss_rate: 0.05 }
}

/// Runs a scenario to its end, whatever the evidence says.
pub(super) fn run(scenario: &Scenario, plan: &Plan, lumps: Lumps, seed: u64) -> Run {
    let mut draw = Draw::new(seed);
    let mut state = State::default();
    let named = |poll: Poll| BTreeMap::from([("errors".to_owned(), poll)]);
    if lumps == Lumps::Learned {
        for _ in 0..60 {
            let pods = scenario.poll(0.0, &mut draw).stable_pods;
            state = state.learn(plan, &BTreeMap::from([("errors".to_owned(), pods)]));
        }
    }
    let mut run = Run::default();
    for number in 0..scenario.polls {
        let mut poll = scenario.poll(scenario.share(number, state.log_evidence(plan)), &mut draw);
        if lumps == Lumps::Declared {
            poll.stable_pods.clear();
        }
        state = state.absorb(plan, &named(poll.clone()));
        run.polls.push(poll);
        let answers = assess(plan, &state, None).answers;
        run.log_evidence.push(state.log_evidence(plan));
        run.log_promotion_evidence.extend(answers.iter().map(|answer| answer.log_promotion_evidence));
        run.covered.extend(answers.iter().map(|answer| answer.interval.contains(scenario.ratio)));
    }
    run
}
