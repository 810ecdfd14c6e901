//! Commands of this machine: run to their end, or asked again and again until they succeed.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Lines of a failed command's output that an error quotes.
const QUOTED_LINES_MAX: usize = 12;

/// Runs a command and returns what it wrote to its standard output.
///
/// # Errors
/// If it cannot be started or fails; the error quotes the end of what it wrote.
pub fn run(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {}", shown(command)))?;
    checked(command, &output)
}

/// Runs a command that reads `input`, and returns what it wrote to its standard output.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", shown(command)))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends early closes the pipe; what it says about that is the better error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("failed to run {}", shown(command)))?;
    checked(command, &output)
}

/// Whether a command succeeds; what it writes is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Asks ten times a second until `condition` holds.
///
/// # Errors
/// If it does not within `limit`, or `condition` says that it never will.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !condition()? {
        if begin.elapsed() > limit {
            bail!("waited {} s in vain: {what}", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A program on the search path, or where only root looks.
#[must_use]
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(Into::into))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn checked(command: &Command, output: &Output) -> Result<String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = if stderr.trim().is_empty() { &stdout } else { stderr.as_ref() };
    bail!("{} failed ({}):\n{}", shown(command), output.status, last_lines(said))
}

/// The end of what a program wrote.
#[must_use]
pub fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES_MAX)..].join("\n")
}

fn shown(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_quotes_the_command_and_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).expect_err("a failure");
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("exit status: 3") && text.contains("no such thing"), "{text}");
    }

    #[test]
    fn input_reaches_the_command() {
        assert_eq!(run_with_input(&mut Command::new("cat"), "hello").expect("output"), "hello");
    }

    #[test]
    fn waiting_ends_with_what_was_waited_for() {
        let error = until("the moon is full", Duration::ZERO, || Ok(false)).expect_err("too late");
        assert!(error.to_string().contains("the moon is full"), "{error}");
    }
}
