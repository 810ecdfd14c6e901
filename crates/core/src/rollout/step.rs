//! The steps of a canary, as decisions need them.

use std::fmt;

use chrono::TimeDelta;
use serin_api::{CanaryStep, RolloutAnalysis, RolloutExperimentStep};

use crate::istio::ManagedRoute;
use crate::time::format_duration;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Gives the canary a share of the traffic, in percent from 0 to 100.
    SetWeight(i32),
    /// Waits for a time, or with `None` for a person.
    Pause(Option<TimeDelta>),
    /// Sets the number of canary pods apart from the weight.
    SetCanaryScale(CanaryScale),
    /// Runs an analysis to its end.
    Analysis(Box<RolloutAnalysis>),
    /// Runs sets of pods beside canary and stable until they have shown what they should.
    Experiment(Box<RolloutExperimentStep>),
    /// Sends requests with certain headers to the canary, or ends that.
    SetHeaderRoute(RouteStep),
    /// Copies certain requests to the canary, or ends that.
    SetMirrorRoute(RouteStep),
}

/// What a step does about a managed route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteStep {
    /// Name of the route.
    pub name: String,
    /// The route; `None` removes it.
    pub route: Option<ManagedRoute>,
}

/// How many pods the canary has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryScale {
    /// A percentage of `spec.replicas`, from 0 to 100.
    Weight(i32),
    /// A number of pods.
    Replicas(i32),
    /// As many as the share of the traffic needs.
    MatchTrafficWeight,
}

/// The steps of a canary in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    steps: Vec<Step>,
    text: String,
}

impl Steps {
    /// The steps, with the wire form that they were read from.
    #[must_use]
    pub fn new(steps: Vec<Step>, wire: &[CanaryStep]) -> Self {
        // Go writes an absent list as `null`, and the step hash has to come out the same.
        let text = if wire.is_empty() { Ok("null".to_owned()) } else { serde_json::to_string(wire) };
        Steps { steps, text: text.unwrap_or_default() }
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The step of an index; `None` after the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Step> {
        self.steps.get(index)
    }

    /// The steps in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Step> {
        self.steps.iter()
    }

    /// The last weight that was set at or before an index; `None` if none was.
    #[must_use]
    pub fn weight_at(&self, index: usize) -> Option<i32> {
        self.until(index).find_map(|step| match step {
            Step::SetWeight(weight) => Some(*weight),
            Step::Pause(_)
            | Step::SetCanaryScale(_)
            | Step::Analysis(_)
            | Step::Experiment(_)
            | Step::SetHeaderRoute(_)
            | Step::SetMirrorRoute(_) => None,
        })
    }

    /// The last canary scale that was set at or before an index; `None` if none was.
    #[must_use]
    pub fn scale_at(&self, index: usize) -> Option<CanaryScale> {
        self.until(index).find_map(|step| match step {
            Step::SetCanaryScale(scale) => Some(*scale),
            Step::SetWeight(_)
            | Step::Pause(_)
            | Step::Analysis(_)
            | Step::Experiment(_)
            | Step::SetHeaderRoute(_)
            | Step::SetMirrorRoute(_) => None,
        })
    }

    /// The managed routes that were set at or before an index and not removed since, in the order of those steps.
    #[must_use]
    pub fn routes_at(&self, index: usize) -> Vec<ManagedRoute> {
        let mut routes: Vec<ManagedRoute> = Vec::new();
        for step in self.steps.iter().take(index.saturating_add(1)) {
            if let Step::SetHeaderRoute(step) | Step::SetMirrorRoute(step) = step {
                routes.retain(|route| route.name != step.name);
                routes.extend(step.route.clone());
            }
        }
        routes
    }

    /// The JSON text of the steps as Go writes it, but for its escapes: what the step hash is computed over.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The steps up to an index and including it, the last first.
    fn until(&self, index: usize) -> impl Iterator<Item = &Step> {
        self.steps.iter().take(index.saturating_add(1)).rev()
    }
}

impl<'a> IntoIterator for &'a Steps {
    type Item = &'a Step;
    type IntoIter = std::slice::Iter<'a, Step>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetWeight(weight) => write!(f, "setWeight: {weight}"),
            Step::Pause(None) => f.write_str("pause"),
            Step::Pause(Some(duration)) => write!(f, "pause: {}", format_duration(*duration)),
            Step::SetCanaryScale(CanaryScale::Weight(weight)) => write!(f, "setCanaryScale{{weight: {weight}}}"),
            Step::SetCanaryScale(CanaryScale::Replicas(replicas)) => {
                write!(f, "setCanaryScale{{replicas: {replicas}}}")
            }
            Step::SetCanaryScale(CanaryScale::MatchTrafficWeight) => {
                f.write_str("setCanaryScale{matchTrafficWeight: true}")
            }
            Step::Analysis(_) => f.write_str("analysis"),
            Step::Experiment(_) => f.write_str("experiment"),
            Step::SetHeaderRoute(RouteStep { name, .. }) => write!(f, "setHeaderRoute: {name}"),
            Step::SetMirrorRoute(RouteStep { name, .. }) => write!(f, "setMirrorRoute: {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Steps {
        let steps = vec![
            Step::Pause(None),
            Step::SetCanaryScale(CanaryScale::Replicas(3)),
            Step::SetWeight(20),
            Step::Analysis(Box::default()),
            Step::SetCanaryScale(CanaryScale::MatchTrafficWeight),
            Step::SetWeight(60),
        ];
        Steps::new(steps, &[])
    }

    #[test]
    fn what_was_set_last_is_in_force() {
        #[track_caller]
        fn check(case: &str, index: usize, weight: Option<i32>, scale: Option<CanaryScale>) {
            assert_eq!((steps().weight_at(index), steps().scale_at(index)), (weight, scale), "{case}");
        }
        check("nothing is set at first", 0, None, None);
        check("a scale holds from its own step on", 1, None, Some(CanaryScale::Replicas(3)));
        check("a weight holds from its own step on", 2, Some(20), Some(CanaryScale::Replicas(3)));
        check("and through other steps", 3, Some(20), Some(CanaryScale::Replicas(3)));
        check("until the next", 5, Some(60), Some(CanaryScale::MatchTrafficWeight));
        check("and after the last step", usize::MAX, Some(60), Some(CanaryScale::MatchTrafficWeight));
    }

    #[test]
    fn steps_are_written_as_clients_know_them() {
        let texts: Vec<String> = steps().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "pause",
                "setCanaryScale{replicas: 3}",
                "setWeight: 20",
                "analysis",
                "setCanaryScale{matchTrafficWeight: true}",
                "setWeight: 60",
            ]
        );
        assert_eq!(Step::Pause(Some(TimeDelta::minutes(10))).to_string(), "pause: 10m");
        assert_eq!(Step::SetCanaryScale(CanaryScale::Weight(5)).to_string(), "setCanaryScale{weight: 5}");
    }
}
