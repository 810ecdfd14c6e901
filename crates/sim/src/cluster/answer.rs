//! One request to a kind of object, and its answer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http::Method;
use serde_json::{Value, json};

use super::Cluster;
use super::apply;
use super::convert;
use super::error::{ApiError, Cause};
use super::evict;
use super::form::{Form, View};
use super::meta;
use super::patch::{self, PatchKind};
use super::registry::{Kind, KindId};
use super::request::{Request, Target};
use super::scale;
use super::selector::Selector;
use super::store::{Place, Store, place_of};
use super::watch::{Filter, Start, Watch};
use super::write::{Part, Propagation, Write};

/// An answer before it is put on the wire.
pub(crate) enum Reply {
    /// A status code and a JSON body; a string goes out as plain text.
    Object(u16, Value),
    /// A stream of changes.
    Watch(Box<Watch>),
}

/// What every part of the answer needs to know about the request.
pub(crate) struct Call<'a> {
    pub request: &'a Request,
    pub id: KindId,
    pub kind: Arc<Kind>,
    pub view: View,
    pub now: DateTime<Utc>,
}

/// Carries the request out under the lock of the store.
pub(crate) fn answer(cluster: &Cluster, request: &Request) -> Result<Reply, ApiError> {
    let mut store = cluster.lock();
    let call = Call::new(&store, request, cluster.now())?;
    let subresource = request.target.subresource.as_deref();
    match (&request.method, subresource) {
        (&Method::GET | &Method::HEAD, None) if request.flag("watch") => watch(cluster, &store, call),
        (_, Some("scale")) => scale::answer(&mut store, &call),
        (_, Some("eviction")) => evict::answer(&mut store, &call),
        (_, Some("status")) if call.kind.status => object(&mut store, &call, Part::Status),
        (_, Some("finalize")) => object(&mut store, &call, Part::Main),
        (_, Some(_)) => Err(ApiError::unknown_path()),
        (_, None) => object(&mut store, &call, Part::Main),
    }
}

impl<'a> Call<'a> {
    fn new(store: &Store, request: &'a Request, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let Target { group, version, plural, .. } = &request.target;
        let shared = group == "events.k8s.io" && plural == "events" && version == "v1";
        let stored_group = if shared { "" } else { group.as_str() };
        let found = store.registry.by_plural(stored_group, plural);
        let id =
            found.filter(|id| shared || store.registry.kind(*id).serves(version)).ok_or_else(ApiError::unknown_path)?;
        let kind = Arc::clone(store.registry.kind(id));
        let view = View {
            kind: Arc::clone(&kind),
            api_version: convert::api_version(group, version),
            form: Form::of(&request.accept),
            include: request.option("includeObject").to_owned(),
            now,
        };
        Ok(Self { request, id, kind, view, now })
    }

    /// The place that the path names; a request without a name has none.
    pub(crate) fn place(&self) -> Option<Place> {
        let target = &self.request.target;
        Some((target.namespace.clone().unwrap_or_default(), target.name.clone()?))
    }

    pub(crate) fn write(&self, part: Part) -> Write<'a> {
        let operation = match PatchKind::of(&self.request.content_type) {
            Some(PatchKind::Apply) => "Apply",
            Some(PatchKind::Json | PatchKind::Merge | PatchKind::Strategic) | None => "Update",
        };
        let (dry_run, writer) = (self.request.dry_run(), self.request.writer());
        Write { now: self.now, part, dry_run, writer, operation }
    }

    /// The body as an object of this kind in its storage version, at the place of the path.
    fn body(&self) -> Result<Value, ApiError> {
        let mut object = self.request.object()?;
        let said = (object["apiVersion"].as_str(), object["kind"].as_str());
        if let (Some(api_version), Some(kind)) = said
            && (api_version != self.view.api_version || kind != self.kind.resource.kind)
        {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({api_version}, {kind}) does not match the expected API version ({}, {})",
                self.view.api_version, self.kind.resource.kind
            )));
        }
        convert::incoming(&self.kind, &mut object);
        if let Some(namespace) = &self.request.target.namespace {
            let own = meta::namespace(&object);
            if !own.is_empty() && own != namespace {
                return Err(ApiError::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
            meta::assign(&mut object, "namespace", Some(json!(namespace)));
        }
        Ok(object)
    }

    fn shown(&self, code: u16, object: &Value) -> Reply {
        Reply::Object(code, self.view.object(object).into_owned())
    }
}

fn object(store: &mut Store, call: &Call<'_>, part: Part) -> Result<Reply, ApiError> {
    match (&call.request.method, call.place()) {
        (&Method::GET | &Method::HEAD, Some(place)) => Ok(call.shown(200, store.get(call.id, &place)?)),
        (&Method::GET | &Method::HEAD, None) => list(store, call),
        (&Method::POST, None) => create(store, call),
        (&Method::PUT, Some(place)) => update(store, call, &place, part),
        (&Method::PATCH, Some(place)) => patch(store, call, &place, part),
        (&Method::DELETE, Some(place)) => delete(store, call, &place),
        (&Method::DELETE, None) => delete_all(store, call),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn list(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let request = call.request;
    let filter = filter(request)?;
    let limit = request.option("limit").parse().ok().filter(|limit| *limit > 0);
    let begin = Continue::parse(request.option("continue"))?;
    let mut found = Vec::new();
    let mut more = None;
    for (place, object) in store.list(call.id, filter.namespace.as_deref()) {
        if begin.as_ref().is_some_and(|begin| *place <= begin.after) || !filter.shows(object) {
            continue;
        }
        if limit.is_some_and(|limit: usize| found.len() >= limit) {
            more = found.last().map(|last: &Arc<Value>| place_of(last));
            break;
        }
        found.push(Arc::clone(object));
    }
    let version = begin.map_or(store.version(), |begin| begin.version);
    let mut list = json!({"resourceVersion": version.to_string()});
    if let Some(after) = more {
        list["continue"] = json!(Continue { version, after }.text());
    }
    Ok(Reply::Object(200, call.view.list(&found, &list)))
}

fn create(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    if call.kind.resource.namespaced && call.request.target.namespace.is_none() {
        return Err(ApiError::method_not_allowed());
    }
    let object = call.body()?;
    let stored = store.create(call.id, object, &call.write(Part::Main))?;
    Ok(call.shown(201, &stored))
}

fn update(store: &mut Store, call: &Call<'_>, place: &Place, part: Part) -> Result<Reply, ApiError> {
    let object = call.body()?;
    store.get(call.id, place)?;
    if meta::name(&object) != place.1 {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta::name(&object),
            place.1
        )));
    }
    let unconditional = !call.kind.custom && call.kind.resource.plural != "leases";
    if !unconditional && meta::text(&object, "resourceVersion").is_empty() {
        let cause = Cause {
            field: "metadata.resourceVersion".to_owned(),
            reason: "FieldValueInvalid",
            message: "Invalid value: 0x0: must be specified for an update".to_owned(),
        };
        return Err(ApiError::invalid(&call.kind, &place.1, &[cause]));
    }
    let stored = store.replace(call.id, place, object, &call.write(part))?;
    Ok(call.shown(200, &stored))
}

fn patch(store: &mut Store, call: &Call<'_>, place: &Place, part: Part) -> Result<Reply, ApiError> {
    let how = PatchKind::of(&call.request.content_type).ok_or_else(patch::unsupported)?;
    if how == PatchKind::Apply {
        let (code, stored) = apply::answer(store, call, place, part)?;
        return Ok(call.shown(code, &stored));
    }
    let old = Arc::clone(store.get(call.id, place)?);
    let seen = convert::outgoing(&call.view.api_version, &old);
    let seen = seen.as_ref().unwrap_or(&old);
    let mut next = patch::apply(how, &call.kind, seen, &call.request.value()?)?;
    convert::incoming(&call.kind, &mut next);
    let stored = store.replace(call.id, place, next, &call.write(part))?;
    Ok(call.shown(200, &stored))
}

fn delete(store: &mut Store, call: &Call<'_>, place: &Place) -> Result<Reply, ApiError> {
    let options = delete_options(call.request)?;
    let object = Arc::clone(store.get(call.id, place)?);
    check_delete_preconditions(&call.kind, &object, &options)?;
    if call.request.dry_run() {
        return Ok(call.shown(200, &object));
    }
    let propagation = propagation(call.request, &options);
    let last = store.delete(call.id, place, propagation, call.now)?;
    if store.stored(call.id, place).is_some() {
        return Ok(call.shown(200, &last));
    }
    let mut details = json!({
        "name": place.1, "kind": call.kind.resource.plural, "uid": meta::uid(&last),
    });
    if !call.kind.resource.group.is_empty() {
        details["group"] = json!(call.kind.resource.group);
    }
    Ok(Reply::Object(
        200,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
        }),
    ))
}

fn delete_all(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let filter = filter(call.request)?;
    let options = delete_options(call.request)?;
    let objects = store.list(call.id, filter.namespace.as_deref());
    let found: Vec<(Place, Arc<Value>)> = objects
        .filter(|(_, object)| filter.shows(object))
        .map(|(place, object)| (place.clone(), Arc::clone(object)))
        .collect();
    if !call.request.dry_run() {
        for (place, _) in &found {
            let propagation = propagation(call.request, &options);
            match store.delete(call.id, place, propagation, call.now) {
                Ok(_) => {}
                Err(gone) if gone.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
    }
    let objects: Vec<Arc<Value>> = found.into_iter().map(|(_, object)| object).collect();
    let list = json!({"resourceVersion": store.version().to_string()});
    Ok(Reply::Object(200, call.view.list(&objects, &list)))
}

fn watch(cluster: &Cluster, store: &Store, call: Call<'_>) -> Result<Reply, ApiError> {
    let request = call.request;
    let start = match request.option("resourceVersion") {
        _ if request.flag("sendInitialEvents") => Start::Streaming,
        "" | "0" => Start::Now,
        version => Start::After(version.parse().map_err(|_| {
            ApiError::bad_request(format!("Invalid value: {version:?}: resourceVersion must be a number"))
        })?),
    };
    let filter = filter(request)?;
    let opened = Watch::open(cluster, store, (call.id, filter, call.view), start);
    Ok(Reply::Watch(Box::new(opened)))
}

fn filter(request: &Request) -> Result<Filter, ApiError> {
    let selector = Selector::parse(request.option("labelSelector"), request.option("fieldSelector"))?;
    Ok(Filter { namespace: request.target.namespace.clone(), name: request.target.name.clone(), selector })
}

fn delete_options(request: &Request) -> Result<Value, ApiError> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    request.object()
}

fn propagation(request: &Request, options: &Value) -> Propagation {
    let said = match request.option("propagationPolicy") {
        "" => options["propagationPolicy"].as_str().unwrap_or_default(),
        said => said,
    };
    match said {
        "Foreground" => Propagation::Foreground,
        "Orphan" => Propagation::Orphan,
        _ if options["orphanDependents"] == true => Propagation::Orphan,
        _ => Propagation::Background,
    }
}

fn check_delete_preconditions(kind: &Kind, object: &Value, options: &Value) -> Result<(), ApiError> {
    let wanted = &options["preconditions"];
    for (field, label) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let Some(wanted) = wanted[field].as_str() else {
            continue;
        };
        let is = meta::text(object, field);
        if wanted != is {
            let why = format!("Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {is}");
            return Err(ApiError::conflict(kind, meta::name(object), &why));
        }
    }
    Ok(())
}

/// Where the next page of a list begins.
struct Continue {
    version: u64,
    after: Place,
}

impl Continue {
    fn parse(token: &str) -> Result<Option<Self>, ApiError> {
        if token.is_empty() {
            return Ok(None);
        }
        let mut parts = token.splitn(3, '/');
        let mut next = || parts.next();
        let parsed = next()
            .and_then(|version| version.parse().ok())
            .zip(next().zip(next()))
            .map(|(version, (namespace, name))| Self { version, after: (namespace.to_owned(), name.to_owned()) });
        match parsed {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ApiError::bad_request("continue key is not valid: it must be one that a list returned")),
        }
    }

    fn text(&self) -> String {
        format!("{}/{}/{}", self.version, self.after.0, self.after.1)
    }
}
