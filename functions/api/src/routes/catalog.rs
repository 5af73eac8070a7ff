//! What all resources of the product tree have in common: list, get, create, replace, change.
//!
//! A resource says what its fields, filters and rules are; reading, filtering, ordering and answering
//! is done here, over the JSON that clients see.

use std::cmp::Ordering;
use std::future::Future;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    DevelopmentEnvironment, Engagement, Event, Product, ProductType, TestType, User, UserId,
};
use tatami_store::{Entity, Follows, Store, StoreError};

use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Links, Listing, Page, Sorting, cut_sorted, ordering};
use crate::prefetch;
use crate::query::{Query, day_of, today};

/// The occasion on which something is added: there is one only.
pub const ADDED: &str = "added";

/// A thing of the product tree, as clients see it.
pub trait Resource: Entity + 'static {
    /// Path of the list.
    const PATH: &'static str;
    /// Name of its schema.
    const SCHEMA: &'static str;
    /// All its fields, under the names that its stored document has too.
    const FIELDS: &'static [Field];
    /// The parameters that lists may be filtered by.
    const FILTERS: &'static [Filter];
    /// The filter that names what it belongs to, and what kind that is: such lists are read alone.
    const PARENT: Option<(&'static str, &'static str)> = None;
    /// Who may see it.
    const VIEW: Permission;
    /// Who may make one.
    const ADD: Permission;
    /// Who may change it.
    const EDIT: Permission;

    /// A new one with what isn't sent.
    fn fresh() -> Self;

    /// Where it is.
    fn place(&self) -> Place {
        Place::Everywhere
    }

    /// Rules over several fields; `old` is what it was.
    fn check(&self, _old: Option<&Self>) -> Result<()> {
        Ok(())
    }

    /// Brings what was sent into the shape that is stored.
    fn amend(_sent: &mut Object) {}

    /// Is it one of this resource's, where several share a kind?
    fn is_one(&self) -> bool {
        true
    }

    /// May the caller, who may change what is there, make this of `old`? Nobody gives others what they
    /// lack.
    fn permit(
        &self,
        _caller: &Caller,
        _store: &Store,
        _old: Option<&Self>,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Does what else was asked for with it, which is kept somewhere else; `old` is what it was.
    fn apply(
        &self,
        _caller: &Caller,
        _store: &Store,
        _sent: &Object,
        _old: Option<&Self>,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Has the caller a permission over it?
    fn may(
        &self,
        caller: &Caller,
        permission: Permission,
    ) -> impl Future<Output = Result<()>> + Send {
        async move { caller.require(permission, self.place()).await }
    }

    /// Those of all that a list shows to the caller.
    fn shown(all: Vec<Self>, caller: &Caller) -> impl Future<Output = Result<Vec<Self>>> + Send {
        async move {
            let visible = caller.visible(Self::VIEW).await?;
            if Self::VIEW == Permission::ManageCommon {
                // what is for administrators alone is no list of which others see nothing
                caller.require(Self::VIEW, Place::Everywhere).await?;
            }
            let seen = all.into_iter().filter(|one| visible.sees(one.place()));
            Ok(seen.collect())
        }
    }

    /// What there is to tell of a new one that a user has made.
    fn told(
        &self,
        _store: &Store,
        _by: UserId,
    ) -> impl Future<Output = Result<Option<Event>>> + Send {
        async { Ok(None) }
    }

    /// What follows from a change of it, or of none left of it.
    fn changed(_api: &Api) {}

    /// Fills in what tells where a new one is.
    fn complete(&mut self, _store: &Store) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Adds to the documents what filters of the query look at and answers don't have: of something
    /// else, under names with `__`.
    fn join(
        _store: &Store,
        _query: &Query,
        _views: &mut [Object],
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Adds to the answers what isn't in the stored documents.
    fn decorate(_store: &Store, _views: &mut [Object]) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// A resource of which nothing else is a part, so that one can be deleted by itself.
pub trait Deletable: Resource {
    /// What it is called.
    fn name(&self) -> String;

    /// Who uses it, so that it cannot be deleted.
    fn users(&self, store: &Store) -> impl Future<Output = Result<Option<String>>> + Send;
}

/// A parameter that lists may be filtered by.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    /// The parameter.
    pub name: &'static str,
    /// The field that it looks at.
    pub field: &'static str,
    /// How.
    pub how: How,
}

/// How a filter looks at its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum How {
    /// Holds the text, whatever the case.
    Contains,
    /// Is the text.
    Exact,
    /// Is the text, whatever the case.
    AnyCase,
    /// Is one of several texts.
    OneOf,
    /// Is one of several ids.
    Ids,
    Bool,
    /// On a day, or in a numbered span.
    Day,
    /// At a time; a day stands for its start.
    At,
    /// At a time or later; a day stands for its start.
    After,
    /// At a time or earlier.
    Before,
    /// Later than a time.
    Later,
    /// Earlier than a time.
    Earlier,
    /// Has one of the tags.
    AnyTag,
    /// Has all of the tags.
    AllTags,
    /// Has none of the tags.
    NoTag,
    /// Has a tag that holds the text.
    TagContains,
    /// Has no tag that holds the text.
    NoTagContains,
    /// Has any tag.
    HasTags,
}

impl Filter {
    /// A filter that is called like its field.
    pub const fn of(name: &'static str, how: How) -> Self {
        Self {
            name,
            field: name,
            how,
        }
    }

    /// The filters over tags.
    pub const TAGS: [Self; 6] = [
        Self::on("tag", "tags", How::TagContains),
        Self::on("tags", "tags", How::AnyTag),
        Self::on("tags__and", "tags", How::AllTags),
        Self::on("not_tag", "tags", How::NoTagContains),
        Self::on("not_tags", "tags", How::NoTag),
        Self::on("has_tags", "tags", How::HasTags),
    ];

    /// A filter over a field of another name.
    pub const fn on(name: &'static str, field: &'static str, how: How) -> Self {
        Self { name, field, how }
    }

    /// The parameter as the OpenAPI document has it.
    pub fn parameter(&self) -> Field {
        let kind = match self.how {
            How::Contains
            | How::Exact
            | How::AnyCase
            | How::TagContains
            | How::NoTagContains
            | How::Day => Kind::Text(0),
            How::At | How::After | How::Before | How::Later | How::Earlier => Kind::DateTime,
            How::OneOf | How::AnyTag | How::AllTags | How::NoTag => Kind::Texts,
            How::Ids => Kind::Refs(Target::Unknown),
            How::Bool | How::HasTags => Kind::Bool,
        };
        Field::new(self.name, kind)
    }

    /// Leaves those that the query wants.
    fn apply(&self, query: &Query, views: &mut Vec<Object>) -> Result<()> {
        let Some(text) = query.get(self.name).map(str::trim) else {
            return Ok(());
        };
        let holds = |text: &str, part: &str| text.to_lowercase().contains(part);
        let field = self.field;
        match self.how {
            How::Contains => {
                let part = text.to_lowercase();
                views.retain(|view| view[field].as_str().is_some_and(|t| holds(t, &part)));
            }
            How::Exact => {
                views.retain(|view| view[field].as_str() == Some(text));
            }
            How::AnyCase => {
                let text = text.to_lowercase();
                views.retain(|view| {
                    view[field]
                        .as_str()
                        .is_some_and(|t| t.to_lowercase() == text)
                });
            }
            How::OneOf => {
                let texts = query.all(self.name);
                views.retain(|view| view[field].as_str().is_some_and(|t| texts.contains(&t)));
            }
            How::Ids => {
                let ids = query.ids(self.name)?;
                let wanted = |id: &Value| id.as_u64().is_some_and(|id| ids.contains(&id));
                views.retain(|view| match &view[field] {
                    Value::Array(several) => several.iter().any(wanted),
                    one => wanted(one),
                });
            }
            How::Bool => {
                let wanted = query.boolean(self.name)?;
                views.retain(|view| view[field].as_bool() == wanted);
            }
            How::HasTags => {
                let wanted = query.boolean(self.name)?;
                views.retain(|view| Some(tags(view, field).next().is_some()) == wanted);
            }
            How::Day => {
                let Some((from, to)) = query.span(self.name, today())? else {
                    return Ok(());
                };
                let day = |text: &str| {
                    let time = text.parse::<Timestamp>().map(day_of);
                    time.ok().or_else(|| tatami_domain::parse_date(text))
                };
                views.retain(|view| {
                    let day = view[field].as_str().and_then(day);
                    day.is_some_and(|day| (from..=to).contains(&day))
                });
            }
            How::At | How::After | How::Before | How::Later | How::Earlier => {
                let Some(bound) = query.time(self.name)? else {
                    return Ok(());
                };
                let within = |time: Timestamp| match self.how {
                    How::After => time >= bound,
                    How::Before => time <= bound,
                    How::Later => time > bound,
                    How::Earlier => time < bound,
                    _ => time == bound,
                };
                views.retain(|view| {
                    let time = view[field].as_str().and_then(|text| text.parse().ok());
                    time.is_some_and(within)
                });
            }
            How::AnyTag => {
                let wanted = query.all(self.name);
                views.retain(|view| tags(view, field).any(|tag| wanted.contains(&tag)));
            }
            How::AllTags => {
                let wanted = query.all(self.name);
                views.retain(|view| {
                    wanted
                        .iter()
                        .all(|w| tags(view, field).any(|tag| tag == *w))
                });
            }
            How::NoTag => {
                let wanted = query.all(self.name);
                views.retain(|view| !tags(view, field).any(|tag| wanted.contains(&tag)));
            }
            How::TagContains | How::NoTagContains => {
                let part = text.to_lowercase();
                let wanted = self.how == How::TagContains;
                views.retain(|view| tags(view, field).any(|tag| holds(tag, &part)) == wanted);
            }
        }
        Ok(())
    }
}

fn tags<'v>(view: &'v Object, field: &str) -> impl Iterator<Item = &'v str> + use<'v> {
    let tags = view.get(field).and_then(Value::as_array);
    tags.into_iter().flatten().filter_map(Value::as_str)
}

/// The parameters of a resource's list.
pub fn parameters<T: Resource>() -> impl Iterator<Item = Field> {
    let filters = T::FILTERS.iter().map(Filter::parameter);
    filters.chain([Field::new("o", Kind::Texts)])
}

/// Adds the routes of a resource.
pub fn add<T: Resource>(routes: &mut Routes) {
    add_under::<T>(routes, T::PATH);
    routes.schemas(T::SCHEMA, T::FIELDS);
    routes.loads(T::KIND, T::SCHEMA, prefetch::load::<T>);
}

/// Adds the routes of a resource under a path, which may be a second name of it.
pub fn add_under<T: Resource>(routes: &mut Routes, path: &'static str) {
    let request = format!("{}Request", T::SCHEMA);
    let one = format!("{path}/{{id}}");
    let list = Operation::get(path, "A page of the list")
        .query(parameters::<T>())
        .answers(200, Answer::Page(T::SCHEMA));
    routes.add(&list, self::list::<T>);
    let create = Operation::post(path, "Make one")
        .body(request.clone())
        .answers(201, Answer::One(T::SCHEMA));
    routes.add(&create, self::create::<T>);
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One(T::SCHEMA));
    routes.add(&get, self::get::<T>);
    let replace = Operation::put(&*one, "Replace one")
        .body(request)
        .answers(200, Answer::One(T::SCHEMA));
    routes.add(&replace, write::<T>);
    let change = Operation::patch(&*one, "Change some of its fields")
        .body(format!("Patched{}Request", T::SCHEMA))
        .answers(200, Answer::One(T::SCHEMA));
    routes.add(&change, write::<T>);
    routes.prefetches(path, T::SCHEMA, T::FIELDS, &[]);
}

/// Adds the routes by which one of them is deleted.
pub fn add_delete<T: Deletable>(routes: &mut Routes) {
    add_delete_under::<T>(routes, T::PATH);
}

/// The same under a path, which may be a second name of the resource.
pub fn add_delete_under<T: Deletable>(routes: &mut Routes, path: &'static str) {
    let path = format!("{path}/{{id}}");
    let delete = Operation::delete(&*path, "Delete one").answers(204, Answer::Empty);
    routes.add(&delete, self::delete::<T>);
    let path = format!("{path}/delete_preview");
    let preview = Operation::get(path, "What would be deleted with it")
        .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview::<T>);
}

/// The id in a path; what is no number is nothing that exists.
pub fn id_in_path(text: &str) -> Result<u64> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Answers with a page of a resource's list.
pub async fn list<T: Resource>(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let store = &api.services.store;
    let parent = match T::PARENT {
        Some((filter, kind)) => match listing.query.ids(filter)?[..] {
            [id] => Some((kind, id)),
            _ => None,
        },
        None => None,
    };
    let mut all: Vec<T> = match parent {
        Some((kind, id)) => store.children(kind, id).await?,
        None => store.list().await?,
    };
    all.retain(Resource::is_one);
    let all = T::shown(all, &caller).await?;
    let mut views = all.iter().map(stored_view).collect::<Result<Vec<_>>>()?;
    T::join(store, &listing.query, &mut views).await?;
    let (links, mut page) = select(views, T::FILTERS, T::FIELDS, &listing)?;
    T::decorate(store, &mut page).await?;
    page.iter_mut().for_each(keep_fields::<T>);
    let along = prefetch::along(&api, &caller, &listing.query, T::FIELDS, &page).await?;
    Ok(Json(Page::new(links, page).with_prefetch(along)))
}

/// Those that pass the filters and are of the page, in their order, and what is around them.
pub fn select(
    mut views: Vec<Object>,
    filters: &[Filter],
    fields: &[Field],
    listing: &Listing,
) -> Result<(Links, Vec<Object>)> {
    for filter in filters {
        filter.apply(&listing.query, &mut views)?;
    }
    let shown = |name: &str| (fields.iter()).any(|field| field.name == name && !field.write_only);
    let columns = ordering(&listing.query, shown)?;
    cut_sorted(views, listing, &Columns(columns))
}

/// Documents by some of their fields, each descending or not, and then by their ids.
pub struct Columns<'q>(pub Vec<(&'q str, bool)>);

impl Sorting<Object> for Columns<'_> {
    fn compare(&self, a: &Object, b: &Object) -> Ordering {
        let by_columns = self.0.iter().map(|(name, down)| {
            let order = compare(&a[*name], &b[*name]);
            if *down { order.reverse() } else { order }
        });
        let by_id = compare(&a["id"], &b["id"]);
        by_columns.fold(Ordering::Equal, Ordering::then).then(by_id)
    }

    fn place(&self, item: &Object) -> Value {
        let names = self.0.iter().map(|(name, _)| *name).chain(["id"]);
        let value = |name: &str| item.get(name).cloned().unwrap_or_default();
        names.map(|name| (name.to_owned(), value(name))).collect()
    }

    fn stand_in(&self, place: &Value) -> Option<Object> {
        let mut names = self.0.iter().map(|(name, _)| *name).chain(["id"]);
        let place = place.as_object()?;
        (names.all(|name| place.contains_key(name))).then(|| place.clone())
    }
}

/// Orders values of one field; null comes last.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => crate::page::missing_last(a.as_f64(), b.as_f64()),
    }
}

/// The one with the id of a path.
pub async fn one<T: Resource>(store: &Store, id: &str) -> Result<T> {
    let entity: T = store.get(id_in_path(id)?.into()).await?;
    Some(entity)
        .filter(Resource::is_one)
        .ok_or_else(ApiError::not_found)
}

async fn get<T: Resource>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Versioned<Json<Object>>> {
    let entity: T = one(&api.services.store, &id).await?;
    entity.may(&caller, T::VIEW).await?;
    let Versioned(version, Json(view)) = versioned(&api.services.store, &entity).await?;
    let view = with_prefetch::<T>(&api, &caller, &query, view).await?;
    Ok(Versioned(version, Json(view)))
}

/// An answer with what it points to, as far as it's asked for.
pub async fn with_prefetch<T: Resource>(
    api: &Api,
    caller: &Caller,
    query: &Query,
    view: Object,
) -> Result<Object> {
    let mut views = [view];
    let along = prefetch::along(api, caller, query, T::FIELDS, &views).await?;
    if let Some(along) = along {
        views[0].insert(prefetch::NAME.to_owned(), Value::Object(along));
    }
    let [view] = views;
    Ok(view)
}

async fn create<T: Resource>(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    let store = &api.services.store;
    let mut sent = match read(&body, T::FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            // whoever may make none at all learns nothing of the fields
            caller.require(T::ADD, Place::Somewhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    T::amend(&mut sent);
    let mut entity = merged(&T::fresh(), &encrypted::<T>(&api, &sent)?, true)?;
    entity.complete(store).await?;
    entity.may(&caller, T::ADD).await?;
    check_references(store, T::FIELDS, &sent).await?;
    entity.check(None)?;
    entity.permit(&caller, store, None).await?;
    entity.set_id(store.reserve::<T>().await?);
    let told = Box::pin(entity.told(store, caller.0.user)).await?;
    let entity = Box::pin(store.create_telling(entity, &Follows::from(told))).await?;
    entity.apply(&caller, store, &sent, None).await?;
    T::changed(&api);
    Ok((StatusCode::CREATED, versioned(store, &entity).await?))
}

async fn write<T: Resource>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    let store = &api.services.store;
    let old: T = one(store, &id).await?;
    old.may(&caller, T::EDIT).await?;
    if_match.check(&Version::of(&old))?;
    let mut sent = read(&body, T::FIELDS, mode).map_err(ApiError::Fields)?;
    T::amend(&mut sent);
    let sent = encrypted::<T>(&api, &sent)?;
    check_references(store, T::FIELDS, &sent).await?;
    merged(&old, &sent, false)?
        .permit(&caller, store, Some(&old))
        .await?;
    let entity = edit::<T>(store, old.id(), |entity| {
        if_match.check(&Version::of(entity))?;
        let new = merged(entity, &sent, false)?;
        new.check(Some(entity))?;
        *entity = new;
        Ok(())
    })
    .await?;
    entity.apply(&caller, store, &sent, Some(&old)).await?;
    T::changed(&api);
    versioned(store, &entity).await
}

async fn delete<T: Deletable>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let store = &api.services.store;
    let entity: T = one(store, &id).await?;
    entity.may(&caller, T::EDIT).await?;
    if_match.check(&Version::of(&entity))?;
    if let Some(users) = entity.users(store).await? {
        let message = format!("This {} is in use by {users}.", T::WORD);
        return Err(ApiError::conflict(message));
    }
    entity.permit(&caller, store, Some(&entity)).await?;
    let wanted = |entity: &T| if_match.check(&Version::of(entity));
    store.delete_if(entity.id(), wanted).await?;
    T::changed(&api);
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_preview<T: Deletable>(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let entity: T = one(&api.services.store, &id).await?;
    entity.may(&caller, T::VIEW).await?;
    let id: u64 = entity.id().into();
    let gone = json!({"model": T::SCHEMA, "id": id, "name": entity.name()});
    Ok(Json(listing.cut(vec![gone])))
}

/// What was sent, with secrets encrypted: they are stored no other way.
fn encrypted<T: Resource>(api: &Api, sent: &Object) -> Result<Object> {
    let mut sent = sent.clone();
    for field in T::FIELDS {
        if let (Kind::Secret(_), Some(value)) = (field.kind, sent.get_mut(field.name))
            && let Some(text) = value.as_str()
        {
            let key = api.services.secret_key()?;
            let purpose = format!("{}.{}", T::KIND, field.name);
            *value = json!(key.encrypt(&purpose, &text.into())?);
        }
    }
    Ok(sent)
}

/// Changes an entity and gives it back.
pub async fn edit<T: Resource>(
    store: &Store,
    id: T::Id,
    change: impl FnMut(&mut T) -> Result<()>,
) -> Result<T> {
    store.change::<T, ApiError>(id, change).await
}

/// An entity with the fields that were sent, and the time of the change.
pub fn merged<T: Resource>(entity: &T, sent: &Object, new: bool) -> Result<T> {
    let internal = |e: serde_json::Error| ApiError::Internal(e.to_string());
    let mut document = serde_json::to_value(entity).map_err(internal)?;
    let fresh = serde_json::to_value(T::fresh()).map_err(internal)?;
    for (name, value) in sent {
        // null stands for what a new one has
        let value = if value.is_null() { &fresh[name] } else { value };
        document[name] = value.clone();
    }
    for (name, wanted) in [("created", new), ("updated", true)] {
        if wanted && document.get(name).is_some() {
            document[name] = json!(Timestamp::now());
        }
    }
    let mut merged: T = serde_json::from_value(document).map_err(internal)?;
    merged.set_id(entity.id());
    Ok(merged)
}

/// The stored document with its id.
fn stored_view<T: Resource>(entity: &T) -> Result<Object> {
    match serde_json::to_value(entity) {
        Ok(Value::Object(mut view)) => {
            let id: u64 = entity.id().into();
            view.insert("id".into(), json!(id));
            Ok(view)
        }
        Ok(_) => Err(ApiError::Internal(format!("a {} is no object", T::WORD))),
        Err(error) => Err(ApiError::Internal(error.to_string())),
    }
}

/// Leaves what answers have: neither what is nobody's business nor what `join` added.
fn keep_fields<T: Resource>(view: &mut Object) {
    let shown =
        |name: &str| (T::FIELDS.iter()).any(|field| field.name == name && !field.write_only);
    view.retain(|name, _| shown(name));
}

/// An entity as clients see it.
pub async fn view<T: Resource>(store: &Store, entity: &T) -> Result<Object> {
    let views = views(store, std::slice::from_ref(entity)).await?;
    Ok(views.into_iter().next().unwrap_or_default())
}

/// Entities as clients see them.
pub async fn views<T: Resource>(store: &Store, entities: &[T]) -> Result<Vec<Object>> {
    let mut views = entities
        .iter()
        .map(stored_view)
        .collect::<Result<Vec<_>>>()?;
    T::decorate(store, &mut views).await?;
    views.iter_mut().for_each(keep_fields::<T>);
    Ok(views)
}

/// An entity as clients see it, in its version.
pub async fn versioned<T: Resource>(store: &Store, entity: &T) -> Result<Versioned<Json<Object>>> {
    Ok(Versioned(
        Version::of(entity),
        Json(view(store, entity).await?),
    ))
}

/// Fields that every answer has and that Tatami keeps nothing for.
pub fn constants(views: &mut [Object], constants: &Value) {
    for view in views {
        for (name, value) in constants.as_object().into_iter().flatten() {
            view.insert(name.clone(), value.clone());
        }
    }
}

/// Does everything exist that the ids of these fields point to?
pub async fn check_references(store: &Store, fields: &[Field], sent: &Object) -> Result<()> {
    let mut problems = Problems::default();
    for field in fields {
        let (Kind::Ref(target) | Kind::Refs(target)) = field.kind else {
            continue;
        };
        let ids: Vec<u64> = match sent.get(field.name) {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
            Some(one) => one.as_u64().into_iter().collect(),
            None => continue,
        };
        for id in ids {
            if !exists(store, target, id).await? {
                problems.add(
                    field.name,
                    format!("Invalid pk \"{id}\": there is no such object."),
                );
            }
        }
    }
    problems.into_result()
}

async fn exists(store: &Store, target: Target, id: u64) -> Result<bool> {
    let found: Result<(), StoreError> = match target {
        Target::Record(kind) => return Ok(store.exists(kind, id).await?),
        Target::ProductType => store.get::<ProductType>(id.into()).await.map(drop),
        Target::Product => store.get::<Product>(id.into()).await.map(drop),
        Target::Engagement => store.get::<Engagement>(id.into()).await.map(drop),
        Target::Test => store.get::<tatami_domain::Test>(id.into()).await.map(drop),
        Target::TestType => store.get::<TestType>(id.into()).await.map(drop),
        Target::Environment => store
            .get::<DevelopmentEnvironment>(id.into())
            .await
            .map(drop),
        Target::User => store.get::<User>(id.into()).await.map(drop),
        Target::Finding => store.finding(id.into()).await.map(drop),
        Target::Unknown => Ok(()),
    };
    match found {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}
