//! Which tests are run, and which of them together.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Tests of one suite that want the same of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) suite: String,
    pub(super) tests: BTreeSet<String>,
    /// The time that pods take to start, if it matters.
    pub(super) pod_start: Option<Duration>,
}

/// The tests of a list that have one of these parts in their names, or all if there are no parts. A group for each suite and
/// time of start, in the order of the list.
///
/// # Errors
/// If a line cannot be read or nothing is chosen.
pub(super) fn groups(list: &str, parts: &[String]) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (suite, test, pod_start) = entry(line).with_context(|| format!("in the list of tests: {line:?}"))?;
        let name = format!("{suite}/{test}");
        if !parts.is_empty() && !parts.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        match groups.iter_mut().find(|group| group.suite == suite && group.pod_start == pod_start) {
            Some(group) => {
                group.tests.insert(test.to_owned());
            }
            None => {
                groups.push(Group { suite: suite.to_owned(), tests: BTreeSet::from([test.to_owned()]), pod_start });
            }
        }
    }
    ensure!(!groups.is_empty(), "no test of the list has such a name");
    Ok(groups)
}

/// A suite, a test, and what follows: a whole number of seconds.
fn entry(line: &str) -> Result<(&str, &str, Option<Duration>)> {
    let (name, time) = line.split_once(' ').map_or((line, None), |(name, time)| (name, Some(time.trim())));
    let (suite, test) = name.split_once('/').context("a test is written SUITE/TEST")?;
    let seconds = time.map(|time| time.strip_suffix('s').and_then(|digits| digits.parse().ok()));
    let seconds = seconds.map(|seconds| seconds.context("after a test comes the time of a pod's start, such as 2s"));
    Ok((suite, test, seconds.transpose()?.map(Duration::from_secs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::TESTS;

    fn group(suite: &str, tests: &[&str], seconds: Option<u64>) -> Group {
        Group {
            suite: suite.to_owned(),
            tests: tests.iter().map(|&test| test.to_owned()).collect(),
            pod_start: seconds.map(Duration::from_secs),
        }
    }

    #[test]
    fn tests_of_a_suite_are_together_unless_pods_have_to_start_otherwise() {
        let list = "# about\n\nTestA/One\nTestA/Two 2s\nTestA/Three\nTestB/Four\n";
        let all = [
            group("TestA", &["One", "Three"], None),
            group("TestA", &["Two"], Some(2)),
            group("TestB", &["Four"], None),
        ];
        assert_eq!(groups(list, &[]).expect("groups"), all);
        assert_eq!(groups(list, &["Tw".to_owned(), "TestB/".to_owned()]).expect("groups"), all[1..]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (list, expected) in [("TestA", "SUITE/TEST"), ("TestA/One soon", "such as 2s"), ("# none", "no test")] {
            let error = format!("{:#}", groups(list, &[]).expect_err(list));
            assert!(error.contains(expected), "{list}: {error}");
        }
    }

    #[test]
    fn the_list_has_every_test_once() {
        let groups = groups(TESTS, &[]).expect("groups");
        let chosen: usize = groups.iter().map(|group| group.tests.len()).sum();
        let lines = TESTS.lines().filter(|line| line.starts_with("Test")).count();
        assert_eq!((chosen, lines), (107, 107));
    }
}
