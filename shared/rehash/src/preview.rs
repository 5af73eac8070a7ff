use std::collections::{BTreeMap, HashMap};
use std::slice;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tatami_blobs::Blobs;
use tatami_dedup_rules::{reconsider, stand};
use tatami_domain::{DedupeScope, Finding, FindingId, MAX_REHASH_NOTES, RehashCounts, RehashSaved};
use tatami_store::{Scope, Sight, Store};

use crate::{Rekey, RekeyError, Wanted};

/// A preview looks at most at so many findings.
pub const MAX_PREVIEWED: usize = 50_000;

/// What settings would change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Preview {
    /// Were all findings looked at?
    pub complete: bool,
    /// In numbers of findings.
    pub counts: RehashCounts,
    /// The first findings whose standing would change.
    pub examples: Vec<Example>,
}

/// A finding whose standing would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Example {
    pub finding: FindingId,
    pub title: String,
    pub hash_code_before: String,
    pub hash_code_after: String,
    /// The original now and then, where it is a duplicate.
    pub duplicate_of_before: Option<FindingId>,
    pub duplicate_of_after: Option<FindingId>,
    /// The original that would be proposed.
    pub proposed_duplicate: Option<FindingId>,
}

/// Thinks through what settings would change, and writes nothing.
pub async fn preview(
    store: &Store,
    blobs: &Blobs,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Preview, RekeyError> {
    let sight = match &wanted.scope {
        DedupeScope::Product(id) => Sight::Products(slice::from_ref(id)),
        DedupeScope::System | DedupeScope::TestType(_) => Sight::All,
    };
    let mut findings: BTreeMap<FindingId, Arc<Finding>> = BTreeMap::new();
    let mut complete = true;
    let see = |finding: &Arc<Finding>| {
        findings.insert(finding.id, Arc::clone(finding));
        if findings.len() > MAX_PREVIEWED {
            findings.pop_last();
            complete = false;
        }
    };
    store.sweep(sight, see).await?;
    let findings: Vec<&Finding> = findings.values().map(AsRef::as_ref).collect();
    let mut preview = Preview {
        complete,
        ..Preview::default()
    };
    let mut rekey = Rekey::new(store, blobs, wanted);
    rekey.prepare(findings.iter().copied()).await?;
    let mut done: HashMap<FindingId, Finding> = HashMap::with_capacity(findings.len());
    let mut by_key: HashMap<(Scope, String), Vec<FindingId>> = HashMap::new();
    for finding in findings {
        let scope = rekey.scope(finding);
        let mut after = finding.clone();
        if rekey.is_affected(finding) {
            let keys = rekey.keys(finding).await?;
            after.keys = keys.keys;
            after.hash_code = keys.hash_code;
            let same_key: Vec<&Finding> = (after.keys.iter())
                .filter_map(|key| by_key.get(&(scope, key.clone())))
                .flatten()
                .filter_map(|id| done.get(id))
                .collect();
            let standing = reconsider(finding, &same_key, &rekey.settings(finding));
            stand(&mut after, standing, now);
            note(&mut preview, finding, &after);
        }
        for key in &after.keys {
            by_key
                .entry((scope, key.clone()))
                .or_default()
                .push(after.id);
        }
        done.insert(after.id, after);
    }
    Ok(preview)
}

fn note(preview: &mut Preview, before: &Finding, after: &Finding) {
    let saved = RehashSaved::from(before);
    preview.counts.add(&saved, after);
    let moved = before.flags.duplicate != after.flags.duplicate
        || before.duplicate_finding != after.duplicate_finding
        || before.proposed_duplicate != after.proposed_duplicate;
    if moved && preview.examples.len() < MAX_REHASH_NOTES {
        preview.examples.push(Example {
            finding: after.id,
            title: after.title.clone(),
            hash_code_before: before.hash_code.clone(),
            hash_code_after: after.hash_code.clone(),
            duplicate_of_before: before.duplicate_finding,
            duplicate_of_after: after.duplicate_finding,
            proposed_duplicate: after.proposed_duplicate,
        });
    }
}
