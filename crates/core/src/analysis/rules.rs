//! The rules of a spec that name metrics by regular expression: which are dry runs, and how many measurements are kept.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serin_api::{DryRun, MeasurementRetention};

use crate::field_error::FieldError;

/// Names of the metrics that are dry runs. With `whole`, a rule that matches none is an error.
pub(super) fn dry_run_names<'n>(
    rules: &[DryRun],
    names: &[&'n str],
    whole: bool,
) -> (BTreeSet<&'n str>, Vec<FieldError>) {
    let (mut found, mut errors) = (BTreeSet::new(), Vec::new());
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("dryRun[{index}].metricName");
        match matches(&rule.metric_name, names, whole) {
            Ok(matched) => found.extend(matched),
            Err(message) => errors.push(FieldError::new(field, message)),
        }
    }
    (found, errors)
}

/// How many measurements are kept, by metric; of several rules for one the last counts. With `whole`, a rule that
/// matches no metric is an error; a limit of 0 or less says nothing.
pub(super) fn retention_limits<'n>(
    rules: &[MeasurementRetention],
    names: &[&'n str],
    whole: bool,
) -> (BTreeMap<&'n str, usize>, Vec<FieldError>) {
    let (mut limits, mut errors) = (BTreeMap::new(), Vec::new());
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("measurementRetention[{index}].metricName");
        match (matches(&rule.metric_name, names, whole), usize::try_from(rule.limit)) {
            (Err(message), _) => errors.push(FieldError::new(field, message)),
            (Ok(matched), Ok(limit)) if limit > 0 => limits.extend(matched.into_iter().map(|name| (name, limit))),
            (Ok(_), _) => {}
        }
    }
    (limits, errors)
}

/// The names that a regular expression is found in.
fn matches<'n>(pattern: &str, names: &[&'n str], whole: bool) -> Result<Vec<&'n str>, String> {
    let pattern = Regex::new(pattern).map_err(|_| format!("`{pattern}` is not a regular expression"))?;
    let found: Vec<&str> = names.iter().copied().filter(|name| pattern.is_match(name)).collect();
    if found.is_empty() && whole {
        return Err(format!("`{pattern}` matches no metric; there are {}", names.join(", ")));
    }
    Ok(found)
}
