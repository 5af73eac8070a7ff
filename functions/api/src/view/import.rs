//! Imports as clients see them.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tatami_domain::{
    FindingId, FlagCounts, Import, ImportActions, ImportCounts, ImportError, ImportKind,
    ImportState, Severity, SeverityCounts,
};

use crate::fields::{Field, Kind, Target};

/// The fields of an import's record.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::answer("import_id", Kind::Ref(Target::Unknown)),
    Field::answer(
        "state",
        Kind::Choice(&["queued", "parsing", "processing", "done", "failed"]),
    ),
    Field::answer("type", Kind::Choice(&["import", "reimport", "replay"])),
    Field::answer("scan_type", Kind::Text(0)).nullable(),
    Field::answer("test", Kind::Ref(Target::Test)).nullable(),
    Field::answer("test_id", Kind::Ref(Target::Test)).nullable(),
    Field::answer("engagement_id", Kind::Ref(Target::Engagement)).nullable(),
    Field::answer("product_id", Kind::Ref(Target::Product)).nullable(),
    Field::answer("product_type_id", Kind::Ref(Target::ProductType)).nullable(),
    Field::answer("created", Kind::DateTime),
    Field::answer("finished", Kind::DateTime).nullable(),
    Field::answer("by", Kind::Ref(Target::User)).nullable(),
    Field::answer("bucket", Kind::Text(0)),
    Field::answer("key", Kind::Text(0)),
    Field::answer("size", Kind::Integer(0, i64::MAX)),
    Field::answer("file_name", Kind::Text(0)),
    Field::answer("options", Kind::Other("", false)),
    Field::answer("scan_date", Kind::Date).nullable(),
    Field::answer("parser_version", Kind::Text(0)).nullable(),
    Field::answer("tool_version", Kind::Text(0)).nullable(),
    Field::answer("settings", Kind::Other("", false)).nullable(),
    Field::answer("findings", Kind::Integer(0, i64::MAX)),
    Field::answer("below_minimum", Kind::Integer(0, i64::MAX)),
    Field::answer("counts", Kind::Other("", false)),
    Field::answer("warnings_total", Kind::Integer(0, i64::MAX)),
    Field::answer("warnings", Kind::Other("", true)),
    Field::answer("error", Kind::Other("", false)).nullable(),
    Field::answer("replay", Kind::Other("", false)).nullable(),
    Field::answer("statistics", Kind::Other("", false)),
    Field::answer("status_url", Kind::Text(0)),
    Field::answer("report_url", Kind::Text(0)),
    Field::answer("findings_url", Kind::Text(0)),
];

/// Where the record of an import is.
pub fn status_url(base: &str, import: &Import) -> String {
    format!("{base}/api/v2/imports/{}/", import.id)
}

/// The name of the raw report.
pub fn file_name(import: &Import) -> &str {
    import.key.rsplit('/').next().unwrap_or_default()
}

/// What an import may have done with a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Made it.
    Created,
    /// Closed it.
    Closed,
    /// Opened it again.
    Reactivated,
    /// Left it as it was.
    Untouched,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Created,
        Self::Closed,
        Self::Reactivated,
        Self::Untouched,
    ];
    /// The names, in the same order.
    pub const NAMES: &[&str] = &["created", "closed", "reactivated", "untouched"];
    /// DefectDojo's letters, in the same order.
    pub const LETTERS: &[&str] = &["N", "C", "R", "U"];

    /// Its name.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The findings that an import did this with.
    pub fn findings(self, actions: &ImportActions) -> impl Iterator<Item = FindingId> + '_ {
        let set = match self {
            Self::Created => &actions.created,
            Self::Closed => &actions.closed,
            Self::Reactivated => &actions.reactivated,
            Self::Untouched => &actions.untouched,
        };
        set.iter().filter(move |id| {
            // what something else of the report made, closed or opened again was not left as it was
            let others = [&actions.created, &actions.reactivated, &actions.closed];
            self != Self::Untouched || !others.iter().any(|set| set.contains(*id))
        })
    }

    /// How many they are.
    pub const fn count(self, counts: &ImportCounts) -> u64 {
        match self {
            Self::Created => counts.created,
            Self::Closed => counts.closed,
            Self::Reactivated => counts.reactivated,
            Self::Untouched => counts.untouched,
        }
    }
}

/// The record of an import.
pub fn record(base: &str, import: &Import) -> Value {
    let mut statistics = Map::new();
    if let Some(before) = &import.before {
        statistics.insert("before".into(), severities(before));
    }
    if let Some(after) = &import.after {
        statistics.insert("after".into(), severities(after));
    }
    let finished: Option<Timestamp> = import.finished;
    let url = status_url(base, import);
    let is_read = !import.parser_version.is_empty();
    json!({
        "id": import.id,
        "import_id": import.id,
        "state": import.state.name(),
        "type": import.options.kind,
        "scan_type": import.scan_type,
        "test": import.test,
        "test_id": import.test,
        "engagement_id": import.engagement,
        "product_id": import.product,
        "product_type_id": import.product_type,
        "created": import.created,
        "finished": finished,
        "by": import.by,
        "bucket": import.bucket,
        "key": import.key,
        "size": import.size,
        "file_name": file_name(import),
        "options": import.options,
        "scan_date": is_read.then_some(import.scan_date),
        "parser_version": is_read.then_some(&import.parser_version),
        "tool_version": import.tool_version,
        "settings": import.settings,
        "findings": import.findings,
        "below_minimum": import.below_minimum,
        "counts": import.counts,
        "warnings_total": import.warnings_total,
        "warnings": import.warnings,
        "error": import.error,
        "replay": import.replay,
        "statistics": statistics,
        "status_url": url,
        "report_url": format!("{url}report/"),
        "findings_url": format!("{url}findings/"),
    })
}

/// What import-scan and reimport-scan answer with once all is in. `delta`: what a re-import did.
pub fn imported(base: &str, import: &Import, delta: Option<&[SeverityCounts; 4]>) -> Value {
    let options = &import.options;
    let after = import.after.unwrap_or_default();
    let mut statistics = json!({"after": severities(&after)});
    if let Some([created, closed, reactivated, untouched]) = delta {
        statistics["before"] = severities(&import.before.unwrap_or_default());
        statistics["delta"] = json!({
            "created": severities(created),
            "closed": severities(closed),
            "reactivated": severities(reactivated),
            "untouched": severities(untouched),
        });
    }
    let mut answer = json!({
        "test": import.test,
        "test_id": import.test,
        "engagement_id": import.engagement,
        "product_id": import.product,
        "product_type_id": import.product_type,
        "scan_type": import.scan_type,
        "scan_date": options.scan_date,
        "minimum_severity": options.minimum_severity.unwrap_or(Severity::Info),
        "active": options.active,
        "verified": options.verified,
        "environment": options.environment.as_deref().unwrap_or("Development"),
        "test_title": options.test_title,
        "product_type_name": options.product_type_name,
        "product_name": options.product_name,
        "engagement_name": options.engagement_name,
        "auto_create_context": options.auto_create_context,
        "engagement_end_date": options.engagement_end_date,
        "source_code_management_uri": options.source_code_management_uri,
        "lead": options.lead,
        "version": options.version,
        "build_id": options.build_id,
        "branch_tag": options.branch_tag,
        "commit_hash": options.commit_hash,
        "api_scan_configuration": options.api_scan_configuration,
        "service": options.service,
        "tags": options.tags,
        "apply_tags_to_findings": options.apply_tags_to_findings,
        "close_old_findings": options.closes_old(),
        "close_old_findings_product_scope": options.close_old_findings_product_scope,
        "deduplication_on_engagement": options.deduplication_on_engagement,
        "group_by": options.group_by,
        "create_finding_groups_for_all_findings": options.groups_single_findings(),
        "deduplication_complete": true,
        "push_to_jira": options.push_to_jira,
        "pro": [],
        "statistics": statistics,
        "counts": import.counts,
        "warnings": import.warnings,
        "import_id": import.id,
        "status_url": status_url(base, import),
    });
    answer["apply_tags_to_endpoints"] = json!(options.apply_tags_to_endpoints);
    answer["deduplication_execution_mode"] = json!(options.deduplication_execution_mode);
    answer["endpoint_to_add"] = json!(options.endpoint_to_add);
    match options.kind {
        ImportKind::Import => answer["engagement"] = json!(import.engagement),
        ImportKind::Reimport | ImportKind::Replay => {
            answer["do_not_reactivate"] = json!(options.do_not_reactivate);
        }
    }
    if let Value::Object(fields) = &mut answer {
        // a field that wasn't sent isn't answered either
        fields.retain(|_, value| !value.is_null());
    }
    answer
}

/// The answer where the report was refused.
pub fn refused(base: &str, import: &Import) -> Value {
    debug_assert_eq!(import.state, ImportState::Failed);
    let text = match &import.error {
        Some(error) => sentence(error),
        None => "The import failed.".to_owned(),
    };
    json!({
        "file": [text],
        "message": text,
        "import_id": import.id,
        "status_url": status_url(base, import),
    })
}

/// An error with its place and what to do about it.
fn sentence(error: &ImportError) -> String {
    let mut text = error.message.clone();
    if let Some(line) = error.line {
        let _ = write!(text, " (line {line}");
        if let Some(column) = error.column {
            let _ = write!(text, ", column {column}");
        }
        text.push(')');
    }
    if let Some(hint) = &error.hint {
        text.push_str(": ");
        text.push_str(hint);
    }
    text
}

/// Numbers of findings by severity, as `statistics` has them.
pub fn severities(counts: &SeverityCounts) -> Value {
    let mut by_severity: Map<String, Value> = (Severity::ALL.iter())
        .map(|severity| {
            (
                severity.name().to_lowercase(),
                flags(&counts.0[severity.rank()]),
            )
        })
        .collect();
    by_severity.insert("total".into(), flags(&counts.total()));
    Value::Object(by_severity)
}

fn flags(counts: &FlagCounts) -> Value {
    json!({
        "active": counts.active,
        "verified": counts.verified,
        "duplicate": counts.duplicate,
        "false_p": counts.false_p,
        "out_of_scope": counts.out_of_scope,
        "is_mitigated": counts.is_mitigated,
        "risk_accepted": counts.risk_accepted,
        "total": counts.total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_and_what_to_do() {
        let error = ImportError {
            message: "the report ends too early".into(),
            line: Some(3),
            column: Some(7),
            hint: Some("upload it again".into()),
        };
        assert_eq!(
            sentence(&error),
            "the report ends too early (line 3, column 7): upload it again"
        );
    }

    #[test]
    fn what_came_back_was_not_left_as_it_was() {
        let set = |ids: &[u64]| ids.iter().copied().map(FindingId).collect();
        let actions = ImportActions {
            created: set(&[1]),
            reactivated: set(&[3]),
            closed: set(&[4]),
            untouched: set(&[1, 2, 3, 4]),
            ..ImportActions::default()
        };
        let ids =
            |action: Action| -> Vec<u64> { action.findings(&actions).map(|id| id.0).collect() };
        assert_eq!(Action::ALL.map(ids), [vec![1], vec![4], vec![3], vec![2]]);
    }

    #[test]
    fn records_have_the_fields_of_their_schema() {
        let record = record("http://t", &Import::default());
        let names: Vec<&str> = record
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut schema: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        schema.sort_unstable();
        assert_eq!(names, schema);
        assert_eq!(record["status_url"], "http://t/api/v2/imports/0/");
    }
}
