//! Risk acceptances: the list and one of them. Writing is in `write`, accepting many at once in `accept`, what
//! they amount to in `reports`.

mod accept;
mod places;
mod reports;
mod write;

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_blobs::BlobError;
use tatami_domain::{AcceptanceEvent, AcceptanceState, Attachment, Owner, RiskAcceptance};

use super::attached::{attach, saved};
use super::catalog::{Filter, How, id_in_path, select};
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::body::Upload;
use crate::conditional::{Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Object};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Base, Listing, Page};
use crate::query::Query;
use crate::view::acceptance::{Around, ENTRY, FIELDS, PATH};

const SCHEMA: &str = "RiskAcceptance";
/// The state of a query that leaves nothing out.
const ALL: &str = "all";
/// How far ahead one can look, in days: a hundred years.
const MAX_DAYS: u32 = 36_500;
/// The engagements of findings, for the filter.
const ENGAGEMENTS: &str = "accepted_findings__engagement";

const FILTERS: &[Filter] = &[
    Filter::of("id", How::Ids),
    Filter::of("name", How::Exact),
    Filter::on("name__icontains", "name", How::Contains),
    Filter::of("accepted_by", How::Exact),
    Filter::on("accepted_by__icontains", "accepted_by", How::Contains),
    Filter::of("decision", How::OneOf),
    Filter::of("decision_details", How::Exact),
    Filter::on(
        "decision_details__icontains",
        "decision_details",
        How::Contains,
    ),
    Filter::of("recommendation", How::OneOf),
    Filter::of("recommendation_details", How::Exact),
    Filter::on(
        "recommendation_details__icontains",
        "recommendation_details",
        How::Contains,
    ),
    Filter::of("owner", How::Ids),
    Filter::of("reactivate_expired", How::Bool),
    Filter::of("restart_sla_expired", How::Bool),
    Filter::of("accepted_findings", How::Ids),
    Filter::of("notes", How::Ids),
    Filter::of("product", How::Ids),
    Filter::on("engagement", ENGAGEMENTS, How::Ids),
    Filter::of("created", How::Day),
    Filter::on("created__gt", "created", How::Later),
    Filter::on("created__gte", "created", How::After),
    Filter::on("created__lt", "created", How::Earlier),
    Filter::on("created__lte", "created", How::Before),
    Filter::of("updated", How::Day),
    Filter::on("updated__gt", "updated", How::Later),
    Filter::on("updated__gte", "updated", How::After),
    Filter::on("updated__lt", "updated", How::Earlier),
    Filter::on("updated__lte", "updated", How::Before),
    Filter::of("expiration_date", How::At),
    Filter::on("expiration_date__gt", "expiration_date", How::Later),
    Filter::on("expiration_date__gte", "expiration_date", How::After),
    Filter::on("expiration_date__lt", "expiration_date", How::Earlier),
    Filter::on("expiration_date__lte", "expiration_date", How::Before),
    Filter::of("expiration_date_warned", How::At),
    Filter::on("expiration_date_warned__gt", WARNED, How::Later),
    Filter::on("expiration_date_warned__gte", WARNED, How::After),
    Filter::on("expiration_date_warned__lt", WARNED, How::Earlier),
    Filter::on("expiration_date_warned__lte", WARNED, How::Before),
    Filter::of("expiration_date_handled", How::At),
    Filter::on("expiration_date_handled__gt", HANDLED, How::Later),
    Filter::on("expiration_date_handled__gte", HANDLED, How::After),
    Filter::on("expiration_date_handled__lt", HANDLED, How::Earlier),
    Filter::on("expiration_date_handled__lte", HANDLED, How::Before),
];
const WARNED: &str = "expiration_date_warned";
const HANDLED: &str = "expiration_date_handled";

/// The parameters that no single field answers.
const OTHERS: &[Field] = &[
    Field::new(
        "state",
        Kind::Choice(&["active", "expired", "removed", ALL]),
    ),
    Field::new("expires_within", Kind::Integer(1, MAX_DAYS as i64)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let one = format!("{PATH}/{{id}}");
    let list = Operation::get(
        PATH,
        "A page of the list: those that count and those that have expired, unless `state` says otherwise",
    )
    .query(parameters())
    .query([Field::new("o", Kind::Texts)])
    .answers(200, Answer::Page(SCHEMA));
    routes.add(&list, self::list);
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One(SCHEMA));
    routes.add(&get, self::get);
    let history = Operation::get(
        format!("{one}/history"),
        "What happened to it, oldest first",
    )
    .answers(200, Answer::Page("RiskAcceptanceEntry"));
    routes.add(&history, self::history);
    let proof = Operation::post(format!("{one}/proof"), "Put a file to it that proves it")
        .multipart("FileRequest")
        .answers(201, Answer::One(SCHEMA));
    routes.add(&proof, self::proof);
    let download = Operation::get(format!("{one}/download_proof"), "The bytes of its proof")
        .answers(200, Answer::Media(&["application/octet-stream"]));
    routes.add(&download, self::download);
    let preview = Operation::get(
        format!("{one}/delete_preview"),
        "What would be deleted with it",
    )
    .answers(200, Answer::Page("DeletePreview"));
    routes.add(&preview, delete_preview);
    routes.schemas(SCHEMA, FIELDS);
    routes.schemas("RiskAcceptanceEntry", ENTRY);
    write::add(routes);
    accept::add(routes);
    reports::add(routes);
}

/// Where an acceptance is: in the engagement of all its findings, or in their product.
pub fn place(acceptance: &RiskAcceptance) -> Place {
    Place::within(Some(acceptance.product), acceptance.engagement)
}

/// The parameters by which acceptances are chosen.
fn parameters() -> impl Iterator<Item = Field> {
    let filters = FILTERS.iter().map(Filter::parameter);
    filters.chain(OTHERS.iter().copied())
}

/// Those that may be seen and are as `state` and `expires_within` say.
async fn seen(api: &Api, visible: &Visible, query: &Query) -> Result<Vec<RiskAcceptance>> {
    let store = &api.services.store;
    let now = Timestamp::now();
    let within = match query.number("expires_within")? {
        None => None,
        Some(days) if (1.0..=f64::from(MAX_DAYS)).contains(&days) => {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is in the range"
            )]
            let days = days as u32;
            Some(days)
        }
        Some(days) => {
            let message = format!("{days} is not between 1 and {MAX_DAYS} days.");
            return Err(ApiError::field("expires_within", message));
        }
    };
    let state = query.get("state");
    let known = |name: &&str| *name == ALL || AcceptanceState::NAMES.contains(name);
    if let Some(wrong) = state.filter(|name| !known(name)) {
        let names = AcceptanceState::NAMES.join(", ");
        let message = format!("\"{wrong}\" is not a state: use one of {names}, {ALL}.");
        return Err(ApiError::field("state", message));
    }
    let mut all: Vec<RiskAcceptance> = match query.ids("product")?[..] {
        [product] => store.acceptances_of(product.into()).await?,
        _ => store.list().await?,
    };
    all.retain(|acceptance| {
        let own = acceptance.state();
        let stands = match state {
            None => own != AcceptanceState::Removed,
            Some(ALL) => true,
            Some(name) => own.name() == name,
        };
        stands
            && within.is_none_or(|days| acceptance.ends_within(days, now))
            && visible.sees(place(acceptance))
    });
    Ok(all)
}

/// The documents of acceptances that filters look at. Their findings are looked up only where a filter asks
/// for them.
async fn documents(api: &Api, all: &[RiskAcceptance], query: &Query) -> Result<Vec<Object>> {
    let asked = ["accepted_findings", "notes", "engagement"];
    let around = if asked.iter().any(|name| query.get(name).is_some()) {
        let all: Vec<&RiskAcceptance> = all.iter().collect();
        Around::load(&api.services.store, &all).await?
    } else {
        Around::default()
    };
    let document = |acceptance: &RiskAcceptance| {
        let mut document = around.view(acceptance, "");
        let findings = around.findings(acceptance).iter();
        let engagements = findings.map(|finding| finding.engagement.0);
        let engagements = engagements.chain(acceptance.engagement.map(u64::from));
        document.insert(ENGAGEMENTS.into(), engagements.collect());
        document
    };
    Ok(all.iter().map(document).collect())
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    let visible = caller.visible(Permission::ViewProducts).await?;
    let all = seen(&api, &visible, &listing.query).await?;
    let documents = documents(&api, &all, &listing.query).await?;
    let (links, page) = select(documents, FILTERS, FIELDS, &listing)?;
    let by_id: HashMap<u64, &RiskAcceptance> = all.iter().map(|one| (one.id.0, one)).collect();
    let page: Vec<&RiskAcceptance> = (page.iter())
        .filter_map(|document| by_id.get(&document["id"].as_u64()?).copied())
        .collect();
    let around = Around::load(&api.services.store, &page).await?;
    let views = page.iter().map(|one| around.view(one, &base)).collect();
    Ok(Json(Page::new(links, views)))
}

/// The one of a path, where the caller has the permission.
async fn permitted(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<RiskAcceptance> {
    let id = id_in_path(id)?.into();
    let acceptance: RiskAcceptance = api.services.store.get(id).await?;
    caller.require(permission, place(&acceptance)).await?;
    Ok(acceptance)
}

/// An acceptance as clients see it, in its version.
async fn answer(
    api: &Api,
    base: &str,
    acceptance: &RiskAcceptance,
) -> Result<Versioned<Json<Object>>> {
    let around = Around::load(&api.services.store, &[acceptance]).await?;
    let view = around.view(acceptance, base);
    Ok(Versioned(Version::of(acceptance), Json(view)))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    let acceptance = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    answer(&api, &base, &acceptance).await
}

async fn history(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let acceptance = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let entries = acceptance.history.iter().map(|entry| {
        json!({"time": entry.time, "event": entry.event, "by": entry.by, "details": entry.details})
    });
    Ok(Json(listing.cut(entries.collect())))
}

async fn proof(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    upload: Upload,
) -> Result<(StatusCode, Versioned<Json<Object>>)> {
    let acceptance = permitted(&api, &caller, Permission::AcceptRisk, &id).await?;
    let owner = Owner::RiskAcceptance(acceptance.id);
    let file = attach(&api, &caller, owner, upload).await?;
    let now = Timestamp::now();
    let store = &api.services.store;
    // those before it stay below the acceptance: they are part of its history
    let proven = store.change(acceptance.id, |acceptance: &mut RiskAcceptance| {
        acceptance.proof = Some(file.id);
        acceptance.updated = now;
        let event = AcceptanceEvent::ProofAdded;
        acceptance.note(event, Some(caller.0.user), now, &*file.file_name);
        Ok::<_, ApiError>(())
    });
    let acceptance = proven.await?;
    Ok((StatusCode::CREATED, answer(&api, &base, &acceptance).await?))
}

async fn download(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    let acceptance = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let proof = acceptance.proof.ok_or_else(ApiError::not_found)?;
    let file: Attachment = api.services.store.get(proof).await?;
    match api.services.blobs.attachment(file.id).await {
        Err(BlobError::NotFound { .. }) => Err(ApiError::not_found()),
        bytes => Ok(saved(&file.file_name, bytes?)),
    }
}

async fn delete_preview(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let acceptance = permitted(&api, &caller, Permission::ViewProducts, &id).await?;
    let gone = json!({
        "model": "Risk_Acceptance", "id": acceptance.id, "name": acceptance.name,
    });
    Ok(Json(listing.cut(vec![gone])))
}
