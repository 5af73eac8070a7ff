//! What of an engagement was looked at, and how it was.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Engagement, EngagementId, FindingId};
use tatami_store::{Entity as _, Store, StoreError};

use super::{Kept, Record};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{self, Resource as _, id_in_path};

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let path = "/api/v2/engagements/{id}/complete_checklist";
    let get =
        Operation::get(path, "Its checklist; empty where it has none").answers(200, Answer::Object);
    routes.add(&get, self::get);
    let post = Operation::post(path, "Fill in its checklist, once")
        .body("EngagementCheckListRequest")
        .answers(201, Answer::One("EngagementCheckList"));
    routes.add(&post, fill_in);
    routes.schemas(CheckList::SCHEMA, CheckList::FIELDS);
}

const FINDINGS: Kind = Kind::Refs(Target::Unknown);

/// The checklist of an engagement: how each of some areas was, and the findings that say so.
#[derive(Debug, Clone)]
pub struct CheckList;

impl Kept for CheckList {
    const KIND: &'static str = "CHECKLIST";
    const WORD: &'static str = "checklist";
    const PATH: &'static str = "/api/v2/engagements/{id}/complete_checklist";
    const SCHEMA: &'static str = "EngagementCheckList";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("session_management", Kind::Text(50)),
        Field::new("encryption_crypto", Kind::Text(50)),
        Field::new("configuration_management", Kind::Text(50)),
        Field::new("authentication", Kind::Text(50)),
        Field::new("authorization_and_access_control", Kind::Text(50)),
        Field::new("data_input_sanitization_validation", Kind::Text(50)),
        Field::new("sensitive_data", Kind::Text(50)),
        Field::new("other", Kind::Text(50)),
        Field::answer("engagement", Kind::Ref(Target::Engagement)),
        Field::new("session_issues", FINDINGS),
        Field::new("crypto_issues", FINDINGS),
        Field::new("config_issues", FINDINGS),
        Field::new("auth_issues", FINDINGS),
        Field::new("author_issues", FINDINGS),
        Field::new("data_issues", FINDINGS),
        Field::new("sensitive_issues", FINDINGS),
        Field::new("other_issues", FINDINGS),
    ];
    const NAME: &'static str = "id";

    /// What nobody has filled in.
    fn defaults() -> Value {
        let texts = Self::FIELDS
            .iter()
            .filter(|field| matches!(field.kind, Kind::Text(_)));
        texts
            .map(|field| (field.name.to_owned(), json!("none")))
            .collect::<Object>()
            .into()
    }

    fn parent(of: &Record<Self>) -> Option<(&'static str, u64)> {
        let engagement = of.field("engagement").as_u64();
        engagement.map(|id| (Engagement::KIND, id))
    }

    /// One for each engagement.
    fn unique_name(of: &Record<Self>) -> Option<(u64, &str)> {
        Some((of.field("engagement").as_u64()?, "checklist"))
    }
}

async fn engagement(
    api: &Api,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<Engagement> {
    let id = EngagementId(id_in_path(id)?);
    let engagement: Engagement = api.services.store.get(id).await?;
    let place = Place::Engagement(engagement.product, engagement.id);
    caller.require(permission, place).await?;
    Ok(engagement)
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Object>> {
    let engagement = engagement(&api, &caller, Permission::ViewProducts, &id).await?;
    let store = &api.services.store;
    let lists: Vec<Record<CheckList>> = store.children(Engagement::KIND, engagement.id.0).await?;
    Ok(Json(match lists.first() {
        Some(list) => catalog::view(store, list).await?,
        None => Object::new(),
    }))
}

async fn fill_in(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<(StatusCode, Json<Object>)> {
    let engagement = engagement(&api, &caller, Permission::EditEngagement, &id).await?;
    let store = &api.services.store;
    let sent = read(&body, CheckList::FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    check_findings(store, engagement.id, &sent).await?;
    let mut list = Record::<CheckList>::fresh();
    for (name, value) in sent {
        list.set(&name, value);
    }
    list.set("engagement", json!(engagement.id));
    match store.create(list).await {
        Err(StoreError::NameTaken { .. }) => Err(ApiError::field(
            "message",
            "A completed checklist for this engagement already exists.",
        )),
        made => Ok((
            StatusCode::CREATED,
            Json(catalog::view(store, &made?).await?),
        )),
    }
}

/// Findings of other engagements are none of its checklist's.
async fn check_findings(store: &Store, engagement: EngagementId, sent: &Object) -> Result<()> {
    let ids = |value: &Value| -> Vec<FindingId> {
        let ids = value.as_array().into_iter().flatten();
        ids.filter_map(Value::as_u64).map(FindingId).collect()
    };
    let all: Vec<FindingId> = sent.values().flat_map(ids).collect();
    let found = store.findings(all).await?;
    let mut problems = Problems::default();
    for (name, value) in sent {
        for id in ids(value) {
            let own = |finding: &&tatami_domain::Finding| finding.id == id;
            let own = found.iter().find(own);
            if own.is_none_or(|finding| finding.engagement != engagement) {
                let message = format!("Invalid pk \"{id}\": the engagement has no such finding.");
                problems.add(name, message);
            }
        }
    }
    problems.into_result()
}
