//! A request as the API server understands it: verb, resource, name and options.

use std::collections::BTreeMap;

use axum::extract::Query;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use super::error::ApiError;
use super::protobuf;

/// The query parameters, by name.
pub(crate) type Options = BTreeMap<String, String>;

/// A path below one group and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

/// Everything of a request but its way through the network.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: Method,
    pub target: Target,
    pub options: Options,
    pub accept: String,
    pub content_type: String,
    pub agent: String,
    pub body: Bytes,
}

impl Request {
    pub(crate) fn new(method: &Method, target: Target, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Self {
        let header =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Self {
            method: method.clone(),
            target,
            options: options(uri),
            accept: header("accept"),
            content_type: header("content-type"),
            agent: header("user-agent"),
            body,
        }
    }

    /// A query parameter; empty if it is absent.
    pub(crate) fn option(&self, name: &str) -> &str {
        self.options.get(name).map_or("", String::as_str)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.option(name), "true" | "1")
    }

    pub(crate) fn dry_run(&self) -> bool {
        self.options.contains_key("dryRun")
    }

    /// The verb as access rules and audit logs name it.
    pub(crate) fn verb(&self) -> &'static str {
        let named = self.target.name.is_some();
        match self.method.as_str() {
            "GET" | "HEAD" if self.flag("watch") => "watch",
            "GET" | "HEAD" if named => "get",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if named => "delete",
            "DELETE" => "deletecollection",
            _ => "other",
        }
    }

    /// The name under which field owners are recorded.
    pub(crate) fn writer(&self) -> &str {
        match self.option("fieldManager") {
            "" => self.agent.split('/').next().unwrap_or_default(),
            manager => manager,
        }
    }

    /// The body as an object of JSON or YAML.
    pub(crate) fn object(&self) -> Result<Value, ApiError> {
        let value = self.value()?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(ApiError::bad_request("the body of the request must be an object"))
        }
    }

    /// The body as any JSON value, or YAML where the content type says so.
    pub(crate) fn value(&self) -> Result<Value, ApiError> {
        if self.content_type.contains("yaml") && !self.body.starts_with(b"{") {
            let text = String::from_utf8_lossy(&self.body);
            return serde_saphyr::from_str(&text)
                .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")));
        }
        if self.content_type.contains("protobuf") || self.content_type.contains("cbor") {
            return protobuf::decode(&self.body).ok_or_else(|| {
                ApiError::new(
                    415,
                    "UnsupportedMediaType",
                    "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml; kubectl sends JSON with `kubectl apply -f`",
                )
            });
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::bad_request(format!("error decoding JSON: {error}")))
    }
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/GROUP/VERSION/…`; nothing for other paths.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.to_owned(),
            _ => return None,
        };
        let version = parts.next()?.to_owned();
        let rest: Vec<String> = parts.map(decode).collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces"] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest.as_slice()),
            ["namespaces", namespace, inner @ ..] => (Some((*namespace).to_owned()), inner),
            all => (None, all),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return None,
        };
        Some(Self {
            group,
            version,
            plural: (*plural).to_owned(),
            namespace,
            name: name.map(ToString::to_string),
            subresource: subresource.map(ToString::to_string),
        })
    }
}

/// The query parameters; the last of several with one name counts.
pub(crate) fn options(uri: &Uri) -> Options {
    Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|Query(pairs)| pairs.into_iter().collect())
        .unwrap_or_default()
}

/// Undoes percent-encoding; what is no encoding stays as it is.
fn decode(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = part.get(index + 1..index + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[index], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                index += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Group, plural, namespace, name and subresource.
    type Parts<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>, Option<&'a str>);

    fn check(path: &str, expected: Option<Parts<'_>>) {
        let target = Target::parse(path);
        let got = target.as_ref().map(|t| {
            (t.group.as_str(), t.plural.as_str(), t.namespace.as_deref(), t.name.as_deref(), t.subresource.as_deref())
        });
        assert_eq!(got, expected, "{path}");
    }

    #[test]
    fn paths_name_their_target() {
        check("/api/v1/pods", Some(("", "pods", None, None, None)));
        check("/api/v1/namespaces", Some(("", "namespaces", None, None, None)));
        check("/api/v1/namespaces/a", Some(("", "namespaces", None, Some("a"), None)));
        check("/api/v1/namespaces/a/status", Some(("", "namespaces", None, Some("a"), Some("status"))));
        check("/api/v1/namespaces/a/pods", Some(("", "pods", Some("a"), None, None)));
        check(
            "/apis/argoproj.io/v1alpha1/namespaces/a/rollouts/r/scale",
            Some(("argoproj.io", "rollouts", Some("a"), Some("r"), Some("scale"))),
        );
        check(
            "/apis/apps/v1/namespaces/a/deployments/x%2Dy",
            Some(("apps", "deployments", Some("a"), Some("x-y"), None)),
        );
        check("/version", None);
        check("/apis/apps/v1", None);
        check("/apis", None);
    }
}
