//! Fields whose behaviour comes later: a Rollout that uses one is refused, because to ignore it would be worse.

use serde_json::{Value, json};
use serin_api::RolloutSpec;

use crate::field_error::FieldError;

use super::report::Report;

/// A field that is refused for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its path; `[]` stands for any element of a list.
    pub field: &'static str,
    /// What to do until it is supported.
    pub instead: &'static str,
}

const fn refused(field: &'static str, instead: &'static str) -> Refused {
    Refused { field, instead }
}

/// All fields that are refused for now.
pub const REFUSED: [Refused; 10] = [
    refused("spec.strategy.canary.steps[].experiment", "use an analysis step"),
    refused("spec.strategy.canary.steps[].plugin", "use an analysis step"),
    refused("spec.strategy.canary.trafficRouting.nginx", ROUTER),
    refused("spec.strategy.canary.trafficRouting.alb", ROUTER),
    refused("spec.strategy.canary.trafficRouting.smi", ROUTER),
    refused("spec.strategy.canary.trafficRouting.ambassador", ROUTER),
    refused("spec.strategy.canary.trafficRouting.appMesh", ROUTER),
    refused("spec.strategy.canary.trafficRouting.traefik", ROUTER),
    refused("spec.strategy.canary.trafficRouting.apisix", ROUTER),
    refused("spec.strategy.canary.trafficRouting.plugins", ROUTER),
];

const ROUTER: &str = "use trafficRouting.istio";

/// Reports every refused field that the spec uses.
pub(super) fn check(spec: &RolloutSpec, report: &mut Report) {
    let spec = json!({"spec": {
        "strategy": spec.strategy,
    }});
    for refused in REFUSED {
        for (field, _) in find(&spec, refused.field) {
            let name = refused.field.rsplit('.').next().unwrap_or_default();
            let message = format!("Forbidden: {name} is not supported yet; {}", refused.instead);
            report.push(FieldError::new(field, message));
        }
    }
}

/// The values at a path, each with its own path.
fn find<'a>(object: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), object)];
    for segment in path.split('.') {
        let (key, is_list) = segment.strip_suffix("[]").map_or((segment, false), |key| (key, true));
        let members = found.into_iter().filter_map(|(field, value)| {
            let field = if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
            Some((field, value.get(key).filter(|value| !value.is_null())?))
        });
        found = if is_list { members.flat_map(elements).collect() } else { members.collect() };
    }
    found
}

fn elements((field, list): (String, &Value)) -> impl Iterator<Item = (String, &Value)> {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().enumerate().map(move |(index, item)| (format!("{field}[{index}]"), item))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that a refused field can have on the wire.
    fn example(field: &str) -> Value {
        match field.rsplit('.').next().unwrap_or_default() {
            "plugins" => json!({"x": {}}),
            _ => json!({}),
        }
    }

    /// An object that has a value at a path.
    fn at(path: &str, value: Value) -> Value {
        path.rsplit('.').fold(value, |value, segment| match segment.strip_suffix("[]") {
            Some(key) => json!({key: [{}, value]}),
            None => json!({segment: value}),
        })
    }

    #[test]
    fn every_refused_field_is_told_with_its_place() {
        for refused in REFUSED {
            let wire = at(refused.field, example(refused.field));
            let spec: RolloutSpec = serde_json::from_value(wire["spec"].clone()).expect("a spec");
            let mut report = Report::default();
            check(&spec, &mut report);
            let errors = report.into_errors();
            assert_eq!(errors.len(), 1, "{}: {errors:?}", refused.field);
            assert_eq!(errors[0].field, refused.field.replace("[]", "[1]"));
            assert!(errors[0].message.contains("is not supported yet; "), "{errors:?}");
        }
    }

    #[test]
    fn the_reference_page_lists_every_refused_field() {
        let page = include_str!("../../../../../docs/reference/refused.md");
        for refused in REFUSED {
            let row = format!("| `{}` | {} |", refused.field, refused.instead);
            assert!(page.contains(&row), "docs/reference/refused.md lacks: {row}");
        }
        assert_eq!(page.matches("\n| `").count(), REFUSED.len(), "docs/reference/refused.md lists something else");
    }
}
