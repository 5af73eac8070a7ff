//! What findings that are written by hand begin with.

use serde_json::json;
use tatami_domain::Severity;

use super::{Kept, add_kind};
use crate::fields::{Field, Kind, Object, Target};
use crate::openapi::Routes;
use crate::routes::catalog::{Filter, How};

/// Adds their routes.
pub fn add(routes: &mut Routes) {
    add_kind::<FindingTemplate>(routes);
}

/// What a finding begins with.
#[derive(Debug, Clone)]
pub struct FindingTemplate;

impl Kept for FindingTemplate {
    const KIND: &'static str = "TEMPLATE";
    const WORD: &'static str = "finding template";
    const PATH: &'static str = "/api/v2/finding_templates";
    const SCHEMA: &'static str = "FindingTemplate";
    const FIELDS: &'static [Field] = &[
        Field::answer("id", Kind::Ref(Target::Unknown)),
        Field::new("title", Kind::Text(1000)).required(),
        Field::new("cwe", Kind::Integer(0, 2_147_483_647)).nullable(),
        Field::new("cvssv3", Kind::Text(117)).nullable(),
        Field::new("cvssv3_score", Kind::Number(0.0, 10.0)).nullable(),
        Field::new("cvssv4", Kind::Text(255)).nullable(),
        Field::new("cvssv4_score", Kind::Number(0.0, 10.0)).nullable(),
        Field::new("severity", Kind::Severity).nullable(),
        Field::new("description", Kind::Text(0)).nullable(),
        Field::new("mitigation", Kind::Text(0)).nullable(),
        Field::new("impact", Kind::Text(0)).nullable(),
        Field::new("references", Kind::Text(0)).nullable(),
        Field::new("fix_available", Kind::Bool).nullable(),
        Field::new("fix_version", Kind::Text(100)).nullable(),
        Field::new("planned_remediation_version", Kind::Text(99)).nullable(),
        Field::new("effort_for_fixing", Kind::Text(99)).nullable(),
        Field::new("steps_to_reproduce", Kind::Text(0)).nullable(),
        Field::new("severity_justification", Kind::Text(0)).nullable(),
        Field::new("component_name", Kind::Text(500)).nullable(),
        Field::new("component_version", Kind::Text(100)).nullable(),
        Field::new("notes", Kind::Text(0)).nullable(),
        Field::new("endpoints_text", Kind::Text(0)).nullable(),
        Field::new("tags", Kind::Texts),
        Field::new("vulnerability_ids", Kind::Texts),
        Field::answer("endpoints", Kind::Texts),
        Field::answer("numerical_severity", Kind::Text(4)).nullable(),
        Field::answer("last_used", Kind::DateTime).nullable(),
    ];
    const FILTERS: &'static [Filter] = &[
        Filter::of("id", How::Ids),
        Filter::of("title", How::Exact),
        Filter::of("severity", How::OneOf),
        Filter::of("description", How::Exact),
        Filter::of("mitigation", How::Exact),
        Filter::of("cwe", How::Ids),
        Filter::TAGS[0],
        Filter::TAGS[1],
        Filter::TAGS[2],
        Filter::TAGS[3],
        Filter::TAGS[4],
    ];
    const NAME: &'static str = "title";

    fn decorate(views: &mut [Object]) {
        for view in views {
            let severity = view["severity"]
                .as_str()
                .and_then(|s| s.parse::<Severity>().ok());
            let numerical = severity.map(Severity::numerical);
            let lines = view["endpoints_text"].as_str().unwrap_or_default().lines();
            let lines = lines.map(str::trim).filter(|line| !line.is_empty());
            let endpoints = json!(lines.collect::<Vec<_>>());
            view.insert("numerical_severity".into(), json!(numerical));
            view.insert("endpoints".into(), endpoints);
        }
    }
}
