//! The HTTP requests and responses that findings were seen in. They lie among a finding's long texts; a pair
//! is known by the finding and its place, which it keeps when others are deleted.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Finding, FindingId, RequestResponse, Texts};
use tatami_store::{Change, Committed, Sight, StoreError};

use super::write::{TRIES, commit, unique};
use super::{TEXTS_AT_ONCE, permitted};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Cut, Listing, Page};
use crate::routes::catalog::{Columns, id_in_path};
use crate::view::finding::Packs;

const PATH: &str = "/api/v2/request_response_pairs";
/// So many pairs of a finding have a number.
const MAX: u64 = 1 << 16;
/// The longest request or response, in bytes.
const MAX_BYTES: usize = 1 << 20;
const REQUEST: &str = "burpRequestBase64";
const RESPONSE: &str = "burpResponseBase64";

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new(REQUEST, Kind::Text(0)).required(),
    Field::new(RESPONSE, Kind::Text(0)).required(),
    Field::new("finding", Kind::Ref(Target::Finding))
        .nullable()
        .fixed(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let path = "/api/v2/findings/{id}/request_response";
    let get = Operation::get(path, "Its requests and responses")
        .answers(200, Answer::One("BurpRawRequestResponse"));
    routes.add(&get, of_finding);
    let add = Operation::post(path, "Add requests and responses")
        .body("BurpRawRequestResponseRequest")
        .answers(201, Answer::One("BurpRawRequestResponse"));
    routes.add(&add, add_to_finding);
    for name in ["BurpRawRequestResponse", "BurpRawRequestResponseRequest"] {
        let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
        routes.schema(
            name,
            json!({"type": "object", "required": ["req_resp"],
                "properties": {"req_resp": {"type": "array", "items": texts}}}),
        );
    }
    let list = Operation::get(PATH, "A page of the requests and responses of findings")
        .query([Field::new("finding", Kind::Refs(Target::Finding))])
        .answers(200, Answer::Page("BurpRawRequestResponseMulti"));
    routes.add(&list, self::list);
    let create = Operation::post(PATH, "Add a request and its response to a finding")
        .body("BurpRawRequestResponseMultiRequest")
        .answers(201, Answer::One("BurpRawRequestResponseMulti"));
    routes.add(&create, self::create);
    let one = format!("{PATH}/{{id}}");
    let answer = || Answer::One("BurpRawRequestResponseMulti");
    let get = Operation::get(&*one, "One of them").answers(200, answer());
    routes.add(&get, self::get);
    let replace = Operation::put(&*one, "Replace one")
        .body("BurpRawRequestResponseMultiRequest")
        .answers(200, answer());
    routes.add(&replace, write);
    let change = Operation::patch(&*one, "Change some of its fields")
        .body("PatchedBurpRawRequestResponseMultiRequest")
        .answers(200, answer());
    routes.add(&change, write);
    let delete = Operation::delete(&*one, "Delete one").answers(204, Answer::Empty);
    routes.add(&delete, self::delete);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    routes.schemas("BurpRawRequestResponseMulti", FIELDS);
}

/// Was it deleted, so that only its place is left?
fn is_gone(pair: &RequestResponse) -> bool {
    pair.request.is_empty() && pair.response.is_empty()
}

fn all(texts: &Texts) -> Value {
    let pairs = texts.requests.iter().filter(|pair| !is_gone(pair));
    json!({"req_resp": pairs.collect::<Vec<_>>()})
}

/// A pair with its number.
struct Numbered {
    finding: FindingId,
    place: u64,
    pair: RequestResponse,
}

impl Numbered {
    fn all(finding: FindingId, texts: &Texts) -> impl Iterator<Item = Self> + '_ {
        let places = (0..MAX).zip(&texts.requests);
        let there = places.filter(|(_, pair)| !is_gone(pair));
        there.map(move |(place, pair)| Self {
            finding,
            place,
            pair: pair.clone(),
        })
    }

    fn id(&self) -> u64 {
        self.finding.0 * MAX + self.place
    }

    fn view(&self) -> Value {
        json!({
            "id": self.id(),
            REQUEST: STANDARD.encode(&self.pair.request),
            RESPONSE: STANDARD.encode(&self.pair.response),
            "finding": self.finding,
        })
    }

    fn version(&self) -> Version {
        Version::of(&self.pair)
    }

    fn answer(&self) -> Versioned<Json<Value>> {
        Versioned(self.version(), Json(self.view()))
    }
}

async fn of_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let finding = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let packs = Packs::load(&api.services.blobs, [&finding]).await?;
    Ok(Json(all(packs.of(&finding))))
}

/// Changes the long texts of a finding, and gives them.
async fn change_texts(
    api: &Api,
    mut finding: Finding,
    change: impl Fn(&mut Texts) -> Result<()>,
) -> Result<Texts> {
    let (store, blobs) = (&api.services.store, &api.services.blobs);
    for _ in 0..TRIES {
        let mut texts = match &finding.texts {
            Some(at) => blobs.texts(at).await?,
            None => Texts::default(),
        };
        change(&mut texts)?;
        let mut new = finding.clone();
        new.texts = Some(blobs.put_own_texts(&unique(), texts.clone()).await?);
        let id = finding.id;
        let changes = vec![Change::Update {
            old: Box::new(finding),
            new: Box::new(new.clone()),
        }];
        if store.commit(&commit(&new, changes)).await? == Committed::Yes {
            return Ok(texts);
        }
        finding = store.finding(id).await?;
    }
    Err(StoreError::Contention(format!("finding {}", finding.id)).into())
}

/// Adds pairs behind the others.
fn append(texts: &mut Texts, pairs: &[RequestResponse], field: &str) -> Result<()> {
    if texts.requests.len() as u64 + pairs.len() as u64 > MAX {
        return Err(ApiError::field(
            field,
            format!("A finding has {MAX} at most."),
        ));
    }
    texts.requests.extend(pairs.iter().cloned());
    Ok(())
}

async fn add_to_finding(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    const FIELD: &str = "req_resp";
    let finding = permitted(&api, &caller, Permission::EditFinding, &id).await?;
    let wrong = || ApiError::field(FIELD, "Send a list of objects with request and response.");
    let sent = body
        .get(FIELD)
        .and_then(Value::as_array)
        .ok_or_else(wrong)?;
    let mut pairs = Vec::with_capacity(sent.len());
    for pair in sent {
        let text = |name: &str| pair.get(name).and_then(Value::as_str).map(str::to_owned);
        let pair = RequestResponse {
            request: text("request").ok_or_else(wrong)?,
            response: text("response").ok_or_else(wrong)?,
        };
        let long = [&pair.request, &pair.response]
            .iter()
            .any(|t| t.len() > MAX_BYTES);
        if long || is_gone(&pair) {
            let message = format!("Each has 1 to {MAX_BYTES} bytes.");
            return Err(ApiError::field(FIELD, message));
        }
        pairs.push(pair);
    }
    let texts = change_texts(&api, finding, |texts| append(texts, &pairs, FIELD)).await?;
    Ok((StatusCode::CREATED, Json(all(&texts))))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let store = &api.services.store;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let wanted: Vec<FindingId> = (listing.query.ids("finding")?.into_iter())
        .map(FindingId)
        .collect();
    let mut findings: Vec<Arc<Finding>> = Vec::new();
    let sees = |finding: &Finding| visible.sees(Place::from(finding)) && finding.texts.is_some();
    if wanted.is_empty() {
        let products: Option<Vec<_>> = visible.products().map(|some| some.into_iter().collect());
        let sight = products.as_deref().map_or(Sight::All, Sight::Products);
        let see = |finding: &Arc<Finding>| {
            if sees(finding) {
                findings.push(Arc::clone(finding));
            }
        };
        store.visit(sight, see).await?;
    } else {
        let some = store.findings(wanted).await?;
        findings.extend(some.into_iter().filter(|f| sees(f)).map(Arc::new));
    }
    findings.sort_by_key(|finding| finding.id);
    let by_id = Columns(Vec::new());
    let mut cut = Cut::new(&listing, &by_id)?;
    for some in findings.chunks(TEXTS_AT_ONCE) {
        let packs = Packs::load(&api.services.blobs, some.iter().map(AsRef::as_ref)).await?;
        for finding in some {
            for pair in Numbered::all(finding.id, packs.of(finding)) {
                if let Value::Object(view) = pair.view() {
                    cut.push(view);
                }
            }
        }
    }
    let (links, page) = cut.page();
    Ok(Json(Page::new(links, page)))
}

/// The pair of a path with its finding, where the caller has the permission.
async fn pair(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<(Finding, Numbered)> {
    let id = id_in_path(id)?;
    let finding = permitted(api, caller, permission, &(id / MAX).to_string()).await?;
    let packs = Packs::load(&api.services.blobs, [&finding]).await?;
    let mut pairs = Numbered::all(finding.id, packs.of(&finding));
    let found = pairs.find(|pair| pair.id() == id);
    let found = found.ok_or_else(ApiError::not_found)?;
    drop(pairs);
    Ok((finding, found))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let (_, pair) = pair(&api, &caller, Permission::ViewProducts, &id).await?;
    Ok(pair.answer())
}

/// What was sent of a pair, decoded.
fn decoded(sent: &Object, name: &str) -> Result<Option<String>> {
    let Some(text) = sent.get(name).and_then(Value::as_str) else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(text.trim());
    let bytes = bytes.map_err(|_| ApiError::field(name, "This is no base64."))?;
    if bytes.is_empty() || bytes.len() > MAX_BYTES {
        let message = format!("It has 1 to {MAX_BYTES} bytes.");
        return Err(ApiError::field(name, message));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Versioned<Json<Value>>)> {
    const ADD: Permission = Permission::EditFinding;
    let sent = match read(&body, FIELDS, Mode::Create) {
        Ok(sent) => sent,
        Err(problems) => {
            // whoever may make none at all learns nothing of the fields
            caller.require(ADD, Place::Somewhere).await?;
            return Err(ApiError::Fields(problems));
        }
    };
    let Some(id) = sent.get("finding").and_then(Value::as_u64) else {
        caller.require(ADD, Place::Somewhere).await?;
        return Err(ApiError::field("finding", "Say of which finding it is."));
    };
    let finding = match api.services.store.finding(FindingId(id)).await {
        Err(error) if error.is_not_found() => {
            caller.require(ADD, Place::Somewhere).await?;
            let message = format!("Invalid pk \"{id}\": there is no such object.");
            return Err(ApiError::field("finding", message));
        }
        found => found?,
    };
    caller.require(ADD, Place::from(&finding)).await?;
    let pair = RequestResponse {
        request: decoded(&sent, REQUEST)?.unwrap_or_default(),
        response: decoded(&sent, RESPONSE)?.unwrap_or_default(),
    };
    let id = finding.id;
    let one = std::slice::from_ref(&pair);
    let texts = change_texts(&api, finding, |texts| append(texts, one, "finding")).await?;
    let made = Numbered::all(id, &texts).last();
    let made = made.ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, made.answer()))
}

async fn write(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    mode: Mode,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    let (finding, mut found) = pair(&api, &caller, Permission::EditFinding, &id).await?;
    if_match.check(&found.version())?;
    let sent = read(&body, FIELDS, mode).map_err(ApiError::Fields)?;
    let request = decoded(&sent, REQUEST)?;
    let response = decoded(&sent, RESPONSE)?;
    let texts = change_pair(&api, finding, &found, &if_match, |pair| {
        if let Some(request) = &request {
            pair.request.clone_from(request);
        }
        if let Some(response) = &response {
            pair.response.clone_from(response);
        }
    });
    let texts = texts.await?;
    let place = usize::try_from(found.place).unwrap_or(usize::MAX);
    found.pair = texts.requests.get(place).cloned().unwrap_or_default();
    Ok(found.answer())
}

async fn change_pair(
    api: &Api,
    finding: Finding,
    found: &Numbered,
    if_match: &IfMatch,
    change: impl Fn(&mut RequestResponse),
) -> Result<Texts> {
    let place = usize::try_from(found.place).unwrap_or(usize::MAX);
    let change = |texts: &mut Texts| {
        let pair = texts.requests.get_mut(place).filter(|pair| !is_gone(pair));
        let pair = pair.ok_or_else(ApiError::not_found)?;
        if_match.check(&Version::of(pair))?;
        change(pair);
        Ok(())
    };
    change_texts(api, finding, change).await
}

async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let (finding, found) = pair(&api, &caller, Permission::EditFinding, &id).await?;
    let empty = |pair: &mut RequestResponse| *pair = RequestResponse::default();
    change_pair(&api, finding, &found, &if_match, empty).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let (finding, found) = pair(&api, &caller, Permission::ViewProducts, &id).await?;
    let gone = json!({"model": "BurpRawRequestResponse", "id": found.id(), "name": finding.title});
    Ok(Json(listing.cut(vec![gone])))
}
