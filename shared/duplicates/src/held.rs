//! The claims of some findings, and what changes of these findings make of them.
//!
//! Who decides by what claims say has to write these very claims: then a commit fails where somebody
//! else changed them meanwhile. So claims are read once, before anything else that a decision rests
//! on, and settled when the changes are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tatami_domain::{Engagement, EngagementId, Finding, FindingId, ImportId};
use tatami_store::{Change, Claim, Member, Scope, Store};

use crate::Result;

/// Claims as they were read, by scope and key.
#[derive(Debug, Default)]
pub struct Held {
    scopes: HashMap<FindingId, Scope>,
    claims: HashMap<(Scope, String), Claim>,
}

impl Held {
    /// Reads the claims of all keys of these findings. A finding that stands twice may have other keys
    /// each time.
    pub async fn read<'f>(
        store: &Store,
        findings: impl IntoIterator<Item = &'f Finding>,
    ) -> Result<Self> {
        let findings: Vec<&Finding> = findings.into_iter().collect();
        let scopes = scopes(store, &findings).await?;
        let mut wanted: HashMap<Scope, BTreeSet<&str>> = HashMap::new();
        for finding in &findings {
            if let Some(scope) = scopes.get(&finding.id) {
                let keys = wanted.entry(*scope).or_default();
                keys.extend(finding.keys.iter().map(String::as_str));
            }
        }
        let mut claims = HashMap::new();
        for (scope, keys) in wanted {
            for (key, claim) in store.claims(scope, keys).await? {
                claims.insert((scope, key), claim);
            }
        }
        Ok(Self { scopes, claims })
    }

    /// Within what a finding is compared; `None` for one that wasn't read.
    pub fn scope(&self, finding: FindingId) -> Option<Scope> {
        self.scopes.get(&finding).copied()
    }

    /// The originals of all the claims, without doubles.
    pub fn originals(&self) -> BTreeSet<FindingId> {
        self.claims.values().flat_map(Claim::originals).collect()
    }

    /// Notes that claims were committed as they are.
    pub fn written(&mut self, claims: Vec<Claim>) {
        for mut claim in claims {
            claim.written();
            self.claims.insert((claim.scope, claim.key.clone()), claim);
        }
    }

    /// The claims as they have to be once these changes are done.
    pub fn settled(&self, changes: &[Change]) -> Vec<Claim> {
        let mut touched: BTreeMap<&str, Vec<Scope>> = BTreeMap::new();
        let moving = changes.iter().filter(|change| match change.sides() {
            (Some(old), Some(new)) => moves(old, new),
            _ => true,
        });
        let moving: Vec<&Change> = moving.collect();
        for (old, new) in moving.iter().map(|change| change.sides()) {
            for finding in [old, new].into_iter().flatten() {
                let Some(scope) = self.scope(finding.id) else {
                    continue;
                };
                for key in &finding.keys {
                    let scopes = touched.entry(key).or_default();
                    if !scopes.contains(&scope) {
                        scopes.push(scope);
                    }
                }
            }
        }
        let touched = (touched.into_iter())
            .flat_map(|(key, scopes)| scopes.into_iter().map(move |s| (s, key)));
        touched
            .filter_map(|(scope, key)| {
                let mut claim = self.claims.get(&(scope, key.to_owned()))?.clone();
                let within = |finding: &Finding| self.scope(finding.id) == Some(scope);
                settle(&mut claim, &moving, within);
                Some(claim)
            })
            .collect()
    }
}

/// Does it mean anything to claims that a finding was so, and becomes so?
pub fn moves(old: &Finding, new: &Finding) -> bool {
    old.keys != new.keys
        || old.flags.duplicate != new.flags.duplicate
        || old.duplicate_finding != new.duplicate_finding
}

/// What changes make of one claim.
///
/// Its members are marked as they will be. As long as no member is an original, those stand in whose
/// duplicates the members are, so that what comes with this key finds them. `within`: is a finding
/// compared in the claim's scope?
fn settle(claim: &mut Claim, changes: &[&Change], within: impl Fn(&Finding) -> bool) {
    let has = |side: Option<&Finding>| {
        side.is_some_and(|finding| finding.keys.contains(&claim.key) && within(finding))
    };
    let own: Vec<_> = (changes.iter())
        .map(|change| change.sides())
        .filter(|(old, new)| has(*old) || has(*new))
        .map(|(old, new)| (old, new.filter(|new| has(Some(new))), new))
        .collect();
    for (old, holder, new) in &own {
        match holder {
            Some(new) => claim.mark(Member {
                test: new.test,
                finding: new.id,
                original: !new.flags.duplicate,
            }),
            None => old.iter().for_each(|old| claim.remove(old.id)),
        }
        // whose duplicate it was, if it's another's now
        let before = old.and_then(|old| old.duplicate_finding);
        if new.is_some_and(|new| new.duplicate_finding != before) {
            claim.stand_ins.retain(|id| Some(*id) != before);
        }
    }
    for (old, new) in changes.iter().map(|change| change.sides()) {
        if new.is_none_or(|new| new.flags.duplicate)
            && let Some(old) = old
        {
            claim.stand_ins.retain(|id| *id != old.id);
        }
    }
    let led = claim.members.iter().any(|member| member.original);
    let deserted = claim.members.is_empty() && !claim.overflow;
    if led || deserted {
        claim.stand_ins.clear();
        return;
    }
    for (old, holder, new) in &own {
        let stand_in = match (old, holder, new) {
            (_, Some(duplicate), _) => duplicate.duplicate_finding,
            // an original that has got another key: its duplicates still have this one
            (Some(old), None, Some(new)) if !old.flags.duplicate && !new.flags.duplicate => {
                Some(new.id)
            }
            _ => None,
        };
        if let Some(id) = stand_in
            && !claim.stand_ins.contains(&id)
        {
            claim.stand_ins.push(id);
        }
    }
}

/// Within what each finding is compared: as its import was told to, or, for one made by hand, as its
/// engagement is set.
pub async fn scopes(store: &Store, findings: &[&Finding]) -> Result<HashMap<FindingId, Scope>> {
    let mut by_import: HashMap<ImportId, bool> = HashMap::new();
    for import in findings.iter().filter_map(|finding| finding.import) {
        if by_import.contains_key(&import) {
            continue;
        }
        match store.import(import).await {
            Ok(record) => {
                by_import.insert(import, record.engagement_scope);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let told = |finding: &Finding| {
        let import = finding.import?;
        by_import.get(&import).copied()
    };
    let unknown: BTreeSet<EngagementId> = (findings.iter())
        .filter(|finding| told(finding).is_none())
        .map(|finding| finding.engagement)
        .collect();
    let engagements: Vec<Engagement> = store.get_all(unknown).await?;
    let set = |finding: &Finding| {
        let mut all = engagements.iter();
        all.any(|e| e.id == finding.engagement && e.deduplication_on_engagement)
    };
    Ok((findings.iter())
        .map(|finding| {
            let alone = told(finding).unwrap_or_else(|| set(finding));
            let scope = if alone {
                Scope::Engagement(finding.engagement)
            } else {
                Scope::Product(finding.product)
            };
            (finding.id, scope)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tatami_domain::{Flags, ProductId, TestId};

    use super::*;
    use crate::state::{as_duplicate, as_original, promoted};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const SCOPE: Scope = Scope::Product(ProductId(1));

    fn finding(id: u64, keys: &[&str]) -> Finding {
        Finding {
            id: FindingId(id),
            version: 1,
            test: TestId(id),
            flags: Flags::OPEN,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Finding::default()
        }
    }

    fn update(old: &Finding, new: &Finding) -> Change {
        Change::Update {
            old: Box::new(old.clone()),
            new: Box::new(new.clone()),
        }
    }

    /// Claims that these findings hold.
    fn held(findings: &[&Finding]) -> Held {
        let mut held = Held::default();
        for finding in findings {
            held.scopes.insert(finding.id, SCOPE);
            for key in &finding.keys {
                let claim = held.claims.entry((SCOPE, key.clone()));
                claim
                    .or_insert_with(|| Claim::unheld(SCOPE, key))
                    .add(Member {
                        test: finding.test,
                        finding: finding.id,
                        original: !finding.flags.duplicate,
                    });
            }
        }
        held
    }

    /// Does the changes to the claims and gives the originals of a key.
    fn after(held: &mut Held, changes: &[Change], key: &str) -> Vec<u64> {
        for claim in held.settled(changes) {
            held.claims.insert((SCOPE, claim.key.clone()), claim);
        }
        let claim = &held.claims[&(SCOPE, key.to_owned())];
        claim.originals().map(|id| id.0).collect()
    }

    #[test]
    fn the_original_of_another_key_stands_in_as_long_as_it_has_to() {
        let (a, o, p) = (finding(1, &["a"]), finding(2, &["o"]), finding(3, &["p"]));
        let mut held = held(&[&a, &o, &p]);
        let of_o = as_duplicate(&a, o.id, None, NOW);
        assert_eq!(after(&mut held, &[update(&a, &of_o)], "a"), [2]);
        let of_p = as_duplicate(&of_o, p.id, None, NOW);
        assert_eq!(after(&mut held, &[update(&of_o, &of_p)], "a"), [3]);
        let own = as_original(&of_p, None, NOW);
        assert_eq!(after(&mut held, &[update(&of_p, &own)], "a"), [1]);
        let claim = &held.claims[&(SCOPE, "a".to_owned())];
        assert!(claim.stand_ins.is_empty());
    }

    #[test]
    fn a_promoted_duplicate_takes_over_the_keys() {
        let o = finding(1, &["k", "o"]);
        let d = as_duplicate(&finding(2, &["k", "d"]), o.id, None, NOW);
        let mut held = held(&[&o, &d]);
        let changes = [
            update(&o, &as_duplicate(&o, d.id, None, NOW)),
            update(&d, &promoted(&d, &o, NOW)),
        ];
        for (key, original) in [("k", 2), ("o", 2), ("d", 2)] {
            assert_eq!(after(&mut held, &changes, key), [original], "{key}");
        }
    }

    #[test]
    fn nobody_stands_in_for_a_key_that_nobody_has() {
        let (a, o) = (finding(1, &["a"]), finding(2, &["o"]));
        let mut held = held(&[&a, &o]);
        let of_o = as_duplicate(&a, o.id, None, NOW);
        after(&mut held, &[update(&a, &of_o)], "a");
        let gone = Change::Delete {
            old: Box::new(of_o),
            notes: Vec::new(),
        };
        assert_eq!(after(&mut held, &[gone], "a"), [0u64; 0]);
    }

    #[test]
    fn an_original_that_gets_another_key_stands_in_for_its_duplicates() {
        let o = finding(1, &["k"]);
        let d = as_duplicate(&finding(2, &["k"]), o.id, None, NOW);
        let other = Finding {
            keys: vec!["l".into()],
            ..o.clone()
        };
        let mut held = held(&[&o, &d, &other]);
        held.claims
            .insert((SCOPE, "l".into()), Claim::unheld(SCOPE, "l"));
        let changes = [update(&o, &other)];
        assert_eq!(after(&mut held, &changes, "k"), [1]);
        assert_eq!(after(&mut held, &changes, "l"), [1]);
        let claim = &held.claims[&(SCOPE, "k".to_owned())];
        assert_eq!(claim.of_test(TestId(1)).count(), 0, "it is no member");
    }

    #[test]
    fn only_what_matters_to_claims_writes_them() {
        let o = finding(1, &["k"]);
        let held = held(&[&o]);
        let mut renamed = o.clone();
        renamed.title = "x".into();
        let changes = [update(&o, &renamed), Change::touch(&o)];
        assert!(held.settled(&changes).is_empty());
    }
}
