//! Reads a metric result as people and test files write it.

use serde_json::Value;
use serin_core::analysis::condition::MetricResult;

use super::Form;

/// Reads the text of a result.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub(super) fn read(text: &str, form: Option<Form>) -> Result<MetricResult, String> {
    // What JSON cannot say need not be quoted on the command line.
    if form != Some(Form::Json) && special(text.trim()).is_some() {
        return convert(&Value::String(text.trim().to_owned()), form.or(Some(Form::Scalar)));
    }
    let json: Value = serde_json::from_str(text).map_err(|error| format!("`{text}` is not JSON: {error}"))?;
    convert(&json, form)
}

/// Takes a JSON value as a result of some form; without one, a number is a scalar, a list of numbers a vector, and all
/// else a document.
///
/// # Errors
/// A sentence that says why the value has not that form.
pub(super) fn convert(json: &Value, form: Option<Form>) -> Result<MetricResult, String> {
    match form {
        Some(Form::Scalar) => number(json).map(MetricResult::Scalar),
        Some(Form::Vec) => match json {
            Value::Array(items) => items.iter().map(number).collect::<Result<_, _>>().map(MetricResult::Vector),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Err(format!("`{json}` is no list of numbers, which type vec needs"))
            }
        },
        Some(Form::Json) => Ok(MetricResult::Json(json.clone())),
        None => Ok(convert(json, Some(Form::Scalar))
            .or_else(|_| convert(json, Some(Form::Vec)))
            .unwrap_or_else(|_| MetricResult::Json(json.clone()))),
    }
}

fn number(json: &Value) -> Result<f64, String> {
    let special = json.as_str().and_then(special);
    json.as_f64().or(special).ok_or_else(|| format!("`{json}` is neither a number nor \"NaN\", \"+Inf\" or \"-Inf\""))
}

fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Inf" | "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(case: &str, text: &str, form: Option<Form>, wanted: &str) {
        let found = match read(text, form) {
            Ok(result) => format!("{result:?}"),
            Err(message) => message,
        };
        assert!(found.starts_with(wanted), "{case}: {found}");
    }

    #[test]
    fn a_result_is_read_as_its_form_says() {
        check("a vector", "[1, \"NaN\", \"-Inf\"]", Some(Form::Vec), "Vector([1.0, NaN, -inf])");
        check("a scalar", "0.5", Some(Form::Scalar), "Scalar(0.5)");
        check("a document", "[1]", Some(Form::Json), "Json(");
        check("a scalar is no vector", "1", Some(Form::Vec), "`1` is no list of numbers");
        check("a text is no number", "[\"x\"]", Some(Form::Vec), "`\"x\"` is neither");
        check("what is no JSON", "[1", None, "`[1` is not JSON");
    }

    #[test]
    fn without_a_form_it_is_guessed() {
        check("a number", "3", None, "Scalar(3.0)");
        check("numbers", "[3, 4]", None, "Vector([3.0, 4.0])");
        check("no numbers", "[]", None, "Vector([])");
        check("an object", "{\"a\": 1}", None, "Json(");
        check("texts", "[\"a\"]", None, "Json(");
        check("without quotes", "NaN", None, "Scalar(NaN)");
        assert_eq!(convert(&json!(null), None), Ok(MetricResult::Json(json!(null))));
    }
}
