//! Random numbers that are the same everywhere, for simulations.

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub(super) struct Draw(u64);

/// Means above it are drawn in parts, so that no first term underflows.
const MEAN_MAX: f64 = 30.0;

impl Draw {
    /// Numbers that depend on the seed alone.
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw(seed);
        draw.next();
        draw
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many of `trials` succeed, each with `chance`; exact, by inversion of parts with a small mean.
    pub(super) fn binomial(&mut self, trials: u64, chance: f64) -> u64 {
        if chance > 0.5 {
            return trials - self.binomial(trials, 1.0 - chance);
        }
        if chance <= 0.0 {
            return 0;
        }
        let part = ((MEAN_MAX / chance) as u64).max(1);
        let whole: u64 = (0..trials / part).map(|_| self.small_binomial(part, chance)).sum();
        whole + self.small_binomial(trials % part, chance)
    }

    fn small_binomial(&mut self, trials: u64, chance: f64) -> u64 {
        let mut left = self.uniform();
        let mut term = (trials as f64 * (-chance).ln_1p()).exp();
        let odds = chance / (1.0 - chance);
        for successes in 0..trials {
            if left < term {
                return successes;
            }
            left -= term;
            term *= odds * (trials - successes) as f64 / (successes + 1) as f64;
        }
        trials
    }
}
