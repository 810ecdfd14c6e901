//! The store as the simulation's own actors use it: synchronous, unrecorded and beyond the reach of faults.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Cluster;
use super::convert;
use super::error::ApiError;
use super::meta;
use super::registry::{Kind, KindId, split_api_version};
use super::resource::{NAMESPACES, Resource};
use super::store::{Place, Store, place_of};
use super::write::{Part, Propagation, Write};

/// Who the simulation's own writes are by.
const ACTOR: &str = "simulation";

/// What became of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The kind of the manifest.
    pub kind: String,
    /// The apiVersion of the manifest.
    pub api_version: String,
    /// The namespace, empty for cluster-wide objects.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// Whether the cluster serves the kind; objects of other kinds are only kept.
    pub known: bool,
    /// Whether the object is new.
    pub created: bool,
}

impl Cluster {
    /// The object, or NotFound. Cluster-wide objects have the namespace `""`.
    ///
    /// # Errors
    /// NotFound if the object or the kind does not exist.
    pub fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        let store = self.lock();
        let kind = find(&store, resource)?;
        store.get(kind, &place(namespace, name)).cloned()
    }

    /// The objects of a kind in the order of namespace and name; `None` means all namespaces.
    #[must_use]
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let store = self.lock();
        let Ok(kind) = find(&store, resource) else {
            return Vec::new();
        };
        let objects = store.list(kind, namespace);
        objects.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Stores a new object, its status included.
    ///
    /// # Errors
    /// AlreadyExists, Invalid, or NotFound where the namespace is missing.
    pub fn create(&self, resource: &Resource, object: Value) -> Result<Arc<Value>, ApiError> {
        self.mutate(resource, |store, kind, write| {
            let object = incoming(store, kind, object)?;
            store.create(kind, object, write)
        })
    }

    /// Replaces an object, its status included; a resourceVersion in it is a precondition.
    ///
    /// # Errors
    /// NotFound, Conflict or Invalid.
    pub fn update(&self, resource: &Resource, object: Value) -> Result<Arc<Value>, ApiError> {
        self.mutate(resource, |store, kind, write| {
            let object = incoming(store, kind, object)?;
            store.replace(kind, &place_of(&object), object, write)
        })
    }

    /// Edits an object in place, its status included; an edit that changes nothing is no write.
    ///
    /// # Errors
    /// NotFound or Invalid.
    pub fn modify(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, ApiError> {
        self.mutate(resource, |store, kind, write| {
            let place = place(namespace, name);
            let mut next = (**store.get(kind, &place)?).clone();
            edit(&mut next);
            let next = incoming(store, kind, next)?;
            store.replace(kind, &place, next, write)
        })
    }

    /// Merges a JSON merge patch into an object, its status included.
    ///
    /// # Errors
    /// NotFound or Invalid.
    pub fn patch_merge(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Arc<Value>, ApiError> {
        self.modify(resource, namespace, name, |object| {
            json_patch::merge(object, patch);
        })
    }

    /// Deletes an object and what it owns; finalizers hold it up as they would in a real cluster.
    ///
    /// # Errors
    /// NotFound.
    pub fn delete(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Value>, ApiError> {
        self.mutate(resource, |store, kind, write| {
            let place = place(namespace, name);
            store.delete(kind, &place, Propagation::Background, write.now)
        })
    }

    /// Creates the object of a manifest or lays the manifest over what is there; fields that it does not name stay.
    ///
    /// A missing namespace is made. Kinds that nothing defines are kept, in namespaces, under a plural made up from the
    /// kind.
    ///
    /// # Errors
    /// BadRequest if apiVersion, kind or metadata.name is missing, or a known kind has no such version; Invalid as for any write.
    pub fn apply_manifest(&self, manifest: Value) -> Result<Applied, ApiError> {
        let (kind, mut object) = self.place_manifest(manifest)?;
        let (resource, known) = {
            let store = self.lock();
            let kind = store.registry.kind(kind);
            (kind.resource.clone(), kind.served)
        };
        let mut applied = Applied {
            kind: resource.kind.to_string(),
            api_version: object["apiVersion"].as_str().unwrap_or_default().to_owned(),
            namespace: meta::namespace(&object).to_owned(),
            name: meta::name(&object).to_owned(),
            known,
            created: false,
        };
        if resource.namespaced {
            self.ensure_namespace(&applied.namespace);
        }
        for field in ["resourceVersion", "uid"] {
            meta::assign(&mut object, field, None);
        }
        let (namespace, name) = (applied.namespace.clone(), applied.name.clone());
        if self.get(&resource, &namespace, &name).is_ok() {
            self.modify(&resource, &namespace, &name, |live| overlay(live, object))?;
        } else {
            self.create(&resource, object)?;
            applied.created = true;
        }
        Ok(applied)
    }

    /// Makes a namespace unless it is there.
    pub fn ensure_namespace(&self, name: &str) {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        });
        match self.create(&NAMESPACES, namespace) {
            Ok(_) => {}
            Err(there) => tracing::trace!(%there, "the namespace was not made"),
        }
    }

    /// Finds the kind of a manifest, or makes one up, and settles the namespace.
    fn place_manifest(&self, mut object: Value) -> Result<(KindId, Value), ApiError> {
        let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        for (field, value) in
            [("apiVersion", api_version.as_str()), ("kind", &kind), ("metadata.name", meta::name(&object))]
        {
            if value.is_empty() {
                return Err(ApiError::bad_request(format!(
                    "{field}: Required value: a manifest must name its {field}"
                )));
            }
        }
        let mut store = self.lock();
        let known = store.registry.by_manifest(&api_version, &kind);
        if let Some(known) = known.map(|id| store.registry.kind(id)) {
            check_version(known, &api_version)?;
        }
        let id = known.unwrap_or_else(|| store.registry.synthesize(&api_version, &kind));
        if store.registry.kind(id).resource.namespaced {
            if meta::namespace(&object).is_empty() {
                meta::assign(&mut object, "namespace", Some(json!("default")));
            }
        } else {
            meta::assign(&mut object, "namespace", None);
        }
        Ok((id, object))
    }

    fn mutate<T>(
        &self,
        resource: &Resource,
        act: impl FnOnce(&mut Store, KindId, &Write<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let now = self.now();
        let result = {
            let mut store = self.lock();
            let kind = find(&store, resource)?;
            let write = Write { now, part: Part::Whole, dry_run: false, writer: ACTOR, operation: "Update" };
            act(&mut store, kind, &write)
        };
        self.announce();
        result
    }
}

fn find(store: &Store, resource: &Resource) -> Result<KindId, ApiError> {
    store.registry.by_plural(&resource.group, &resource.plural).ok_or_else(ApiError::unknown_path)
}

/// A served kind in a version that does not exist is a mistake, not an unknown kind.
fn check_version(known: &Kind, api_version: &str) -> Result<(), ApiError> {
    let (group, version) = split_api_version(api_version);
    if !known.served || known.serves(version) || group == "events.k8s.io" {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "apiVersion: Unsupported value: \"{api_version}\": {} is served in {}",
        known.qualified_kind(),
        known.versions.join(", ")
    )))
}

fn place(namespace: &str, name: &str) -> Place {
    (namespace.to_owned(), name.to_owned())
}

fn incoming(store: &Store, kind: KindId, mut object: Value) -> Result<Value, ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("an object must be a map"));
    }
    convert::incoming(store.registry.kind(kind), &mut object);
    Ok(object)
}

/// Lays a manifest over a live object: maps merge, everything else is replaced; null removes.
fn overlay(live: &mut Value, manifest: Value) {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => {
            for (field, value) in manifest {
                if value.is_null() {
                    live.remove(&field);
                } else {
                    overlay(live.entry(field).or_insert(Value::Null), value);
                }
            }
        }
        (live, manifest) => *live = manifest,
    }
}
