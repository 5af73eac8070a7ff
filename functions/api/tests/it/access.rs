//! Users, tokens, roles and memberships.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, PASSWORD, TOKEN, TestApp};

const ANALYST: u64 = 2;
const OWNER: u64 = 4;
const ADMIN: u64 = 6;

async fn by(app: &TestApp, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v2/{path}"))
        .header("host", "tatami.test")
        .header("authorization", format!("Token {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    app.send(request).await
}

async fn user(app: &TestApp, name: &str) -> u64 {
    let body = json!({"username": name, "email": format!("{name}@b.example")});
    let (status, user) = app.post("users/", body).await;
    assert_eq!(status, 201, "{user}");
    user["id"].as_u64().unwrap()
}

/// A token of a user, with its id.
async fn token(app: &TestApp, more: Value) -> (String, u64) {
    let mut body = json!({"name": "ci"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let (status, token) = app.post("tokens/", body).await;
    assert_eq!(status, 201, "{token}");
    let text = token["token"].as_str().unwrap().to_owned();
    (text, token["id"].as_u64().unwrap())
}

/// A user who has a role in a product, with a token.
async fn member(app: &TestApp, name: &str, product: u64, role: u64) -> (u64, String) {
    let user = user(app, name).await;
    let body = json!({"product": product, "user": user, "role": role});
    let (status, answer) = app.post("product_members/", body).await;
    assert_eq!(status, 201, "{answer}");
    (user, token(app, json!({"user": user})).await.0)
}

#[tokio::test]
async fn nobody_gives_what_they_lack_nor_takes_over_who_may_more() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (owner, token) = member(&app, "owner", product, OWNER).await;
    let other = user(&app, "other").await;
    let give = |role| json!({"product": product, "user": other, "role": role});
    let (status, answer) = by(&app, &token, Method::POST, "product_members/", give(ADMIN)).await;
    assert_eq!(status, 403, "{answer}");
    let (status, given) = by(
        &app,
        &token,
        Method::POST,
        "product_members/",
        give(ANALYST),
    )
    .await;
    assert_eq!(status, 201, "{given}");
    let again = by(
        &app,
        &token,
        Method::POST,
        "product_members/",
        give(ANALYST),
    )
    .await;
    assert_eq!(again.0, 400, "{}", again.1);
    let path = format!("product_members/{}/", given["id"]);
    let more = json!({"role": ADMIN});
    assert_eq!(by(&app, &token, Method::PATCH, &path, more).await.0, 403);
    let fields = json!({"role": OWNER, "product": 99, "user": 1});
    let (status, changed) = by(&app, &token, Method::PATCH, &path, fields).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        [&changed["product"], &changed["user"], &changed["role"]],
        [&json!(product), &json!(other), &json!(OWNER)]
    );
    // not oneself either: neither by the user's fields nor by another token
    let own = format!("users/{owner}/");
    let up = json!({"is_superuser": true});
    assert_eq!(by(&app, &token, Method::PATCH, &own, up).await.0, 403);
    let for_admin = json!({"name": "t", "user": 1});
    assert_eq!(
        by(&app, &token, Method::POST, "tokens/", for_admin).await.0,
        403
    );

    // who manages users, and may no more, doesn't get hold of an admin
    let role = json!({"name": "Doorkeeper", "permissions": ["view_users", "manage_users"]});
    let (status, role) = app.post("roles/", role).await;
    assert_eq!(status, 201, "{role}");
    assert!(role["id"].as_u64().unwrap() > 6, "{role}");
    let keeper = user(&app, "keeper").await;
    let global = json!({"user": keeper, "role": role["id"]});
    assert_eq!(app.post("global_roles/", global).await.0, 201);
    let keeper = self::token(&app, json!({"user": keeper})).await.0;
    for (method, path, body) in [
        (
            Method::PATCH,
            "users/1/",
            json!({"password": "a long new one 77"}),
        ),
        (Method::DELETE, "users/1/", json!({})),
        (Method::POST, "users/1/reset_api_token/", json!({})),
        (Method::POST, "tokens/", json!({"name": "t", "user": 1})),
        (
            Method::POST,
            "global_roles/",
            json!({"user": owner, "role": ADMIN}),
        ),
        (
            Method::POST,
            "roles/",
            json!({"name": "All", "permissions": ["import"]}),
        ),
        (
            Method::POST,
            "users/",
            json!({"username": "up", "email": "a@b.example", "is_superuser": true}),
        ),
    ] {
        let (status, answer) = by(&app, &keeper, method, path, body).await;
        assert_eq!(status, 403, "{path} {answer}");
    }
    let body = json!({"username": "new", "email": "a@b.example"});
    assert_eq!(by(&app, &keeper, Method::POST, "users/", body).await.0, 201);
}

#[tokio::test]
async fn the_last_superuser_stays() {
    let app = TestApp::start().await;
    for change in [json!({"is_superuser": false}), json!({"is_active": false})] {
        let (status, answer) = app.patch("users/1/", change).await;
        assert_eq!(status, 409, "{answer}");
    }
    let second = json!({"username": "second", "email": "a@b.example", "is_superuser": true});
    let (_, second) = app.post("users/", second).await;
    let token = token(&app, json!({"user": second["id"]})).await.0;
    let path = format!("users/{}/", second["id"]);
    let (one, two) = tokio::join!(
        app.patch("users/1/", json!({"is_superuser": false})),
        by(
            &app,
            &token,
            Method::PATCH,
            &path,
            json!({"is_superuser": false})
        ),
    );
    let superusers = app
        .services
        .store
        .list::<tatami_domain::User>()
        .await
        .unwrap();
    let left = superusers.iter().filter(|user| user.is_superuser).count();
    assert!(left >= 1, "{} {}", one.1, two.1);
}

#[tokio::test]
async fn a_token_is_cut_down_to_its_scopes_and_products() {
    let app = TestApp::start().await;
    let [product, _, test] = app.tree().await;
    let other = json!({"name": "Other", "description": "d", "prod_type": 1});
    let (_, other) = app.post("products/", other).await;
    let (reader, _) = token(&app, json!({"scopes": ["view_products"]})).await;
    let finding = json!({
        "test": test, "title": "t", "severity": "Low", "description": "d", "found_by": [1],
        "active": true, "verified": false,
    });
    assert_eq!(
        by(&app, &reader, Method::POST, "findings/", finding.clone())
            .await
            .0,
        403
    );
    assert_eq!(
        by(&app, &reader, Method::GET, "findings/", json!({}))
            .await
            .0,
        200
    );
    assert_eq!(
        by(&app, &reader, Method::GET, "users/", json!({})).await.0,
        403
    );

    let (one, _) = token(&app, json!({"products": [product]})).await;
    assert_eq!(
        by(&app, &one, Method::POST, "findings/", finding).await.0,
        201
    );
    let (_, list) = by(&app, &one, Method::GET, "products/", json!({})).await;
    assert_eq!(list["count"], 1, "{list}");
    let path = format!("products/{}/", other["id"]);
    assert_eq!(by(&app, &one, Method::GET, &path, json!({})).await.0, 404);
    assert_eq!(
        by(
            &app,
            &one,
            Method::POST,
            "test_types/",
            json!({"name": "x"})
        )
        .await
        .0,
        403
    );

    // a token makes no greater one
    let greater = json!({"name": "t", "scopes": ["view_products", "import"]});
    assert_eq!(
        by(&app, &reader, Method::POST, "tokens/", greater).await.0,
        403
    );
    let (_, same) = by(&app, &reader, Method::POST, "tokens/", json!({"name": "t"})).await;
    assert_eq!(same["scopes"], json!(["view_products"]));
    let (_, same) = by(&app, &one, Method::POST, "tokens/", json!({"name": "t"})).await;
    assert_eq!(same["products"], json!([product]));
    let unknown = app
        .post("tokens/", json!({"name": "t", "scopes": ["fly"]}))
        .await;
    assert_eq!(unknown.0, 400, "{}", unknown.1);
    let over = app
        .post("tokens/", json!({"name": "t", "expires": "2020-01-01"}))
        .await;
    assert_eq!(over.0, 400, "{}", over.1);
}

#[tokio::test]
async fn tokens_are_shown_once_rotated_and_revoked() {
    let app = TestApp::start().await;
    let (text, id) = token(&app, json!({})).await;
    let me = |token: String| {
        let app = &app;
        async move {
            by(app, &token, Method::GET, "user_profile/", json!({}))
                .await
                .0
                .as_u16()
        }
    };
    assert_eq!(me(text.clone()).await, 200);
    let (_, shown) = app.get(&format!("tokens/{id}/")).await;
    assert!(shown["token"].is_null() && !shown.to_string().contains(&text));
    assert!(shown["last_used"].is_string(), "{shown}");
    let (status, rotated) = app.post(&format!("tokens/{id}/rotate/"), json!({})).await;
    assert_eq!(status, 200, "{rotated}");
    let new = rotated["token"].as_str().unwrap().to_owned();
    assert_eq!((me(text).await, me(new.clone()).await), (401, 200));
    assert_eq!(
        app.call(Method::DELETE, &format!("tokens/{id}/"), None)
            .await
            .0,
        204
    );
    assert_eq!(me(new).await, 401);
    let someone = user(&app, "someone").await;
    let (text, _) = token(&app, json!({"user": someone})).await;
    assert_eq!(me(text.clone()).await, 200);
    let path = format!("users/{someone}/");
    assert_eq!(app.patch(&path, json!({"is_active": false})).await.0, 200);
    assert_eq!(me(text.clone()).await, 401);
    assert_eq!(app.patch(&path, json!({"is_active": true})).await.0, 200);
    assert_eq!(me(text.clone()).await, 200);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(me(text).await, 401);
    assert_eq!(app.get(&path).await.0, 404);
    let (_, list) = app.get("tokens/").await;
    assert!(!list.to_string().contains(TOKEN), "{list}");
}

fn sign_in(path: &str, body: &Value) -> Request<Body> {
    Request::post(format!("/api/v2/{path}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

#[tokio::test]
async fn a_given_password_is_changed_before_it_counts() {
    let app = TestApp::start().await;
    let login = |password: &str| json!({"username": "new", "password": password});
    let body =
        |password: &str| json!({"username": "new", "email": "new@b.example", "password": password});
    for weak in ["short", "password1234", "new@b.example"] {
        let (status, answer) = app.post("users/", body(weak)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["password"].is_array(), "{answer}");
    }
    let first = "seven purple lamps";
    let (status, made) = app.post("users/", body(first)).await;
    assert_eq!(status, 201, "{made}");
    assert!(
        made["password"].is_null() && made["password_hash"].is_null(),
        "{made}"
    );
    assert_eq!(made["must_change_password"], true);
    let (status, answer) = app.send(sign_in("api-token-auth/", &login(first))).await;
    assert_eq!(status, 403, "{answer}");
    let change = |new: &str| {
        let mut body = login(first);
        body["new_password"] = json!(new);
        sign_in("change-password/", &body)
    };
    assert_eq!(app.send(change(first)).await.0, 400);
    assert_eq!(app.send(change("123456789")).await.0, 400);
    let second = "nine yellow kettles";
    assert_eq!(app.send(change(second)).await.0, 204);
    assert_eq!(
        app.send(sign_in("api-token-auth/", &login(second))).await.0,
        200
    );
    assert_eq!(
        app.send(sign_in("api-token-auth/", &login(first))).await.0,
        400
    );
    let service = json!({
        "username": "robot", "email": "r@b.example", "is_service_account": true,
        "password": second,
    });
    assert_eq!(app.post("users/", service).await.0, 400);
}

#[tokio::test]
async fn after_too_many_wrong_passwords_the_right_one_waits_too() {
    let app = TestApp::start().await;
    let login = |password: &str| {
        sign_in(
            "api-token-auth/",
            &json!({"username": " Admin", "password": password}),
        )
    };
    for _ in 0..10 {
        assert_eq!(app.send(login("wrong")).await.0, 400);
    }
    let response = app.response(login(PASSWORD)).await;
    assert_eq!(response.status(), 429);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    // others, and tokens, are not concerned
    assert_eq!(app.get("user_profile/").await.0, 200);
    let other = json!({"username": "nobody", "password": "x"});
    assert_eq!(app.send(sign_in("api-token-auth/", &other)).await.0, 400);
}

#[tokio::test]
async fn groups_give_their_roles_and_lists_show_what_one_may_see() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({})).await;
    let other = json!({
        "name": "Next", "product": product,
        "target_start": "2026-01-01", "target_end": "2026-12-31",
    });
    let (_, other) = app.post("engagements/", other).await;
    let someone = user(&app, "someone").await;
    let (token, _) = token(&app, json!({"user": someone})).await;
    let count = |path: &'static str| {
        let (app, token) = (&app, token.clone());
        async move {
            let (status, list) = by(app, &token, Method::GET, path, json!({})).await;
            assert_eq!(status, 200, "{list}");
            list["count"].as_u64().unwrap()
        }
    };
    assert_eq!(count("findings/").await, 0);
    let (_, group) = app.post("dojo_groups/", json!({"name": "Team"})).await;
    let body = json!({"group": group["id"], "user": someone, "role": ANALYST});
    assert_eq!(app.post("dojo_group_members/", body).await.0, 201);
    let body = json!({"engagement": engagement, "group": group["id"], "role": ANALYST});
    let (status, given) = app.post("engagement_groups/", body).await;
    assert_eq!(status, 201, "{given}");
    // an engagement, and nothing beside or above it
    assert_eq!(count("findings/").await, 1);
    assert_eq!(count("engagements/").await, 1);
    assert_eq!(count("tests/").await, 1);
    assert_eq!(count("products/").await, 0);
    let path = format!("findings/{finding}/");
    let close = json!({"active": false, "is_mitigated": true});
    assert_eq!(by(&app, &token, Method::PATCH, &path, close).await.0, 200);
    let path = format!("engagements/{}/", other["id"]);
    assert_eq!(by(&app, &token, Method::GET, &path, json!({})).await.0, 404);
    let path = format!("engagement_groups/{}/", given["id"]);
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(count("findings/").await, 0);

    let list = json!({"authorized_users": [someone]});
    let (status, changed) = app.patch(&format!("products/{product}/"), list).await;
    assert_eq!(
        (status.as_u16(), &changed["authorized_users"]),
        (200, &json!([someone]))
    );
    assert_eq!(count("findings/").await, 1);
    let (_, changed) = app
        .patch(
            &format!("products/{product}/"),
            json!({"authorized_users": []}),
        )
        .await;
    assert_eq!(changed["authorized_users"], json!([]));
    assert_eq!(count("findings/").await, 0);
}

#[tokio::test]
async fn an_import_makes_nothing_that_its_sender_could_not_make() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (_, analyst) = member(&app, "analyst", product, ANALYST).await;
    let upload = |engagement: &str, name: &str, kind: &str| {
        json!({
            "scan_type": "Generic Findings Import", "auto_create_context": true,
            "product_type_name": kind, "product_name": name, "engagement_name": engagement,
        })
    };
    let before = app.get("product_types/").await.1["count"].clone();
    for (body, wanted) in [
        (upload("CI", "Shop", "Shops"), 201),
        (upload("New", "Shop", "Shops"), 403),
        (upload("CI", "New", "Shops"), 404),
        (upload("CI", "New", "New"), 403),
    ] {
        let (status, answer) = by(&app, &analyst, Method::POST, "uploads/", body.clone()).await;
        assert_eq!(status, wanted, "{body} {answer}");
    }
    assert_eq!(app.get("product_types/").await.1["count"], before);
    assert_eq!(app.get("products/").await.1["count"], 1);
    assert_eq!(app.get("engagements/").await.1["count"], 1);
}

#[tokio::test]
async fn how_a_user_is_reached_stands_with_the_user() {
    let app = TestApp::start().await;
    let [product, ..] = app.tree().await;
    let (_, profile) = app.get("user_profile/").await;
    assert_eq!(profile["user_contact_info"], Value::Null);
    let (id, token) = member(&app, "owner", product, OWNER).await;
    let new = json!({"user": id, "phone_number": "+491234567890", "slack_username": "o",
        "deduplication_execution_mode": "sync", "force_password_reset": true,
        "token_last_reset": "2026-01-05T10:00:00Z"});
    let (status, made) = app.post("user_contact_infos/", new.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["user_profile"]["username"], "owner");
    for name in [
        "force_password_reset",
        "token_last_reset",
        "deduplication_execution_mode",
    ] {
        assert_eq!(made[name], new[name], "{name}");
    }
    let (_, shown) = app.get(&format!("users/{id}/")).await;
    assert_eq!(shown["must_change_password"], true);
    let (status, answer) = app.post("user_contact_infos/", new).await;
    assert_eq!(status, 400);
    assert!(answer["user"][0].is_string(), "{answer}");
    let one = format!("user_contact_infos/{}/", made["id"]);
    for number in ["12345", "+49 123 456789", "abcdefghij"] {
        let (status, answer) = app.patch(&one, json!({"cell_number": number})).await;
        assert_eq!(status, 400, "{number}");
        assert!(answer["cell_number"][0].is_string(), "{answer}");
    }
    let change = json!({"force_password_reset": false, "user": 1, "title": "Lead"});
    let (status, changed) = app.patch(&one, change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["user"], &changed["force_password_reset"]),
        (&json!(id), &json!(false))
    );
    for (query, count) in [
        (format!("user={id}"), 1),
        ("user=1".into(), 0),
        ("title=Lead&slack_username=o".into(), 1),
        ("force_password_reset=true".into(), 0),
        ("token_last_reset=2026-01-05T10:00:00Z".into(), 1),
        ("token_last_reset=2026-01-06".into(), 0),
    ] {
        let (_, page) = app.get(&format!("user_contact_infos/?{query}")).await;
        assert_eq!(page["count"], count, "{query}");
    }
    let (_, own) = by(&app, &token, Method::GET, "user_profile/", json!({})).await;
    assert_eq!(own["user_contact_info"]["title"], "Lead", "{own}");
    let (status, _) = by(&app, &token, Method::GET, &one, json!({})).await;
    assert_eq!(status, 403);
    let gone = format!("users/{id}/");
    let (_, preview) = app.get(&format!("{gone}delete_preview/")).await;
    let models = preview["results"].as_array().unwrap();
    assert!(models.iter().any(|row| row["model"] == "UserContactInfo"));
    assert_eq!(app.call(Method::DELETE, &gone, None).await.0, 204);
    assert_eq!(app.get(&one).await.0, 404);
}

#[tokio::test]
async fn notes_are_seen_where_their_owners_are_and_rewritten_by_their_authors() {
    let app = TestApp::start().await;
    let [product, engagement, test] = app.tree().await;
    let finding = app.finding(test, json!({"title": "Weak cipher"})).await;
    let (_, token) = member(&app, "owner", product, OWNER).await;
    let guest = user(&app, "guest").await;
    let role = json!({"engagement": engagement, "user": guest, "role": ANALYST});
    assert_eq!(app.post("engagement_members/", role).await.0, 201);
    let (guest, _) = self::token(&app, json!({"user": guest})).await;
    let stranger = user(&app, "stranger").await;
    let (stranger, _) = self::token(&app, json!({"user": stranger})).await;
    let other = json!({"name": "x", "product": product, "target_start": "2026-01-01",
        "target_end": "2026-01-02"});
    let (_, other) = app.post("engagements/", other).await;
    let mut ids = Vec::new();
    for (path, entry) in [
        (format!("findings/{finding}/notes/"), "of a finding"),
        (format!("tests/{test}/notes/"), "of a test"),
        (
            format!("engagements/{engagement}/notes/"),
            "of an engagement",
        ),
        (format!("engagements/{}/notes/", other["id"]), "of another"),
    ] {
        let (status, note) = by(&app, &token, Method::POST, &path, json!({"entry": entry})).await;
        assert_eq!(status, 201, "{note}");
        ids.push(note["id"].as_u64().unwrap());
    }
    let listed = async |token: &str, query: &str| -> Vec<u64> {
        let path = format!("notes/?{query}");
        let (status, page) = by(&app, token, Method::GET, &path, json!({})).await;
        assert_eq!(status, 200, "{page}");
        let notes = page["results"].as_array().unwrap().iter();
        notes.map(|note| note["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(listed(TOKEN, "").await, ids);
    assert_eq!(listed(&token, "").await, ids);
    assert_eq!(listed(&guest, "").await, ids[..3]);
    assert_eq!(listed(&stranger, "").await, [0; 0]);
    assert_eq!(listed(TOKEN, "o=-id&limit=2").await, [ids[3], ids[2]]);
    assert_eq!(listed(TOKEN, "entry=of%20a%20test").await, [ids[1]]);
    assert_eq!(listed(TOKEN, "author=1").await, [0; 0]);
    assert_eq!(
        listed(TOKEN, &format!("id={}&edited=false", ids[0])).await,
        [ids[0]]
    );

    let one = format!("notes/{}/", ids[0]);
    let elsewhere = format!("notes/{}/", ids[3]);
    let change = json!({"entry": "changed"});
    for (token, path, method, expected) in [
        (&*stranger, &one, Method::GET, 404),
        (&*guest, &elsewhere, Method::GET, 404),
        (&*guest, &one, Method::GET, 200),
        (&*guest, &one, Method::PATCH, 403),
        (&*token, &one, Method::PATCH, 200),
        (TOKEN, &one, Method::PUT, 200),
    ] {
        let (status, answer) = by(&app, token, method.clone(), path, change.clone()).await;
        assert_eq!(status, expected, "{method} {path} {answer}");
    }
    let (_, note) = app.get(&one).await;
    assert_eq!(
        (&note["entry"], &note["edited"], &note["editor"]["username"]),
        (&json!("changed"), &json!(true), &json!("owner"))
    );
    let history = note["history"].as_array().unwrap();
    assert_eq!(history.len(), 1, "the same once more is no change: {note}");
    assert_eq!(
        (
            &history[0]["data"],
            &history[0]["current_editor"]["username"]
        ),
        (&json!("of a finding"), &json!("owner"))
    );
    let time = note["edit_time"].as_str().unwrap();
    assert_eq!(listed(TOKEN, &format!("edit_time={time}")).await, [ids[0]]);
    let (status, answer) = app.patch(&one, json!({"private": true})).await;
    assert_eq!((status.as_u16(), &answer["private"]), (200, &json!(true)));
    assert_eq!(app.call(Method::PUT, &one, Some(json!({}))).await.0, 400);
    assert_eq!(app.get("notes/9999/").await.0, 404);

    // what is deleted takes its notes with it
    let path = format!("findings/{finding}/");
    assert_eq!(app.call(Method::DELETE, &path, None).await.0, 204);
    assert_eq!(app.get(&one).await.0, 404);
    assert_eq!(listed(TOKEN, "").await, ids[1..]);
}
