use serde::Deserialize;
use tatami_domain::{Endpoint, ReportFinding, RequestResponse, Severity};

use crate::kit::json::{Decimal, Flag, List, Text};
use crate::kit::merged::Merged;
use crate::kit::{cvss, text};
use crate::{Sink, Stop};

/// A template that matched somewhere.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Event {
    #[serde(alias = "templateID")]
    template_id: Text,
    /// In a box: an event is moved a few times, and there may be millions.
    info: Option<Box<Info>>,
    #[serde(rename = "type")]
    kind: Text,
    #[serde(alias = "matcher_name")]
    matcher_name: Text,
    matcher_status: Flag,
    #[serde(alias = "matched")]
    matched_at: Text,
    host: Text,
    #[serde(alias = "extracted_results")]
    extracted_results: List,
    request: Text,
    response: Text,
    #[serde(alias = "curl_command")]
    curl_command: Text,
    timestamp: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Info {
    name: Text,
    severity: Text,
    description: Text,
    impact: Text,
    remediation: Text,
    reference: List,
    tags: List,
    classification: Option<Box<Classification>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Classification {
    cve_id: List,
    cwe_id: List,
    cvss_metrics: Text,
    cvss_score: Decimal,
    epss_score: Decimal,
    epss_percentile: Decimal,
}

/// Events by template, type, matcher and host.
#[derive(Default)]
pub struct Findings {
    merged: Merged<[String; 4]>,
    /// Was there any event of Nuclei, found or not?
    pub any: bool,
    /// How many records were something else?
    pub others: u64,
}

impl Findings {
    pub fn add(&mut self, event: Event, warn: impl FnOnce(&str)) {
        if event.template_id.is_empty() {
            self.others += 1;
            return warn("has no template-id: is it an event of Nuclei?");
        }
        self.any = true;
        if event.matcher_status.0 == Some(false) {
            return;
        }
        let endpoint = match event.place() {
            "" => None,
            place => match Endpoint::parse(place) {
                Ok(endpoint) => Some(endpoint),
                Err(error) => {
                    warn(&error.to_string());
                    None
                }
            },
        };
        let messages = event.messages();
        let key = [&event.template_id, &event.kind, &event.matcher_name].map(|part| part.0.clone());
        self.put(key, endpoint, messages, || event.finding());
    }

    /// Adds one event of a template, type and matcher to those of the same host.
    pub fn put(
        &mut self,
        [template, kind, matcher]: [String; 3],
        endpoint: Option<Endpoint>,
        messages: Option<RequestResponse>,
        make: impl FnOnce() -> ReportFinding,
    ) {
        let host = endpoint
            .as_ref()
            .map(|endpoint| endpoint.host.clone())
            .unwrap_or_default();
        let finding = self.merged.entry([template, kind, matcher, host], make);
        finding.endpoints.extend(endpoint);
        finding.requests.extend(messages);
        finding.nb_occurences = Some(finding.nb_occurences.unwrap_or(0).saturating_add(1));
    }

    pub fn hand_over(self, sink: &mut dyn Sink) -> Result<(), Stop> {
        self.merged.hand_over(sink)
    }
}

impl Event {
    /// Where on the network it matched.
    fn place(&self) -> &str {
        match &*self.matched_at {
            _ if self.is_file() => "",
            "" => self.host.trim(),
            place => place.trim(),
        }
    }

    /// Is it of a template for files?
    fn is_file(&self) -> bool {
        &*self.kind == "file"
    }

    fn messages(&self) -> Option<RequestResponse> {
        let (request, response) = (self.request.0.clone(), self.response.0.clone());
        let any = !request.is_empty() || !response.is_empty();
        any.then_some(RequestResponse { request, response })
    }

    fn finding(self) -> ReportFinding {
        let file_path = self.is_file().then(|| self.matched_at.0.clone());
        let info = *self.info.unwrap_or_default();
        let class = info.classification.unwrap_or_default();
        let mut vulnerability_ids = Vec::new();
        for id in class.cve_id.texts() {
            text::push_new(&mut vulnerability_ids, id.trim().to_ascii_uppercase());
        }
        let mut cwes = Vec::new();
        for cwe in class.cwe_id.0.iter().flat_map(|cwe| text::cwes(cwe)) {
            text::push_new(&mut cwes, cwe);
        }
        let mut all_tags = Vec::new();
        // Older versions write `network,openssh`.
        for tag in info
            .tags
            .0
            .iter()
            .flat_map(|tags| tags.split(','))
            .map(str::trim)
        {
            if !tag.is_empty() {
                text::push_new(&mut all_tags, tag.to_owned());
            }
        }
        let mut description = info.description.0;
        let results: Vec<_> = self.extracted_results.texts().collect();
        if !results.is_empty() {
            description.push_str("\n**Results:**\n");
            description.push_str(&results.join("\n"));
        }
        let references: Vec<_> = info.reference.texts().collect();
        let v3 = cvss::v3(&class.cvss_metrics);
        let v4 = cvss::v4(&class.cvss_metrics);
        let score = class
            .cvss_score
            .0
            .filter(|score| (0.0..=10.0).contains(score));
        let command =
            |command: String| format!("curl command to reproduce the request:\n`{command}`");
        ReportFinding {
            title: info
                .name
                .some()
                .unwrap_or_else(|| self.template_id.0.clone()),
            severity: Severity::from_report(&info.severity).unwrap_or_default(),
            description: description.trim().to_owned(),
            impact: info.impact.some(),
            mitigation: info.remediation.some(),
            references: (!references.is_empty()).then(|| references.join("\n")),
            steps_to_reproduce: self.curl_command.some().map(command),
            cwe: cwes.first().copied().unwrap_or(0),
            extra_cwes: cwes.into_iter().skip(1).collect(),
            vulnerability_ids,
            cvssv3_score: score.filter(|_| v4.is_none()),
            cvssv3: v3.map(|v3| v3.vector),
            cvssv4_score: v4.as_ref().map(|v4| score.unwrap_or(v4.score)),
            cvssv4: v4.map(|v4| v4.vector),
            epss_score: class.epss_score.0,
            epss_percentile: class.epss_percentile.0,
            component_name: self.matcher_name.some(),
            file_path,
            vuln_id_from_tool: self.template_id.some(),
            date: text::date(&self.timestamp),
            tags: all_tags,
            dynamic_finding: true,
            ..ReportFinding::default()
        }
    }
}
