//! The real `kubectl` against the simulated API server, over HTTP on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::json;
use serin_sim::clock::WallClock;
use serin_sim::cluster::{Cluster, ROLLOUTS};
use tokio::sync::oneshot;

const ROLLOUT: &str = r#"
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: reviews}
spec:
  replicas: 2
  selector: {matchLabels: {app: reviews}}
  template:
    metadata: {labels: {app: reviews}}
    spec: {containers: [{name: reviews, image: "reviews:1"}]}
  strategy: {canary: {steps: [{setWeight: 10}, {pause: {}}]}}
"#;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: ratings}
spec:
  selector: {matchLabels: {app: ratings}}
  template:
    metadata: {labels: {app: ratings}}
    spec:
      containers:
        - {name: ratings, image: "ratings:1", ports: [{containerPort: 9080}]}
        - {name: proxy, image: "proxy:1"}
"#;

const CONFIG_MAP: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red, shape: round}
"#;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: finches.birds.example}
spec:
  group: birds.example
  scope: Namespaced
  names: {plural: finches, singular: finch, kind: Finch, shortNames: [fi]}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {song: {type: string}, wings: {type: integer, default: 2}}}}
      additionalPrinterColumns: [{name: Song, type: string, jsonPath: .spec.song}]
"#;

/// A served cluster, and a kubectl that knows only that one.
struct Bench {
    cluster: Cluster,
    folder: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Bench {
    /// Nothing where kubectl is not installed: then there is nothing to test with.
    fn start(name: &str) -> Option<Self> {
        let found = Command::new("kubectl").args(["version", "--client"]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            println!("kubectl is not on the PATH: {name} was not tested");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kubectl-{name}"));
        fs::create_dir_all(&folder).unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "sim",
            "clusters": [{"name": "sim", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "sim", "user": {}}],
            "contexts": [{"name": "sim", "context": {"cluster": "sim", "user": "sim", "namespace": "default"}}],
        });
        fs::write(folder.join("config"), config.to_string()).unwrap();
        let cluster = Cluster::new(Arc::new(WallClock));
        let (stop, stopped) = oneshot::channel::<()>();
        let served = cluster.clone();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let shutdown = async move { drop(stopped.await) };
                served.serve(listener, shutdown).await.unwrap();
            });
        });
        Some(Self { cluster, folder, stop: Some(stop), server: Some(server) })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("KUBECONFIG", self.folder.join("config"))
            .stdin(Stdio::null());
        command
    }

    /// Runs kubectl; what it printed counts whether it succeeded or not.
    fn kubectl(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn check(&self, arguments: &[&str], expected: &str) {
        let (succeeded, text) = self.kubectl(arguments);
        assert!(succeeded && text.trim_end() == expected, "kubectl {arguments:?} said:\n{text}");
    }

    fn check_refused(&self, arguments: &[&str], expected: &str) {
        let (succeeded, text) = self.kubectl(arguments);
        assert!(!succeeded && text.contains(expected), "kubectl {arguments:?} said:\n{text}");
    }

    /// Pipes a manifest into a kubectl command that ends in `-f -`.
    fn pipe(&self, arguments: &[&str], manifest: &str) -> (bool, String) {
        let mut child = self
            .command(&[arguments, &["-f", "-"]].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn apply(&self, manifest: &str, expected: &str) {
        let (succeeded, text) = self.pipe(&["apply"], manifest);
        assert!(succeeded && text.trim_end() == expected, "kubectl apply said:\n{text}");
    }

    /// The columns of the one row that kubectl prints for an object, without its age.
    fn row(&self, arguments: &[&str]) -> Vec<String> {
        let (succeeded, text) = self.kubectl(&[arguments, &["--no-headers"]].concat());
        assert!(succeeded, "{text}");
        let mut cells: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        cells.pop();
        cells
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            let ended = server.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}

#[test]
fn a_rollout_is_applied_shown_changed_and_deleted() {
    let Some(bench) = Bench::start("rollout") else {
        return;
    };
    bench.apply(ROLLOUT, "rollout.argoproj.io/reviews created");
    bench.apply(ROLLOUT, "rollout.argoproj.io/reviews unchanged");
    bench.apply(&ROLLOUT.replace("replicas: 2", "replicas: 3"), "rollout.argoproj.io/reviews configured");
    let status = r#"{"status": {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2, "HPAReplicas": 3}}"#;
    bench.check(
        &["patch", "ro", "reviews", "--subresource=status", "--type=merge", "-p", status],
        "rollout.argoproj.io/reviews patched",
    );
    assert_eq!(bench.row(&["get", "ro", "reviews"]), ["reviews", "3", "3", "1", "2"]);
    bench.check(&["annotate", "rollout", "reviews", "serin.dev/promote=now"], "rollout.argoproj.io/reviews annotated");
    let live = bench.cluster.get(&ROLLOUTS, "default", "reviews").unwrap();
    assert_eq!(live["metadata"]["annotations"]["serin.dev/promote"], "now");
    assert_eq!(live["metadata"]["generation"], 2, "an annotation is no change of the spec");
    bench.check(&["label", "ro", "reviews", "team=a"], "rollout.argoproj.io/reviews labeled");
    bench.check(&["scale", "ro", "reviews", "--replicas=5"], "rollout.argoproj.io/reviews scaled");
    bench.check(&["get", "ro", "-l", "team=a", "-o", "jsonpath={.items[0].spec.replicas}"], "5");
    bench.check_refused(
        &["patch", "ro", "reviews", "--type=json", "-p", r#"[{"op": "test", "path": "/spec/replicas", "value": 1}]"#],
        "The request is invalid",
    );
    bench.check_refused(
        &["patch", "ro", "reviews", "--type=merge", "-p", r#"{"spec": {"replicas": "many"}}"#],
        "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer",
    );
    bench.check_refused(
        &["patch", "ro", "reviews", "--type=merge", "-p", r#"{"spec": {"selector": {"matchLabels": {"app": "x"}}}}"#],
        "spec.selector: Invalid value: \"object\": .spec.selector is immutable",
    );
    bench.check(&["delete", "ro", "reviews"], "rollout.argoproj.io \"reviews\" deleted");
    bench.check_refused(
        &["get", "ro", "reviews"],
        "Error from server (NotFound): rollouts.argoproj.io \"reviews\" not found",
    );
}

#[test]
fn a_deployment_is_patched_by_container_name() {
    let Some(bench) = Bench::start("deployment") else {
        return;
    };
    bench.apply(DEPLOYMENT, "deployment.apps/ratings created");
    bench.check(&["set", "image", "deploy/ratings", "ratings=ratings:2"], "deployment.apps/ratings image updated");
    let patch = r#"{"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "proxy:2"}]}}}}"#;
    bench.check(&["patch", "deploy", "ratings", "-p", patch], "deployment.apps/ratings patched");
    let images = "jsonpath={.spec.template.spec.containers[*].image}";
    bench.check(&["get", "deploy", "ratings", "-o", images], "ratings:2 proxy:2");
    bench.check(&["scale", "deploy", "ratings", "--replicas=4"], "deployment.apps/ratings scaled");
    assert_eq!(bench.row(&["get", "deploy", "ratings"]), ["ratings", "0/4", "0", "0"]);
    bench.apply(&DEPLOYMENT.replace("ratings:1", "ratings:3"), "deployment.apps/ratings configured");
    bench.check(&["get", "deploy", "ratings", "-o", images], "ratings:3 proxy:1");
}

#[test]
fn waiting_and_watching_follow_the_changes() {
    let Some(bench) = Bench::start("watch") else {
        return;
    };
    bench.apply(ROLLOUT, "rollout.argoproj.io/reviews created");
    let watching = Watching::start(&bench, &["get", "ro", "-w", "--no-headers"]);
    let waiting = Watching::start(&bench, &["wait", "--for=condition=Healthy", "ro/reviews", "--timeout=60s"]);
    let first = watching.line();
    assert!(first.starts_with("reviews   2"), "{first}");
    let healthy = json!({"replicas": 7, "conditions": [{"type": "Healthy", "status": "True"}]});
    let modified = bench.cluster.modify(&ROLLOUTS, "default", "reviews", |rollout| rollout["status"] = healthy);
    modified.unwrap();
    let second = watching.line();
    assert_eq!(second.split_whitespace().nth(2), Some("7"), "{second}");
    assert_eq!(waiting.line(), "rollout.argoproj.io/reviews condition met");
    bench.check_refused(
        &["wait", "--for=condition=Paused", "ro/reviews", "--timeout=1s"],
        "timed out waiting for the condition",
    );
}

#[test]
fn server_side_apply_knows_who_set_what() {
    let Some(bench) = Bench::start("apply") else {
        return;
    };
    let apply =
        |arguments: &[&str], manifest: &str| bench.pipe(&[&["apply", "--server-side"], arguments].concat(), manifest);
    let (succeeded, text) = apply(&[], CONFIG_MAP);
    assert!(succeeded && text.trim_end() == "configmap/settings serverside-applied", "{text}");
    let recoloured = CONFIG_MAP.replace("red", "blue").replace(", shape: round", "");
    let (succeeded, text) = apply(&["--field-manager=other"], &recoloured);
    assert!(!succeeded && text.contains("conflict with \"kubectl\": .data.colour"), "{text}");
    let (succeeded, text) = apply(&["--field-manager=other", "--force-conflicts"], &recoloured);
    assert!(succeeded, "{text}");
    bench.check(&["get", "cm", "settings", "-o", "jsonpath={.data}"], r#"{"colour":"blue","shape":"round"}"#);
    let (succeeded, text) = apply(&[], &CONFIG_MAP.replace("colour: red, shape: round", "size: big"));
    assert!(succeeded, "{text}");
    bench.check(&["get", "cm", "settings", "-o", "jsonpath={.data}"], r#"{"colour":"blue","size":"big"}"#);
}

#[test]
fn kubectl_create_works_for_the_small_kinds() {
    let Some(bench) = Bench::start("create") else {
        return;
    };
    bench.check(&["create", "namespace", "shop"], "namespace/shop created");
    bench.check(&["get", "ns", "shop", "-o", "jsonpath={.status.phase}"], "Active");
    bench.check(&["create", "secret", "generic", "s", "-n", "shop", "--from-literal=a=hush"], "secret/s created");
    bench.check(&["get", "secret", "s", "-n", "shop", "-o", "jsonpath={.data.a}"], "aHVzaA==");
    bench.check(&["create", "cm", "c", "-n", "shop", "--from-literal=a=b"], "configmap/c created");
    bench.check_refused(&["create", "job", "j", "--image=x"], "accepted media types include: application/json");
    bench.check(&["delete", "ns", "shop"], "namespace \"shop\" deleted");
    bench.check_refused(&["get", "cm", "c", "-n", "shop"], "not found");
}

#[test]
fn a_definition_makes_its_kind_known() {
    let Some(bench) = Bench::start("definition") else {
        return;
    };
    let finch = "apiVersion: birds.example/v1\nkind: Finch\nmetadata: {name: serin}\nspec: {song: trill}\n";
    let (succeeded, text) = bench.pipe(&["apply"], finch);
    assert!(!succeeded && text.contains("no matches for kind \"Finch\""), "{text}");
    bench.apply(DEFINITION, "customresourcedefinition.apiextensions.k8s.io/finches.birds.example created");
    bench.check(
        &["wait", "--for=condition=Established", "crd/finches.birds.example", "--timeout=30s"],
        "customresourcedefinition.apiextensions.k8s.io/finches.birds.example condition met",
    );
    bench.apply(finch, "finch.birds.example/serin created");
    let (succeeded, text) = bench.kubectl(&["get", "fi", "serin", "--no-headers"]);
    assert!(succeeded && text.trim_end() == "serin   trill", "{text}");
    bench.check(&["get", "fi", "serin", "-o", "jsonpath={.spec.wings}"], "2");
}

/// A kubectl that runs until it is dropped, and its lines one by one.
struct Watching {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Watching {
    fn start(bench: &Bench, arguments: &[&str]) -> Self {
        let mut child = bench.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line; a kubectl that says nothing for a minute has failed.
    fn line(&self) -> String {
        let minute = std::time::Duration::from_secs(60);
        self.lines.recv_timeout(minute).expect("kubectl prints a line")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
