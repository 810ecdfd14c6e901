//! Who splits the traffic between stable and canary, with each router's own settings.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::value::wire;

wire! {
    /// Who splits the traffic. Several routers may be given; only Istio is acted upon by this program.
    pub struct TrafficRouting {
        /// Istio VirtualServices and DestinationRules.
        pub istio: Option<IstioTrafficRouting>,
        /// NGINX Ingresses.
        pub nginx: Option<NginxTrafficRouting>,
        /// AWS Application Load Balancer Ingresses.
        pub alb: Option<AlbTrafficRouting>,
        /// Service Mesh Interface TrafficSplits.
        pub smi: Option<SmiTrafficRouting>,
        /// Ambassador Mappings.
        pub ambassador: Option<AmbassadorTrafficRouting>,
        /// AWS App Mesh VirtualServices and VirtualNodes.
        pub app_mesh: Option<AppMeshTrafficRouting>,
        /// Traefik weighted services.
        pub traefik: Option<TraefikTrafficRouting>,
        /// Names of routes that header and mirror steps may create, in order of precedence.
        pub managed_routes: Vec<ManagedRoute>,
        /// Apisix routes.
        pub apisix: Option<ApisixTrafficRouting>,
        /// External router plugins, by name, each with its own configuration.
        #[schemars(schema_with = "crate::value::any_object")]
        pub plugins: BTreeMap<String, Value>,
        /// The weight that stands for all of the traffic; 100 if absent. Only nginx and plugins allow another.
        pub max_traffic_weight: Option<i32>,
    }

    /// A route that header and mirror steps may create.
    pub struct ManagedRoute {
        /// Name of the route.
        pub name: String,
    }

    /// Istio VirtualServices and an optional DestinationRule.
    pub struct IstioTrafficRouting {
        /// The VirtualService whose weights are set; either this or `virtualServices`.
        pub virtual_service: Option<IstioVirtualService>,
        /// The DestinationRule whose subsets follow the ReplicaSets; if absent, destinations are told apart by Service.
        pub destination_rule: Option<IstioDestinationRule>,
        /// Several VirtualServices whose weights are set; either this or `virtualService`.
        pub virtual_services: Vec<IstioVirtualService>,
    }

    /// A VirtualService whose weights are set.
    pub struct IstioVirtualService {
        /// Name, or `name.namespace`.
        pub name: String,
        /// Names of the HTTP routes; may be empty if there is only one.
        pub routes: Vec<String>,
        /// The TLS routes; may be empty if there is only one.
        pub tls_routes: Vec<TlsRoute>,
        /// The TCP routes; may be empty if there is only one.
        pub tcp_routes: Vec<TcpRoute>,
    }

    /// Picks TLS routes by what they match.
    pub struct TlsRoute {
        /// The port that all of the route's matches mention.
        pub port: Option<i64>,
        /// The set of SNI hosts that the route matches.
        pub sni_hosts: Vec<String>,
    }

    /// Picks TCP routes by what they match.
    pub struct TcpRoute {
        /// The port that all of the route's matches mention.
        pub port: Option<i64>,
    }

    /// A DestinationRule whose subsets follow the ReplicaSets.
    pub struct IstioDestinationRule {
        /// Name, in the Rollout's namespace.
        pub name: String,
        /// Name of the subset for the canary.
        pub canary_subset_name: String,
        /// Name of the subset for stable.
        pub stable_subset_name: String,
        /// Subsets of the routes that keep their weight.
        pub additional_subset_names: Vec<String>,
    }

    /// NGINX Ingresses.
    pub struct NginxTrafficRouting {
        /// Prefix of the annotations; `nginx.ingress.kubernetes.io` if absent.
        pub annotation_prefix: Option<String>,
        /// The Ingress of the stable Service; either this or `stableIngresses`.
        pub stable_ingress: Option<String>,
        /// Annotations for the canary Ingress, without their prefix.
        pub additional_ingress_annotations: BTreeMap<String, String>,
        /// The Ingresses of the stable Service; either this or `stableIngress`.
        pub stable_ingresses: Vec<String>,
        /// Annotations for the canary Ingress, with their prefix.
        pub canary_ingress_annotations: BTreeMap<String, String>,
    }

    /// AWS Application Load Balancer Ingresses.
    pub struct AlbTrafficRouting {
        /// The Ingress; either this or `ingresses`.
        pub ingress: Option<String>,
        /// The port of the Service that the Ingress refers to.
        pub service_port: i32,
        /// The Service that the Ingress refers to; the stable Service if absent.
        pub root_service: Option<String>,
        /// Prefix of the annotations; `alb.ingress.kubernetes.io` if absent.
        pub annotation_prefix: Option<String>,
        /// Sticky sessions.
        pub stickiness_config: Option<StickinessConfig>,
        /// The Ingresses; either this or `ingress`.
        pub ingresses: Vec<String>,
    }

    /// Sticky sessions of an Application Load Balancer.
    pub struct StickinessConfig {
        /// Whether sessions are sticky.
        pub enabled: Option<bool>,
        /// For how many seconds.
        pub duration_seconds: i64,
    }

    /// Service Mesh Interface TrafficSplits.
    pub struct SmiTrafficRouting {
        /// The Service that clients use; the stable Service if absent.
        pub root_service: Option<String>,
        /// Name of the TrafficSplit; that of the Rollout if absent.
        pub traffic_split_name: Option<String>,
    }

    /// Ambassador Mappings.
    pub struct AmbassadorTrafficRouting {
        /// Names of the Mappings.
        pub mappings: Vec<String>,
    }

    /// AWS App Mesh.
    pub struct AppMeshTrafficRouting {
        /// The VirtualService whose router carries the weights.
        pub virtual_service: Option<AppMeshVirtualService>,
        /// The VirtualNodes of canary and stable.
        pub virtual_node_group: Option<AppMeshVirtualNodeGroup>,
    }

    /// An App Mesh VirtualService.
    pub struct AppMeshVirtualService {
        /// Name.
        pub name: String,
        /// Names of the routes; all if empty.
        pub routes: Vec<String>,
    }

    /// The VirtualNodes of canary and stable.
    pub struct AppMeshVirtualNodeGroup {
        /// The VirtualNode of the canary.
        pub canary_virtual_node_ref: Option<AppMeshVirtualNodeRef>,
        /// The VirtualNode of stable.
        pub stable_virtual_node_ref: Option<AppMeshVirtualNodeRef>,
    }

    /// An App Mesh VirtualNode.
    pub struct AppMeshVirtualNodeRef {
        /// Name.
        pub name: String,
    }

    /// Traefik weighted services.
    pub struct TraefikTrafficRouting {
        /// Name of the TraefikService.
        pub weighted_traefik_service_name: String,
    }

    /// Apisix routes.
    pub struct ApisixTrafficRouting {
        /// The route.
        pub route: Option<ApisixRoute>,
    }

    /// An Apisix route.
    pub struct ApisixRoute {
        /// Name of the ApisixRoute.
        pub name: String,
        /// Names of its HTTP rules; all if empty.
        pub rules: Vec<String>,
    }
}
