//! Processes as the host sees them, told apart from later ones with the same number.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::command::{succeeds, until};

/// Time for a process to end by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// A process: its number, and the clock tick at which it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    began: u64,
}

/// What `/proc/<pid>/stat` says.
struct Stat {
    state: char,
    parent: u32,
    began: u64,
}

impl Process {
    /// The living process with this number.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = stat(pid).filter(|stat| stat.state != 'Z')?;
        Some(Self { pid, began: stat.began })
    }

    /// The living process that a file remembers; none if it has ended, even if another has its number now.
    #[must_use]
    pub fn remembered(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, began) = text.trim().split_once(' ')?;
        let process = Self { pid: pid.parse().ok()?, began: began.parse().ok()? };
        process.is_alive().then_some(process)
    }

    /// Writes the file that [`Process::remembered`] reads.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remember(self, file: &Path) -> Result<()> {
        fs::write(file, format!("{} {}\n", self.pid, self.began))
            .with_context(|| format!("failed to write {}", file.display()))
    }

    /// Its number on the host.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Processes that it started and that still run.
    #[must_use]
    pub fn children(self) -> Vec<Self> {
        all().into_iter().filter(|child| stat(child.pid).is_some_and(|stat| stat.parent == self.pid)).collect()
    }

    /// Asks it to end, waits, and kills it if it does not.
    ///
    /// # Errors
    /// If it is still there afterwards.
    pub fn end(self) -> Result<()> {
        self.signal("TERM");
        if until("", GRACE, || Ok(!self.is_alive())).is_ok() {
            return Ok(());
        }
        self.kill()
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// If it is still there afterwards.
    pub fn kill(self) -> Result<()> {
        self.signal("KILL");
        until(&format!("process {} ends after SIGKILL", self.pid), GRACE, || Ok(!self.is_alive()))
    }

    fn signal(self, name: &str) {
        // A process that has just ended is no failure; whoever sends a signal looks at the process afterwards.
        if self.is_alive() {
            succeeds(Command::new("kill").arg(format!("-{name}")).arg(self.pid.to_string()));
        }
    }
}

/// All living processes.
#[must_use]
pub fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(Process::of).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the fields after the name, which may have spaces and parentheses itself.
fn parse(line: &str) -> Option<Stat> {
    let (_, after) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        began: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = "42 (a) b (c)) S 7 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = parse(line).expect("a stat");
        assert_eq!((stat.state, stat.parent, stat.began), ('S', 7, 12345));
    }

    #[test]
    fn a_remembered_process_is_not_another_with_its_number() {
        let scratch = Scratch::new("process");
        let file = scratch.path("pid");
        let own = Process::of(std::process::id()).expect("this process");
        own.remember(&file).expect("a file");
        assert_eq!(Process::remembered(&file), Some(own));
        Process { began: own.began + 1, ..own }.remember(&file).expect("a file");
        assert_eq!(Process::remembered(&file), None);
    }

    #[test]
    fn a_child_is_found_and_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("a child");
        let own = Process::of(std::process::id()).expect("this process");
        let found = Process::of(child.id()).expect("the child");
        assert!(own.children().contains(&found));
        found.end().expect("an end");
        assert!(!found.is_alive());
        child.wait().expect("no zombie");
    }
}
