//! `cargo xtask`: generates the files that follow from the code, and checks that the repository is tidy.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::violation::Violation;
use xtask::{codegen, repository, tidy};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  codegen              write crds/, charts/serin/crds/ and docs/reference/api.md
  codegen --helm PATH  the same, and render charts/serin/install.yaml with the helm binary at PATH
  codegen --check      change nothing; fail if a generated file is not current
  tidy                 check sizes, dependencies, words, links and generated files";

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = repository::root();
    match args.as_slice() {
        ["codegen"] => codegen::write(&root)?,
        ["codegen", "--helm", helm] => {
            codegen::write(&root)?;
            codegen::chart::render(&root, &PathBuf::from(helm))?;
        }
        ["codegen", "--check"] => return Ok(report(&codegen::check(&root)?)),
        ["tidy"] => return Ok(report(&tidy::check(&root)?)),
        ["help" | "-h" | "--help"] => println!("{USAGE}"),
        [] => bail!("a command is missing\n{USAGE}"),
        [command, ..] => bail!("`{command}` with these arguments is unknown\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn report(violations: &[Violation]) -> ExitCode {
    for violation in violations {
        eprintln!("{violation}");
    }
    if violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("{} found", violations.len());
    ExitCode::FAILURE
}
