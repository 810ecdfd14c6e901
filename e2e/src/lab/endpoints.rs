//! Where the suites find a cluster: this machine's, or any other that the environment names.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::layout::{GATEWAY_PORT, Layout, PROMETHEUS_PORT};

/// How a cluster and the tools for it are reached.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The program helm.
    pub helm: PathBuf,
    /// The program istioctl.
    pub istioctl: PathBuf,
    /// The program kubectl.
    pub kubectl: PathBuf,
    /// The ingress gateway, without a slash at the end.
    pub gateway: String,
    /// Prometheus, without a slash at the end.
    pub prometheus: String,
}

impl Endpoints {
    /// Of the cluster of this machine. `KUBECONFIG`, `SERIN_E2E_GATEWAY` and `SERIN_E2E_PROMETHEUS` name another one.
    ///
    /// # Errors
    /// If the tools are not built, or there is no kubeconfig.
    pub fn here() -> Result<Self> {
        let layout = Layout::here()?;
        let kubeconfig = std::env::var_os("KUBECONFIG").map_or_else(|| layout.kubeconfig(), PathBuf::from);
        ensure!(
            kubeconfig.exists(),
            "there is no {}: run `serin-e2e start` first, or set KUBECONFIG",
            kubeconfig.display()
        );
        for name in ["helm", "istioctl", "kubectl"] {
            ensure!(layout.program(name).exists(), "{name} is not built: run `serin-e2e build` first");
        }
        let address = |variable: &str, port: u16| {
            let own = || format!("http://127.0.0.1:{port}");
            std::env::var(variable).map_or_else(|_| own(), |url| url.trim_end_matches('/').to_owned())
        };
        Ok(Self {
            kubeconfig,
            helm: layout.program("helm"),
            istioctl: layout.program("istioctl"),
            kubectl: layout.program("kubectl"),
            gateway: address("SERIN_E2E_GATEWAY", GATEWAY_PORT),
            prometheus: address("SERIN_E2E_PROMETHEUS", PROMETHEUS_PORT),
        })
    }
}
