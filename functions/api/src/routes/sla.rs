//! The report of findings that are past their due day, or come to it soon.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tatami_domain::{Engagement, EngagementId, Finding, FindingId, Product, ProductId};
use tatami_export::{Cell, Column, Format, Kind as Of};

use super::findings::{filter, selected};
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::export::{EXPORTS, FORMAT, cell, format, table};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::Listing;
use crate::query::Query;
use crate::view::finding::Clock;

/// A report looks at most so many days ahead.
const MOST_DAYS: i64 = 3_650;

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Finding)),
    Field::answer("title", Kind::Text(0)),
    Field::answer("severity", Kind::Severity),
    Field::answer("product", Kind::Ref(Target::Product)),
    Field::answer("product_name", Kind::Text(0)),
    Field::answer("engagement", Kind::Ref(Target::Engagement)),
    Field::answer("engagement_name", Kind::Text(0)),
    Field::answer("test", Kind::Ref(Target::Test)),
    Field::answer("date", Kind::Date),
    Field::answer("sla_start_date", Kind::Date),
    Field::answer("sla_expiration_date", Kind::Date),
    Field::answer("sla_days_remaining", Kind::Integer(-1_000_000, 1_000_000)),
    Field::answer("verified", Kind::Bool),
    Field::answer("component_name", Kind::Text(0)).nullable(),
    Field::answer("component_version", Kind::Text(0)).nullable(),
    Field::answer("cve", Kind::Text(0)).nullable(),
    Field::answer("tags", Kind::Texts),
];

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let breaches = Operation::get(
        "/api/v2/sla_breaches",
        "Open findings past their due day, the latest first; with due_within also those due in so many days",
    )
    .query(filter::parameters())
    .query([
        Field::new("due_within", Kind::Integer(0, MOST_DAYS)),
        FORMAT,
    ])
    .also(&EXPORTS[1..])
    .answers(200, Answer::Page("SLABreach"));
    routes.add(&breaches, self::breaches);
    routes.schemas("SLABreach", FIELDS);
}

async fn breaches(State(api): State<Api>, caller: Caller, listing: Listing) -> Result<Response> {
    let query = &listing.query;
    let format = format(query)?;
    let most = due_within(query)?;
    let clock = Clock::now(&api.services.store).await?;
    let mut late: Vec<Late> = Vec::new();
    for finding in selected(&api, &caller, query).await? {
        let left = clock.days_remaining(&finding);
        if let Some(left) = left.filter(|left| finding.flags.is_open() && *left <= most) {
            let id = finding.id;
            late.push(Late { id, left, finding });
        }
    }
    late.sort_unstable_by_key(|late| (late.left, late.finding.severity, late.id));
    if format == Format::Json {
        let page = listing.cut(late);
        let names = Names::load(&api, page.results()).await?;
        let rows = |page: Vec<Late>| page.iter().map(|late| names.row(late, &clock)).collect();
        return Ok(Json(page.map::<Value>(rows)).into_response());
    }
    let names = Names::load(&api, &late).await?;
    let rows = late.iter().map(|late| cells(&names.row(late, &clock)));
    table("sla-breaches", columns(), rows, format)
}

/// An open finding with the days that it has left; a page is cut by its id.
#[derive(Serialize)]
struct Late {
    id: FindingId,
    #[serde(skip)]
    left: i64,
    #[serde(skip)]
    finding: Arc<Finding>,
}

/// How many days findings may have left; negative for those that are late only.
fn due_within(query: &Query) -> Result<i64> {
    match query.get("due_within").map(|text| text.trim().parse()) {
        None => Ok(-1),
        Some(Ok(days)) if (0..=MOST_DAYS).contains(&days) => Ok(days),
        Some(_) => {
            let message = format!("Use a number of days from 0 to {MOST_DAYS}.");
            Err(ApiError::field("due_within", message))
        }
    }
}

/// What findings' products and engagements are called.
struct Names {
    products: HashMap<ProductId, String>,
    engagements: HashMap<EngagementId, String>,
}

impl Names {
    async fn load(api: &Api, of: &[Late]) -> Result<Self> {
        let store = &api.services.store;
        let products = of.iter().map(|late| late.finding.product);
        let products: Vec<Product> = store.get_all(products).await?;
        let engagements = of.iter().map(|late| late.finding.engagement);
        let engagements: Vec<Engagement> = store.get_all(engagements).await?;
        Ok(Self {
            products: products.into_iter().map(|p| (p.id, p.name)).collect(),
            engagements: engagements.into_iter().map(|e| (e.id, e.name)).collect(),
        })
    }

    fn row(&self, late: &Late, clock: &Clock) -> Value {
        let finding = &late.finding;
        let product_name = self.products.get(&finding.product);
        let engagement_name = self.engagements.get(&finding.engagement);
        json!({
            "id": finding.id,
            "title": finding.title,
            "severity": finding.severity.name(),
            "product": finding.product,
            "product_name": product_name.map_or("", String::as_str),
            "engagement": finding.engagement,
            "engagement_name": engagement_name.map_or("", String::as_str),
            "test": finding.test,
            "date": finding.date,
            "sla_start_date": finding.sla_start(),
            "sla_expiration_date": clock.due(finding),
            "sla_days_remaining": late.left,
            "verified": finding.flags.verified,
            "component_name": finding.component_name,
            "component_version": finding.component_version,
            "cve": finding.vulnerability_ids.first(),
            "tags": finding.tags,
        })
    }
}

/// What a column of the table holds.
fn kind(field: &Field) -> Of {
    match field.kind {
        Kind::Ref(_) | Kind::Integer(..) => Of::Integer,
        Kind::Bool => Of::Bool,
        Kind::Date => Of::Date,
        _ => Of::Text,
    }
}

fn columns() -> Vec<Column> {
    (FIELDS.iter())
        .map(|field| Column::new(field.name, kind(field)))
        .collect()
}

fn cells(row: &Value) -> Vec<Cell> {
    (FIELDS.iter())
        .map(|field| cell(&row[field.name], kind(field)))
        .collect()
}
