//! What people see of an Experiment by itself: its sets of pods and its analyses, as values and in lines.

use std::cmp::Reverse;

use chrono::{DateTime, TimeDelta, Utc};
use serin_core::experiment::{Observed, parse};
use serin_core::rollout::observed::Pod;
use serin_core::time::format_duration;

use super::draw::{Detail, WIDTH, dot, dots, image_names, run_lines, unseen_lines};
use super::read::{images, pod_views, run};
use super::{PodView, Run};
use crate::bar::{fit, wrap};
use crate::console::Paint;

/// An Experiment with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExperimentTree {
    namespace: String,
    name: String,
    phase: String,
    message: String,
    /// The Rollout whose step it is.
    rollout: Option<String>,
    /// How long it runs once all pods are available.
    duration: Option<TimeDelta>,
    available_at: Option<DateTime<Utc>>,
    sets: Vec<SetView>,
    /// The analyses that the status names, in its order, then those of earlier times, the newest first.
    analyses: Vec<AnalysisView>,
    /// Kinds of which not all was shown to us, and why.
    unseen: Vec<String>,
}

/// The pods of one template.
#[derive(Clone, Debug, Default, PartialEq)]
struct SetView {
    name: String,
    standing: String,
    message: String,
    images: Vec<String>,
    hash: String,
    service: String,
    desired: i32,
    ready: i32,
    pods: Vec<PodView>,
}

/// One analysis.
#[derive(Clone, Debug, PartialEq)]
enum AnalysisView {
    /// Its AnalysisRun; whether it is one of now.
    Run(Run, bool),
    /// It has none: name, phase and why.
    Missing(String, String, String),
}

impl ExperimentTree {
    /// The view of an Experiment; `pods` are those of its ReplicaSets, `unseen` what was not shown to us, and why.
    pub(crate) fn of(observed: &Observed, pods: &[Pod], unseen: Vec<String>) -> Self {
        let (experiment, metadata) = (&observed.experiment, &observed.experiment.metadata);
        let status = experiment.status.clone().unwrap_or_default();
        let owners = metadata.owner_references.iter().flatten();
        let rollout = owners.into_iter().find(|owner| owner.kind == "Rollout" && owner.controller == Some(true));
        ExperimentTree {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            rollout: rollout.map(|owner| owner.name.clone()),
            duration: experiment.spec.duration.as_ref().and_then(|duration| parse::duration(duration).ok()),
            available_at: status.available_at.map(|time| time.0),
            sets: sets(observed, pods),
            analyses: analyses(observed),
            unseen,
            phase: status.phase.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
        }
    }

    /// Its lines, seen at `now`.
    pub(crate) fn lines(&self, detail: Detail, now: DateTime<Utc>, paint: Paint) -> Vec<String> {
        let phase = if self.phase.is_empty() { "no controller has seen it yet" } else { &self.phase };
        let name = fit(&format!("Experiment {}/{}", self.namespace, self.name), 60);
        let mut lines = vec![format!("{}  {}", paint.strong(&name), paint.phase(phase))];
        lines.extend(wrap(&self.message, WIDTH - 2).into_iter().take(3).map(|line| format!("  {line}")));
        lines.extend(self.rollout.iter().map(|rollout| paint.faint(&format!("  a step of Rollout {rollout}"))));
        lines.extend(self.time(now).map(|time| paint.faint(&format!("  {time}"))));
        for set in &self.sets {
            lines.extend(set_lines(set, detail, paint));
        }
        for analysis in &self.analyses {
            match analysis {
                AnalysisView::Run(run, is_current) if *is_current || detail == Detail::Wide => {
                    lines.extend(run_lines(run, detail, paint));
                }
                AnalysisView::Run(..) => {}
                AnalysisView::Missing(name, phase, why) => {
                    lines.push(format!("  analysis {}  {}", fit(name, 40), paint.phase(phase)));
                    lines.extend(wrap(why, WIDTH - 4).into_iter().map(|line| format!("    {line}")));
                }
            }
        }
        lines.extend(self.unseen.iter().flat_map(|unseen| unseen_lines(unseen, paint)));
        lines
    }

    /// How far it is, while that is a matter of time.
    fn time(&self, now: DateTime<Utc>) -> Option<String> {
        let since = format_duration((now - self.available_at?).max(TimeDelta::zero()));
        if self.phase != "Running" {
            return None;
        }
        let of = self.duration.map_or("no end of its own".to_owned(), |all| format!("of {}", format_duration(all)));
        Some(format!("all pods available for {since}, {of}"))
    }
}

fn sets(observed: &Observed, pods: &[Pod]) -> Vec<SetView> {
    let status = observed.experiment.status.clone().unwrap_or_default();
    let set = |template: &serin_api::TemplateSpec| {
        let known = status.template_statuses.iter().find(|known| known.name == template.name).cloned();
        let known = known.unwrap_or_default();
        let rs = observed.replica_sets.iter().find(|rs| {
            rs.annotations.get(serin_api::labels::EXPERIMENT_TEMPLATE_NAME) == Some(&template.name) && !rs.deleting
        });
        SetView {
            name: template.name.clone(),
            standing: known.status.unwrap_or_default(),
            message: known.message.unwrap_or_default(),
            images: rs.map(|rs| images(&rs.template)).unwrap_or_default(),
            hash: rs.map(|rs| rs.hash.clone()).unwrap_or_default(),
            service: known.service_name.unwrap_or_default(),
            desired: rs.map_or(template.replicas.unwrap_or(1), |rs| rs.replicas),
            ready: rs.map_or(0, |rs| rs.replicas_ready),
            pods: rs.map(|rs| pod_views(pods, &rs.name)).unwrap_or_default(),
        }
    };
    observed.experiment.spec.templates.iter().map(set).collect()
}

fn analyses(observed: &Observed) -> Vec<AnalysisView> {
    let status = observed.experiment.status.clone().unwrap_or_default();
    let find = |name: &str| observed.analysis_runs.iter().find(|one| one.metadata.name.as_deref() == Some(name));
    let mut all: Vec<AnalysisView> = Vec::new();
    for recorded in &status.analysis_runs {
        all.push(match find(&recorded.analysis_run) {
            Some(found) => AnalysisView::Run(run(found), true),
            None => AnalysisView::Missing(
                recorded.name.clone(),
                recorded.phase.clone(),
                recorded.message.clone().unwrap_or_default(),
            ),
        });
    }
    let is_recorded =
        |name: Option<&String>| status.analysis_runs.iter().any(|recorded| Some(&recorded.analysis_run) == name);
    let mut others: Vec<_> =
        observed.analysis_runs.iter().filter(|one| !is_recorded(one.metadata.name.as_ref())).collect();
    others.sort_by_key(|one| {
        let created = one.metadata.creation_timestamp.as_ref().map(serin_api::Time::from);
        (Reverse(created), one.metadata.name.clone())
    });
    all.extend(others.into_iter().map(|one| AnalysisView::Run(run(one), false)));
    all
}

fn set_lines(set: &SetView, detail: Detail, paint: Paint) -> Vec<String> {
    let standing = if set.standing.is_empty() { "Pending" } else { &set.standing };
    let ready = format!("{}/{} ready", set.ready, set.desired);
    let (dots, images) = (dots(&set.pods, paint), image_names(&set.images, detail));
    let name = format!("{:<20}", fit(&set.name, 20));
    let mut lines = vec![format!("  {} {ready:<11} {dots}  {images}  {}", paint.strong(&name), paint.phase(standing))];
    lines.extend(wrap(&set.message, WIDTH - 4).into_iter().map(|line| format!("    {line}")));
    if detail == Detail::Wide {
        let facts = [("hash", &set.hash), ("service", &set.service)];
        let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
        lines.extend(facts.map(|(word, value)| paint.faint(&format!("      {word} {value}"))));
        lines.extend(set.pods.iter().map(|pod| format!("      {} {}", dot(pod, paint), pod.name)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::MetricView;
    use super::*;

    fn example() -> ExperimentTree {
        let pod = |name: &str, ready| PodView { name: name.to_owned(), ready, terminating: false };
        let measured = |name: &str| Run {
            name: name.to_owned(),
            phase: "Running".to_owned(),
            metrics: vec![MetricView { name: "apdex".to_owned(), ..MetricView::default() }],
            ..Run::default()
        };
        let why = "Failed to create AnalysisRun for analysis 'second': no template";
        ExperimentTree {
            namespace: "shop".to_owned(),
            name: "by-hand".to_owned(),
            phase: "Running".to_owned(),
            duration: Some(TimeDelta::seconds(90)),
            available_at: Some(DateTime::UNIX_EPOCH),
            sets: vec![SetView {
                name: "new".to_owned(),
                standing: "Running".to_owned(),
                images: vec!["registry.example/checkout:v2".to_owned()],
                hash: "abc".to_owned(),
                service: "by-hand-new".to_owned(),
                desired: 2,
                ready: 1,
                pods: vec![pod("one", true), pod("two", false)],
                ..SetView::default()
            }],
            analyses: vec![
                AnalysisView::Run(measured("by-hand-first.1"), true),
                AnalysisView::Missing("second".to_owned(), "Error".to_owned(), why.to_owned()),
                AnalysisView::Run(measured("by-hand-first"), false),
            ],
            ..ExperimentTree::default()
        }
    }

    fn text(tree: &ExperimentTree, detail: Detail) -> String {
        tree.lines(detail, DateTime::UNIX_EPOCH + TimeDelta::seconds(30), Paint::PLAIN).join("\n")
    }

    #[track_caller]
    fn check(case: &str, text: &str, parts: &[&str], absent: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "{case}: {part} is not in\n{text}");
        }
        for part in absent {
            assert!(!text.contains(part), "{case}: {part} is in\n{text}");
        }
    }

    #[test]
    fn an_experiment_is_drawn_with_its_pods_and_its_analyses() {
        let short = [
            "Experiment shop/by-hand  Running",
            "all pods available for 30s, of 1m30s",
            "new                  1/2 ready   ●○  checkout:v2  Running",
            "analysis by-hand-first.1  Running",
            "apdex            not measured yet",
            "analysis second  Error",
            "no template",
        ];
        check("in short", &text(&example(), Detail::Short), &short, &["hash", "by-hand-first  "]);
        let wide = ["hash abc", "service by-hand-new", "● one", "○ two", "analysis by-hand-first  Running"];
        check("wide", &text(&example(), Detail::Wide), &wide, &[]);
    }

    #[test]
    fn an_experiment_without_an_end_or_a_beginning_is_drawn_too() {
        let endless = ExperimentTree { duration: None, rollout: Some("checkout".to_owned()), ..example() };
        let parts = ["no end of its own", "a step of Rollout checkout"];
        check("without an end", &text(&endless, Detail::Short), &parts, &[]);
        let partly = ExperimentTree { unseen: vec!["Pod: no right to it".to_owned()], ..example() };
        check("partly", &text(&partly, Detail::Short), &["not shown: Pod: no right to it"], &[]);
        let fresh = ExperimentTree { name: "x".repeat(300), ..ExperimentTree::default() };
        check("not seen", &text(&fresh, Detail::Short), &["no controller has seen it yet"], &["available"]);
        let over = ExperimentTree { phase: "Successful".to_owned(), message: "word ".repeat(90), ..example() };
        let text = text(&over, Detail::Short);
        check("over", &text, &["Successful"], &["all pods"]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
