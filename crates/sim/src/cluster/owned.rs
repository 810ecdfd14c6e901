//! Who set which field by server-side apply: as little of managedFields as its rules need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One step into an object: a field, or the item of a list that has keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A field of a map.
    Field(String),
    /// An item, by the fields that tell it apart, as pairs of name and JSON text.
    Item(Vec<(String, String)>),
}

/// The way from the root to one field.
pub(crate) type Path = Vec<Step>;

/// The fields of each applier, by its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Owners {
    pub by_applier: BTreeMap<String, BTreeSet<Path>>,
    /// Those who changed an applied field by other means; they are named in conflicts.
    pub by_writer: BTreeMap<String, BTreeSet<Path>>,
}

impl Owners {
    /// Notes a write that is no apply: who changes an applied field takes it from the appliers.
    pub(crate) fn note_write(&mut self, writer: &str, old: &Value, new: &Value) {
        let mut taken = BTreeSet::new();
        for (name, paths) in self.by_applier.iter_mut().chain(self.by_writer.iter_mut()) {
            let changed: Vec<Path> = paths.iter().filter(|path| find(old, path) != find(new, path)).cloned().collect();
            for path in changed {
                if name != writer {
                    paths.remove(&path);
                }
                taken.insert(path);
            }
        }
        if !taken.is_empty() {
            let owned = self.by_writer.entry(writer.to_owned()).or_default();
            owned.extend(taken);
        }
        self.by_writer.retain(|_, paths| !paths.is_empty());
    }
}

impl Owners {
    /// The fields that an apply would change although somebody else set them.
    pub(crate) fn conflicts(
        &self,
        applier: &str,
        claimed: &BTreeSet<Path>,
        (intent, live): (&Value, &Value),
    ) -> Vec<(String, Path)> {
        let changed = changed(claimed, (intent, live));
        let others = self.by_applier.iter().filter(|(name, _)| *name != applier).chain(&self.by_writer);
        let mut found = Vec::new();
        for (name, paths) in others {
            for path in &changed {
                if paths.iter().any(|owned| overlap(owned, path)) {
                    found.push((name.clone(), path.clone()));
                }
            }
        }
        found
    }

    /// What the applier set before and names no longer, where nobody else set it too.
    pub(crate) fn abandoned(&self, applier: &str, claimed: &BTreeSet<Path>) -> Vec<Path> {
        let Some(before) = self.by_applier.get(applier) else {
            return Vec::new();
        };
        let held = |path: &Path| {
            self.by_applier
                .iter()
                .filter(|(name, _)| *name != applier)
                .chain(&self.by_writer)
                .any(|(_, paths)| paths.iter().any(|owned| owned.starts_with(path)))
        };
        before
            .iter()
            .filter(|path| !claimed.iter().any(|kept| kept.starts_with(path)) && !held(path))
            .cloned()
            .collect()
    }

    /// Gives the applier what it names; who set a changed field otherwise loses it.
    pub(crate) fn claim(&mut self, applier: &str, claimed: BTreeSet<Path>, (intent, live): (&Value, &Value)) {
        let changed = changed(&claimed, (intent, live));
        for paths in self.by_applier.values_mut().chain(self.by_writer.values_mut()) {
            paths.retain(|owned| !changed.iter().any(|path| overlap(owned, path)));
        }
        self.by_applier.insert(applier.to_owned(), claimed);
        self.by_applier.retain(|_, paths| !paths.is_empty());
        self.by_writer.retain(|_, paths| !paths.is_empty());
    }
}

impl Step {
    /// The step as conflicts name it: `.spec`, `[name="reviews"]`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Item(keys) => {
                let keys: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("[{}]", keys.join(","))
            }
        }
    }
}

/// The claimed fields whose value is not yet what the intent says; items count by their fields.
fn changed(claimed: &BTreeSet<Path>, (intent, live): (&Value, &Value)) -> Vec<Path> {
    claimed
        .iter()
        .filter(|path| !matches!(path.last(), Some(Step::Item(_))))
        .filter(|path| find(intent, path) != find(live, path))
        .cloned()
        .collect()
}

fn overlap(owned: &Path, path: &Path) -> bool {
    let item = matches!(owned.last(), Some(Step::Item(_)));
    owned.starts_with(path) || (!item && path.starts_with(owned))
}

/// The value at a path, if there is one.
pub(crate) fn find<'a>(object: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let mut value = object;
    for step in path {
        value = match step {
            Step::Field(name) => value.get(name)?,
            Step::Item(keys) => value.as_array()?.iter().find(|item| is_item(item, keys))?,
        };
    }
    Some(value)
}

/// Whether a list item is the one with these keys.
pub(crate) fn is_item(item: &Value, keys: &[(String, String)]) -> bool {
    keys.iter().all(|(name, wanted)| {
        let text = item[name.as_str()].to_string();
        text == *wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn path(text: &str) -> Path {
        text.split('.').map(|name| Step::Field(name.to_owned())).collect()
    }

    fn set(paths: &[&str]) -> BTreeSet<Path> {
        paths.iter().map(|text| path(text)).collect()
    }

    fn owners(applier: &str, paths: &[&str]) -> Owners {
        let mut owners = Owners::default();
        owners.by_applier.insert(applier.to_owned(), set(paths));
        owners
    }

    #[test]
    fn only_a_changed_field_of_somebody_else_conflicts() {
        let owners = owners("a", &["spec.x", "spec.y"]);
        let live = json!({"spec": {"x": 1, "y": 1, "z": 1}});
        let intent = json!({"spec": {"x": 1, "y": 2, "z": 2}});
        let claimed = set(&["spec.x", "spec.y", "spec.z"]);
        let found = owners.conflicts("b", &claimed, (&intent, &live));
        assert_eq!(found, [("a".to_owned(), path("spec.y"))]);
        assert_eq!(owners.conflicts("a", &claimed, (&intent, &live)), []);
    }

    #[test]
    fn a_plain_write_takes_the_field_from_its_applier() {
        let mut owners = owners("flux", &["spec.weight", "spec.host"]);
        let before = json!({"spec": {"weight": 0, "host": "a"}});
        let after = json!({"spec": {"weight": 10, "host": "a"}});
        owners.note_write("serin", &before, &after);
        assert_eq!(owners.by_applier["flux"], set(&["spec.host"]));
        let found = owners.conflicts("flux", &set(&["spec.weight"]), (&before, &after));
        assert_eq!(found, [("serin".to_owned(), path("spec.weight"))]);
    }

    #[test]
    fn what_nobody_names_any_longer_is_abandoned() {
        let mut both = owners("a", &["spec.x", "spec.y"]);
        both.by_applier.insert("b".to_owned(), set(&["spec.y"]));
        assert_eq!(both.abandoned("a", &set(&[])), [path("spec.x")]);
        assert_eq!(both.abandoned("a", &set(&["spec.x.inner"])), Vec::<Path>::new());
        assert_eq!(both.abandoned("nobody", &set(&[])), Vec::<Path>::new());
    }

    #[test]
    fn force_moves_what_changes_and_shares_what_does_not() {
        let mut owners = owners("a", &["spec.x", "spec.y"]);
        let live = json!({"spec": {"x": 1, "y": 1}});
        let intent = json!({"spec": {"x": 1, "y": 2}});
        owners.claim("b", set(&["spec.x", "spec.y"]), (&intent, &live));
        assert_eq!(owners.by_applier["a"], set(&["spec.x"]));
        assert_eq!(owners.by_applier["b"], set(&["spec.x", "spec.y"]));
    }
}
