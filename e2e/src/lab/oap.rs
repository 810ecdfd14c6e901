//! SkyWalking's OAP server as a container image: jars from Maven Central, a configuration of our own, a cut-down Java.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::command;
use super::digest::{Digest, Stamp};
use super::image::Image;
use super::layout::{Layout, repository};
use super::libraries;
use super::progress::timed;

/// The versions that there is an image of. Of all releases since 9.2 Maven Central has only these and 9.6.0.
pub const VERSIONS: [&str; 2] = ["10.1.0", "9.2.0"];

/// Modules of the JDK that both versions start with. `java.desktop` is for its beans, which the logger uses.
const MODULES: &str = "java.desktop,java.instrument,java.management,java.naming,java.scripting,java.sql,\
    jdk.crypto.ec,jdk.management,jdk.net,jdk.unsupported,jdk.zipfs";

/// Libraries that are part of glibc's one file by now; those inside netty's jars still ask for them by their old names.
const OLD_PARTS_OF_GLIBC: [&str; 3] = ["libdl.so.2", "libpthread.so.0", "librt.so.1"];

/// Compiling once is enough for a server that lives for minutes, and halves the time until it answers.
const OPTIONS: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx384m"];
const MAIN_CLASS: &str = "org.apache.skywalking.oap.server.starter.OAPServerStartUp";

/// What the image of a version is called.
#[must_use]
pub fn reference(version: &str) -> String {
    format!("localhost/oap:{version}")
}

/// Where the archive of a version's image is.
#[must_use]
pub fn archive(layout: &Layout, version: &str) -> PathBuf {
    layout.image(&format!("oap-{version}"))
}

/// Makes the images of all [`VERSIONS`], unless they are there and made of the same.
///
/// # Errors
/// If `mvn` or `jlink` is missing or fails, or a file cannot be written.
pub fn build(layout: &Layout) -> Result<()> {
    layout.make()?;
    let runtime = runtime(layout)?;
    for version in VERSIONS {
        let jars = jars(layout, version)?;
        let image = image(version, &runtime, &jars)?;
        let archive = archive(layout, version);
        let stamp = Stamp::new(&archive, image.digest()?);
        if !stamp.is_current() {
            timed(&format!("image {}", image.reference()), || image.write(&archive).and_then(|()| stamp.set()))?;
        }
    }
    Ok(())
}

/// The files of the server that are ours.
fn sources() -> PathBuf {
    repository().join("e2e/oap")
}

/// A folder with all jars of a version.
fn jars(layout: &Layout, version: &str) -> Result<PathBuf> {
    let (folder, pom) = (layout.parts().join(format!("oap-{version}")), sources().join("pom.xml"));
    let stamp = Stamp::new(&folder, Digest::new().with(version).with_file(&pom)?);
    if !stamp.is_current() {
        timed(&format!("jars of OAP {version}, from Maven Central"), || {
            remove(&folder)?;
            let mvn = command::find("mvn").context("there is no mvn on the search path; install Maven")?;
            let mut resolve = Command::new(mvn);
            resolve.args(["-q", "-B", "-f"]).arg(&pom).arg(format!("-Doap.version={version}"));
            resolve.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
            resolve.arg(format!("-DoutputDirectory={}", folder.display()));
            command::run(&mut resolve)?;
            stamp.set()
        })?;
    }
    Ok(folder)
}

/// A Java runtime with what the server needs, made of the JDK of this machine. Time zones are in it.
fn runtime(layout: &Layout) -> Result<PathBuf> {
    let jlink = command::find("jlink").context("there is no jlink on the search path; install a JDK, 17 or 21")?;
    let jlink = fs::canonicalize(&jlink).with_context(|| format!("failed to find {}", jlink.display()))?;
    let jdk = jlink.ancestors().nth(2).context("jlink is not in the bin of a JDK")?;
    let folder = layout.parts().join("oap-java");
    let stamp = Stamp::new(&folder, Digest::new().with(MODULES).with_file(&jdk.join("release"))?);
    if !stamp.is_current() {
        timed("a Java runtime for OAP", || {
            remove(&folder)?;
            let mut link = Command::new(&jlink);
            link.args(["--add-modules", MODULES, "--no-header-files", "--no-man-pages"]);
            link.args(["--strip-java-debug-attributes", "--output"]).arg(&folder);
            command::run(&mut link)?;
            stamp.set()
        })?;
    }
    // As the loader will name what is in it.
    fs::canonicalize(&folder).with_context(|| format!("failed to find {}", folder.display()))
}

fn image(version: &str, runtime: &Path, jars: &Path) -> Result<Image> {
    let mut libraries = libraries::of(&[&runtime.join("bin/java"), &runtime.join("lib/server/libjvm.so")])?;
    // The runtime's own are found beside it.
    libraries.retain(|library| !library.starts_with(runtime));
    let libc = libraries.iter().find(|library| library.ends_with("libc.so.6"));
    let folder = libc.and_then(|libc| libc.parent()).context("java of this machine is not linked with glibc")?;
    let old = OLD_PARTS_OF_GLIBC.map(|name| folder.join(name));
    libraries.extend(old.into_iter().filter(|library| library.exists()));

    let image = Image::new(&reference(version))
        .tree(runtime, "/oap/java")?
        .tree(jars, "/oap/jars")?
        .tree(&sources().join("config"), "/oap/config")?
        .libraries(&libraries)
        .text("/etc/passwd", "oap:x:65532:65532::/tmp:/\n", 0o644)
        .user("65532:65532")
        .entrypoint(&entrypoint());
    // A module that 9.2 does not have yet; `-` selects none.
    Ok(if version.starts_with("9.2.") { image.env("OAP_AI_PIPELINE", "-") } else { image })
}

fn entrypoint() -> Vec<&'static str> {
    let mut words = vec!["/oap/java/bin/java"];
    words.extend(OPTIONS);
    words.extend(["-cp", "/oap/config:/oap/jars/*", MAIN_CLASS]);
    words
}

/// Removes a folder that may not be there.
fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_runs_an_image_that_is_built() {
        let manifest = include_str!("../../manifests/skywalking.yaml");
        let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image: ")).expect("an image");
        assert!(VERSIONS.map(reference).contains(&image.to_owned()), "{image}");
    }

    /// Without one of these a server does not start, or complains.
    #[test]
    fn the_server_has_all_files_that_it_insists_on() {
        for name in [
            "application.yml",
            "component-libraries.yml",
            "endpoint-name-grouping.yml",
            "gateways.yml",
            "log4j2.xml",
            "oal/core.oal",
            "oal/disable.oal",
            "oal/mesh.oal",
        ] {
            assert!(sources().join("config").join(name).is_file(), "{name}");
        }
    }
}
