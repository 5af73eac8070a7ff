//! The history of imports: their records, what each did with which findings, and the raw reports.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Finding, FindingId, Import, ImportId, Test, TestId};
use tatami_store::{ImportLine, Sight, Store, StoreError};

use super::catalog::id_in_path;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{
    Base, ById, Cut, Identified, Links, Listing, Page, Sorting, cut_sorted, missing_last, ordering,
};
use crate::query::{Query, day_of, today};
use crate::view::finding::{Clock, FindingView, Packs};
use crate::view::group::Groups;
use crate::view::import::{Action, FIELDS, file_name, record};

/// How long a link to a report is good.
const VALID: Duration = Duration::from_mins(15);
/// What imports did is read for so many side by side.
const PARALLEL: usize = 8;
const STATES: &[&str] = &["queued", "parsing", "processing", "done", "failed"];
/// In the order of the kinds of imports.
const TYPES: &[&str] = &["import", "reimport", "replay"];

/// The parameters of lists of imports.
const FILTERS: &[Field] = &[
    Field::new("id", Kind::Refs(Target::Unknown)),
    Field::new("test", Kind::Refs(Target::Test)),
    Field::new("engagement", Kind::Refs(Target::Engagement)),
    Field::new("product", Kind::Refs(Target::Product)),
    Field::new("state", Kind::Texts),
    Field::new("type", Kind::Texts),
    Field::new("scan_type", Kind::Texts),
    Field::new("by", Kind::Refs(Target::User)),
    Field::new("created", Kind::Text(0)),
    Field::new("created_after", Kind::Date),
    Field::new("created_before", Kind::Date),
    Field::new("version", Kind::Text(0)),
    Field::new("build_id", Kind::Text(0)),
    Field::new("commit_hash", Kind::Text(0)),
    Field::new("branch_tag", Kind::Text(0)),
];

type Compare = fn(&ImportLine, &ImportLine) -> Ordering;

/// The columns to order by.
const COLUMNS: &[(&str, Compare)] = &[
    ("id", |a, b| a.id.cmp(&b.id)),
    ("created", |a, b| a.created.cmp(&b.created)),
    ("modified", |a, b| a.modified().cmp(&b.modified())),
    ("finished", |a, b| missing_last(a.finished, b.finished)),
    ("version", |a, b| {
        missing_last(a.version.as_deref(), b.version.as_deref())
    }),
    ("branch_tag", |a, b| {
        missing_last(a.branch_tag.as_deref(), b.branch_tag.as_deref())
    }),
    ("build_id", |a, b| {
        missing_last(a.build_id.as_deref(), b.build_id.as_deref())
    }),
    ("commit_hash", |a, b| {
        missing_last(a.commit_hash.as_deref(), b.commit_hash.as_deref())
    }),
    ("scan_type", |a, b| {
        missing_last(a.scan_type.as_deref(), b.scan_type.as_deref())
    }),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        "/api/v2/imports",
        "A page of the imports that pass the filters, latest first",
    )
    .query(FILTERS.iter().copied())
    .query([Field::new("o", Kind::Texts)])
    .may_be_missing()
    .answers(200, Answer::Page("Import"));
    routes.add(&list, self::list);
    let get = Operation::get(
        "/api/v2/imports/{id}",
        "How far an import is, and how it went",
    )
    .answers(200, Answer::One("Import"));
    routes.add(&get, self::get);
    let report = Operation::get(
        "/api/v2/imports/{id}/report",
        "A link by which its raw report may be downloaded for a while",
    )
    .answers(200, Answer::One("ImportReport"));
    routes.add(&report, self::report);
    let findings = Operation::get(
        "/api/v2/imports/{id}/findings",
        "A page of the findings that it created, closed, reactivated or left as they were",
    )
    .query([Field::new("action", Kind::Texts)])
    .answers(200, Answer::Page("Finding"));
    routes.add(&findings, self::findings);
    routes.schemas("Import", FIELDS);
    let fields = [
        Field::answer("import_id", Kind::Ref(Target::Unknown)),
        Field::answer("file_name", Kind::Text(0)),
        Field::answer("size", Kind::Integer(0, i64::MAX)),
        Field::answer("url", Kind::Text(0)),
        Field::answer("expires", Kind::DateTime),
    ];
    routes.schemas("ImportReport", &fields);
}

/// The imports that pass the filters that all lists of imports have, latest first.
pub async fn lines(api: &Api, caller: &Caller, query: &Query) -> Result<Vec<ImportLine>> {
    let store = &api.services.store;
    let tests = query.ids("test")?;
    let visible = caller.visible(Permission::ViewProducts).await?;
    let mut test = None;
    if let [one] = tests[..] {
        let one: Test = store.get(TestId(one)).await?;
        if !visible.sees(Place::from(&one)) {
            return Err(ApiError::not_found());
        }
        test = Some(one.id);
    }
    let filters = filters(query)?;
    let mut lines = match test {
        Some(test) => {
            let imports = store.imports_of(test).await?;
            imports.iter().map(ImportLine::from).collect()
        }
        None => store.import_lines().await?,
    };
    lines.retain(|line| {
        let place = Place::within(line.product, line.engagement);
        visible.sees(place) && filters.iter().all(|pass| pass(line))
    });
    lines.reverse();
    Ok(lines)
}

type Pass<'q> = Box<dyn Fn(&ImportLine) -> bool + Send + 'q>;

/// Filters by the query string.
fn filters(query: &Query) -> Result<Vec<Pass<'_>>> {
    type Id = fn(&ImportLine) -> Option<u64>;
    type Text = fn(&ImportLine) -> Option<&str>;
    let mut filters: Vec<Pass<'_>> = Vec::new();
    let ids: [(&str, Id); 5] = [
        ("id", |line| Some(line.id.0)),
        ("test", |line| Some(line.test?.0)),
        ("engagement", |line| Some(line.engagement?.0)),
        ("product", |line| Some(line.product?.0)),
        ("by", |line| Some(line.by?.0)),
    ];
    for (name, of) in ids {
        let wanted = query.ids(name)?;
        if !wanted.is_empty() {
            filters.push(Box::new(move |line| {
                of(line).is_some_and(|id| wanted.contains(&id))
            }));
        }
    }
    let texts: [(&str, Text); 4] = [
        ("version", |line| line.version.as_deref()),
        ("build_id", |line| line.build_id.as_deref()),
        ("commit_hash", |line| line.commit_hash.as_deref()),
        ("branch_tag", |line| line.branch_tag.as_deref()),
    ];
    for (name, of) in texts {
        if let Some(wanted) = query.get(name).map(str::trim) {
            filters.push(Box::new(move |line| of(line) == Some(wanted)));
        }
    }
    let states = choices(query, "state", STATES)?;
    if !states.is_empty() {
        filters.push(Box::new(move |line| states.contains(&line.state.name())));
    }
    let types = choices(query, "type", TYPES)?;
    if !types.is_empty() {
        filters.push(Box::new(move |line| {
            types.contains(&TYPES[line.kind as usize])
        }));
    }
    let scan_types = query.all("scan_type");
    if !scan_types.is_empty() {
        filters.push(Box::new(move |line| {
            let of = line.scan_type.as_deref();
            of.is_some_and(|of| scan_types.iter().any(|t| t.eq_ignore_ascii_case(of)))
        }));
    }
    if let Some((from, to)) = query.span("created", today())? {
        filters.push(Box::new(move |line| {
            (from..=to).contains(&day_of(line.created))
        }));
    }
    if let Some(day) = query.day("created_after")? {
        filters.push(Box::new(move |line| day_of(line.created) >= day));
    }
    if let Some(day) = query.day("created_before")? {
        filters.push(Box::new(move |line| day_of(line.created) <= day));
    }
    Ok(filters)
}

/// The values of a parameter that takes some of a few texts.
pub fn choices<'q>(query: &'q Query, name: &str, known: &[&str]) -> Result<Vec<&'q str>> {
    let values = query.all(name);
    if let Some(wrong) = values.iter().find(|value| !known.contains(value)) {
        let names = known.join(", ");
        let message = format!("\"{wrong}\" is not a valid choice. Use one of: {names}.");
        return Err(ApiError::field(name, message));
    }
    Ok(values)
}

/// Imports by columns; what these leave equal is latest first.
struct Columns(Vec<(Compare, bool)>);

impl Sorting<ImportLine> for Columns {
    fn compare(&self, a: &ImportLine, b: &ImportLine) -> Ordering {
        let orders = self.0.iter().map(|(compare, down)| {
            let order = compare(a, b);
            if *down { order.reverse() } else { order }
        });
        let by_columns = orders.fold(Ordering::Equal, Ordering::then);
        by_columns.then_with(|| b.id.cmp(&a.id))
    }

    fn place(&self, line: &ImportLine) -> Value {
        json!([line.id, line])
    }

    fn stand_in(&self, place: &Value) -> Option<ImportLine> {
        let mut line = ImportLine::deserialize(&place[1]).ok()?;
        line.id = ImportId::deserialize(&place[0]).ok()?;
        Some(line)
    }
}

/// How many there are, and those of the page in their order.
pub fn paged(listing: &Listing, lines: Vec<ImportLine>) -> Result<(Links, Vec<ImportLine>)> {
    let column = |name: &str| COLUMNS.iter().find(|(n, _)| *n == name).map(|(_, c)| *c);
    let columns = ordering(&listing.query, |name| column(name).is_some())?.into_iter();
    let columns = columns.filter_map(|(name, down)| Some((column(name)?, down)));
    cut_sorted(lines, listing, &Columns(columns.collect()))
}

/// The records of some imports, in their order.
pub async fn records(store: &Store, lines: &[ImportLine]) -> Result<Vec<Import>> {
    let imports = store.imports(lines.iter().map(|line| line.id)).await?;
    let mut imports: HashMap<ImportId, Import> = imports.into_iter().map(|i| (i.id, i)).collect();
    Ok(lines
        .iter()
        .filter_map(|line| imports.remove(&line.id))
        .collect())
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let lines = lines(&api, &caller, &listing.query).await?;
    let (around, page) = paged(&listing, lines)?;
    let imports = records(&api.services.store, &page).await?;
    let views = imports.iter().map(|import| record(&base, import)).collect();
    Ok(Json(Page::new(around, views)))
}

async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<Import> {
    let import = api.services.store.import(ImportId(id_in_path(id)?)).await?;
    let place = Place::from(&import);
    caller.require(Permission::ViewProducts, place).await?;
    Ok(import)
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let import = permitted(&api, &caller, &id).await?;
    Ok(Json(record(&base, &import)))
}

async fn report(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let import = permitted(&api, &caller, &id).await?;
    if import.by_hand {
        return Err(ApiError::not_found());
    }
    let blobs = &api.services.blobs;
    // A name with anything else in it would need quoting in a header; those of the API have none.
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = file_name(&import).chars().map(plain).collect();
    let url = blobs
        .presign_download(&import.bucket, &import.key, &name, VALID)
        .await?;
    let valid = SignedDuration::try_from(VALID).unwrap_or(SignedDuration::ZERO);
    Ok(Json(json!({
        "import_id": import.id,
        "file_name": file_name(&import),
        "size": import.size,
        "url": url,
        "expires": Timestamp::now().checked_add(valid).ok(),
    })))
}

impl Identified for Arc<Finding> {
    fn id(&self) -> u64 {
        self.id.0
    }

    fn of_id(id: u64) -> Self {
        Self::new(Finding {
            id: FindingId(id),
            ..Finding::default()
        })
    }
}

/// A finding with what the import did with it.
#[derive(Serialize)]
struct Affected<'a> {
    import_action: &'static str,
    #[serde(flatten)]
    finding: FindingView<'a>,
}

async fn findings(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Response> {
    let import = permitted(&api, &caller, &id).await?;
    let store = &api.services.store;
    let wanted = choices(&listing.query, "action", Action::NAMES)?;
    let actions = store.import_actions(import.id).await?;
    let mut done: HashMap<FindingId, Action> = HashMap::new();
    for action in Action::ALL {
        if wanted.is_empty() || wanted.contains(&action.name()) {
            done.extend(action.findings(&actions).map(|id| (id, action)));
        }
    }
    let by_id = ById { descending: false };
    let mut cut = Cut::new(&listing, &by_id)?;
    // those that were deleted since aren't there to be shown
    let see = |finding: &Arc<Finding>| {
        if done.contains_key(&finding.id) {
            cut.push(Arc::clone(finding));
        }
    };
    see_all(store, &import, see).await?;
    let (links, page) = cut.page();
    let packs = Packs::load(&api.services.blobs, page.iter().map(AsRef::as_ref)).await?;
    let groups = Groups::load(store, page.iter().map(AsRef::as_ref)).await?;
    let clock = Clock::now(store).await?;
    let views: Vec<Affected<'_>> = (page.iter())
        .filter_map(|finding| {
            let view = FindingView::new(finding, packs.of(finding), &clock);
            Some(Affected {
                import_action: done.get(&finding.id)?.name(),
                finding: view.with_group(finding, &groups),
            })
        })
        .collect();
    Ok(Json(Page::new(links, views)).into_response())
}

/// Shows the findings that an import may have changed: those of its test; of all of its product,
/// where it closed what other tests had.
async fn see_all(
    store: &Store,
    import: &Import,
    see: impl FnMut(&Arc<Finding>) + Send,
) -> Result<()> {
    let (Some(product), Some(test)) = (import.product, import.test) else {
        return Ok(());
    };
    let sight = if ImportLine::from(import).closed_elsewhere() {
        Sight::Products(&[product])
    } else {
        Sight::Test(product, test)
    };
    Ok(store.visit(sight, see).await?)
}

/// The ids of imports that did something with a finding.
pub async fn that_touched(
    store: &Store,
    finding: FindingId,
    lines: &[ImportLine],
) -> Result<BTreeSet<ImportId>> {
    let finding = match store.finding(finding).await {
        Err(error) if error.is_not_found() => return Ok(BTreeSet::new()),
        other => other?,
    };
    let may_have = |line: &&ImportLine| {
        let other = line.product == Some(finding.product) && line.closed_elsewhere();
        line.test == Some(finding.test) || other
    };
    let reads: Vec<_> = (lines.iter().filter(may_have).map(|line| line.id))
        .map(|id| async move { Ok::<_, StoreError>((id, store.import_actions(id).await?)) })
        .collect();
    let reads = futures::stream::iter(reads).buffer_unordered(PARALLEL);
    let touched = reads.try_filter_map(|(id, actions)| {
        let sets = [
            &actions.created,
            &actions.closed,
            &actions.reactivated,
            &actions.untouched,
        ];
        let has = sets.iter().any(|set| set.contains(finding.id));
        std::future::ready(Ok(has.then_some(id)))
    });
    Ok(touched.try_collect().await?)
}
