//! The parts of the cluster that can be started or left out.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::ValueEnum;

/// One part, in the order in which they start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Part {
    /// etcd, API server, controller manager, scheduler
    ControlPlane,
    /// containerd, kubelet, kube-proxy, CoreDNS: one real node
    Node,
    /// kwok with one simulated node, labelled type=kwok and tainted
    Simulated,
    /// istiod and an ingress gateway
    Istio,
    /// Prometheus, with Istio's metrics rebuilt from Envoy's
    Prometheus,
    /// a SkyWalking OAP server
    Skywalking,
}

impl Part {
    /// Parts without which this one cannot be.
    #[must_use]
    pub fn needs(self) -> &'static [Self] {
        match self {
            Self::ControlPlane => &[],
            Self::Node | Self::Simulated => &[Self::ControlPlane],
            Self::Istio | Self::Skywalking => &[Self::ControlPlane, Self::Node],
            Self::Prometheus => &[Self::ControlPlane, Self::Node, Self::Istio],
        }
    }
}

/// The parts to start: those in `only`, or all but the simulated node, less those in `without`; and what they need.
///
/// # Errors
/// If a part is to be left out that another one needs, or none remains.
pub fn chosen(only: &[Part], without: &[Part]) -> Result<BTreeSet<Part>> {
    let mut parts: BTreeSet<Part> = if only.is_empty() {
        Part::value_variants().iter().copied().filter(|part| *part != Part::Simulated).collect()
    } else {
        only.iter().copied().collect()
    };
    parts.retain(|part| !without.contains(part));
    for part in parts.clone() {
        for needed in part.needs() {
            if without.contains(needed) {
                bail!("{} needs {}: leave out both", name(part), name(*needed));
            }
            parts.insert(*needed);
        }
    }
    if parts.is_empty() {
        bail!("nothing is left to start");
    }
    Ok(parts)
}

fn name(part: Part) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{ControlPlane, Istio, Node, Prometheus, Simulated, Skywalking};

    fn check(sentence: &str, only: &[Part], without: &[Part], expected: Result<&[Part], &str>) {
        match (chosen(only, without), expected) {
            (Ok(parts), Ok(expected)) => assert_eq!(parts.into_iter().collect::<Vec<_>>(), expected, "{sentence}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{sentence}: {error}"),
            (found, expected) => panic!("{sentence}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn parts_are_chosen() {
        check(
            "by default, all but the simulated node",
            &[],
            &[],
            Ok(&[ControlPlane, Node, Istio, Prometheus, Skywalking]),
        );
        check("one can be left out", &[], &[Skywalking], Ok(&[ControlPlane, Node, Istio, Prometheus]));
        check("simulated pods need no node", &[Simulated], &[], Ok(&[ControlPlane, Simulated]));
        check("what a part needs comes with it", &[Prometheus], &[], Ok(&[ControlPlane, Node, Istio, Prometheus]));
        check("what a part needs cannot be left out", &[], &[Node], Err("istio needs node"));
        check("leaving out everything is a mistake", &[Node], &[Node], Err("nothing is left"));
    }
}
