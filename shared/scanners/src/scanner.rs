use std::fmt;

use tatami_domain::{Dedupe, ReportFinding, ReportTest};

use crate::kit::text;
use crate::scanners::sarif;
use crate::{Refusal, Report, Sink, Sniff, Stop, Warning, registry};

/// One kind of report that Tatami reads. A scanner's folder describes it by a static value of this.
pub struct Scanner {
    /// The name clients send as `scan_type`, such as `Trivy Scan`.
    pub scan_type: &'static str,
    /// The formats it reads, for the list of scanners and for people.
    pub formats: &'static [Format],
    /// How its findings are deduplicated.
    pub dedupe: Dedupe,
    /// Names of tool drivers whose SARIF logs are this scanner's, in any case. Such logs are detected
    /// and read without any more ado; those that `detect` claims too are left to `read`.
    pub sarif_drivers: &'static [&'static str],
    /// Does the head of a report look like this scanner's? Bounded by the sniff; never guesses:
    /// exactly one scanner may say yes to a report.
    pub detect: fn(&Sniff<'_>) -> bool,
    /// Reads a report into the sink, finding by finding. See [`Scanner::parse`].
    pub read: fn(Report<'_>, &mut dyn Sink) -> Result<(), Refusal>,
}

/// A file format, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Such as `JSON`, `XML` or `CSV`.
    pub name: &'static str,
    /// File name endings without the dot.
    pub extensions: &'static [&'static str],
}

impl Scanner {
    /// Reads `report`, handing each finding to `sink`. One broken record becomes a warning and the
    /// rest is kept; a report that cannot be read as this format at all is refused as a whole, and so
    /// is one that gives nothing and is of another scanner.
    pub fn parse(&self, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        if report.is_archive() && !self.reads_archives() {
            return Err(Refusal::new("this is a zip archive")
                .hint("unpack it, and send the report that is in it"));
        }
        let head = report.head();
        let mut counted = Counted {
            sink,
            scan_type: self.scan_type,
            said: 0,
        };
        let sniff = head.sniff();
        let folder = registry::folder_of(self);
        let is_log = self.writes_sarif(&sniff) || folder.iter().any(|own| own.writes_sarif(&sniff));
        let result = if is_log && !(self.detect)(&sniff) {
            sarif::read_as(self.scan_type, report, &mut counted)
        } else {
            (self.read)(report, &mut counted)
        };
        if result.is_ok() && counted.said > 0 {
            return Ok(());
        }
        let looks_like = registry::recognise(&head.sniff()).ok();
        let is_ours = |other: &Scanner| folder.iter().any(|own| own.scan_type == other.scan_type);
        let other = looks_like.filter(|other| !is_ours(other));
        match (result, other) {
            (Ok(()), Some(_)) if sarif::driver_of(&head.sniff()).is_some() => Ok(()),
            (Ok(()), Some(other)) => {
                let message = format!("this is not a report of {}", self.scan_type);
                Err(Refusal::new(message).hint(other.invitation()))
            }
            (Err(refusal), Some(other)) => Err(refusal.hint(other.invitation())),
            (result, None) => result,
        }
    }

    /// Is it the head of a SARIF log of one of this scanner's tools?
    pub(crate) fn writes_sarif(&self, sniff: &Sniff<'_>) -> bool {
        !self.sarif_drivers.is_empty()
            && sarif::driver_of(sniff).is_some_and(|driver| {
                (self.sarif_drivers.iter()).any(|own| own.eq_ignore_ascii_case(driver))
            })
    }

    fn reads_archives(&self) -> bool {
        let mut extensions = self.formats.iter().flat_map(|format| format.extensions);
        extensions.any(|extension| matches!(*extension, "zip" | "fpr"))
    }

    fn invitation(&self) -> String {
        format!(
            "it looks like a report of {}: send it as that",
            self.scan_type
        )
    }
}

/// Notices whether a scanner says anything at all, and that no finding is without a name.
struct Counted<'s> {
    sink: &'s mut dyn Sink,
    scan_type: &'static str,
    said: u64,
}

impl Sink for Counted<'_> {
    fn finding(&mut self, mut finding: ReportFinding) -> Result<(), Stop> {
        self.said += 1;
        if finding.title.trim().is_empty() {
            finding.title = title_of(&finding)
                .unwrap_or_else(|| format!("Finding of {} without a title", self.scan_type));
        }
        self.sink.finding(finding)
    }

    fn warning(&mut self, warning: Warning) {
        self.said += 1;
        self.sink.warning(warning);
    }

    fn test(&mut self, test: ReportTest) {
        self.sink.test(test);
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("scan_type", &self.scan_type)
            .finish_non_exhaustive()
    }
}

/// What stands for the title of a finding whose report has none: the rule's id, else how its
/// description begins.
fn title_of(finding: &ReportFinding) -> Option<String> {
    let id = finding.vuln_id_from_tool.as_deref();
    let mut texts = id.into_iter().chain(finding.description.lines());
    let text = texts.find(|text| !text.trim().is_empty())?;
    Some(text::shorten(text, 150))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Collected};

    fn blind(read: fn(Report<'_>, &mut dyn Sink) -> Result<(), Refusal>) -> Scanner {
        Scanner {
            scan_type: "Blind Scan",
            formats: &[],
            dedupe: Dedupe {
                algorithm: Algorithm::Legacy,
                fields: &[],
                allows_null_cwe: true,
            },
            sarif_drivers: &["Blindfold"],
            detect: |_| false,
            read,
        }
    }

    fn parse(scanner: &Scanner, report: &str) -> (Result<(), String>, Collected) {
        let mut out = Collected::default();
        let report = Report::from_bytes("r", report.as_bytes());
        let result = scanner.parse(report, &mut out).map_err(|r| r.to_string());
        (result, out)
    }

    #[test]
    fn a_report_of_another_scanner_is_never_an_empty_one() {
        let zap = r#"{"@version": "2.16.1", "site": []}"#;
        let told = "this is not a report of Blind Scan; \
                    it looks like a report of ZAP Scan: send it as that";
        assert_eq!(parse(&blind(|_, _| Ok(())), zap).0, Err(told.into()));
        assert_eq!(parse(&blind(|_, _| Ok(())), "{}").0, Ok(()));
        let refuses = blind(|_, _| Err(Refusal::new("no").hint("hm")));
        let told = "no; it looks like a report of ZAP Scan: send it as that";
        assert_eq!(parse(&refuses, zap).0, Err(told.into()));
        assert_eq!(parse(&refuses, "{}").0, Err("no; hm".into()));
    }

    #[test]
    fn no_finding_is_without_a_title() {
        let untitled = blind(|_, sink| {
            for (id, description) in [(Some("R1"), "x"), (None, "\n one\ntwo"), (None, "")] {
                sink.finding(ReportFinding {
                    title: " ".into(),
                    description: description.into(),
                    vuln_id_from_tool: id.map(str::to_owned),
                    ..ReportFinding::default()
                })?;
            }
            Ok(())
        });
        let (_, out) = parse(&untitled, "{}");
        let titles: Vec<_> = out.findings.iter().map(|f| f.title.as_str()).collect();
        assert_eq!(
            titles,
            ["R1", "one", "Finding of Blind Scan without a title"]
        );
    }

    #[test]
    fn a_sarif_log_of_its_tool_is_read_as_that() {
        let log = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "blindfold"}},
            "results": [{"message": {"text": "dark"}}]}]}"#;
        let scanner = blind(|_, _| Err(Refusal::new("no")));
        let (result, out) = parse(&scanner, log);
        assert_eq!((result, out.findings.len()), (Ok(()), 1));
        let test_type = out.test.and_then(|test| test.test_type);
        assert_eq!(test_type.as_deref(), Some("blindfold Scan (Blind Scan)"));
        assert!(
            parse(&scanner, &log.replace("blindfold", "other"))
                .0
                .is_err()
        );
    }

    #[test]
    fn an_archive_is_refused_by_whoever_reads_none() {
        let empty = "PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let told = "this is a zip archive; unpack it, and send the report that is in it";
        assert_eq!(parse(&blind(|_, _| Ok(())), empty).0, Err(told.into()));
    }
}
