//! Draws a Rollout in lines of at most 80 characters.

use chrono::{DateTime, Utc};
use serin_core::time::format_duration;

use super::{ExperimentView, HoldView, MetricView, PodView, Revision, Role, RolloutView, Run, Weight};
use crate::bar::{bar, fit, short_value, wrap};
use crate::console::Paint;

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What matters now.
    Short,
    /// Everything: old revisions and runs, full names of images, every pod.
    Wide,
}

/// Characters in a line.
pub(super) const WIDTH: usize = 80;
/// Cells of a weight's bar.
const BAR_CELLS: usize = 30;
/// Pods that are drawn one by one.
const DOTS_MAX: usize = 12;
/// Runs that are shown in short.
const RUNS_MAX: usize = 2;

/// The lines of a Rollout, seen at `now`.
pub(crate) fn lines(view: &RolloutView, detail: Detail, now: DateTime<Utc>, paint: Paint) -> Vec<String> {
    let phase = if view.phase.is_empty() { "no controller has seen it yet" } else { &view.phase };
    let mut lines = vec![format!(
        "{}  {}",
        paint.strong(&fit(&format!("Rollout {}/{}", view.namespace, view.name), 50)),
        paint.phase(phase)
    )];
    let message_lines = wrap(&view.message, WIDTH - 2);
    lines.extend(message_lines.into_iter().take(3).map(|line| format!("  {line}")));
    let replicas = view.replicas;
    lines.push(paint.faint(&format!(
        "  pods: {} wanted, {} there, {} of the newest version, {} available",
        replicas.desired, replicas.current, replicas.updated, replicas.available
    )));
    lines.extend(steps(view, paint));
    if let Some(weight) = view.weight {
        let lent = view.experiments.iter().flat_map(|one| &one.templates).map(|template| template.weight).sum();
        lines.extend(weights(weight, lent, paint));
    }
    for revision in view.revisions.iter().filter(|r| detail == Detail::Wide || is_of_interest(r)) {
        lines.extend(revision_lines(revision, detail, paint));
    }
    for hold in &view.holds {
        lines.extend(hold_lines(hold, now, paint));
    }
    let runs_max = if detail == Detail::Wide { usize::MAX } else { RUNS_MAX };
    for run in view.runs.iter().take(runs_max) {
        lines.extend(run_lines(run, detail, paint));
    }
    for experiment in view.experiments.iter().take(if detail == Detail::Wide { usize::MAX } else { 1 }) {
        lines.extend(experiment_lines(experiment, detail, paint));
    }
    for unseen in &view.unseen {
        lines.extend(unseen_lines(unseen, paint));
    }
    lines
}

/// All steps with a mark each, and in lines that fit.
fn steps(view: &RolloutView, paint: Paint) -> Vec<String> {
    if view.steps.is_empty() {
        return Vec::new();
    }
    let at = if view.step < view.steps.len() {
        format!("step {} of {}", view.step + 1, view.steps.len())
    } else {
        format!("all {} steps done", view.steps.len())
    };
    let mut lines = vec![format!("  {}", paint.strong(&at))];
    let (mut line, mut used) = (String::from("  "), 0);
    for (index, words) in view.steps.iter().enumerate() {
        let words = fit(words, 40);
        let length = words.chars().count() + 4;
        if used > 0 && used + length > WIDTH - 2 {
            lines.push(std::mem::replace(&mut line, String::from("  ")).trim_end().to_owned());
            used = 0;
        }
        used += length;
        line.push_str(&match index.cmp(&view.step) {
            std::cmp::Ordering::Less => paint.faint(&format!("✔ {words}")),
            std::cmp::Ordering::Equal => paint.active(&format!("▶ {words}")),
            std::cmp::Ordering::Greater => format!("· {words}"),
        });
        line.push_str("  ");
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Both sides; what is lent to experiments is stable's.
fn weights(weight: Weight, lent: i32, paint: Paint) -> Vec<String> {
    let shown = weight.desired.or(weight.observed).unwrap_or(0);
    let one = |name: &str, desired: i32, observed: Option<i32>| {
        let routes = match observed {
            Some(observed) if observed == desired => paint.faint("in the routes"),
            Some(observed) => paint.warn(&format!("routes still at {observed} %")),
            None => paint.warn("routes cannot be read"),
        };
        format!("  {name}  {} {desired:>3} %  {routes}", bar(desired, BAR_CELLS, paint))
    };
    vec![
        one("canary", shown, weight.observed),
        one("stable", 100 - lent - shown, weight.observed.map(|w| 100 - lent - w)),
    ]
}

fn is_of_interest(revision: &Revision) -> bool {
    revision.role != Role::Old || revision.desired > 0 || !revision.pods.is_empty()
}

fn revision_lines(revision: &Revision, detail: Detail, paint: Paint) -> Vec<String> {
    let number = revision.number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let role = match revision.role {
        Role::Canary => paint.active("canary"),
        Role::Stable => paint.good("stable"),
        Role::Old => paint.faint("old   "),
    };
    let images = image_names(&revision.images, detail);
    let ready = format!("{}/{} ready", revision.ready, revision.desired);
    let dots = dots(&revision.pods, paint);
    let mut lines =
        vec![format!("  {role}  {} {ready:<11} {dots}  {images}", paint.faint(&format!("revision {number:<4}")))];
    if detail == Detail::Wide {
        lines.push(paint.faint(&format!("      hash {}", revision.hash)));
        lines.extend(revision.pods.iter().map(|pod| format!("      {} {}", dot(pod, paint), pod.name)));
    }
    lines
}

/// Images in full, or their last parts as far as they fit.
pub(super) fn image_names(images: &[String], detail: Detail) -> String {
    let image = |image: &String| match detail {
        Detail::Short => image.rsplit('/').next().unwrap_or(image).to_owned(),
        Detail::Wide => image.clone(),
    };
    let names = images.iter().map(image).collect::<Vec<_>>().join(", ");
    if detail == Detail::Short { fit(&names, 30) } else { names }
}

/// A mark for each pod.
pub(super) fn dots(pods: &[PodView], paint: Paint) -> String {
    let mut dots: String = pods.iter().take(DOTS_MAX).map(|pod| dot(pod, paint)).collect();
    if pods.len() > DOTS_MAX {
        dots.push_str(&format!("+{}", pods.len() - DOTS_MAX));
    }
    dots
}

/// The mark of a pod.
pub(super) fn dot(pod: &PodView, paint: Paint) -> String {
    match (pod.terminating, pod.ready) {
        (true, _) => paint.faint("✕"),
        (false, true) => paint.good("●"),
        (false, false) => paint.warn("○"),
    }
}

fn hold_lines(hold: &HoldView, now: DateTime<Utc>, paint: Paint) -> Vec<String> {
    let since =
        hold.since.map(|since| format!(", for {}", format_duration((now - since).max(chrono::TimeDelta::zero()))));
    let mut lines = vec![format!("  {} {}{}", paint.warn("waits:"), hold.reason, since.unwrap_or_default())];
    let message_lines = wrap(&hold.message, WIDTH - 4);
    lines.extend(message_lines.into_iter().take(3).map(|line| format!("    {line}")));
    lines
}

/// The lines of an analysis.
pub(super) fn run_lines(run: &Run, detail: Detail, paint: Paint) -> Vec<String> {
    let phase = if run.phase.is_empty() { "Pending" } else { &run.phase };
    let kind =
        if run.kind.is_empty() { "analysis".to_owned() } else { format!("{} analysis", run.kind.to_lowercase()) };
    let mut lines = vec![format!("  {kind} {}  {}", fit(&run.name, 40), paint.phase(phase))];
    if !run.message.is_empty() && detail == Detail::Wide {
        lines.extend(wrap(&run.message, WIDTH - 4).into_iter().map(|line| format!("    {line}")));
    }
    for metric in &run.metrics {
        lines.extend(metric_lines(metric, detail, paint));
    }
    lines
}

fn experiment_lines(experiment: &ExperimentView, detail: Detail, paint: Paint) -> Vec<String> {
    let phase = if experiment.phase.is_empty() { "Pending" } else { &experiment.phase };
    let mut lines = vec![format!("  experiment {}  {}", fit(&experiment.name, 50), paint.phase(phase))];
    if !experiment.message.is_empty() && detail == Detail::Wide {
        lines.extend(wrap(&experiment.message, WIDTH - 4).into_iter().map(|line| format!("    {line}")));
    }
    for template in &experiment.templates {
        let weight = if template.weight > 0 { format!("  {} %", template.weight) } else { String::new() };
        let pods = format!("{}/{} available", template.available, template.desired);
        lines.push(format!("    {:<20} {pods}{weight}", fit(&template.name, 20)));
    }
    for (name, phase) in &experiment.analyses {
        lines.push(format!("    {:<20} {}", fit(name, 20), paint.phase(phase)));
    }
    lines
}

/// What is not shown, and why.
pub(super) fn unseen_lines(unseen: &str, paint: Paint) -> Vec<String> {
    let words = wrap(&format!("not shown: {unseen}"), WIDTH - 2);
    words.into_iter().map(|line| format!("  {}", paint.warn(&line))).collect()
}

fn metric_lines(metric: &MetricView, detail: Detail, paint: Paint) -> Vec<String> {
    let shown = if detail == Detail::Wide { usize::MAX } else { 3 };
    let newest = metric.measurements.iter().skip(metric.measurements.len().saturating_sub(shown));
    let values: Vec<String> = newest
        .map(|(phase, value)| {
            let value = short_value(value, 16);
            match phase.as_str() {
                "Successful" => paint.good(&format!("✔ {value}")),
                "Failed" | "Error" => paint.bad(&format!("✘ {value}")),
                _ => paint.warn(&format!("? {value}")),
            }
        })
        .collect();
    let values = if values.is_empty() { paint.faint("not measured yet") } else { values.join("  ") };
    let mut lines = vec![format!("    {:<16} {values}", fit(&metric.name, 20))];
    let conditions = [("good if", &metric.success), ("bad if", &metric.failure)];
    for (word, condition) in conditions.into_iter().filter(|(_, condition)| !condition.is_empty()) {
        lines.push(paint.faint(&format!("      {word} {}", fit(condition, WIDTH - 16))));
    }
    if !metric.message.is_empty() && detail == Detail::Wide {
        lines.extend(wrap(&metric.message, WIDTH - 6).into_iter().map(|line| format!("      {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::PodsView;
    use super::*;

    fn example() -> RolloutView {
        let pod = |name: &str, ready| PodView { name: name.to_owned(), ready, terminating: false };
        let revision = |number, role, image: &str, pods: Vec<PodView>| Revision {
            number: Some(number),
            hash: format!("hash{number}"),
            role,
            images: vec![format!("registry.example.org/{image}")],
            desired: 2,
            ready: i32::try_from(pods.iter().filter(|pod| pod.ready).count()).unwrap(),
            pods,
        };
        RolloutView {
            namespace: "aviary".to_owned(),
            name: "reviews".to_owned(),
            phase: "Paused".to_owned(),
            message: "CanaryPauseStep".to_owned(),
            steps: ["setWeight: 20", "pause: 5m", "setWeight: 60"].map(str::to_owned).to_vec(),
            step: 1,
            weight: Some(Weight { desired: Some(20), observed: Some(0) }),
            revisions: vec![
                revision(3, Role::Canary, "reviews:v2", vec![pod("a", true), pod("b", false)]),
                revision(2, Role::Stable, "reviews:v1", vec![pod("c", true), pod("d", true)]),
                Revision { number: Some(1), ..Revision::default() },
            ],
            holds: vec![HoldView { reason: "NoData".to_owned(), message: "no samples".to_owned(), since: None }],
            runs: vec![Run {
                name: "reviews-3".to_owned(),
                kind: "Background".to_owned(),
                phase: "Running".to_owned(),
                metrics: vec![MetricView {
                    name: "apdex".to_owned(),
                    success: "result > 0.9".to_owned(),
                    measurements: vec![
                        ("Successful".to_owned(), "0.95".to_owned()),
                        ("Failed".to_owned(), "0.5".to_owned()),
                    ],
                    ..MetricView::default()
                }],
                ..Run::default()
            }],
            ..RolloutView::default()
        }
    }

    #[test]
    fn an_experiment_stands_under_its_rollout_with_its_share() {
        let templates = [("baseline", 10), ("canary", 0)].map(|(name, weight)| PodsView {
            name: name.to_owned(),
            desired: 2,
            available: 1,
            weight,
        });
        let experiment = ExperimentView {
            name: "reviews-3-1".to_owned(),
            phase: "Running".to_owned(),
            templates: templates.to_vec(),
            analyses: vec![("compare".to_owned(), "Pending".to_owned())],
            ..ExperimentView::default()
        };
        let view = RolloutView { experiments: vec![experiment], ..example() };
        let text = lines(&view, Detail::Short, DateTime::UNIX_EPOCH, Paint::PLAIN).join("\n");
        for part in [
            "experiment reviews-3-1  ",
            "baseline             1/2 available  10 %",
            "canary               1/2 available\n",
            "compare              ",
        ] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        assert!(text.contains(" 70 %"), "what is lent is not stable's now: {text}");
    }

    #[test]
    fn a_rollout_is_drawn_with_all_that_matters() {
        let drawn = lines(&example(), Detail::Short, DateTime::UNIX_EPOCH, Paint::PLAIN).join("\n");
        for part in [
            "Rollout aviary/reviews  Paused",
            "step 2 of 3",
            "✔ setWeight: 20  ▶ pause: 5m  · setWeight: 60",
            "canary  ██████░",
            " 20 %  routes still at 0 %",
            " 80 %  routes still at 100 %",
            "canary  revision 3    1/2 ready   ●○  reviews:v2",
            "stable  revision 2    2/2 ready   ●●  reviews:v1",
            "waits: NoData",
            "background analysis reviews-3  Running",
            "apdex            ✔ 0.95  ✘ 0.5",
            "good if result > 0.9",
        ] {
            assert!(drawn.contains(part), "{part}\n{drawn}");
        }
        assert!(!drawn.contains("revision 1"), "old and empty revisions are left out:\n{drawn}");
    }

    #[test]
    fn what_we_may_not_see_stands_at_the_end() {
        let view = RolloutView { unseen: vec!["Experiment: no right to it".to_owned()], ..example() };
        let drawn = lines(&view, Detail::Short, DateTime::UNIX_EPOCH, Paint::PLAIN);
        assert_eq!(drawn.last().map(String::as_str), Some("  not shown: Experiment: no right to it"));
    }

    #[test]
    fn lines_fit_the_screen() {
        let mut view = example();
        view.unseen = vec!["word ".repeat(100)];
        view.message = "word ".repeat(100);
        view.holds[0].message = "word ".repeat(100);
        view.steps = (0..30).map(|step| format!("setWeight: {step}")).collect();
        for line in lines(&view, Detail::Short, DateTime::UNIX_EPOCH, Paint::PLAIN) {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let wide = lines(&view, Detail::Wide, DateTime::UNIX_EPOCH, Paint::PLAIN).join("\n");
        assert!(wide.contains("revision 1") && wide.contains("registry.example.org/reviews:v2"), "{wide}");
    }
}
