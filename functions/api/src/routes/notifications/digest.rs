//! When one's own mails come: each at once, or those of a day or a week together.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{ContactInfo, UserId};
use tatami_store::{Store, StoreError};

use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::access::contacts::{self, DIGESTS, schedule_of};

const PATH: &str = "/api/v2/notifications/digest";
const FIELDS: &[Field] = &[
    Field::new("digest", Kind::Choice(DIGESTS)),
    Field::new("digest_hour", Kind::Integer(0, 23)),
    Field::new("time_zone", Kind::Text(64)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let get = Operation::get(PATH, "When one's own mails of notifications come")
        .answers(200, Answer::One("NotificationDigest"));
    routes.add(&get, self::get);
    let change = Operation::patch(PATH, "Choose when one's own mails of notifications come")
        .body("PatchedNotificationDigestRequest")
        .answers(200, Answer::One("NotificationDigest"));
    routes.add(&change, self::change);
    routes.schemas("NotificationDigest", FIELDS);
}

async fn permit(caller: &Caller) -> Result<()> {
    caller
        .require(Permission::ViewCommon, Place::Everywhere)
        .await
}

/// What a user has, or has by default.
async fn own(store: &Store, user: UserId) -> Result<ContactInfo> {
    let known = contacts::of(store, user).await?;
    Ok(known.unwrap_or_else(|| ContactInfo {
        user,
        key: user.to_string(),
        ..ContactInfo::default()
    }))
}

fn view(contact: &ContactInfo) -> Result<Versioned<Json<Value>>> {
    let schedule = schedule_of(contact).map_err(ApiError::Internal)?;
    let shown = json!({
        "digest": schedule.digest, "digest_hour": schedule.hour, "time_zone": schedule.time_zone,
    });
    Ok(Versioned(Version::of(&shown), Json(shown)))
}

async fn get(State(api): State<Api>, caller: Caller) -> Result<Versioned<Json<Value>>> {
    permit(&caller).await?;
    view(&own(&api.services.store, caller.0.user).await?)
}

async fn change(
    State(api): State<Api>,
    caller: Caller,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Versioned<Json<Value>>> {
    permit(&caller).await?;
    let store = &api.services.store;
    let sent = read(&body, FIELDS, Mode::Change).map_err(ApiError::Fields)?;
    let text = |name: &str| Some(sent.get(name)?.as_str()?.to_owned());
    let apply = |contact: &mut ContactInfo| {
        let Versioned(version, _) = view(contact)?;
        if_match.check(&version)?;
        contact.digest = text("digest").or(contact.digest.take());
        contact.time_zone = text("time_zone").or(contact.time_zone.take());
        let hour = sent.get("digest_hour").and_then(Value::as_u64);
        let hour = hour.and_then(|hour| u8::try_from(hour).ok());
        contact.digest_hour = hour.or(contact.digest_hour);
        match schedule_of(contact) {
            Ok(_) => Ok(()),
            Err(message) => Err(ApiError::field("time_zone", message)),
        }
    };
    let mut contact = own(store, caller.0.user).await?;
    if contact.id.0 == 0 {
        apply(&mut contact)?;
        match store.create(contact).await {
            // it was made just now
            Err(StoreError::NameTaken { .. }) => {}
            made => return view(&made?),
        }
        contact = own(store, caller.0.user).await?;
    }
    view(&store.change(contact.id, apply).await?)
}
