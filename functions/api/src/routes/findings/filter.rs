//! Which findings a list shows: parameters as functions over the stored finding.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use tatami_domain::{Exploitation, Finding, JiraIssue, JiraIssueId, Severity, ShortStatus, Texts};
use tatami_threat_intel::Intel;

use crate::error::{ApiError, Result};
use crate::fields::{Field, Kind, Target};
use crate::query::{Query, day_of};
use crate::view::finding::Clock;

/// How a parameter looks at a finding, or at something that belongs to it.
enum How<T = Finding> {
    Bool(fn(&T) -> bool),
    /// A boolean that may be unknown; unknown is neither.
    MaybeBool(fn(&T) -> Option<bool>),
    /// Holds the text, whatever the case.
    Contains(fn(&T) -> Option<&str>),
    /// Is the text, whatever the case.
    Exact(fn(&T) -> Option<&str>),
    /// Is one of several numbers.
    Ids(fn(&T) -> Option<u64>),
    /// Has one of several ids.
    AnyId(fn(&T, u64) -> bool),
    /// Is the number.
    Number(fn(&T) -> Option<f64>),
    /// On a day, or in a numbered span.
    Day(fn(&T) -> Option<Date>),
    OnDay(fn(&T) -> Option<Date>),
    Before(fn(&T) -> Option<Date>),
    After(fn(&T) -> Option<Date>),
    AtLeast(fn(&T) -> Option<f64>),
    AtMost(fn(&T) -> Option<f64>),
}

fn day(time: Option<Timestamp>) -> Option<Date> {
    time.map(day_of)
}

/// The parameters that need no more than the finding. `mitigated` and the like are days.
const FILTERS: &[(&str, How)] = &[
    ("active", How::Bool(|f| f.flags.active)),
    ("verified", How::Bool(|f| f.flags.verified)),
    ("false_p", How::Bool(|f| f.flags.false_p)),
    ("duplicate", How::Bool(|f| f.flags.duplicate)),
    ("out_of_scope", How::Bool(|f| f.flags.out_of_scope)),
    ("risk_accepted", How::Bool(|f| f.flags.risk_accepted)),
    ("under_review", How::Bool(|f| f.flags.under_review)),
    (
        "under_defect_review",
        How::Bool(|f| f.flags.under_defect_review),
    ),
    ("is_mitigated", How::Bool(|f| f.flags.is_mitigated)),
    ("static_finding", How::Bool(|f| f.static_finding)),
    ("dynamic_finding", How::Bool(|f| f.dynamic_finding)),
    ("has_finding_group", How::Bool(|f| f.group.is_some())),
    ("has_tags", How::Bool(|f| !f.tags.is_empty())),
    ("has_jira", How::Bool(|f| f.jira.issue.is_some())),
    ("fix_available", How::MaybeBool(|f| f.fix_available)),
    ("title", How::Contains(|f| Some(&f.title))),
    ("exact_title", How::Exact(|f| Some(&f.title))),
    ("file_path", How::Contains(|f| f.file_path.as_deref())),
    (
        "component_name",
        How::Contains(|f| f.component_name.as_deref()),
    ),
    (
        "component_version",
        How::Contains(|f| f.component_version.as_deref()),
    ),
    ("fix_version", How::Contains(|f| f.fix_version.as_deref())),
    ("service", How::Contains(|f| f.service.as_deref())),
    ("param", How::Contains(|f| f.param.as_deref())),
    (
        "unique_id_from_tool",
        How::Contains(|f| f.unique_id_from_tool.as_deref()),
    ),
    (
        "vuln_id_from_tool",
        How::Contains(|f| f.vuln_id_from_tool.as_deref()),
    ),
    (
        "sast_source_object",
        How::Contains(|f| f.sast_source_object.as_deref()),
    ),
    (
        "sast_source_file_path",
        How::Contains(|f| f.sast_source_file_path.as_deref()),
    ),
    (
        "sast_sink_object",
        How::Contains(|f| f.sast_sink_object.as_deref()),
    ),
    (
        "effort_for_fixing",
        How::Contains(|f| f.effort_for_fixing.as_deref()),
    ),
    (
        "planned_remediation_version",
        How::Contains(|f| f.planned_remediation_version.as_deref()),
    ),
    ("cvssv3", How::Contains(|f| f.cvssv3.as_deref())),
    ("cvssv4", How::Contains(|f| f.cvssv4.as_deref())),
    ("hash_code", How::Contains(|f| Some(&f.hash_code))),
    (
        "numerical_severity",
        How::Exact(|f| Some(f.severity.numerical())),
    ),
    ("id", How::Ids(|f| Some(f.id.0))),
    ("test", How::Ids(|f| Some(f.test.0))),
    ("test__engagement", How::Ids(|f| Some(f.engagement.0))),
    ("engagement", How::Ids(|f| Some(f.engagement.0))),
    ("test__engagement__product", How::Ids(|f| Some(f.product.0))),
    ("product", How::Ids(|f| Some(f.product.0))),
    ("test__test_type", How::Ids(|f| Some(f.test_type.0))),
    ("found_by", How::Ids(|f| Some(f.test_type.0))),
    ("reporter", How::Ids(|f| f.reporter.map(u64::from))),
    ("mitigated_by", How::Ids(|f| f.mitigated_by.map(u64::from))),
    (
        "duplicate_finding",
        How::Ids(|f| f.duplicate_finding.map(u64::from)),
    ),
    (
        "proposed_duplicate",
        How::Ids(|f| f.proposed_duplicate.map(u64::from)),
    ),
    (
        "has_proposed_duplicate",
        How::Bool(|f| f.proposed_duplicate.is_some()),
    ),
    (
        "nb_occurences",
        How::Ids(|f| f.nb_occurences.map(u64::from)),
    ),
    ("sast_source_line", How::Ids(|f| f.sast_source_line)),
    (
        "scanner_confidence",
        How::Ids(|f| f.scanner_confidence.map(u64::from)),
    ),
    ("finding_group", How::Ids(|f| f.group.map(u64::from))),
    ("risk_acceptance", How::Ids(|f| f.acceptance.map(u64::from))),
    (
        "endpoints",
        How::AnyId(|f, id| id > 0 && f.endpoint_ids.contains(&id.into())),
    ),
    (
        "reviewers",
        How::AnyId(|f, id| f.reviewers.contains(&id.into())),
    ),
    (
        "review_requested_by",
        How::Ids(|f| f.review_requested_by.map(u64::from)),
    ),
    (
        "defect_review_requested_by",
        How::Ids(|f| f.defect_review_requested_by.map(u64::from)),
    ),
    (
        "last_reviewed_by",
        How::Ids(|f| f.last_reviewed_by.map(u64::from)),
    ),
    ("last_reviewed", How::Day(|f| day(f.last_reviewed))),
    (
        "updated",
        How::Day(|f| Some(day_of(f.last_status_update.unwrap_or(f.created)))),
    ),
    ("cvssv3_score", How::Number(|f| f.cvssv3_score)),
    ("cvssv4_score", How::Number(|f| f.cvssv4_score)),
    ("date", How::Day(|f| Some(f.date))),
    ("created", How::Day(|f| day(Some(f.created)))),
    ("mitigated", How::Day(|f| day(f.mitigated))),
    (
        "last_status_update",
        How::Day(|f| day(f.last_status_update)),
    ),
    ("publish_date", How::Day(|f| f.publish_date)),
    (
        "planned_remediation_date",
        How::Day(|f| f.planned_remediation_date),
    ),
    ("sla_start_date", How::Day(|f| f.sla_start_date)),
    ("discovered_on", How::OnDay(|f| Some(f.date))),
    ("discovered_before", How::Before(|f| Some(f.date))),
    ("discovered_after", How::After(|f| Some(f.date))),
    ("mitigated_on", How::OnDay(|f| day(f.mitigated))),
    ("mitigated_before", How::Before(|f| day(f.mitigated))),
    ("mitigated_after", How::After(|f| day(f.mitigated))),
];

/// Those that need what is known of a finding's exploitation, which is looked up only then.
const EXPLOITATION: &[(&str, How<Exploitation>)] = &[
    ("known_exploited", How::Bool(|e| e.known_exploited)),
    ("ransomware_used", How::Bool(|e| e.ransomware_used)),
    ("kev_date", How::Day(|e| e.kev_date)),
    ("epss_score_min", How::AtLeast(|e| e.epss_score)),
    ("epss_score_max", How::AtMost(|e| e.epss_score)),
    ("epss_percentile_min", How::AtLeast(|e| e.epss_percentile)),
    ("epss_percentile_max", How::AtMost(|e| e.epss_percentile)),
];

/// Those that look into the long texts, which are read only then.
const TEXTS: &[(&str, How<Texts>)] = &[
    ("description", How::Contains(|t| Some(&t.description))),
    ("mitigation", How::Contains(|t| t.mitigation.as_deref())),
    ("impact", How::Contains(|t| t.impact.as_deref())),
    ("references", How::Contains(|t| t.references.as_deref())),
    (
        "steps_to_reproduce",
        How::Contains(|t| t.steps_to_reproduce.as_deref()),
    ),
    (
        "severity_justification",
        How::Contains(|t| t.severity_justification.as_deref()),
    ),
    ("payload", How::Contains(|t| t.payload.as_deref())),
];

/// Those that need the issues in JIRA, which are read only then.
const ISSUES: &[(&str, How<JiraIssue>)] = &[
    ("jira_creation", How::Day(|i| day(Some(i.created)))),
    ("jira_change", How::Day(|i| day(i.changed))),
];

/// The parameters that need more.
const OTHERS: &[Field] = &[
    Field::new("severity", Kind::Texts),
    Field::new("status", Kind::Texts),
    Field::new("cwe", Kind::Refs(Target::Unknown)),
    Field::new("vulnerability_id", Kind::Text(0)),
    Field::new("outside_of_sla", Kind::Bool),
    Field::new("mitigated_within_sla", Kind::Bool),
    Field::new("sla_expiration_date", Kind::Date),
    Field::new("tag", Kind::Text(0)),
    Field::new("tags", Kind::Texts),
    Field::new("tags__and", Kind::Texts),
    Field::new("not_tag", Kind::Text(0)),
    Field::new("not_tags", Kind::Texts),
    Field::new("product_name", Kind::Text(0)),
    Field::new("product_name_contains", Kind::Text(0)),
    Field::new("product_lifecycle", Kind::Text(0)),
    Field::new("inherited_tags", Kind::Texts),
    Field::new("test__tags", Kind::Texts),
    Field::new("test__tags__and", Kind::Texts),
    Field::new("not_test__tags", Kind::Texts),
    Field::new("test__engagement__tags", Kind::Texts),
    Field::new("test__engagement__tags__and", Kind::Texts),
    Field::new("not_test__engagement__tags", Kind::Texts),
    Field::new("test__engagement__product__tags", Kind::Texts),
    Field::new("test__engagement__product__tags__and", Kind::Texts),
    Field::new("not_test__engagement__product__tags", Kind::Texts),
    Field::new("mitigation_available", Kind::Bool),
    Field::new(
        "test__engagement__product__prod_type",
        Kind::Refs(Target::ProductType),
    ),
];

/// All parameters, for the description of the list.
pub fn parameters() -> impl Iterator<Item = Field> {
    let of_finding = FILTERS.iter().map(described);
    let of_exploitation = EXPLOITATION.iter().map(described);
    let of_texts = TEXTS.iter().map(described);
    let of_issues = ISSUES.iter().map(described);
    let known = of_finding.chain(of_exploitation).chain(of_texts);
    let known = known.chain(of_issues);
    known.chain(OTHERS.iter().copied())
}

fn described<T>((name, how): &(&'static str, How<T>)) -> Field {
    let kind = match how {
        How::Bool(_) | How::MaybeBool(_) => Kind::Bool,
        How::Contains(_) | How::Exact(_) | How::Day(_) => Kind::Text(0),
        How::Ids(_) | How::AnyId(_) => Kind::Refs(Target::Unknown),
        How::Number(_) => Kind::Number(0.0, 10.0),
        How::OnDay(_) | How::Before(_) | How::After(_) => Kind::Date,
        How::AtLeast(_) | How::AtMost(_) => Kind::Number(0.0, 1.0),
    };
    Field::new(name, kind)
}

/// The schema of a filter in a body, in the place of ids.
pub fn schema() -> Value {
    let properties: serde_json::Map<String, Value> = parameters()
        .map(|field| (field.name.to_owned(), field.schema()))
        .collect();
    json!({
        "type": "object", "properties": properties,
        "description": "In the place of ids: the parameters of the list of findings",
    })
}

/// What a query asks of the tags of something that findings belong to.
pub struct TagsOf {
    any: Vec<String>,
    all: Vec<String>,
    none: Vec<String>,
}

impl TagsOf {
    /// Of what parameters have under this name; none where nothing is asked.
    pub fn read(query: &Query, name: &str) -> Option<Self> {
        let wish = Self {
            any: owned(query.all(&format!("{name}__tags"))),
            all: owned(query.all(&format!("{name}__tags__and"))),
            none: owned(query.all(&format!("not_{name}__tags"))),
        };
        let asks = [&wish.any, &wish.all, &wish.none];
        asks.iter().any(|tags| !tags.is_empty()).then_some(wish)
    }

    /// Are these tags so?
    pub fn pass(&self, tags: &[String]) -> bool {
        let has = |tag: &String| tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
        (self.any.is_empty() || self.any.iter().any(has))
            && self.all.iter().all(has)
            && !self.none.iter().any(has)
    }
}

type Test<T = Finding> = Box<dyn Fn(&T) -> bool + Send + Sync>;

/// What a query asks of findings.
#[derive(Default)]
pub struct Filters {
    tests: Vec<Test>,
    exploitation_tests: Vec<Test<Exploitation>>,
    text_tests: Vec<Test<Texts>>,
    intel: Arc<Intel>,
}

impl Filters {
    /// Reads a query. The names and types of products are the list's own to look up.
    pub fn read(query: &Query, clock: &Clock) -> Result<Self> {
        let mut filters = Self {
            tests: tests(FILTERS, query, clock.today)?,
            exploitation_tests: tests(EXPLOITATION, query, clock.today)?,
            text_tests: tests(TEXTS, query, clock.today)?,
            intel: Arc::clone(&clock.intel),
        };
        filters.add_others(query, clock)?;
        Ok(filters)
    }

    /// Does a query ask for anything in the issues in JIRA?
    pub fn want_issues(query: &Query) -> bool {
        ISSUES.iter().any(|(name, _)| query.get(name).is_some())
    }

    /// Adds what a query asks of these issues.
    pub fn add_issues(&mut self, query: &Query, issues: &[JiraIssue], today: Date) -> Result<()> {
        let tests = tests(ISSUES, query, today)?;
        if tests.is_empty() {
            return Ok(());
        }
        let wanted = issues.iter().filter(|i| tests.iter().all(|test| test(i)));
        let wanted: HashSet<JiraIssueId> = wanted.map(|issue| issue.id).collect();
        self.test(move |f| f.jira.issue.is_some_and(|issue| wanted.contains(&issue)));
        Ok(())
    }

    /// Does a finding pass, as far as can be told without its texts?
    pub fn pass(&self, finding: &Finding) -> bool {
        self.tests.iter().all(|test| test(finding)) && self.pass_exploitation(finding)
    }

    fn pass_exploitation(&self, finding: &Finding) -> bool {
        if self.exploitation_tests.is_empty() {
            return true;
        }
        let known = self.intel.of(finding);
        self.exploitation_tests.iter().all(|test| test(&known))
    }

    /// Does the query ask for anything in the long texts?
    pub fn want_texts(&self) -> bool {
        !self.text_tests.is_empty()
    }

    /// Do the long texts pass?
    pub fn pass_texts(&self, texts: &Texts) -> bool {
        self.text_tests.iter().all(|test| test(texts))
    }

    fn test(&mut self, test: impl Fn(&Finding) -> bool + Send + Sync + 'static) {
        self.tests.push(Box::new(test));
    }

    fn add_others(&mut self, query: &Query, clock: &Clock) -> Result<()> {
        let severities: Vec<Severity> = (query.all("severity").into_iter())
            .map(str::parse)
            .collect::<Result<_, tatami_domain::UnknownSeverity>>()
            .map_err(|error| ApiError::field("severity", error.to_string()))?;
        if !severities.is_empty() {
            self.test(move |f| severities.contains(&f.severity));
        }
        let status = |text: &str| {
            ShortStatus::parse(text).ok_or_else(|| ApiError::field("status", unknown_status(text)))
        };
        let wanted: Vec<ShortStatus> = query
            .all("status")
            .into_iter()
            .map(status)
            .collect::<Result<_>>()?;
        if !wanted.is_empty() {
            self.test(move |f| wanted.contains(&short_status(f)));
        }
        let cwes = query.ids("cwe")?;
        if !cwes.is_empty() {
            self.test(move |f| {
                let mut all = std::iter::once(&f.cwe).chain(&f.extra_cwes);
                all.any(|cwe| cwes.contains(&u64::from(*cwe)))
            });
        }
        let ids = owned(query.all("vulnerability_id"));
        if !ids.is_empty() {
            self.test(move |f| {
                let mut of = f.vulnerability_ids.iter();
                of.any(|id| ids.iter().any(|wanted| id.eq_ignore_ascii_case(wanted)))
            });
        }
        if let Some(outside) = query.boolean("outside_of_sla")? {
            let clock = clock.clone();
            self.test(move |f| {
                let days = clock.days_remaining(f);
                days.is_some_and(|days| (days < 0) == outside)
            });
        }
        if let Some(within) = query.boolean("mitigated_within_sla")? {
            let clock = clock.clone();
            self.test(move |f| clock.mitigated_within_sla(f) == Some(within));
        }
        if let Some((from, to)) = query.span("sla_expiration_date", clock.today)? {
            let clock = clock.clone();
            self.test(move |f| clock.due(f).is_some_and(|day| (from..=to).contains(&day)));
        }
        if let Some(wanted) = query.boolean("mitigation_available")? {
            let told = |t: &Texts| t.mitigation.as_ref().is_some_and(|m| !m.trim().is_empty());
            let told = move |t: &Texts| told(t) == wanted;
            self.text_tests.push(Box::new(told));
        }
        self.add_tags(query);
        Ok(())
    }

    fn add_tags(&mut self, query: &Query) {
        let has = |f: &Finding, tag: &String| f.tags.iter().any(|t| t.eq_ignore_ascii_case(tag));
        let any = owned(query.all("tags"));
        if !any.is_empty() {
            self.test(move |f| any.iter().any(|tag| has(f, tag)));
        }
        let all = owned(query.all("tags__and"));
        if !all.is_empty() {
            self.test(move |f| all.iter().all(|tag| has(f, tag)));
        }
        let none = owned(query.all("not_tags"));
        if !none.is_empty() {
            self.test(move |f| !none.iter().any(|tag| has(f, tag)));
        }
        for (name, wanted) in [("tag", true), ("not_tag", false)] {
            if let Some(part) = query.get(name).map(|text| text.trim().to_lowercase()) {
                self.test(move |f| f.tags.iter().any(|tag| contains(tag, &part)) == wanted);
            }
        }
    }
}

/// What a query asks by the parameters of a table.
fn tests<T: 'static>(
    table: &[(&'static str, How<T>)],
    query: &Query,
    today: Date,
) -> Result<Vec<Test<T>>> {
    let asked = (table.iter()).filter(|(name, _)| query.get(name).is_some());
    let tests = asked.map(|(name, how)| test(query, name, how, today));
    tests.filter_map(Result::transpose).collect()
}

/// What a query asks by one parameter; nothing, where its value says so.
fn test<T: 'static>(
    query: &Query,
    name: &str,
    how: &How<T>,
    today: Date,
) -> Result<Option<Test<T>>> {
    let text = || query.get(name).unwrap_or_default().trim().to_lowercase();
    Ok(Some(match *how {
        How::Bool(of) => match query.boolean(name)? {
            Some(wanted) => Box::new(move |f| of(f) == wanted),
            None => return Ok(None),
        },
        How::MaybeBool(of) => {
            let wanted = query.boolean(name)?;
            Box::new(move |f| of(f) == wanted)
        }
        How::Contains(of) => {
            let part = text();
            Box::new(move |f| of(f).is_some_and(|text| contains(text, &part)))
        }
        How::Exact(of) => {
            let wanted = text();
            Box::new(move |f| of(f).is_some_and(|text| text.to_lowercase() == wanted))
        }
        How::Ids(of) => {
            let ids = query.ids(name)?;
            Box::new(move |f| of(f).is_some_and(|id| ids.contains(&id)))
        }
        How::AnyId(has) => {
            let ids = query.ids(name)?;
            Box::new(move |f| ids.iter().any(|id| has(f, *id)))
        }
        How::Number(of) => {
            let wanted = query.number(name)?;
            Box::new(move |f| of(f).is_some() && of(f) == wanted)
        }
        How::Day(of) => match query.span(name, today)? {
            Some((from, to)) => {
                Box::new(move |f| of(f).is_some_and(|day| (from..=to).contains(&day)))
            }
            None => return Ok(None),
        },
        How::OnDay(of) => {
            let wanted = query.day(name)?;
            Box::new(move |f| of(f) == wanted)
        }
        How::Before(of) => {
            let limit = query.day(name)?;
            Box::new(move |f| of(f).is_some_and(|day| Some(day) <= limit))
        }
        How::After(of) => {
            let limit = query.day(name)?;
            Box::new(move |f| of(f).is_some_and(|day| Some(day) >= limit))
        }
        How::AtLeast(of) => {
            let limit = query.number(name)?;
            Box::new(move |f| of(f).is_some_and(|n| Some(n) >= limit))
        }
        How::AtMost(of) => {
            let limit = query.number(name)?;
            Box::new(move |f| of(f).is_some_and(|n| Some(n) <= limit))
        }
    }))
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// The short status of a finding.
pub fn short_status(finding: &Finding) -> ShortStatus {
    finding.short_status()
}

/// The message about a short status that isn't one.
pub fn unknown_status(text: &str) -> String {
    let names = ShortStatus::ALL.map(ShortStatus::name).join(", ");
    format!("\"{text}\" is not a valid choice. Use one of: {names}.")
}

/// Does a text hold a part, whatever the case? `part` is in lower case.
fn contains(text: &str, part: &str) -> bool {
    if !text.is_ascii() || !part.is_ascii() {
        return text.to_lowercase().contains(part);
    }
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty()
        || text
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tatami_domain::{FindingId, Flags};

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
            id: FindingId(7),
            title: "SQL Injection in Login".into(),
            severity: Severity::High,
            flags: Flags::OPEN,
            cwe: 89,
            extra_cwes: vec![564],
            vulnerability_ids: vec!["CVE-2026-1".into()],
            component_name: Some("Log4j".into()),
            date: date(2026, 3, 1),
            tags: vec!["web".into(), "pci".into()],
            epss_score: Some(0.5),
            fix_available: Some(true),
            ..Finding::default()
        }
    }

    fn passes(query: &str) -> bool {
        Filters::read(&Query::parse(query), &clock())
            .unwrap()
            .pass(&finding())
    }

    #[test]
    fn filters_leave_what_they_ask_for() {
        for query in [
            "",
            "active=true",
            "verified=3",
            "title=injection",
            "severity=Low,High",
            "severity=Low&severity=High",
            "status=Open",
            "cwe=564",
            "id=7,8",
            "vulnerability_id=cve-2026-1",
            "component_name=LOG4J",
            "tags=web,x",
            "tag=pc",
            "tags__and=web,pci",
            "not_tag=internal",
            "has_tags=1",
            "date=2026-03-01",
            "date=3",
            "discovered_before=2026-03-01",
            "discovered_after=2026-02-28",
            "outside_of_sla=false",
            "epss_score_min=0.5",
            "fix_available=true",
            "unknown=1",
            "title=",
            "is_mitigated=false",
            "exact_title=sql%20injection%20in%20login",
            "sla_expiration_date=2026-03-31",
        ] {
            assert!(passes(query), "{query}");
        }
        for query in [
            "active=False",
            "title=xss",
            "severity=Critical",
            "status=Fixed",
            "cwe=79",
            "id=8",
            "tags=x",
            "tags__and=web,x",
            "not_tags=web",
            "not_tag=we",
            "has_tags=false",
            "mitigated=1",
            "discovered_on=2026-03-02",
            "outside_of_sla=1",
            "epss_score_max=0.4",
            "fix_available=0",
            "product=9",
            "has_jira=true",
            "tag=shop",
        ] {
            assert!(!passes(query), "{query}");
        }
    }

    #[test]
    fn a_wrong_value_of_a_known_filter_is_an_error() {
        for query in [
            "active=maybe",
            "severity=high",
            "status=Gone",
            "id=x",
            "date=soon",
            "cwe=a",
            "epss_score_min=x",
            "test=1,b",
            "outside_of_sla=x",
        ] {
            assert!(
                Filters::read(&Query::parse(query), &clock()).is_err(),
                "{query}"
            );
        }
    }

    #[test]
    fn long_texts_are_asked_for_only_by_their_filters() {
        let read = |query: &str| Filters::read(&Query::parse(query), &clock()).unwrap();
        assert!(!read("title=x").want_texts());
        let filters = read("description=Union+Select");
        assert!(filters.want_texts());
        let texts = |description: &str| Texts {
            description: description.into(),
            ..Texts::default()
        };
        assert!(filters.pass_texts(&texts("a UNION select b")));
        assert!(!filters.pass_texts(&texts("nothing")));
    }

    #[test]
    fn parameters_are_named_once() {
        let mut names: Vec<&str> = parameters().map(|field| field.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
