//! Evidence: is the canary worse than stable? An answer that may be looked at after every poll without losing its error rate.
//!
//! Thresholds on a canary's error rate miss regressions that stay below them, and ordinary significance tests abort a
//! third of all good releases when they are looked at every minute. What stands here compares the canary with stable on
//! raw counts, poll by poll, by a test martingale:
//!
//! ```text
//!  poll k:  canary x of c, stable y of s  ──►  likelihood of every odds ratio ω, given c, s and x + y
//!                                                          │ product over polls, averaged over ω
//!                                                          ▼
//!              abort when E ≥ 1/α · promotion when E' ≥ 1/β · else: insufficient, and how long it will take
//! ```
//!
//! Given how many requests failed in a poll, which of them went to the canary was decided by the proxy's coin. So under
//! "as good as stable" the canary's failures are hypergeometric, whatever makes requests fail, in bursts or at changing
//! shares; and `P(E ever reaches 1/α) ≤ α` by Ville's inequality (1939). `docs/reference/evidence-guarantee.md` derives it and
//! lists what breaks it.
//!
//! Everything is pure: no clock, no randomness. [`State`] is a plain struct which goes into a status and comes back.

mod counters;
mod dispersion;
mod e_value;
mod forecast;
mod hypergeometric;
mod interval;
mod likelihood;
mod log_factorial;
mod odds;
mod question;
mod sentence;
mod state;
mod stratum;
mod verdict;

pub use counters::{Counter, Part, Reading, Side, counted};
pub use dispersion::Dispersion;
pub use forecast::{Forecast, Traffic, Wait, forecast};
pub use hypergeometric::{log_likelihood_ratio, probability};
pub use interval::{OddsInterval, odds_interval};
pub use likelihood::Likelihood;
pub use question::{Plan, Question};
pub use state::{Poll, State, Tally};
pub use stratum::{Arm, Impossible, Stratum};
pub use verdict::{Answer, Assessment, Verdict, assess};
