use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{EndpointId, Finding, FindingId, UserId};

/// An endpoint of a finding, by its place among the finding's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusPlace {
    /// The finding.
    pub finding: FindingId,
    /// The place in [`Finding::endpoint_ids`].
    pub place: u64,
}

impl StatusPlace {
    /// So many endpoints of a finding have a status.
    pub const MAX: u64 = 1 << 16;

    /// The number that clients know it by.
    pub const fn id(self) -> u64 {
        self.finding.0 * Self::MAX + self.place
    }

    /// The place with this number.
    pub const fn of_id(id: u64) -> Self {
        Self {
            finding: FindingId(id / Self::MAX),
            place: id % Self::MAX,
        }
    }
}

/// How an endpoint of a finding is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the REST API's")]
pub struct EndpointStatus {
    pub finding: FindingId,
    pub endpoint: EndpointId,
    pub date: Date,
    pub last_modified: Timestamp,
    pub mitigated: bool,
    pub mitigated_time: Option<Timestamp>,
    pub mitigated_by: Option<UserId>,
    pub false_positive: bool,
    pub out_of_scope: bool,
    pub risk_accepted: bool,
}

impl EndpointStatus {
    /// How it is where nobody has said anything of the endpoint itself: as the finding is.
    pub fn of(finding: &Finding, endpoint: EndpointId) -> Self {
        let flags = finding.flags;
        Self {
            finding: finding.id,
            endpoint,
            date: finding.date,
            last_modified: finding.last_status_update.unwrap_or(finding.created),
            mitigated: flags.is_mitigated,
            mitigated_time: finding.mitigated,
            mitigated_by: finding.mitigated_by,
            false_positive: flags.false_p,
            out_of_scope: flags.out_of_scope,
            risk_accepted: flags.risk_accepted,
        }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        if self.false_positive {
            "FalsePositive"
        } else if self.out_of_scope {
            "OutOfScope"
        } else if self.risk_accepted {
            "RiskAccepted"
        } else if self.mitigated {
            "Mitigated"
        } else {
            "Active"
        }
    }
}

impl Finding {
    /// Its endpoints with their places, without those that were taken off.
    pub fn endpoints_with_places(&self) -> impl Iterator<Item = (StatusPlace, EndpointId)> + '_ {
        let places = (0..StatusPlace::MAX).zip(&self.endpoint_ids);
        let there = places.filter(|(_, id)| id.0 > 0);
        there.map(|(place, id)| {
            let finding = self.id;
            (StatusPlace { finding, place }, *id)
        })
    }

    /// Adds an endpoint, unless it has it, and gives its place; none where there are too many.
    pub fn add_endpoint(&mut self, id: EndpointId) -> Option<StatusPlace> {
        let known = self.endpoint_ids.iter().position(|own| *own == id);
        let place = known.unwrap_or(self.endpoint_ids.len()) as u64;
        if place >= StatusPlace::MAX {
            return None;
        }
        if known.is_none() {
            self.endpoint_ids.push(id);
        }
        let finding = self.id;
        Some(StatusPlace { finding, place })
    }

    /// Takes an endpoint off; the others keep their places.
    pub fn remove_endpoint(&mut self, id: EndpointId) {
        for own in &mut self.endpoint_ids {
            if *own == id {
                *own = EndpointId(0);
            }
        }
        while self.endpoint_ids.last() == Some(&EndpointId(0)) {
            self.endpoint_ids.pop();
        }
    }
}

/// A list of ids as it is stored: runs of ids that follow each other, each as its first and how many there are.
/// What is added at once has ids in a row, so that a thousand take no more room than one.
pub mod runs {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error};

    use crate::EndpointId;

    /// No more ids are read than this.
    const MAX: u64 = 1 << 20;

    /// Writes ids as runs.
    pub fn serialize<S: Serializer>(ids: &[EndpointId], to: S) -> Result<S::Ok, S::Error> {
        let mut runs: Vec<u64> = Vec::new();
        for id in ids {
            match runs.as_mut_slice() {
                [.., first, count] if *first > 0 && *first + *count == id.0 => *count += 1,
                [.., 0, count] if id.0 == 0 => *count += 1,
                _ => runs.extend([id.0, 1]),
            }
        }
        runs.serialize(to)
    }

    /// Reads ids from runs.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<EndpointId>, D::Error> {
        let runs = Vec::<u64>::deserialize(from)?;
        let (pairs, rest) = runs.as_chunks::<2>();
        let total: u64 = pairs.iter().map(|[_, count]| (*count).min(MAX + 1)).sum();
        if !rest.is_empty() || total > MAX {
            return Err(D::Error::custom("these are no runs of ids"));
        }
        let run = |[first, count]: &[u64; 2]| {
            let step = u64::from(*first > 0);
            let first = *first;
            (0..*count).map(move |n| EndpointId(first.saturating_add(n * step)))
        };
        Ok(pairs.iter().flat_map(run).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(ids: &[u64]) -> Finding {
        Finding {
            id: FindingId(1030),
            endpoint_ids: ids.iter().copied().map(EndpointId).collect(),
            ..Finding::default()
        }
    }

    #[test]
    fn ids_in_a_row_are_stored_as_one_run() {
        let finding = finding(&[7, 8, 9, 0, 0, 3, 11, 12]);
        let stored = serde_json::to_value(&finding).unwrap();
        assert_eq!(stored["ei"], serde_json::json!([7, 3, 0, 2, 3, 1, 11, 2]));
        let read: Finding = serde_json::from_value(stored).unwrap();
        assert_eq!(read.endpoint_ids, finding.endpoint_ids);
        for wrong in ["[1]", "[1,99999999]", "[1,18446744073709551615]"] {
            let text = format!("{{\"ei\":{wrong}}}");
            assert!(serde_json::from_str::<Finding>(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_stay_when_others_go() {
        let mut finding = finding(&[7, 8]);
        let added = finding.add_endpoint(EndpointId(9)).unwrap();
        assert_eq!(StatusPlace::of_id(added.id()), added);
        finding.remove_endpoint(EndpointId(8));
        assert_eq!(finding.add_endpoint(EndpointId(9)), Some(added));
        let places: Vec<_> = (finding.endpoints_with_places())
            .map(|(place, id)| (place.place, id.0))
            .collect();
        assert_eq!(places, [(0, 7), (2, 9)]);
        finding.remove_endpoint(EndpointId(9));
        assert_eq!(finding.endpoint_ids, [EndpointId(7)]);
    }

    #[test]
    fn an_endpoint_is_as_its_finding_is() {
        let mut finding = finding(&[7]);
        let name = |finding: &Finding| EndpointStatus::of(finding, EndpointId(7)).name();
        assert_eq!(name(&finding), "Active");
        finding.flags.is_mitigated = true;
        assert_eq!(name(&finding), "Mitigated");
        finding.flags.false_p = true;
        assert_eq!(name(&finding), "FalsePositive");
    }
}
