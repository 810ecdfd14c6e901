//! Addresses of metrics sources as users write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Uri};

/// The address of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without user, password and the slash at the end.
    pub(crate) base: String,
    user: Option<(String, String)>,
}

impl Address {
    /// Reads `http://host:port/path` or https; `user:password@` before the host becomes basic authentication.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (uri, origin, user) = parts(text.trim())?;
        uri.query().is_none().then(|| Self { base: format!("{origin}{}", uri.path().trim_end_matches('/')), user })
    }

    /// Reads a whole URL, which may have a query; yields it as address, and how it may be shown: without the query.
    ///
    /// Characters that a URL cannot have, such as the quotes and spaces of a query language, are percent-encoded.
    pub(crate) fn parse_url(text: &str) -> Option<(Self, String)> {
        let (uri, origin, user) = parts(&encode_odd(text.trim()))?;
        let whole = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        Some((Self { base: format!("{origin}{whole}"), user }, format!("{origin}{}", uri.path())))
    }

    /// Adds the user of the address to a request that does not yet say whose it is.
    pub(crate) fn authorize(&self, headers: &mut HeaderMap) {
        if let Some((user, password)) = &self.user {
            authorize(headers, user, password);
        }
    }
}

/// User and password.
type User = (String, String);

/// A URL, its beginning up to and with the port, and its user.
fn parts(text: &str) -> Option<(Uri, String, Option<User>)> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority()?;
    if uri.host().is_none_or(str::is_empty) {
        return None;
    }
    let (user, host) = match authority.as_str().rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority.as_str()),
    };
    let user = user.map(|user| {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        (percent_decode(name), percent_decode(password))
    });
    let origin = format!("{scheme}://{host}");
    Some((uri, origin, user))
}

/// Percent-encodes what cannot stand in a URL; what is encoded already stays.
fn encode_odd(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Adds basic authentication (RFC 7617) to a request that does not yet say whose it is.
pub(crate) fn authorize(headers: &mut HeaderMap, user: &str, password: &str) {
    let value = format!("Basic {}", basic(user, password));
    if let (false, Ok(mut value)) = (headers.contains_key(AUTHORIZATION), HeaderValue::from_str(&value)) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// User and password as basic authentication sends them.
pub(crate) fn basic(user: &str, password: &str) -> String {
    STANDARD.encode(format!("{user}:{password}"))
}

/// Writes text so that it can stand as a value in a query string or a form.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, base: Option<&str>, user: Option<(&str, &str)>) {
        let address = Address::parse(text);
        assert_eq!(address.as_ref().map(|address| address.base.as_str()), base, "{text}");
        let got = address.and_then(|address| address.user);
        assert_eq!(got.as_ref().map(|(name, password)| (name.as_str(), password.as_str())), user, "{text}");
    }

    #[test]
    fn addresses_are_http_urls() {
        check("http://prometheus:9090", Some("http://prometheus:9090"), None);
        check(" https://thanos.example/prefix/ ", Some("https://thanos.example/prefix"), None);
        check("http://me:p%40ss@host", Some("http://host"), Some(("me", "p@ss")));
        check("http://me@host", Some("http://host"), Some(("me", "")));
        check("http://[::1]:9090", Some("http://[::1]:9090"), None);
        for wrong in ["", "prometheus:9090", "ftp://host", "http://", "http://host?x=1", "http://a b"] {
            check(wrong, None, None);
        }
    }

    #[test]
    fn urls_keep_their_query_and_are_shown_without() {
        let check = |text: &str, whole: &str, shown: &str| {
            let (address, got) = Address::parse_url(text).expect("a URL");
            assert_eq!((address.base.as_str(), got.as_str()), (whole, shown), "{text}");
        };
        check("http://host", "http://host/", "http://host/");
        check("http://host/a/?key=x", "http://host/a/?key=x", "http://host/a/");
        check("https://me:p@host:1/a?b#c", "https://host:1/a?b", "https://host:1/a");
        check("http://h/q?query=up{a=\"b c\"}", "http://h/q?query=up%7Ba=%22b%20c%22%7D", "http://h/q");
        check("http://h/%20é", "http://h/%20%C3%A9", "http://h/%20%C3%A9");
        for wrong in ["", "host/path", "ftp://host", "http://", "/path"] {
            assert_eq!(Address::parse_url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_are_percent_encoded() {
        assert_eq!(percent_encode("a b+c&d={\"é\"}~"), "a%20b%2Bc%26d%3D%7B%22%C3%A9%22%7D~");
    }
}
