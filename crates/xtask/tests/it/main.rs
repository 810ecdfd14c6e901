//! The repository is as `cargo xtask tidy` wants it; generated files are current.

use xtask::{repository, tidy};

#[test]
fn the_repository_is_tidy() {
    let violations = tidy::check(&repository::root()).expect("the repository can be read");
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} to put right; see `cargo xtask tidy`\n{}", list.len(), list.join("\n"));
}
