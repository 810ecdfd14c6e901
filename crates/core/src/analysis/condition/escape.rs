//! Escape sequences in string literals.

/// Decodes what stands between two `quote`s. The error carries the offset of the escape in characters.
pub(super) fn unescape(body: &[char], quote: char) -> Result<String, (usize, String)> {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((&c, tail)) = rest.split_first() {
        if c == '\\' {
            let offset = body.len() - rest.len();
            let (decoded, tail) = escape(tail, quote).ok_or_else(|| (offset, "invalid char escape".to_owned()))?;
            text.push(decoded);
            rest = tail;
        } else if c == '\r' {
            // Line ends are normalized, as the reference implementation does.
            text.push('\n');
            rest = tail.strip_prefix(&['\n']).unwrap_or(tail);
        } else {
            text.push(c);
            rest = tail;
        }
    }
    Ok(text)
}

fn escape(after: &[char], quote: char) -> Option<(char, &[char])> {
    let (&c, tail) = after.split_first()?;
    let simple = match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        'x' => return fixed(tail, 2, 16),
        'u' if tail.first() == Some(&'{') => return braced(tail.get(1..)?),
        'u' => return fixed(tail, 4, 16),
        'U' => return fixed(tail, 8, 16),
        '0'..='3' => return fixed(after, 3, 8),
        _ if c == quote => quote,
        _ => return None,
    };
    Some((simple, tail))
}

fn fixed(digits: &[char], count: usize, radix: u32) -> Option<(char, &[char])> {
    Some((character(digits.get(..count)?, radix)?, digits.get(count..)?))
}

fn braced(digits: &[char]) -> Option<(char, &[char])> {
    let end = digits.iter().position(|&c| c == '}')?;
    if end == 0 || end > 6 {
        return None;
    }
    Some((character(digits.get(..end)?, 16)?, digits.get(end + 1..)?))
}

fn character(digits: &[char], radix: u32) -> Option<char> {
    let mut value: u32 = 0;
    for c in digits {
        value = value.checked_mul(radix)?.checked_add(c.to_digit(radix)?)?;
    }
    // A lone surrogate has no text; the reference implementation writes the replacement character.
    if value > 0x0010_ffff { None } else { Some(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)) }
}
