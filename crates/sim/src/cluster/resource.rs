//! The names by which code in the simulator says which kind of object it means.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// A kind of object: two are equal if group and plural are, whatever the version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// The version in which objects are stored and handed out in-process.
    pub version: Cow<'static, str>,
    /// The lower-case plural of URLs.
    pub plural: Cow<'static, str>,
    /// The kind as manifests spell it.
    pub kind: Cow<'static, str>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// The `apiVersion` of manifests, in the storage version.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }

    const fn fixed(group: &'static str, version: &'static str, plural: &'static str, kind: &'static str) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(kind),
            namespaced: true,
        }
    }

    const fn cluster_wide(mut self) -> Self {
        self.namespaced = false;
        self
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.group == other.group && self.plural == other.plural
    }
}

impl Eq for Resource {}

impl PartialOrd for Resource {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Resource {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.group, &self.plural).cmp(&(&other.group, &other.plural))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

const ARGO: &str = "argoproj.io";
const ISTIO: &str = "networking.istio.io";

/// Core Namespaces.
pub static NAMESPACES: Resource = Resource::fixed("", "v1", "namespaces", "Namespace").cluster_wide();
/// Core Pods.
pub static PODS: Resource = Resource::fixed("", "v1", "pods", "Pod");
/// Core Services.
pub static SERVICES: Resource = Resource::fixed("", "v1", "services", "Service");
/// Core Secrets.
pub static SECRETS: Resource = Resource::fixed("", "v1", "secrets", "Secret");
/// Core ConfigMaps.
pub static CONFIG_MAPS: Resource = Resource::fixed("", "v1", "configmaps", "ConfigMap");
/// Core ServiceAccounts.
pub static SERVICE_ACCOUNTS: Resource = Resource::fixed("", "v1", "serviceaccounts", "ServiceAccount");
/// Core PodTemplates, one of the kinds that a Rollout may refer to.
pub static POD_TEMPLATES: Resource = Resource::fixed("", "v1", "podtemplates", "PodTemplate");
/// Events; those of `events.k8s.io` are the same objects in another form.
pub static EVENTS: Resource = Resource::fixed("", "v1", "events", "Event");
/// apps Deployments.
pub static DEPLOYMENTS: Resource = Resource::fixed("apps", "v1", "deployments", "Deployment");
/// apps ReplicaSets.
pub static REPLICA_SETS: Resource = Resource::fixed("apps", "v1", "replicasets", "ReplicaSet");
/// batch Jobs.
pub static JOBS: Resource = Resource::fixed("batch", "v1", "jobs", "Job");
/// EndpointSlices: the addresses behind a Service.
pub static ENDPOINT_SLICES: Resource = Resource::fixed("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice");
/// Leases, by which leaders are elected.
pub static LEASES: Resource = Resource::fixed("coordination.k8s.io", "v1", "leases", "Lease");
/// PodDisruptionBudgets: how many pods must stay when others are evicted.
pub static POD_DISRUPTION_BUDGETS: Resource =
    Resource::fixed("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget");
/// CustomResourceDefinitions; creating one registers its kind.
pub static CUSTOM_RESOURCE_DEFINITIONS: Resource =
    Resource::fixed("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
        .cluster_wide();
/// Istio VirtualServices.
pub static VIRTUAL_SERVICES: Resource = Resource::fixed(ISTIO, "v1", "virtualservices", "VirtualService");
/// Istio DestinationRules.
pub static DESTINATION_RULES: Resource = Resource::fixed(ISTIO, "v1", "destinationrules", "DestinationRule");
/// Istio Gateways.
pub static GATEWAYS: Resource = Resource::fixed(ISTIO, "v1", "gateways", "Gateway");
/// Rollouts.
pub static ROLLOUTS: Resource = Resource::fixed(ARGO, "v1alpha1", "rollouts", "Rollout");
/// AnalysisTemplates.
pub static ANALYSIS_TEMPLATES: Resource = Resource::fixed(ARGO, "v1alpha1", "analysistemplates", "AnalysisTemplate");
/// ClusterAnalysisTemplates.
pub static CLUSTER_ANALYSIS_TEMPLATES: Resource =
    Resource::fixed(ARGO, "v1alpha1", "clusteranalysistemplates", "ClusterAnalysisTemplate").cluster_wide();
/// AnalysisRuns.
pub static ANALYSIS_RUNS: Resource = Resource::fixed(ARGO, "v1alpha1", "analysisruns", "AnalysisRun");
/// Experiments.
pub static EXPERIMENTS: Resource = Resource::fixed(ARGO, "v1alpha1", "experiments", "Experiment");
