//! Takes empty buckets out of an answer, and what we added to the query.

use serde_json::Value;
use serin_core::analysis::sample::Outcome;

use super::document::{Buckets, Kind, Mark, Origin, Reading};
use super::presence::Presence;
use crate::reply::wrong;

/// What was found in an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sifted<'r> {
    /// How many buckets were empty.
    pub(super) dropped: usize,
    /// Readings without any value.
    pub(super) empty: Vec<&'r Reading>,
    /// Readings with nothing but zeros.
    pub(super) zeros: Vec<&'r Reading>,
    /// Why zeros may be empty.
    pub(super) doubts: Vec<String>,
}

/// Sifts the answer to a question in place. Fails if an expression is wrong.
pub(super) fn sift<'r>(readings: &'r [Reading], data: &mut Value, presence: &Presence) -> Result<Sifted<'r>, Outcome> {
    let mut sifted = Sifted { doubts: presence.doubt.iter().cloned().collect(), ..Sifted::default() };
    for (index, reading) in readings.iter().enumerate() {
        // A directive of the user may have left it out.
        if data.get(&reading.key).is_none() {
            continue;
        }
        let calls = presence.calls.get(&index).map(Vec::as_slice);
        let tally = read(reading, data, calls)?;
        sifted.dropped += tally.dropped;
        match tally.kept {
            Some(0) => sifted.empty.push(reading),
            Some(kept) if kept == tally.zeros => sifted.zeros.push(reading),
            Some(_) | None => {}
        }
    }
    Ok(sifted)
}

/// Counts over the buckets of one reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// How many have a value; `None` if the query asks for no values.
    kept: Option<usize>,
    /// How many of these are 0.
    zeros: usize,
    dropped: usize,
}

impl Tally {
    fn one(is_empty: bool, value: &Value) -> Self {
        Self {
            kept: Some(usize::from(!is_empty)),
            zeros: usize::from(!is_empty && is_zero(value)),
            dropped: usize::from(is_empty),
        }
    }

    fn add(&mut self, other: Self) {
        self.kept = match (self.kept, other.kept) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
        self.zeros += other.zeros;
        self.dropped += other.dropped;
    }
}

fn read(reading: &Reading, data: &mut Value, calls: Option<&[u64]>) -> Result<Tally, Outcome> {
    Ok(match &reading.kind {
        Kind::Series(buckets) => series(buckets, &mut data[&reading.key], calls),
        Kind::Value(helper) => {
            let is_marked = helper.as_ref().and_then(|helper| data.as_object_mut()?.remove(helper));
            let is_marked = is_marked.is_some_and(|mark| mark["isEmptyValue"] == true);
            let value = &data[&reading.key];
            let is_idle = calls.is_some_and(|calls| calls.iter().all(|calls| *calls == 0)) && is_zero(value);
            Tally::one(is_marked || is_idle || value.is_null(), value)
        }
        Kind::Nullable(mark) => {
            let is_empty = take(mark, &mut data[&reading.key]) == true;
            Tally::one(is_empty, &Value::Null)
        }
        Kind::Expression { error, result_type, values } => {
            let answer = &mut data[&reading.key];
            let (error, result_type) = (take(error, answer), take(result_type, answer));
            refuse_expression(reading, &error, &result_type)?;
            expression(values, answer)
        }
    })
}

fn series(paths: &[Buckets], answer: &mut Value, calls: Option<&[u64]>) -> Tally {
    // Even a labelled reading that gives no series at all has been asked for values.
    let mut tally = Tally { kept: (!paths.is_empty()).then_some(0), ..Tally::default() };
    let all = match answer.as_array().is_some() {
        true => answer.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default(),
        false => std::slice::from_mut(answer),
    };
    for one in all {
        for path in paths {
            if let Some(list) = one.get_mut(&path.outer).and_then(|outer| outer.get_mut(&path.inner)) {
                tally.add(buckets(path, list, calls));
            }
        }
    }
    tally
}

fn buckets(path: &Buckets, list: &mut Value, calls: Option<&[u64]>) -> Tally {
    let mut tally = Tally::default();
    let Value::Array(list) = list else { return tally };
    // The counts are of the same minutes in the same order, or of no use.
    let calls = calls.filter(|calls| calls.len() == list.len());
    let mut index = 0;
    list.retain_mut(|bucket| {
        let value = path.value.as_ref().map_or(Value::Null, |key| bucket[key].clone());
        let is_idle = calls.and_then(|calls| calls.get(index)) == Some(&0);
        // What is not 0 has been measured, whatever the count says.
        let is_unused = is_idle && (value.is_null() || is_zero(&value));
        let is_empty = path.empty.as_ref().map_or(is_unused, |mark| take(mark, bucket) == true);
        tally.add(Tally::one(is_empty, &value));
        index += 1;
        !is_empty
    });
    tally
}

/// An expression that is wrong is answered with status 200 and without `errors`.
fn refuse_expression(reading: &Reading, error: &Value, result_type: &Value) -> Result<(), Outcome> {
    match error.as_str().filter(|error| !error.is_empty()) {
        Some(error) => Err(wrong(format!("SkyWalking rejects {reading}: {error}"))),
        None if result_type == "UNKNOWN" => Err(wrong(format!(
            "SkyWalking gives no result for {reading} and no reason; check its entity (scope, serviceName, normal: true)"
        ))),
        None => Ok(()),
    }
}

fn expression(paths: &[[String; 3]], answer: &mut Value) -> Tally {
    let mut tally = Tally { kept: (!paths.is_empty()).then_some(0), ..Tally::default() };
    for [results, values, value] in paths {
        for result in answer.get_mut(results).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(list) = result.get_mut(values).and_then(Value::as_array_mut) {
                let before = list.len();
                list.retain(|entry| !entry[value].is_null());
                tally.add(Tally { kept: Some(list.len()), zeros: 0, dropped: before - list.len() });
            }
        }
    }
    tally
}

/// What a mark says; one that we added is taken out.
fn take(mark: &Mark, object: &mut Value) -> Value {
    let Value::Object(fields) = object else { return Value::Null };
    match mark.origin {
        Origin::User => fields.get(&mark.key).cloned().unwrap_or_default(),
        Origin::Added => fields.remove(&mark.key).unwrap_or_default(),
    }
}

fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}
