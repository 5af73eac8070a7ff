//! Findings as clients see them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};
use tatami_blobs::{BlobError, Blobs};
use tatami_domain::{Exploitation, Finding, RequestResponse, Slas, TextRef, Texts, UserId};
use tatami_store::Store;
use tatami_threat_intel::Intel;

use crate::error::Result;
use crate::fields::{Field, Kind, Object, Target};
use crate::query::{day_of, today};
use crate::view::group::{GroupStub, Groups};

/// How many packs are read side by side.
const PARALLEL: usize = 8;
const SMALL: Kind = Kind::Integer(-2_147_483_648, 2_147_483_647);

/// The fields of a finding.
pub const FIELDS: &[Field] = &[
    Field::answer("id", Kind::Ref(Target::Unknown)),
    Field::new("title", Kind::Text(Finding::MAX_TITLE)).required(),
    Field::new("severity", Kind::Severity).required(),
    Field::new("description", Kind::Text(0)).required(),
    Field::new("test", Kind::Ref(Target::Test))
        .required()
        .fixed(),
    Field::new("found_by", Kind::Refs(Target::TestType)),
    Field::new("active", Kind::Bool),
    Field::new("verified", Kind::Bool),
    Field::new("false_p", Kind::Bool),
    Field::new("duplicate", Kind::Bool),
    Field::new("out_of_scope", Kind::Bool),
    Field::new("risk_accepted", Kind::Bool),
    Field::new("under_review", Kind::Bool),
    Field::new("under_defect_review", Kind::Bool),
    Field::new("is_mitigated", Kind::Bool),
    Field::new("mitigated", Kind::DateTime).nullable(),
    Field::new("mitigated_by", Kind::Ref(Target::User)).nullable(),
    Field::new("status", Kind::Text(20)),
    Field::new("date", Kind::Date),
    Field::new("cwe", Kind::Integer(0, 2_147_483_647)).nullable(),
    Field::new("cwes", Kind::Named("cwe")),
    Field::new("vulnerability_ids", Kind::Named("vulnerability_id")),
    Field::new("cvssv3", Kind::Text(117)).nullable(),
    Field::new("cvssv3_score", Kind::Number(0.0, 10.0)).nullable(),
    Field::new("cvssv4", Kind::Text(255)).nullable(),
    Field::new("cvssv4_score", Kind::Number(0.0, 10.0)).nullable(),
    Field::new("epss_score", Kind::Number(0.0, 1.0)).nullable(),
    Field::new("epss_percentile", Kind::Number(0.0, 1.0)).nullable(),
    Field::new("known_exploited", Kind::Bool),
    Field::new("ransomware_used", Kind::Bool),
    Field::new("kev_date", Kind::Date).nullable(),
    Field::new("mitigation", Kind::Text(0)).nullable(),
    Field::new("impact", Kind::Text(0)).nullable(),
    Field::new("steps_to_reproduce", Kind::Text(0)).nullable(),
    Field::new("severity_justification", Kind::Text(0)).nullable(),
    Field::new("references", Kind::Text(0)).nullable(),
    Field::new("fix_available", Kind::Bool).nullable(),
    Field::new("fix_version", Kind::Text(100)).nullable(),
    Field::new("file_path", Kind::Text(4000)).nullable(),
    Field::new("line", Kind::Integer(0, 2_147_483_647)).nullable(),
    Field::new("component_name", Kind::Text(500)).nullable(),
    Field::new("component_version", Kind::Text(100)).nullable(),
    Field::new("static_finding", Kind::Bool),
    Field::new("dynamic_finding", Kind::Bool),
    Field::new("unique_id_from_tool", Kind::Text(500)).nullable(),
    Field::new("vuln_id_from_tool", Kind::Text(500)).nullable(),
    Field::new("sast_source_object", Kind::Text(500)).nullable(),
    Field::new("sast_sink_object", Kind::Text(500)).nullable(),
    Field::new("sast_source_line", Kind::Integer(0, 2_147_483_647)).nullable(),
    Field::new("sast_source_file_path", Kind::Text(4000)).nullable(),
    Field::new("nb_occurences", Kind::Integer(0, 2_147_483_647)).nullable(),
    Field::new("publish_date", Kind::Date).nullable(),
    Field::new("service", Kind::Text(200)).nullable(),
    Field::new("planned_remediation_date", Kind::Date).nullable(),
    Field::new("planned_remediation_version", Kind::Text(99)).nullable(),
    Field::new("effort_for_fixing", Kind::Text(99)).nullable(),
    Field::new("reporter", Kind::Ref(Target::User)).nullable(),
    Field::new("sla_start_date", Kind::Date).nullable(),
    Field::new("tags", Kind::Texts),
    Field::answer("product", Kind::Ref(Target::Product)),
    Field::answer("engagement", Kind::Ref(Target::Engagement)),
    Field::answer("cve", Kind::Text(0)).nullable(),
    Field::new("numerical_severity", Kind::Text(4)),
    Field::answer("display_status", Kind::Text(0)),
    Field::answer("age", SMALL),
    Field::new("sla_expiration_date", Kind::Date).nullable(),
    Field::answer("sla_days_remaining", SMALL).nullable(),
    Field::answer("mitigated_within_sla", Kind::Bool).nullable(),
    Field::answer("hash_code", Kind::Text(64)).nullable(),
    Field::answer("duplicate_finding", Kind::Ref(Target::Finding)).nullable(),
    Field::answer("proposed_duplicate", Kind::Ref(Target::Finding)).nullable(),
    Field::answer("param", Kind::Text(0)).nullable(),
    Field::answer("payload", Kind::Text(0)).nullable(),
    Field::answer("scanner_confidence", SMALL).nullable(),
    Field::new("endpoints", Kind::Refs(Target::Unknown)),
    Field::answer("endpoint_urls", Kind::Texts),
    Field::answer("created", Kind::DateTime),
    Field::answer("updated", Kind::DateTime),
    Field::answer("last_status_update", Kind::DateTime).nullable(),
    Field::answer("last_reviewed", Kind::DateTime).nullable(),
    Field::answer("last_reviewed_by", Kind::Ref(Target::User)).nullable(),
    Field::new("review_requested_by", Kind::Ref(Target::User)).nullable(),
    Field::new("defect_review_requested_by", Kind::Ref(Target::User)).nullable(),
    Field::new("reviewers", Kind::Refs(Target::User)),
    Field::answer("sonarqube_issue", Kind::Ref(Target::Unknown)).nullable(),
    Field::new("thread_id", Kind::Integer(0, 2_147_483_647)),
    Field::new("url", Kind::Text(2000)).nullable(),
    Field::answer("jira_creation", Kind::DateTime).nullable(),
    Field::answer("jira_change", Kind::DateTime).nullable(),
    Field::answer("accepted_risks", Kind::Other("RiskAcceptance", true)),
    Field::answer("finding_groups", Kind::Other("FindingGroupStub", true)),
    Field::answer("finding_meta", Kind::Other("Metadata", true)),
    Field::answer("related_fields", Kind::Other("FindingRelatedFields", false)).nullable(),
    Field::answer("request_response", Kind::Other("", false)),
    Field::answer("files", Kind::Refs(Target::Unknown)),
    Field::answer("notes", Kind::Other("Note", true)),
    Field::new("push_to_jira", Kind::Bool),
];

/// What isn't in a finding but in the day, the settings and the daily files.
#[derive(Debug, Clone)]
pub struct Clock {
    /// Today.
    pub today: Date,
    /// The days that findings have.
    pub slas: Arc<Slas>,
    /// What is known of the exploitation of vulnerabilities.
    pub intel: Arc<Intel>,
}

impl Clock {
    /// Now, with the SLA and what is known as they are now.
    pub async fn now(store: &Store) -> Result<Self> {
        Ok(Self {
            today: today(),
            slas: store.slas().await?,
            intel: store.intel(),
        })
    }

    /// The day on which a finding's time stopped, or today.
    fn until(&self, finding: &Finding) -> Date {
        finding.mitigated.map_or(self.today, day_of)
    }

    /// What is known of its exploitation.
    pub fn exploitation(&self, finding: &Finding) -> Exploitation {
        self.intel.of(finding)
    }

    /// As much of it as its SLA asks for: nothing is looked up for one without tiers.
    pub fn exploitation_for_sla(&self, finding: &Finding) -> Exploitation {
        self.intel.for_sla(self.slas.of(finding.product), finding)
    }

    /// The last day inside the SLA.
    pub fn due(&self, finding: &Finding) -> Option<Date> {
        self.due_by(finding, &self.exploitation_for_sla(finding))
    }

    /// The same where its exploitation has been looked up.
    pub fn due_by(&self, finding: &Finding, exploitation: &Exploitation) -> Option<Date> {
        self.slas.of(finding.product).due(finding, exploitation)
    }

    /// Days until then.
    pub fn days_remaining(&self, finding: &Finding) -> Option<i64> {
        self.days_remaining_by(finding, &self.exploitation_for_sla(finding))
    }

    fn days_remaining_by(&self, finding: &Finding, exploitation: &Exploitation) -> Option<i64> {
        let sla = self.slas.of(finding.product);
        sla.days_remaining(finding, exploitation, self.until(finding))
    }

    /// Was it mitigated by the due day? `None` where it isn't, or has none.
    pub fn mitigated_within_sla(&self, finding: &Finding) -> Option<bool> {
        finding.mitigated?;
        mitigated_by_day(finding, self.due(finding)?)
    }

    fn age(&self, finding: &Finding) -> i64 {
        let span = finding.date.until(self.until(finding));
        span.map_or(0, |span| i64::from(span.get_days())).max(0)
    }
}

fn mitigated_by_day(finding: &Finding, due: Date) -> Option<bool> {
    Some(day_of(finding.mitigated?) <= due)
}

#[derive(Serialize)]
struct VulnerabilityId<'a> {
    vulnerability_id: &'a str,
}

#[derive(Serialize)]
struct Cwe {
    cwe: String,
}

#[derive(Serialize)]
struct Requests<'a> {
    req_resp: Vec<&'a RequestResponse>,
}

/// A finding as clients see it, borrowed from the stored one.
#[derive(Serialize)]
pub struct FindingView<'a> {
    id: u64,
    title: &'a str,
    severity: &'static str,
    numerical_severity: &'static str,
    description: &'a str,
    test: u64,
    engagement: u64,
    product: u64,
    found_by: [u64; 1],
    active: bool,
    verified: bool,
    false_p: bool,
    duplicate: bool,
    out_of_scope: bool,
    risk_accepted: bool,
    under_review: bool,
    under_defect_review: bool,
    is_mitigated: bool,
    mitigated: Option<Timestamp>,
    mitigated_by: Option<u64>,
    status: &'static str,
    display_status: String,
    date: Date,
    age: i64,
    sla_start_date: Option<Date>,
    sla_expiration_date: Option<Date>,
    sla_days_remaining: Option<i64>,
    mitigated_within_sla: Option<bool>,
    cwe: u32,
    cwes: Vec<Cwe>,
    vulnerability_ids: Vec<VulnerabilityId<'a>>,
    cve: Option<&'a str>,
    cvssv3: Option<&'a str>,
    cvssv3_score: Option<f64>,
    cvssv4: Option<&'a str>,
    cvssv4_score: Option<f64>,
    epss_score: Option<f64>,
    epss_percentile: Option<f64>,
    known_exploited: bool,
    ransomware_used: bool,
    kev_date: Option<Date>,
    mitigation: Option<&'a str>,
    impact: Option<&'a str>,
    steps_to_reproduce: Option<&'a str>,
    severity_justification: Option<&'a str>,
    references: Option<&'a str>,
    fix_available: Option<bool>,
    fix_version: Option<&'a str>,
    file_path: Option<&'a str>,
    line: Option<u64>,
    component_name: Option<&'a str>,
    component_version: Option<&'a str>,
    static_finding: bool,
    dynamic_finding: bool,
    unique_id_from_tool: Option<&'a str>,
    vuln_id_from_tool: Option<&'a str>,
    sast_source_object: Option<&'a str>,
    sast_sink_object: Option<&'a str>,
    sast_source_line: Option<u64>,
    sast_source_file_path: Option<&'a str>,
    nb_occurences: Option<u32>,
    publish_date: Option<Date>,
    service: Option<&'a str>,
    planned_remediation_date: Option<Date>,
    planned_remediation_version: Option<&'a str>,
    effort_for_fixing: Option<&'a str>,
    reporter: Option<u64>,
    tags: &'a [String],
    hash_code: Option<&'a str>,
    duplicate_finding: Option<u64>,
    proposed_duplicate: Option<u64>,
    param: Option<&'a str>,
    payload: Option<&'a str>,
    scanner_confidence: Option<u32>,
    endpoints: Vec<u64>,
    endpoint_urls: &'a [String],
    created: Timestamp,
    updated: Timestamp,
    last_status_update: Option<Timestamp>,
    last_reviewed: Option<Timestamp>,
    last_reviewed_by: Option<u64>,
    review_requested_by: Option<u64>,
    defect_review_requested_by: Option<u64>,
    reviewers: &'a [UserId],
    sonarqube_issue: Option<u64>,
    thread_id: u64,
    url: Option<&'a str>,
    jira_creation: Option<Timestamp>,
    jira_change: Option<Timestamp>,
    accepted_risks: Vec<Object>,
    finding_groups: Vec<GroupStub<'a>>,
    finding_meta: Vec<Value>,
    related_fields: Option<Value>,
    request_response: Requests<'a>,
    files: Vec<u64>,
    notes: Vec<Value>,
    push_to_jira: bool,
}

impl<'a> FindingView<'a> {
    /// The view of a finding with its texts; its notes stay out.
    #[allow(
        clippy::too_many_lines,
        reason = "a line for each field, and nothing else"
    )]
    pub fn new(finding: &'a Finding, texts: &'a Texts, clock: &Clock) -> Self {
        let f = finding;
        let flags = f.flags;
        let exploitation = clock.exploitation(f);
        let due = clock.due_by(f, &exploitation);
        let cwes = std::iter::once(&f.cwe)
            .chain(&f.extra_cwes)
            .filter(|cwe| **cwe > 0);
        Self {
            id: f.id.0,
            title: &f.title,
            severity: f.severity.name(),
            numerical_severity: f.severity.numerical(),
            description: &texts.description,
            test: f.test.0,
            engagement: f.engagement.0,
            product: f.product.0,
            found_by: [f.test_type.0],
            active: flags.active,
            verified: flags.verified,
            false_p: flags.false_p,
            duplicate: flags.duplicate,
            out_of_scope: flags.out_of_scope,
            risk_accepted: flags.risk_accepted,
            under_review: flags.under_review,
            under_defect_review: flags.under_defect_review,
            is_mitigated: flags.is_mitigated,
            mitigated: f.mitigated,
            mitigated_by: f.mitigated_by.map(u64::from),
            status: f.short_status().name(),
            display_status: flags.display(),
            date: f.date,
            age: clock.age(f),
            sla_start_date: f.sla_start_date,
            sla_expiration_date: due,
            sla_days_remaining: clock.days_remaining_by(f, &exploitation),
            mitigated_within_sla: due.and_then(|due| mitigated_by_day(f, due)),
            cwe: f.cwe,
            cwes: cwes
                .map(|cwe| Cwe {
                    cwe: format!("CWE-{cwe}"),
                })
                .collect(),
            vulnerability_ids: (f.vulnerability_ids.iter())
                .map(|id| VulnerabilityId {
                    vulnerability_id: id,
                })
                .collect(),
            cve: f.vulnerability_ids.first().map(String::as_str),
            cvssv3: f.cvssv3.as_deref(),
            cvssv3_score: f.cvssv3_score,
            cvssv4: f.cvssv4.as_deref(),
            cvssv4_score: f.cvssv4_score,
            epss_score: exploitation.epss_score,
            epss_percentile: exploitation.epss_percentile,
            known_exploited: exploitation.known_exploited,
            ransomware_used: exploitation.ransomware_used,
            kev_date: exploitation.kev_date,
            mitigation: texts.mitigation.as_deref(),
            impact: texts.impact.as_deref(),
            steps_to_reproduce: texts.steps_to_reproduce.as_deref(),
            severity_justification: texts.severity_justification.as_deref(),
            references: texts.references.as_deref(),
            fix_available: f.fix_available,
            fix_version: f.fix_version.as_deref(),
            file_path: f.file_path.as_deref(),
            line: f.line,
            component_name: f.component_name.as_deref(),
            component_version: f.component_version.as_deref(),
            static_finding: f.static_finding,
            dynamic_finding: f.dynamic_finding,
            unique_id_from_tool: f.unique_id_from_tool.as_deref(),
            vuln_id_from_tool: f.vuln_id_from_tool.as_deref(),
            sast_source_object: f.sast_source_object.as_deref(),
            sast_sink_object: f.sast_sink_object.as_deref(),
            sast_source_line: f.sast_source_line,
            sast_source_file_path: f.sast_source_file_path.as_deref(),
            nb_occurences: f.nb_occurences,
            publish_date: f.publish_date,
            service: f.service.as_deref(),
            planned_remediation_date: f.planned_remediation_date,
            planned_remediation_version: f.planned_remediation_version.as_deref(),
            effort_for_fixing: f.effort_for_fixing.as_deref(),
            reporter: f.reporter.map(u64::from),
            tags: &f.tags,
            hash_code: Some(f.hash_code.as_str()).filter(|hash| !hash.is_empty()),
            duplicate_finding: f.duplicate_finding.map(u64::from),
            proposed_duplicate: f.proposed_duplicate.map(u64::from),
            param: f.param.as_deref(),
            payload: texts.payload.as_deref(),
            scanner_confidence: f.scanner_confidence,
            endpoints: Vec::new(),
            endpoint_urls: f.all_endpoints(texts),
            created: f.created,
            updated: f.last_status_update.unwrap_or(f.created),
            last_status_update: f.last_status_update,
            last_reviewed: f.last_reviewed,
            last_reviewed_by: f.last_reviewed_by.map(u64::from),
            review_requested_by: f.review_requested_by.map(u64::from),
            defect_review_requested_by: f.defect_review_requested_by.map(u64::from),
            reviewers: &f.reviewers,
            sonarqube_issue: None,
            thread_id: f.thread_id.into(),
            url: f.url.as_deref(),
            jira_creation: None,
            jira_change: None,
            accepted_risks: Vec::new(),
            finding_groups: Vec::new(),
            finding_meta: Vec::new(),
            related_fields: None,
            request_response: Requests {
                // where one was deleted, its place is left
                req_resp: (texts.requests.iter())
                    .filter(|pair| !pair.request.is_empty() || !pair.response.is_empty())
                    .collect(),
            },
            files: Vec::new(),
            notes: Vec::new(),
            push_to_jira: f.jira.push,
        }
    }

    /// With its group, its endpoints, its issue in JIRA and the risk acceptance that it's under.
    pub fn with_group(mut self, finding: &Finding, groups: &'a Groups) -> Self {
        self.endpoints = groups.endpoints_of(finding);
        self.accepted_risks = groups.acceptance_of(finding).into_iter().collect();
        self.finding_groups = groups
            .of(finding)
            .map(|group| GroupStub::new(group, groups.issues()))
            .into_iter()
            .collect();
        if let Some(issue) = groups.issues().get(finding.jira.issue) {
            self.jira_creation = Some(issue.created);
            self.jira_change = issue.changed;
        }
        self
    }

    /// With what it belongs to.
    pub fn with_related(self, related: Option<Value>) -> Self {
        Self {
            related_fields: related,
            ..self
        }
    }

    /// With its metadata, its notes and the ids of its files.
    pub fn with_attached(self, meta: Vec<Value>, notes: Vec<Value>, files: Vec<u64>) -> Self {
        Self {
            finding_meta: meta,
            files,
            notes,
            ..self
        }
    }
}

/// Some packs of texts, each read once.
#[derive(Default)]
pub struct Packs(HashMap<String, Arc<Vec<Texts>>>);

static NO_TEXTS: LazyLock<Texts> = LazyLock::new(Texts::default);

impl Packs {
    /// The packs in which the texts of these findings lie.
    pub async fn load(blobs: &Blobs, findings: impl IntoIterator<Item = &Finding>) -> Result<Self> {
        let mut keys: Vec<&str> = (findings.into_iter())
            .filter_map(|finding| Some(finding.texts.as_ref()?.0.as_str()))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        // owned, so that the stream holds no borrow of the caller's
        let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
        let packs = futures::stream::iter(keys)
            .map(|key| async move {
                match blobs.pack(&key).await {
                    Ok(pack) => Ok(Some((key, pack))),
                    // One lost pack must not hide all the other findings.
                    Err(error @ (BlobError::NotFound { .. } | BlobError::Damaged { .. })) => {
                        tracing::error!(key, %error, "texts of findings are lost");
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(PARALLEL)
            .try_filter_map(|pack| std::future::ready(Ok(pack)));
        Ok(Self(packs.try_collect().await?))
    }

    /// The texts of a finding.
    pub fn of(&self, finding: &Finding) -> &Texts {
        let texts = finding.texts.as_ref().and_then(|TextRef(key, n)| {
            let pack = self.0.get(key)?;
            pack.get(usize::try_from(*n).ok()?)
        });
        texts.unwrap_or(&NO_TEXTS)
    }

    /// All endpoints of a finding, as far as its pack is among these.
    pub fn endpoints_of<'a>(&'a self, finding: &'a Finding) -> &'a [String] {
        finding.all_endpoints(self.of(finding))
    }
}

/// What `close` answers with: the finding, and what was said.
pub fn closed(finding: &Finding, note: &str, note_type: Option<u64>) -> Value {
    json!({
        "is_mitigated": finding.flags.is_mitigated,
        "mitigated": finding.mitigated,
        "mitigated_by": finding.mitigated_by,
        "false_p": finding.flags.false_p,
        "out_of_scope": finding.flags.out_of_scope,
        "duplicate": finding.flags.duplicate,
        "note": note,
        "note_type": note_type,
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tatami_domain::{FindingId, Flags, Severity, TestTypeId};

    use super::*;

    fn clock() -> Clock {
        Clock {
            today: date(2026, 3, 31),
            slas: Arc::default(),
            intel: Arc::default(),
        }
    }

    fn finding() -> Finding {
        Finding {
            id: FindingId(1030),
            title: "SQL injection".into(),
            severity: Severity::High,
            flags: Flags::OPEN,
            cwe: 89,
            vulnerability_ids: vec!["CVE-2026-1".into()],
            date: date(2026, 3, 1),
            test_type: TestTypeId(4),
            ..Finding::default()
        }
    }

    #[test]
    fn views_have_the_fields_of_their_schema() {
        let finding = finding();
        let texts = Texts::default();
        let view = serde_json::to_value(FindingView::new(&finding, &texts, &clock())).unwrap();
        let names: Vec<&str> = view
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut schema: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        schema.sort_unstable();
        assert_eq!(names, schema);
    }

    #[test]
    fn what_follows_from_the_day_is_joined_when_read() {
        let mut finding = finding();
        let texts = Texts::default();
        let view = serde_json::to_value(FindingView::new(&finding, &texts, &clock())).unwrap();
        assert_eq!(view["age"], 30);
        assert_eq!(view["sla_expiration_date"], "2026-03-31");
        assert_eq!(view["sla_days_remaining"], 0);
        assert_eq!(view["found_by"], json!([4]));
        assert_eq!(
            view["vulnerability_ids"],
            json!([{"vulnerability_id": "CVE-2026-1"}])
        );
        assert_eq!(view["cwes"], json!([{"cwe": "CWE-89"}]));
        assert_eq!(view["status"], "Open");
        assert_eq!(view["display_status"], "Active");
        finding.mitigated = Some("2026-03-11T09:00:00Z".parse().unwrap());
        let view = serde_json::to_value(FindingView::new(&finding, &texts, &clock())).unwrap();
        assert_eq!(
            (&view["age"], &view["sla_days_remaining"]),
            (&json!(10), &json!(20))
        );
    }
}
