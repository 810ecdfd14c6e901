//! What a record says of overwritten weights: who wrote, and how long it took until they were back.

use chrono::TimeDelta;
use serde_json::Value;

use crate::kit::{Entry, Stage, text, weights};

/// The field manager under which Serin writes.
const SERIN: &str = "serin";

/// A weight that somebody else wrote in mid-canary.
#[derive(Clone, Debug)]
pub(super) struct Overwrite {
    /// The canary's weight before, and the one that was written.
    pub(super) weights: (i64, i64),
    /// Who wrote.
    pub(super) manager: String,
    /// Time until Serin had written its own again; `None` if it never did.
    pub(super) corrected_after: Option<TimeDelta>,
}

/// All overwrites in the record while an update ran. When the update is over or promoted, git's weights are the
/// wanted ones, and an overwrite is none. Nor is it one before Serin has seen any weight of the revision on the routes:
/// what is set then is the first weight, which waits until the proxies know the subset that the tool has just changed.
pub(super) fn overwrites(entries: &[Entry]) -> Vec<Overwrite> {
    let routes: Vec<&Entry> = entries.iter().filter(|it| it.kind == "VirtualService" && !it.object.is_null()).collect();
    let mut found = Vec::new();
    for (index, pair) in routes.windows(2).enumerate() {
        let (before, entry) = (weights(&pair[0].object).1, pair[1]);
        let (now, manager) = (weights(&entry.object).1, last_writer(&entry.object));
        let next = routes.get(index + 2).filter(|next| last_writer(&next.object) == SERIN);
        let limit = entry.at + TimeDelta::seconds(1);
        let ends = entries.iter().any(|it| it.kind == "Rollout" && it.at <= limit && it.at >= entry.at && !updates(it));
        let last = entries.iter().rev().find(|it| it.kind == "Rollout" && it.at <= entry.at);
        let is_seen = last.is_some_and(|last| has_carried(entries, last));
        if before == now || manager == SERIN || ends || !last.is_some_and(updates) || !is_seen {
            continue;
        }
        let corrected_after = next.map(|next| next.at - entry.at);
        found.push(Overwrite { weights: (before, now), manager, corrected_after });
    }
    found
}

fn updates(rollout: &Entry) -> bool {
    let (current, stable) =
        (text(&rollout.object, "/status/currentPodHash"), text(&rollout.object, "/status/stableRS"));
    !stable.is_empty() && current != stable
}

/// Whether the status has shown a weight of the revision by the time of this entry.
fn has_carried(entries: &[Entry], last: &Entry) -> bool {
    let hash = |entry: &Entry| text(&entry.object, "/status/currentPodHash").to_owned();
    let weight = |entry: &Entry| entry.object.pointer("/status/canary/weights/canary/weight").and_then(Value::as_i64);
    let mut rollouts = entries.iter().filter(|it| it.kind == "Rollout" && it.at <= last.at && hash(it) == hash(last));
    rollouts.any(|it| weight(it).is_some_and(|weight| weight > 0))
}

/// Who owns the list of routes.
pub(super) fn last_writer(service: &Value) -> String {
    let entries = service.pointer("/metadata/managedFields").and_then(Value::as_array);
    let owner = entries.into_iter().flatten().find(|entry| entry.pointer("/fieldsV1/f:spec/f:http").is_some());
    owner.map(|entry| text(entry, "/manager").to_owned()).unwrap_or_default()
}

/// The messages of the events of a reason, each with its count.
pub(super) async fn told(stage: &Stage, reason: &str) -> anyhow::Result<Vec<(String, i64)>> {
    let events = stage.place.list("v1", "Event", "").await?;
    let of_reason = events.iter().filter(|event| text(event, "/reason") == reason);
    Ok(of_reason.map(|event| (text(event, "/message").to_owned(), event["count"].as_i64().unwrap_or(1))).collect())
}

/// The counter of overwritten routes of a Rollout, for a field manager.
pub(super) async fn counted(stage: &Stage, name: &str, manager: &str) -> anyhow::Result<u64> {
    let page = stage.serin.metrics().await?;
    let namespace = &stage.place.namespace;
    let series =
        format!("serin_routes_overwritten_total{{namespace=\"{namespace}\",name=\"{name}\",manager=\"{manager}\"}} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&series));
    Ok(line.and_then(|value| value.trim().parse().ok()).unwrap_or_default())
}
