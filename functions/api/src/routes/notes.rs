//! All notes, wherever they are attached. Adding one and taking it off is done where it is attached.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Engagement, Note, NoteId, Owner, ProductId, RiskAcceptance, Test};
use tatami_store::{NotePlace, Store};

use super::catalog::{Filter, How, Resource as _, id_in_path, select};
use super::risk_acceptances;
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::view::note::{FIELDS, views};

const PATH: &str = "/api/v2/notes";
const FILTERS: &[Filter] = &[
    Filter::of("id", How::Ids),
    Filter::of("entry", How::Exact),
    Filter::of("author", How::Ids),
    Filter::of("editor", How::Ids),
    Filter::of("private", How::Bool),
    Filter::of("edited", How::Bool),
    Filter::of("date", How::At),
    Filter::of("edit_time", How::At),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(PATH, "A page of the notes of all that one may see")
        .query(FILTERS.iter().map(Filter::parameter))
        .query([Field::new("o", Kind::Texts)])
        .answers(200, Answer::Page("Note"));
    routes.add(&list, self::list);
    let one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One("Note"));
    routes.add(&get, self::get);
    let replace = Operation::put(&*one, "Rewrite a note of one's own")
        .body("NoteRequest")
        .answers(200, Answer::One("Note"));
    routes.add(&replace, write);
    let change = Operation::patch(&*one, "Rewrite a note of one's own")
        .body("PatchedNoteRequest")
        .answers(200, Answer::One("Note"));
    routes.add(&change, write);
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let store = &api.services.store;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let places = seen(store, &visible, store.note_places().await?).await?;
    let mut notes = store.notes_at(&places).await?;
    let documents = notes.iter().map(document).collect();
    let (links, page) = select(documents, FILTERS, FIELDS, &listing)?;
    let order: HashMap<u64, usize> = (page.iter())
        .filter_map(|document| document["id"].as_u64())
        .zip(0..)
        .collect();
    notes.retain(|note| order.contains_key(&note.id.0));
    notes.sort_by_key(|note| order[&note.id.0]);
    Ok(Json(Page::new(links, views(store, &notes).await?)))
}

/// A note as filters and columns look at it.
fn document(note: &Note) -> Object {
    let fields = [
        ("id", json!(note.id)),
        ("entry", json!(note.entry)),
        ("author", json!(note.author)),
        ("editor", json!(note.editor)),
        ("private", json!(note.private)),
        ("edited", json!(note.edited)),
        ("date", json!(note.date)),
        ("edit_time", json!(note.edit_time)),
        ("note_type", json!(note.note_type)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    fields.into_iter().collect()
}

/// Those that can be seen. Only for those who see parts of a product is it looked up in which part
/// something is.
async fn seen(
    store: &Store,
    visible: &Visible,
    mut places: Vec<NotePlace>,
) -> Result<Vec<NotePlace>> {
    let Some(products) = visible.products() else {
        return Ok(places);
    };
    places.retain(|place| products.contains(&place.product));
    let whole = |product: ProductId| visible.sees(Place::Product(product));
    let partly = places.iter().filter(|place| !whole(place.product));
    let owners: BTreeSet<Owner> = partly.map(|place| place.owner).collect();
    let mut where_is: HashMap<Owner, Place> = HashMap::new();
    let (mut findings, mut tests, mut acceptances) = (Vec::new(), Vec::new(), Vec::new());
    for owner in owners {
        match owner {
            Owner::Finding(id) => findings.push(id),
            Owner::Test(id) => tests.push(id),
            Owner::RiskAcceptance(id) => acceptances.push(id),
            Owner::Engagement(_) => {}
        }
    }
    for finding in store.findings(findings).await? {
        where_is.insert(Owner::Finding(finding.id), Place::from(&finding));
    }
    for test in store.get_all::<Test>(tests).await? {
        where_is.insert(Owner::Test(test.id), Place::from(&test));
    }
    for acceptance in store.get_all::<RiskAcceptance>(acceptances).await? {
        where_is.insert(
            Owner::RiskAcceptance(acceptance.id),
            risk_acceptances::place(&acceptance),
        );
    }
    places.retain(|place| {
        let part = match place.owner {
            Owner::Engagement(id) => Some(Place::Engagement(place.product, id)),
            owner => where_is.get(&owner).copied(),
        };
        whole(place.product) || part.is_some_and(|part| visible.sees(part))
    });
    Ok(places)
}

/// The note of a path with its place, where the caller has the permission; `edit`: to change it.
async fn permitted(api: &Api, caller: &Caller, edit: bool, id: &str) -> Result<(NotePlace, Note)> {
    let store = &api.services.store;
    let id = NoteId(id_in_path(id)?);
    let place = store.note_place(id).await?;
    let place = place.ok_or_else(ApiError::not_found)?;
    let (at, to_edit) = match place.owner {
        Owner::Finding(id) => (
            Place::from(&store.finding(id).await?),
            Permission::EditFinding,
        ),
        Owner::Engagement(id) => {
            let engagement: Engagement = store.get(id).await?;
            (engagement.place(), Engagement::EDIT)
        }
        Owner::Test(id) => {
            let test: Test = store.get(id).await?;
            (test.place(), Test::EDIT)
        }
        Owner::RiskAcceptance(id) => {
            let acceptance: RiskAcceptance = store.get(id).await?;
            (
                risk_acceptances::place(&acceptance),
                Permission::EditFinding,
            )
        }
    };
    let permission = if edit {
        to_edit
    } else {
        Permission::ViewProducts
    };
    caller.require(permission, at).await?;
    let mut notes = store.notes_at(&[place]).await?;
    let note = notes.pop().ok_or_else(ApiError::not_found)?;
    if edit && note.author != Some(caller.0.user) {
        // what somebody else has said is theirs
        caller
            .require(Permission::ManageUsers, Place::Everywhere)
            .await?;
    }
    Ok((place, note))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let (_, note) = permitted(&api, &caller, false, &id).await?;
    answer(&api.services.store, note).await
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let (place, old) = permitted(&api, &caller, true, &id).await?;
    if_match.check(&version(&old))?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    let flag = |name: &str| sent.get(name).and_then(Value::as_bool);
    let now = Timestamp::now();
    let change = |note: &mut Note| {
        if_match.check(&version(note))?;
        if let Some(entry) = sent.get("entry").and_then(Value::as_str) {
            note.rewrite(entry, caller.0.user, now);
        }
        note.private = flag("private").unwrap_or(note.private);
        note.edited = flag("edited").unwrap_or(note.edited);
        Ok::<_, ApiError>(())
    };
    let note = api.services.store.change_note(&place, change).await?;
    answer(&api.services.store, note).await
}

fn version(note: &Note) -> Version {
    Version::of(note)
}

async fn answer(store: &Store, note: Note) -> Result<Versioned<Json<Value>>> {
    let version = version(&note);
    let mut views = views(store, &[note]).await?;
    Ok(Versioned(version, Json(views.pop().unwrap_or_default())))
}
