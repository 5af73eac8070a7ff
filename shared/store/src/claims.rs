use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tatami_domain::{FindingId, TestId};

use crate::db::{Item, Table, document, number, number_of, read_document, text_of};
use crate::keys::Scope;
use crate::{Result, Store, keys};

/// Who holds a dedupe key: its originals, and which findings of which tests have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Within what.
    pub scope: Scope,
    /// Which key.
    pub key: String,
    /// Counts the writes; 0: nobody holds the key.
    pub(crate) version: u64,
    /// The first version, where there is none: a number that the key never had, since a claim goes when
    /// nobody holds its key any more.
    first: u64,
    /// In the order in which they came.
    pub members: Vec<Member>,
    /// Originals that don't have the key themselves: somebody made findings that have it duplicates
    /// of them by hand.
    pub stand_ins: Vec<FindingId>,
    /// Members were left out to keep the claim small; where a test isn't among the members, its
    /// findings must be looked through.
    pub overflow: bool,
}

/// A finding that has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u8)", into = "(u64, u64, u8)")]
pub struct Member {
    /// Its test.
    pub test: TestId,
    /// Itself.
    pub finding: FindingId,
    /// Is it an original, and no duplicate?
    pub original: bool,
}

impl From<(u64, u64, u8)> for Member {
    fn from((test, finding, original): (u64, u64, u8)) -> Self {
        Self {
            test: TestId(test),
            finding: FindingId(finding),
            original: original != 0,
        }
    }
}

impl From<Member> for (u64, u64, u8) {
    fn from(m: Member) -> Self {
        (m.test.0, m.finding.0, m.original.into())
    }
}

#[derive(Serialize, Deserialize)]
struct Document {
    m: Vec<Member>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    x: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    o: Vec<FindingId>,
}

/// First versions are below this: short numbers, and enough of them.
const FIRST_MAX: u64 = 1 << 40;

impl Claim {
    /// So many members keep a claim within one write unit.
    const MAX_MEMBERS: usize = 32;

    /// The claim of a key that nobody holds.
    pub fn unheld(scope: Scope, key: &str) -> Self {
        Self {
            scope,
            key: key.to_owned(),
            version: 0,
            first: rand::random_range(1..FIRST_MAX),
            members: Vec::new(),
            stand_ins: Vec::new(),
            overflow: false,
        }
    }

    /// The findings of a test that have the key.
    pub fn of_test(&self, test: TestId) -> impl Iterator<Item = FindingId> + '_ {
        self.members
            .iter()
            .filter(move |m| m.test == test)
            .map(|m| m.finding)
    }

    /// The originals, earliest first, then those that stand in.
    pub fn originals(&self) -> impl Iterator<Item = FindingId> + '_ {
        let members = self.members.iter().filter(|m| m.original);
        members
            .map(|m| m.finding)
            .chain(self.stand_ins.iter().copied())
    }

    /// Adds a finding. The oldest duplicates give way when there are many.
    pub fn add(&mut self, member: Member) {
        if self.members.iter().any(|m| m.finding == member.finding) {
            return;
        }
        self.members.push(member);
        while self.members.len() > Self::MAX_MEMBERS {
            let Some(oldest) = self.members.iter().position(|m| !m.original) else {
                return;
            };
            self.members.remove(oldest);
            self.overflow = true;
        }
    }

    /// Notes what has become of a finding that has the key; adds it where it isn't listed.
    pub fn mark(&mut self, member: Member) {
        match self
            .members
            .iter_mut()
            .find(|m| m.finding == member.finding)
        {
            Some(known) => *known = member,
            None => self.add(member),
        }
    }

    /// Takes a finding out that is gone or has the key no longer.
    pub fn remove(&mut self, finding: FindingId) {
        self.members.retain(|m| m.finding != finding);
    }

    /// Does nobody hold the key?
    pub(crate) fn is_unheld(&self) -> bool {
        self.members.is_empty() && self.stand_ins.is_empty() && !self.overflow
    }

    /// Notes that the claim was committed as it is.
    pub fn written(&mut self) {
        if self.is_unheld() {
            self.version = 0;
            self.first = rand::random_range(1..FIRST_MAX);
        } else {
            self.version = self.next_version();
        }
    }

    fn next_version(&self) -> u64 {
        match self.version {
            0 => self.first,
            version => version + 1,
        }
    }

    pub(crate) fn item(&self) -> Result<Item> {
        let body = Document {
            m: self.members.clone(),
            x: self.overflow,
            o: self.stand_ins.clone(),
        };
        let mut item = document(&keys::claim(self.scope, &self.key), &body)?;
        item.insert("v".into(), number(self.next_version()));
        Ok(item)
    }
}

impl Store {
    /// The claims of the keys, each once; a key that nobody holds has no members.
    pub async fn claims<'k>(
        &self,
        scope: Scope,
        wanted: impl IntoIterator<Item = &'k str>,
    ) -> Result<HashMap<String, Claim>> {
        let mut claims: HashMap<String, Claim> = (wanted.into_iter())
            .map(|key| (key.to_owned(), Claim::unheld(scope, key)))
            .collect();
        let mut by_pk = HashMap::with_capacity(claims.len());
        let mut wanted = Vec::with_capacity(claims.len());
        for key in claims.keys() {
            let item_key = keys::claim(scope, key);
            by_pk.insert(item_key.pk.clone(), key.clone());
            wanted.push(item_key);
        }
        for item in self.db.get_many(Table::Findings, wanted).await? {
            let body: Document = read_document(&item)?;
            let key = text_of(&item, "pk").and_then(|pk| by_pk.get(pk));
            if let Some(claim) = key.and_then(|key| claims.get_mut(key)) {
                claim.version = number_of(&item, "v").unwrap_or(1);
                claim.members = body.m;
                claim.overflow = body.x;
                claim.stand_ins = body.o;
            }
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use tatami_domain::ProductId;

    use super::*;

    #[test]
    fn originals_stay_when_a_claim_grows() {
        let mut claim = Claim::unheld(Scope::Product(ProductId(1)), "hx");
        for n in 0..100 {
            claim.add(Member {
                test: TestId(n),
                finding: FindingId(n),
                original: n == 0,
            });
        }
        assert_eq!(claim.members.len(), Claim::MAX_MEMBERS);
        assert_eq!(claim.originals().collect::<Vec<_>>(), [FindingId(0)]);
        assert!(claim.overflow);
        assert_eq!(claim.of_test(TestId(99)).count(), 1);
        claim.remove(FindingId(0));
        assert_eq!(claim.originals().count(), 0);
        claim.mark(Member {
            test: TestId(99),
            finding: FindingId(99),
            original: true,
        });
        assert_eq!(claim.originals().collect::<Vec<_>>(), [FindingId(99)]);
        assert_eq!(claim.of_test(TestId(99)).count(), 1);
    }

    #[test]
    fn what_stands_in_is_an_original_and_no_member() {
        let mut claim = Claim::unheld(Scope::Product(ProductId(1)), "hx");
        let mut member = Member {
            test: TestId(1),
            finding: FindingId(1),
            original: true,
        };
        claim.mark(member);
        member.original = false;
        claim.mark(member);
        claim.stand_ins.push(FindingId(9));
        assert_eq!(claim.members, [member]);
        assert_eq!(claim.originals().collect::<Vec<_>>(), [FindingId(9)]);
        assert_eq!(claim.of_test(TestId(1)).collect::<Vec<_>>(), [FindingId(1)]);
        claim.remove(FindingId(1));
        assert!(claim.members.is_empty());
    }

    /// As version 0.1 wrote it.
    #[test]
    fn a_claim_without_stand_ins_is_read_as_it_was_stored() {
        let read: Document = serde_json::from_str(r#"{"m":[[3,7,1],[4,8,0]],"x":true}"#).unwrap();
        assert!(read.x && read.o.is_empty() && read.m[0].original && !read.m[1].original);
    }
}
