//! The shared libraries that a program of this machine needs, for an image that has no base.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The libraries of all these programs and their loader, sorted, each once, by the paths that the loader looks at.
///
/// # Errors
/// If `ldd` cannot run, or a library is missing on this machine.
pub fn of(programs: &[&Path]) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").args(programs).output().context("failed to run ldd")?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn parse(listing: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for line in listing.lines().filter(|line| line.starts_with(char::is_whitespace)) {
        if line.ends_with("not found") {
            bail!("ldd says: {}", line.trim());
        }
        let place = line.split("=>").last().unwrap_or(line).split_whitespace().next();
        libraries.extend(place.filter(|place| place.starts_with('/')).map(PathBuf::from));
    }
    Ok(libraries.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "/usr/bin/prometheus:\n\tlinux-vdso.so.1 (0x00007ffd)\n\
        \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3b)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f3b)\n\
        /usr/sbin/ip:\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3b)\n\tnot a dynamic executable\n";

    #[test]
    fn each_library_is_named_once() {
        let found = parse(LISTING).expect("libraries");
        assert_eq!(found, [Path::new("/lib/x86_64-linux-gnu/libc.so.6"), Path::new("/lib64/ld-linux-x86-64.so.2")]);
    }

    #[test]
    fn a_missing_library_is_named() {
        let error = parse("\tlibz.so.1 => not found\n").expect_err("an error");
        assert!(error.to_string().contains("libz.so.1"), "{error}");
    }
}
