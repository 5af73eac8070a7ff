use std::fmt;

use tatami_domain::Dedupe;

use crate::{Refusal, Report, Sink, Sniff};

/// One kind of report that Tatami reads. A scanner's folder describes it by a static value of this.
pub struct Scanner {
    /// The name clients send as `scan_type`, such as `Trivy Scan`.
    pub scan_type: &'static str,
    /// The formats it reads, for the list of scanners and for people.
    pub formats: &'static [Format],
    /// How its findings are deduplicated.
    pub dedupe: Dedupe,
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
    /// rest is kept; a report that cannot be read as this format at all is refused as a whole.
    pub fn parse(&self, report: Report<'_>, sink: &mut dyn Sink) -> Result<(), Refusal> {
        (self.read)(report, sink)
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("scan_type", &self.scan_type)
            .finish_non_exhaustive()
    }
}
