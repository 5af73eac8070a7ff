//! The audit log: read, filtered, exported, and where its chain ends.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::header;
use jiff::Timestamp;
use serde_json::Value;
use tatami_auth::{Permission, Place};
use tatami_domain::{AuditAction, AuditEntry};
use tatami_store::{AUDIT_BLOCK, AuditHead, Store, StoreError};

use super::catalog::id_in_path;
use crate::Api;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{ById, Cut, Identified, Listing, Page, ordering};
use crate::query::Query;

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("time", Kind::DateTime),
    Field::answer("request_id", Kind::Text(0)),
    Field::answer("user", Kind::Ref(Target::User)).nullable(),
    Field::answer("username", Kind::Text(0)).nullable(),
    Field::answer("token", Kind::Ref(Target::Unknown)).nullable(),
    Field::answer("address", Kind::Text(0)).nullable(),
    Field::answer("method", Kind::Text(0)),
    Field::answer("path", Kind::Text(0)),
    Field::answer("status", Kind::Integer(100, 599)).nullable(),
    Field::answer("changes", Kind::Other("AuditChange", true)),
    Field::answer("previous", Kind::Text(0)),
];

const CHANGE: &[Field] = &[
    Field::answer("object", Kind::Text(0)),
    Field::answer("object_id", Kind::Ref(Target::Unknown)),
    Field::answer("action", Kind::Choice(AuditAction::NAMES)),
    Field::answer("fields", Kind::Other("", false)),
];

const HEAD: &[Field] = &[
    Field::answer("count", Kind::Integer(0, i64::MAX)),
    Field::answer("sha256", Kind::Text(64)),
];

const FILTERS: &[Field] = &[
    Field::new("user", Kind::Refs(Target::Unknown)),
    Field::new("username", Kind::Text(0)),
    Field::new("token", Kind::Refs(Target::Unknown)),
    Field::new("address", Kind::Text(0)),
    Field::new("method", Kind::Texts),
    Field::new("path", Kind::Text(0)),
    Field::new("status", Kind::Refs(Target::Unknown)),
    Field::new("request_id", Kind::Text(0)),
    Field::new("object", Kind::Texts),
    Field::new("object_id", Kind::Refs(Target::Unknown)),
    Field::new("action", Kind::Texts),
    Field::new("time_after", Kind::DateTime),
    Field::new("time_before", Kind::DateTime),
];

/// How many partitions are read side by side.
const AHEAD: usize = 4;

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get("/api/v2/audit", "What was changed by whom, latest first")
        .query(FILTERS.iter().copied())
        .query([Field::new("o", Kind::Texts)])
        .answers(200, Answer::Page("AuditEntry"));
    routes.add(&list, self::list);
    let head = Operation::get("/api/v2/audit/head", "Where the log's chain ends")
        .answers(200, Answer::One("AuditHead"));
    routes.add(&head, self::head);
    let export = Operation::get(
        "/api/v2/audit/export",
        "The entries oldest first, as JSON lines or CSV",
    )
    .query(FILTERS.iter().copied())
    .query([
        Field::new("format", Kind::Choice(&["ndjson", "csv"])),
        Field::new("from", Kind::Integer(1, i64::MAX)),
        Field::new("limit", Kind::Integer(1, i64::MAX)),
    ])
    .answers(200, Answer::Media(&["application/x-ndjson", "text/csv"]));
    routes.add(&export, self::export);
    let get =
        Operation::get("/api/v2/audit/{id}", "One entry").answers(200, Answer::One("AuditEntry"));
    routes.add(&get, self::get);
    routes.schemas("AuditEntry", FIELDS);
    routes.schemas("AuditChange", CHANGE);
    routes.schemas("AuditHead", HEAD);
}

/// Which entries are wanted.
#[derive(Debug, Default)]
struct Wanted {
    users: Vec<u64>,
    username: Option<String>,
    tokens: Vec<u64>,
    address: Option<String>,
    methods: Vec<String>,
    path: Option<String>,
    statuses: Vec<u64>,
    request_id: Option<String>,
    objects: Vec<String>,
    object_ids: Vec<u64>,
    actions: Vec<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self> {
        let text = |name: &str| query.get(name).map(|text| text.trim().to_owned());
        let texts = |name: &str| query.all(name).into_iter().map(str::to_owned).collect();
        Ok(Self {
            users: query.ids("user")?,
            username: text("username"),
            tokens: query.ids("token")?,
            address: text("address"),
            methods: texts("method"),
            path: text("path"),
            statuses: query.ids("status")?,
            request_id: text("request_id"),
            objects: texts("object"),
            object_ids: query.ids("object_id")?,
            actions: texts("action"),
            after: query.time("time_after")?,
            before: query.time("time_before")?,
        })
    }

    fn holds(&self, entry: &AuditEntry) -> bool {
        fn any<T: PartialEq>(wanted: &[T], of: Option<T>) -> bool {
            wanted.is_empty() || of.is_some_and(|one| wanted.contains(&one))
        }
        let is = |wanted: &Option<String>, of: Option<&str>| {
            let same = |text: &String| of.is_some_and(|of| of.eq_ignore_ascii_case(text));
            wanted.as_ref().is_none_or(same)
        };
        let method = |text: &String| text.eq_ignore_ascii_case(&entry.method);
        let part = |text: &String| entry.path.contains(text.trim_end_matches('/'));
        let of_changes =
            !self.objects.is_empty() || !self.object_ids.is_empty() || !self.actions.is_empty();
        let change = |change: &tatami_domain::AuditChange| {
            (self.objects.is_empty() || self.objects.contains(&change.object))
                && any(&self.object_ids, Some(change.object_id))
                && any(&self.actions, Some(change.action.name().to_owned()))
        };
        any(&self.users, entry.user.map(u64::from))
            && is(&self.username, entry.username.as_deref())
            && any(&self.tokens, entry.token.map(u64::from))
            && is(&self.address, entry.address.as_deref())
            && (self.methods.is_empty() || self.methods.iter().any(method))
            && self.path.as_ref().is_none_or(part)
            && any(&self.statuses, entry.status.map(u64::from))
            && is(&self.request_id, Some(&entry.request_id))
            && (!of_changes || entry.changes.iter().any(change))
            && self.after.is_none_or(|after| entry.time >= after)
            && self.before.is_none_or(|before| entry.time <= before)
    }
}

/// The log as it is now, with all that has ended.
async fn log(api: &Api, caller: &Caller) -> Result<AuditHead> {
    caller
        .require(Permission::ViewAudit, Place::Everywhere)
        .await?;
    let store = &api.services.store;
    store.complete_audit().await?;
    Ok(store.audit_head().await?)
}

/// The texts of entries, partition after partition.
fn blocks(
    store: Store,
    blocks: impl Iterator<Item = u64> + Send + 'static,
) -> impl Stream<Item = Result<Vec<String>, StoreError>> + Send {
    let calls = blocks.map(move |block| {
        let store = store.clone();
        async move { store.audit_block(block).await }
    });
    futures::stream::iter(calls).buffered(AHEAD)
}

fn parsed(text: &str) -> Result<AuditEntry> {
    let unread = |e| ApiError::Internal(format!("an entry of the audit log: {e}"));
    serde_json::from_str(text).map_err(unread)
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<AuditEntry>>> {
    let head = log(&api, &caller).await?;
    let wanted = Wanted::read(&listing.query)?;
    let columns = ordering(&listing.query, |name| matches!(name, "id" | "time"))?;
    let latest_first = columns.first().is_none_or(|(_, down)| *down);
    let filtered = FILTERS
        .iter()
        .any(|filter| listing.query.get(filter.name).is_some());
    let total = usize::try_from(head.count).unwrap_or(usize::MAX);
    let end = listing.end(total);
    // the first and last id that the page may need, where no filter says which
    let by_cursor = listing.by_cursor();
    let by_id = ById {
        descending: latest_first,
    };
    let mut cut = Cut::new(&listing, &by_id)?;
    let ids = match (filtered || by_cursor, latest_first) {
        (true, _) => 1..=head.count,
        (false, true) => head.count - end as u64 + 1..=head.count - listing.offset.min(end) as u64,
        (false, false) => listing.offset.min(end) as u64 + 1..=end as u64,
    };
    let mut count = 0;
    let mut page = Vec::new();
    if !ids.is_empty() {
        let needed = ids.start() / AUDIT_BLOCK..=ids.end() / AUDIT_BLOCK;
        let order: Box<dyn Iterator<Item = u64> + Send> = if latest_first {
            Box::new(needed.rev())
        } else {
            Box::new(needed)
        };
        let mut blocks = Box::pin(blocks(api.services.store.clone(), order));
        while let Some(mut texts) = blocks.try_next().await? {
            if latest_first {
                texts.reverse();
            }
            for text in texts {
                let entry = parsed(&text)?;
                if !ids.contains(&entry.id) || !wanted.holds(&entry) {
                    continue;
                }
                if by_cursor {
                    cut.push(entry);
                } else if !filtered || (listing.offset..listing.end(usize::MAX)).contains(&count) {
                    page.push(entry);
                }
                count += 1;
            }
        }
    }
    if by_cursor {
        let (links, page) = cut.page();
        return Ok(Json(Page::new(links, page)));
    }
    let count = if filtered { count } else { total };
    Ok(Json(Page::new(listing.links(count), page)))
}

impl Identified for AuditEntry {
    fn id(&self) -> u64 {
        self.id
    }

    fn of_id(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }
}

async fn head(State(api): State<Api>, caller: Caller) -> Result<Json<AuditHead>> {
    Ok(Json(log(&api, &caller).await?))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<AuditEntry>> {
    log(&api, &caller).await?;
    let text = api.services.store.audit_entry(id_in_path(&id)?).await?;
    Ok(Json(parsed(&text.ok_or_else(ApiError::not_found)?)?))
}

async fn export(State(api): State<Api>, caller: Caller, query: Query) -> Result<Response> {
    let head = log(&api, &caller).await?;
    let wanted = Wanted::read(&query)?;
    let number = |name: &str, default: u64| match query.get(name) {
        None => Ok(default),
        Some(text) => match text.trim().parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(ApiError::field(name, "Use a number from 1.")),
        },
    };
    let first = number("from", 1)?;
    let limit = number("limit", u64::MAX)?;
    let csv = match query.get("format").unwrap_or("ndjson") {
        "ndjson" => false,
        "csv" => true,
        other => {
            let message = format!("\"{other}\" is not a format: use ndjson or csv.");
            return Err(ApiError::field("format", message));
        }
    };
    let mut left = limit;
    let store = api.services.store.clone();
    let range = first / AUDIT_BLOCK..=head.count / AUDIT_BLOCK;
    let written = blocks(store, range).map(move |texts| {
        let mut out = Vec::new();
        for text in texts.map_err(|e| e.to_string())? {
            let entry: AuditEntry = serde_json::from_str(&text).map_err(|e| e.to_string())?;
            if entry.id < first || left == 0 || !wanted.holds(&entry) {
                continue;
            }
            left -= 1;
            if csv {
                rows(&entry, &mut out).map_err(|e| e.to_string())?;
            } else {
                out.extend_from_slice(text.as_bytes());
                out.push(b'\n');
            }
        }
        Ok::<_, String>(Bytes::from(out))
    });
    let (kind, name, start) = if csv {
        ("text/csv; charset=utf-8", "audit.csv", HEADER)
    } else {
        ("application/x-ndjson", "audit.ndjson", "")
    };
    let start = futures::stream::iter([Ok(Bytes::from_static(start.as_bytes()))]);
    let body = Body::from_stream(start.chain(written));
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, &disposition),
    ];
    Ok((headers, body).into_response())
}

const HEADER: &str = "id,time,user,username,token,address,method,path,status,request_id,object,\
                      object_id,action,fields\n";

/// The rows of an entry, one for each change.
fn rows(entry: &AuditEntry, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let own = [
        entry.id.to_string(),
        entry.time.to_string(),
        text(entry.user.map(|id| id.to_string())),
        text(entry.username.clone()),
        text(entry.token.map(|id| id.to_string())),
        text(entry.address.clone()),
        entry.method.clone(),
        entry.path.clone(),
        text(entry.status.map(|status| status.to_string())),
        entry.request_id.clone(),
    ];
    let mut writer = csv::Writer::from_writer(out);
    let changes = entry.changes.iter().map(|change| {
        let fields = Value::Object(change.fields.clone());
        [
            change.object.clone(),
            change.object_id.to_string(),
            change.action.name().to_owned(),
            fields.to_string(),
        ]
    });
    let none = [const { String::new() }; 4];
    let nothing = entry.changes.is_empty().then_some(none);
    for change in changes.chain(nothing) {
        writer.write_record(own.iter().chain(&change).map(|cell| plain(cell)))?;
    }
    writer.flush()?;
    Ok(())
}

/// A cell that no spreadsheet takes for a formula.
fn plain(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tatami_domain::{AuditChange, UserId};

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            id: 7,
            user: Some(UserId(3)),
            username: Some("=cmd".into()),
            method: "PATCH".into(),
            path: "/api/v2/findings/9".into(),
            status: Some(200),
            request_id: "r".into(),
            changes: vec![AuditChange {
                object: "finding".into(),
                object_id: 9,
                action: AuditAction::Changed,
                fields: json!({"title": {"before": "a", "after": "b"}})
                    .as_object()
                    .cloned()
                    .unwrap(),
            }],
            ..AuditEntry::default()
        }
    }

    #[test]
    fn filters_look_at_one_change_at_a_time() {
        let holds = |query: &str| {
            let wanted = Wanted::read(&Query::parse(query)).unwrap();
            wanted.holds(&entry())
        };
        for query in [
            "",
            "user=3,4&method=patch&status=200",
            "object=finding&object_id=9&action=changed",
            "path=/api/v2/findings/",
            "username==CMD",
            "time_before=2000-01-01",
        ] {
            assert!(holds(query), "{query}");
        }
        for query in [
            "user=4",
            "token=1",
            "status=201",
            "object=finding&object_id=8",
            "action=deleted",
            "path=/api/v2/products",
            "request_id=s",
            "time_after=2000-01-01",
        ] {
            assert!(!holds(query), "{query}");
        }
    }

    #[test]
    fn rows_hold_no_formula() {
        let mut out = Vec::new();
        rows(&entry(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("7,1970-01-01T00:00:00Z,3,'=cmd,,,PATCH,"),
            "{text}"
        );
        assert!(text.contains(r#""{""title"":"#), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}
