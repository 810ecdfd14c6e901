//! The binary as a process, and requests to it.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_workload::{Counts, Second};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// What takes longer than this never comes; far beyond any test on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition that nothing announces.
const LOOK: Duration = Duration::from_millis(5);

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Kept open, as the process writes to it.
    lines: Lines<BufReader<ChildStdout>>,
    /// Where it listens.
    pub(crate) address: String,
}

/// The binary with nothing in its environment but `variables`.
pub(crate) fn command(subcommand: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin-workload"));
    command.arg(subcommand).env_clear().envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A server of this version, with further variables.
pub(crate) async fn server(version: &str, variables: &[(&str, &str)]) -> Process {
    let mut all = vec![("VERSION", version), ("LISTEN", "127.0.0.1"), ("PORT", "0"), ("HOSTNAME", "pod-1")];
    all.extend(variables);
    Process::start(command("serve", &all)).await
}

/// A generator against this address, with further variables.
pub(crate) async fn load(address: &str, variables: &[(&str, &str)]) -> Process {
    let target = format!("http://{address}/");
    let mut all = vec![("TARGET", target.as_str()), ("LISTEN", "127.0.0.1"), ("PORT", "0")];
    all.extend(variables);
    Process::start(command("load", &all)).await
}

impl Process {
    async fn start(mut command: Command) -> Process {
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("the output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await.expect("readable").expect("a first line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["event"], "listening", "{line}");
        let address = line["address"].as_str().expect("an address").to_owned();
        Process { child, lines, address }
    }

    /// Asks it to end.
    pub(crate) async fn terminate(&self) {
        let id = self.child.id().expect("it runs");
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await;
        assert!(status.expect("a shell").success());
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        in_time("the end of the process", async {
            // Read to the end, so that it is not held up by what it writes.
            while self.lines.next_line().await.expect("readable").is_some() {}
            self.child.wait().await.expect("it ends")
        })
        .await
    }

    /// The answer to a GET, on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        Conversation::open(&self.address).await.ask(Method::GET, path).await
    }

    /// Waits until /readyz has this status.
    pub(crate) async fn ready_is(&self, status: u16) {
        in_time("readiness", async {
            while self.get("/readyz").await.status != status {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Waits until this line is among the server's metrics.
    pub(crate) async fn shows(&self, line: &str) {
        in_time(line, async {
            while !self.get("/metrics").await.text.lines().any(|found| found == line) {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }

    pub(crate) async fn post(&self, path: &str) -> Reply {
        Conversation::open(&self.address).await.ask(Method::POST, path).await
    }

    /// The generator's counts.
    pub(crate) async fn counts(&self) -> Counts {
        self.get("/counts").await.json()
    }

    /// The generator's seconds.
    pub(crate) async fn seconds(&self) -> Vec<Second> {
        self.get("/seconds?from=0").await.json()
    }

    /// The generator's counts when it has stopped and nothing is pending.
    pub(crate) async fn drain(&self) -> Counts {
        self.post("/drain").await.json()
    }

    /// Waits until the generator's counts are as wanted. They add up at each look.
    pub(crate) async fn until(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        in_time("the counts", async {
            loop {
                let counts = self.counts().await;
                let ended = counts.answered_total() + counts.failed_total();
                assert_eq!(counts.sent, ended + counts.pending, "{counts:?}");
                if wanted(&counts) {
                    return counts;
                }
                tokio::time::sleep(LOOK).await;
            }
        })
        .await
    }
}

/// A test that waits in vain fails instead of standing still.
async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    /// The value of a header; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// One connection.
pub(crate) struct Conversation(SendRequest<Empty<Bytes>>);

impl Conversation {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake sends nothing");
        tokio::spawn(connection);
        Conversation(sender)
    }

    pub(crate) async fn ask(&mut self, method: Method, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).header("host", "test").body(Empty::new());
        let response = in_time(path, self.0.send_request(request.expect("a request"))).await.expect("an answer");
        let (head, body) = response.into_parts();
        let text = body.collect().await.expect("a whole answer").to_bytes();
        Reply { status: head.status, headers: head.headers, text: String::from_utf8_lossy(&text).into() }
    }

    /// Whether the other side lets go of it, as it says in its answer.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.0.ready().await.is_err()
    }
}
