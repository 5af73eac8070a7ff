//! The system's settings: one document, of which every version is kept.
//!
//! Two of them, `enable_deduplication` and `false_positive_history`, are the system's level of the
//! deduplication settings under the names that clients know, and are kept there.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::header;
use jiff::Timestamp;
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{DedupeLevel, DedupeScope, SystemSettings};
use tatami_store::StoreError;

use super::catalog::id_in_path;
use super::dedupe_settings;
use super::jira::webhook;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::conditional::{IfMatch, Version, Versioned};
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::idempotency::NO_STORE;
use crate::openapi::{Answer, Operation, Routes};
use crate::page::{Base, Listing, Page};

const PATH: &str = "/api/v2/system_settings";
/// Their id: there is one document.
const THE_ONE: u64 = 1;
/// How often a change is tried again when others change them at the same time.
const TRIES: usize = 10;
/// What the address of the webhook ends in.
const WEBHOOK_SECRET: &str = "jira_webhook_secret";
/// So many characters it has at least, where somebody sets it.
const SECRET_LENGTH: usize = 16;
const COUNT: Kind = Kind::Integer(0, 100_000);

const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("version", Kind::Integer(0, i64::MAX)),
    Field::answer("updated", Kind::DateTime),
    Field::answer("updated_by", Kind::Ref(Target::User)).nullable(),
    Field::new("enable_deduplication", Kind::Bool),
    Field::new("false_positive_history", Kind::Bool),
    Field::new("delete_duplicates", Kind::Bool),
    Field::new("max_dupes", COUNT).nullable(),
    Field::new("email_from", Kind::Text(200)),
    Field::new("enable_jira", Kind::Bool),
    Field::new("enable_jira_web_hook", Kind::Bool),
    Field::new("disable_jira_webhook_secret", Kind::Bool),
    Field::new(WEBHOOK_SECRET, Kind::Secret(200))
        .nullable()
        .write_only(),
    Field::new("jira_minimum_severity", Kind::Severity).nullable(),
    Field::new("jira_labels", Kind::Text(200)).nullable(),
    Field::new("add_vulnerability_id_to_jira_label", Kind::Bool),
    Field::new("enable_github", Kind::Bool),
    Field::new("enable_slack_notifications", Kind::Bool),
    Field::new("slack_token", Kind::Secret(200))
        .nullable()
        .write_only(),
    Field::new("slack_channel", Kind::Text(100)),
    Field::new("slack_username", Kind::Text(100)),
    Field::new("enable_msteams_notifications", Kind::Bool),
    Field::new("msteams_url", Kind::Secret(400))
        .nullable()
        .write_only(),
    Field::new("enable_mail_notifications", Kind::Bool),
    Field::new("mail_notifications_to", Kind::Text(200)),
    Field::new("enable_webhooks_notifications", Kind::Bool),
    Field::new("webhooks_notifications_timeout", Kind::Integer(1, 300)),
    Field::new("enforce_verified_status", Kind::Bool),
    Field::new("enforce_verified_status_jira", Kind::Bool),
    Field::new("enforce_verified_status_product_grading", Kind::Bool),
    Field::new("enforce_verified_status_metrics", Kind::Bool),
    Field::new("retroactive_false_positive_history", Kind::Bool),
    Field::new("url_prefix", Kind::Text(300)),
    Field::new("team_name", Kind::Text(100)),
    Field::new("enable_product_grade", Kind::Bool),
    Field::new("product_grade_a", Kind::Integer(0, 100)),
    Field::new("product_grade_b", Kind::Integer(0, 100)),
    Field::new("product_grade_c", Kind::Integer(0, 100)),
    Field::new("product_grade_d", Kind::Integer(0, 100)),
    Field::new("product_grade_f", Kind::Integer(0, 100)),
    Field::new("enable_product_tag_inheritance", Kind::Bool),
    Field::new("enable_benchmark", Kind::Bool),
    Field::new("enable_similar_findings", Kind::Bool),
    Field::new("engagement_auto_close", Kind::Bool),
    Field::new("engagement_auto_close_days", Kind::Integer(0, 3650)),
    Field::new("enable_finding_sla", Kind::Bool),
    Field::new("enable_notify_sla_active", Kind::Bool),
    Field::new("enable_notify_sla_active_verified", Kind::Bool),
    Field::new("enable_notify_sla_jira_only", Kind::Bool),
    Field::new("enable_notify_sla_exponential_backoff", Kind::Bool),
    Field::new("allow_anonymous_survey_repsonse", Kind::Bool),
    Field::new("disclaimer_notifications", Kind::Text(3000)),
    Field::new("disclaimer_reports", Kind::Text(5000)),
    Field::new("disclaimer_reports_forced", Kind::Bool),
    Field::new("disclaimer_notes", Kind::Text(3000)),
    Field::new("risk_acceptance_form_default_days", COUNT).nullable(),
    Field::new("risk_acceptance_notify_before_expiration", COUNT).nullable(),
    Field::new("enable_questionnaires", Kind::Bool),
    Field::new("enable_checklists", Kind::Bool),
    Field::new("enable_endpoint_metadata_import", Kind::Bool),
    Field::new("enable_user_profile_editable", Kind::Bool),
    Field::new("enable_product_tracking_files", Kind::Bool),
    Field::new("enable_finding_groups", Kind::Bool),
    Field::new("enable_ui_table_based_searching", Kind::Bool),
    Field::new("enable_calendar", Kind::Bool),
    Field::new("enable_cvss3_display", Kind::Bool),
    Field::new("enable_cvss4_display", Kind::Bool),
    Field::new("minimum_password_length", Kind::Integer(9, 128)),
    Field::new("maximum_password_length", Kind::Integer(9, 128)),
    Field::new("number_character_required", Kind::Bool),
    Field::new("special_character_required", Kind::Bool),
    Field::new("lowercase_character_required", Kind::Bool),
    Field::new("uppercase_character_required", Kind::Bool),
    Field::new("non_common_password_required", Kind::Bool),
    Field::new("api_expose_error_details", Kind::Bool),
    Field::new("filter_string_matching", Kind::Bool),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    let one = Answer::One("SystemSettings");
    let list = Operation::get(PATH, "The system's settings, one of them")
        .answers(200, Answer::Page("SystemSettings"));
    routes.add(&list, self::list);
    let the_one = format!("{PATH}/{{id}}");
    let get = Operation::get(&*the_one, "The system's settings; their id is 1").answers(200, one);
    routes.add(&get, self::get);
    let put = Operation::put(
        &*the_one,
        "Change the settings that are sent; their id is 1",
    )
    .body("SystemSettingsRequest")
    .answers(200, one);
    routes.add(&put, change);
    let patch = Operation::patch(
        &*the_one,
        "Change the settings that are sent; their id is 1",
    )
    .body("PatchedSystemSettingsRequest")
    .answers(200, one);
    routes.add(&patch, change);
    let versions = format!("{the_one}/versions");
    let list = Operation::get(&*versions, "All versions there were, latest first")
        .answers(200, Answer::Page("SystemSettingsVersion"));
    routes.add(&list, self::versions);
    let restore = Operation::post(
        format!("{versions}/{{version}}/restore"),
        "Make a new version that is as this one was",
    )
    .answers(200, one);
    routes.add(&restore, self::restore);
    let secret = Operation::post(
        format!("{the_one}/new_webhook_secret"),
        "Make a new secret for JIRA's webhook; the address with it is shown once",
    )
    .answers(200, Answer::One("JIRAWebhookAddress"));
    routes.add(&secret, new_webhook_secret);
    let address = [Field::answer("url", Kind::Text(0))];
    routes.schemas("JIRAWebhookAddress", &address);
    routes.schemas("SystemSettings", FIELDS);
    let kept: Vec<Field> = (FIELDS.iter())
        .filter(|field| !is_dedupe(field.name) && !field.write_only)
        .map(|field| Field {
            read_only: true,
            ..*field
        })
        .collect();
    routes.schemas("SystemSettingsVersion", &kept);
}

fn is_dedupe(name: &str) -> bool {
    matches!(name, "enable_deduplication" | "false_positive_history")
}

/// The document as it is stored, with its id and version.
fn stored(settings: &SystemSettings) -> Result<Object> {
    let document = serde_json::to_value(settings);
    let Value::Object(mut view) = document.map_err(|e| ApiError::Internal(e.to_string()))? else {
        return Err(ApiError::Internal("settings that are no object".into()));
    };
    view.insert("id".into(), json!(THE_ONE));
    view.insert("version".into(), json!(settings.version));
    Ok(view)
}

/// The same as clients see it: without secrets.
fn shown(settings: &SystemSettings) -> Result<Object> {
    let mut view = stored(settings)?;
    view.retain(|name, _| !FIELDS.iter().any(|f| f.name == name && f.write_only));
    Ok(view)
}

/// Encrypts the secrets of notifications among what was sent. An empty one is none.
fn encrypt(api: &Api, sent: &mut Object) -> Result<()> {
    for (name, purpose) in SystemSettings::SECRETS {
        let Some(value) = sent.get_mut(*name) else {
            continue;
        };
        match value.as_str().map(str::trim) {
            None | Some("") => *value = Value::Null,
            Some(text) => {
                let key = api.services.secret_key()?;
                *value = json!(key.encrypt(purpose, &text.into())?);
            }
        }
    }
    Ok(())
}

/// The version of the whole document, in both places where it is kept.
fn version(settings: &SystemSettings, level: &DedupeLevel) -> Version {
    Version::of(&[settings.version, level.version])
}

async fn versioned(api: &Api, settings: &SystemSettings) -> Result<Versioned<Json<Object>>> {
    let level = api.services.store.dedupe_level(DedupeScope::System).await?;
    let view = view(settings, &level)?;
    Ok(Versioned(version(settings, &level), Json(view)))
}

fn view(settings: &SystemSettings, level: &DedupeLevel) -> Result<Object> {
    let resolved = tatami_domain::ResolvedDedupe::default().overruled(&level.settings);
    let mut view = shown(settings)?;
    view.insert("enable_deduplication".into(), json!(resolved.enabled));
    view.insert(
        "false_positive_history".into(),
        json!(resolved.false_positive_history),
    );
    Ok(view)
}

async fn permit(caller: &Caller) -> Result<()> {
    caller
        .require(Permission::ManageCommon, Place::Everywhere)
        .await
}

/// The id in a path is that of the one document.
fn is_the_one(id: &str) -> Result<()> {
    match id_in_path(id)? {
        THE_ONE => Ok(()),
        _ => Err(ApiError::Detail(
            http::StatusCode::NOT_FOUND,
            "The system's settings have the id 1.".into(),
        )),
    }
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    permit(&caller).await?;
    let settings = api.services.store.system_settings().await?;
    let Versioned(_, Json(view)) = versioned(&api, &settings).await?;
    Ok(Json(listing.cut(vec![view])))
}

async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Versioned<Json<Object>>> {
    permit(&caller).await?;
    is_the_one(&id)?;
    let settings = api.services.store.system_settings().await?;
    versioned(&api, &settings).await
}

async fn change(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    if_match: IfMatch,
    Body(body): Body,
) -> Result<Versioned<Json<Object>>> {
    permit(&caller).await?;
    is_the_one(&id)?;
    let store = &api.services.store;
    let seen = store.system_settings().await?;
    let level = store.dedupe_level(DedupeScope::System).await?;
    if_match.check(&version(&seen, &level))?;
    let mut sent = read(&body, FIELDS, Mode::Change).map_err(ApiError::Fields)?;
    if let Some(secret) = sent.get(WEBHOOK_SECRET).and_then(Value::as_str)
        && secret.chars().count() < SECRET_LENGTH
    {
        let message = format!("Use {SECRET_LENGTH} characters or more.");
        return Err(ApiError::field(WEBHOOK_SECRET, message));
    }
    encrypt(&api, &mut sent)?;
    let mut said = |name: &str| sent.remove(name).and_then(|value| value.as_bool());
    let enabled = said("enable_deduplication");
    let history = said("false_positive_history");
    // nothing is changed where something is wrong
    with(&seen, &sent)?;
    // these may be refused while a job is under way, so they come first
    if enabled.is_some() || history.is_some() {
        let by = caller.0.user;
        let check = |level: &DedupeLevel| if_match.check(&version(&seen, level));
        dedupe_settings::change_system(&api, by, enabled, history, check).await?;
    }
    let unseen = |old: &SystemSettings| if_match.is_set() && old.version != seen.version;
    let settings = write(&api, &caller, &sent, unseen).await?;
    versioned(&api, &settings).await
}

/// Settings with those that are sent, if they go together.
fn with(old: &SystemSettings, sent: &Object) -> Result<SystemSettings> {
    let mut fields = stored(old)?;
    fields.extend(sent.clone());
    let read = serde_json::from_value(Value::Object(fields));
    let read: SystemSettings = read.map_err(|e| ApiError::Internal(e.to_string()))?;
    check(&read)?;
    Ok(SystemSettings {
        version: old.version,
        updated: old.updated,
        updated_by: old.updated_by,
        ..read
    })
}

/// Makes a new version, unless the one before is `unwanted`; where nothing would differ, there is none.
async fn write(
    api: &Api,
    caller: &Caller,
    sent: &Object,
    unwanted: impl Fn(&SystemSettings) -> bool,
) -> Result<SystemSettings> {
    let store = &api.services.store;
    for _ in 0..TRIES {
        let old = store.system_settings().await?;
        if unwanted(&old) {
            return Err(IfMatch::failed());
        }
        let mut new = with(&old, sent)?;
        if new == old {
            return Ok(old);
        }
        new.updated = Timestamp::now();
        new.updated_by = Some(caller.0.user);
        if let Some(new) = store.put_system_settings(&old, new).await? {
            return Ok(new);
        }
    }
    Err(StoreError::Contention("the system's settings".into()).into())
}

/// Rules over several settings.
fn check(settings: &SystemSettings) -> Result<()> {
    let mut problems = Problems::default();
    if settings.minimum_password_length > settings.maximum_password_length {
        let message = "This is more than maximum_password_length.";
        problems.add("minimum_password_length", message);
    }
    let grades = [
        (
            "product_grade_b",
            settings.product_grade_a,
            settings.product_grade_b,
        ),
        (
            "product_grade_c",
            settings.product_grade_b,
            settings.product_grade_c,
        ),
        (
            "product_grade_d",
            settings.product_grade_c,
            settings.product_grade_d,
        ),
    ];
    for (name, better, worse) in grades {
        if worse >= better {
            problems.add(
                name,
                "This has to be less than the score of the better grade.",
            );
        }
    }
    problems.into_result()
}

async fn new_webhook_secret(
    State(api): State<Api>,
    caller: Caller,
    Base(base): Base,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    permit(&caller).await?;
    is_the_one(&id)?;
    let secret = uuid::Uuid::new_v4().to_string();
    let key = api.services.secret_key()?;
    let encrypted = key.encrypt(SystemSettings::WEBHOOK_SECRET, &secret.as_str().into())?;
    let sent = Object::from_iter([(WEBHOOK_SECRET.to_owned(), json!(encrypted))]);
    write(&api, &caller, &sent, |_| false).await?;
    let url = format!("{base}{}/{secret}", webhook::PATH);
    let no_store = [(header::CACHE_CONTROL, NO_STORE)];
    Ok((no_store, Json(json!({"url": url}))))
}

async fn versions(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    listing: Listing,
) -> Result<Json<Page<Object>>> {
    permit(&caller).await?;
    is_the_one(&id)?;
    let versions = api.services.store.settings_versions().await?;
    let views: Result<Vec<Object>> = versions.iter().rev().map(shown).collect();
    Ok(Json(listing.cut(views?)))
}

async fn restore(
    State(api): State<Api>,
    caller: Caller,
    Path((id, version)): Path<(String, String)>,
) -> Result<Versioned<Json<Object>>> {
    permit(&caller).await?;
    is_the_one(&id)?;
    let version = id_in_path(&version)?;
    let versions = api.services.store.settings_versions().await?;
    let wanted = versions.iter().find(|settings| settings.version == version);
    // but for secrets, which may be known since
    let wanted = shown(wanted.ok_or_else(ApiError::not_found)?)?;
    let settings = write(&api, &caller, &wanted, |_| false).await?;
    versioned(&api, &settings).await
}
