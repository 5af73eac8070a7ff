//! API tokens: several for each user, cut down to what they are for.

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Permissions, Place};
use tatami_domain::{ProductId, Token, User, UserId};
use tatami_store::{Entity as _, Store};

use super::permit_over;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::idempotency::NO_STORE;
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Listing, Page};
use crate::routes::catalog::{check_references, id_in_path};

const PATH: &str = "/api/v2/tokens";

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("user", Kind::Ref(Target::User)).fixed(),
    Field::new("name", Kind::Text(150)).required(),
    Field::new("scopes", Kind::Texts).nullable(),
    Field::new("products", Kind::Refs(Target::Product)).nullable(),
    Field::new("expires", Kind::DateTime).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("last_used", Kind::DateTime).nullable(),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let list = Operation::get(
        PATH,
        "A page of one's own tokens; with `user`, of somebody else's",
    )
    .query([Field::new("user", Kind::Ref(Target::User))])
    .answers(200, Answer::Page("Token"));
    routes.add(&list, self::list);
    let create = Operation::post(PATH, "Make one; its text is shown only now")
        .body("TokenRequest")
        .answers(201, Answer::One("NewToken"));
    routes.add(&create, self::create);
    let one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*one, "One of them").answers(200, Answer::One("Token"));
    routes.add(&get, self::get);
    let revoke = Operation::delete(&*one, "Revoke one").answers(204, Answer::Empty);
    routes.add(&revoke, self::revoke);
    let rotate = Operation::post(
        format!("{one}/rotate"),
        "Another text in place of its own, shown only now",
    )
    .answers(200, Answer::One("NewToken"));
    routes.add(&rotate, self::rotate);
    routes.schemas("Token", FIELDS);
    let text = Field::answer("token", Kind::Text(0));
    let new: Vec<Field> = FIELDS.iter().copied().map(answered).chain([text]).collect();
    routes.schemas("NewToken", &new);
}

fn answered(field: Field) -> Field {
    Field {
        read_only: true,
        ..field
    }
}

fn view(token: &Token) -> Value {
    json!({
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "scopes": token.scopes,
        "products": token.products,
        "expires": token.expires,
        "created": token.created,
        "last_used": token.last_used,
    })
}

/// An answer with a secret in it.
type Secret = ([(HeaderName, HeaderValue); 1], Json<Value>);

/// A token with its text.
fn new_view(token: &Token, text: &str) -> Secret {
    let mut view = view(token);
    view["token"] = json!(text);
    ([(header::CACHE_CONTROL, NO_STORE)], Json(view))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Value>>> {
    let user = match listing.query.ids("user")?[..] {
        [user] => UserId(user),
        _ => caller.0.user,
    };
    if user != caller.0.user {
        caller
            .require(Permission::ManageUsers, Place::Everywhere)
            .await?;
    }
    let store = &api.services.store;
    let tokens: Vec<Token> = store.children(User::KIND, user.0).await?;
    let tokens = tokens.iter().filter(|token| !token.session);
    Ok(Json(listing.cut(tokens.map(view).collect())))
}

/// The token of a path: one's own, or one of somebody who may no more than oneself.
async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<Token> {
    let store = &api.services.store;
    let token: Token = store.get(id_in_path(id)?.into()).await?;
    if token.session {
        return Err(ApiError::not_found());
    }
    if token.user != caller.0.user {
        let all = caller.held(Place::Everywhere).await?;
        if !all.contains(Permission::ManageUsers) {
            return Err(ApiError::not_found());
        }
        permit_over(caller, store, &store.get(token.user).await?).await?;
    }
    Ok(token)
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Value>>> {
    let token = permitted(&api, &caller, &id).await?;
    Ok(Versioned(Version::of(&token), Json(view(&token))))
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Secret)> {
    let store = &api.services.store;
    let sent = read(&body, FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    let user = sent.get("user").and_then(Value::as_u64).map(UserId);
    let user = user.unwrap_or(caller.0.user);
    if user != caller.0.user {
        caller
            .require(Permission::ManageUsers, Place::Everywhere)
            .await?;
    }
    check_references(store, FIELDS, &sent).await?;
    if user != caller.0.user {
        permit_over(&caller, store, &store.get(user).await?).await?;
    }
    let text = tatami_auth::new_token();
    let mut token = Token {
        user,
        name: sent["name"].as_str().unwrap_or_default().to_owned(),
        sha256: tatami_auth::token_sha256(&text),
        created: Timestamp::now(),
        expires: time(&sent, "expires"),
        scopes: texts(&sent, "scopes"),
        products: ids(&sent, "products"),
        ..Token::default()
    };
    check(&token)?;
    cut_down(&caller, &mut token)?;
    let token = store.create(token).await?;
    Ok((StatusCode::CREATED, new_view(&token, &text)))
}

fn time(sent: &Object, name: &str) -> Option<Timestamp> {
    sent.get(name)?.as_str()?.parse().ok()
}

fn texts(sent: &Object, name: &str) -> Option<Vec<String>> {
    let texts = sent.get(name)?.as_array()?;
    Some(
        texts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    )
}

fn ids(sent: &Object, name: &str) -> Option<Vec<ProductId>> {
    let ids = sent.get(name)?.as_array()?;
    Some(
        ids.iter()
            .filter_map(Value::as_u64)
            .map(ProductId)
            .collect(),
    )
}

fn check(token: &Token) -> Result<()> {
    let mut problems = Problems::default();
    for scope in token.scopes.iter().flatten() {
        if Permission::of_name(scope).is_none() {
            let names = Permission::NAMES.join(", ");
            let message = format!("\"{scope}\" is not a permission. Use some of: {names}.");
            problems.add("scopes", message);
        }
    }
    if token
        .expires
        .is_some_and(|expires| expires <= Timestamp::now())
    {
        problems.add("expires", "This time is over.");
    }
    problems.into_result()
}

/// A token is good for no more than the one that makes it.
fn cut_down(caller: &Caller, token: &mut Token) -> Result<()> {
    let (scopes, products) = caller.0.rights.limits();
    if let Some(own) = scopes {
        let names = token.scopes.get_or_insert_with(|| {
            let names = own.iter().map(Permission::name);
            names.map(str::to_owned).collect()
        });
        let wanted = Permissions::of_names(names.iter().map(String::as_str));
        if !own.contains_all(wanted) {
            return Err(ApiError::forbidden());
        }
    }
    if let Some(own) = products {
        let wanted = token
            .products
            .get_or_insert_with(|| own.iter().copied().collect());
        if !wanted.iter().all(|id| own.contains(id)) {
            return Err(ApiError::forbidden());
        }
    }
    Ok(())
}

async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
) -> Result<StatusCode> {
    let token = permitted(&api, &caller, &id).await?;
    let wanted = |token: &Token| if_match.check(&Version::of(token));
    api.services.store.delete_if(token.id, wanted).await?;
    api.known.invalidate_all();
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(State(api): State<Api>, caller: Caller, Path(id): Path<String>) -> Result<Secret> {
    let mut token = permitted(&api, &caller, &id).await?;
    cut_down(&caller, &mut token)?;
    let text = tatami_auth::new_token();
    let apply = |token: &mut Token| {
        token.sha256 = tatami_auth::token_sha256(&text);
        token.created = Timestamp::now();
        token.last_used = None;
        Ok::<_, ApiError>(())
    };
    let token = api.services.store.change(token.id, apply).await?;
    api.known.invalidate_all();
    Ok(new_view(&token, &text))
}

/// Revokes every token of a user.
pub async fn revoke_all(store: &Store, user: UserId) -> Result<()> {
    for token in store.children::<Token>(User::KIND, user.0).await? {
        match store.delete::<Token>(token.id).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
