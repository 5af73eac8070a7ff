//! What of a product, or of one engagement, goes into which project of which JIRA.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tatami_auth::{Permission, Place};
use tatami_domain::{
    Engagement, EngagementId, Finding, JiraObject, JiraProject, OutboxWork, Product, ProductId,
};
use tatami_store::{Entity as _, JIRA_STAMP, Sight, Store};

use super::Instances;
use super::pushing::Pushing;
use crate::error::{ApiError, Problems, Result};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};
use crate::routes::records::{Kept, Record, add_also, add_kind};

/// Under which name the product is stored of which an engagement is.
const PRODUCT_OF: &str = "engagement__product";
/// What there is only one of in each place.
const PLACE: &str = "place";
/// So many findings go into one piece of work.
const PIECE: usize = 48;
/// Fields of JIRA's and their values, in so many bytes.
const JIRA_FIELDS: Kind = Kind::Json(20_000);
const OBJECTS: [&str; 3] = [
    "custom_fields",
    "close_transition_fields",
    "reopen_transition_fields",
];

/// Adds the routes.
pub fn add(routes: &mut Routes) {
    add_kind::<Projects>(routes);
    add_also::<Projects>(routes, "/api/v2/jira_product_configurations");
}

/// The kind of these records.
#[derive(Debug, Clone)]
pub struct Projects;

impl Kept for Projects {
    const KIND: &'static str = JiraProject::KIND;
    const WORD: &'static str = JiraProject::WORD;
    const PATH: &'static str = "/api/v2/jira_projects";
    const SCHEMA: &'static str = "JIRAProject";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("jira_instance", Kind::Ref(Target::Record(Instances::KIND))).nullable(),
        Field::new("project_key", Kind::Text(200)),
        Field::new("issue_template_dir", Kind::Text(255)).nullable(),
        Field::new("component", Kind::Text(200)),
        Field::new("custom_fields", JIRA_FIELDS).nullable(),
        Field::new("close_transition_fields", JIRA_FIELDS).nullable(),
        Field::new("reopen_transition_fields", JIRA_FIELDS).nullable(),
        Field::new("default_assignee", Kind::Text(200)).nullable(),
        Field::new("jira_labels", Kind::Text(200)).nullable(),
        Field::new("add_vulnerability_id_to_jira_label", Kind::Bool),
        Field::new("push_all_issues", Kind::Bool),
        Field::new("enable_engagement_epic_mapping", Kind::Bool),
        Field::new("epic_issue_type_name", Kind::Text(64)),
        Field::new("push_notes", Kind::Bool),
        Field::new("product_jira_sla_notification", Kind::Bool),
        Field::new("risk_acceptance_expiration_notification", Kind::Bool),
        Field::new("enabled", Kind::Bool),
        Field::new("product", Kind::Ref(Target::Product))
            .nullable()
            .fixed(),
        Field::new("engagement", Kind::Ref(Target::Engagement))
            .nullable()
            .fixed(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("jira_instance", How::Ids),
        Filter::of("product", How::Ids),
        Filter::of("engagement", How::Ids),
        Filter::of("component", How::Exact),
        Filter::of("project_key", How::Exact),
        Filter::of("push_all_issues", How::Bool),
        Filter::of("enable_engagement_epic_mapping", How::Bool),
        Filter::of("push_notes", How::Bool),
        Filter::of("enabled", How::Bool),
    ];
    const NAME: &'static str = "project_key";
    const STAMP: Option<&'static str> = Some(JIRA_STAMP);
    const VIEW: Permission = Permission::ViewProducts;
    const EDIT: Permission = Permission::EditProduct;

    fn defaults() -> Value {
        json!({
            "epic_issue_type_name": "Epic",
            "product_jira_sla_notification": true,
            "risk_acceptance_expiration_notification": true,
            "enabled": true,
        })
    }

    fn parent(of: &Record<Self>) -> Option<(&'static str, u64)> {
        let id = |field| of.field(field).as_u64();
        let product = id("product").map(|id| (Product::KIND, id));
        product.or_else(|| Some((Engagement::KIND, id("engagement")?)))
    }

    fn unique_name(of: &Record<Self>) -> Option<(u64, &str)> {
        Some((0, of.field(PLACE).as_str()?))
    }

    fn place(of: &Record<Self>) -> Place {
        let id = |field| of.field(field).as_u64();
        match (id("product"), id(PRODUCT_OF), id("engagement")) {
            (Some(product), ..) => Place::Product(ProductId(product)),
            (None, Some(product), Some(engagement)) => {
                Place::Engagement(ProductId(product), EngagementId(engagement))
            }
            _ => Place::Everywhere,
        }
    }

    /// Forms send an object as its text.
    fn amend(sent: &mut Object) {
        for name in OBJECTS {
            let Some(value) = sent.get_mut(name) else {
                continue;
            };
            let read = value
                .as_str()
                .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
            if let Some(object) = read {
                *value = Value::Object(object);
            }
        }
    }

    async fn complete(of: &mut Record<Self>, store: &Store) -> Result<()> {
        let id = |field| of.field(field).as_u64();
        match (id("product"), id("engagement")) {
            (Some(product), None) => of.set(PLACE, json!(format!("product {product}"))),
            (None, Some(id)) => {
                let found = store.get::<Engagement>(EngagementId(id)).await;
                let engagement = match found {
                    Err(error) if error.is_not_found() => {
                        let message = format!("Invalid pk \"{id}\": there is no such object.");
                        return Err(ApiError::field("engagement", message));
                    }
                    found => found?,
                };
                of.set(PRODUCT_OF, json!(engagement.product));
                of.set(PLACE, json!(format!("engagement {id}")));
            }
            _ => {
                let message = "Either product or engagement has to be set, and not both.";
                return Err(ApiError::field("non_field_errors", message));
            }
        }
        Ok(())
    }

    fn check(of: &Record<Self>) -> Result<()> {
        let mut problems = Problems::default();
        for name in OBJECTS {
            let value = of.field(name);
            if !value.is_null() && !value.is_object() {
                let message = "This is not a JSON object such as {\"customfield_10122\": \"x\"}.";
                problems.add(name, message);
            }
        }
        let key = of.field("project_key").as_str().unwrap_or_default();
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        if !key.chars().all(fits) {
            let message = "A project's key has letters, digits and _, such as SEC.";
            problems.add("project_key", message);
        }
        problems.into_result()
    }

    /// What findings there are goes into JIRA once all of them are to.
    async fn written(of: &Record<Self>, old: Option<&Record<Self>>, store: &Store) -> Result<()> {
        let pushes = |of: &Record<Self>| {
            let is = |name| of.field(name) == &json!(true);
            is("enabled") && is("push_all_issues")
        };
        let goes_where =
            |of: &Record<Self>| ["jira_instance", "project_key"].map(|name| of.field(name).clone());
        let changed = old.is_none_or(|old| !pushes(old) || goes_where(old) != goes_where(of));
        if pushes(of) && changed {
            push_all(store, of).await?;
        }
        Ok(())
    }
}

/// Asks that all findings of a place that may have issues get them.
async fn push_all(store: &Store, of: &Record<Projects>) -> Result<()> {
    let place = Projects::place(of);
    let Some(product) = place.product() else {
        return Ok(());
    };
    let pushing = Pushing::read(store).await?;
    let mut objects = Vec::new();
    let see = |finding: &Arc<Finding>| {
        let here = match place {
            Place::Engagement(_, engagement) => finding.engagement == engagement,
            _ => true,
        };
        if here && finding.jira.issue.is_none() && pushing.pushes_all(finding) {
            objects.push(JiraObject::Finding(finding.id));
        }
    };
    store.visit(Sight::Products(&[product]), see).await?;
    let work = objects.chunks(PIECE).map(|objects| OutboxWork::Jira {
        product,
        objects: objects.to_vec(),
    });
    Ok(store.add_to_outbox(work.collect()).await?)
}
