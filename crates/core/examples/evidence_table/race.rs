//! Runs a rollout by evidence.

use std::collections::BTreeMap;

use serin_core::evidence::{Plan, Poll, Question, State};

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

/// One rollout: all polls, and `ln E` after each of them.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) polls: Vec<Poll>,
    pub(super) log_evidence: Vec<f64>,
}

impl Run {
    /// The poll, counted from 1, at which `ln E` first reached a line.
    pub(super) fn crosses(&self, line: f64) -> Option<usize> {
        self.log_evidence.iter().position(|log| *log >= line).map(|poll| poll + 1)
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
    let mut run = Run { polls: Vec::new(), log_evidence: Vec::new() };
    for number in 0..scenario.polls {
        let mut poll = scenario.poll(scenario.share(number, state.log_evidence(plan)), &mut draw);
        if lumps == Lumps::Declared {
            poll.stable_pods.clear();
        }
        state = state.absorb(plan, &named(poll.clone()));
        run.polls.push(poll);
        run.log_evidence.push(state.log_evidence(plan));
    }
    run
}
