//! `histogram_quantile` over classic histograms.

use std::collections::BTreeMap;

use super::value::{Labels, Sample, unnamed};

/// The φ-quantile of each histogram in `buckets` (series with a label `le`), interpolated within its bucket.
pub(super) fn quantiles(phi: f64, buckets: Vec<Sample>) -> Vec<Sample> {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in buckets {
        let mut labels = unnamed(&sample.labels);
        // A series without a readable bound is no bucket.
        if let Some(bound) = labels.remove("le").and_then(|bound| bound.parse::<f64>().ok()) {
            histograms.entry(labels).or_default().push((bound, sample.value));
        }
    }
    histograms.into_iter().map(|(labels, buckets)| Sample { labels, value: quantile(phi, buckets) }).collect()
}

/// `buckets` are (upper bound, number of observations up to it).
fn quantile(phi: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    // Rates of neighbouring buckets may disagree by rounding; counts never fall from one bound to the next.
    let mut highest = 0.0_f64;
    for (_, count) in &mut buckets {
        highest = highest.max(*count);
        *count = highest;
    }
    let [.., (second_last, _), (last, total)] = buckets.as_slice() else {
        return f64::NAN;
    };
    // Without an infinite bucket nothing is known about the rest; without observations there is no quantile.
    if *last != f64::INFINITY || *total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = phi * total;
    let index = buckets.partition_point(|(_, count)| *count < rank);
    if index + 1 >= buckets.len() {
        return *second_last;
    }
    let (bound, count) = buckets[index];
    let (below, before) = match index.checked_sub(1).map(|index| buckets[index]) {
        Some(previous) => previous,
        None if bound <= 0.0 => return bound,
        None => (0.0, 0.0),
    };
    below + (bound - below) * (rank - before) / (count - before)
}
