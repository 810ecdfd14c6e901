//! The Experiments of a [`World`]: decided about and brought about beside the Rollout, each with its own ReplicaSets.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use serin_api::{AnalysisRun, Experiment, ExperimentStatus, labels};

use super::effects::{follow, hand_over, merge_replica_set, replica_set};
use super::world::{World, image, words};
use crate::experiment;
use crate::plan::{Effect, Wake};
use crate::rollout::observed::{Found, ReplicaSet};

/// What Experiments have created, with the name of the Experiment.
#[derive(Clone, Debug, Default)]
pub(super) struct Lab {
    replica_sets: Vec<(String, ReplicaSet)>,
    runs: Vec<(String, Arc<AnalysisRun>)>,
}

impl World {
    /// Names of the Experiments that are there, with their phases.
    pub(super) fn experiments(&self) -> Vec<String> {
        let all = self.observed.experiments.iter();
        all.map(|e| format!("{} {}", name(e), status(e).phase.unwrap_or_default())).collect()
    }

    /// The ReplicaSet of an Experiment's template.
    pub(super) fn experiment_rs(&self, template: &str) -> &ReplicaSet {
        let found = self.lab.replica_sets.iter().map(|(_, rs)| rs);
        let mut found = found.filter(|rs| rs.annotations[labels::EXPERIMENT_TEMPLATE_NAME] == template);
        found.next_back().unwrap_or_else(|| panic!("there is no ReplicaSet of {template}"))
    }

    /// The AnalysisRuns of all Experiments.
    pub(super) fn experiment_runs(&self) -> Vec<&AnalysisRun> {
        self.lab.runs.iter().map(|(_, run)| &**run).collect()
    }

    /// Gives a phase to every run of an Experiment that has none or goes on.
    pub(super) fn report_experiments(&mut self, phase: &str, message: &str) {
        for (_, run) in &mut self.lab.runs {
            if run.status.as_ref().is_none_or(|status| status.phase == "Running") {
                let status = json!({"phase": phase, "message": message});
                Arc::make_mut(run).status = Some(serde_json::from_value(status).expect("a status"));
            }
        }
    }

    /// Asks an Experiment to end.
    pub(super) fn terminate_experiment(&mut self, wanted: &str) {
        let mut all = self.observed.experiments.iter_mut();
        let found = all.find(|experiment| name(experiment) == wanted).expect("an Experiment");
        Arc::make_mut(found).spec.terminate = true;
    }

    /// Gives an Experiment to an instance of the controller.
    pub(super) fn hand_over_experiment(&mut self, wanted: &str, instance: Option<&String>) {
        let mut all = self.observed.experiments.iter_mut();
        let found = all.find(|experiment| name(experiment) == wanted).expect("an Experiment");
        hand_over(&mut Arc::make_mut(found).metadata.labels, instance);
    }

    pub(super) fn create_experiment(&mut self, object: &Value) {
        let mut experiment: Experiment = serde_json::from_value(object.clone()).expect("an Experiment");
        let name = experiment.metadata.name.clone().expect("a name");
        if self.observed.experiments.iter().any(|other| other.metadata.name.as_ref() == Some(&name)) {
            return;
        }
        experiment.metadata.uid = Some(format!("uid-{name}"));
        self.observed.experiments.push(Arc::new(experiment));
    }

    /// An Experiment takes along what it owns.
    pub(super) fn delete_experiment(&mut self, gone: &str) {
        self.observed.experiments.retain(|experiment| name(experiment) != gone);
        self.lab.replica_sets.retain(|(owner, _)| owner != gone);
        self.lab.runs.retain(|(owner, _)| owner != gone);
        let uid = format!("uid-{gone}");
        self.observed.experiment_services.retain(|_, raw| raw.object["metadata"]["ownerReferences"][0]["uid"] != *uid);
        self.let_experiments_live();
    }

    /// Decides about every Experiment, and lets no more than some effects of each come true; says whether anything changed,
    /// and when the next is due.
    pub(super) fn turn_experiments(&mut self, effects_max: usize) -> (bool, Option<Wake>) {
        let (mut has_changed, mut wake) = (false, None);
        let instance = self.observed.settings.instance_id.clone();
        let served = self.observed.experiments.iter().filter(|e| instance_of(e) == instance.as_ref());
        let names: Vec<String> = served.map(|e| name(e).to_owned()).collect();
        for own in names {
            let plan = experiment::decide(&self.observe_experiment(&own));
            has_changed |= plan.status.is_some() || !plan.effects.is_empty() || !plan.events.is_empty();
            wake = Wake::earlier(wake, plan.wake);
            if let Some(status) = &plan.status {
                let wire = serde_json::to_value(status).expect("JSON");
                let mut all = self.observed.experiments.iter_mut();
                let found = all.find(|experiment| name(experiment) == own).expect("an Experiment");
                Arc::make_mut(found).status = Some(serde_json::from_value(wire).expect("a status"));
            }
            for planned in plan.effects.iter().take(effects_max) {
                self.bring_about_for(&own, &planned.effect);
                self.told.extend(planned.event.as_ref().map(words));
            }
            self.told.extend(plan.events.iter().map(words));
        }
        self.let_experiments_live();
        (has_changed, wake)
    }

    /// What a decision about an Experiment would be made from.
    pub(super) fn observe_experiment(&self, own: &str) -> experiment::Observed {
        let found = self.observed.experiments.iter().find(|experiment| name(experiment) == own);
        let of_it = |(owner, _): &&(String, ReplicaSet)| owner == own;
        experiment::Observed {
            now: self.observed.now,
            experiment: found.expect("an Experiment").clone(),
            replica_sets: self.lab.replica_sets.iter().filter(of_it).map(|(_, rs)| rs.clone()).collect(),
            taken: BTreeSet::new(),
            services: self.observed.experiment_services.clone(),
            analysis_runs: self.lab.runs.iter().filter(|(owner, _)| owner == own).map(|(_, run)| run.clone()).collect(),
            templates: self.observed.templates.clone(),
            virtual_services: self.observed.virtual_services.values().filter_map(Found::present).cloned().collect(),
            control_plane: self.observed.control_plane,
            settings: self.observed.settings.clone(),
        }
    }

    fn bring_about_for(&mut self, own: &str, effect: &Effect) {
        let now = self.observed.now;
        match effect {
            Effect::CreateReplicaSet { object } => {
                self.lab.replica_sets.push((own.to_owned(), replica_set(object, now)));
            }
            Effect::ScaleReplicaSet { name, replicas, annotations, .. } => {
                let mut all = self.lab.replica_sets.iter_mut().map(|(_, rs)| rs);
                let rs = all.find(|rs| rs.name == *name).expect("a ReplicaSet");
                rs.replicas = *replicas;
                merge_replica_set(rs, &json!({"metadata": {"annotations": annotations}}));
            }
            Effect::CreateService { object } => {
                let mut object = object.clone();
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                object["metadata"]["uid"] = json!(format!("uid-{name}"));
                let mut raw = self.raw(object);
                raw.seen_at = now;
                self.observed.experiment_services.insert(name, raw);
            }
            Effect::DeleteService { name, .. } => drop(self.observed.experiment_services.remove(name)),
            Effect::CreateAnalysisRun { object } => {
                let mut run: AnalysisRun = serde_json::from_value(object.clone()).expect("a run");
                run.metadata.uid = run.metadata.name.as_ref().map(|name| format!("uid-{name}"));
                self.lab.runs.push((own.to_owned(), Arc::new(run)));
            }
            Effect::ClaimAnalysisRun { name, instance, .. } => {
                let mut all = self.lab.runs.iter_mut().map(|(_, run)| run);
                let run = all.find(|run| run.metadata.name.as_ref() == Some(name)).expect("a run");
                hand_over(&mut Arc::make_mut(run).metadata.labels, instance.as_ref());
            }
            Effect::TerminateAnalysisRun { name } => {
                let mut all = self.lab.runs.iter_mut().map(|(_, run)| run);
                let run = all.find(|run| run.metadata.name.as_ref() == Some(name)).expect("a run");
                let run = Arc::make_mut(run);
                run.spec.terminate = true;
                run.status = Some(serde_json::from_value(json!({"phase": "Successful"})).expect("a status"));
            }
            Effect::SetRolloutReplicas { .. }
            | Effect::AnnotateRollout { .. }
            | Effect::AdoptReplicaSet { .. }
            | Effect::PatchReplicaSet { .. }
            | Effect::DeleteReplicaSet { .. }
            | Effect::RelabelPod { .. }
            | Effect::EvictPod { .. }
            | Effect::ScaleDeployment { .. }
            | Effect::ApplyRoutes { .. }
            | Effect::ApplySubsets { .. }
            | Effect::SwitchService { .. }
            | Effect::CreateExperiment { .. }
            | Effect::ClaimExperiment { .. }
            | Effect::TerminateExperiment { .. }
            | Effect::DeleteExperiment { .. }
            | Effect::DeleteAnalysisRun { .. }
            | Effect::DeleteJob { .. } => panic!("an Experiment does not {effect:?}"),
        }
        self.let_experiments_live();
    }

    /// Pods of Experiments follow their ReplicaSets.
    pub(super) fn let_experiments_live(&mut self) {
        let now = self.observed.now;
        for (_, rs) in &mut self.lab.replica_sets {
            let ready_max = if self.broken.contains(image(&rs.template)) { 0 } else { usize::MAX };
            follow(rs, &mut self.observed.experiment_pods, ready_max, now);
        }
        let exists = |name: &str| self.lab.replica_sets.iter().any(|(_, rs)| rs.name == name);
        self.observed.experiment_pods.retain(|pod| exists(&pod.replica_set));
    }
}

fn name(experiment: &Experiment) -> &str {
    experiment.metadata.name.as_deref().unwrap_or_default()
}

fn instance_of(experiment: &Experiment) -> Option<&String> {
    experiment.metadata.labels.as_ref().and_then(|all| all.get(labels::INSTANCE_ID))
}

fn status(experiment: &Experiment) -> ExperimentStatus {
    experiment.status.clone().unwrap_or_default()
}
