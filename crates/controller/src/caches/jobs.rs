//! The Jobs that take measurements, and of their pods what hinders them or went wrong.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_core::analysis::job::{Job, JobState};

use super::decode::{self, Identity};
use super::references::Index;
use crate::change::{Kind, ObjectName};

/// Why containers never start unless somebody helps.
const HOPELESS: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// All Jobs of AnalysisRuns, and their pods.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<ObjectName, Entry<Job>>,
    /// Jobs by the UID of their AnalysisRun.
    by_run: Index<String, ObjectName>,
    by_uid: BTreeMap<String, ObjectName>,
    pods: BTreeMap<ObjectName, Entry<Trouble>>,
    /// Pods by the UID of their Job.
    pods_by_job: Index<String, ObjectName>,
}

#[derive(Debug)]
struct Entry<T> {
    view: T,
    /// UID of the controller; empty if there is none.
    owner: String,
    uid: String,
    version: String,
}

/// What is wrong with a pod, as sentences.
#[derive(Debug, Default)]
struct Trouble {
    stuck: Option<String>,
    failed: Option<String>,
}

impl Jobs {
    /// Takes in a Job or a pod of one; answers with the UID of the AnalysisRun that it concerns.
    pub(super) fn applied(&mut self, kind: Kind, identity: Identity, object: &Value) -> Option<String> {
        let owner = decode::owner(object).map(|owner| owner.uid).unwrap_or_default();
        let Identity { name, uid, version } = identity;
        self.removed(kind, &name);
        if kind == Kind::Job {
            let view = job(object, &name.name, &uid);
            self.by_run.insert(owner.clone(), name.clone());
            self.by_uid.insert(uid.clone(), name.clone());
            self.jobs.insert(name, Entry { view, owner: owner.clone(), uid, version });
            return Some(owner);
        }
        let view = trouble(object, &name.name);
        self.pods_by_job.insert(owner.clone(), name.clone());
        let run = self.run_of_job(&owner);
        self.pods.insert(name, Entry { view, owner, uid, version });
        run
    }

    /// Forgets a Job or a pod of one; answers as [`Jobs::applied`].
    pub(super) fn removed(&mut self, kind: Kind, name: &ObjectName) -> Option<String> {
        if kind == Kind::Job {
            let old = self.jobs.remove(name)?;
            self.by_run.remove(&old.owner, name);
            self.by_uid.remove(&old.uid);
            return Some(old.owner);
        }
        let old = self.pods.remove(name)?;
        self.pods_by_job.remove(&old.owner, name);
        self.run_of_job(&old.owner)
    }

    /// The Jobs of an AnalysisRun, by name.
    pub(super) fn of_run(&self, uid: &str) -> BTreeMap<String, Job> {
        let uid = uid.to_owned();
        let jobs = self.by_run.get(&uid).filter_map(|name| self.jobs.get(name));
        jobs.map(|entry| {
            let pods: Vec<&Trouble> =
                self.pods_by_job.get(&entry.uid).filter_map(|pod| self.pods.get(pod)).map(|pod| &pod.view).collect();
            let stuck = pods.iter().find_map(|pod| pod.stuck.clone());
            let failed_pod = pods.iter().rev().find_map(|pod| pod.failed.clone());
            (entry.view.name.clone(), Job { stuck, failed_pod, ..entry.view.clone() })
        })
        .collect()
    }

    /// Version and UID of a Job or a pod of one.
    pub(super) fn shown(&self, kind: Kind, name: &ObjectName) -> Option<(&String, &String)> {
        if kind == Kind::Job {
            self.jobs.get(name).map(|entry| (&entry.version, &entry.uid))
        } else {
            self.pods.get(name).map(|entry| (&entry.version, &entry.uid))
        }
    }

    /// The names of all Jobs or of all their pods.
    pub(super) fn names(&self, kind: Kind) -> Box<dyn Iterator<Item = ObjectName> + '_> {
        if kind == Kind::Job { Box::new(self.jobs.keys().cloned()) } else { Box::new(self.pods.keys().cloned()) }
    }

    fn run_of_job(&self, uid: &str) -> Option<String> {
        self.by_uid.get(uid).and_then(|name| self.jobs.get(name)).map(|entry| entry.owner.clone())
    }
}

fn job(object: &Value, name: &str, uid: &str) -> Job {
    let condition = |kind: &str| {
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array)?;
        conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    let state = if let Some(failed) = condition("Failed") {
        JobState::Failed { reason: text(failed, "reason"), message: text(failed, "message") }
    } else if condition("Complete").is_some() {
        JobState::Complete
    } else {
        JobState::Running
    };
    Job {
        name: name.to_owned(),
        uid: uid.to_owned(),
        state,
        deleting: object.pointer("/metadata/deletionTimestamp").is_some_and(|stamp| !stamp.is_null()),
        stuck: None,
        failed_pod: None,
    }
}

fn trouble(pod: &Value, name: &str) -> Trouble {
    let containers = ["initContainerStatuses", "containerStatuses"].into_iter().flat_map(|field| {
        pod.pointer("/status").and_then(|status| status.get(field)).and_then(Value::as_array).into_iter().flatten()
    });
    let mut trouble = Trouble::default();
    for container in containers {
        let (state, container) = (&container["state"], text(container, "name"));
        let reason = text(&state["waiting"], "reason");
        if HOPELESS.contains(&reason.as_str()) {
            // Argo Rollouts' words.
            let message = text(&state["waiting"], "message");
            let stuck = format!("Pod {name}, container {container} has terminal error ({reason}): {message}");
            trouble.stuck.get_or_insert(stuck);
        }
        let (code, reason) = (state["terminated"]["exitCode"].as_i64(), text(&state["terminated"], "reason"));
        if let Some(code) = code.filter(|code| *code != 0) {
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            let failed = format!("Pod {name}, container {container} ended with exit code {code}{why}");
            trouble.failed.get_or_insert(failed);
        }
    }
    let reason = pod.pointer("/status/reason").and_then(Value::as_str).unwrap_or_default();
    if trouble.failed.is_none() && !reason.is_empty() && pod.pointer("/status/phase") == Some(&Value::from("Failed")) {
        trouble.failed = Some(format!("Pod {name} failed ({reason})"));
    }
    trouble
}

fn text(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(name: &str) -> Identity {
        Identity { name: ObjectName::new("shop", name), uid: format!("uid of {name}"), version: "1".to_owned() }
    }

    fn owned_by(owner: &str, status: &Value) -> Value {
        json!({"metadata": {"ownerReferences": [{"controller": true, "uid": owner}]}, "status": status})
    }

    #[track_caller]
    fn check_state(what: &str, status: &Value, expected: &JobState) {
        let mut jobs = Jobs::default();
        assert_eq!(jobs.applied(Kind::Job, named("j"), &owned_by("run", status)).as_deref(), Some("run"));
        assert_eq!(&jobs.of_run("run")["j"].state, expected, "{what}");
    }

    #[test]
    fn conditions_say_how_far_a_job_is() {
        let condition = |kind: &str, status: &str| json!({"conditions": [{"type": kind, "status": status}]});
        check_state("nothing yet", &Value::Null, &JobState::Running);
        check_state("complete", &condition("Complete", "True"), &JobState::Complete);
        check_state("suspended", &condition("Suspended", "True"), &JobState::Running);
        check_state("about to fail", &condition("FailureTarget", "True"), &JobState::Running);
        check_state("not failed", &condition("Failed", "False"), &JobState::Running);
        let failed = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "R", "message": "m"}]});
        check_state("failed", &failed, &JobState::Failed { reason: "R".into(), message: "m".into() });
    }

    #[track_caller]
    fn check_pod(what: &str, status: &Value, stuck: Option<&str>, failed: Option<&str>) {
        let mut jobs = Jobs::default();
        let pod = |jobs: &mut Jobs| jobs.applied(Kind::JobPod, named("p"), &owned_by("uid of j", status));
        assert_eq!(pod(&mut jobs), None, "{what}: its Job is not known yet");
        jobs.applied(Kind::Job, named("j"), &owned_by("run", &Value::Null));
        assert_eq!(pod(&mut jobs).as_deref(), Some("run"), "{what}");
        let job = jobs.of_run("run").remove("j").expect("a Job");
        assert_eq!((job.stuck.as_deref(), job.failed_pod.as_deref()), (stuck, failed), "{what}");
        assert_eq!(jobs.removed(Kind::JobPod, &named("p").name).as_deref(), Some("run"));
        assert_eq!((&jobs.of_run("run")["j"].stuck, &jobs.of_run("run")["j"].failed_pod), (&None, &None), "{what}");
    }

    #[test]
    fn pods_say_what_hinders_them_and_how_they_failed() {
        let waiting =
            |reason: &str| json!([{"name": "c", "state": {"waiting": {"reason": reason, "message": "not found"}}}]);
        let pull = "Pod p, container c has terminal error (ErrImagePull): not found";
        check_pod("no image", &json!({"containerStatuses": waiting("ErrImagePull")}), Some(pull), None);
        check_pod("no image at first", &json!({"initContainerStatuses": waiting("ErrImagePull")}), Some(pull), None);
        check_pod("on its way", &json!({"containerStatuses": waiting("ContainerCreating")}), None, None);
        let ended = |code: i64| json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code, "reason": "Error"}}}]});
        let failed = "Pod p, container c ended with exit code 3 (Error)";
        check_pod("a bad end", &ended(3), None, Some(failed));
        check_pod("a good end", &ended(0), None, None);
        check_pod("evicted", &json!({"phase": "Failed", "reason": "Evicted"}), None, Some("Pod p failed (Evicted)"));
    }

    #[test]
    fn jobs_that_are_gone_are_forgotten() {
        let mut jobs = Jobs::default();
        jobs.applied(Kind::Job, named("j"), &owned_by("run", &Value::Null));
        assert_eq!(jobs.names(Kind::Job).collect::<Vec<_>>(), [named("j").name]);
        assert_eq!(jobs.removed(Kind::Job, &named("j").name).as_deref(), Some("run"));
        assert_eq!(jobs.removed(Kind::Job, &named("j").name), None);
        assert!(jobs.of_run("run").is_empty() && jobs.shown(Kind::Job, &named("j").name).is_none());
    }
}
