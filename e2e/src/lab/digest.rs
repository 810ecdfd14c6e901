//! SHA-256 of what an artefact is made of, and the file beside the artefact that remembers it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ring::digest::{Context, SHA256};

/// A SHA-256 that is fed piece by piece. Each piece is framed by its length, so that two pieces never read as one.
pub struct Digest(Context);

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// With one more piece.
    #[must_use]
    pub fn with(mut self, piece: impl AsRef<[u8]>) -> Self {
        let piece = piece.as_ref();
        self.0.update(&(piece.len() as u64).to_le_bytes());
        self.0.update(piece);
        self
    }

    /// With what is in a file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn with_file(self, path: &Path) -> Result<Self> {
        Ok(self.with(of_file(path)?))
    }

    /// In hexadecimal.
    #[must_use]
    pub fn hex(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

/// The SHA-256 of some bytes alone, in hexadecimal, as container images name their parts.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}

/// The SHA-256 of a file's content, in hexadecimal.
///
/// # Errors
/// If the file cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    let mut hashing = Hashing::new(io::sink());
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hashing))
        .with_context(|| format!("failed to read {}", path.display()))?;
    Ok(hashing.finish().1)
}

/// Passes bytes on and knows their SHA-256 in the end.
pub struct Hashing<W> {
    inner: W,
    context: Context,
}

impl<W: Write> Hashing<W> {
    /// Passes on to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, context: Context::new(&SHA256) }
    }

    /// The writer behind, and the SHA-256 of all that went through, in hexadecimal.
    pub fn finish(self) -> (W, String) {
        (self.inner, hex(self.context.finish().as_ref()))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.context.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> std::fmt::Debug for Hashing<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashing")
    }
}

/// What an artefact was made of, as remembered in `<artefact>.stamp`.
///
/// An artefact without its stamp, or with that of another recipe, is made again.
#[derive(Debug)]
pub struct Stamp {
    artefact: PathBuf,
    wanted: String,
}

impl Stamp {
    /// Of the artefact at this path, made of what `digest` was fed with.
    #[must_use]
    pub fn new(artefact: impl Into<PathBuf>, digest: Digest) -> Self {
        Self { artefact: artefact.into(), wanted: digest.hex() }
    }

    /// Whether the artefact is there and made of the same.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.artefact.exists() && read(&self.artefact).as_deref() == Some(&self.wanted)
    }

    /// Remembers that the artefact is made of this now.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self) -> Result<()> {
        let path = path_of(&self.artefact);
        fs::write(&path, &self.wanted).with_context(|| format!("failed to write {}", path.display()))
    }
}

/// The stamp of an artefact, if it has one.
#[must_use]
pub fn read(artefact: &Path) -> Option<String> {
    fs::read_to_string(path_of(artefact)).ok()
}

fn path_of(artefact: &Path) -> PathBuf {
    let mut name = artefact.as_os_str().to_owned();
    name.push(".stamp");
    PathBuf::from(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    #[test]
    fn pieces_do_not_run_into_each_other() {
        assert_ne!(Digest::new().with("ab").with("c").hex(), Digest::new().with("a").with("bc").hex());
    }

    #[test]
    fn bytes_have_the_digest_that_everybody_knows() {
        assert_eq!(of_bytes(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_artefact_is_current_only_with_the_stamp_of_its_recipe() {
        let scratch = Scratch::new("stamp");
        let artefact = scratch.path("artefact");
        let stamp = || Stamp::new(&artefact, Digest::new().with("recipe"));
        assert!(!stamp().is_current(), "neither artefact nor stamp");
        stamp().set().expect("a stamp");
        assert!(!stamp().is_current(), "a stamp without its artefact");
        fs::write(&artefact, "made").expect("an artefact");
        assert!(stamp().is_current());
        assert!(!Stamp::new(&artefact, Digest::new().with("another recipe")).is_current());
    }
}
