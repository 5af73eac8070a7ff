//! The table of `authorisation.txt` against the API: each operation by each role, in its own product, in
//! another product of the same type, and in one of another type.
//!
//! A line is a method, a path, the permission that it takes, and for POST a body that makes something.
//! `$product` and the like stand for ids of the product that is tried, `$n` for a number nobody had yet.
//! `@type` behind a permission says that it is asked for in the product type, not in the product. Instead
//! of a permission: `anybody` who is known, `list` for lists that show what one may see, `apart`
//! for what is tried by tests of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tatami_auth::{BUILTIN_ROLES, Permission, Permissions};
use tatami_domain::RehashJob;

use crate::app::TestApp;

const TABLE: &str = include_str!("../authorisation.txt");
/// Permissions over what is in no product.
const COMMON: [Permission; 6] = [
    Permission::ViewCommon,
    Permission::ManageCommon,
    Permission::AddProductType,
    Permission::ViewUsers,
    Permission::ManageUsers,
    Permission::ViewAudit,
];

/// What is in engagements, by collection.
const OF_ENGAGEMENTS: [&str; 14] = [
    "engagements",
    "engagement_members",
    "engagement_groups",
    "tests",
    "findings",
    "finding_groups",
    "endpoint_status",
    "request_response_pairs",
    "risk_acceptance",
    "imports",
    "test_imports",
    "uploads",
    "import-scan",
    "reimport-scan",
];

#[derive(Clone)]
pub struct Row {
    pub method: Method,
    pub path: String,
    needs: String,
    /// Is it in a product type, which those of a product don't see?
    of_type: bool,
    body: Option<String>,
}

pub fn table() -> Vec<Row> {
    let lines = TABLE
        .lines()
        .filter(|line| line.starts_with(char::is_uppercase));
    lines
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
            let (method, path, needs) = (word(), word(), word());
            Row {
                method: method.parse().unwrap(),
                path: path.to_owned(),
                needs: needs.trim_end_matches("@type").to_owned(),
                of_type: needs.ends_with("@type"),
                body: words.next().map(str::to_owned),
            }
        })
        .collect()
}

impl Row {
    /// The collection that the path begins with.
    fn collection(&self) -> &str {
        let path = self.path.strip_prefix("/api/v2/").unwrap();
        path.split('/').next().unwrap()
    }

    /// What the first id of the path is of.
    pub fn holder(&self) -> &str {
        let before = self.path.split("/{").next().unwrap_or_default();
        let last = before.trim_end_matches('/').rsplit('/').next();
        last.unwrap_or_default()
    }

    /// Is it in an engagement, so that those see it who have a role there alone? A new engagement is in
    /// a product, and so is what is replayed of a scan type.
    fn of_engagement(&self) -> bool {
        let of_product = ["/api/v2/engagements/", "/api/v2/imports/replay/"];
        let makes = self.method == Method::POST && of_product.contains(&&*self.path);
        OF_ENGAGEMENTS.contains(&self.collection()) && !makes
    }

    fn permission(&self) -> Option<Permission> {
        Permission::of_name(&self.needs)
    }
}

/// The ids of what is in one product, by collection, and under the names that bodies have for them.
pub type Ids = BTreeMap<String, u64>;

static NUMBER: AtomicU64 = AtomicU64::new(1);

fn filled(text: &str, ids: &Ids) -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    let mut filled = text.replace("$n", &number);
    // longer names first: one may begin with another
    let mut names: Vec<_> = ids.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, id) in names {
        filled = filled.replace(&format!("${name}"), &id.to_string());
    }
    filled
}

async fn send(app: &TestApp, token: &str, method: &Method, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let (status, answer) = app.send(request).await;
    (status.as_u16(), answer)
}

/// Makes one of everything that the table can make in a product.
pub async fn fill(app: &TestApp, admin: &str, rows: &[Row], ids: &mut Ids) {
    for row in rows {
        let makes = row.method == Method::POST
            && row.path.matches('/').count() == 4
            && row.collection() != "product_types"
            // these want a file
            && !row.collection().contains('-')
            && row.collection() != "endpoint_meta_import";
        let Some(body) = row.body.as_ref().filter(|_| makes) else {
            continue;
        };
        let body = filled(body, ids);
        let (status, made) = send(app, admin, &row.method, &row.path, &body).await;
        assert!((200..300).contains(&status), "{} {body}: {made}", row.path);
        let id = made["id"].as_u64().or(made["import_id"].as_u64());
        if let Some(id) = id {
            let collection = row.collection().to_owned();
            ids.insert(collection.trim_end_matches('s').to_owned(), id);
            if collection == "uploads" {
                ids.insert("import".to_owned(), id);
            }
        }
    }
}

struct Person {
    name: String,
    token: String,
    held: Permissions,
    /// Where it has its role.
    level: &'static str,
    /// Is it in the product, of its type, and of another type, that something may be seen?
    sees: [bool; 3],
}

impl Person {
    /// Is an operation on a level at which it has its role, or below?
    fn reaches(&self, row: &Row) -> bool {
        match self.level {
            "engagement" => row.of_engagement(),
            "product" => !row.of_type,
            _ => true,
        }
    }
}

async fn person(
    app: &TestApp,
    role: usize,
    member: Option<(&str, &'static str, u64)>,
    sees: [bool; 3],
) -> Person {
    let (role_name, held) = BUILTIN_ROLES[role - 1];
    let level = member.map_or("global", |(_, level, _)| level);
    let name = format!("{}-{level}", role_name.replace(' ', "-"));
    let user = json!({"username": name, "email": "a@b.example"});
    let (status, user) = app.post("users/", user).await;
    assert_eq!(status, 201, "{user}");
    let (path, body) = match member {
        Some((path, level, id)) => (path, json!({"user": user["id"], "role": role, level: id})),
        None => ("global_roles/", json!({"user": user["id"], "role": role})),
    };
    let (status, answer) = app.post(path, body).await;
    assert_eq!(status, 201, "{answer}");
    let token = json!({"user": user["id"], "name": "t"});
    let (status, token) = app.post("tokens/", token).await;
    assert_eq!(status, 201, "{token}");
    Person {
        name,
        token: token["token"].as_str().unwrap().to_owned(),
        held,
        level,
        sees,
    }
}

/// One of each role in a product, some in an engagement of it, in its type, and everywhere.
async fn people(app: &TestApp, own: &Ids) -> Vec<Person> {
    let product = Some(("product_members/", "product", own["product"]));
    let of_type = Some(("product_type_members/", "product_type", own["product_type"]));
    let mut people = Vec::new();
    for role in 1..=6 {
        people.push(person(app, role, product, [true, false, false]).await);
    }
    let engagement = Some(("engagement_members/", "engagement", own["engagement"]));
    for role in [2, 4, 5] {
        people.push(person(app, role, engagement, [true, false, false]).await);
    }
    people.push(person(app, 4, of_type, [true, true, false]).await);
    people.push(person(app, 5, of_type, [true, true, false]).await);
    people.push(person(app, 5, None, [true; 3]).await);
    people.push(person(app, 6, None, [true; 3]).await);
    people
}

#[tokio::test]
async fn every_operation_has_its_line_and_no_line_is_left_over() {
    let app = TestApp::start().await;
    let document = Request::get("/api/v2/oa3/schema/?format=json");
    let (_, document) = app.send(document.body(Body::empty()).unwrap()).await;
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let public = operation["security"].as_array().is_some_and(Vec::is_empty);
            if !public {
                operations.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    let rows = table();
    let lines: BTreeSet<String> = (rows.iter())
        .map(|row| format!("{} {}", row.method, row.path))
        .collect();
    let missing: Vec<_> = operations.difference(&lines).collect();
    let stale: Vec<_> = lines.difference(&operations).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "missing: {missing:#?}\nstale: {stale:#?}"
    );
    for row in &rows {
        let known = ["anybody", "list", "apart"].contains(&&*row.needs);
        assert!(
            known || row.permission().is_some(),
            "{} {}",
            row.path,
            row.needs
        );
    }
}

#[tokio::test]
async fn each_role_does_what_it_may_where_it_may() {
    let app = TestApp::start().await;
    let rows = table();
    let admin = crate::app::TOKEN;
    let mut type_ids = Vec::new();
    for _ in 0..2 {
        let name = format!("type {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (_, made) = app.post("product_types/", json!({"name": name})).await;
        type_ids.push(made["id"].as_u64().unwrap());
    }
    let mut places = Vec::new();
    for product_type in [type_ids[0], type_ids[0], type_ids[1]] {
        let mut ids = Ids::from([("product_type".to_owned(), product_type)]);
        fill(&app, admin, &rows, &mut ids).await;
        ids.insert("product_type".to_owned(), product_type);
        places.push(ids);
    }
    let people = people(&app, &places[0]).await;
    let mut tried = 0;
    let mut wrong = Vec::new();
    for row in &rows {
        for person in &people {
            for (at, ids) in places.iter().enumerate() {
                let expected = match (row.needs.as_str(), row.permission()) {
                    ("apart", _) => continue,
                    (_, Some(needed)) if COMMON.contains(&needed) => {
                        let everywhere = person.sees[2] || needed == Permission::ViewCommon;
                        if everywhere && person.held.contains(needed) {
                            200
                        } else {
                            403
                        }
                    }
                    (_, Some(_)) if !person.sees[at] || !person.reaches(row) => 404,
                    (_, Some(needed)) if !person.held.contains(needed) => 403,
                    _ => 200,
                };
                let mut ids = ids.clone();
                if row.method == Method::DELETE && expected == 200 {
                    // what it is made of can be in one such thing only
                    let parts = [
                        "users",
                        "dojo_groups",
                        "language_types",
                        "findings",
                        row.collection(),
                    ];
                    let maker = rows
                        .iter()
                        .filter(|other| parts.contains(&other.collection()));
                    let maker: Vec<Row> = maker.cloned().collect();
                    fill(&app, admin, &maker, &mut ids).await;
                }
                let singular = row.holder().trim_end_matches('s');
                let id = ids.get(singular).copied().unwrap_or(1).to_string();
                let path = row.path.replacen("{id}", &id, 1);
                let path = path.replace("{new_fid}", &ids["finding"].to_string());
                let body = filled(row.body.as_deref().unwrap_or("{}"), &ids);
                let (status, answer) = send(&app, &person.token, &row.method, &path, &body).await;
                tried += 1;
                let fine = match expected {
                    200 => ![401, 403, 404, 405, 500].contains(&status),
                    other => status == other,
                };
                if !fine {
                    let line = format!(
                        "{} {path} by {} in {at}: {status}, not {expected}: {answer}",
                        row.method, person.name
                    );
                    wrong.push(line.chars().take(300).collect::<String>());
                }
                if row.needs == "list" {
                    for (other, ids) in places.iter().enumerate() {
                        let seen = person.sees[other] && person.reaches(row);
                        let hidden = ids.get(singular).filter(|_| !seen);
                        let shown = answer["results"].as_array().into_iter().flatten();
                        for one in shown.filter(|one| one["id"].as_u64().as_ref() == hidden) {
                            wrong.push(format!("{path} shows {} to {}", one["id"], person.name));
                        }
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(tried > 1_000, "{tried}");
}

/// What the table calls `apart`, by somebody who has a role in another product: the rest of what tells them
/// anything is tried by the tests of those resources.
#[tokio::test]
async fn what_stands_apart_is_closed_to_outsiders_too() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let mut open = vec![format!("products/{product}/sla_status/")];
    for of in [
        format!("findings/{finding}"),
        format!("tests/{test}"),
        format!("engagements/{engagement}"),
    ] {
        let path = format!("{of}/files/");
        let (status, file) = app
            .upload(&path, &[("title", "proof")], Some(("proof.txt", "text")))
            .await;
        assert_eq!(status, 201, "{file}");
        open.push(format!("{path}download/{}/", file["id"]));
    }
    let store = &app.services.store;
    let summary = json!({});
    let kept = store.put_sla_summary(product.into(), &summary);
    kept.await.unwrap();
    let job = store.create_rehash_job(RehashJob::default());
    let job = job.await.unwrap().unwrap().id;
    let name = json!({"team_name": "AppSec"});
    assert_eq!(app.patch("system_settings/1/", name).await.0, 200);
    open.extend([
        format!("rehash_jobs/{job}/"),
        "system_settings/1/".to_owned(),
        "system_settings/1/versions/".to_owned(),
        "audit/1/".to_owned(),
    ]);
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let member = ("product_members/", "product", other["id"].as_u64().unwrap());
    let outsider = person(&app, 4, Some(member), [false; 3]).await;
    let admin = crate::app::TOKEN;
    for path in &open {
        let path = format!("/api/v2/{path}");
        let (status, _) = send(&app, admin, &Method::GET, &path, "").await;
        assert_eq!(status, 200, "{path}");
        let (status, answer) = send(&app, &outsider.token, &Method::GET, &path, "").await;
        assert!([403, 404].contains(&status), "{path}: {status} {answer}");
    }
    for path in [
        format!("rehash_jobs/{job}/resume/"),
        format!("rehash_jobs/{job}/rollback/"),
        "system_settings/1/versions/1/restore/".to_owned(),
    ] {
        let path = format!("/api/v2/{path}");
        let (status, answer) = send(&app, &outsider.token, &Method::POST, &path, "{}").await;
        assert!([403, 404].contains(&status), "{path}: {status} {answer}");
    }
}
