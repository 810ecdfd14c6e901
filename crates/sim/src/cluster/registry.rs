//! Which kinds the cluster serves, and what is special about each.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::resource::{self as res, Resource};

/// The place of a kind in the registry; stays valid for the life of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KindId(usize);

/// Everything that the server knows about one kind.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Group, storage version, plural and kind.
    pub resource: Resource,
    /// The served versions, the preferred one first.
    pub versions: Vec<String>,
    /// What kubectl accepts for one object.
    pub singular: String,
    /// Abbreviations that kubectl accepts.
    pub short_names: Vec<String>,
    /// Groups of kinds, such as `all`.
    pub categories: Vec<String>,
    /// Whether status is written through a path of its own.
    pub status: bool,
    /// The paths of the scale subresource.
    pub scale: Option<Scale>,
    /// Defined by a CustomResourceDefinition, or treated like it.
    pub custom: bool,
    /// Whether the API serves it; kinds stored from manifests that nothing defines are kept, but not served.
    pub served: bool,
    /// Printer columns of a CustomResourceDefinition, one object each.
    pub columns: Vec<Value>,
    /// The structural schema of a CustomResourceDefinition.
    pub schema: Option<Value>,
}

/// Where the scale subresource reads and writes, as JSON pointers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub spec: String,
    pub status: String,
    pub selector: Option<String>,
}

impl Kind {
    /// `rollouts.argoproj.io`, or `pods` in the core group: how messages name the resource.
    pub(crate) fn qualified(&self) -> String {
        self.resource.to_string()
    }

    /// `Rollout.argoproj.io`, or `Pod` in the core group: how messages about a manifest name it.
    pub(crate) fn qualified_kind(&self) -> String {
        if self.resource.group.is_empty() {
            self.resource.kind.to_string()
        } else {
            format!("{}.{}", self.resource.kind, self.resource.group)
        }
    }

    pub(crate) fn serves(&self, version: &str) -> bool {
        self.served && self.versions.iter().any(|served| served == version)
    }

    fn builtin(resource: &Resource, short_names: &[&str]) -> Self {
        Self {
            versions: vec![resource.version.to_string()],
            singular: resource.kind.to_lowercase(),
            short_names: short_names.iter().map(ToString::to_string).collect(),
            categories: Vec::new(),
            status: false,
            scale: None,
            custom: false,
            served: true,
            columns: Vec::new(),
            schema: None,
            resource: resource.clone(),
        }
    }

    fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    fn with_replicas(mut self, status: &str, selector: &str) -> Self {
        self.status = true;
        self.scale = Some(Scale {
            spec: "/spec/replicas".to_owned(),
            status: status.to_owned(),
            selector: Some(selector.to_owned()),
        });
        self
    }

    fn in_all(mut self) -> Self {
        self.categories = vec!["all".to_owned()];
        self
    }

    fn custom(mut self) -> Self {
        self.custom = true;
        self
    }

    fn versions(mut self, versions: &[&str]) -> Self {
        self.versions = versions.iter().map(ToString::to_string).collect();
        self
    }
}

/// All kinds, in the order in which they were registered.
#[derive(Debug)]
pub(crate) struct Registry {
    kinds: Vec<Arc<Kind>>,
}

impl Registry {
    /// The built-in kinds, Istio's networking kinds and our own.
    pub(crate) fn new() -> Self {
        static INITIAL: OnceLock<Vec<Arc<Kind>>> = OnceLock::new();
        let kinds = INITIAL.get_or_init(|| {
            let kinds = builtin().into_iter().chain(istio()).chain(rollouts());
            kinds.map(Arc::new).collect()
        });
        Self { kinds: kinds.clone() }
    }

    pub(crate) fn kind(&self, id: KindId) -> &Arc<Kind> {
        &self.kinds[id.0]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (KindId, &Arc<Kind>)> {
        self.kinds.iter().enumerate().map(|(index, kind)| (KindId(index), kind))
    }

    /// The kind under a group and a plural, served or not.
    pub(crate) fn by_plural(&self, group: &str, plural: &str) -> Option<KindId> {
        self.iter().find(|(_, kind)| kind.resource.group == group && kind.resource.plural == plural).map(|(id, _)| id)
    }

    /// The kind that a manifest means by its apiVersion and kind, served or not.
    pub(crate) fn by_manifest(&self, api_version: &str, kind: &str) -> Option<KindId> {
        let (group, _) = split_api_version(api_version);
        let group = if group == "events.k8s.io" { "" } else { group };
        self.iter().find(|(_, known)| known.resource.group == group && known.resource.kind == kind).map(|(id, _)| id)
    }

    /// Registers a kind, or replaces the one of the same group and plural.
    pub(crate) fn register(&mut self, kind: Kind) -> KindId {
        let place = self.by_plural(&kind.resource.group, &kind.resource.plural);
        if let Some(id) = place {
            self.kinds[id.0] = Arc::new(kind);
            return id;
        }
        self.kinds.push(Arc::new(kind));
        KindId(self.kinds.len() - 1)
    }

    /// Stops serving a kind whose definition was deleted.
    pub(crate) fn retire(&mut self, group: &str, plural: &str) {
        if let Some(id) = self.by_plural(group, plural) {
            Arc::make_mut(&mut self.kinds[id.0]).served = false;
        }
    }

    /// Makes room for a kind that nothing defines, so that its manifests can be kept.
    pub(crate) fn synthesize(&mut self, api_version: &str, kind: &str) -> KindId {
        let (group, version) = split_api_version(api_version);
        let mut plural = plural_of(kind);
        while self.by_plural(group, &plural).is_some() {
            plural.push('s');
        }
        let resource = Resource {
            group: Cow::Owned(group.to_owned()),
            version: Cow::Owned(version.to_owned()),
            plural: Cow::Owned(plural),
            kind: Cow::Owned(kind.to_owned()),
            namespaced: true,
        };
        let mut unknown = Kind::builtin(&resource, &[]).custom();
        unknown.served = false;
        self.register(unknown)
    }
}

/// Splits `group/version`; the core group has no slash.
pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// The plural that English and the API conventions would give a kind.
fn plural_of(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if lower.ends_with('s') => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}

fn builtin() -> Vec<Kind> {
    vec![
        Kind::builtin(&res::NAMESPACES, &["ns"]).with_status(),
        Kind::builtin(&res::PODS, &["po"]).with_status().in_all(),
        Kind::builtin(&res::SERVICES, &["svc"]).with_status().in_all(),
        Kind::builtin(&res::SECRETS, &[]),
        Kind::builtin(&res::CONFIG_MAPS, &["cm"]),
        Kind::builtin(&res::SERVICE_ACCOUNTS, &["sa"]),
        Kind::builtin(&res::POD_TEMPLATES, &[]),
        Kind::builtin(&res::EVENTS, &["ev"]),
        Kind::builtin(&res::DEPLOYMENTS, &["deploy"]).with_replicas("/status/replicas", "/spec/selector").in_all(),
        Kind::builtin(&res::REPLICA_SETS, &["rs"]).with_replicas("/status/replicas", "/spec/selector").in_all(),
        Kind::builtin(&res::JOBS, &[]).with_status().in_all(),
        Kind::builtin(&res::LEASES, &[]),
        Kind::builtin(&res::POD_DISRUPTION_BUDGETS, &["pdb"]).with_status(),
        Kind::builtin(&res::ENDPOINT_SLICES, &[]),
        Kind::builtin(&res::CUSTOM_RESOURCE_DEFINITIONS, &["crd", "crds"]).with_status(),
    ]
}

fn istio() -> Vec<Kind> {
    let versions = ["v1", "v1beta1", "v1alpha3"];
    let kinds = [
        Kind::builtin(&res::VIRTUAL_SERVICES, &["vs"]),
        Kind::builtin(&res::DESTINATION_RULES, &["dr"]),
        Kind::builtin(&res::GATEWAYS, &["gw"]),
    ];
    kinds.into_iter().map(|kind| kind.with_status().custom().versions(&versions)).collect()
}

/// Our own kinds, from the definitions that are applied to real clusters.
fn rollouts() -> Vec<Kind> {
    static DEFINITIONS: OnceLock<Vec<Value>> = OnceLock::new();
    let definitions = DEFINITIONS.get_or_init(|| {
        serin_api::crds().iter().filter_map(|definition| serde_json::to_value(definition).ok()).collect()
    });
    definitions.iter().filter_map(super::definition::kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_the_api_conventions() {
        for (kind, plural) in [
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("ServiceMonitor", "servicemonitors"),
        ] {
            assert_eq!(plural_of(kind), plural, "{kind}");
        }
    }

    #[test]
    fn our_own_kinds_are_registered_as_defined() {
        let registry = Registry::new();
        for resource in [
            &res::ROLLOUTS,
            &res::ANALYSIS_TEMPLATES,
            &res::CLUSTER_ANALYSIS_TEMPLATES,
            &res::ANALYSIS_RUNS,
            &res::EXPERIMENTS,
        ] {
            let id = registry.by_plural(&resource.group, &resource.plural);
            let kind = registry.kind(id.expect("the kind is registered"));
            assert_eq!(kind.resource.kind, resource.kind);
            assert_eq!(kind.resource.version, resource.version);
            assert_eq!(kind.resource.namespaced, resource.namespaced);
            assert!(kind.schema.is_some(), "{resource}");
        }
    }

    #[test]
    fn a_kind_is_found_by_any_of_its_versions() {
        let registry = Registry::new();
        for version in ["v1", "v1beta1", "v1alpha3"] {
            let api_version = format!("networking.istio.io/{version}");
            let found = registry.by_manifest(&api_version, "VirtualService");
            assert_eq!(found, registry.by_plural("networking.istio.io", "virtualservices"));
            assert!(found.is_some());
        }
    }
}
