//! Sorting with an order that can fail and that NaN makes inconsistent.

use super::ast::BinaryOp;
use super::error::Trouble;
use super::limits::Meter;
use super::number::compare;
use super::value::Value;

/// Lists up to this length are sorted by insertion, as in Go, which shows where NaN is among the elements.
const INSERTION_MAX: usize = 12;

/// Reads the order argument of a sort; without one the order is ascending.
pub(super) fn ascending(order: Option<&Value>) -> Result<bool, Trouble> {
    match order {
        None => Ok(true),
        Some(Value::Text(text)) if &**text == "asc" => Ok(true),
        Some(Value::Text(text)) if &**text == "desc" => Ok(false),
        Some(Value::Text(text)) => Err(format!("unknown order {text}, use asc or desc").into()),
        Some(other) => Err(format!("the order must be a string, not {}", other.type_name()).into()),
    }
}

/// Sorts pairs of a key and an element by the key. Equal keys keep their order.
pub(super) fn sort_by(items: &mut Vec<(Value, Value)>, ascending: bool, meter: &mut Meter) -> Result<(), Trouble> {
    let mut less = |a: &Value, b: &Value| {
        meter.steps(1)?;
        let (a, b) = if ascending { (a, b) } else { (b, a) };
        Ok::<bool, Trouble>(compare(BinaryOp::Less, a, b)?.is_some_and(std::cmp::Ordering::is_lt))
    };
    if items.len() > INSERTION_MAX {
        return merge_sort(items, &mut less);
    }
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && less(&items[at].0, &items[at - 1].0)? {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
    Ok(())
}

/// The standard library's sort may panic on an order that is none, so this one is our own.
fn merge_sort(
    items: &mut Vec<(Value, Value)>,
    less: &mut impl FnMut(&Value, &Value) -> Result<bool, Trouble>,
) -> Result<(), Trouble> {
    let mut width = 1;
    while width < items.len() {
        let mut merged = Vec::with_capacity(items.len());
        for pair in items.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                let source = if less(&b.0, &a.0)? { &mut right } else { &mut left };
                if let Some((first, rest)) = source.split_first() {
                    merged.push(first.clone());
                    *source = rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        *items = merged;
        width *= 2;
    }
    Ok(())
}
