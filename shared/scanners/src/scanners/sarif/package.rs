//! Messages that are a table, as Trivy writes them:
//!
//! ```text
//! Package: libfoo
//! Installed Version: 1.0
//! Vulnerability CVE-2030-0001
//! Severity: HIGH
//! Fixed Version: 1.1
//! ```
//!
//! (<https://github.com/aquasecurity/trivy/blob/main/pkg/report/sarif.go>). Only scanners with a scan
//! type of their own make use of it: for those who send a log as SARIF it's text like any other.

use tatami_domain::{ReportFinding, ReportTest, Severity};

use crate::{Sink, Stop, Warning};

/// Gives findings the fields that their messages name.
pub struct Named<'s> {
    pub sink: &'s mut dyn Sink,
}

impl Sink for Named<'_> {
    fn finding(&mut self, mut finding: ReportFinding) -> Result<(), Stop> {
        name(&mut finding);
        self.sink.finding(finding)
    }

    fn warning(&mut self, warning: Warning) {
        self.sink.warning(warning);
    }

    fn test(&mut self, test: ReportTest) {
        self.sink.test(test);
    }
}

fn name(finding: &mut ReportFinding) {
    let message = finding
        .description
        .strip_prefix("**Result message:** ")
        .unwrap_or_default();
    if !message.starts_with("Package: ") && !message.starts_with("Artifact: ") {
        return;
    }
    let (message, rule) = message.split_once("\n**").unwrap_or((message, ""));
    let lines: Vec<_> = message.lines().map(str::trim).collect();
    let field = |name: &str| -> Option<String> {
        let values = lines
            .iter()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        values
            .map(str::trim)
            .find(|value| !value.is_empty())
            .map(str::to_owned)
    };
    let package = field("Package");
    let installed = field("Installed Version");
    let fixed = field("Fixed Version");
    if let Some(word) = field("Severity") {
        finding.severity = Severity::from_report(&word).unwrap_or(Severity::Info);
    }
    let id = finding.vuln_id_from_tool.as_deref().unwrap_or_default();
    if let (Some(package), Some(installed)) = (&package, &installed) {
        finding.title = format!("{id} {package} {installed}");
        finding.fix_available = Some(fixed.is_some());
    } else if let Some(artifact) = field("Artifact") {
        let detected = ["Secret", "License"].into_iter().find_map(|kind| {
            let name = lines
                .iter()
                .find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))?;
            Some(format!("{kind} detected in {artifact} - {name}"))
        });
        let described = || {
            let (_, short) = rule.split_once("short description:** ")?;
            Some(format!("{id} - {}", short.lines().next()?))
        };
        finding.title = detected.or_else(described).unwrap_or_else(|| id.to_owned());
    }
    finding.component_name = package.or_else(|| field("PkgName"));
    finding.component_version = installed;
    finding.mitigation.clone_from(&fixed);
    finding.fix_version = fixed;
}
