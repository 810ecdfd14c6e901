//! One run of the suite's program: some tests of one suite, and what each of them and the controller said meanwhile.

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::lab::layout::Layout;
use crate::lab::namespaces;

use super::controller::{Controller, INSTANCE};
use super::output::{self, Ending};
use super::selection::Group;

/// The suite.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    /// Its compiled test binary.
    pub(super) program: PathBuf,
    /// The folder that it finds its manifests in.
    pub(super) manifests: PathBuf,
}

/// What came of one test.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// SUITE/TEST.
    pub(super) name: String,
    pub(super) ending: Ending,
    /// What the test wrote.
    pub(super) said: String,
    /// What the controller wrote meanwhile.
    pub(super) controller: String,
}

/// What came of a group.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) took: Duration,
}

/// Lines of one test, and how long the controller's log was when it began.
#[derive(Debug, Default)]
struct Section {
    name: String,
    said: String,
    log_begin: u64,
}

impl Suite {
    /// Runs the tests of a group.
    ///
    /// # Errors
    /// If the program cannot be run, or the controller has ended.
    pub(super) fn play(&self, layout: &Layout, group: &Group, controller: &Controller) -> Result<Played> {
        controller.expect_alive(layout)?;
        let log = controller.log(layout);
        let began = Instant::now();
        let mut child = self.command(layout, group)?.spawn().context("failed to start the suite")?;
        let stdout = child.stdout.take().context("the suite has no output")?;
        // What comes before the first test belongs to none.
        let mut sections = vec![Section::default()];
        let mut endings = output::Endings::default();
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).context("failed to read what the suite says")? > 0 {
            let text = String::from_utf8_lossy(&line);
            if let Some(name) = output::begins(&text) {
                println!("        … {name}");
                sections.push(Section { name: name.to_owned(), said: String::new(), log_begin: length(&log) });
            }
            endings.read(&text);
            if let Some(section) = sections.last_mut() {
                section.said.push_str(&text);
            }
            line.clear();
        }
        child.wait().context("failed to wait for the suite")?;
        let took = began.elapsed();
        Ok(Played { outcomes: outcomes(group, &sections, &endings, &log)?, took })
    }

    fn command(&self, layout: &Layout, group: &Group) -> Result<Command> {
        let mut command = namespaces::enter(layout, "env")?;
        let tools = layout.program("kubectl");
        let tools = tools.parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        let methods = group.tests.iter().map(String::as_str).collect::<Vec<_>>().join("|");
        command
            .arg(format!("--chdir={}", self.manifests.display()))
            .arg(format!("PATH={}:{path}", tools.display()))
            .arg(format!("KUBECONFIG={}", layout.inner_kubeconfig("admin").display()))
            .arg(format!("KUBECACHEDIR={}", layout.run().join("kubectl-inside").display()))
            .arg(format!("E2E_INSTANCE_ID={INSTANCE}"))
            .args(["sh", "-c", r#"exec "$0" "$@" 2>&1"#])
            .arg(&self.program)
            .args(["-test.v", "-test.timeout=60m", &format!("-test.run=^{}$", group.suite)])
            .arg(format!("-testify.m=^({methods})$"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Ok(command)
    }
}

fn outcomes(group: &Group, sections: &[Section], endings: &output::Endings, log: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for test in &group.tests {
        let name = format!("{}/{test}", group.suite);
        let place = sections.iter().position(|section| section.name == name);
        let Some((place, section)) = place.and_then(|place| Some((place, sections.get(place)?))) else {
            // The program ended before; what it said then is all that there is.
            let said = sections.iter().map(|section| section.said.as_str()).collect();
            outcomes.push(Outcome { name, ending: Ending::missing(), said, controller: String::new() });
            continue;
        };
        let log_end = sections.get(place + 1).map_or_else(|| length(log), |next| next.log_begin);
        outcomes.push(Outcome {
            ending: endings.of(&name, &section.said),
            said: section.said.clone(),
            controller: part(log, section.log_begin, log_end)?,
            name,
        });
    }
    Ok(outcomes)
}

fn length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |it| it.len())
}

fn part(log: &Path, begin: u64, end: u64) -> Result<String> {
    let mut file = fs::File::open(log).with_context(|| format!("failed to read {}", log.display()))?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(begin)).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
