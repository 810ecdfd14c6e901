//! The objects of the cluster and the log of their changes; synchronous, and without a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};

use super::error::ApiError;
use super::events::{Change, ChangeKind};
use super::meta;
use super::owned::Owners;
use super::registry::{KindId, Registry};

/// How many changes a watch may lie behind before it gets 410 Gone: a thousand times what a test needs,
/// and small enough that a long simulation does not keep its whole history in memory.
const LOG_ENTRIES_MAX: usize = 20_000;

/// Namespace and name.
pub(crate) type Place = (String, String);

/// One object and who set which of its fields by server-side apply.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub object: Arc<Value>,
    pub owners: Owners,
}

/// One change, as watches replay it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub version: u64,
    pub kind: KindId,
    pub change: ChangeKind,
    pub object: Arc<Value>,
    /// The object before the change: a watch with a selector must see it leave.
    pub previous: Option<Arc<Value>>,
}

/// A queue of an in-process consumer.
pub(crate) type Queue = Mutex<VecDeque<Change>>;

/// All objects under one version counter.
#[derive(Debug)]
pub(crate) struct Store {
    pub registry: Registry,
    objects: BTreeMap<KindId, BTreeMap<Place, Stored>>,
    places: BTreeMap<String, (KindId, Place)>,
    dependents: BTreeMap<String, BTreeSet<(KindId, Place)>>,
    version: u64,
    identities: u64,
    log: VecDeque<Entry>,
    forgotten: u64,
    queues: Vec<Weak<Queue>>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            registry: Registry::new(),
            objects: BTreeMap::new(),
            places: BTreeMap::new(),
            dependents: BTreeMap::new(),
            version: 0,
            identities: 0,
            log: VecDeque::new(),
            forgotten: 0,
            queues: Vec::new(),
        }
    }

    /// The version of the latest change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn stored(&self, kind: KindId, place: &Place) -> Option<&Stored> {
        self.objects.get(&kind)?.get(place)
    }

    /// The object, or the server's NotFound.
    pub(crate) fn get(&self, kind: KindId, place: &Place) -> Result<&Arc<Value>, ApiError> {
        self.stored(kind, place)
            .map(|stored| &stored.object)
            .ok_or_else(|| ApiError::not_found(self.registry.kind(kind), &place.1))
    }

    /// Objects of a kind in the order of namespace and name, beginning after `after`.
    pub(crate) fn list<'a>(
        &'a self,
        kind: KindId,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Place, &'a Arc<Value>)> {
        self.objects
            .get(&kind)
            .into_iter()
            .flatten()
            .filter(move |(place, _)| namespace.is_none_or(|wanted| wanted == place.0))
            .map(|(place, stored)| (place, &stored.object))
    }

    pub(crate) fn namespace_exists(&self, name: &str) -> bool {
        self.registry
            .by_plural("", "namespaces")
            .is_some_and(|kind| self.stored(kind, &(String::new(), name.to_owned())).is_some())
    }

    /// Where the object with this uid is.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<&(KindId, Place)> {
        self.places.get(uid)
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(KindId, Place)> {
        self.dependents.get(uid).map(|found| found.iter().cloned().collect()).unwrap_or_default()
    }

    /// The changes of a kind after `version`, or 410 if some of them are forgotten.
    pub(crate) fn since(&self, kind: KindId, version: u64) -> Result<impl Iterator<Item = &Entry>, ApiError> {
        if version < self.forgotten {
            return Err(ApiError::expired(version, self.forgotten));
        }
        let start = self.log.partition_point(|entry| entry.version <= version);
        Ok(self.log.range(start..).filter(move |entry| entry.kind == kind))
    }

    /// Forgets all changes so far: watches that lie behind get 410 Gone.
    pub(crate) fn forget(&mut self) {
        self.log.clear();
        self.forgotten = self.version;
    }

    /// A new identity, in the form of a uuid.
    pub(crate) fn identify(&mut self) -> String {
        self.identities += 1;
        format!("5e51a000-0000-4000-8000-{:012x}", self.identities)
    }

    /// Five letters for a generated name, as the API server would append.
    pub(crate) fn suffix(&mut self) -> String {
        const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
        self.identities += 1;
        let mut state = self.identities.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut suffix = String::new();
        for _ in 0..5 {
            state ^= state >> 29;
            state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let letter = usize::try_from(state >> 40).unwrap_or(0) % LETTERS.len();
            suffix.push(char::from(LETTERS[letter]));
        }
        suffix
    }

    /// Stores the object under a new version and tells everyone.
    pub(crate) fn put(&mut self, kind: KindId, mut object: Value, owners: Owners) -> Arc<Value> {
        self.version += 1;
        meta::assign(&mut object, "resourceVersion", Some(json!(self.version.to_string())));
        let place = place_of(&object);
        let object = Arc::new(object);
        let stored = Stored { object: Arc::clone(&object), owners };
        let previous = self.objects.entry(kind).or_default().insert(place.clone(), stored).map(|stored| stored.object);
        self.unlink(kind, &place, previous.as_deref());
        self.link(kind, place, &object);
        let change = match previous {
            Some(_) => ChangeKind::Modified,
            None => ChangeKind::Added,
        };
        self.announce(kind, change, Arc::clone(&object), previous);
        object
    }

    /// Takes the object away for good; the last event carries a version of its own.
    pub(crate) fn remove(&mut self, kind: KindId, place: &Place) -> Option<Arc<Value>> {
        let stored = self.objects.get_mut(&kind)?.remove(place)?;
        self.unlink(kind, place, Some(&stored.object));
        self.version += 1;
        let mut last = (*stored.object).clone();
        meta::assign(&mut last, "resourceVersion", Some(json!(self.version.to_string())));
        let last = Arc::new(last);
        self.announce(kind, ChangeKind::Deleted, Arc::clone(&last), Some(stored.object));
        Some(last)
    }

    /// Rewrites the book of field owners without touching the object.
    pub(crate) fn set_owners(&mut self, kind: KindId, place: &Place, owners: Owners) {
        if let Some(stored) = self.objects.get_mut(&kind).and_then(|all| all.get_mut(place)) {
            stored.owners = owners;
        }
    }

    /// Opens a queue that begins with every object there is.
    pub(crate) fn open_queue(&mut self) -> Arc<Queue> {
        let mut queue = VecDeque::new();
        for (kind, objects) in &self.objects {
            let resource = &self.registry.kind(*kind).resource;
            queue.extend(objects.values().map(|stored| Change {
                resource: resource.clone(),
                kind: ChangeKind::Added,
                object: Arc::clone(&stored.object),
            }));
        }
        let queue = Arc::new(Mutex::new(queue));
        self.queues.push(Arc::downgrade(&queue));
        queue
    }

    fn announce(&mut self, kind: KindId, change: ChangeKind, object: Arc<Value>, previous: Option<Arc<Value>>) {
        let resource = &self.registry.kind(kind).resource;
        self.queues.retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(Change {
                resource: resource.clone(),
                kind: change,
                object: Arc::clone(&object),
            });
            true
        });
        self.log.push_back(Entry { version: self.version, kind, change, object, previous });
        if self.log.len() > LOG_ENTRIES_MAX
            && let Some(oldest) = self.log.pop_front()
        {
            self.forgotten = oldest.version;
        }
    }

    fn link(&mut self, kind: KindId, place: Place, object: &Value) {
        let here = (kind, place);
        for owner in meta::owners(object) {
            self.dependents.entry(owner.to_owned()).or_default().insert(here.clone());
        }
        self.places.insert(meta::uid(object).to_owned(), here);
    }

    fn unlink(&mut self, kind: KindId, place: &Place, object: Option<&Value>) {
        let Some(object) = object else { return };
        self.places.remove(meta::uid(object));
        let here = (kind, place.clone());
        for owner in meta::owners(object) {
            if let Some(found) = self.dependents.get_mut(owner) {
                found.remove(&here);
                if found.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

/// Namespace and name of an object.
pub(crate) fn place_of(object: &Value) -> Place {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}
