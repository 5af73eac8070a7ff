//! Accepting many risks at once: by ids or a filter, and as other clients do it, by the ids of
//! vulnerabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    BulkOutcome, Engagement, Finding, FindingId, ProductId, RiskAcceptance, RiskAcceptanceId, Test,
};
use tatami_store::{Sight, Store};

use super::SCHEMA;
use super::places::{check_product, engagement_of, permit, sorted};
use super::write::{apply, fresh, make};
use crate::Api;
use crate::auth::Caller;
use crate::body::{Body, Items};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Base;
use crate::query::Query;
use crate::routes::catalog::{Resource as _, check_references, id_in_path};
use crate::routes::findings::bulk::{Which, read_filter, read_ids};
use crate::routes::findings::filter::{self, parameters};
use crate::routes::findings::selected;
use crate::view::acceptance::{Around, FIELDS, PATH};

/// An acceptance that is made of what somebody else sent.
const ACCEPTED_RISK: &[Field] = &[
    Field::new("vulnerability_id", Kind::Text(50)).required(),
    Field::new("justification", Kind::Text(RiskAcceptance::MAX_DETAILS)).required(),
    Field::new("accepted_by", Kind::Text(RiskAcceptance::MAX_ACCEPTED_BY)).required(),
];

/// What the bulk takes besides the fields of an acceptance.
const BULK: &[Field] = &[
    Field::new("ids", Kind::Refs(Target::Unknown)),
    Field::new("justification", Kind::Text(RiskAcceptance::MAX_DETAILS)).required(),
    Field::new("expires_in_days", Kind::Integer(1, 36_500)),
    Field::new("never", Kind::Bool),
];

/// The fields of an acceptance that the bulk takes.
const OF_ACCEPTANCE: [&str; 10] = [
    "name",
    "recommendation",
    "recommendation_details",
    "decision",
    "accepted_by",
    "decision_date",
    "expiration_date",
    "reactivate_expired",
    "restart_sla_expired",
    "owner",
];

const RESULT: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Finding)),
    Field::answer("result", Kind::Choice(BulkOutcome::NAMES)),
    Field::answer("message", Kind::Text(0)).nullable(),
    Field::answer("risk_acceptance", Kind::Ref(Target::Unknown)).nullable(),
];

const DONE: &[Field] = &[
    Field::answer("acceptances", Kind::Other(SCHEMA, true)),
    Field::answer("results", Kind::Other("RiskAcceptanceBulkResult", true)),
    Field::answer("jobs", Kind::Refs(Target::Unknown)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let words = "Accept the open findings that have one of these vulnerabilities: an acceptance for each entry \
                 that finds any";
    for (path, query) in [
        ("/api/v2/engagements/{id}/accept_risks", false),
        ("/api/v2/tests/{id}/accept_risks", false),
        ("/api/v2/findings/accept_risks", true),
    ] {
        let operation = Operation::post(path, words)
            .body("AcceptedRisksRequest")
            .query(parameters().filter(|_| query))
            .answers(201, Answer::List(SCHEMA));
        match path.split('/').nth(3) {
            Some("engagements") => routes.add(&operation, in_engagement),
            Some("tests") => routes.add(&operation, in_test),
            _ => routes.add(&operation, anywhere),
        }
    }
    routes.schemas("AcceptedRisk", ACCEPTED_RISK);
    let one = json!({"$ref": "#/components/schemas/AcceptedRiskRequest"});
    let several = json!({"type": "array", "items": one});
    routes.schema("AcceptedRisksRequest", several);
    let bulk = Operation::post(
        format!("{PATH}/bulk"),
        "Accept findings by ids or by a filter, one acceptance for each product: up to 100 at once, more by \
         jobs (202)",
    )
    .body("RiskAcceptanceBulkRequest")
    .answers(201, Answer::One("RiskAcceptanceBulk"));
    routes.add(&bulk, self::bulk);
    routes.schemas("RiskAcceptanceBulk", DONE);
    routes.schemas("RiskAcceptanceBulkResult", RESULT);
    let mut properties: serde_json::Map<String, Value> = (bulk_fields().iter())
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    properties.insert("filter".into(), filter::schema());
    let schema = json!({"type": "object", "required": ["justification"], "properties": properties});
    routes.schema("RiskAcceptanceBulkRequest", schema);
}

fn bulk_fields() -> Vec<Field> {
    let own = FIELDS.iter().copied();
    let own = own.filter(|field| OF_ACCEPTANCE.contains(&field.name));
    let own = own.map(|field| Field {
        required: false,
        ..field
    });
    BULK.iter().copied().chain(own).collect()
}

/// The findings of a part of the store.
async fn found(store: &Store, sight: Sight<'_>) -> Result<Vec<Arc<Finding>>> {
    let mut findings = Vec::new();
    let see = |finding: &Arc<Finding>| findings.push(Arc::clone(finding));
    store.visit(sight, see).await?;
    Ok(findings)
}

async fn in_engagement(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    Items(items): Items,
) -> Result<(StatusCode, Json<Vec<Object>>)> {
    let store = &api.services.store;
    let engagement: Engagement = store.get(id_in_path(&id)?.into()).await?;
    let place = engagement.place();
    caller.require(Permission::AcceptRisk, place).await?;
    let mut findings = found(store, Sight::Products(&[engagement.product])).await?;
    findings.retain(|finding| finding.engagement == engagement.id);
    accept(&api, &caller, &base, &findings, &items).await
}

async fn in_test(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
    Items(items): Items,
) -> Result<(StatusCode, Json<Vec<Object>>)> {
    let store = &api.services.store;
    let test: Test = store.get(id_in_path(&id)?.into()).await?;
    let place = Place::from(&test);
    caller.require(Permission::AcceptRisk, place).await?;
    let findings = found(store, Sight::Test(test.product, test.id)).await?;
    accept(&api, &caller, &base, &findings, &items).await
}

async fn anywhere(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    query: Query,
    Items(items): Items,
) -> Result<(StatusCode, Json<Vec<Object>>)> {
    let somewhere = Place::Somewhere;
    caller.require(Permission::AcceptRisk, somewhere).await?;
    let own = caller.visible(Permission::AcceptRisk).await?;
    let mut findings = selected(&api, &caller, &query).await?;
    findings.retain(|finding| own.sees(Place::from(&**finding)));
    accept(&api, &caller, &base, &findings, &items).await
}

/// Makes the acceptances of entries. A finding that several of them speak of comes under the first.
async fn accept(
    api: &Api,
    caller: &Caller,
    base: &str,
    findings: &[Arc<Finding>],
    items: &[Object],
) -> Result<(StatusCode, Json<Vec<Object>>)> {
    let mut problems = Problems::default();
    let mut entries = Vec::new();
    for item in items {
        match read(item, ACCEPTED_RISK, Mode::Create) {
            Ok(entry) => entries.push(entry),
            Err(wrong) => problems = wrong,
        }
    }
    problems.into_result()?;
    let text = |entry: &Object, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let open = |finding: &&Arc<Finding>| finding.flags.is_open() && !finding.flags.risk_accepted;
    let open: Vec<&Arc<Finding>> = findings.iter().filter(open).collect();
    let mut taken = BTreeSet::new();
    let mut planned = Vec::new();
    let now = Timestamp::now();
    for entry in &entries {
        let wanted = text(entry, "vulnerability_id");
        let mut by_product: BTreeMap<ProductId, Vec<Finding>> = BTreeMap::new();
        for finding in &open {
            let mut ids = finding.vulnerability_ids.iter();
            if ids.any(|id| id.eq_ignore_ascii_case(&wanted)) && taken.insert(finding.id) {
                let own = by_product.entry(finding.product).or_default();
                own.push(Finding::clone(finding));
            }
        }
        for (product, mut findings) in by_product {
            findings.sort_unstable_by_key(|finding| finding.id);
            check_product(api, product, "vulnerability_id").await?;
            let mut acceptance = fresh(api, caller, now).await?;
            acceptance.name.clone_from(&wanted);
            acceptance.decision_details = Some(text(entry, "justification"));
            acceptance.accepted_by = Some(text(entry, "accepted_by"));
            acceptance.product = product;
            acceptance.engagement = engagement_of(&findings);
            planned.push((acceptance, findings));
        }
    }
    let mut made = Vec::new();
    for (acceptance, findings) in planned {
        let (acceptance, _) = Box::pin(make(api, caller, acceptance, &findings)).await?;
        made.push(acceptance);
    }
    let made: Vec<&RiskAcceptance> = made.iter().collect();
    let around = Around::load(&api.services.store, &made).await?;
    let views = made.iter().map(|one| around.view(one, base)).collect();
    Ok((StatusCode::CREATED, Json(views)))
}

/// What became of one finding.
struct Outcome {
    result: BulkOutcome,
    message: Option<String>,
    acceptance: Option<RiskAcceptanceId>,
}

async fn bulk(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Body(body): Body,
) -> Result<Response> {
    let (which, sent) = match read_body(&body) {
        Ok(read) => read,
        Err(error) => {
            let somewhere = Place::Somewhere;
            caller.require(Permission::AcceptRisk, somewhere).await?;
            return Err(error);
        }
    };
    let mut outcomes: BTreeMap<FindingId, Outcome> = BTreeMap::new();
    let findings = find(&api, &caller, &which, &mut outcomes).await?;
    check_references(&api.services.store, &bulk_fields(), &sent).await?;
    let now = Timestamp::now();
    let mut by_product: BTreeMap<ProductId, Vec<Finding>> = BTreeMap::new();
    for finding in findings {
        by_product.entry(finding.product).or_default().push(finding);
    }
    let mut planned = Vec::new();
    for (product, findings) in by_product {
        check_product(&api, product, "ids").await?;
        let mut acceptance = fresh(&api, &caller, now).await?;
        acceptance.name = format!("Bulk risk acceptance of {}", acceptance.decision_date);
        acceptance.product = product;
        acceptance.engagement = engagement_of(&findings);
        apply(&mut acceptance, &sent, Some(caller.0.user), now)?;
        let (fitting, others) = sorted(&acceptance, findings, now);
        for (id, why) in others {
            let outcome = Outcome {
                result: BulkOutcome::Refused,
                message: Some(why.to_string()),
                acceptance: None,
            };
            outcomes.insert(id, outcome);
        }
        if !fitting.is_empty() {
            planned.push((acceptance, fitting));
        }
    }
    let (mut made, mut jobs) = (Vec::new(), Vec::new());
    for (acceptance, findings) in planned {
        let (acceptance, moved) = Box::pin(make(&api, &caller, acceptance, &findings)).await?;
        if moved.is_left() {
            jobs.push(moved.job.id);
        }
        for done in moved.done {
            let acceptance = Some(acceptance.id).filter(|_| done.result == BulkOutcome::Changed);
            let outcome = Outcome {
                result: done.result,
                message: done.message,
                acceptance,
            };
            outcomes.insert(done.id, outcome);
        }
        made.push(acceptance);
    }
    let made: Vec<&RiskAcceptance> = made.iter().collect();
    let around = Around::load(&api.services.store, &made).await?;
    let views: Vec<Object> = made.iter().map(|one| around.view(one, &base)).collect();
    let results = outcomes.iter().map(|(id, outcome)| {
        json!({
            "id": id, "result": outcome.result, "message": outcome.message,
            "risk_acceptance": outcome.acceptance,
        })
    });
    let results: Vec<Value> = results.collect();
    let status = match (made.is_empty(), jobs.is_empty()) {
        (true, _) => StatusCode::OK,
        (false, true) => StatusCode::CREATED,
        (false, false) => StatusCode::ACCEPTED,
    };
    let answer = json!({"acceptances": views, "results": results, "jobs": jobs});
    Ok((status, Json(answer)).into_response())
}

/// The findings that are meant, where the caller may accept the risks of all of them that it sees. Those of
/// ids that it doesn't see are missing.
async fn find(
    api: &Api,
    caller: &Caller,
    which: &Which,
    outcomes: &mut BTreeMap<FindingId, Outcome>,
) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = match which {
        Which::Ids(ids) => {
            let visible = caller.visible(Permission::ViewProducts).await?;
            let mut found = api.services.store.findings(ids.iter().copied()).await?;
            found.retain(|finding| visible.sees(Place::from(finding)));
            for id in ids {
                if !found.iter().any(|finding| finding.id == *id) {
                    let outcome = Outcome {
                        result: BulkOutcome::Missing,
                        message: None,
                        acceptance: None,
                    };
                    outcomes.insert(*id, outcome);
                }
            }
            found
        }
        Which::Filter(query) => {
            let found = selected(api, caller, query).await?;
            found.iter().map(|f| Finding::clone(f)).collect()
        }
    };
    findings.sort_unstable_by_key(|finding| finding.id);
    permit(caller, &findings).await?;
    let somewhere = Place::Somewhere;
    caller.require(Permission::AcceptRisk, somewhere).await?;
    Ok(findings)
}

/// Which findings, and the fields of their acceptances.
fn read_body(body: &Object) -> Result<(Which, Object)> {
    let mut sent = read(body, &bulk_fields(), Mode::Create).map_err(ApiError::Fields)?;
    let which = match (sent.remove("ids"), body.get("filter")) {
        (Some(ids), None) => Which::Ids(read_ids(&ids)?),
        (None, Some(filter)) => Which::Filter(read_filter(filter)?),
        _ => {
            let message = "Say which findings: either by their ids or by a filter.";
            return Err(ApiError::field("ids", message));
        }
    };
    let days = sent
        .remove("expires_in_days")
        .and_then(|days| days.as_u64());
    let never = sent.remove("never") == Some(json!(true));
    let ends = [days.is_some(), never, sent.contains_key("expiration_date")];
    if ends.iter().filter(|said| **said).count() > 1 {
        let message = "Say one of expiration_date, expires_in_days and never.";
        return Err(ApiError::field("expiration_date", message));
    }
    if let Some(days) = days {
        let days = u32::try_from(days).unwrap_or(u32::MAX);
        let date = RiskAcceptance::in_days(days, Timestamp::now());
        sent.insert("expiration_date".into(), json!(date));
    }
    if never {
        sent.insert("expiration_date".into(), Value::Null);
    }
    Ok((which, sent))
}
