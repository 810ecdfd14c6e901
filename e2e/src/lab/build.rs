//! Everything that is built before the cluster can start, each artefact only if its recipe has changed.

use anyhow::Result;
use clap::ValueEnum;

use super::debian::{self, Skywalking};
use super::images::Profile;
use super::layout::Layout;
use super::{golang, images, oap};

/// Something to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Artefact {
    /// etcd
    Etcd,
    /// API server, controller manager, scheduler, kubelet, kube-proxy, kubectl
    Kubernetes,
    /// istiod, istioctl, the proxies' agent, kwok, CoreDNS
    Mesh,
    /// helm
    Helm,
    /// Envoy, Istio's manifests, the images of the cluster
    Images,
    /// SkyWalking's servers
    Skywalking,
    /// what the suites deploy
    Workload,
    /// Serin itself
    Serin,
}

/// Whether missing packages are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packages {
    /// They are named and nothing is built.
    Named,
    /// They are installed.
    Installed,
}

/// Builds these, or everything, in the order in which one needs the other.
///
/// # Errors
/// If packages are missing or something cannot be built.
pub fn build(layout: &Layout, wanted: &[Artefact], packages: Packages, profile: Profile) -> Result<()> {
    layout.make()?;
    let is_wanted = |artefact: &Artefact| wanted.is_empty() || wanted.contains(artefact);
    let skywalking = if is_wanted(&Artefact::Skywalking) { Skywalking::Built } else { Skywalking::LeftOut };
    match packages {
        Packages::Named => {}
        Packages::Installed => debian::install(skywalking)?,
    }
    debian::check(skywalking)?;
    for artefact in Artefact::value_variants().iter().filter(|artefact| is_wanted(artefact)) {
        match artefact {
            Artefact::Etcd => golang::etcd(layout)?,
            Artefact::Kubernetes => golang::kubernetes(layout)?,
            Artefact::Mesh => golang::mesh(layout)?,
            Artefact::Helm => golang::helm(layout)?,
            Artefact::Images => {
                images::parts(layout)?;
                images::cluster(layout)?;
            }
            Artefact::Skywalking => oap::build(layout)?,
            Artefact::Workload => images::workload(layout)?,
            Artefact::Serin => images::serin(layout, profile)?,
        }
    }
    Ok(())
}
