//! The few protobuf bodies that kubectl insists on: `kubectl create namespace|configmap|secret|serviceaccount`.
//!
//! The field numbers are those of Kubernetes' `generated.proto` files; a body is the magic bytes and a
//! `runtime.Unknown` that wraps the object.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";

/// The object of a body; nothing if it is malformed or of a kind that is not read here.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    let unknown = fields(body.strip_prefix(MAGIC)?)?;
    let types = fields(first(&unknown, 1)?)?;
    let kind = text(&types, 2)?;
    let object = fields(first(&unknown, 2)?)?;
    let mut decoded = json!({"apiVersion": text(&types, 1)?, "kind": kind, "metadata": {}});
    if let Some(metadata) = first(&object, 1) {
        decoded["metadata"] = object_meta(&fields(metadata)?)?;
    }
    match kind {
        "Namespace" | "ServiceAccount" => {}
        "ConfigMap" => {
            decoded["data"] = map(&object, 2, plain)?;
            decoded["binaryData"] = map(&object, 3, encoded)?;
        }
        "Secret" => {
            decoded["data"] = map(&object, 2, encoded)?;
            decoded["stringData"] = map(&object, 4, plain)?;
            decoded["type"] = json!(text(&object, 3).unwrap_or("Opaque"));
        }
        _ => return None,
    }
    if let Some(fields) = decoded.as_object_mut() {
        fields.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    Some(decoded)
}

fn object_meta(fields: &[(u64, &[u8])]) -> Option<Value> {
    let mut metadata = Map::new();
    for (number, name) in [(1, "name"), (2, "generateName"), (3, "namespace"), (5, "uid"), (6, "resourceVersion")] {
        if let Some(value) = text(fields, number).filter(|value| !value.is_empty()) {
            metadata.insert(name.to_owned(), json!(value));
        }
    }
    for (number, name) in [(11, "labels"), (12, "annotations")] {
        let entries = map(fields, number, plain)?;
        if entries.as_object().is_some_and(|entries| !entries.is_empty()) {
            metadata.insert(name.to_owned(), entries);
        }
    }
    Some(Value::Object(metadata))
}

/// A map field: each entry is a message of key and value.
fn map(fields_: &[(u64, &[u8])], number: u64, value: fn(&[u8]) -> Option<Value>) -> Option<Value> {
    let mut entries = Map::new();
    for (_, bytes) in fields_.iter().filter(|(found, _)| *found == number) {
        let entry = fields(bytes)?;
        let key = text(&entry, 1).unwrap_or_default();
        entries.insert(key.to_owned(), value(first(&entry, 2).unwrap_or_default())?);
    }
    Some(Value::Object(entries))
}

fn plain(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok().map(|text| json!(text))
}

#[expect(clippy::unnecessary_wraps, reason = "one of two readers of map values")]
fn encoded(bytes: &[u8]) -> Option<Value> {
    Some(json!(BASE64_STANDARD.encode(bytes)))
}

fn first<'a>(fields: &[(u64, &'a [u8])], number: u64) -> Option<&'a [u8]> {
    fields.iter().find(|(found, _)| *found == number).map(|(_, bytes)| *bytes)
}

fn text<'a>(fields: &[(u64, &'a [u8])], number: u64) -> Option<&'a str> {
    std::str::from_utf8(first(fields, number)?).ok()
}

/// The length-delimited fields of a message; numbers are passed over.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let (tag, rest) = varint(message)?;
        message = match tag & 7 {
            0 => varint(rest)?.1,
            1 => rest.get(8..)?,
            2 => {
                let (length, rest) = varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                found.push((tag >> 3, bytes));
                rest
            }
            5 => rest.get(4..)?,
            _ => return None,
        };
    }
    Some(found)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("a short field");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(kind: &str, object: &[u8]) -> Vec<u8> {
        let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &types), &field(2, object)].concat()
    }

    #[test]
    fn a_secret_is_read() {
        let entry = [field(1, b"key"), field(2, b"hush")].concat();
        let label = [field(1, b"app"), field(2, b"a")].concat();
        let metadata = [field(1, b"s"), field(11, &label)].concat();
        let object = [field(1, &metadata), field(2, &entry), field(3, b"Opaque")].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": {"app": "a"}},
            "type": "Opaque", "data": {"key": "aHVzaA=="},
        });
        assert_eq!(decode(&body("Secret", &object)), Some(expected));
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let whole = body("Namespace", &field(1, &field(1, b"n")));
        assert!(decode(&whole).is_some());
        for end in 0..whole.len() {
            let cut = decode(&whole[..end]);
            assert!(cut.is_none() || cut.is_some_and(|object| object["metadata"] != json!({"name": "n"})), "{end}");
        }
        assert_eq!(decode(&body("Job", &[])), None);
        assert_eq!(decode(&[MAGIC, &[0xff; 12]].concat()), None);
    }
}
