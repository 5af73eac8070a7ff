//! Both tables together, and what they say of a finding.

use std::io;

use jiff::civil::Date;

use crate::{Catalogue, Cve, Epss, FormatError, Kev, Score, Scores, format};

/// EPSS scores and the KEV catalogue, as far as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intel {
    pub(crate) scores: Option<Scores>,
    pub(crate) catalogue: Option<Catalogue>,
}

/// What is known of the exploitation of a finding's vulnerabilities.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Exploitation {
    /// The highest EPSS score of its CVEs, 0 to 1; none where none has one.
    pub epss_score: Option<f64>,
    /// The percentile of that score, 0 to 1.
    pub epss_percentile: Option<f64>,
    /// One of its CVEs is in the KEV catalogue.
    pub known_exploited: bool,
    /// One of them was used in a ransomware campaign.
    pub ransomware_used: bool,
    /// The day on which the first of them came into the catalogue.
    pub kev_date: Option<Date>,
}

impl Intel {
    /// The two files as they were read. Warnings are let go of.
    pub fn new(epss: Option<Epss>, kev: Option<Kev>) -> Self {
        Self {
            scores: epss.map(|epss| epss.scores),
            catalogue: kev.map(|kev| kev.catalogue),
        }
    }

    /// With other scores, and the catalogue as it was.
    #[must_use]
    pub fn with_epss(self, epss: Epss) -> Self {
        let scores = Some(epss.scores);
        Self { scores, ..self }
    }

    /// With another catalogue, and the scores as they were.
    #[must_use]
    pub fn with_kev(self, kev: Kev) -> Self {
        let catalogue = Some(kev.catalogue);
        Self { catalogue, ..self }
    }

    /// The scores; none where no file of them was read.
    pub const fn epss(&self) -> Option<&Scores> {
        self.scores.as_ref()
    }

    /// The catalogue; none where none was read, so that nothing is known to be exploited.
    pub const fn kev(&self) -> Option<&Catalogue> {
        self.catalogue.as_ref()
    }

    /// The object that is stored. The same tables give the same bytes.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        format::write(self)
    }

    /// Reads what [`Intel::to_bytes`] wrote. Anything that is cut off or changed is an error.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        format::read(bytes)
    }

    /// What is known of a finding with these vulnerability ids; those that aren't CVEs are passed over.
    pub fn exploitation(&self, vulnerability_ids: &[String]) -> Exploitation {
        let mut found = Exploitation::default();
        let mut highest = None;
        for cve in vulnerability_ids.iter().filter_map(|id| Cve::parse(id)) {
            let score = self.scores.as_ref().and_then(|scores| scores.get(cve));
            highest = highest.max(score);
            let entry = self.catalogue.as_ref().and_then(|kev| kev.get(cve));
            if let Some(entry) = entry {
                found.known_exploited = true;
                found.ransomware_used |= entry.ransomware;
                found.kev_date = found.kev_date.into_iter().chain(entry.added).min();
            }
        }
        found.epss_score = highest.map(Score::score);
        found.epss_percentile = highest.map(Score::percentile);
        found
    }
}
