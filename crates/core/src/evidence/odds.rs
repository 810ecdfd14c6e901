//! The odds ratios at which likelihoods are kept.

use super::question::Question;

/// Steps to the left and right of 1; each is a quarter of a doubling.
const BELOW: i32 = 12;
const ABOVE: i32 = 20;

/// Number of points that do not depend on the question.
pub(super) const LATTICE: usize = (BELOW + ABOVE + 1) as usize;

/// Index of `ω = 1`.
pub(super) const EVEN: usize = BELOW as usize;

/// Index of the question's tolerance, after the lattice.
pub(super) const TOLERANCE: usize = LATTICE;

/// Index of what the question calls unacceptable.
pub(super) const UNACCEPTABLE: usize = LATTICE + 1;

/// Number of all points.
pub(super) const POINTS: usize = LATTICE + 2;

/// Largest odds ratio of the lattice, 32.
pub(super) const LARGEST: f64 = (1_u32 << (ABOVE / 4)) as f64;

/// `ln ω` of a point of the lattice: from 1/8 to 32 in quarters of a doubling.
pub(super) fn lattice(index: usize) -> f64 {
    (index as f64 - f64::from(BELOW)) * std::f64::consts::LN_2 / 4.0
}

/// `ln ω` of every point: the lattice in rising order, then the tolerance, then what is unacceptable.
pub(super) fn points(question: &Question) -> [f64; POINTS] {
    std::array::from_fn(|index| match index {
        TOLERANCE => question.tolerance.ln(),
        UNACCEPTABLE => question.unacceptable.ln(),
        _ => lattice(index),
    })
}

/// `ln Σ exp`, without overflow; minus infinity for nothing.
pub(super) fn log_sum_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + logs.map(|log| (log - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lattice_goes_from_an_eighth_to_thirty_two_through_one() {
        assert!((lattice(0).exp() - 0.125).abs() < 1e-12);
        assert_eq!(lattice(EVEN), 0.0);
        assert!((lattice(LATTICE - 1).exp() - LARGEST).abs() < 1e-9);
    }

    #[test]
    fn sums_of_exponentials_do_not_overflow() {
        for (logs, sum) in [
            (vec![], f64::NEG_INFINITY),
            (vec![f64::NEG_INFINITY], f64::NEG_INFINITY),
            (vec![0.0, 0.0], 2.0_f64.ln()),
            (vec![5000.0, 5000.0], 5000.0 + 2.0_f64.ln()),
            (vec![-5000.0, f64::NEG_INFINITY], -5000.0),
        ] {
            assert_eq!(log_sum_exp(logs.iter().copied()), sum, "{logs:?}");
        }
    }
}
