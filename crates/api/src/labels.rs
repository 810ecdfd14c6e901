//! The one table of label and annotation keys, and of the values that go with them.

/// The API group of all our kinds.
pub const GROUP: &str = "argoproj.io";
/// The API version of all our kinds.
pub const API_VERSION: &str = "argoproj.io/v1alpha1";

// Labels.

/// On ReplicaSets, pods, AnalysisRuns and Experiments, in selectors of Services and labels of DestinationRule subsets:
/// hash of the pod template of the revision.
pub const POD_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";
/// Hash of the pod template, on ReplicaSets and pods of Deployments.
pub const DEPLOYMENT_TEMPLATE_HASH: &str = "pod-template-hash";
/// On Rollouts, Experiments and AnalysisRuns: which controller instance is responsible.
pub const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
/// On AnalysisRuns: what the run is for, one of the `ROLLOUT_TYPE_*` values.
pub const ROLLOUT_TYPE: &str = "rollout-type";
/// On AnalysisRuns of type [`ROLLOUT_TYPE_STEP`]: index of the canary step.
pub const STEP_INDEX: &str = "step-index";
/// On Jobs of metrics: UID of the AnalysisRun.
pub const ANALYSIS_RUN_UID: &str = "analysisrun.argoproj.io/uid";

/// [`ROLLOUT_TYPE`] of the run of a canary step.
pub const ROLLOUT_TYPE_STEP: &str = "Step";
/// [`ROLLOUT_TYPE`] of the run beside the canary steps.
pub const ROLLOUT_TYPE_BACKGROUND: &str = "Background";
/// [`ROLLOUT_TYPE`] of the run before a blue-green switch.
pub const ROLLOUT_TYPE_PRE_PROMOTION: &str = "PrePromotion";
/// [`ROLLOUT_TYPE`] of the run after a blue-green switch.
pub const ROLLOUT_TYPE_POST_PROMOTION: &str = "PostPromotion";

// Annotations that the field knows.

/// On Rollouts, ReplicaSets, AnalysisRuns and Experiments: number of the revision, in decimal.
pub const REVISION: &str = "rollout.argoproj.io/revision";
/// On ReplicaSets: earlier numbers of a revision that came back, separated by commas.
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// On ReplicaSets: `spec.replicas` of the Rollout when the ReplicaSet was last scaled.
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// On ReplicaSets: the labels and annotations that were injected for a role, as the JSON of a
/// [`crate::PodTemplateMetadata`].
pub const EPHEMERAL_METADATA: &str = "rollout.argoproj.io/ephemeral-metadata";
/// On Rollouts: generation of the referenced workload.
pub const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// On ReplicaSets: when to scale to zero, in RFC 3339 and UTC.
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// On Services, Ingresses and DestinationRules: name of the Rollout that sets them.
pub const MANAGED_BY_ROLLOUTS: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// On Jobs of metrics: name of the AnalysisRun.
pub const ANALYSIS_RUN_NAME: &str = "analysisrun.argoproj.io/name";
/// On Jobs of metrics: name of the metric.
pub const METRIC_NAME: &str = "analysisrun.argoproj.io/metric-name";
/// On ReplicaSets and Services of Experiments: name of the Experiment.
pub const EXPERIMENT_NAME: &str = "experiment.argoproj.io/name";
/// On ReplicaSets and Services of Experiments: name of the template.
pub const EXPERIMENT_TEMPLATE_NAME: &str = "experiment.argoproj.io/template-name";
/// On Jobs of metrics: namespace of the AnalysisRun.
pub const ANALYSIS_RUN_NAMESPACE: &str = "analysisrun.argoproj.io/namespace";
/// Prefix of the annotations that subscribe to notifications.
pub const NOTIFICATIONS_PREFIX: &str = "notifications.argoproj.io/";
/// On Rollouts: state of the notifications already sent, never copied to ReplicaSets.
pub const NOTIFIED: &str = "notified.notifications.argoproj.io";
/// On anything that `kubectl apply` made; never copied to ReplicaSets.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

// Annotations of our own, see docs/reference/extensions.md.

/// On Rollouts: go on to the next step; any new value is a new command.
pub const PROMOTE: &str = "serin.dev/promote";
/// On Rollouts: skip all that is left of the update; any new value is a new command.
pub const PROMOTE_FULL: &str = "serin.dev/promote-full";
/// On Rollouts: abort the update; any new value is a new command.
pub const ABORT: &str = "serin.dev/abort";
/// On Rollouts: start an aborted update again; any new value is a new command.
pub const RETRY: &str = "serin.dev/retry";
/// On templates, and on the AnalysisRuns made of them: with [`ANALYSIS_SEMANTICS_ARGO`] missing data counts as it does
/// upstream, with `serin` it holds the step.
pub const ANALYSIS_SEMANTICS: &str = "serin.dev/analysis-semantics";
/// A value of [`ANALYSIS_SEMANTICS`].
pub const ANALYSIS_SEMANTICS_ARGO: &str = "argo";
/// On ReplicaSets: values of the pod template that injected metadata replaced, as the JSON of a
/// [`crate::PodTemplateMetadata`], so that they can be put back.
pub const OVERRIDDEN_METADATA: &str = "serin.dev/overridden-metadata";
/// On VirtualServices: the routes that header and mirror steps made, as a JSON object from `namespace/name` of the
/// Rollout to their names, so that they can be taken away after the Rollout is gone.
pub const MANAGED_ROUTES: &str = "serin.dev/managed-routes";
/// On VirtualServices: the Services of experiments that get a share of the traffic, as a JSON object from `namespace/name`
/// of the Rollout to their names, so that they can be taken away after the Rollout is gone.
pub const EXPERIMENT_SERVICES: &str = "serin.dev/experiment-services";

/// The annotations that are commands, in order of precedence.
pub const COMMANDS: [&str; 4] = [ABORT, RETRY, PROMOTE_FULL, PROMOTE];
