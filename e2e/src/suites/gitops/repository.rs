//! A git repository with manifests, and the clone that a tool applies from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::kit::{Manifests, text, yaml};

/// The folder of the repository in which the manifests are.
const FOLDER: &str = "deploy";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A repository of its own, which is deleted when it is dropped.
pub(super) struct Repository {
    home: PathBuf,
}

impl Repository {
    /// Makes an empty repository and its clone.
    pub(super) async fn make() -> Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let home = std::env::temp_dir().join(format!("serin-e2e-git-{}-{number}", std::process::id()));
        std::fs::create_dir_all(home.join("author").join(FOLDER))?;
        let repository = Repository { home };
        repository.git("author", &["init", "-q", "-b", "main"]).await?;
        repository.git("author", &["commit", "-q", "--allow-empty", "-m", "Begin"]).await?;
        git(&repository.home, &["clone", "-q", "author", "tool"]).await?;
        Ok(repository)
    }

    /// Commits manifests, a file for each object, as the next state of the branch.
    pub(super) async fn commit(&self, manifests: &Manifests, message: &str) -> Result<()> {
        for object in &manifests.0 {
            let name = format!("{}-{}.yaml", text(object, "/kind").to_lowercase(), text(object, "/metadata/name"));
            let file = self.home.join("author").join(FOLDER).join(name);
            std::fs::write(file, serde_saphyr::to_string(object).context("failed to write YAML")?)?;
        }
        self.git("author", &["add", "--all"]).await?;
        self.git("author", &["commit", "-q", "-m", message]).await
    }

    /// Brings the clone up to date and returns the folder of its manifests.
    pub(super) async fn pull(&self) -> Result<PathBuf> {
        self.git("tool", &["pull", "-q", "--ff-only"]).await?;
        Ok(self.home.join("tool").join(FOLDER))
    }

    async fn git(&self, folder: &str, words: &[&str]) -> Result<()> {
        git(&self.home.join(folder), words).await
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // What is left of a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// All objects of a folder of manifests, in the order of the files' names.
pub(super) fn objects(folder: &Path) -> Result<Vec<Value>> {
    let mut files = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut all = Vec::new();
    for file in files {
        all.extend(yaml(&std::fs::read_to_string(file.path())?)?);
    }
    Ok(all)
}

async fn git(folder: &Path, words: &[&str]) -> Result<()> {
    let author = ["-c", "user.name=author", "-c", "user.email=author@example.com"];
    let output = Command::new("git").arg("-C").arg(folder).args(author).args(words).output().await;
    let output = output.context("failed to run git")?;
    ensure!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
