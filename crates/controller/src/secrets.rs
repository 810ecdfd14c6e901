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
