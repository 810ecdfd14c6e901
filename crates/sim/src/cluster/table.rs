//! Tables for people: the columns that kubectl prints, computed by the server.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::columns::{Column, columns};
use super::form::View;
use super::meta;

/// The table of some objects, in the order given.
pub(crate) fn table(view: &View, objects: &[&Value]) -> Value {
    let columns = columns(&view.kind);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| column.cell(object, view.now)).collect();
            json!({"cells": cells, "object": carried(view, object)})
        })
        .collect();
    let version = match objects {
        [one] => json!({"resourceVersion": meta::text(one, "resourceVersion")}),
        _ => json!({}),
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": version,
        "columnDefinitions": columns.iter().map(Column::definition).collect::<Vec<_>>(),
        "rows": rows,
    })
}

fn carried(view: &View, object: &Value) -> Value {
    match view.include.as_str() {
        "Object" => object.clone(),
        "None" => Value::Null,
        _ => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        }),
    }
}

/// The time since a moment as kubectl shortens it: `90s`, `5m`, `3h12m`, `4d`.
pub(crate) fn age(since: &Value, now: DateTime<Utc>) -> Value {
    let parsed = since.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    match parsed {
        Some(since) => json!(short(now - since.to_utc())),
        None => json!("<unknown>"),
    }
}

/// A duration in at most two units, as kubectl prints it.
fn short(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds();
    let two = |big: i64, unit: char, small: i64, rest: char| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{rest}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_short_as_kubectl_makes_them() {
        for (seconds, text) in [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (301, "5m1s"),
            (601, "10m"),
            (10_800, "3h"),
            (11_520, "3h12m"),
            (30_000, "8h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(short(TimeDelta::seconds(seconds)), text, "{seconds} s");
        }
    }
}
