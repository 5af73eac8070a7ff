//! Both tables together, and what they say of a finding.

use std::io;

use tatami_domain::{Exploitation, Finding, SlaConfiguration};

use crate::{Catalogue, Cve, Epss, FormatError, Kev, Score, Scores, format};

/// EPSS scores and the KEV catalogue, as far as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intel {
    pub(crate) scores: Option<Scores>,
    pub(crate) catalogue: Option<Catalogue>,
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

    /// Without scores, and the catalogue as it was.
    #[must_use]
    pub fn without_epss(self) -> Self {
        Self {
            scores: None,
            ..self
        }
    }

    /// Without a catalogue, and the scores as they were.
    #[must_use]
    pub fn without_kev(self) -> Self {
        Self {
            catalogue: None,
            ..self
        }
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

    /// What is known of a finding: what it says itself, and what the tables have on its CVEs.
    pub fn of(&self, finding: &Finding) -> Exploitation {
        Exploitation::of(finding).updated(self.exploitation(&finding.vulnerability_ids))
    }

    /// What a configuration has to know of a finding: nothing, where it has no tiers.
    pub fn for_sla(&self, sla: &SlaConfiguration, finding: &Finding) -> Exploitation {
        if sla.has_tiers() {
            self.of(finding)
        } else {
            Exploitation::default()
        }
    }

    /// What the tables have on these vulnerability ids; those that aren't CVEs are passed over.
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
