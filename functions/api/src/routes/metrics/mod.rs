//! Metrics: of any part of the product tree and any tag, now or as of an earlier day.
//!
//! They are made of what the store keeps about each day (`tatami_store::Days`), without reading a finding.
//! Only where a product's SLA goes by the exploitation of vulnerabilities, or its findings came before days
//! were kept, are its findings looked at.

mod export;
mod schema;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use jiff::civil::Date;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Engagement, EngagementId, Exploitation, Finding, Product, ProductId, ProductType,
    ProductTypeId, SlaConfiguration, SystemSettings, Test, TestId,
};
use tatami_export::Format;
use tatami_metrics::{
    BySeverity, Fact, GradeThresholds, Measure, Metrics, Range, Step, grade, letter,
};
use tatami_store::{Days, Entity as _, Sight};

use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::export::{EXPORTS, FORMAT, format};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::query::Query;
use crate::view::finding::Clock;

/// How many products the dashboard shows.
const TOP: usize = 10;
/// How many products a list of them has where nobody says, and at most.
const PRODUCTS: (usize, i64) = (100, 10_000);
/// How many months the trend of the dashboard has.
const DASHBOARD_MONTHS: i32 = 12;

const STEPS: &[&str] = &["month", "week"];
const ORDERS: &[&str] = &[
    "open",
    "-open",
    "grade",
    "-grade",
    "name",
    "-name",
    "breached",
    "-breached",
];

/// What says of which findings.
const SCOPE: &[Field] = &[
    Field::new("product_type", Kind::Refs(Target::ProductType)),
    Field::new("product", Kind::Refs(Target::Product)),
    Field::new("engagement", Kind::Refs(Target::Engagement)),
    Field::new("test", Kind::Refs(Target::Test)),
    Field::new("tag", Kind::Texts),
    Field::new("from", Kind::Date),
    Field::new("to", Kind::Date),
    Field::new("step", Kind::Choice(STEPS)),
    Field::new("as_of", Kind::Date),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let metrics = Operation::get(
        "/api/v2/metrics",
        "Metrics of the findings of a part of the product tree, now or as of a day",
    )
    .query(SCOPE.iter().copied().chain([FORMAT]))
    .may_be_missing()
    .also(&EXPORTS[1..])
    .answers(200, Answer::One("Metrics"));
    routes.add(&metrics, self::metrics);
    let products = Operation::get(
        "/api/v2/metrics/products",
        "The products by their open findings, grade or breached SLAs, the worst first",
    )
    .query(SCOPE.iter().copied().chain([
        FORMAT,
        Field::new("o", Kind::Choice(ORDERS)),
        Field::new("limit", Kind::Integer(1, PRODUCTS.1)),
    ]))
    .may_be_missing()
    .also(&EXPORTS[1..])
    .answers(200, Answer::One("ProductMetrics"));
    routes.add(&products, self::products);
    let dashboard = Operation::get(
        "/api/v2/metrics/dashboard",
        "What a dashboard shows: metrics of all one may see, the last twelve months and the worst products",
    )
    .query(SCOPE.iter().copied())
    .may_be_missing()
    .answers(200, Answer::One("Dashboard"));
    routes.add(&dashboard, self::dashboard);
    schema::add(routes);
}

/// What is asked for.
struct Asked {
    products: Vec<Product>,
    /// Only these tests, of products that aren't asked for whole.
    tests: HashMap<ProductId, HashSet<TestId>>,
    tags: Vec<String>,
    range: Range,
    step: Step,
    as_of: Option<Date>,
    letters: GradeThresholds,
    clock: Clock,
}

impl Asked {
    async fn read(api: &Api, caller: &Caller, query: &Query) -> Result<Self> {
        let clock = Clock::now(&api.services.store).await?;
        let as_of = query.day("as_of")?;
        if as_of.is_some_and(|day| day > clock.today) {
            return Err(ApiError::field("as_of", "This day is still to come."));
        }
        let range = Range {
            from: query.day("from")?,
            to: query.day("to")?,
        };
        if range.from > range.to && range.to.is_some() {
            return Err(ApiError::field("to", "It is before from."));
        }
        let step = match query.get("step").map(str::trim) {
            None | Some("month") => Step::Month,
            Some("week") => Step::Week,
            Some(other) => {
                let message = format!("\"{other}\" is not a valid choice: use month or week.");
                return Err(ApiError::field("step", message));
            }
        };
        let tags = query.all("tag").into_iter().map(str::to_ascii_lowercase);
        let mut asked = Self {
            products: Vec::new(),
            tests: HashMap::new(),
            tags: tags.collect(),
            range,
            step,
            // today is now
            as_of: as_of.filter(|day| *day < clock.today),
            letters: letters(&api.services.store.system_settings().await?),
            clock,
        };
        asked.place(api, caller, query).await?;
        Ok(asked)
    }

    /// Which products and tests are asked for and may be seen. What is named and may not be seen isn't there.
    async fn place(&mut self, api: &Api, caller: &Caller, query: &Query) -> Result<()> {
        let store = &api.services.store;
        let visible = caller.visible(Permission::ViewProducts).await?;
        let types = query.ids("product_type")?;
        let mut products: Vec<Product> = store.list().await?;
        let sees = |product: &Product| {
            let parts = visible.products();
            parts.is_none_or(|parts| parts.contains(&product.id))
        };
        products.retain(|product| sees(product));
        for id in &types {
            let is_seen = visible.sees(Place::ProductType(ProductTypeId(*id)))
                || products.iter().any(|product| product.prod_type.0 == *id);
            if !is_seen || !store.exists(ProductType::KIND, *id).await? {
                return Err(ApiError::not_found());
            }
        }
        let ids = query.ids("product")?;
        if ids.iter().any(|id| products.iter().all(|p| p.id.0 != *id)) {
            return Err(ApiError::not_found());
        }
        products.retain(|p| {
            (types.is_empty() || types.contains(&p.prod_type.0))
                && (ids.is_empty() || ids.contains(&p.id.0))
        });
        let engagements = query.ids("engagement")?;
        let tests = query.ids("test")?;
        let mut of: Option<HashMap<ProductId, HashSet<TestId>>> = None;
        if !engagements.is_empty() {
            let asked = engagements.iter().map(|id| EngagementId(*id));
            let found: Vec<Engagement> = store.get_all(asked).await?;
            let may_see = |e: &&Engagement| visible.sees(Place::Engagement(e.product, e.id));
            if found.iter().filter(may_see).count() < engagements.len() {
                return Err(ApiError::not_found());
            }
            let of = of.get_or_insert_default();
            for engagement in &found {
                let own = store.tests_of(engagement.id).await?;
                let ids = own.iter().map(|test| test.id);
                of.entry(engagement.product).or_default().extend(ids);
            }
        }
        if !tests.is_empty() {
            let asked = tests.iter().map(|id| TestId(*id));
            let found: Vec<Test> = store.get_all(asked).await?;
            let may_see = |test: &&Test| visible.sees(Place::from(*test));
            if found.iter().filter(may_see).count() < tests.len() {
                return Err(ApiError::not_found());
            }
            let mut narrowed: HashMap<ProductId, HashSet<TestId>> = HashMap::new();
            for test in &found {
                if of.as_ref().is_none_or(|of| {
                    let own = of.get(&test.product);
                    own.is_some_and(|own| own.contains(&test.id))
                }) {
                    narrowed.entry(test.product).or_default().insert(test.id);
                }
            }
            of = Some(narrowed);
        }
        // of products of which only engagements may be seen, the tests of these
        for product in &products {
            if visible.sees(Place::Product(product.id)) || of.is_some() {
                continue;
            }
            let own = self.tests.entry(product.id).or_default();
            for engagement in store
                .children::<Engagement>(Product::KIND, product.id.0)
                .await?
            {
                if visible.sees(Place::Engagement(product.id, engagement.id)) {
                    let tests = store.tests_of(engagement.id).await?;
                    own.extend(tests.iter().map(|test| test.id));
                }
            }
        }
        if let Some(of) = of {
            products.retain(|product| of.contains_key(&product.id));
            self.tests = of;
        }
        self.products = products;
        Ok(())
    }

    /// The day that counts as today.
    fn today(&self) -> Date {
        self.as_of.unwrap_or(self.clock.today)
    }

    fn measure(&self) -> Measure {
        Measure::new(self.range, self.step, self.today())
    }

    fn covers(&self, product: ProductId, test: TestId, tags: &[String]) -> bool {
        let of = self.tests.get(&product);
        of.is_none_or(|tests| tests.contains(&test))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag)))
    }
}

/// The findings of a product, as metrics need them.
enum Source {
    /// What is kept about its days.
    Days(Days),
    /// Its findings: the fact and the due day of each.
    Findings(Vec<(Fact, Option<Date>)>),
}

impl Source {
    /// Shows each fact that is asked for, with its due day and number.
    fn see(
        &self,
        asked: &Asked,
        product: ProductId,
        mut see: impl FnMut(&Fact, Option<Date>, u64),
    ) {
        match self {
            Self::Days(days) => {
                let sla = asked.clock.slas.of(product);
                days.facts(asked.as_of, |fact, n| {
                    if asked.covers(product, fact.test, &fact.tags) {
                        see(fact, due(sla, fact), n);
                    }
                });
            }
            Self::Findings(findings) => {
                for (fact, due) in findings {
                    if asked.covers(product, fact.test, &fact.tags) {
                        see(fact, *due, 1);
                    }
                }
            }
        }
    }
}

/// From which grade on there is which letter.
fn letters(settings: &SystemSettings) -> GradeThresholds {
    let grade = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
    GradeThresholds {
        a: grade(settings.product_grade_a),
        b: grade(settings.product_grade_b),
        c: grade(settings.product_grade_c),
        d: grade(settings.product_grade_d),
        f: grade(settings.product_grade_f),
    }
}

/// The last day inside the SLA, by severity alone.
fn due(sla: &SlaConfiguration, fact: &Fact) -> Option<Date> {
    sla.due_from(fact.severity, fact.sla_start, &Exploitation::default())
}

/// What is known of each product that is asked for.
async fn sources(api: &Api, asked: &Asked) -> Result<BTreeMap<ProductId, Source>> {
    let store = &api.services.store;
    let ids: Vec<ProductId> = asked.products.iter().map(|product| product.id).collect();
    let mut sources = BTreeMap::new();
    let mut looked_at = Vec::new();
    for (id, days) in store.days_of(&ids).await? {
        let sla = asked.clock.slas.of(id);
        if asked.as_of.is_none() && (sla.has_tiers() || !days.are_whole()) {
            looked_at.push(id);
        } else if days.are_whole() {
            sources.insert(id, Source::Days(days));
        } else {
            let message = format!(
                "What product {id} was like then isn't known: its findings came before days were kept."
            );
            return Err(ApiError::field("as_of", message));
        }
    }
    if !looked_at.is_empty() {
        let mut found: BTreeMap<ProductId, Vec<(Fact, Option<Date>)>> = BTreeMap::new();
        let see = |finding: &Arc<Finding>| {
            let seen = (Fact::of(finding), asked.clock.due(finding));
            found.entry(finding.product).or_default().push(seen);
        };
        store.visit(Sight::Products(&looked_at), see).await?;
        for id in looked_at {
            let findings = found.remove(&id).unwrap_or_default();
            sources.insert(id, Source::Findings(findings));
        }
    }
    Ok(sources)
}

/// The metrics of all that is asked for, as clients see them.
fn measured(asked: &Asked, sources: &BTreeMap<ProductId, Source>) -> Result<Value> {
    let mut measure = asked.measure();
    for (product, source) in sources {
        source.see(asked, *product, |fact, due, n| measure.add(fact, due, n));
    }
    let metrics = measure.finish();
    let open = open_at(asked, sources, &metrics);
    let kept = kept_in(asked, sources, &metrics);
    let internal = |e: serde_json::Error| ApiError::Internal(e.to_string());
    let mut view = serde_json::to_value(&metrics).map_err(internal)?;
    let periods = view["trend"]["periods"]
        .as_array_mut()
        .into_iter()
        .flatten();
    for ((period, open), (within, late)) in periods.zip(open).zip(kept) {
        period["open"] = serde_json::to_value(open).map_err(internal)?;
        let all = within + late;
        let compliance = (all > 0).then(|| within as f64 / all as f64);
        period["sla"] = json!({"within": within, "late": late, "compliance": compliance});
    }
    Ok(view)
}

/// How many findings of each period were fixed by their due day, and how many later.
fn kept_in(
    asked: &Asked,
    sources: &BTreeMap<ProductId, Source>,
    metrics: &Metrics,
) -> Vec<(u64, u64)> {
    let periods = &metrics.trend.periods;
    let mut kept = vec![(0, 0); periods.len()];
    for (product, source) in sources {
        source.see(asked, *product, |fact, due, n| {
            let (Some(on), Some(due)) = (fact.fixed_on(), due) else {
                return;
            };
            let at = periods.partition_point(|period| period.to < on);
            if let (Some(period), Some(kept)) = (periods.get(at), kept.get_mut(at))
                && period.from <= on
            {
                *(if on <= due { &mut kept.0 } else { &mut kept.1 }) += n;
            }
        });
    }
    kept
}

/// How many findings were open at the end of each period; none where that isn't kept.
fn open_at(
    asked: &Asked,
    sources: &BTreeMap<ProductId, Source>,
    metrics: &Metrics,
) -> Vec<Option<BySeverity<i64>>> {
    let periods = &metrics.trend.periods;
    let mut by_day: BTreeMap<Date, BySeverity<i64>> = BTreeMap::new();
    for (product, source) in sources {
        let Source::Days(days) = source else {
            return periods.iter().map(|_| None).collect();
        };
        days.changes(|day, fact, n| {
            if fact.is_open() && asked.covers(*product, fact.test, &fact.tags) {
                let sum = by_day.entry(day).or_default();
                sum.change(fact.severity, |count| *count = count.saturating_add(n));
            }
        });
    }
    let until = asked.today();
    let mut changes = by_day.into_iter().peekable();
    let mut sum = BySeverity::default();
    let mut open = Vec::with_capacity(periods.len());
    for period in periods {
        let end = period.to.min(until);
        while let Some((_, change)) = changes.next_if(|(day, _)| *day <= end) {
            sum.merge(&change);
        }
        open.push(Some(sum));
    }
    open
}

async fn metrics(State(api): State<Api>, caller: Caller, query: Query) -> Result<Response> {
    let format = format(&query)?;
    let asked = Asked::read(&api, &caller, &query).await?;
    let view = measured(&asked, &sources(&api, &asked).await?)?;
    match format {
        Format::Json => Ok(Json(view).into_response()),
        format => export::metrics(&view, format),
    }
}

async fn products(State(api): State<Api>, caller: Caller, query: Query) -> Result<Response> {
    let format = format(&query)?;
    let asked = Asked::read(&api, &caller, &query).await?;
    let limit = match query.get("limit").map(|text| text.trim().parse()) {
        None => PRODUCTS.0,
        Some(Ok(n)) if (1..=PRODUCTS.1).contains(&n) => usize::try_from(n).unwrap_or(PRODUCTS.0),
        Some(_) => {
            let message = format!("Use a whole number from 1 to {}.", PRODUCTS.1);
            return Err(ApiError::field("limit", message));
        }
    };
    let order = query.get("o").map_or("-open", str::trim);
    if !ORDERS.contains(&order) {
        let message = format!("\"{order}\" is no order; use one of {}.", ORDERS.join(", "));
        return Err(ApiError::field("o", message));
    }
    let sources = sources(&api, &asked).await?;
    let (count, rows) = by_product(&asked, &sources, order, limit);
    match format {
        Format::Json => Ok(Json(json!({"count": count, "results": rows})).into_response()),
        format => export::products(&rows, format),
    }
}

async fn dashboard(State(api): State<Api>, caller: Caller, query: Query) -> Result<Json<Value>> {
    let mut asked = Asked::read(&api, &caller, &query).await?;
    if asked.range == Range::default() {
        let months = jiff::Span::new().months(DASHBOARD_MONTHS - 1);
        let first = asked.today().first_of_month();
        asked.range.from = Some(first.checked_sub(months).unwrap_or(first));
        asked.range.to = Some(asked.today());
    }
    let sources = sources(&api, &asked).await?;
    let metrics = measured(&asked, &sources)?;
    let (count, rows) = by_product(&asked, &sources, "-open", TOP);
    Ok(Json(json!({
        "metrics": metrics,
        "products": {"count": count, "results": rows},
    })))
}

/// How many products are asked for, and the first of them in an order.
fn by_product(
    asked: &Asked,
    sources: &BTreeMap<ProductId, Source>,
    order: &str,
    limit: usize,
) -> (usize, Vec<Value>) {
    let mut rows: Vec<(u64, u8, u64, Value)> = Vec::new();
    for product in &asked.products {
        let Some(source) = sources.get(&product.id) else {
            continue;
        };
        let mut measure = asked.measure();
        source.see(asked, product.id, |fact, due, n| measure.add(fact, due, n));
        let metrics = measure.finish();
        let open = metrics.counts.open;
        let grade = grade(open.critical, open.high, open.medium, open.low);
        let sla = metrics.sla.all;
        let view = json!({
            "product": product.id,
            "name": product.name,
            "product_type": product.prod_type,
            "open": open,
            "total": metrics.counts.total.all,
            "grade": grade,
            "letter": letter(grade, asked.letters),
            "breached": sla.breached,
            "due_soon": sla.due_soon,
            "compliance": sla.compliance,
            "mttr_days": metrics.mttr.all.mean,
            "remediation_rate": metrics.remediation.all.rate,
        });
        rows.push((open.all, grade, sla.breached, view));
    }
    let count = rows.len();
    let name = |row: &(u64, u8, u64, Value)| row.3["name"].as_str().map(str::to_lowercase);
    rows.sort_by(|a, b| {
        let by = match order.trim_start_matches('-') {
            "open" => a.0.cmp(&b.0),
            "grade" => a.1.cmp(&b.1),
            "breached" => a.2.cmp(&b.2),
            _ => name(a).cmp(&name(b)),
        };
        let by = if order.starts_with('-') {
            by.reverse()
        } else {
            by
        };
        by.then_with(|| name(a).cmp(&name(b)))
    });
    rows.truncate(limit);
    (count, rows.into_iter().map(|(.., view)| view).collect())
}
