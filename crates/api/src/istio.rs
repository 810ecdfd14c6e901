//! The part of Istio's VirtualService and DestinationRule that is read.
//!
//! Nothing is ever written through these types: they do not know most fields. Edits are made on the raw object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::value::{always_written, wire};

/// The API group of Istio's traffic objects.
pub const GROUP: &str = "networking.istio.io";

wire! {
    /// Routes for the traffic to some hosts.
    pub struct VirtualService {
        /// Name, namespace, labels, annotations, resourceVersion.
        #[schemars(skip)]
        pub metadata: ObjectMeta,
        /// The routes.
        pub spec: VirtualServiceSpec,
    }

    /// Routes for the traffic to some hosts, by protocol.
    pub struct VirtualServiceSpec {
        /// The hosts that clients ask for.
        pub hosts: Vec<String>,
        /// The gateways that the routes apply at; only sidecars if empty.
        pub gateways: Vec<String>,
        /// HTTP routes; the first that matches is taken.
        pub http: Vec<HttpRoute>,
        /// Routes of TLS traffic that is passed through.
        pub tls: Vec<L4Route>,
        /// Routes of any other traffic.
        pub tcp: Vec<L4Route>,
    }

    /// An HTTP route.
    pub struct HttpRoute {
        /// Name, if it has one.
        pub name: Option<String>,
        /// What it matches; everything if empty. Only its presence and its ports are read.
        #[serde(rename = "match")]
        pub matches: Vec<RouteMatch>,
        /// Where the traffic goes.
        pub route: Vec<WeightedDestination>,
        /// Where a copy of the traffic goes.
        pub mirror: Option<Destination>,
    }

    /// A TLS or TCP route.
    pub struct L4Route {
        /// What it matches; everything if empty.
        #[serde(rename = "match")]
        pub matches: Vec<RouteMatch>,
        /// Where the traffic goes.
        pub route: Vec<WeightedDestination>,
    }

    /// The part of a match that tells routes apart.
    pub struct RouteMatch {
        /// The port that the client asks for.
        pub port: Option<i64>,
        /// The server names that the client asks for, in TLS routes.
        pub sni_hosts: Vec<String>,
    }

    /// A destination and its share of the traffic.
    pub struct WeightedDestination {
        /// Where the traffic goes.
        pub destination: Destination,
        /// Share of the traffic. If absent, 100 for an only destination, else 0.
        pub weight: Option<i64>,
    }

    /// Where traffic goes.
    pub struct Destination {
        /// A Service, by short or full name.
        pub host: String,
        /// A subset of the DestinationRule for that host.
        pub subset: Option<String>,
        /// The port; may be absent if the Service has only one.
        pub port: Option<PortSelector>,
    }

    /// A port of a Service.
    pub struct PortSelector {
        /// Its number.
        pub number: Option<i64>,
    }

    /// Subsets of the pods behind a host.
    pub struct DestinationRule {
        /// Name, namespace, labels, annotations, resourceVersion.
        #[schemars(skip)]
        pub metadata: ObjectMeta,
        /// The subsets.
        pub spec: DestinationRuleSpec,
    }

    /// Subsets of the pods behind a host.
    pub struct DestinationRuleSpec {
        /// A Service, by short or full name.
        pub host: String,
        /// The subsets.
        pub subsets: Vec<Subset>,
    }

    /// A subset of the pods behind a host.
    pub struct Subset {
        /// Name.
        pub name: String,
        /// Labels that the pods have, beside those that the Service selects.
        pub labels: BTreeMap<String, String>,
    }
}

always_written!(ObjectMeta, VirtualServiceSpec, DestinationRuleSpec, Destination);
