use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    AttachedFile, BlockId, EndpointId, EngagementId, FindingGroupId, FindingId, FindingJira,
    FlagChange, FlagError, Flags, ImportId, ProductId, RequestResponse, RiskAcceptanceId, Severity,
    ShortStatus, TestId, TestTypeId, UserId,
};

/// A finding as it is stored: everything that lists, filters and rules need, without its long
/// texts, which lie in a pack (see [`TextRef`]).
///
/// The names in the stored document are short, because each byte is kept and paid for a million
/// times; fields with their usual value are left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(
    missing_docs,
    reason = "the names are the REST API's; units are given where there are any"
)]
pub struct Finding {
    /// Part of the key, not of the document.
    #[serde(skip)]
    pub id: FindingId,
    /// Counts the writes of this finding, for optimistic locking; part of the item, not of the
    /// document.
    #[serde(skip)]
    pub version: u64,
    #[serde(rename = "p")]
    pub product: ProductId,
    #[serde(rename = "e")]
    pub engagement: EngagementId,
    #[serde(rename = "t")]
    pub test: TestId,
    #[serde(rename = "tt")]
    pub test_type: TestTypeId,
    #[serde(rename = "n")]
    pub title: String,
    #[serde(rename = "s", with = "severity_rank")]
    pub severity: Severity,
    #[serde(rename = "f")]
    pub flags: Flags,
    #[serde(rename = "c", skip_serializing_if = "is_zero")]
    pub cwe: u32,
    #[serde(rename = "cs", skip_serializing_if = "Vec::is_empty")]
    pub extra_cwes: Vec<u32>,
    #[serde(rename = "v", skip_serializing_if = "Vec::is_empty")]
    pub vulnerability_ids: Vec<String>,
    #[serde(rename = "v3", skip_serializing_if = "Option::is_none")]
    pub cvssv3: Option<String>,
    #[serde(rename = "v3s", skip_serializing_if = "Option::is_none")]
    pub cvssv3_score: Option<f64>,
    #[serde(rename = "v4", skip_serializing_if = "Option::is_none")]
    pub cvssv4: Option<String>,
    #[serde(rename = "v4s", skip_serializing_if = "Option::is_none")]
    pub cvssv4_score: Option<f64>,
    #[serde(rename = "ep", skip_serializing_if = "Option::is_none")]
    pub epss_score: Option<f64>,
    #[serde(rename = "epp", skip_serializing_if = "Option::is_none")]
    pub epss_percentile: Option<f64>,
    #[serde(rename = "ke", skip_serializing_if = "Option::is_none")]
    pub known_exploited: Option<bool>,
    #[serde(rename = "rw", skip_serializing_if = "Option::is_none")]
    pub ransomware_used: Option<bool>,
    #[serde(rename = "kd", skip_serializing_if = "Option::is_none")]
    pub kev_date: Option<Date>,
    #[serde(rename = "cn", skip_serializing_if = "Option::is_none")]
    pub component_name: Option<String>,
    #[serde(rename = "cv", skip_serializing_if = "Option::is_none")]
    pub component_version: Option<String>,
    #[serde(rename = "fa", skip_serializing_if = "Option::is_none")]
    pub fix_available: Option<bool>,
    #[serde(rename = "fv", skip_serializing_if = "Option::is_none")]
    pub fix_version: Option<String>,
    #[serde(rename = "fp", skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    #[serde(rename = "l", skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    #[serde(rename = "so", skip_serializing_if = "Option::is_none")]
    pub sast_source_object: Option<String>,
    #[serde(rename = "sf", skip_serializing_if = "Option::is_none")]
    pub sast_source_file_path: Option<String>,
    #[serde(rename = "sl", skip_serializing_if = "Option::is_none")]
    pub sast_source_line: Option<u64>,
    #[serde(rename = "sk", skip_serializing_if = "Option::is_none")]
    pub sast_sink_object: Option<String>,
    /// The first endpoints; all of them are in the pack when there are more.
    #[serde(rename = "en", skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// Hashes of host and path of every endpoint, sorted, for the duplicate check.
    #[serde(rename = "eh", skip_serializing_if = "Vec::is_empty")]
    pub endpoint_places: Vec<u32>,
    /// Its endpoints, in the order in which they came to it; 0 where one was taken off, so that the others
    /// keep their places.
    #[serde(
        rename = "ei",
        with = "crate::runs",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub endpoint_ids: Vec<EndpointId>,
    #[serde(rename = "pa", skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    #[serde(rename = "sv", skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    pub unique_id_from_tool: Option<String>,
    #[serde(rename = "vi", skip_serializing_if = "Option::is_none")]
    pub vuln_id_from_tool: Option<String>,
    /// The day it was found.
    #[serde(rename = "d")]
    pub date: Date,
    #[serde(rename = "pd", skip_serializing_if = "Option::is_none")]
    pub publish_date: Option<Date>,
    #[serde(rename = "rd", skip_serializing_if = "Option::is_none")]
    pub planned_remediation_date: Option<Date>,
    #[serde(rename = "rv", skip_serializing_if = "Option::is_none")]
    pub planned_remediation_version: Option<String>,
    #[serde(rename = "ef", skip_serializing_if = "Option::is_none")]
    pub effort_for_fixing: Option<String>,
    #[serde(rename = "no", skip_serializing_if = "Option::is_none")]
    pub nb_occurences: Option<u32>,
    #[serde(rename = "sc", skip_serializing_if = "Option::is_none")]
    pub scanner_confidence: Option<u32>,
    #[serde(rename = "tg", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(rename = "st", skip_serializing_if = "is_false")]
    pub static_finding: bool,
    #[serde(rename = "dy", skip_serializing_if = "is_false")]
    pub dynamic_finding: bool,
    /// The original, where this is a duplicate.
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub duplicate_finding: Option<FindingId>,
    /// An original that is proposed to a person, where duplicates are decided by hand.
    #[serde(rename = "po", skip_serializing_if = "Option::is_none")]
    pub proposed_duplicate: Option<FindingId>,
    /// Who decided whether it is a duplicate, where that was a person: it's then not decided again.
    #[serde(rename = "ob", skip_serializing_if = "Option::is_none")]
    pub duplicate_by: Option<UserId>,
    #[serde(rename = "cr", with = "seconds")]
    pub created: Timestamp,
    #[serde(
        rename = "m",
        with = "seconds_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub mitigated: Option<Timestamp>,
    #[serde(rename = "mb", skip_serializing_if = "Option::is_none")]
    pub mitigated_by: Option<UserId>,
    #[serde(
        rename = "su",
        with = "seconds_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_status_update: Option<Timestamp>,
    /// When the SLA starts, where that isn't `date`.
    #[serde(rename = "ss", skip_serializing_if = "Option::is_none")]
    pub sla_start_date: Option<Date>,
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub reporter: Option<UserId>,
    /// Who is asked to look at it.
    #[serde(rename = "rs", skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<UserId>,
    #[serde(rename = "rr", skip_serializing_if = "Option::is_none")]
    pub review_requested_by: Option<UserId>,
    #[serde(rename = "dr", skip_serializing_if = "Option::is_none")]
    pub defect_review_requested_by: Option<UserId>,
    /// When a person last judged it, and who.
    #[serde(
        rename = "lr",
        with = "seconds_option",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_reviewed: Option<Timestamp>,
    #[serde(rename = "lb", skip_serializing_if = "Option::is_none")]
    pub last_reviewed_by: Option<UserId>,
    #[serde(rename = "th", skip_serializing_if = "is_zero")]
    pub thread_id: u32,
    #[serde(rename = "ur", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Hex SHA-256 as the REST API's clients know it.
    #[serde(rename = "h", skip_serializing_if = "String::is_empty")]
    pub hash_code: String,
    /// Our own keys: see the crate `tatami-dedup`.
    #[serde(rename = "k", skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// By what its code is recognised when it has moved: see `trace` of the crate `tatami-dedup-rules`.
    #[serde(rename = "tr", skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// The import that created it; none for one made by hand.
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportId>,
    /// The finding group it is in; one that is gone counts as none.
    #[serde(rename = "g", skip_serializing_if = "Option::is_none")]
    pub group: Option<FindingGroupId>,
    /// The risk acceptance it is under, also one that has expired; `flags.risk_accepted` says whether it holds.
    #[serde(rename = "ra", skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<RiskAcceptanceId>,
    /// What it has to do with JIRA.
    #[serde(rename = "j", skip_serializing_if = "FindingJira::is_none")]
    pub jira: FindingJira,
    /// Where its long texts lie.
    #[serde(rename = "x", skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextRef>,
}

/// Where a finding's long texts lie: an object of packed texts, and the place in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextRef(
    /// Key of the pack.
    pub String,
    /// Place in the pack, from 0.
    pub u32,
);

/// The long texts of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Texts {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps_to_reproduce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity_justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// All endpoints, where the finding itself holds only the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestResponse>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<AttachedFile>,
}

impl Finding {
    /// How many endpoints a finding holds itself.
    pub const INLINE_ENDPOINTS: usize = 3;
    /// The longest title, in characters.
    pub const MAX_TITLE: usize = 511;

    /// The block in which it lies.
    pub const fn block(&self) -> BlockId {
        self.id.block()
    }

    /// The texts of all its endpoints, from the finding and its long texts.
    pub fn all_endpoints<'f>(&'f self, texts: &'f Texts) -> &'f [String] {
        match texts.endpoints.as_slice() {
            [] => &self.endpoints,
            all => all,
        }
    }

    /// Lets go of memory that its lists have in reserve, for one that is kept and not changed.
    pub fn shrink(&mut self) {
        self.vulnerability_ids.shrink_to_fit();
        self.endpoints.shrink_to_fit();
        self.endpoint_ids.shrink_to_fit();
        self.tags.shrink_to_fit();
        self.keys.shrink_to_fit();
    }

    /// The day from which its SLA counts.
    pub fn sla_start(&self) -> Date {
        self.sla_start_date.unwrap_or(self.date)
    }

    /// The state in one word.
    pub fn short_status(&self) -> ShortStatus {
        let planned = self.planned_remediation_date.is_some() || self.jira.in_progress;
        self.flags.short(planned)
    }

    /// The score to judge by: CVSS v4 before v3.
    pub fn cvss_score(&self) -> Option<f64> {
        self.cvssv4_score.or(self.cvssv3_score)
    }

    /// Changes the flags under their rules. `simple_acceptance` is the product's setting.
    pub fn change_flags(
        &mut self,
        change: &FlagChange,
        simple_acceptance: bool,
        by: Option<UserId>,
        now: Timestamp,
    ) -> Result<(), FlagError> {
        if change.is_empty() {
            return Ok(());
        }
        let mut next = self.flags.changed(change, simple_acceptance)?;
        if self.flags.duplicate && !next.duplicate && change.active.is_none() {
            // an original of its own again
            next.active = !next.is_closed();
        }
        if next != self.flags {
            self.last_reviewed = Some(now);
            self.last_reviewed_by = by;
        }
        self.set_flags(next, by, now);
        Ok(())
    }

    /// Sets the flags and what follows from them: the mitigation and the time of the change.
    pub fn set_flags(&mut self, flags: Flags, by: Option<UserId>, now: Timestamp) {
        if flags == self.flags {
            return;
        }
        if flags.is_mitigated && !self.flags.is_mitigated {
            self.mitigated = Some(now);
            self.mitigated_by = by;
        } else if !flags.is_mitigated {
            self.mitigated = None;
            self.mitigated_by = None;
        }
        if !flags.duplicate {
            self.duplicate_finding = None;
        }
        if self.flags.risk_accepted != flags.risk_accepted {
            // whoever does it for an acceptance says so afterwards
            self.acceptance = None;
        }
        self.flags = flags;
        self.last_status_update = Some(now);
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(b: &bool) -> bool {
    !*b
}

mod severity_rank {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::Severity;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(severity: &Severity, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(severity.rank() as u64)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Severity, D::Error> {
        let rank = usize::deserialize(from)?;
        Severity::ALL
            .get(rank)
            .copied()
            .ok_or_else(|| D::Error::custom(format!("severity {rank} is not 0 to 4")))
    }
}

mod seconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_second())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_second(i64::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod seconds_option {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_i64(at.as_second()),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Option::<i64>::deserialize(from)?
            .map(|s| Timestamp::from_second(s).map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 0.1 wrote it. Stored findings are read for ever: a name may be added here, with a
    /// default, but none may change.
    const STORED: &str = r#"{"p":1,"e":2,"t":3,"tt":4,"n":"SQL injection","s":1,"f":257,"c":89,
        "cs":[20],"v":["CVE-2025-1"],"v3":"CVSS:3.1/AV:N","v3s":7.5,"cn":"lib","cv":"1.0","fp":"src/a.rs",
        "l":7,"en":["https://a.example/x"],"eh":[5],"d":"2026-01-02","tg":["ci"],"st":true,"o":9,
        "cr":1767312000,"m":1767398400,"su":1767398400,"h":"ab","k":["hx"],"i":6,"x":["i/6/0",3]}"#;

    #[test]
    fn what_was_stored_is_read_and_written_the_same() {
        let read: Finding = serde_json::from_str(STORED).unwrap();
        assert_eq!(read.severity, Severity::High);
        assert!(read.flags.active && read.flags.is_mitigated);
        assert_eq!(read.texts, Some(TextRef("i/6/0".into(), 3)));
        assert_eq!(read.duplicate_finding, Some(FindingId(9)));
        let written: serde_json::Value = serde_json::to_value(&read).unwrap();
        assert_eq!(
            written,
            serde_json::from_str::<serde_json::Value>(STORED).unwrap()
        );
    }

    #[test]
    fn mitigation_follows_the_flags() {
        let mut finding = Finding {
            flags: Flags::OPEN,
            ..Finding::default()
        };
        let now = Timestamp::from_second(1_767_312_000).unwrap();
        let closed = Flags {
            active: false,
            is_mitigated: true,
            ..Flags::OPEN
        };
        finding.set_flags(closed, Some(UserId(1)), now);
        assert_eq!(
            (finding.mitigated, finding.mitigated_by),
            (Some(now), Some(UserId(1)))
        );
        finding.set_flags(Flags::OPEN, None, now);
        assert_eq!((finding.mitigated, finding.mitigated_by), (None, None));
        assert_eq!(finding.last_status_update, Some(now));
    }
}
