//! What PromQL computes with.

use std::collections::{BTreeMap, BTreeSet};

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";

/// Labels by name, the metric's name among them as [`NAME`]. A label without value is not there.
pub(super) type Labels = BTreeMap<String, String>;

/// A moment in milliseconds since 1970, and a value.
pub(super) type Point = (i64, f64);

/// Marks the end of a series: the NaN that Prometheus uses for it. Other NaNs are values.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The mark after which a series is not there any more, until the next point.
pub(super) fn stale() -> f64 {
    f64::from_bits(STALE)
}

/// Whether a value is the mark.
pub(super) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// One element of an instant vector; its time is the time of evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// One series with its points in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
}

/// A range vector and the range (from, to] that it covers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    pub(super) series: Vec<Series>,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Sample>),
    Matrix(Window),
}

impl Value {
    /// The type's name as Prometheus writes it in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Text(_) => "string",
            Self::Vector(_) => "instant vector",
            Self::Matrix(_) => "range vector",
        }
    }
}

/// The labels without the metric's name: what is computed is no longer that metric.
pub(super) fn unnamed(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.remove(NAME);
    labels
}

/// Refuses a vector in which two elements have the same labels.
pub(super) fn distinct(samples: Vec<Sample>) -> Result<Vec<Sample>, String> {
    let mut seen = BTreeSet::new();
    if samples.iter().all(|sample| seen.insert(&sample.labels)) {
        Ok(samples)
    } else {
        Err("vector cannot contain metrics with the same labelset".to_owned())
    }
}

/// A number as Prometheus writes it: the shortest decimal form, "NaN", "+Inf" or "-Inf".
pub(super) fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

/// The φ-quantile of the values, interpolated between neighbours; NaN without values.
pub(super) fn quantile(phi: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let rank = phi * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The mean and the variance of the population; NaN without values.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

/// The smallest value; NaN only if there is nothing else.
pub(super) fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

/// The largest value; NaN only if there is nothing else.
pub(super) fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}
