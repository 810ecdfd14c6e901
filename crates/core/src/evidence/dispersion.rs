//! How much bad requests come in lumps, told from stable's pods among themselves.

use serde::{Deserialize, Serialize};

use super::stratum::Arm;

/// Pearson's statistic over its degrees of freedom, summed over polls: about 1 if bad requests fall on pods one by one, about
/// `k` if each falls `k` times on the same pod, as retries that are counted do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Dispersion {
    chi_square: f64,
    freedom: f64,
}

/// With fewer degrees of freedom the estimate is noise.
const FREEDOM_MIN: f64 = 10.0;

impl Dispersion {
    /// The same with what one more poll counted on each of stable's pods. Pods of older polls, from before the rollout, are as good.
    ///
    /// Given all pods' requests and their bad ones together, `Σ (y − e)² / e` has the mean `(pods − 1)(N − n)/(N − 1)` where bad
    /// requests fall independently, since the counts are then multivariate hypergeometric; so the sum over polls has no bias
    /// however rare they are.
    #[must_use]
    pub fn plus(self, pods: &[Arm]) -> Self {
        let pods: Vec<&Arm> = pods.iter().filter(|pod| pod.requests > 0).collect();
        let all = pods.iter().fold(Arm::default(), |sum, pod| sum.plus(**pod));
        if pods.len() < 2 || all.events == 0 || all.events >= all.requests {
            return self;
        }
        let (requests, events) = (all.requests as f64, all.events as f64);
        let chi_square: f64 = pods
            .iter()
            .map(|pod| {
                let expected = events * pod.requests as f64 / requests;
                (pod.events as f64 - expected).powi(2) / expected
            })
            .sum();
        Dispersion {
            chi_square: self.chi_square + chi_square,
            freedom: self.freedom + (pods.len() - 1) as f64 * (requests - events) / (requests - 1.0),
        }
    }

    /// By how much evidence is to be divided: at least 1, and 1 until there are ten degrees of freedom.
    #[must_use]
    pub fn factor(&self) -> f64 {
        if self.freedom < FREEDOM_MIN { 1.0 } else { (self.chi_square / self.freedom).max(1.0) }
    }

    /// Whether both sums are numbers that they can be.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        [self.chi_square, self.freedom].iter().all(|sum| sum.is_finite() && *sum >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(counts: &[(u64, u64)]) -> Vec<Arm> {
        counts.iter().map(|&(requests, events)| Arm::new(requests, events)).collect()
    }

    #[test]
    fn the_mean_over_all_ways_is_the_degrees_of_freedom() {
        // Two pods with 4 and 8 requests, 3 bad ones in all: every way with its hypergeometric chance.
        let chances = [(0_u64, 56.0), (1, 112.0), (2, 48.0), (3, 4.0)];
        let mean: f64 = chances
            .iter()
            .map(|&(x, ways)| ways / 220.0 * Dispersion::default().plus(&pods(&[(4, x), (8, 3 - x)])).chi_square)
            .sum();
        let freedom = Dispersion::default().plus(&pods(&[(4, 1), (8, 2)])).freedom;
        assert!((mean - freedom).abs() < 1e-12, "{mean} {freedom}");
    }

    #[test]
    fn the_factor_is_the_size_of_the_lumps_and_never_below_one() {
        let times = |lumps: u64| {
            // Ten pods; bad requests 0 to 3 per pod, as often as a Poisson variable of mean 1 has them.
            let counts: Vec<(u64, u64)> = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3].map(|x| (10_000, x * lumps)).to_vec();
            (0..10).fold(Dispersion::default(), |sum, _| sum.plus(&pods(&counts))).factor()
        };
        assert!((times(1) - 1.11).abs() < 0.01, "{}", times(1));
        assert!((times(3) - 3.33).abs() < 0.01, "{}", times(3));
        let even = (0..10).fold(Dispersion::default(), |sum, _| sum.plus(&pods(&[(100, 5); 8])));
        assert_eq!(even.factor(), 1.0);
    }

    #[test]
    fn too_little_is_not_an_estimate() {
        for (what, counts) in [
            ("nothing", vec![]),
            ("one pod", vec![(100, 9)]),
            ("no bad requests", vec![(100, 0), (100, 0)]),
            ("only bad ones", vec![(100, 100), (100, 100)]),
            ("a pod without requests", vec![(100, 9), (0, 0)]),
        ] {
            assert_eq!(Dispersion::default().plus(&pods(&counts)), Dispersion::default(), "{what}");
        }
        let once = Dispersion::default().plus(&pods(&[(100, 90), (100, 0)]));
        assert!(once.chi_square > 10.0 && once.factor() == 1.0);
    }
}
