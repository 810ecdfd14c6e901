//! Container images of one layer, written as a `docker save` archive without a daemon and without a base image.
//!
//! The same inputs give the same bytes: entries are sorted, times and owners are zero.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::digest::{self, Digest, Hashing};

const CREATED: &str = "2026-01-01T00:00:00Z";
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image to be: what it is called, what is in it and how it runs.
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    /// By path in the image, without the leading slash. A folder sorts before what is in it.
    entries: BTreeMap<String, Entry>,
    entrypoint: Vec<String>,
    environment: Vec<String>,
    user: String,
}

#[derive(Clone, Debug)]
enum Entry {
    Folder { mode: u32 },
    File { from: PathBuf, mode: u32 },
    Text { content: Vec<u8>, mode: u32 },
    Symlink { target: PathBuf },
}

impl Image {
    /// With nothing in it but a `/tmp` that everybody may write to. `reference` is a name with a tag, `localhost/pause:1`.
    #[must_use]
    pub fn new(reference: &str) -> Self {
        Self {
            reference: reference.to_owned(),
            entries: BTreeMap::new(),
            entrypoint: Vec::new(),
            environment: vec![SEARCH_PATH.to_owned()],
            user: String::new(),
        }
        .folder("/tmp", 0o1777)
    }

    /// With a file of this machine at the path `to`; a link is followed. `mode` as in `0o755`.
    #[must_use]
    pub fn file(mut self, from: impl Into<PathBuf>, to: &str, mode: u32) -> Self {
        self.put(to, Entry::File { from: from.into(), mode });
        self
    }

    /// With a file of this content.
    #[must_use]
    pub fn text(mut self, to: &str, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.put(to, Entry::Text { content: content.into(), mode });
        self
    }

    /// With a folder, whose parents come by themselves.
    #[must_use]
    pub fn folder(mut self, path: &str, mode: u32) -> Self {
        self.put(path, Entry::Folder { mode });
        self
    }

    /// With a symbolic link at `path`.
    #[must_use]
    pub fn symlink(mut self, path: &str, target: impl Into<PathBuf>) -> Self {
        self.put(path, Entry::Symlink { target: target.into() });
        self
    }

    /// With everything below a folder of this machine, at the path `to`. Links stay links; a file that its owner can execute
    /// gets mode 755, another 644.
    ///
    /// # Errors
    /// If a folder cannot be listed, or a name is not UTF-8.
    pub fn tree(mut self, from: &Path, to: &str) -> Result<Self> {
        let mut folders = vec![(from.to_owned(), to.trim_end_matches('/').to_owned())];
        while let Some((folder, at)) = folders.pop() {
            self.put(&at, Entry::Folder { mode: 0o755 });
            for item in fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))? {
                let item = item.with_context(|| format!("failed to list {}", folder.display()))?;
                let path = item.path();
                let name = item.file_name();
                let name = name.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
                let to = format!("{at}/{name}");
                let metadata =
                    fs::symlink_metadata(&path).with_context(|| format!("failed to read {}", path.display()))?;
                if metadata.is_dir() {
                    folders.push((path, to));
                } else if metadata.is_symlink() {
                    let target = fs::read_link(&path).with_context(|| format!("failed to read {}", path.display()))?;
                    self.put(&to, Entry::Symlink { target });
                } else {
                    let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
                    self.put(&to, Entry::File { from: path, mode });
                }
            }
        }
        Ok(self)
    }

    /// With these shared libraries where they are on this machine, as `libraries::of` finds them.
    #[must_use]
    pub fn libraries(mut self, libraries: &[PathBuf]) -> Self {
        for library in libraries {
            self.put(&library.to_string_lossy(), Entry::File { from: library.clone(), mode: 0o755 });
        }
        self
    }

    /// Runs this command, program first.
    #[must_use]
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.entrypoint = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With this variable in the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    /// Runs as this user: `"65532"`, or `"65532:65532"` with a group. Root without it.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// What it is called, with its tag.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Everything that decides about the bytes of the archive; it reads all files.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn digest(&self) -> Result<Digest> {
        let mut digest = Digest::new().with(self.config("").to_string()).with(&self.reference);
        for (path, entry) in &self.entries {
            digest = digest.with(path);
            digest = match entry {
                Entry::Folder { mode } => digest.with(format!("folder {mode:o}")),
                Entry::File { from, mode } => digest.with(format!("file {mode:o}")).with_file(from)?,
                Entry::Text { content, mode } => digest.with(format!("text {mode:o}")).with(content),
                Entry::Symlink { target } => digest.with("link").with(target.as_os_str().as_encoded_bytes()),
            };
        }
        Ok(digest)
    }

    /// Writes the archive that `ctr images import` and `docker load` take. Nothing is left there if it fails.
    ///
    /// # Errors
    /// If a file cannot be read or the archive cannot be written.
    pub fn write(&self, archive: &Path) -> Result<()> {
        let layer = archive.with_extension("layer");
        let unfinished = archive.with_extension("unfinished");
        let written = self.write_layer(&layer).and_then(|diff| self.write_archive(&unfinished, &layer, &diff));
        let _ = fs::remove_file(&layer);
        written.with_context(|| format!("failed to make the image {}", self.reference))?;
        fs::rename(&unfinished, archive).with_context(|| format!("failed to write {}", archive.display()))
    }

    fn put(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/').to_owned();
        for (at, _) in path.match_indices('/') {
            self.entries.entry(path[..at].to_owned()).or_insert(Entry::Folder { mode: 0o755 });
        }
        self.entries.insert(path, entry);
    }

    /// Writes the file system and returns its digest.
    fn write_layer(&self, layer: &Path) -> Result<String> {
        let file = File::create(layer).with_context(|| format!("failed to write {}", layer.display()))?;
        let mut builder = Builder::new(Hashing::new(BufWriter::new(file)));
        for (path, entry) in &self.entries {
            append(&mut builder, path, entry).with_context(|| format!("failed to add /{path}"))?;
        }
        let (mut file, diff) = builder.into_inner()?.finish();
        file.flush()?;
        Ok(diff)
    }

    /// Writes configuration, layer and manifest.
    fn write_archive(&self, archive: &Path, layer: &Path, diff: &str) -> Result<()> {
        let config = self.config(diff).to_string();
        let config_name = format!("{}.json", digest::of_bytes(config.as_bytes()));
        let layer_name = format!("{diff}/layer.tar");
        let manifest = json!([{ "Config": config_name, "RepoTags": [self.reference], "Layers": [layer_name] }]);

        let mut builder = Builder::new(BufWriter::new(File::create(archive)?));
        append_bytes(&mut builder, &config_name, config.as_bytes(), 0o644)?;
        append_file(&mut builder, &layer_name, layer, 0o644)?;
        append_bytes(&mut builder, "manifest.json", manifest.to_string().as_bytes(), 0o644)?;
        builder.into_inner()?.flush()?;
        Ok(())
    }

    fn config(&self, diff: &str) -> serde_json::Value {
        json!({
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED,
            "config": {
                "Entrypoint": self.entrypoint,
                "Env": self.environment,
                "User": self.user,
                "WorkingDir": "/",
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff}")] },
            "history": [{ "created": CREATED, "created_by": "serin-e2e" }],
        })
    }
}

fn append<W: Write>(builder: &mut Builder<W>, path: &str, entry: &Entry) -> Result<()> {
    match entry {
        Entry::Folder { mode } => {
            let mut header = header(EntryType::Directory, *mode, 0);
            builder.append_data(&mut header, format!("{path}/"), io::empty())?;
        }
        Entry::File { from, mode } => append_file(builder, path, from, *mode)?,
        Entry::Text { content, mode } => append_bytes(builder, path, content, *mode)?,
        Entry::Symlink { target } => {
            builder.append_link(&mut header(EntryType::Symlink, 0o777, 0), path, target)?;
        }
    }
    Ok(())
}

fn append_file<W: Write>(builder: &mut Builder<W>, path: &str, from: &Path, mode: u32) -> Result<()> {
    let file = File::open(from).with_context(|| format!("failed to read {}", from.display()))?;
    let metadata = file.metadata().with_context(|| format!("failed to read {}", from.display()))?;
    ensure!(metadata.is_file(), "{} is not a file", from.display());
    builder.append_data(&mut header(EntryType::Regular, mode, metadata.len()), path, file)?;
    Ok(())
}

fn append_bytes<W: Write>(builder: &mut Builder<W>, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    builder.append_data(&mut header(EntryType::Regular, mode, bytes.len() as u64), path, bytes)?;
    Ok(())
}

fn header(kind: EntryType, mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(length);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    /// Writes an image with one of everything, entries given in the order of `reversed` or not.
    fn written(scratch: &Scratch, name: &str, reversed: bool) -> Vec<u8> {
        let tree = scratch.path("tree");
        fs::create_dir_all(tree.join("a/deep")).expect("a folder");
        fs::write(tree.join("a/deep/file"), "content").expect("a file");
        let mut image = Image::new("localhost/test:1").entrypoint(&["/bin/x"]).user("65532").env("A", "b");
        image = image.tree(&tree, "/opt/tree").expect("a tree");
        image = if reversed {
            image.symlink("/bin/y", "x").text("/bin/x", "x", 0o755)
        } else {
            image.text("/bin/x", "x", 0o755).symlink("/bin/y", "x")
        };
        let archive = scratch.path(name);
        image.write(&archive).expect("an archive");
        fs::read(archive).expect("an archive")
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_in_whatever_order_they_are_added() {
        let scratch = Scratch::new("image-same");
        assert_eq!(written(&scratch, "one.tar", false), written(&scratch, "two.tar", true));
    }

    #[test]
    fn the_layer_has_each_folder_before_what_is_in_it() {
        let scratch = Scratch::new("image-order");
        written(&scratch, "one.tar", false);
        let mut layers = Vec::new();
        let mut archive = tar::Archive::new(File::open(scratch.path("one.tar")).expect("an archive"));
        for entry in archive.entries().expect("entries") {
            let entry = entry.expect("an entry");
            if entry.path().expect("a path").ends_with("layer.tar") {
                let mut layer = tar::Archive::new(entry);
                for inner in layer.entries().expect("entries") {
                    layers.push(inner.expect("an entry").path().expect("a path").display().to_string());
                }
            }
        }
        assert_eq!(
            layers,
            [
                "bin/",
                "bin/x",
                "bin/y",
                "opt/",
                "opt/tree/",
                "opt/tree/a/",
                "opt/tree/a/deep/",
                "opt/tree/a/deep/file",
                "tmp/"
            ]
        );
    }

    #[test]
    fn a_missing_file_is_named_and_leaves_nothing() {
        let scratch = Scratch::new("image-missing");
        let image = Image::new("localhost/test:1").file("/nowhere/at-all", "/x", 0o644);
        let error = image.write(&scratch.path("one.tar")).expect_err("no archive");
        assert!(format!("{error:#}").contains("/nowhere/at-all"), "{error:#}");
        assert!(!scratch.path("one.tar").exists());
    }

    #[test]
    fn the_digest_changes_with_the_content_of_a_file() {
        let scratch = Scratch::new("image-digest");
        let of = |content: &str| {
            fs::write(scratch.path("file"), content).expect("a file");
            let image = Image::new("localhost/test:1").file(scratch.path("file"), "/x", 0o644);
            image.digest().expect("a digest").hex()
        };
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
    }
}
