//! The logarithm of a factorial.

/// `ln(n!)`, to about 15 significant digits.
///
/// Small ones are multiplied out; for the others Stirling's series is cut after its third term, whose successor is below
/// 1e-13 from 64 on (NIST Digital Library of Mathematical Functions, 5.11.1).
pub(super) fn log_factorial(n: u64) -> f64 {
    const EXACT: u64 = 64;
    if n < EXACT {
        return (2..=n).map(|factor| factor as f64).product::<f64>().ln();
    }
    let n = n as f64;
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0));
    (n + 0.5) * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_meet_and_go_up_by_the_next_factor() {
        for n in [0_u64, 1, 2, 20, 62, 63, 64, 65, 1000, 123_456] {
            let (got, step) = (log_factorial(n + 1) - log_factorial(n), ((n + 1) as f64).ln());
            assert!((got - step).abs() < 1e-12 * log_factorial(n).max(10.0), "{n}: {got} {step}");
        }
        assert_eq!(log_factorial(0), 0.0);
        assert!((log_factorial(5) - 120.0_f64.ln()).abs() < 1e-15);
        // ln(100!), from the digits of 100! = 9.332621544394415e157.
        assert!((log_factorial(100) - 363.739_375_555_563_5).abs() < 1e-10);
    }
}
