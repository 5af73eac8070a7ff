//! Findings of the XML report's results: one for several, or one for each.

use std::collections::HashSet;
use std::fmt::Write as _;

use tatami_domain::ReportFinding;

use super::results::{Outcome, Query, walk};
use crate::kit::merged::Merged;
use crate::{Refusal, Report, Sink};

/// A finding for all results of the same CWE, severity and sink file.
pub fn read_together(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut merged = Merged::default();
    walk(report, sink, &mut |query, outcome, _| {
        let key = (query.cwe, outcome.severity, outcome.sink.file.clone());
        let finding = merged.entry(key, || ReportFinding {
            nb_occurences: Some(0),
            active: Some(false),
            verified: Some(false),
            false_p: Some(true),
            ..finding(query, &outcome)
        });
        add(finding, query, &outcome);
        Ok(())
    })?;
    merged.hand_over(sink)?;
    Ok(())
}

fn add(finding: &mut ReportFinding, query: &Query, outcome: &Outcome) {
    let number = finding.nb_occurences.unwrap_or(0) + 1;
    finding.nb_occurences = Some(number);
    let head = outcome.head(query);
    let way = outcome.way();
    if number == 1 {
        finding.description = head + &way;
    } else {
        if number == 2 {
            let first = format!("### 1. {}\n", finding.title);
            finding.description.insert_str(0, &first);
        }
        let own = outcome.title(query);
        // Writing to a string doesn't fail.
        let _ = write!(
            finding.description,
            "\n\n-----\n### {number}. {own}\n{head}\n{way}"
        );
    }
    if let Some(rules) = &mut finding.vuln_id_from_tool
        && !rules.split(',').any(|rule| rule == query.id)
    {
        rules.push(',');
        rules.push_str(&query.id);
    }
    let any = |flag: &mut Option<bool>, one: bool| *flag = Some(one || *flag == Some(true));
    any(&mut finding.active, outcome.triage.is_open());
    any(&mut finding.verified, outcome.triage.is_confirmed());
    finding.false_p = Some(finding.false_p == Some(true) && outcome.false_positive);
}

/// A finding for each result.
pub fn read_one_by_one(report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    walk(report, sink, &mut |query, outcome, sink| {
        // The same path under the same query is the same result.
        if !outcome.id.is_empty() && !seen.insert(format!("{} {}", query.id, outcome.id)) {
            return Ok(());
        }
        sink.finding(ReportFinding {
            description: format!("{}-----\n{}", outcome.head(query), outcome.steps),
            line: outcome.sink.line,
            sast_source_object: some(&outcome.source.object),
            sast_source_file_path: some(&outcome.source.file),
            sast_source_line: outcome.source.line,
            sast_sink_object: some(&outcome.sink.object),
            active: Some(outcome.triage.is_open()),
            verified: Some(outcome.triage.is_confirmed()),
            false_p: Some(outcome.false_positive),
            unique_id_from_tool: some(&outcome.id),
            ..finding(query, &outcome)
        })
    })
}

/// What both scan types make of a result.
fn finding(query: &Query, outcome: &Outcome) -> ReportFinding {
    ReportFinding {
        title: outcome.title(query),
        severity: outcome.severity,
        cwe: query.cwe,
        file_path: some(&outcome.sink.file),
        vuln_id_from_tool: some(&query.id),
        date: query.date,
        static_finding: true,
        dynamic_finding: true,
        ..ReportFinding::default()
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
