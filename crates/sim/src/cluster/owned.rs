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
            let changed: Vec<Path> = paths
                .iter()
                .filter(|path| find(old, path) != find(new, path))
                .cloned()
                .collect();
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
        let others = self
            .by_applier
            .iter()
            .filter(|(name, _)| *name != applier)
            .chain(&self.by_writer);
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
    pub(crate) fn claim(
        &mut self,
        applier: &str,
        claimed: BTreeSet<Path>,
        (intent, live): (&Value, &Value),
    ) {
        let changed = changed(&claimed, (intent, live));
        for paths in self
            .by_applier
            .values_mut()
            .chain(self.by_writer.values_mut())
        {
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
    keys.iter()
        .all(|(name, text)| item[name.as_str()].to_string() == *text)
}
