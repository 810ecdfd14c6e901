//! Programs that come from Debian's packages, and the one line that says which are missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::command::find;

/// A package, and a program or file by which it is recognised.
const PACKAGES: [(&str, &str); 16] = [
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("catatonit", "catatonit"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("ethtool", "ethtool"),
    ("git", "git"),
    ("hostname", "hostname"),
    ("iproute2", "ip"),
    ("ipset", "ipset"),
    ("iptables", "xtables-nft-multi"),
    ("kmod", "modprobe"),
    ("procps", "sysctl"),
    ("prometheus", "prometheus"),
    ("runc", "runc"),
    ("socat", "socat"),
];

/// Needed only to make the images of SkyWalking's server.
const FOR_SKYWALKING: [(&str, &str); 2] = [("maven", "mvn"), ("default-jdk-headless", "jlink")];

/// Checks that all packages are there.
///
/// # Errors
/// With the command that installs those that are not.
pub fn check(skywalking: Skywalking) -> Result<()> {
    let missing = missing(skywalking);
    if !missing.is_empty() {
        bail!("programs are missing; run: apt-get install --yes --no-install-recommends {}", missing.join(" "));
    }
    check_others()
}

/// Whether SkyWalking's server is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skywalking {
    /// With the tools for it.
    Built,
    /// Without.
    LeftOut,
}

/// Installs the packages that are missing. Where systemd runs, it may start containerd and Prometheus as services; neither is
/// needed, and neither is in the way.
///
/// # Errors
/// If `apt-get` fails.
pub fn install(skywalking: Skywalking) -> Result<()> {
    let missing = missing(skywalking);
    if missing.is_empty() {
        return Ok(());
    }
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends"]] {
        let packages = if arguments.len() > 1 { missing.as_slice() } else { &[] };
        let mut command = Command::new("apt-get");
        // No service of these packages is needed: none is started where this variable is honoured.
        let command =
            command.args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        let status = command.status().context("failed to start apt-get")?;
        ensure!(status.success(), "apt-get {} failed", arguments.join(" "));
    }
    Ok(())
}

fn missing(skywalking: Skywalking) -> Vec<&'static str> {
    let more: &[(&str, &str)] = match skywalking {
        Skywalking::Built => &FOR_SKYWALKING,
        Skywalking::LeftOut => &[],
    };
    PACKAGES.iter().chain(more).filter(|(_, sign)| !is_there(sign)).map(|(package, _)| *package).collect()
}

/// What Debian has too, but not new enough or not always from a package.
fn check_others() -> Result<()> {
    if !is_there("go") {
        bail!("there is no go on the search path: install Go 1.26 or later from https://go.dev/dl");
    }
    if !is_there("python3") {
        bail!("there is no python3 on the search path; run: apt-get install --yes python3 python3-pip");
    }
    Ok(())
}

fn is_there(sign: &str) -> bool {
    if sign.starts_with('/') { Path::new(sign).exists() } else { find(sign).is_some() }
}
