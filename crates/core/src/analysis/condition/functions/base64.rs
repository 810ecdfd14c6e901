//! Standard base64 with padding (RFC 4648, section 4).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes.
pub(in super::super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let sextet = (bits >> (18 - 6 * position)) & 63;
            let digit = ALPHABET.get(sextet as usize).copied().unwrap_or(b'=');
            out.push(if position <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Decodes text; line ends are skipped. `None` if it is not base64.
pub(in super::super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    let groups = digits.len() / 4;
    for (index, group) in digits.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || padding > 0 && index + 1 < groups {
            return None;
        }
        let mut bits: u32 = 0;
        for byte in group.iter().take(4 - padding) {
            let sextet = ALPHABET.iter().position(|digit| digit == byte)?;
            bits = bits << 6 | sextet as u32;
        }
        bits <<= 6 * padding;
        out.extend(bits.to_be_bytes().into_iter().skip(1).take(3 - padding));
    }
    Some(out)
}
