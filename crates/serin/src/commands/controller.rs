//! `serin controller`: runs the controller against a cluster.

use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use serin_controller::ObjectName;
use serin_core::analysis::sample::Semantics;
use serin_core::time::parse_duration;
use tracing_subscriber::EnvFilter;

use crate::cluster;
use crate::console::Console;
use crate::exit::{BadInput, Exit};

const EXAMPLES: &str = "\
Examples:
  serin controller --namespace shop --leader-elect=false
  serin controller --instance-id blue --log-format json

Inside a cluster the service account of the pod is used; elsewhere KUBECONFIG or ~/.kube/config.
The process ends when leadership is lost; whoever runs it should start it again.";

/// Which rules decide what absent data means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AnalysisSemantics {
    /// No data and an unreachable source hold the step.
    #[default]
    Serin,
    /// As Argo Rollouts: they count against the limits of the metric.
    Argo,
}

/// How to write the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Run the controller against a cluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Controller {
    /// Serve only the Rollouts, Experiments and AnalysisRuns that carry this instance label; without it, only those
    /// without the label.
    #[arg(long, env = "SERIN_INSTANCE_ID", value_name = "ID")]
    instance_id: Option<String>,
    /// The only namespace to serve [default: all].
    #[arg(short, long, env = "SERIN_NAMESPACE", value_name = "NS")]
    namespace: Option<String>,
    /// Whether several replicas elect one that works.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    leader_elect: bool,
    /// Namespace of the Lease [default: that of this pod, else serin].
    #[arg(long, env = "POD_NAMESPACE", value_name = "NS")]
    lease_namespace: Option<String>,
    /// Who this replica is; unique among the replicas [default: HOST_PID-START].
    #[arg(long, env = "SERIN_IDENTITY", value_name = "NAME")]
    identity: Option<String>,
    /// Port of /metrics.
    #[arg(long, alias = "metricsPort", value_name = "PORT", default_value_t = 8090)]
    metrics_port: u16,
    /// Port of /healthz and /readyz.
    #[arg(long, alias = "healthzPort", value_name = "PORT", default_value_t = 8080)]
    healthz_port: u16,
    /// Number of reconciles at a time.
    #[arg(long, alias = "rollout-threads", value_name = "N", default_value_t = 10, value_parser = workers)]
    workers: usize,
    /// How long the mesh is given to take over a change before the next one may rely on it.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = delay)]
    propagation_delay: TimeDelta,
    /// The Service of Istio's control plane, as NAMESPACE/NAME: while it has no ready endpoint, and until proxies have
    /// found it again, changes of the mesh wait; empty to go by the propagation delay alone.
    #[arg(long, env = "SERIN_ISTIOD", value_name = "NS/NAME", default_value = "istio-system/istiod", value_parser = istiod)]
    istiod: Istiod,
    /// How long proxies are given to find istiod again after it was away.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = delay)]
    proxy_reconnect: TimeDelta,
    /// Which rules decide what absent data means, unless an annotation says otherwise.
    #[arg(long, value_enum, default_value_t)]
    analysis_semantics: AnalysisSemantics,
    /// Address of Prometheus for metrics that name none.
    #[arg(long, env = "ARGO_ROLLOUTS_PROMETHEUS_ADDRESS", value_name = "URL")]
    prometheus_address: Option<String>,
    /// Version of networking.istio.io [default: the newest that the cluster serves].
    #[arg(long, value_name = "VERSION")]
    istio_api_version: Option<String>,
    /// How to write the log.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// What to log: error, warn, info, debug, trace, or a filter such as info,serin_controller=debug.
    #[arg(long, env = "RUST_LOG", value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        Ok(_) | Err(_) => Err("must be a number from 1 to 1000".to_owned()),
    }
}

/// Where istiod is, if it is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Istiod(Option<ObjectName>);

fn istiod(text: &str) -> Result<Istiod, String> {
    if text.is_empty() {
        return Ok(Istiod(None));
    }
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(Istiod(Some(ObjectName::new(namespace, name))))
        }
        Some(_) | None => Err(format!("`{text}` must be NAMESPACE/NAME, such as istio-system/istiod, or empty")),
    }
}

fn delay(text: &str) -> Result<TimeDelta, String> {
    let delay = parse_duration(text)?;
    if delay >= TimeDelta::zero() && delay <= TimeDelta::hours(1) {
        Ok(delay)
    } else {
        Err(format!("`{text}` must be from 0s to 1h"))
    }
}

impl Controller {
    /// Runs until the process is asked to stop.
    pub(crate) fn run(self, _: &mut Console) -> anyhow::Result<Exit> {
        self.start_log()?;
        let args = self.args();
        args.check().map_err(BadInput::one)?;
        cluster::install_tls();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = cluster::Connection::default().client().await?;
            serin_controller::run(args, client).await.context("the controller stopped")
        })?;
        // A question to a metrics source may still be under way; nobody waits for it.
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(Exit::Done)
    }

    fn args(&self) -> serin_controller::Args {
        let defaults = serin_controller::Args::default();
        let text = |given: &Option<String>| given.clone().filter(|text| !text.is_empty());
        serin_controller::Args {
            namespace: text(&self.namespace),
            instance_id: text(&self.instance_id),
            workers: self.workers,
            metrics_port: self.metrics_port,
            healthz_port: self.healthz_port,
            leader_elect: self.leader_elect,
            lease_namespace: text(&self.lease_namespace).unwrap_or(defaults.lease_namespace.clone()),
            identity: text(&self.identity).unwrap_or(defaults.identity.clone()),
            propagation: self.propagation_delay,
            istiod: self.istiod.0.clone(),
            reconnect: self.proxy_reconnect,
            istio_api_version: text(&self.istio_api_version),
            prometheus_address: text(&self.prometheus_address),
            semantics: match self.analysis_semantics {
                AnalysisSemantics::Serin => Semantics::Serin,
                AnalysisSemantics::Argo => Semantics::Argo,
            },
            ..defaults
        }
    }

    fn start_log(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.log_level).map_err(|error| {
            BadInput::one(format!("--log-level: `{}` is no level or filter: {error}", self.log_level))
        })?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        let started = match self.log_format {
            LogFormat::Text => log.try_init(),
            LogFormat::Json => log.json().flatten_event(true).try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        controller: Controller,
    }

    #[track_caller]
    fn check(case: &str, arguments: &[&str], holds: impl Fn(&serin_controller::Args) -> bool) {
        let line = Line::try_parse_from(std::iter::once(&"serin").chain(arguments)).expect(case);
        assert!(holds(&line.controller.args()), "{case}");
    }

    #[test]
    fn flags_become_settings() {
        check("by default an election is held", &[], |args| args.leader_elect && args.metrics_port == 8090);
        check("without election", &["--leader-elect=false"], |args| !args.leader_elect);
        check("a bare flag means yes", &["--leader-elect"], |args| args.leader_elect);
        check("a delay", &["--propagation-delay", "500ms"], |args| args.propagation == TimeDelta::milliseconds(500));
        let found = |text: &str| {
            let (namespace, name) = text.split_once('/').expect("a slash");
            Some(ObjectName::new(namespace, name))
        };
        check("istiod by default", &[], |args| args.istiod == found("istio-system/istiod"));
        check("another revision", &["--istiod", "istio/istiod-x"], |args| args.istiod == found("istio/istiod-x"));
        check("istiod elsewhere", &["--istiod="], |args| args.istiod.is_none());
        check("a mesh of many", &["--proxy-reconnect", "1m"], |args| args.reconnect == TimeDelta::minutes(1));
        check("no instance", &["--instance-id", ""], |args| args.instance_id.is_none());
        check("upstream's rules", &["--analysis-semantics", "argo"], |args| args.semantics == Semantics::Argo);
        for wrong in
            [["--workers", "0"], ["--propagation-delay", "5"], ["--istiod", "istiod"], ["--metrics-port", "70000"]]
        {
            assert!(Line::try_parse_from(std::iter::once("serin").chain(wrong)).is_err(), "{wrong:?}");
        }
    }
}
