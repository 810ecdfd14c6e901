//! The secret arguments of a measurement: read afresh each time, and never kept.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serin_core::analysis::sample::{ArgValue, Measure, Outcome};

use crate::change::ObjectName;
use crate::cluster::{Cluster, Resource};

/// Reads the secret arguments of a measurement, by argument name; a Secret that several refer to is read once.
pub(crate) async fn secrets_of(
    cluster: &Cluster,
    namespace: &str,
    measure: &Measure,
) -> Result<BTreeMap<String, String>, Outcome> {
    let mut values = BTreeMap::new();
    let mut read: BTreeMap<&str, Value> = BTreeMap::new();
    for (argument, value) in &measure.args {
        let (name, key) = match value {
            ArgValue::Known(_) => continue,
            ArgValue::Secret { name, key } => (name, key),
        };
        if !read.contains_key(name.as_str()) {
            read.insert(name, secret(cluster, &ObjectName::new(namespace, name)).await?);
        }
        values.insert(argument.clone(), decoded(&read[name.as_str()], name, key)?);
    }
    Ok(values)
}

async fn secret(cluster: &Cluster, name: &ObjectName) -> Result<Value, Outcome> {
    // Anything else could name another place of the API than a Secret of this namespace.
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    if name.name.starts_with('.') || name.name.is_empty() || !name.name.bytes().all(is_plain) {
        return Err(Outcome::Wrong { message: format!("'{}' cannot be the name of a secret", name.name) });
    }
    let resource = Resource { kind: "Secret", root: "api/v1".to_owned(), plural: "secrets" };
    cluster.get(&resource, name).await.map_err(|error| match error.code() {
        Some(404) => Outcome::Wrong { message: format!("secret '{}' does not exist", name.name) },
        Some(403) => Outcome::Wrong {
            message: format!("secret '{}' may not be read; allow `get` on secrets in this namespace", name.name),
        },
        Some(_) | None => Outcome::SourceDown { message: format!("secret '{}' could not be read: {error}", name.name) },
    })
}

fn decoded(secret: &Value, name: &str, key: &str) -> Result<String, Outcome> {
    let missing = || Outcome::Wrong { message: format!("key '{key}' does not exist in secret '{name}'") };
    let encoded = secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str).ok_or_else(missing)?;
    let bytes = STANDARD.decode(encoded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Outcome::Wrong { message: format!("key '{key}' of secret '{name}' is not text in UTF-8") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serin_api::Metric;
    use serin_core::analysis::sample::Semantics;

    use super::*;
    use crate::fake;
    use crate::metrics::Metrics;

    /// What the argument `token` comes to if it is key `key` of secret `name`, and the API server answers `answer`.
    async fn check(case: &str, name: &str, answer: (u16, Value), expected: Result<&str, &str>) {
        let (client, _log) = fake::client(move |_| answer.clone());
        let secret = ArgValue::Secret { name: name.to_owned(), key: "key".to_owned() };
        let measure = Measure {
            metric: "rate".to_owned(),
            spec: Metric::default(),
            args: BTreeMap::from([("token".to_owned(), secret), ("plain".to_owned(), ArgValue::Known("x".to_owned()))]),
            semantics: Semantics::Serin,
        };
        let read = secrets_of(&Cluster::new(client, None, Metrics::new()), "shop", &measure).await;
        match (read, expected) {
            (Ok(values), Ok(value)) => {
                assert_eq!(values, BTreeMap::from([("token".to_owned(), value.to_owned())]), "{case}");
            }
            (Err(Outcome::Wrong { message }), Err(text)) => assert_eq!(message, text, "{case}"),
            (Err(Outcome::SourceDown { message }), Err(text)) => assert!(message.contains(text), "{case}: {message}"),
            (read, _) => panic!("{case}: {read:?}"),
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_or_the_answer_says_what_is_missing() {
        let data = |key: &str, value: &str| (200, json!({"data": {key: value}}));
        check("a key", "s", data("key", "cGFzc3dvcmQ="), Ok("password")).await;
        check("no such key", "s", data("other", "eA=="), Err("key 'key' does not exist in secret 's'")).await;
        check("bytes that are no text", "s", data("key", "/w=="), Err("key 'key' of secret 's' is not text in UTF-8"))
            .await;
        check("no such secret", "s", fake::status(404, "NotFound"), Err("secret 's' does not exist")).await;
        check("an API server that is down is not the metric's fault", "s", fake::status(503, "Down"), Err("'s'")).await;
        check("a name that leads elsewhere", "../x", data("key", "eA=="), Err("'../x' cannot be the name of a secret"))
            .await;
    }
}
