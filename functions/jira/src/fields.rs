//! What an issue says of a finding, a group or an engagement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::Date;
use sha2::{Digest as _, Sha256};
use tatami_domain::{Finding, JiraInstance, JiraIssue, JiraObject, JiraProject, Severity, Texts};
use tatami_jira_client::{NewIssue, Reference, RichText, label};

use crate::context::{Context, mark, rich};
use crate::error::Result;
use crate::thing::{Thing, get};

/// So many findings of a group are listed.
const LISTED: usize = 200;
/// So many endpoints are named.
const ENDPOINTS: usize = 50;

/// What an order asks of issues beyond what they say anyway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub priority: Option<String>,
    pub assignee: Option<String>,
    pub comment: Option<String>,
    /// The name of an epic, in the place of its engagement's.
    pub epic: Option<String>,
    /// Tells it from other orders.
    pub name: String,
}

impl Order {
    /// What an epic is to be called.
    pub fn epic_name(&self, thing: &Thing) -> Option<&str> {
        self.epic.as_deref().filter(|_| thing.epic_of.is_some())
    }
}

/// What Tatami says in an issue, and says anew when it changes. All else is said once, when the issue is made, and
/// is people's from then on.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub summary: String,
    pub description: RichText,
    pub priority: Option<String>,
    pub due: Option<Date>,
    pub environment: Option<RichText>,
    pub labels: Vec<String>,
}

impl Content {
    /// Of a thing, as its project wants it.
    pub async fn of(
        ctx: &Context,
        thing: &Thing,
        project: &JiraProject,
        instance: &JiraInstance,
    ) -> Result<Self> {
        let url = ctx.url(thing.object);
        let open = thing.findings.iter().filter(|f| f.flags.is_open());
        let mut concerned: Vec<&Finding> = open.collect();
        if concerned.is_empty() {
            concerned = thing.findings.iter().collect();
        }
        let worst = concerned.iter().map(|finding| finding.severity).min();
        let template = project.issue_template_dir.as_deref();
        let template = template.filter(|name| !name.is_empty());
        let template = template.or(instance.issue_template_dir.as_deref());
        let with_description = template.is_none_or(|name| !name.contains("without_description"));
        let mut endpoints = Vec::new();
        let body = match (&thing.group, &thing.epic_of) {
            (Some(group), _) => of_group(ctx, &group.name, &thing.findings),
            (_, Some(engagement)) => engagement.description.clone().unwrap_or_default(),
            _ => match thing.findings.first() {
                Some(finding) => {
                    let texts = match &finding.texts {
                        Some(at) => ctx.services.blobs.texts(at).await?,
                        None => Texts::default(),
                    };
                    endpoints = finding.all_endpoints(&texts).to_vec();
                    of_finding(ctx, finding, &texts, with_description)
                }
                None => String::new(),
            },
        };
        let finding_text = instance.finding_text.as_deref().unwrap_or_default().trim();
        let mut text = body.trim().to_owned();
        if thing.is_of_findings() && !finding_text.is_empty() {
            text = format!("{text}\n\n{finding_text}");
        }
        if url.starts_with("http") {
            text = format!("{text}\n\n[{} in Tatami]({url})", what(thing.object));
        }
        let summary = match &thing.group {
            Some(group) => format!("{} ({} findings)", group.name, thing.findings.len()),
            None => thing.title.clone(),
        };
        let priority = worst.map(|severity| instance.priority(severity).to_owned());
        Ok(Self {
            summary,
            description: rich(text, &url),
            priority: priority.filter(|name| !name.is_empty()),
            due: due(ctx, thing.product, &concerned).await?,
            environment: environment(&endpoints, &url),
            labels: labels(ctx, &concerned, project),
        })
    }

    /// A digest of each field, to tell what changes.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let environment = self.environment.as_ref().map(|text| text.markdown.as_str());
        let due = self.due.map(|due| due.to_string());
        let fields: [(&str, Option<&str>); 6] = [
            ("summary", Some(&self.summary)),
            ("description", Some(&self.description.markdown)),
            ("priority", self.priority.as_deref()),
            ("duedate", due.as_deref()),
            ("environment", environment),
            ("labels", None),
        ];
        let mut all: BTreeMap<String, String> = fields
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), digest(text?))))
            .collect();
        if !self.labels.is_empty() {
            all.insert("labels".into(), digest(&self.labels.join("\n")));
        }
        all
    }

    /// As a new issue, without what is said once.
    pub fn issue(&self, project_key: &str, issue_type: Reference) -> NewIssue {
        NewIssue {
            description: self.description.clone(),
            priority: self.priority.clone(),
            labels: self.labels.clone(),
            due: self.due,
            environment: self.environment.clone(),
            ..NewIssue::new(
                Reference::Name(project_key.to_owned()),
                issue_type,
                &self.summary,
            )
        }
    }
}

/// The digest of a text, enough to tell it from what was there before.
pub(crate) fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What tells the issue of a thing from all others, wherever it is.
pub(crate) fn own_label(installation: &str, object: JiraObject) -> String {
    format!("tatami-{installation}-{}", mark(object))
}

/// Adds what is said once.
pub(crate) async fn once(
    ctx: &Context,
    issue: &mut NewIssue,
    thing: &Thing,
    project: &JiraProject,
    order: Option<&Order>,
) -> Result<()> {
    let component = project.component.as_deref().unwrap_or_default().trim();
    if !component.is_empty() && thing.is_of_findings() {
        issue.components.push(component.to_owned());
    }
    let assignee = order.and_then(|order| order.assignee.clone());
    let assignee = assignee.or_else(|| project.default_assignee.clone());
    issue.assignee = assignee.filter(|name| !name.trim().is_empty());
    if let Some(priority) = order.and_then(|order| order.priority.clone()) {
        issue.priority = Some(priority);
    }
    issue.custom = project.custom_fields.clone().unwrap_or_default();
    if thing.epic_of.is_some() {
        issue.epic_name = Some(issue.summary.clone());
    } else if project.enable_engagement_epic_mapping {
        let engagement: Option<tatami_domain::Engagement> =
            get(&ctx.store, thing.engagement).await?;
        if let Some(epic) = engagement.and_then(|engagement| engagement.jira_epic)
            && let Some(epic) = get::<JiraIssue>(&ctx.store, epic).await?
        {
            issue.parent = Some(epic.jira_key);
        }
    }
    Ok(())
}

/// `Finding 7`, for people.
pub(crate) fn what(object: JiraObject) -> String {
    match object {
        JiraObject::Finding(id) => format!("Finding {id}"),
        JiraObject::FindingGroup(id) => format!("Finding group {id}"),
        JiraObject::Engagement(id) => format!("Engagement {id}"),
    }
}

async fn due(
    ctx: &Context,
    product: tatami_domain::ProductId,
    findings: &[&Finding],
) -> Result<Option<Date>> {
    if findings.is_empty() || !ctx.settings.enable_finding_sla {
        return Ok(None);
    }
    let slas = ctx.store.slas().await?;
    let sla = slas.of(product);
    let intel = ctx.store.intel();
    let due = |finding: &&Finding| sla.due(finding, &intel.for_sla(sla, finding));
    Ok(findings.iter().filter_map(due).min())
}

fn environment(endpoints: &[String], url: &str) -> Option<RichText> {
    if endpoints.is_empty() {
        return None;
    }
    let mut lines: Vec<String> = endpoints.iter().take(ENDPOINTS).cloned().collect();
    if endpoints.len() > ENDPOINTS {
        lines.push(format!("and {} more", endpoints.len() - ENDPOINTS));
    }
    let lines = lines.iter().map(|line| format!("- {}", code(line)));
    Some(rich(lines.collect::<Vec<_>>().join("\n"), url))
}

fn labels(ctx: &Context, findings: &[&Finding], project: &JiraProject) -> Vec<String> {
    let words = [&project.jira_labels, &ctx.settings.jira_labels];
    let words = words.into_iter().flatten();
    let mut labels: Vec<String> = words
        .flat_map(|words| words.split_whitespace())
        .filter_map(label)
        .collect();
    if project.add_vulnerability_id_to_jira_label || ctx.settings.add_vulnerability_id_to_jira_label
    {
        let ids = findings.iter().flat_map(|f| &f.vulnerability_ids);
        labels.extend(ids.filter_map(|id| label(id)));
    }
    labels.sort();
    labels.dedup();
    labels
}

/// A text as it is, in a line of Markdown.
fn code(text: &str) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // a fence longer than any run of backticks in it
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if longest > 0 {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        if matches!(c, '\\' | '|' | '*' | '_' | '[' | ']' | '<' | '`' | '~') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn of_finding(ctx: &Context, finding: &Finding, texts: &Texts, with_description: bool) -> String {
    let mut rows: Vec<(&str, String)> = vec![("Severity", finding.severity.name().to_owned())];
    if finding.cwe > 0 {
        let cwes = std::iter::once(&finding.cwe).chain(&finding.extra_cwes);
        let cwes: Vec<String> = cwes.map(|cwe| format!("CWE-{cwe}")).collect();
        rows.push(("CWE", cwes.join(", ")));
    }
    if !finding.vulnerability_ids.is_empty() {
        rows.push((
            "Vulnerabilities",
            cell(&finding.vulnerability_ids.join(", ")),
        ));
    }
    if let Some(score) = finding.cvss_score() {
        let vector = finding.cvssv4.as_ref().or(finding.cvssv3.as_ref());
        let vector = vector.map(|vector| format!(" ({})", code(vector)));
        rows.push(("CVSS", format!("{score}{}", vector.unwrap_or_default())));
    }
    let known = ctx.store.intel().of(finding);
    if let Some(score) = known.epss_score {
        rows.push(("EPSS", format!("{:.1} %", score * 100.0)));
    }
    if known.known_exploited {
        let by = if known.ransomware_used {
            "yes, also by ransomware"
        } else {
            "yes"
        };
        rows.push(("Known to be exploited", by.to_owned()));
    }
    if let Some(name) = &finding.component_name {
        let version = finding.component_version.as_deref().unwrap_or_default();
        rows.push(("Component", code(&format!("{name} {version}"))));
    }
    if let Some(version) = &finding.fix_version {
        rows.push(("Fixed in", code(version)));
    }
    if let Some(path) = &finding.file_path {
        let line = finding.line.map(|line| format!(":{line}"));
        rows.push((
            "Place",
            code(&format!("{path}{}", line.unwrap_or_default())),
        ));
    }
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in rows {
        let value = value.replace("\\|", "|").replace('|', "\\|");
        let _ = writeln!(text, "| **{name}** | {value} |");
    }
    let endpoints = finding.all_endpoints(texts);
    if !endpoints.is_empty() {
        text.push_str("\n**Endpoints**\n\n");
        for endpoint in endpoints.iter().take(ENDPOINTS) {
            let _ = writeln!(text, "- {}", code(endpoint));
        }
    }
    let parts = [
        ("Description", Some(&texts.description)),
        ("Mitigation", texts.mitigation.as_ref()),
        ("Impact", texts.impact.as_ref()),
        ("Steps to reproduce", texts.steps_to_reproduce.as_ref()),
        ("References", texts.references.as_ref()),
    ];
    for (name, part) in parts.into_iter().filter(|_| with_description) {
        let part = part.map(|part| part.trim()).unwrap_or_default();
        if !part.is_empty() {
            let _ = write!(text, "\n**{name}**\n\n{part}\n");
        }
    }
    text
}

fn of_group(ctx: &Context, name: &str, findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (finding.severity, finding.id));
    let mut text = format!("{} findings: {}\n\n", findings.len(), cell(name));
    text.push_str("| Severity | Finding | Place | Status |\n|---|---|---|---|\n");
    for finding in sorted.iter().take(LISTED) {
        let place = finding.component_name.as_ref().map(|name| {
            let version = finding.component_version.as_deref().unwrap_or_default();
            format!("{name} {version}")
        });
        let place = place.or_else(|| finding.file_path.clone());
        let url = ctx.url(JiraObject::Finding(finding.id));
        let title = cell(&finding.title);
        let title = if url.starts_with("http") {
            format!("[{title}]({url})")
        } else {
            title
        };
        let _ = writeln!(
            text,
            "| {} | {title} | {} | {} |",
            severity(finding.severity),
            cell(&place.unwrap_or_default()),
            finding.short_status().name(),
        );
    }
    if sorted.len() > LISTED {
        let _ = write!(text, "\nand {} more", sorted.len() - LISTED);
    }
    text
}

fn severity(severity: Severity) -> &'static str {
    severity.name()
}
