//! From what a report states to what is stored: the compact finding, and its long texts apart.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tatami_dedup_rules::{endpoint_places, reported_state};
use tatami_domain::{Endpoint, Finding, Flags, ImportOptions, ReportFinding, Texts, UserId};
use tatami_scanners::kit::cvss;

/// What every finding of an import gets.
#[derive(Debug, Clone)]
pub struct Common {
    /// What the sender asked for.
    pub options: ImportOptions,
    /// The day of the scan.
    pub scan_date: Date,
    /// Now, the same for the whole import.
    pub now: Timestamp,
    /// Who imports.
    pub by: Option<UserId>,
    /// `endpoint_to_add`, read.
    pub endpoint: Option<Endpoint>,
}

/// Longest service and component names, in characters.
const MAX_NAME: usize = 500;
/// Longest ids of a tool, in characters.
const MAX_TOOL_ID: usize = 500;
/// Longest file path, in characters.
const MAX_PATH: usize = 4000;
/// Longest service, in characters.
const MAX_SERVICE: usize = 200;

impl Common {
    /// Puts what the import's options say into a reported finding, before its keys are computed.
    pub fn apply(&self, finding: &mut ReportFinding) {
        if let Some(endpoint) = &self.endpoint
            && !finding.endpoints.contains(endpoint)
        {
            finding.endpoints.push(endpoint.clone());
        }
        if let Some(service) = &self.options.service {
            finding.service = Some(service.clone());
        }
        if self.options.apply_tags_to_findings {
            finding.tags.extend(self.options.tags.iter().cloned());
        }
        finding.tags.sort();
        finding.tags.dedup();
        if let (None, Some(vector)) = (finding.cvssv3_score, &finding.cvssv3) {
            finding.cvssv3_score = cvss::v3(vector).map(|scored| scored.score);
        }
        if let (None, Some(vector)) = (finding.cvssv4_score, &finding.cvssv4) {
            finding.cvssv4_score = cvss::v4(vector).map(|scored| scored.score);
        }
        finding.title = title(finding);
    }

    /// Splits a finding into what is stored with it and its long texts.
    pub fn split(&self, finding: ReportFinding) -> (Finding, Texts) {
        let reported = Flags {
            active: finding.active.unwrap_or(true),
            verified: finding.verified.unwrap_or(false),
            false_p: finding.false_p.unwrap_or(false),
            duplicate: false,
            out_of_scope: finding.out_of_scope.unwrap_or(false),
            risk_accepted: finding.risk_accepted.unwrap_or(false),
            under_review: finding.under_review.unwrap_or(false),
            under_defect_review: false,
            is_mitigated: finding.is_mitigated.unwrap_or(false),
        };
        let flags = reported_state(reported, &self.options).flags;
        let mitigated = flags.is_mitigated.then(|| {
            let day = finding.mitigated.and_then(start_of);
            day.unwrap_or(self.now)
        });
        let date = match self.options.scan_date {
            Some(day) => day,
            None => finding.date.unwrap_or(self.scan_date),
        };
        let mut urls: Vec<String> = finding.endpoints.iter().map(ToString::to_string).collect();
        let places = endpoint_places(&finding.endpoints);
        let all_urls = if urls.len() > Finding::INLINE_ENDPOINTS {
            let all = urls.clone();
            urls.truncate(Finding::INLINE_ENDPOINTS);
            all
        } else {
            Vec::new()
        };
        let texts = Texts {
            description: finding.description,
            mitigation: finding.mitigation,
            impact: finding.impact,
            references: finding.references,
            steps_to_reproduce: finding.steps_to_reproduce,
            severity_justification: finding.severity_justification,
            payload: finding.payload,
            endpoints: all_urls,
            requests: finding.requests,
            files: finding.files,
        };
        let stored = Finding {
            title: finding.title,
            severity: finding.severity,
            flags,
            cwe: finding.cwe,
            extra_cwes: finding.extra_cwes,
            vulnerability_ids: finding.vulnerability_ids,
            cvssv3: finding.cvssv3,
            cvssv3_score: finding.cvssv3_score,
            cvssv4: finding.cvssv4,
            cvssv4_score: finding.cvssv4_score,
            epss_score: finding.epss_score,
            epss_percentile: finding.epss_percentile,
            known_exploited: finding.known_exploited,
            ransomware_used: finding.ransomware_used,
            kev_date: finding.kev_date,
            component_name: finding.component_name.map(|t| cut(t, MAX_NAME)),
            component_version: finding.component_version.map(|t| cut(t, MAX_NAME)),
            fix_available: finding.fix_available,
            fix_version: finding.fix_version.map(|t| cut(t, MAX_NAME)),
            file_path: finding.file_path.map(|t| cut(t, MAX_PATH)),
            line: finding.line,
            sast_source_object: finding.sast_source_object.map(|t| cut(t, MAX_NAME)),
            sast_source_file_path: finding.sast_source_file_path.map(|t| cut(t, MAX_PATH)),
            sast_source_line: finding.sast_source_line,
            sast_sink_object: finding.sast_sink_object.map(|t| cut(t, MAX_NAME)),
            endpoints: urls,
            endpoint_places: places,
            param: finding.param.map(|t| cut(t, MAX_NAME)),
            service: finding.service.map(|t| cut(t, MAX_SERVICE)),
            unique_id_from_tool: finding.unique_id_from_tool.map(|t| cut(t, MAX_TOOL_ID)),
            vuln_id_from_tool: finding.vuln_id_from_tool.map(|t| cut(t, MAX_TOOL_ID)),
            date,
            publish_date: finding.publish_date,
            planned_remediation_date: finding.planned_remediation_date,
            planned_remediation_version: finding.planned_remediation_version,
            effort_for_fixing: finding.effort_for_fixing,
            nb_occurences: finding.nb_occurences,
            scanner_confidence: finding.scanner_confidence,
            tags: finding.tags,
            static_finding: finding.static_finding,
            dynamic_finding: finding.dynamic_finding,
            created: self.now,
            mitigated,
            reporter: self.by,
            ..Finding::default()
        };
        (stored, texts)
    }
}

fn title(finding: &ReportFinding) -> String {
    let given = finding.title.trim();
    if !given.is_empty() {
        return cut(given.to_owned(), Finding::MAX_TITLE);
    }
    let first = finding
        .description
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty());
    cut(
        first.unwrap_or("Untitled finding").to_owned(),
        Finding::MAX_TITLE,
    )
}

fn cut(mut text: String, chars: usize) -> String {
    if text.len() > chars
        && let Some((at, _)) = text.char_indices().nth(chars)
    {
        text.truncate(at);
    }
    text
}

fn start_of(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(options: ImportOptions) -> Common {
        Common {
            options,
            scan_date: jiff::civil::date(2026, 1, 2),
            now: Timestamp::UNIX_EPOCH,
            by: None,
            endpoint: None,
        }
    }

    #[test]
    fn long_titles_are_cut_at_a_character() {
        let mut finding = ReportFinding {
            title: "é".repeat(600),
            ..ReportFinding::default()
        };
        common(ImportOptions::default()).apply(&mut finding);
        assert_eq!(finding.title.chars().count(), Finding::MAX_TITLE);
    }

    #[test]
    fn a_vector_without_a_score_is_scored() {
        let mut finding = ReportFinding {
            cvssv3: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N".into()),
            ..ReportFinding::default()
        };
        common(ImportOptions::default()).apply(&mut finding);
        assert_eq!(finding.cvssv3_score, Some(7.5));
    }

    #[test]
    fn many_endpoints_go_into_the_pack_and_their_places_stay() {
        let finding = ReportFinding {
            endpoints: (0..5)
                .map(|n| Endpoint::parse(&format!("https://h{n}.example/x")).unwrap())
                .collect(),
            ..ReportFinding::default()
        };
        let (stored, texts) = common(ImportOptions::default()).split(finding);
        assert_eq!(stored.endpoints.len(), 3);
        assert_eq!(texts.endpoints.len(), 5);
        assert_eq!(stored.endpoint_places.len(), 5);
    }

    #[test]
    fn the_given_scan_date_overrules_the_reports() {
        let finding = ReportFinding {
            date: Some(jiff::civil::date(2020, 1, 1)),
            ..ReportFinding::default()
        };
        let own = common(ImportOptions::default()).split(finding.clone()).0;
        assert_eq!(own.date, jiff::civil::date(2020, 1, 1));
        let given = ImportOptions {
            scan_date: Some(jiff::civil::date(2025, 5, 5)),
            ..ImportOptions::default()
        };
        assert_eq!(
            common(given).split(finding).0.date,
            jiff::civil::date(2025, 5, 5)
        );
    }
}
