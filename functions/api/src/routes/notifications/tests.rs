//! Test messages: do they arrive?

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{Delivery, DeliveryId, DeliveryState, Receiver, User};
use tatami_notifications::{Channel, Fact, Message, Topic};

use super::{may_over, send_new};
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Target, read};
use crate::openapi::{Answer, Operation, Routes};

const SENT: &[Field] = &[
    Field::new("channel", Kind::Choice(Channel::NAMES)).required(),
    Field::new("to", Kind::Text(150)),
];
const FIELDS: &[Field] = &[
    Field::answer("delivery", Kind::Ref(Target::Unknown)),
    Field::answer("state", Kind::Choice(DeliveryState::NAMES)),
];
/// Instead of a user: the system's own channels.
const SYSTEM: &str = "system";

/// Adds the route.
pub fn add(routes: &mut Routes) {
    let test = Operation::post(
        "/api/v2/notifications/test",
        "Send a test message over a channel to oneself, to the user `to`, or to the channel of the `system`",
    )
    .body("NewNotificationTestRequest")
    .answers(202, Answer::One("NotificationTest"));
    routes.add(&test, self::test);
    routes.schemas("NewNotificationTest", SENT);
    routes.schemas("NotificationTest", FIELDS);
}

/// Where a test message is in the log.
pub fn view(delivery: &Delivery) -> Value {
    json!({"delivery": delivery.id, "state": delivery.state})
}

/// A test message that somebody sends.
pub fn message(api: &Api, caller: &Caller, channel: Channel, receiver: Receiver) -> Delivery {
    let now = Timestamp::now();
    let id = uuid::Uuid::new_v4().simple().to_string();
    let by = &caller.0.username;
    let message = Message {
        id: id.clone(),
        topic: Topic::Other,
        title: "Test message from Tatami".into(),
        summary: format!("{by} has sent this to see whether messages arrive here. They do."),
        url: api.services.settings.public_url.clone(),
        product: None,
        object: 0,
        facts: vec![Fact {
            label: "Channel".into(),
            value: channel.label().into(),
        }],
        sections: Vec::new(),
        severity: None,
        time: now,
    };
    Delivery {
        id: DeliveryId(0),
        key: format!("test-{id}"),
        event: None,
        topic: Topic::Other.name().into(),
        channel: channel.name().into(),
        receiver,
        product: None,
        message: json!(message),
        state: DeliveryState::Waiting,
        tries: 0,
        created: now,
        tried: None,
        next_try: None,
        sent: None,
        error: None,
    }
}

async fn test(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body,
) -> Result<(StatusCode, Json<Value>)> {
    let sent = read(&body, SENT, Mode::Create);
    caller
        .require(Permission::ViewCommon, Place::Everywhere)
        .await?;
    let sent = sent.map_err(ApiError::Fields)?;
    let wrong = |field: &str, message: &str| Err(ApiError::field(field, message));
    let channel = sent["channel"].as_str().and_then(Channel::from_name);
    let Some(channel) = channel else {
        return wrong("channel", "This is no channel.");
    };
    let to = sent.get("to").and_then(Value::as_str);
    let receiver = match to.filter(|to| !to.is_empty()) {
        None => Receiver::User(caller.0.user),
        Some(SYSTEM) => Receiver::System,
        Some(name) => match api.services.store.find::<User>(name).await? {
            Some(user) => Receiver::User(user.id),
            None => {
                return wrong(
                    "to",
                    "There is no such user: use a username, or \"system\".",
                );
            }
        },
    };
    match (&receiver, channel) {
        (_, Channel::Webhooks) => {
            return wrong(
                "channel",
                "Use POST /api/v2/notification_webhooks/{id}/test/.",
            );
        }
        (Receiver::System, Channel::Alert) => {
            return wrong("to", "The system has no alerts: use a username.");
        }
        (Receiver::User(_), Channel::MsTeams) => {
            return wrong(
                "to",
                "Teams has a channel of the system only: use \"system\".",
            );
        }
        _ => {}
    }
    match receiver {
        Receiver::User(user) => may_over(&caller, Some(user)).await?,
        Receiver::System | Receiver::Webhook(_) => {
            let everywhere = Place::Everywhere;
            caller.require(Permission::ManageCommon, everywhere).await?;
        }
    }
    let delivery = send_new(&api, message(&api, &caller, channel, receiver)).await?;
    Ok((StatusCode::ACCEPTED, Json(view(&delivery))))
}
