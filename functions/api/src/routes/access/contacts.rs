//! How users are reached, and how they like to work.

use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::Permission;
use tatami_domain::{ContactInfo, User, UserId};
use tatami_notifications::{Digest, DigestSchedule};
use tatami_store::{Entity as _, Store, StoreError};

use super::permit_over;
use crate::Api;
use crate::auth::Caller;
use crate::error::{Problems, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::query::Query;
use crate::routes::catalog::{self, Deletable, Filter, How, Resource};

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    catalog::add::<ContactInfo>(routes);
    catalog::add_delete::<ContactInfo>(routes);
}

/// How often mails of notifications come.
pub const DIGESTS: &[&str] = &["off", "daily", "weekly"];
const MODES: &[&str] = &["async", "async_wait", "sync"];
/// What stands with the user, under other names.
const FORCE_RESET: &str = "force_password_reset";
const TOKEN_RESET: &str = "token_last_reset";
const PASSWORD_RESET: &str = "password_last_reset";

/// When somebody's mails of notifications come; an error where there is no such time zone.
pub fn schedule_of(contact: &ContactInfo) -> std::result::Result<DigestSchedule, String> {
    let schedule = DigestSchedule::of(contact);
    let tried = DigestSchedule {
        digest: Digest::Daily,
        ..schedule.clone()
    };
    match tried.next(Timestamp::now()) {
        Ok(_) => Ok(schedule),
        Err(error) => Err(format!("{error}.")),
    }
}

impl Resource for ContactInfo {
    const PATH: &'static str = "/api/v2/user_contact_infos";
    const SCHEMA: &'static str = "UserContactInfo";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::answer("user_profile", Kind::Other("User", false)),
        Field::new("title", Kind::Text(150)).nullable(),
        Field::new("phone_number", Kind::Text(15)),
        Field::new("cell_number", Kind::Text(15)),
        Field::new("twitter_username", Kind::Text(150)).nullable(),
        Field::new("github_username", Kind::Text(150)).nullable(),
        Field::new("slack_username", Kind::Text(150)).nullable(),
        Field::new("slack_user_id", Kind::Text(25)).nullable(),
        Field::new("block_execution", Kind::Bool),
        Field::new("deduplication_execution_mode", Kind::OptionalChoice(MODES)).nullable(),
        Field::new(FORCE_RESET, Kind::Bool),
        Field::new("ui_use_tailwind", Kind::Bool),
        Field::new(TOKEN_RESET, Kind::DateTime).nullable(),
        Field::new(PASSWORD_RESET, Kind::DateTime).nullable(),
        Field::new("digest", Kind::Choice(DIGESTS)).nullable(),
        Field::new("digest_hour", Kind::Integer(0, 23)).nullable(),
        Field::new("time_zone", Kind::Text(64)).nullable(),
        Field::new("user", Kind::Ref(Target::User))
            .required()
            .fixed(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("user", How::Ids),
        Filter::of("title", How::Exact),
        Filter::of("phone_number", How::Exact),
        Filter::of("cell_number", How::Exact),
        Filter::of("twitter_username", How::Exact),
        Filter::of("github_username", How::Exact),
        Filter::of("slack_username", How::Exact),
        Filter::of("slack_user_id", How::Exact),
        Filter::of("block_execution", How::Bool),
        Filter::of("deduplication_execution_mode", How::Exact),
        Filter::of(FORCE_RESET, How::Bool),
        Filter::of("ui_use_tailwind", How::Bool),
        Filter::of(TOKEN_RESET, How::At),
        Filter::of(PASSWORD_RESET, How::At),
    ];
    const VIEW: Permission = Permission::ViewUsers;
    const ADD: Permission = Permission::ManageUsers;
    const EDIT: Permission = Permission::ManageUsers;

    fn fresh() -> Self {
        Self::default()
    }

    fn check(&self, _: Option<&Self>) -> Result<()> {
        let mut problems = Problems::default();
        let numbers = [
            ("phone_number", &self.phone_number),
            ("cell_number", &self.cell_number),
        ];
        for (name, number) in numbers {
            if !number.is_empty() && !is_number(number) {
                let message = "Use 9 to 15 digits, with or without a + in front: +999999999.";
                problems.add(name, message);
            }
        }
        if let Err(error) = schedule_of(self) {
            problems.add("time_zone", error);
        }
        problems.into_result()
    }

    async fn complete(&mut self, _: &Store) -> Result<()> {
        self.key = self.user.to_string();
        Ok(())
    }

    async fn permit(&self, caller: &Caller, store: &Store, _: Option<&Self>) -> Result<()> {
        let user: User = store.get(self.user).await?;
        permit_over(caller, store, &user).await
    }

    async fn apply(
        &self,
        _: &Caller,
        store: &Store,
        sent: &Object,
        _: Option<&Self>,
    ) -> Result<()> {
        let time = |name: &str| {
            let sent = sent.get(name)?;
            Some(
                sent.as_str()
                    .and_then(|text| text.parse::<Timestamp>().ok()),
            )
        };
        let force = sent.get(FORCE_RESET).and_then(Value::as_bool);
        let (token, password) = (time(TOKEN_RESET), time(PASSWORD_RESET));
        if force.is_none() && token.is_none() && password.is_none() {
            return Ok(());
        }
        let change = |user: &mut User| {
            user.must_change_password = force.unwrap_or(user.must_change_password);
            user.token_last_reset = token.unwrap_or(user.token_last_reset);
            user.password_last_reset = password.unwrap_or(user.password_last_reset);
            Ok::<_, StoreError>(())
        };
        store.change(self.user, change).await?;
        Ok(())
    }

    fn changed(api: &Api) {
        User::changed(api);
    }

    async fn join(store: &Store, _: &Query, views: &mut [Object]) -> Result<()> {
        add_users(store, views).await
    }

    async fn decorate(store: &Store, views: &mut [Object]) -> Result<()> {
        add_users(store, views).await
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (9..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

async fn add_users(store: &Store, views: &mut [Object]) -> Result<()> {
    let id = |view: &Object| UserId(view["user"].as_u64().unwrap_or_default());
    let users: Vec<User> = store.get_all(views.iter().map(id)).await?;
    for view in views {
        let Some(user) = users.iter().find(|user| user.id == id(view)) else {
            continue;
        };
        let profile = catalog::view(store, user).await?;
        for (name, value) in [
            ("user_profile", json!(profile)),
            (FORCE_RESET, json!(user.must_change_password)),
            (TOKEN_RESET, json!(user.token_last_reset)),
            (PASSWORD_RESET, json!(user.password_last_reset)),
        ] {
            view.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

impl Deletable for ContactInfo {
    fn name(&self) -> String {
        self.title.clone().unwrap_or_else(|| self.key.clone())
    }

    async fn users(&self, _: &Store) -> Result<Option<String>> {
        Ok(None)
    }
}

/// How a user is reached; `None` where nobody has said.
pub async fn of(store: &Store, user: UserId) -> Result<Option<ContactInfo>> {
    let infos = store.children::<ContactInfo>(User::KIND, user.0);
    Ok(infos.await?.pop())
}

/// The same as clients see it.
pub async fn view_of(store: &Store, user: UserId) -> Result<Option<Object>> {
    match of(store, user).await? {
        Some(info) => Ok(Some(catalog::view(store, &info).await?)),
        None => Ok(None),
    }
}
