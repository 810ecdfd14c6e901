//! `serin condition`: tries a condition on a result before it is committed.

mod batch;
mod result;

use chrono::Utc;
use clap::{Args, ValueEnum};
use serin_core::analysis::condition::{self, ConditionError, ConditionErrorKind, MetricResult};

use crate::console::Console;
use crate::exit::{BadInput, Exit};

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A list of numbers, as from a PromQL vector.
    Vec,
    /// One number, as from a PromQL scalar.
    Scalar,
    /// A document, as from SkyWalking or web.
    Json,
}

const EXAMPLES: &str = "\
Examples:
  serin condition 'result[0] >= 0.95' --result '[0.99]'
  serin condition 'isNaN(result)' --type scalar --result NaN
  serin condition 'all(result.values, {.value > 9900})' --result '{\"values\": [{\"value\": 9950}]}'
  serin condition --batch < cases.jsonl

A line of --batch is {\"expression\": …, \"type\": …, \"result\": …}; result may be JSON, or JSON in a string.
Each is answered by {\"verdict\": \"true\"|\"false\"|\"error\", \"message\": …}.

Exit codes:
  0  true, or a batch was worked off
  1  false
  2  error";

/// Try a successCondition or failureCondition on a result.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Condition {
    /// The condition, in the language of successCondition and failureCondition.
    #[arg(required_unless_present = "batch", allow_hyphen_values = true)]
    expr: Option<String>,
    /// What was measured, as JSON; "NaN", "+Inf" and "-Inf" stand for what JSON cannot say.
    #[arg(long, value_name = "JSON", required_unless_present = "batch", allow_hyphen_values = true)]
    result: Option<String>,
    /// The form of the result [default: a number is a scalar, a list of numbers a vec, all else json].
    #[arg(long, value_name = "FORM", value_enum)]
    r#type: Option<Form>,
    /// Answer JSON lines on standard input.
    #[arg(long, conflicts_with_all = ["expr", "result", "type"])]
    batch: bool,
}

impl Condition {
    /// Prints the verdict.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        if self.batch {
            batch::run(&mut std::io::stdin().lock(), console)?;
            return Ok(Exit::Done);
        }
        let (expr, json) = (self.expr.unwrap_or_default(), self.result.unwrap_or_default());
        let result =
            result::read(&json, self.r#type).map_err(|message| BadInput::one(format!("--result: {message}")))?;
        match verdict(&expr, &result) {
            Ok(true) => console.line("true").map(|()| Exit::Done),
            Ok(false) => console.line("false").map(|()| Exit::No),
            Err(error) => Err(BadInput::one(explain(&expr, &error)).into()),
        }
    }
}

/// The verdict on one result.
fn verdict(expression: &str, result: &MetricResult) -> Result<bool, ConditionError> {
    condition::Condition::parse(expression)?.evaluate(result, Utc::now())
}

/// The error, with the line that it is in and a mark under the place.
fn explain(expression: &str, error: &ConditionError) -> String {
    let what = match error.kind {
        ConditionErrorKind::Parse => "this is no condition",
        ConditionErrorKind::Type => "the condition does not fit the result",
        ConditionErrorKind::Runtime => "the condition cannot be evaluated on this result",
        ConditionErrorKind::Limit => "the condition needs more than is allowed",
    };
    let line = expression.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let before = line.chars().chain(std::iter::repeat(' ')).take(error.column.saturating_sub(1));
    let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("{what}: {error}\n  {line}\n  {indent}^")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_mistake() {
        let check = |case: &str, expression: &str, line: usize, column: usize, wanted: &str| {
            let error = ConditionError { message: "bad".to_owned(), line, column, kind: ConditionErrorKind::Parse };
            assert_eq!(explain(expression, &error), wanted, "{case}");
        };
        check("in the middle", "a +! b", 1, 4, "this is no condition: bad (1:4)\n  a +! b\n     ^");
        check("behind the end", "a +", 1, 6, "this is no condition: bad (1:6)\n  a +\n       ^");
        check("in the second line", "a\n&& ~", 2, 4, "this is no condition: bad (2:4)\n  && ~\n     ^");
        check("behind a tab", "\t~", 1, 2, "this is no condition: bad (1:2)\n  \t~\n  \t^");
        check("in nothing", "", 1, 1, "this is no condition: bad (1:1)\n  \n  ^");
    }
}
