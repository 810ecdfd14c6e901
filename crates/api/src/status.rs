//! What is known about a Rollout. Clients and other tools read and patch these fields.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::time::Time;
use crate::value::{DurationString, always_written, wire};

wire! {
    /// What is known about a Rollout.
    pub struct RolloutStatus {
        /// Set to abort the update; traffic goes back to stable.
        pub abort: bool,
        /// Why the Rollout is paused. Clients resume it by removing all of them.
        pub pause_conditions: Vec<PauseCondition>,
        /// Whether the controller, and not a person, paused the Rollout. Stays set when a client resumes it.
        pub controller_pause: bool,
        /// When the update was aborted.
        pub aborted_at: Option<Time>,
        /// Hash of the current pod template.
        pub current_pod_hash: Option<String>,
        /// Hash of the current list of steps.
        pub current_step_hash: Option<String>,
        /// Pods that exist, of all revisions.
        pub replicas: Option<i32>,
        /// Pods of the newest revision.
        pub updated_replicas: Option<i32>,
        /// Pods that are ready.
        pub ready_replicas: Option<i32>,
        /// Pods that have been ready for `minReadySeconds`.
        pub available_replicas: Option<i32>,
        /// Index of the current step; the number of steps when all are done.
        pub current_step_index: Option<i32>,
        /// How often the name of a ReplicaSet was taken by another template.
        pub collision_count: Option<i32>,
        /// The generation that this status is about, as a decimal string.
        pub observed_generation: Option<String>,
        /// Conditions by type.
        pub conditions: Vec<Condition>,
        /// What only the canary strategy knows; written even if empty.
        pub canary: CanaryStatus,
        /// What only the blue-green strategy knows; written even if empty.
        pub blue_green: BlueGreenStatus,
        /// Pods that an autoscaler counts.
        #[serde(rename = "HPAReplicas")]
        pub hpa_replicas: Option<i32>,
        /// Selector of those pods, as text.
        pub selector: Option<String>,
        /// Hash of the stable revision.
        #[serde(rename = "stableRS")]
        pub stable_rs: Option<String>,
        /// The `restartAt` up to which all pods have been restarted.
        pub restarted_at: Option<Time>,
        /// Set to skip everything that is left of the update.
        pub promote_full: bool,
        /// Healthy, Progressing, Paused or Degraded.
        pub phase: Option<String>,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// The generation of the referenced workload that this status is about, as a decimal string.
        pub workload_observed_generation: Option<String>,
        /// The AWS load balancer, if one Ingress is used.
        pub alb: Option<AlbStatus>,
        /// The AWS load balancers, if several Ingresses are used.
        pub albs: Vec<AlbStatus>,
        /// How long the update has taken.
        pub duration: Option<RolloutDurationStatus>,
        /// What this controller needs beyond the fields above.
        pub serin: Option<SerinStatus>,
    }

    /// One reason why the Rollout is paused.
    pub struct PauseCondition {
        /// CanaryPauseStep, BlueGreenPause, InconclusiveAnalysisRun or InconclusiveExperiment.
        pub reason: String,
        /// Since when.
        pub start_time: Option<Time>,
    }

    /// A condition of a Rollout or an Experiment.
    pub struct Condition {
        /// What it is about, such as Progressing or Available.
        #[serde(rename = "type")]
        pub kind: String,
        /// True, False or Unknown.
        pub status: String,
        /// When it was last written.
        pub last_update_time: Option<Time>,
        /// When `status` last changed.
        pub last_transition_time: Option<Time>,
        /// Why, in one CamelCase word.
        pub reason: String,
        /// Why, in a sentence.
        pub message: String,
    }

    /// What only the canary strategy knows.
    pub struct CanaryStatus {
        /// The AnalysisRun of the current step.
        pub current_step_analysis_run_status: Option<AnalysisRunRef>,
        /// The AnalysisRun beside the steps.
        pub current_background_analysis_run_status: Option<AnalysisRunRef>,
        /// Name of the Experiment of the current step.
        pub current_experiment: Option<String>,
        /// How the traffic is split.
        pub weights: Option<TrafficWeights>,
        /// Which of the two ping-pong Services is stable: `ping` or `pong`.
        pub stable_ping_pong: Option<String>,
        /// What the step plugins answered.
        pub step_plugin_statuses: Vec<StepPluginStatus>,
    }

    /// How the traffic is split.
    pub struct TrafficWeights {
        /// The canary's share.
        pub canary: WeightDestination,
        /// What stable gets.
        pub stable: WeightDestination,
        /// What the pods of experiments get.
        pub additional: Vec<WeightDestination>,
        /// Whether the router was seen to have the weights; absent if it cannot tell.
        pub verified: Option<bool>,
    }

    /// One destination and its weight.
    pub struct WeightDestination {
        /// Weight out of `maxTrafficWeight` (100).
        pub weight: i32,
        /// Name of the Service, if destinations are told apart by Service.
        pub service_name: Option<String>,
        /// Hash of the revision.
        pub pod_template_hash: Option<String>,
    }

    /// An AnalysisRun of a Rollout.
    pub struct AnalysisRunRef {
        /// Name of the AnalysisRun.
        pub name: String,
        /// Its phase.
        pub status: String,
        /// Its message.
        pub message: Option<String>,
    }

    /// What a step plugin answered.
    pub struct StepPluginStatus {
        /// Index of the step.
        pub index: i32,
        /// Name of the plugin.
        pub name: String,
        /// Run, Terminate or Abort.
        pub operation: String,
        /// Running, Successful, Failed or Error.
        pub phase: Option<String>,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// When the operation began.
        pub started_at: Option<Time>,
        /// When the plugin last answered.
        pub updated_at: Option<Time>,
        /// When the operation ended.
        pub finished_at: Option<Time>,
        /// How long to wait before the plugin is asked again.
        pub backoff: Option<DurationString>,
        /// How often the plugin was asked.
        pub executions: Option<i32>,
        /// Whether the plugin is switched off, so that the step counts as done.
        pub disabled: bool,
        /// The plugin's own state.
        #[schemars(schema_with = "crate::value::any_object")]
        pub status: Option<Value>,
    }

    /// What only the blue-green strategy knows.
    pub struct BlueGreenStatus {
        /// Hash that the preview Service selects.
        pub preview_selector: Option<String>,
        /// Hash that the active Service selects.
        pub active_selector: Option<String>,
        /// Whether the new version may grow beyond `previewReplicaCount`.
        pub scale_up_preview_check_point: bool,
        /// The AnalysisRun before the switch.
        pub pre_promotion_analysis_run_status: Option<AnalysisRunRef>,
        /// The AnalysisRun after the switch.
        pub post_promotion_analysis_run_status: Option<AnalysisRunRef>,
    }

    /// An AWS load balancer.
    pub struct AlbStatus {
        /// The load balancer.
        pub load_balancer: Option<AwsResourceRef>,
        /// The target group of the canary.
        pub canary_target_group: Option<AwsResourceRef>,
        /// The target group of stable.
        pub stable_target_group: Option<AwsResourceRef>,
        /// The Ingress that it belongs to.
        pub ingress: Option<String>,
    }

    /// An AWS resource.
    pub struct AwsResourceRef {
        /// Name.
        pub name: String,
        /// Amazon resource name.
        pub arn: String,
        /// Last part of the resource name, as metrics use it.
        pub full_name: Option<String>,
    }

    /// How long the update has taken.
    pub struct RolloutDurationStatus {
        /// When the update began.
        pub rollout_started_at: Option<Time>,
        /// When the manual pause that still lasts began.
        pub manual_pause_started_at: Option<Time>,
        /// Seconds of all manual pauses that have ended.
        pub total_manual_pause_duration_seconds: Option<i64>,
        /// When the update ended.
        pub finished_at: Option<Time>,
        /// Promoted, FastPromoted, Aborted, Superseded, RolledBack or FastRolledBack.
        pub completion_status: Option<String>,
    }

    /// What this controller needs beyond the fields that other tools know.
    pub struct SerinStatus {
        /// The commands obeyed or refused, by `ANNOTATION=TOKEN`, so that each acts once.
        pub handled_commands: BTreeMap<String, HandledCommand>,
        /// Since when the current step cannot go on.
        pub holding_since: Option<Time>,
        /// Seconds of all earlier holds of this step.
        pub held_seconds: Option<i64>,
        /// Why the step cannot go on now.
        pub holds: Vec<HoldStatus>,
        /// When the current step began.
        pub step_started_at: Option<Time>,
        /// The most pods of the new revision that were ever available at once.
        pub progress_available_max: Option<i32>,
        /// Why the update was aborted.
        pub abort_cause: Option<String>,
        /// Pod hashes of the revisions that blue-green promotions put out of service and that still have pods, newest last.
        pub retired_revisions: Vec<String>,
        /// Whether the Deployment of `workloadRef` has given its pods away, so that it may get some again.
        pub workload_replaced: Option<bool>,
    }

    /// A command that was obeyed or refused.
    pub struct HandledCommand {
        /// Value of the annotation; a new value is a new command.
        pub token: String,
        /// Pod hash of the revision that the command was applied to.
        pub revision: String,
        /// When.
        pub at: Option<Time>,
        /// What came of it.
        pub outcome: String,
    }

    /// One reason why the current step cannot go on.
    pub struct HoldStatus {
        /// In one CamelCase word.
        pub reason: String,
        /// In a sentence.
        pub message: String,
        /// Since when.
        pub since: Option<Time>,
    }
}

always_written!(CanaryStatus, BlueGreenStatus, WeightDestination);
