use std::fmt;

use tatami_domain::{ReportFinding, ReportTest};

/// Takes what a scanner reads, finding by finding, so that no report need be held whole.
pub trait Sink {
    /// Takes one finding. An error ends the reading.
    fn finding(&mut self, finding: ReportFinding) -> Result<(), Stop>;
    /// Takes note of a record that could not be read; the rest of the report goes on.
    fn warning(&mut self, warning: Warning);
    /// Takes what the report says of its own test (name, type, version). At most once.
    fn test(&mut self, test: ReportTest);
}

/// The receiver wants no more findings; why is its own affair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Stop(pub String);

/// A place in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// From 1; 0 where the format has no lines.
    pub line: u64,
    /// From 1; 0 where unknown.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if self.column > 0 {
            write!(f, ", column {}", self.column)?;
        }
        Ok(())
    }
}

/// How many warnings of a JSON report say what is wrong. There may be millions: those beyond are
/// without words and only counted.
pub const TOLD: u64 = 1000;

/// A record that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warning {
    /// Which record, such as `Results[3].Vulnerabilities[12]` or `row 17`.
    pub record: String,
    /// What is wrong with it.
    pub message: String,
}

impl Warning {
    /// Is it only to be counted? See [`TOLD`].
    pub fn is_untold(&self) -> bool {
        self.record.is_empty() && self.message.is_empty()
    }
}

/// Why a report is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What is wrong, a lower-case sentence without a full stop.
    pub message: String,
    /// Where.
    pub position: Option<Position>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
            hint: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Self {
        self.position = Some(Position { line, column });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::new(stop.0)
    }
}

/// A sink that keeps everything, for small reports and tests.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Collected {
    pub findings: Vec<ReportFinding>,
    pub warnings: Vec<Warning>,
    /// How many more there were, see [`TOLD`].
    pub untold: u64,
    pub test: Option<ReportTest>,
}

impl Sink for Collected {
    fn finding(&mut self, finding: ReportFinding) -> Result<(), Stop> {
        self.findings.push(finding);
        Ok(())
    }

    fn warning(&mut self, warning: Warning) {
        if warning.is_untold() {
            self.untold += 1;
        } else {
            self.warnings.push(warning);
        }
    }

    fn test(&mut self, test: ReportTest) {
        self.test = Some(test);
    }
}
