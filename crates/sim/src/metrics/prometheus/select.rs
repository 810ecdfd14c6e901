//! Which series a selector means.

use promql_parser::label::Matcher;
use promql_parser::parser::VectorSelector;

use super::value::{NAME, Series};

/// Where series come from.
pub(super) trait Samples {
    /// The series that `wanted` accepts, with their points after `after` and not after `until` (milliseconds since 1970), in
    /// order of time. Series without such a point may be left out.
    fn select(&self, wanted: &Wanted<'_>, after: i64, until: i64) -> Vec<Series>;
}

/// The conditions of a selector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a>(pub(super) &'a VectorSelector);

impl Wanted<'_> {
    /// Whether a series is meant, given its labels by name; "" stands for no such label.
    pub(super) fn accepts<'l>(&self, label: impl Fn(&str) -> &'l str) -> bool {
        let holds = |matcher: &Matcher| matcher.is_match(label(&matcher.name));
        let named = self.0.name.as_deref().is_none_or(|name| name == label(NAME));
        let alternatives = &self.0.matchers.or_matchers;
        named
            && self.0.matchers.matchers.iter().all(holds)
            && (alternatives.is_empty() || alternatives.iter().any(|all| all.iter().all(holds)))
    }

    /// Whether a series of this name could be meant, judged by the name alone.
    pub(super) fn accepts_name(&self, name: &str) -> bool {
        let only_names = |matcher: &&Matcher| matcher.name == NAME;
        self.0.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.0.matchers.matchers.iter().filter(only_names).all(|matcher| matcher.is_match(name))
    }
}
