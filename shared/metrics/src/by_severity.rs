use serde::Serialize;
use tatami_domain::Severity;

/// A value for all severities together and one for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs, reason = "each is of the severity that it's named after")]
pub struct BySeverity<T> {
    /// Of all severities.
    pub all: T,
    pub critical: T,
    pub high: T,
    pub medium: T,
    pub low: T,
    pub info: T,
}

impl<T> BySeverity<T> {
    /// The value of one severity.
    pub const fn of(&self, severity: Severity) -> &T {
        match severity {
            Severity::Critical => &self.critical,
            Severity::High => &self.high,
            Severity::Medium => &self.medium,
            Severity::Low => &self.low,
            Severity::Info => &self.info,
        }
    }

    /// Changes the value of one severity and that of all.
    pub fn change(&mut self, severity: Severity, mut change: impl FnMut(&mut T)) {
        change(&mut self.all);
        change(match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        });
    }

    /// Another value made of each.
    pub(crate) fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> BySeverity<U> {
        BySeverity {
            all: make(&self.all),
            critical: make(&self.critical),
            high: make(&self.high),
            medium: make(&self.medium),
            low: make(&self.low),
            info: make(&self.info),
        }
    }
}

impl BySeverity<i64> {
    /// Adds the numbers of another.
    pub fn merge(&mut self, other: &Self) {
        let add = |a: &mut i64, b: i64| *a = a.saturating_add(b);
        add(&mut self.all, other.all);
        add(&mut self.critical, other.critical);
        add(&mut self.high, other.high);
        add(&mut self.medium, other.medium);
        add(&mut self.low, other.low);
        add(&mut self.info, other.info);
    }
}

impl BySeverity<u64> {
    /// Counts `n` findings of a severity in.
    pub(crate) fn add(&mut self, severity: Severity, n: u64) {
        self.change(severity, |count| *count = count.saturating_add(n));
    }
}
