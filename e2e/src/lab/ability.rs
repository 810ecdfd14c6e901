//! Whether this machine can run the cluster at all.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::command::find;
use super::{cgroups, namespaces};

/// Where programs, images and libraries come from.
const REGISTRIES: [&str; 4] =
    ["proxy.golang.org:443", "files.pythonhosted.org:443", "repo.maven.apache.org:443", "deb.debian.org:80"];

/// How long a registry may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks that this is a Debian-like Linux, that this process is root, that the kernel lets it make namespaces, mounts and
/// cgroups, by making some that are gone afterwards, and that every registry accepts connections.
///
/// # Errors
/// The first thing that is missing, in a line.
pub fn check() -> Result<()> {
    ensure!(cfg!(all(target_os = "linux", target_arch = "x86_64")), "it runs on Linux on x86-64 only");
    let user = std::fs::metadata("/proc/self").context("there is no /proc")?.uid();
    ensure!(user == 0, "it needs root, for namespaces and mounts; this is user {user}");
    for program in ["apt-get", "go", "python3", "setsid", "unshare", "nsenter", "mount"] {
        ensure!(find(program).is_some(), "there is no {program} on the search path");
    }
    namespaces::try_out()?;
    cgroups::try_out().context("cgroups cannot be made as they are needed")?;
    for registry in REGISTRIES {
        let addresses = registry.to_socket_addrs().with_context(|| format!("{registry} is not in reach"))?;
        if !addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok()) {
            bail!("{registry} does not accept connections");
        }
    }
    Ok(())
}
