//! A number of pods, given as such or as a share.

use serin_api::IntOrString;

/// A number of pods, or a percentage of `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A number of pods, not negative.
    Int(i32),
    /// A percentage, not negative.
    Percent(i32),
}

impl IntOrPercent {
    /// Reads a number, a percentage such as `25%`, or a text without percent sign, which upstream takes for one too.
    ///
    /// # Errors
    /// A sentence that shows the form.
    pub fn read(value: &IntOrString) -> Result<Self, String> {
        let wrong = || "must be a number of pods, or a percentage such as \"25%\"; neither may be negative".to_owned();
        let small = |number: i64| i32::try_from(number).ok().filter(|number| *number >= 0);
        match value {
            IntOrString::Int(number) => small(*number).map(IntOrPercent::Int).ok_or_else(wrong),
            IntOrString::String(_) => {
                let percent = value.as_percent().or_else(|| value.as_int());
                percent.and_then(small).map(IntOrPercent::Percent).ok_or_else(wrong)
            }
        }
    }

    /// The number of pods out of `replicas`, rounded up.
    #[must_use]
    pub fn round_up(self, replicas: i32) -> i32 {
        self.of(replicas, 99)
    }

    /// The number of pods out of `replicas`, rounded down.
    #[must_use]
    pub fn round_down(self, replicas: i32) -> i32 {
        self.of(replicas, 0)
    }

    /// Whether this is nothing of whatever number.
    #[must_use]
    pub fn is_zero(self) -> bool {
        matches!(self, IntOrPercent::Int(0) | IntOrPercent::Percent(0))
    }

    fn of(self, replicas: i32, up: i64) -> i32 {
        match self {
            IntOrPercent::Int(number) => number,
            IntOrPercent::Percent(percent) => {
                let hundredths = i64::from(percent) * i64::from(replicas.max(0));
                i32::try_from((hundredths + up) / 100).unwrap_or(i32::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, value: impl Into<IntOrString>, replicas: i32, wanted: Option<(i32, i32)>) {
        let got = IntOrPercent::read(&value.into()).ok().map(|v| (v.round_up(replicas), v.round_down(replicas)));
        assert_eq!(got, wanted, "{case}");
    }

    #[test]
    fn numbers_and_percentages_are_resolved() {
        check("a number", 3, 10, Some((3, 3)));
        check("a percentage is rounded up or down", "25%", 10, Some((3, 2)));
        check("a text without percent sign is one too", "25", 10, Some((3, 2)));
        check("one that is exact", "50%", 10, Some((5, 5)));
        check("nothing", "0%", 10, Some((0, 0)));
        check("more than all", "150%", 2, Some((3, 3)));
        check("of none", "25%", 0, Some((0, 0)));
        check("of very many", "100%", i32::MAX, Some((i32::MAX, i32::MAX)));
        check("a negative number", -1, 10, None);
        check("a negative percentage", "-5%", 10, None);
        check("a number that is too great", 1 << 40, 10, None);
        check("something else", "a lot", 10, None);
    }
}
