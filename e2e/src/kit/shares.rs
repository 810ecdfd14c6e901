//! Whether counted answers agree with the weights of a route.

/// The probability, both tails together, of a share at least as far off as `hits` of `total` if each request goes to
/// the canary with probability `share`, independently: the exact binomial sum below, the normal approximation is not
/// used. Both tails are bounded by twice the smaller one.
pub(crate) fn two_sided(hits: u64, total: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return if hits == 0 { 1.0 } else { 0.0 };
    }
    if share >= 1.0 {
        return if hits == total { 1.0 } else { 0.0 };
    }
    let below: f64 = (0..=hits).map(|k| point(k, total, share)).sum();
    let above: f64 = (hits..=total).map(|k| point(k, total, share)).sum();
    (2.0 * below.min(above)).min(1.0)
}

/// P(X = k) of a binomial distribution, by logarithms of factorials.
fn point(k: u64, n: u64, p: f64) -> f64 {
    let (a, b) = (k as f64, (n - k) as f64);
    (log_factorial(n) - log_factorial(k) - log_factorial(n - k) + a * p.ln() + b * (-p).ln_1p()).exp()
}

/// ln(n!), by a sum below 256 and Stirling's series above, whose error is below 1e-12 there.
fn log_factorial(n: u64) -> f64 {
    if n < 256 {
        return (2..=n).map(|i| (i as f64).ln()).sum();
    }
    let x = n as f64;
    x * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI * x).ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_known_values() {
        // P(X ≤ 2) for n = 10, p = 1/2 is 56/1024.
        assert!((two_sided(2, 10, 0.5) - 112.0 / 1024.0).abs() < 1e-12);
        assert!((two_sided(5, 10, 0.5) - 1.0).abs() < 1e-12);
        // P(X = 0) for n = 10, p = 0.1 is 0.9^10.
        assert!((two_sided(0, 10, 0.1) - 2.0 * 0.9_f64.powi(10)).abs() < 1e-12);
        assert!(two_sided(300, 1000, 0.2) < 1e-6);
        assert!(two_sided(100, 1000, 0.1) > 0.9);
        assert!(two_sided(1, 1000, 0.0) < 1e-300 && two_sided(0, 1000, 0.0) > 0.99);
    }
}
