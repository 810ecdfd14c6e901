//! Reads the text of a path.

use serde_json::Value;

use super::{Comparison, Filter, Operand, Step};

/// Characters that end a field which follows a dot.
const FIELD_ENDS: [char; 13] = ['.', ',', '[', ']', '$', '@', '{', '}', ' ', '(', ')', '\'', '"'];
/// Characters of comparisons, which end a field within a filter.
const COMPARISONS: [char; 4] = ['=', '!', '<', '>'];

/// Reads a whole path, with or without braces.
pub(super) fn path(text: &str) -> Result<Vec<Step>, String> {
    let text = text.trim();
    let inner = match (text.strip_prefix('{'), text.strip_suffix('}')) {
        (Some(_), Some(_)) => text[1..text.len() - 1].trim(),
        (None, None) => text,
        (Some(_), None) | (None, Some(_)) => {
            return Err(format!("`{text}` is no JSONPath; write one expression in braces, such as {{$.data.value}}"));
        }
    };
    let (steps, rest) = steps(inner)?;
    if rest.is_empty() { Ok(steps) } else { Err(unreadable(rest)) }
}

fn unreadable(rest: &str) -> String {
    format!("`{rest}` cannot be read as JSONPath; write an expression such as {{$.data.value}}")
}

/// Reads as many steps as there are, and yields what follows them.
fn steps(text: &str) -> Result<(Vec<Step>, &str), String> {
    let rest = text.strip_prefix(['$', '@']);
    let is_rooted = rest.is_some();
    let mut rest = rest.unwrap_or(text);
    let mut found = Vec::new();
    loop {
        rest = if let Some(tail) = rest.strip_prefix("..") {
            found.push(Step::Descend);
            if tail.starts_with('[') { tail } else { field(tail, &mut found)? }
        } else if let Some(tail) = rest.strip_prefix('.') {
            if tail.starts_with('[') { tail } else { field(tail, &mut found)? }
        } else if let Some(tail) = rest.strip_prefix('[') {
            bracket(tail, &mut found)?
        } else if found.is_empty() && !is_rooted {
            return Err(unreadable(rest));
        } else {
            return Ok((found, rest));
        };
    }
}

/// Reads a field after a dot; a backslash takes the character after it as it is.
fn field<'t>(text: &'t str, found: &mut Vec<Step>) -> Result<&'t str, String> {
    let (mut name, mut is_escaped) = (String::new(), false);
    let mut end = text.len();
    for (at, character) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
            continue;
        } else if FIELD_ENDS.contains(&character) || COMPARISONS.contains(&character) {
            end = at;
            break;
        }
        name.push(character);
    }
    if name.is_empty() {
        return Err(format!("a name is missing before `{}`", &text[end..]));
    }
    found.push(if name == "*" { Step::All } else { Step::Field(name) });
    Ok(&text[end..])
}

/// Reads what stands in brackets, of which the first is read already.
fn bracket<'t>(text: &'t str, found: &mut Vec<Step>) -> Result<&'t str, String> {
    if let Some(inner) = text.trim_start().strip_prefix("?(") {
        let (filter, rest) = filter(inner)?;
        found.push(Step::Where(filter));
        return rest.trim_start().strip_prefix(']').ok_or_else(|| unreadable(rest));
    }
    let mut union = Vec::new();
    let mut rest = text;
    loop {
        let (step, tail) = element(rest.trim_start())?;
        union.push(step);
        let tail = tail.trim_start();
        if let Some(tail) = tail.strip_prefix(']') {
            found.push(if union.len() == 1 { union.remove(0) } else { Step::Union(union) });
            return Ok(tail);
        }
        rest = tail.strip_prefix(',').ok_or_else(|| unreadable(tail))?;
    }
}

/// Reads one of the things that may stand in brackets: a name in quotes, `*`, an index or a slice.
fn element(text: &str) -> Result<(Step, &str), String> {
    if text.starts_with(['\'', '"']) {
        let (name, rest) = quoted(text)?;
        return Ok((Step::Field(name), rest));
    }
    let end = text.find([',', ']']).ok_or_else(|| unreadable(text))?;
    let (word, rest) = (text[..end].trim(), &text[end..]);
    if word == "*" {
        return Ok((Step::All, rest));
    }
    let number = |part: &str| match part.trim() {
        "" => Ok(None),
        part => part.parse::<i64>().map(Some).map_err(|_| unreadable(text)),
    };
    let parts: Vec<Option<i64>> = word.split(':').map(number).collect::<Result<_, _>>()?;
    let step = match parts.as_slice() {
        [Some(index)] => Step::Index(*index),
        [from, to] => Step::Slice { from: *from, to: *to, step: 1 },
        [from, to, step] if step.is_none_or(|step| step > 0) => {
            Step::Slice { from: *from, to: *to, step: step.unwrap_or(1) }
        }
        _ => return Err(unreadable(text)),
    };
    Ok((step, rest))
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut characters = text.char_indices();
    let quote = characters.next().map(|(_, quote)| quote);
    let (mut out, mut is_escaped) = (String::new(), false);
    for (at, character) in characters {
        if is_escaped {
            is_escaped = false;
        } else if character == '\\' {
            is_escaped = true;
            continue;
        } else if Some(character) == quote {
            return Ok((out, &text[at + character.len_utf8()..]));
        }
        out.push(character);
    }
    Err(format!("the quote of {text} is not closed"))
}

/// Reads a filter up to and with the parenthesis that closes it.
fn filter(text: &str) -> Result<(Filter, &str), String> {
    let (left, rest) = operand(text.trim_start())?;
    let rest = rest.trim_start();
    let (comparison, rest) = match comparison(rest) {
        None => (None, rest),
        Some((comparison, rest)) => {
            let (right, rest) = operand(rest.trim_start())?;
            (Some((comparison, right)), rest.trim_start())
        }
    };
    let rest = rest.strip_prefix(')').ok_or_else(|| unreadable(rest))?;
    Ok((Filter { left, comparison }, rest))
}

fn comparison(text: &str) -> Option<(Comparison, &str)> {
    let known = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    known.into_iter().find_map(|(sign, comparison)| text.strip_prefix(sign).map(|rest| (comparison, rest)))
}

fn operand(text: &str) -> Result<(Operand, &str), String> {
    if text.starts_with(['@', '$', '.']) {
        let (steps, rest) = steps(text)?;
        return Ok((Operand::Path(steps), rest));
    }
    if text.starts_with(['\'', '"']) {
        let (literal, rest) = quoted(text)?;
        return Ok((Operand::Literal(Value::String(literal)), rest));
    }
    let end = text.find([')', ' ', '=', '!', '<', '>']).unwrap_or(text.len());
    let literal: Value = serde_json::from_str(&text[..end]).map_err(|_| unreadable(text))?;
    Ok((Operand::Literal(literal), &text[end..]))
}
