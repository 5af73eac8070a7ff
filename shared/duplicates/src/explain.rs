//! Why a finding is a duplicate, or why it is none.

use std::sync::Arc;

use serde::Serialize;
use tatami_dedup_rules::{hashed_values, keys_of_stored, may_be_original, share_a_place};
use tatami_domain::{Algorithm, Finding, FindingId, ResolvedDedupe, Texts};
use tatami_store::{Scope, Sight};

use crate::held::scopes;
use crate::{Duplicates, Result};

/// So many candidates are shown at most.
const SHOWN: usize = 25;

/// Why a finding is a duplicate, or why it is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Which finding.
    pub finding: FindingId,
    /// Is it a duplicate?
    pub duplicate: bool,
    /// Its original.
    pub duplicate_finding: Option<FindingId>,
    /// The answer in a sentence.
    pub reason: String,
    /// Within what findings are compared: `product` or `engagement`.
    pub scope: &'static str,
    /// Id of that.
    pub scope_id: u64,
    /// How its scanner's findings are recognised.
    pub algorithm: &'static str,
    /// Its scanner's own id, where the algorithm looks at it.
    pub unique_id_from_tool: Option<String>,
    /// The fields of the hash with their values of today.
    pub fields: Vec<(&'static str, Option<String>)>,
    /// The hash as clients know it.
    pub hash_code: String,
    /// The keys by which it is recognised.
    pub keys: Vec<String>,
    /// Would the values of today give other keys? A finding from an import keeps those that it came
    /// with, however it was changed since.
    pub changed_since: bool,
    /// Its original, and the other originals with a key in common; earliest first.
    pub candidates: Vec<Candidate>,
    /// How many candidates there are in all.
    pub candidates_total: usize,
}

/// A finding that is, or could have been, the original.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Its id.
    pub id: FindingId,
    /// Its title.
    pub title: String,
    /// Is it the original?
    pub original: bool,
    /// The keys that both have.
    pub keys_in_common: Vec<String>,
    /// What the endpoint rule says: both have none, both have one at the same host and path, or
    /// neither of that.
    pub endpoints: &'static str,
    /// Why it is the original, or why it is not.
    pub reason: String,
}

impl Duplicates<'_> {
    /// Explains a finding whose scanner has these settings.
    pub async fn explain(
        &self,
        finding: &Finding,
        texts: &Texts,
        dedupe: &ResolvedDedupe,
    ) -> Result<Explanation> {
        let mut found = Vec::new();
        let see = |other: &Arc<Finding>| {
            if is_candidate(finding, other) {
                found.push(Arc::clone(other));
            }
        };
        let sight = Sight::Products(&[finding.product]);
        self.store.visit(sight, see).await?;
        let mut others: Vec<&Finding> = found.iter().map(AsRef::as_ref).collect();
        others.sort_by_key(|other| (Some(other.id) != finding.duplicate_finding, other.id));
        let total = others.len();
        others.truncate(SHOWN);
        let mut all = others.clone();
        all.push(finding);
        let scopes = scopes(self.store, &all).await?;
        let scope = scopes.get(&finding.id).copied();
        let scope = scope.unwrap_or(Scope::Product(finding.product));
        let candidates: Vec<Candidate> = (others.into_iter())
            .map(|other| candidate(finding, other, scopes.get(&other.id) == Some(&scope)))
            .collect();
        let (kind, scope_id) = match scope {
            Scope::Product(id) => ("product", id.0),
            Scope::Engagement(id) => ("engagement", id.0),
        };
        let by_id = matches!(
            dedupe.algorithm,
            Algorithm::UniqueId | Algorithm::UniqueIdOrHashCode
        );
        Ok(Explanation {
            finding: finding.id,
            duplicate: finding.flags.duplicate,
            duplicate_finding: finding.duplicate_finding,
            reason: reason(finding, &candidates),
            scope: kind,
            scope_id,
            algorithm: dedupe.algorithm.name(),
            unique_id_from_tool: finding.unique_id_from_tool.clone().filter(|_| by_id),
            fields: hashed_values(finding, texts, dedupe),
            hash_code: finding.hash_code.clone(),
            keys: finding.keys.clone(),
            changed_since: keys_of_stored(finding, texts, dedupe).keys != finding.keys,
            candidates,
            candidates_total: total,
        })
    }
}

/// The original, and the originals that have a key in common.
fn is_candidate(finding: &Finding, other: &Finding) -> bool {
    let common = || finding.keys.iter().any(|key| other.keys.contains(key));
    other.id != finding.id
        && (Some(other.id) == finding.duplicate_finding || (!other.flags.duplicate && common()))
}

fn candidate(finding: &Finding, other: &Finding, same_scope: bool) -> Candidate {
    let keys: Vec<String> = (finding.keys.iter())
        .filter(|key| other.keys.contains(key))
        .cloned()
        .collect();
    let (a, b) = (&finding.endpoint_places, &other.endpoint_places);
    let share = share_a_place(a, b);
    let original = Some(other.id) == finding.duplicate_finding;
    let reason = if original && keys.is_empty() {
        "it is the original because somebody made it so: they have no key in common"
    } else if original && !share {
        "it is the original because somebody made it so: they have no endpoint in common"
    } else if original {
        "it is the original: they have a key in common, and the endpoint rule holds"
    } else if !same_scope {
        "they are not deduplicated together: one engagement is deduplicated alone"
    } else if !share {
        "they have a key in common, but no endpoint at the same host and path"
    } else if other.id > finding.id {
        "it came later"
    } else if !may_be_original(other) {
        "it was mitigated: what comes back after that is a new original"
    } else if finding.flags.duplicate {
        "another one is the original"
    } else {
        "they have a key in common; it was mitigated or another's duplicate when this one came, or \
         somebody took them apart"
    };
    Candidate {
        id: other.id,
        title: other.title.clone(),
        original,
        keys_in_common: keys,
        endpoints: match share {
            true if a.is_empty() => "both have none",
            true => "same host and path",
            false => "different",
        },
        reason: reason.to_owned(),
    }
}

fn reason(finding: &Finding, candidates: &[Candidate]) -> String {
    let original = candidates.iter().find(|candidate| candidate.original);
    match (finding.flags.duplicate, original, candidates.len()) {
        (true, Some(original), _) => format!(
            "A duplicate of finding {}: {}.",
            original.id, original.reason
        ),
        (true, None, _) => "A duplicate of nothing that exists: reset it.".to_owned(),
        (false, _, 0) => {
            "No duplicate: no other original of its product has a key in common.".to_owned()
        }
        (false, _, n) => format!(
            "No duplicate: {n} others have a key in common, each with the reason why it is not the \
             original."
        ),
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::Flags;

    use super::*;

    fn finding(id: u64, keys: &[&str], places: &[u32]) -> Finding {
        Finding {
            id: FindingId(id),
            flags: Flags::OPEN,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            endpoint_places: places.to_vec(),
            ..Finding::default()
        }
    }

    #[test]
    fn every_candidate_says_why() {
        let mut this = finding(5, &["k"], &[1]);
        let said = |this: &Finding, other: &Finding, same: bool| {
            assert!(is_candidate(this, other));
            candidate(this, other, same).reason
        };
        let early = finding(1, &["k"], &[1, 2]);
        assert!(said(&this, &early, false).contains("not deduplicated together"));
        assert!(said(&this, &finding(1, &["k"], &[2]), true).contains("no endpoint"));
        assert!(said(&this, &finding(9, &["k"], &[1]), true).contains("later"));
        let mut closed = early.clone();
        closed.flags.is_mitigated = true;
        assert!(said(&this, &closed, true).contains("mitigated"));
        assert!(said(&this, &early, true).contains("took them apart"));
        this.flags.duplicate = true;
        this.duplicate_finding = Some(FindingId(1));
        assert!(said(&this, &early, true).contains("the endpoint rule holds"));
        assert!(said(&this, &finding(1, &["l"], &[1]), true).contains("no key in common"));
        assert!(!is_candidate(&this, &finding(2, &["l"], &[1])));
        let all = [candidate(&this, &early, true)];
        assert!(reason(&this, &all).starts_with("A duplicate of finding 1: it is the original"));
        this.flags.duplicate = false;
        assert!(reason(&this, &[]).contains("no other original"));
    }
}
