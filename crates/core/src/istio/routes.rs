//! Which routes of a VirtualService carry the canary's weight.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;
use serin_api::{TcpRoute, TlsRoute};

/// The three kinds of routes of a VirtualService.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// `spec.http`.
    Http,
    /// `spec.tls`.
    Tls,
    /// `spec.tcp`.
    Tcp,
}

impl Protocol {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Protocol; 3] = [Protocol::Http, Protocol::Tls, Protocol::Tcp];

    /// Name of its list within `spec`.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Tls => "tls",
            Protocol::Tcp => "tcp",
        }
    }

    /// Name of the list in a Rollout that picks routes of this kind.
    #[must_use]
    pub fn selector(self) -> &'static str {
        match self {
            Protocol::Http => "routes",
            Protocol::Tls => "tlsRoutes",
            Protocol::Tcp => "tcpRoutes",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Http => "HTTP",
            Protocol::Tls => "TLS",
            Protocol::Tcp => "TCP",
        })
    }
}

/// The place of a route in a VirtualService.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteAt {
    /// Which list.
    pub protocol: Protocol,
    /// Index in that list.
    pub index: usize,
}

impl RouteAt {
    /// JSON pointer of the route, such as `/spec/http/0`.
    #[must_use]
    pub fn pointer(&self) -> String {
        format!("/spec/{}/{}", self.protocol.key(), self.index)
    }

    /// The route in the VirtualService.
    #[must_use]
    pub fn of<'a>(&self, virtual_service: &'a Value) -> Option<&'a Value> {
        list(virtual_service, self.protocol).get(self.index)
    }
}

impl fmt::Display for RouteAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}[{}]", self.protocol.key(), self.index)
    }
}

/// The routes that a Rollout asks for; an empty list means the only one there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Names of HTTP routes.
    pub routes: Vec<String>,
    /// TLS routes by port and server names.
    pub tls_routes: Vec<TlsRoute>,
    /// TCP routes by port.
    pub tcp_routes: Vec<TcpRoute>,
    /// Names of HTTP routes that header and mirror steps made; they never carry the canary's weight.
    pub managed: Vec<String>,
}

/// Why the routes of one protocol cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteError {
    /// The protocol; `None` if the VirtualService has no routes at all.
    pub protocol: Option<Protocol>,
    /// The reason.
    pub message: String,
}

/// Finds the routes of a VirtualService that a Rollout sets weights of, in the order of the VirtualService.
///
/// # Errors
/// All reasons, one or more a protocol, if any of them cannot be told.
pub fn select(virtual_service: &Value, selection: &Selection) -> Result<Vec<RouteAt>, Vec<RouteError>> {
    let mut found = BTreeSet::new();
    let mut errors = Vec::new();
    for protocol in Protocol::ALL {
        let routes = list(virtual_service, protocol);
        // As upstream has it, names of HTTP routes mean nothing to a VirtualService that has none, if TLS or TCP routes are asked for.
        let is_moot = protocol == Protocol::Http && selection.asks_beside_http();
        if routes.is_empty() && (selection.asks_nothing_of(protocol) || is_moot) {
            continue;
        }
        match select_of(protocol, routes, selection) {
            Ok(indexes) => found.extend(indexes.into_iter().map(|index| RouteAt { protocol, index })),
            Err(messages) => {
                errors.extend(messages.into_iter().map(|message| RouteError { protocol: Some(protocol), message }));
            }
        }
    }
    if found.is_empty() && errors.is_empty() {
        let message = "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService".to_owned();
        errors.push(RouteError { protocol: None, message });
    }
    if errors.is_empty() { Ok(found.into_iter().collect()) } else { Err(errors) }
}

impl Selection {
    fn asks_beside_http(&self) -> bool {
        !self.tls_routes.is_empty() || !self.tcp_routes.is_empty()
    }

    fn asks_nothing_of(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http => self.routes.is_empty(),
            Protocol::Tls => self.tls_routes.is_empty(),
            Protocol::Tcp => self.tcp_routes.is_empty(),
        }
    }
}

fn list(virtual_service: &Value, protocol: Protocol) -> &[Value] {
    virtual_service
        .get("spec")
        .and_then(|spec| spec.get(protocol.key()))
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn select_of(protocol: Protocol, routes: &[Value], selection: &Selection) -> Result<Vec<usize>, Vec<String>> {
    if selection.asks_nothing_of(protocol) {
        return the_only_one(protocol, routes, selection);
    }
    match protocol {
        Protocol::Http => named(routes, selection),
        Protocol::Tls => matching(protocol, routes, &selection.tls_routes, |route, wanted| {
            let hosts: BTreeSet<&str> = wanted.sni_hosts.iter().map(String::as_str).collect();
            one_port(route, wanted.port) && (hosts.is_empty() || hosts == sni_hosts(route))
        }),
        Protocol::Tcp => {
            matching(protocol, routes, &selection.tcp_routes, |route, wanted| one_port(route, wanted.port))
        }
    }
}

/// The only route that is not one of the managed routes.
fn the_only_one(protocol: Protocol, routes: &[Value], selection: &Selection) -> Result<Vec<usize>, Vec<String>> {
    let candidates: Vec<usize> =
        (0..routes.len()).filter(|&index| !selection.manages(protocol, &routes[index])).collect();
    match candidates.as_slice() {
        [index] => Ok(vec![*index]),
        _ => Err(vec![format!(
            "spec.{}[] should be set in VirtualService and it must have exactly one route when omitting \
             spec.strategy.canary.trafficRouting.istio.virtualService.{}",
            protocol.key(),
            protocol.selector()
        )]),
    }
}

/// Every HTTP route that bears one of the names: where two routes share a name, both carry the weight, because the one
/// left out would send its requests by a weight of the past.
fn named(routes: &[Value], selection: &Selection) -> Result<Vec<usize>, Vec<String>> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for wanted in &selection.routes {
        let hits = (0..routes.len()).filter(|&index| {
            name(&routes[index]) == Some(wanted) && !selection.manages(Protocol::Http, &routes[index])
        });
        let before = found.len();
        found.extend(hits);
        if found.len() == before {
            errors.push(format!("HTTP Route '{wanted}' is not found in the defined Virtual Service."));
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The routes that any of the wanted ones describes.
fn matching<T>(
    protocol: Protocol,
    routes: &[Value],
    wanted: &[T],
    matches: impl Fn(&Value, &T) -> bool,
) -> Result<Vec<usize>, Vec<String>> {
    let mut found = Vec::new();
    for one in wanted {
        let before = found.len();
        found.extend((0..routes.len()).filter(|&index| matches(&routes[index], one)));
        if found.len() == before {
            return Err(vec![format!("No matching {protocol} routes found in the defined Virtual Service.")]);
        }
    }
    Ok(found)
}

impl Selection {
    fn manages(&self, protocol: Protocol, route: &Value) -> bool {
        protocol == Protocol::Http && name(route).is_some_and(|name| self.managed.iter().any(|managed| managed == name))
    }
}

/// Name of an HTTP route; an empty one is none.
pub(super) fn name(route: &Value) -> Option<&str> {
    route.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn matches_of(route: &Value) -> impl Iterator<Item = &Value> {
    route.get("match").and_then(Value::as_array).into_iter().flatten()
}

/// Whether the matches of the route mention one port at most, and that is the wanted one; without a wanted port, any.
fn one_port(route: &Value, wanted: Option<i64>) -> bool {
    let ports: BTreeSet<i64> = matches_of(route).filter_map(|one| one.get("port").and_then(Value::as_i64)).collect();
    match wanted {
        Some(port) if port != 0 => ports.len() == 1 && ports.contains(&port),
        Some(_) | None => ports.len() <= 1,
    }
}

fn sni_hosts(route: &Value) -> BTreeSet<&str> {
    matches_of(route)
        .filter_map(|one| one.get("sniHosts").and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(case: &str, spec: &Value, selection: &Selection, wanted: Result<&[&str], &[&str]>) {
        let got = select(&json!({ "spec": spec }), selection);
        let got = match &got {
            Ok(routes) => Ok(routes.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Err(errors) => Err(errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>()),
        };
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(got, wanted.map(owned).map_err(owned), "{case}");
    }

    fn http(names: &[&str]) -> Selection {
        Selection { routes: names.iter().map(ToString::to_string).collect(), ..Selection::default() }
    }

    const NOT_ONE: &str = "spec.http[] should be set in VirtualService and it must have exactly one route when omitting \
                           spec.strategy.canary.trafficRouting.istio.virtualService.routes";

    #[test]
    fn http_routes_are_found() {
        let any = Selection::default();
        check("an only route needs no name", &json!({"http": [{}]}), &any, Ok(&["spec.http[0]"]));
        check("two routes need to be named", &json!({"http": [{"name": "a"}, {}]}), &any, Err(&[NOT_ONE]));
        check("the named one is taken", &json!({"http": [{}, {"name": "a"}]}), &http(&["a"]), Ok(&["spec.http[1]"]));
        check(
            "both routes of one name are taken",
            &json!({"http": [{"name": "a"}, {"name": "a"}, {}]}),
            &http(&["a"]),
            Ok(&["spec.http[0]", "spec.http[1]"]),
        );
        check(
            "every name that is missing is told",
            &json!({"http": [{"name": "a"}]}),
            &http(&["b", "a", "c"]),
            Err(&[
                "HTTP Route 'b' is not found in the defined Virtual Service.",
                "HTTP Route 'c' is not found in the defined Virtual Service.",
            ]),
        );
        let tls = vec![TlsRoute { port: Some(443), sni_hosts: Vec::new() }];
        check(
            "names of HTTP routes mean nothing where there are only TLS routes",
            &json!({"tls": [{"match": [{"port": 443}]}]}),
            &Selection { tls_routes: tls, ..http(&["a"]) },
            Ok(&["spec.tls[0]"]),
        );
        check(
            "a VirtualService without routes",
            &json!({}),
            &any,
            Err(&["Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService"]),
        );
        check(
            "routes that are no list",
            &json!({"http": 3}),
            &http(&["a"]),
            Err(&["HTTP Route 'a' is not found in the defined Virtual Service."]),
        );
    }

    #[test]
    fn managed_routes_never_take_part() {
        let managed = |names: &[&str]| Selection { managed: vec!["mirror".to_owned()], ..http(names) };
        let spec = json!({"http": [{"name": "mirror", "mirror": {"host": "reviews"}}, {}]});
        check("the other route stays the only one", &spec, &managed(&[]), Ok(&["spec.http[1]"]));
        check(
            "not even by name",
            &spec,
            &managed(&["mirror"]),
            Err(&["HTTP Route 'mirror' is not found in the defined Virtual Service."]),
        );
    }

    #[test]
    fn tls_routes_are_found_by_port_and_server_names() {
        let route = |port: i64, hosts: &[&str]| json!({"match": [{"port": port, "sniHosts": hosts}]});
        let spec = json!({"tls": [route(443, &["a", "b"]), route(444, &["a"]), {"match": [
            {"port": 443, "sniHosts": ["c"]}, {"port": 445, "sniHosts": ["c"]},
        ]}]});
        let tls = |port: Option<i64>, hosts: &[&str]| Selection {
            tls_routes: vec![TlsRoute { port, sni_hosts: hosts.iter().map(ToString::to_string).collect() }],
            ..Selection::default()
        };
        let none: &[&str] = &["No matching TLS routes found in the defined Virtual Service."];
        check("the set of names is what counts", &spec, &tls(Some(443), &["b", "a"]), Ok(&["spec.tls[0]"]));
        check("the port has to agree", &spec, &tls(Some(444), &["b", "a"]), Err(none));
        check("by names alone", &spec, &tls(None, &["a"]), Ok(&["spec.tls[1]"]));
        check("by port alone", &spec, &tls(Some(443), &[]), Ok(&["spec.tls[0]"]));
        check("a route of two ports is not ours", &spec, &tls(Some(443), &["c"]), Err(none));
        check("an only route", &json!({"tls": [route(1, &["x"])]}), &Selection::default(), Ok(&["spec.tls[0]"]));
    }

    #[test]
    fn tcp_routes_are_found_by_port() {
        let spec = json!({"tcp": [{"match": [{"port": 1}]}, {"match": [{"port": 2}]}]});
        let tcp = |port| Selection { tcp_routes: vec![TcpRoute { port: Some(port) }], ..Selection::default() };
        check("the one of that port", &spec, &tcp(2), Ok(&["spec.tcp[1]"]));
        check(
            "none of that port",
            &spec,
            &tcp(3),
            Err(&["No matching TCP routes found in the defined Virtual Service."]),
        );
        check(
            "all protocols take part",
            &json!({"http": [{}], "tcp": [{}]}),
            &Selection::default(),
            Ok(&["spec.http[0]", "spec.tcp[0]"]),
        );
    }
}
