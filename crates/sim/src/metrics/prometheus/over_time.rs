//! Functions of one series over a range: `rate` and its kin, and everything `…_over_time`.

use super::value::{Point, Window, largest, moments, quantile, smallest};

/// What a counter or gauge did over a range, extrapolated to its ends as Prometheus does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Of a counter: resets count as starts from 0.
    Increase,
    /// The same per second.
    Rate,
    /// Of a gauge.
    Delta,
}

/// The change over the window; `None` with fewer than two points.
pub(super) fn change(kind: Change, points: &[Point], window: &Window) -> Option<f64> {
    let (&(first_at, first), &(last_at, last)) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let is_counter = kind != Change::Delta;
    let resets: f64 = points.windows(2).filter(|pair| is_counter && pair[1].1 < pair[0].1).map(|pair| pair[0].1).sum();
    let result = last - first + resets;
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let sampled = seconds(first_at, last_at);
    let spacing = sampled / (points.len() - 1) as f64;
    // A series that ends near the edge of the range goes on to the edge; one that ends well before is taken to have begun or
    // ended there, half a spacing away.
    let reach = |gap: f64| {
        if gap >= spacing * 1.1 { spacing / 2.0 } else { gap }
    };
    let mut to_start = reach(seconds(window.from, first_at));
    if is_counter && result > 0.0 && first >= 0.0 {
        // A counter was never below 0.
        to_start = to_start.min(sampled * (first / result));
    }
    let to_end = reach(seconds(last_at, window.to));
    let extrapolated = result * ((sampled + to_start + to_end) / sampled);
    Some(match kind {
        Change::Increase | Change::Delta => extrapolated,
        Change::Rate => extrapolated / seconds(window.from, window.to),
    })
}

/// The difference of the last two points, per second if `per_second` is asked for by [`Change::Rate`].
pub(super) fn instant_change(kind: Change, points: &[Point]) -> Option<f64> {
    let [.., (before_at, before), (last_at, last)] = points else {
        return None;
    };
    let difference = if kind != Change::Delta && last < before { *last } else { last - before };
    Some(match kind {
        Change::Increase | Change::Delta => difference,
        Change::Rate => difference / ((last_at - before_at) as f64 / 1000.0),
    })
}

/// The slope per second of the line through the points by least squares.
pub(super) fn slope(points: &[Point]) -> Option<f64> {
    let origin = points.first()?.0;
    if points.len() < 2 {
        return None;
    }
    let count = points.len() as f64;
    let at = |point: &Point| (point.0 - origin) as f64 / 1000.0;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + at(point), y + point.1));
    let (sum_xy, sum_xx) =
        points.iter().fold((0.0, 0.0), |(xy, xx), point| (xy + at(point) * point.1, xx + at(point) * at(point)));
    Some((sum_xy - sum_x * sum_y / count) / (sum_xx - sum_x * sum_x / count))
}

/// The function `name` of the values of a range, which are at least one. `None` if it is not known.
pub(super) fn named(name: &str, values: &[f64]) -> Option<f64> {
    let pairs = || values.windows(2);
    Some(match name {
        "avg_over_time" => moments(values).0,
        "sum_over_time" => values.iter().sum(),
        "min_over_time" => smallest(values),
        "max_over_time" => largest(values),
        "count_over_time" => values.len() as f64,
        "present_over_time" => 1.0,
        "first_over_time" => values[0],
        "last_over_time" => values[values.len() - 1],
        "stddev_over_time" => moments(values).1.sqrt(),
        "stdvar_over_time" => moments(values).1,
        "resets" => pairs().filter(|pair| pair[1] < pair[0]).count() as f64,
        "changes" => {
            pairs().filter(|pair| pair[1] != pair[0] && !(pair[0].is_nan() && pair[1].is_nan())).count() as f64
        }
        _unknown => return None,
    })
}

/// `quantile_over_time`.
pub(super) fn quantile_of(phi: f64, values: &[f64]) -> f64 {
    quantile(phi, values.to_vec())
}
