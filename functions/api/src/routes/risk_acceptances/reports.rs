//! What risk acceptances amount to: numbers, and tables to take along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    AcceptanceState, AcceptedAndOpen, Finding, Product, ProductId, RiskAcceptance, Severity, User,
    UserId,
};
use tatami_export::{Cell, Column, Kind as Of};
use tatami_store::Sight;

use super::{FILTERS, documents, parameters, seen};
use crate::Api;
use crate::auth::{Caller, Visible};
use crate::error::Result;
use crate::export::{EXPORTS, FORMAT, cell, format, table};
use crate::fields::{Field, Kind};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Listing;
use crate::query::Query;
use crate::routes::catalog::select;
use crate::view::acceptance::{Around, FIELDS, PATH};

/// How soon acceptances end, in days.
const SOON: [u32; 3] = [7, 30, 90];

const SUMMARY: &[Field] = &[
    Field::answer("severities", Kind::Other("", false)),
    Field::answer("accepted", COUNT),
    Field::answer("open", COUNT),
    Field::answer("active", COUNT),
    Field::answer("expired", COUNT),
    Field::answer("removed", COUNT),
    Field::answer("never_expiring", COUNT),
    Field::answer("expiring_in_7_days", COUNT),
    Field::answer("expiring_in_30_days", COUNT),
    Field::answer("expiring_in_90_days", COUNT),
];
const COUNT: Kind = Kind::Integer(0, i64::MAX);

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let products = Field::new("product", Kind::Refs(crate::fields::Target::Product));
    let summary = Operation::get(
        format!("{PATH}/summary"),
        "Accepted findings against open ones, and acceptances by how soon they end",
    )
    .query([products])
    .answers(200, Answer::One("RiskAcceptanceSummary"));
    routes.add(&summary, self::summary);
    routes.schemas("RiskAcceptanceSummary", SUMMARY);
    let export = Operation::get(
        format!("{PATH}/export"),
        "The acceptances that pass the filters of the list, as a file",
    )
    .query(parameters())
    .query([Field::new("o", Kind::Texts), FORMAT])
    .also(&EXPORTS[1..])
    .answers(200, Answer::List("RiskAcceptanceRow"));
    routes.schema("RiskAcceptanceRow", json!({"type": "object"}));
    routes.add(&export, self::export);
}

async fn summary(State(api): State<Api>, caller: Caller, query: Query) -> Result<Json<Value>> {
    let visible = caller.visible(Permission::ViewProducts).await?;
    let wanted: BTreeSet<ProductId> = (query.ids("product")?.into_iter()).map(ProductId).collect();
    let is_wanted = |product: ProductId| wanted.is_empty() || wanted.contains(&product);
    let by_severity = findings(&api, &visible, &wanted).await?;
    let all = seen(&api, &visible, &Query::parse("state=all")).await?;
    let all: Vec<RiskAcceptance> = (all.into_iter())
        .filter(|acceptance| is_wanted(acceptance.product))
        .collect();
    let count = |is: &dyn Fn(&RiskAcceptance) -> bool| all.iter().filter(|one| is(one)).count();
    let state = |state| count(&|one| one.state() == state);
    let now = Timestamp::now();
    let severities = Severity::ALL.map(|severity| {
        let counts = by_severity.get(&severity).copied().unwrap_or_default();
        (severity.name().to_owned(), json!(counts))
    });
    let severities: serde_json::Map<String, Value> = severities.into_iter().collect();
    let mut summary = json!({
        "severities": severities,
        "accepted": by_severity.values().map(|counts| counts.accepted).sum::<u64>(),
        "open": by_severity.values().map(|counts| counts.open).sum::<u64>(),
        "active": state(AcceptanceState::Active),
        "expired": state(AcceptanceState::Expired),
        "removed": state(AcceptanceState::Removed),
        "never_expiring": count(&|one| {
            one.state() == AcceptanceState::Active && one.expiration_date.is_none()
        }),
    });
    for days in SOON {
        let ending = count(&|one| one.ends_within(days, now));
        summary[format!("expiring_in_{days}_days")] = json!(ending);
    }
    Ok(Json(summary))
}

/// Accepted and open findings that may be seen, by severity.
async fn findings(
    api: &Api,
    visible: &Visible,
    wanted: &BTreeSet<ProductId>,
) -> Result<BTreeMap<Severity, AcceptedAndOpen>> {
    let seen = visible.products();
    let some: Option<Vec<ProductId>> = match (seen, wanted.is_empty()) {
        (None, true) => None,
        (None, false) => Some(wanted.iter().copied().collect()),
        (Some(seen), true) => Some(seen.into_iter().collect()),
        (Some(seen), false) => Some(seen.intersection(wanted).copied().collect()),
    };
    let sight = some.as_deref().map_or(Sight::All, Sight::Products);
    let mut by_severity = BTreeMap::new();
    let see = |finding: &Arc<Finding>| {
        if visible.sees(Place::from(&**finding)) {
            AcceptedAndOpen::add(&mut by_severity, finding);
        }
    };
    api.services.store.visit(sight, see).await?;
    Ok(by_severity)
}

async fn export(State(api): State<Api>, caller: Caller, listing: Listing) -> Result<Response> {
    let query = &listing.query;
    let format = format(query)?;
    let visible = caller.visible(Permission::Report).await?;
    let all = seen(&api, &visible, query).await?;
    let documents = documents(&api, &all, query).await?;
    let (_, chosen) = select(documents, FILTERS, FIELDS, &listing.whole())?;
    let ids: Vec<u64> = chosen.iter().filter_map(|one| one["id"].as_u64()).collect();
    let by_id: BTreeMap<u64, &RiskAcceptance> = all.iter().map(|one| (one.id.0, one)).collect();
    let chosen: Vec<&RiskAcceptance> = ids.iter().filter_map(|id| by_id.get(id).copied()).collect();
    let rows = rows(&api, &chosen).await?;
    let columns = COLUMNS.iter().map(|(name, kind)| Column::new(*name, *kind));
    let cells = |row: Vec<Value>| -> Vec<Cell> {
        let cells = COLUMNS.iter().zip(&row);
        cells.map(|((_, kind), value)| cell(value, *kind)).collect()
    };
    let rows = rows.into_iter().map(cells);
    table("risk-acceptances", columns.collect(), rows, format)
}

/// The columns of the table.
pub const COLUMNS: &[(&str, Of)] = &[
    ("id", Of::Integer),
    ("name", Of::Text),
    ("state", Of::Text),
    ("product", Of::Integer),
    ("product_name", Of::Text),
    ("decision", Of::Text),
    ("justification", Of::Text),
    ("recommendation", Of::Text),
    ("recommendation_details", Of::Text),
    ("accepted_by", Of::Text),
    ("owner", Of::Text),
    ("decision_date", Of::Date),
    ("expiration_date", Of::DateTime),
    ("expired_at", Of::DateTime),
    ("removed", Of::DateTime),
    ("reactivate_expired", Of::Bool),
    ("restart_sla_expired", Of::Bool),
    ("created", Of::DateTime),
    ("updated", Of::DateTime),
    ("has_proof", Of::Bool),
    ("findings", Of::Integer),
    ("critical", Of::Integer),
    ("high", Of::Integer),
    ("medium", Of::Integer),
    ("low", Of::Integer),
    ("info", Of::Integer),
    ("accepted_findings", Of::Text),
];

/// A row for each acceptance, with a cell for each column.
async fn rows(api: &Api, of: &[&RiskAcceptance]) -> Result<Vec<Vec<Value>>> {
    let store = &api.services.store;
    let around = Around::load(store, of).await?;
    let products: Vec<Product> = store.get_all(of.iter().map(|one| one.product)).await?;
    let products: BTreeMap<ProductId, String> =
        products.into_iter().map(|one| (one.id, one.name)).collect();
    let owners: Vec<User> = store.get_all(of.iter().map(|one| one.owner)).await?;
    let owners: BTreeMap<UserId, String> = (owners.into_iter())
        .map(|user| (user.id, user.username))
        .collect();
    let row = |one: &&RiskAcceptance| -> Vec<Value> {
        let findings = around.findings(one);
        let ids: Vec<String> = findings.iter().map(|f| f.id.to_string()).collect();
        let of_severity = |severity: Severity| {
            let own = findings.iter().filter(|f| f.severity == severity);
            json!(own.count())
        };
        let mut row = vec![
            json!(one.id),
            json!(one.name),
            json!(one.state()),
            json!(one.product),
            json!(products.get(&one.product)),
            json!(one.decision.name()),
            json!(one.decision_details),
            json!(one.recommendation.name()),
            json!(one.recommendation_details),
            json!(one.accepted_by),
            json!(owners.get(&one.owner)),
            json!(one.decision_date),
            json!(one.expiration_date),
            json!(one.expired_at),
            json!(one.removed),
            json!(one.reactivate_expired),
            json!(one.restart_sla_expired),
            json!(one.created),
            json!(one.updated),
            json!(one.proof.is_some()),
            json!(findings.len()),
        ];
        row.extend(Severity::ALL.map(of_severity));
        row.push(json!(ids.join(" ")));
        row
    };
    Ok(of.iter().map(row).collect())
}
