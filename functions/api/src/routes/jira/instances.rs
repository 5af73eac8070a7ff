//! Where a JIRA is, how one signs in there, and how it stands with it.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{JiraInstance, JiraInstanceId, JiraIssue, Severity};
use tatami_jira_connection::{Check, ConnectError, check, connect};
use tatami_queue::{JiraMessage, Outgoing};
use tatami_store::{Entity as _, JiraState, Store};

use super::Projects;
use crate::Api;
use crate::auth::Caller;
use crate::body::Body;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Mode, Object, Target, read};
use crate::openapi::{Answer, Operation, Routes};
use crate::routes::catalog::{Filter, How, one};
use crate::routes::records::{Kept, Record, add_also, add_kind, count};

/// Numbers of fields and transitions.
const NUMBER: Kind = Kind::Integer(0, 2_147_483_647);
const PRIORITY: Kind = Kind::Text(200);

/// How it stands with a JIRA.
const STATUS: &[Field] = &[
    Field::answer("refused", Kind::DateTime).nullable(),
    Field::answer("reason", Kind::Text(0)).nullable(),
    Field::answer("paused_until", Kind::DateTime).nullable(),
    Field::answer("reconciled", Kind::DateTime).nullable(),
    Field::answer("account", Kind::Text(0)).nullable(),
];

/// What a test of a connection takes and gives.
const TEST: &[Field] = &[
    Field::new("project_key", Kind::Text(200))
        .nullable()
        .write_only(),
    Field::answer("checks", Kind::Other("JIRAConnectionCheck", true)),
];

/// Something that has to be right.
const CHECK: &[Field] = &[
    Field::answer("check", Kind::Text(0)),
    Field::answer("ok", Kind::Bool),
    Field::answer("message", Kind::Text(0)),
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Instances>(routes);
    add_also::<Instances>(routes, "/api/v2/jira_configurations");
    let path = format!("{}/{{id}}", Instances::PATH);
    let status = Operation::get(
        format!("{path}/status"),
        "Does it let us in, does it want to be left alone, and up to when is known what changed there?",
    )
    .answers(200, Answer::One("JIRAInstanceStatus"));
    routes.add(&status, self::status);
    let resume = Operation::post(
        format!("{path}/resume"),
        "Try again what it refused, and look at what changed there",
    )
    .answers(200, Answer::One("JIRAInstanceStatus"));
    routes.add(&resume, self::resume);
    routes.schemas("JIRAInstanceStatus", STATUS);
    let test = Operation::post(
        format!("{path}/test_connection"),
        "Try the connection: who we are there, and whether a project is as it has to be",
    )
    .body("JIRAConnectionTestRequest")
    .answers(200, Answer::One("JIRAConnectionTest"));
    routes.add(&test, test_connection);
    routes.schemas("JIRAConnectionTest", TEST);
    routes.schemas("JIRAConnectionCheck", CHECK);
}

/// The kind of these records.
#[derive(Debug, Clone)]
pub struct Instances;

impl Kept for Instances {
    const KIND: &'static str = JiraInstance::KIND;
    const WORD: &'static str = JiraInstance::WORD;
    const PATH: &'static str = "/api/v2/jira_instances";
    const SCHEMA: &'static str = "JIRAInstance";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("configuration_name", Kind::Text(2000)).nullable(),
        Field::new("url", Kind::Uri(2000)).required(),
        Field::new("username", Kind::Text(2000)),
        Field::new("password", Kind::Secret(2000))
            .nullable()
            .write_only(),
        Field::new("authentication", Kind::OptionalChoice(&["basic", "bearer"])).nullable(),
        Field::new(
            "deployment",
            Kind::OptionalChoice(&["cloud", "data_center"]),
        )
        .nullable(),
        Field::new("default_issue_type", Kind::Text(255)),
        Field::new("issue_template_dir", Kind::Text(255)).nullable(),
        Field::new("epic_name_id", NUMBER),
        Field::new("open_status_key", NUMBER),
        Field::new("close_status_key", NUMBER),
        Field::new("info_mapping_severity", PRIORITY).required(),
        Field::new("low_mapping_severity", PRIORITY).required(),
        Field::new("medium_mapping_severity", PRIORITY).required(),
        Field::new("high_mapping_severity", PRIORITY).required(),
        Field::new("critical_mapping_severity", PRIORITY).required(),
        Field::new("finding_text", Kind::Text(0)).nullable(),
        Field::new("accepted_mapping_resolution", Kind::Text(300)).nullable(),
        Field::new("false_positive_mapping_resolution", Kind::Text(300)).nullable(),
        Field::new("global_jira_sla_notification", Kind::Bool),
        Field::new("finding_jira_sync", Kind::Bool),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("url", How::Exact),
        Filter::of("configuration_name", How::Exact),
    ];
    const NAME: &'static str = "url";
    const VIEW: Permission = Permission::ManageCommon;
    const PRIVATE: &'static [&'static str] = JiraInstance::PRIVATE;

    fn defaults() -> Value {
        json!({
            "default_issue_type": "Bug",
            "epic_name_id": 0,
            "open_status_key": 0,
            "close_status_key": 0,
            "global_jira_sla_notification": true,
        })
    }

    fn amend(sent: &mut Object) {
        if let Some(Value::String(url)) = sent.get_mut("url") {
            url.truncate(url.trim_end_matches('/').len());
        }
    }

    fn check(of: &Record<Self>) -> Result<()> {
        let text = |name: &str| of.field(name).as_str().unwrap_or_default();
        let mut problems = Problems::default();
        if let Some(why) = unfit(text("url")) {
            problems.add("url", why);
        }
        let has_token = text("authentication") == "bearer";
        if !has_token && text("username").is_empty() {
            let message = "This field is required, unless \"authentication\" is \"bearer\".";
            problems.add("username", message);
        }
        if text("username").contains(':') {
            problems.add("username", "A user name has no colon.");
        }
        problems.into_result()
    }

    /// Another password is tried at once.
    async fn written(of: &Record<Self>, old: Option<&Record<Self>>, store: &Store) -> Result<()> {
        let signs_in = ["url", "username", "password", "authentication"];
        let differs = |old: &Record<Self>| {
            let mut fields = signs_in.iter();
            fields.any(|name| old.field(name) != of.field(name))
        };
        if old.is_some_and(differs) {
            let id = JiraInstanceId(of.id());
            store.change_jira_state(id, close_circuit).await?;
        }
        Ok(())
    }

    async fn users(store: &Store, id: u64) -> Result<Option<String>> {
        let projects = count::<Projects>(store, "jira_instance", id).await?;
        if projects > 0 {
            return Ok(Some(format!("{projects} JIRA projects")));
        }
        let issues: Vec<JiraIssue> = store.list().await?;
        let own = issues.iter().filter(|issue| issue.instance.0 == id);
        let own = own.count();
        Ok((own > 0).then(|| format!("{own} issues that are linked")))
    }
}

/// What is wrong with the address of a JIRA.
fn unfit(url: &str) -> Option<&'static str> {
    let Ok(address) = url.parse::<http::Uri>() else {
        return Some("This is no address such as https://jira.example.com.");
    };
    let authority = address.authority().map(http::uri::Authority::as_str);
    if !matches!(address.scheme_str(), Some("http" | "https")) {
        Some("It begins with https:// (or http://).")
    } else if authority.is_some_and(|authority| authority.contains('@')) {
        Some("It has a user in it: set username and password on their own.")
    } else if address.query().is_some() || url.contains('#') {
        Some("Leave out what begins with ? or #.")
    } else {
        None
    }
}

fn close_circuit(state: &mut JiraState) {
    state.refused = None;
    state.paused_until = None;
}

/// The instance of a path, for those who manage them.
async fn permitted(api: &Api, caller: &Caller, id: &str) -> Result<JiraInstanceId> {
    caller
        .require(Permission::ManageCommon, Place::Everywhere)
        .await?;
    let instance: Record<Instances> = one(&api.services.store, id).await?;
    Ok(JiraInstanceId(instance.id()))
}

async fn status(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let id = permitted(&api, &caller, &id).await?;
    shown(&api, id).await
}

async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>> {
    let instance = permitted(&api, &caller, &id).await?;
    let store = &api.services.store;
    store.change_jira_state(instance, close_circuit).await?;
    let body = tatami_queue::write(&JiraMessage::Reconcile { instance });
    let body = body.map_err(|e| ApiError::Internal(e.to_string()))?;
    let sent = api.services.jira.send([Outgoing { body, import: None }]);
    sent.await.map_err(|e| ApiError::Internal(e.to_string()))?;
    shown(&api, instance).await
}

async fn test_connection(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Json<Value>> {
    let id = permitted(&api, &caller, &id).await?;
    let sent = read(&body, TEST, Mode::Change).map_err(ApiError::Fields)?;
    let instance: JiraInstance = api.services.store.get(id).await?;
    let key = sent.get("project_key").and_then(Value::as_str);
    let issue_type = instance.default_issue_type.as_deref();
    let priorities = Severity::ALL.map(|severity| instance.priority(severity));
    let checks = match connect(&api.services, &instance).await {
        Ok(connection) => check(&connection, key, issue_type, &priorities).await,
        Err(ConnectError::Store(error)) => return Err(error.into()),
        Err(error) => vec![Check {
            check: "connection",
            ok: false,
            message: error.to_string(),
        }],
    };
    Ok(Json(json!({"checks": checks})))
}

async fn shown(api: &Api, id: JiraInstanceId) -> Result<Json<Value>> {
    let state = api.services.store.jira_state(id).await?;
    let (since, why) = state.refused.unzip();
    Ok(Json(json!({
        "refused": since,
        "reason": why,
        "paused_until": state.paused_until,
        "reconciled": state.reconciled,
        "account": state.account,
    })))
}
