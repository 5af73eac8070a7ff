//! What operators say in the place of a message's own text.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::NotificationTemplate;
use tatami_notifications::{Channel, Options, Template, TemplateError, Topic, sample};
use tatami_store::Store;

use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Mode, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{self, Deletable, Filter, How, Resource, merged};

const PREVIEW: &[Field] = &[
    Field::answer("subject", Kind::Text(0)),
    Field::answer("body", Kind::Text(0)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<NotificationTemplate>(routes);
    catalog::add_delete::<NotificationTemplate>(routes);
    let preview = Operation::post(
        format!("{}/preview", NotificationTemplate::PATH),
        "What a template makes of an invented message of its topic; nothing is kept or sent",
    )
    .body("NotificationTemplateRequest")
    .answers(200, Answer::One("NotificationPreview"));
    routes.add(&preview, self::preview);
    routes.schemas("NotificationPreview", PREVIEW);
}

impl Resource for NotificationTemplate {
    const PATH: &'static str = "/api/v2/notification_templates";
    const SCHEMA: &'static str = "NotificationTemplate";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("topic", Kind::Choice(Topic::NAMES)).required(),
        Field::new("channel", Kind::Choice(Channel::NAMES)).required(),
        Field::new("subject", Kind::Text(0)).nullable(),
        Field::new("body", Kind::Text(0)).required(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("topic", How::OneOf),
        Filter::of("channel", How::OneOf),
    ];
    const VIEW: Permission = Permission::ManageCommon;
    const ADD: Permission = Permission::ManageCommon;
    const EDIT: Permission = Permission::ManageCommon;

    fn fresh() -> Self {
        Self::default()
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        let (template, topic, channel) = parts(self)?;
        template
            .check(topic, channel)
            .map_err(|error| wrong(&error))
    }
}

impl Deletable for NotificationTemplate {
    fn name(&self) -> String {
        format!("{} on {}", self.topic, self.channel)
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}

fn parts(of: &NotificationTemplate) -> Result<(Template, Topic, Channel)> {
    let topic = Topic::from_name(&of.topic);
    let topic = topic.ok_or_else(|| ApiError::field("topic", "This is no topic."))?;
    let channel = Channel::from_name(&of.channel);
    let channel = channel.ok_or_else(|| ApiError::field("channel", "This is no channel."))?;
    let template = Template {
        subject: of.subject.clone().filter(|subject| !subject.is_empty()),
        body: of.body.clone(),
    };
    Ok((template, topic, channel))
}

fn wrong(error: &TemplateError) -> ApiError {
    let field = match error {
        TemplateError::Channel(_) => "channel",
        TemplateError::Source { part }
        | TemplateError::Wrong { part, .. }
        | TemplateError::TooMuch { part, .. }
        | TemplateError::Empty { part } => part,
    };
    ApiError::field(field, format!("{error}."))
}

async fn preview(State(_): State<Api>, caller: Caller, Body(body): Body) -> Result<Json<Value>> {
    let everywhere = Place::Everywhere;
    caller.require(Permission::ManageCommon, everywhere).await?;
    let sent = read(&body, NotificationTemplate::FIELDS, Mode::Create).map_err(ApiError::Fields)?;
    let of = merged(&NotificationTemplate::fresh(), &sent, true)?;
    let (template, topic, channel) = parts(&of)?;
    let (_, message) = sample(topic);
    let made = template.render(&message, channel, &Options::sample());
    let made = made.map_err(|error| wrong(&error))?;
    Ok(Json(json!({"subject": made.subject, "body": made.body})))
}
