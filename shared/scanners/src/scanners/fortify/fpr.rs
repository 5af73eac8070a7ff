//! An FPR: a zip archive with `audit.fvdl` (the analysis) and `audit.xml` (what was made of it).

use tatami_domain::ReportFinding;

use super::audit::Audit;
use super::finding::{Paragraphs, file_name, place, title};
use super::fvdl::{Location, ROOT, Vulnerability};
use super::pools::{Description, Pools, Snippet};
use super::{Line, each};
use crate::kit::archive::Archive;
use crate::kit::xml::Xml;
use crate::{Refusal, Report, Sink, Warning};

const ANALYSIS: &str = "audit.fvdl";
const AUDIT: &str = "audit.xml";
const WEBINSPECT: &str = "webinspect.xml";

pub fn is_one(members: &[String]) -> bool {
    find(members, ANALYSIS).is_some()
}

/// The member of this name, in whatever folder.
fn find<'m>(members: &'m [String], name: &str) -> Option<&'m String> {
    members.iter().find(|path| file_name(path) == name)
}

pub fn read(report: Report<'_>, line: Line, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut archive = Archive::open(report)?;
    let Some(analysis) = find(archive.names(), ANALYSIS).cloned() else {
        return Err(no_analysis(archive.names()));
    };
    let mut results = Results {
        audit: Audit::default(),
        pools: Pools::default(),
        line,
    };
    if let Some(path) = find(archive.names(), AUDIT).cloned() {
        results.audit = with_member(&mut archive, &path, Audit::read)?;
    }
    let complete = with_member(&mut archive, &analysis, |fvdl| results.pools.gather(fvdl))?;
    if !complete {
        with_member(&mut archive, &analysis, |fvdl| results.pools.gather(fvdl))?;
    }
    if results.pools.left_out > 0 {
        let message = format!(
            "{} MB of code snippets were left out: there are too many of them",
            results.pools.left_out.div_ceil(1024 * 1024)
        );
        let record = ANALYSIS.to_owned();
        sink.warning(Warning { record, message });
    }
    with_member(&mut archive, &analysis, |fvdl| results.read(fvdl, sink))
}

fn no_analysis(members: &[String]) -> Refusal {
    let refusal = Refusal::new(format!("there is no {ANALYSIS} in the archive"));
    if find(members, WEBINSPECT).is_some() {
        return refusal.hint(format!(
            "it is an FPR of WebInspect: unpack {WEBINSPECT} and send that as Microfocus Webinspect \
             Scan"
        ));
    }
    refusal.hint("send the FPR as Fortify wrote it")
}

/// Opens a member; a refusal says in which one it was.
fn with_member<T>(
    archive: &mut Archive,
    path: &str,
    read: impl FnOnce(Report<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let member = archive.member(path)?;
    let member =
        member.ok_or_else(|| Refusal::new(format!("there is no {path} in the archive")))?;
    read(member).map_err(|refusal| Refusal {
        message: format!("{path}: {}", refusal.message),
        ..refusal
    })
}

/// All that is said about the vulnerabilities elsewhere.
struct Results {
    audit: Audit,
    pools: Pools,
    line: Line,
}

impl Results {
    /// Hands over a finding for each vulnerability.
    fn read(&self, fvdl: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        let mut xml = Xml::open(fvdl)?;
        xml.expect_root(ROOT)?;
        let mut number = 0_u64;
        let mut lists = self.pools.lists;
        let root = xml.level();
        // The pools that follow the lists have been read.
        while lists > 0 && xml.next_in(root)? {
            if xml.name() != "Vulnerabilities" {
                continue;
            }
            lists -= 1;
            each(&mut xml, |xml| {
                number += 1;
                let at = xml.position().line;
                let vulnerability = Vulnerability::read(xml)?;
                if vulnerability.kind.is_empty() {
                    sink.warning(Warning {
                        record: format!("{ANALYSIS}, vulnerability {number}, line {at}"),
                        message: "it has no type".into(),
                    });
                    return Ok(());
                }
                sink.finding(self.finding(&vulnerability))?;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn finding(&self, it: &Vulnerability) -> ReportFinding {
        let known = it.place.as_ref().and_then(|p| self.pools.location(p));
        let nowhere = Location::default();
        let location = known.unwrap_or(&nowhere);
        let snippet = self.pools.snippet(location);
        let start = snippet.and_then(|s| s.start);
        let line = match self.line {
            Line::OfSnippet => start.or(location.line),
            Line::OfFlaw => location.line,
        };
        let rule = self.pools.rule(&it.class_id);
        let mut cwes = rule.map(|r| r.cwes.clone()).unwrap_or_default().into_iter();
        let texts = self.pools.description(&it.class_id);
        let audit = self.audit.of(&it.instance_id);
        let suppressed = audit.is_some_and(|issue| issue.suppressed);
        let mut name = title(&it.kind, file_name(&location.path), line);
        if !it.class_id.is_empty() {
            name = format!("{name} ({})", it.class_id);
        }
        ReportFinding {
            title: name,
            severity: it.severity(rule),
            description: description(it, location, snippet, texts),
            mitigation: texts.and_then(|texts| mitigation(it, texts)),
            impact: audit.and_then(|issue| issue.opinion.text()),
            references: texts
                .map(|texts| texts.references.clone())
                .filter(|text| !text.is_empty()),
            cwe: cwes.next().unwrap_or(0),
            extra_cwes: cwes.collect(),
            file_path: Some(location.path.clone()).filter(|path| !path.is_empty()),
            line,
            unique_id_from_tool: Some(it.instance_id.clone()).filter(|id| !id.is_empty()),
            date: self.pools.date,
            active: suppressed.then_some(false),
            false_p: suppressed.then_some(true),
            static_finding: true,
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}

fn description(
    it: &Vulnerability,
    location: &Location,
    snippet: Option<&Snippet>,
    texts: Option<&Description>,
) -> String {
    let mut text = Paragraphs::default();
    text.table(&[("Category", &it.category()), ("Kingdom", &it.kingdom)]);
    if let Some(texts) = texts {
        text.add(&texts.summary.with(&it.values));
    }
    text.add(&it.instance_description);
    let mut at = place(&location.path, location.line);
    if let Some(end) = location.line_end.filter(|end| Some(*end) != location.line) {
        at = format!("{at} to {end}");
    }
    text.table(&[("Location", &at)]);
    if let Some(snippet) = snippet {
        let from = snippet.start.map(|start| start.to_string());
        text.table(&[("Snippet from line", &from.unwrap_or_default())]);
        text.code(&snippet.text);
    }
    if let Some(texts) = texts {
        text.headed("Explanation", &texts.explanation.with(&it.values));
    }
    text.table(&[
        ("AnalyzerName", &it.analyzer),
        ("ClassID", &it.class_id),
        ("InstanceID", &it.instance_id),
        ("DefaultSeverity", &it.default_severity),
        ("InstanceSeverity", &it.instance_severity),
        ("Confidence", &it.confidence),
    ]);
    text.text()
}

fn mitigation(it: &Vulnerability, texts: &Description) -> Option<String> {
    let mut text = Paragraphs::default();
    text.add(&texts.recommendations.with(&it.values));
    for tip in &texts.tips {
        text.headed("Tip", &tip.with(&it.values));
    }
    text.some()
}
