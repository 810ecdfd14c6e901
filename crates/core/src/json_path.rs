//! JSONPath as Kubernetes and its clients write it: `{.items[?(@.kind=="Pod")].metadata.name}`.
//!
//! The language is that of kubectl (<https://kubernetes.io/docs/reference/kubectl/jsonpath/>) for one expression:
//! fields, indices, slices, unions, wildcards, descent and filters. Text around the braces, `range` and several
//! expressions are for printing, and are refused.

mod parse;

use serde_json::Value;

/// A path that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

/// One step from the values found so far to the next.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// A field of an object.
    Field(String),
    /// An element of a list, counted from its end if negative.
    Index(i64),
    /// Elements from one index to before another, each of them `step` after the one before.
    Slice { from: Option<i64>, to: Option<i64>, step: i64 },
    /// All elements of a list or values of an object.
    All,
    /// The value itself and everything below it.
    Descend,
    /// What any of these steps finds.
    Union(Vec<Step>),
    /// The elements of a list for which something holds.
    Where(Filter),
}

/// What a filter asks of an element.
#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Operand,
    /// `None` asks whether there is anything at `left`.
    comparison: Option<(Comparison, Operand)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    /// A path from the element.
    Path(Vec<Step>),
    Literal(Value),
}

impl JsonPath {
    /// Reads a path such as `{$.data.value}`; the braces and the `$` may be left out.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        parse::path(text).map(|steps| JsonPath { steps })
    }

    /// All values at the path, in the order of the document; none if there is nothing.
    #[must_use]
    pub fn find<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        walk(&self.steps, document)
    }
}

fn walk<'a>(steps: &[Step], start: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![start];
    for step in steps {
        found = found.into_iter().flat_map(|value| step.apply(value)).collect();
    }
    found
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::Index(index) => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                usize::try_from(from_end(*index, items.len())).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            Step::Slice { from, to, step } => slice(value, *from, *to, *step),
            Step::All => children(value),
            Step::Descend => {
                let mut found = vec![value];
                found.extend(children(value).into_iter().flat_map(|child| Step::Descend.apply(child)));
                found
            }
            Step::Union(steps) => steps.iter().flat_map(|step| step.apply(value)).collect(),
            Step::Where(filter) => {
                value.as_array().into_iter().flatten().filter(|element| filter.holds(element)).collect()
            }
        }
    }
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn from_end(index: i64, length: usize) -> i64 {
    if index < 0 { index.saturating_add(i64::try_from(length).unwrap_or(i64::MAX)) } else { index }
}

fn slice(value: &Value, from: Option<i64>, to: Option<i64>, step: i64) -> Vec<&Value> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    let place = |index: i64| usize::try_from(from_end(index, items.len()).max(0)).unwrap_or(0).min(items.len());
    let (from, to) = (from.map_or(0, place), to.map_or(items.len(), place));
    let step = usize::try_from(step).unwrap_or(1).max(1);
    items.get(from..to).unwrap_or_default().iter().step_by(step).collect()
}

impl Filter {
    fn holds(&self, element: &Value) -> bool {
        let left = self.left.value(element);
        match &self.comparison {
            None => left.is_some(),
            Some((comparison, right)) => match (left, right.value(element)) {
                (Some(left), Some(right)) => comparison.holds(left, right),
                (None, _) | (_, None) => false,
            },
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, element: &'a Value) -> Option<&'a Value> {
        match self {
            Operand::Path(steps) => walk(steps, element).into_iter().next(),
            Operand::Literal(value) => Some(value),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.partial_cmp(&right),
            (None, _) | (_, None) => match (left.as_str(), right.as_str()) {
                (Some(left), Some(right)) => Some(left.cmp(right)),
                (None, _) | (_, None) => (left == right).then_some(std::cmp::Ordering::Equal),
            },
        };
        match self {
            Comparison::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Unequal => !order.is_some_and(std::cmp::Ordering::is_eq),
            Comparison::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Comparison::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Comparison::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Comparison::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
    fn check(path: &str, expected: Value) {
        let document = json!({
            "spec": {"hosts": ["a", "b", "c"], "n": 3, "my-key": 1, "a.b/c": 2, "none": null},
            "status": {"conditions": [
                {"type": "Ready", "status": "True", "since": 5},
                {"type": "Other", "status": "False", "since": 7, "why": "x"},
            ]},
        });
        let found = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(json!(found.find(&document)), expected, "{path}");
    }

    #[test]
    fn paths_find_what_kubectl_finds() {
        check("{$.spec.n}", json!([3]));
        check("{.spec.n}", json!([3]));
        check(" { .spec.n } ", json!([3]));
        check(".spec.n", json!([3]));
        check("$.spec['n']", json!([3]));
        check("{$[\"spec\"]['n']}", json!([3]));
        check("{.spec.my-key}", json!([1]));
        check(r"{.spec.a\.b/c}", json!([2]));
        check("{.spec['a.b/c']}", json!([2]));
        check("{.spec.hosts}", json!([["a", "b", "c"]]));
        check("{.spec.hosts[1]}", json!(["b"]));
        check("{.spec.hosts[-1]}", json!(["c"]));
        check("{.spec.hosts[-1:]}", json!(["c"]));
        check("{.spec.hosts[0:2]}", json!(["a", "b"]));
        check("{.spec.hosts[::2]}", json!(["a", "c"]));
        check("{.spec.hosts[0,2]}", json!(["a", "c"]));
        check("{.spec.hosts[*]}", json!(["a", "b", "c"]));
        check("{.spec['n','my-key']}", json!([3, 1]));
        check("{.status.conditions[*].type}", json!(["Ready", "Other"]));
        check("{..since}", json!([5, 7]));
        check("{.status..status}", json!(["True", "False"]));
        check("{.status.conditions[?(@.type==\"Ready\")].status}", json!(["True"]));
        check("{.status.conditions[?(@.type=='Other')].status}", json!(["False"]));
        check("{.status.conditions[?(@.type != 'Other')].since}", json!([5]));
        check("{.status.conditions[?(@.since > 5)].type}", json!(["Other"]));
        check("{.status.conditions[?(@.since<=5)].type}", json!(["Ready"]));
        check("{.status.conditions[?(@.why)].type}", json!(["Other"]));
        check(
            "{$}",
            json!([{
                "spec": {"hosts": ["a", "b", "c"], "n": 3, "my-key": 1, "a.b/c": 2, "none": null},
                "status": {"conditions": [
                    {"type": "Ready", "status": "True", "since": 5},
                    {"type": "Other", "status": "False", "since": 7, "why": "x"},
                ]},
            }]),
        );
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in ["{.spec.no.where}", "{.spec.hosts[3]}", "{.spec.hosts[-4]}", "{.spec.n[0]}", "{.spec.hosts.a}"] {
            check(path, json!([]));
        }
        check("{.spec.hosts[2:1]}", json!([]));
        check("{.spec.none}", json!([null]));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "spec",
            "{spec}",
            "{.spec[}",
            "{.spec",
            ".spec}",
            "value: {.spec}",
            "{.spec} {.status}",
            "{.spec[]}",
            "{range .items[*]}{.a}{end}",
            "{.}",
            "{.a.}",
            "{.a[?(@.b==)]}",
            "{.a[?(b)]}",
            "{.a['b}",
            "{.a[0:1:0]}",
            "{.a[x]}",
        ] {
            assert!(JsonPath::parse(path).is_err(), "{path} was read");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[{}$@.?()\\[\\]*:,'\"a-c0-9=<>\\\\ -]{0,24}") {
            if let Ok(path) = JsonPath::parse(&text) {
                let _ = path.find(&json!({"a": [{"b": 1}, "c"], "b": {"a": null}}));
            }
        }
    }
}
