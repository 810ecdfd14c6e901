//! Programs built from modules of the Go proxy, whose versions the files below `recipes/` pin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::command::{find, run};
use super::digest::{Digest, Stamp};
use super::layout::{ISTIO_COMMIT, ISTIO_VERSION, KUBERNETES_VERSION, Layout, repository};
use super::progress::timed;

const HELM_VERSION: &str = "v3.19.5";

/// One run of `go build`.
#[derive(Debug)]
struct Build {
    /// What is made of what, for people.
    what: String,
    /// The folder below `recipes/`.
    recipe: &'static str,
    packages: &'static [&'static str],
    /// Names of the programs, in the order of the packages.
    programs: &'static [&'static str],
    tags: &'static str,
    /// Values of variables, as the linker takes them.
    variables: Vec<String>,
}

/// Builds etcd.
///
/// # Errors
/// As all of these: if `go build` fails or a file cannot be written.
pub fn etcd(layout: &Layout) -> Result<()> {
    build(
        layout,
        &Build {
            what: "etcd from its module".to_owned(),
            recipe: "etcd",
            packages: &["."],
            programs: &["etcd"],
            tags: "",
            variables: Vec::new(),
        },
    )
}

/// Builds the programs of Kubernetes, which are links to one binary.
///
/// # Errors
/// See [`etcd`].
pub fn kubernetes(layout: &Layout) -> Result<()> {
    let (major, minor) = KUBERNETES_VERSION.split_once('.').unwrap_or((KUBERNETES_VERSION, ""));
    let minor = minor.split('.').next().unwrap_or_default();
    let mut variables = Vec::new();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        variables.push(format!("{package}.gitVersion=v{KUBERNETES_VERSION}"));
        variables.push(format!("{package}.gitMajor={major}"));
        variables.push(format!("{package}.gitMinor={minor}"));
        variables.push(format!("{package}.gitTreeState=clean"));
    }
    build(
        layout,
        &Build {
            what: format!("Kubernetes {KUBERNETES_VERSION} from its modules, as one binary"),
            recipe: "kubernetes",
            packages: &["."],
            programs: &["kubernetes"],
            tags: "providerless",
            variables,
        },
    )?;
    for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"] {
        let link = layout.program(name);
        if !link.is_symlink() {
            std::os::unix::fs::symlink("kubernetes", &link)
                .with_context(|| format!("failed to make {}", link.display()))?;
        }
    }
    Ok(())
}

/// Builds istiod, istioctl, the agent of proxies, kwok and CoreDNS.
///
/// # Errors
/// See [`etcd`].
pub fn mesh(layout: &Layout) -> Result<()> {
    let version = "istio.io/istio/pkg/version";
    let variables = vec![
        format!("{version}.buildVersion={ISTIO_VERSION}"),
        format!("{version}.buildTag={ISTIO_VERSION}"),
        format!("{version}.buildGitRevision={ISTIO_COMMIT}"),
        format!("{version}.buildStatus=Clean"),
        format!("{version}.buildHub=localhost"),
    ];
    build(
        layout,
        &Build {
            what: format!("istiod and istioctl (commit {ISTIO_COMMIT}), kwok and CoreDNS from their modules"),
            recipe: "mesh",
            packages: &[
                "istio.io/istio/pilot/cmd/pilot-discovery",
                "istio.io/istio/istioctl/cmd/istioctl",
                "sigs.k8s.io/kwok/cmd/kwok",
                "./coredns",
            ],
            programs: &["pilot-discovery", "istioctl", "kwok", "coredns"],
            tags: "vtprotobuf,disable_pgv",
            variables: variables.clone(),
        },
    )?;
    build(
        layout,
        &Build {
            what: "the agent of Istio's proxies".to_owned(),
            recipe: "mesh",
            packages: &["istio.io/istio/pilot/cmd/pilot-agent"],
            programs: &["pilot-agent"],
            tags: "agent,disable_pgv,grpcnotrace,retrynotrace",
            variables,
        },
    )
}

/// Builds helm.
///
/// # Errors
/// See [`etcd`].
pub fn helm(layout: &Layout) -> Result<()> {
    build(
        layout,
        &Build {
            what: format!("helm {HELM_VERSION} from its module"),
            recipe: "helm",
            packages: &["helm.sh/helm/v3/cmd/helm"],
            programs: &["helm"],
            tags: "",
            variables: vec![
                format!("helm.sh/helm/v3/internal/version.version={HELM_VERSION}"),
                "helm.sh/helm/v3/internal/version.metadata=".to_owned(),
            ],
        },
    )
}

/// The folder of a module that a recipe pins, in Go's cache.
///
/// # Errors
/// If it cannot be downloaded.
pub fn module(recipe: &str, module: &str) -> Result<PathBuf> {
    run(go(recipe)?.args(["mod", "download", module]))?;
    let folder = run(go(recipe)?.args(["list", "-m", "-f", "{{.Dir}}", module]))?;
    Ok(PathBuf::from(folder.trim()))
}

fn build(layout: &Layout, wanted: &Build) -> Result<()> {
    let stamps: Vec<Stamp> = wanted.programs.iter().map(|name| stamp(layout, wanted, name)).collect::<Result<_>>()?;
    if stamps.iter().all(Stamp::is_current) {
        return Ok(());
    }
    timed(&wanted.what, || {
        let flags =
            wanted.variables.iter().fold("-s -w".to_owned(), |flags, variable| format!("{flags} -X {variable}"));
        let mut command = go(wanted.recipe)?;
        command.args(["build", "-trimpath", "-buildvcs=false", "-tags", wanted.tags, "-ldflags", &flags, "-o"]);
        // With one package the name is ours; several go into the folder by their own names.
        match wanted.programs {
            [program] => command.arg(layout.program(program)),
            _ => command.arg(layout.home().join("bin")),
        };
        run(command.args(wanted.packages))?;
        stamps.iter().try_for_each(Stamp::set)
    })
}

fn stamp(layout: &Layout, wanted: &Build, program: &str) -> Result<Stamp> {
    let mut digest = Digest::new().with(wanted.packages.join(" ")).with(wanted.tags).with(wanted.variables.join(" "));
    for file in sources(&folder(wanted.recipe))? {
        digest = digest.with_file(&file)?;
    }
    Ok(Stamp::new(layout.program(program), digest))
}

/// All files of a recipe, sorted.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
            let path = entry.with_context(|| format!("failed to list {}", folder.display()))?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn folder(recipe: &str) -> PathBuf {
    repository().join("e2e/recipes").join(recipe)
}

/// `go` in the folder of a recipe, below the priority of everything else.
fn go(recipe: &str) -> Result<Command> {
    let program = find("go").context("there is no go on the search path")?;
    let mut command = Command::new("nice");
    command.arg(program).current_dir(folder(recipe)).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly");
    Ok(command)
}
