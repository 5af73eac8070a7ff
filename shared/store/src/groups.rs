//! Finding groups.
//!
//! A finding says which group it is in; a group lists nothing. So that no group is removed as empty
//! while somebody puts a finding into it, whoever puts findings in writes the group once more
//! afterwards, and a group is removed only as it was before it was seen to be empty: one of the two
//! notices the other. A finding whose group is gone is in none.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tatami_domain::{
    Finding, FindingGroup, FindingGroupId, FindingId, FindingJira, GroupBy, IdSet, ImportId,
    JiraObject, OutboxWork, ProductId, Test, TestId, UserId,
};

use crate::catalog::folded;
use crate::outbox::Follows;
use crate::{Change, Commit, Committed, Entity as _, Result, Store, StoreError};

/// So many findings change their group in one transaction.
const MOVE: usize = 48;
/// How many groups are made or written side by side.
const PARALLEL: usize = 8;
/// How often something is tried again when others change the same findings and groups.
const TRIES: u32 = 20;

/// Which findings of a test are to be put into groups, and how.
#[derive(Debug, Clone)]
pub struct Grouping<'a> {
    /// The test.
    pub test: &'a Test,
    /// What the findings of a group have in common.
    pub by: GroupBy,
    /// Is one finding enough for a new group?
    pub singles: bool,
    /// The findings to be put into groups; `None`: all. Others of the test that are in no group join
    /// them in a new group, never in one that was there.
    pub findings: Option<&'a IdSet>,
    /// Who makes new groups.
    pub creator: Option<UserId>,
    /// The import that makes them.
    pub import: Option<ImportId>,
}

/// What grouping did, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grouped {
    /// Groups that were made.
    pub created: u64,
    /// Findings that were put into groups.
    pub findings: u64,
    /// Findings that stayed as they are: in a group already, or without anything to group them by.
    pub skipped: u64,
}

/// A group as a grouping wants it.
#[derive(Debug, PartialEq)]
struct Wanted<'f> {
    name: String,
    /// The group, where it exists.
    group: Option<FindingGroupId>,
    /// The findings to be put into it.
    new: Vec<&'f Finding>,
}

impl Store {
    /// The groups of a test, by ascending id.
    pub async fn groups_of(&self, test: TestId) -> Result<Vec<FindingGroup>> {
        self.children(Test::KIND, test.0).await
    }

    async fn findings_of(&self, test: TestId) -> Result<Vec<Finding>> {
        let blocks = self.test_blocks(test).await?;
        let mut findings = self.findings_in(&blocks).await?;
        findings.retain(|finding| finding.test == test);
        Ok(findings)
    }

    /// Puts findings of a test into groups. Doing it again, or twice at once, changes nothing more;
    /// findings that are in a group stay there.
    pub async fn group_findings(&self, grouping: &Grouping<'_>) -> Result<Grouped> {
        let test = grouping.test;
        let mut done = Grouped::default();
        for attempt in 0..TRIES {
            pause(attempt).await;
            // In this order: a group that isn't among them was gone before it was looked for.
            let findings = self.findings_of(test.id).await?;
            let groups = self.groups_of(test.id).await?;
            let wanted = plan(grouping, &findings, &groups);
            let found = wanted.iter().map(|w| (w.group, w.name.clone()));
            let found: Vec<_> = found
                .map(|(group, name)| self.group_named(grouping, group, name))
                .collect();
            let found: Vec<(FindingGroupId, bool)> = futures::stream::iter(found)
                .buffered(PARALLEL)
                .try_collect()
                .await?;
            let mut moves = Vec::new();
            for (wanted, (group, made)) in wanted.into_iter().zip(&found) {
                done.created += u64::from(*made);
                moves.extend(wanted.new.into_iter().map(|f| (f, Some(*group))));
            }
            let wanted = moves.len() as u64;
            let written = self.move_findings(test.product, test.id, moves).await?;
            done.findings += written;
            let touches: Vec<_> = found.iter().map(|(id, _)| self.touch_group(*id)).collect();
            let there: Vec<bool> = futures::stream::iter(touches)
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await?;
            if written < wanted {
                // somebody put them elsewhere meanwhile
                self.remove_empty(test.id, &found).await?;
            }
            if there.into_iter().all(|there| there) {
                let asked = (findings.iter())
                    .filter(|f| grouping.findings.is_none_or(|set| set.contains(f.id)))
                    .count() as u64;
                done.skipped = asked.saturating_sub(done.findings);
                return Ok(done);
            }
        }
        Err(StoreError::Contention(format!(
            "the groups of test {}",
            test.id
        )))
    }

    /// The group of a name, where it isn't known already; and whether it was made.
    async fn group_named(
        &self,
        grouping: &Grouping<'_>,
        known: Option<FindingGroupId>,
        name: String,
    ) -> Result<(FindingGroupId, bool)> {
        if let Some(id) = known {
            return Ok((id, false));
        }
        let now = Timestamp::now();
        let group = FindingGroup {
            name,
            test: grouping.test.id,
            engagement: grouping.test.engagement,
            product: grouping.test.product,
            creator: grouping.creator,
            import: grouping.import,
            created: now,
            updated: now,
            ..FindingGroup::default()
        };
        let (group, made) = self.find_or_create(group).await?;
        Ok((group.id, made))
    }

    /// Puts findings of a test into a group that exists, each as long as it is in the group (or in
    /// none) that it was read with. Says whether the group is still there.
    pub async fn put_into_group(&self, group: &FindingGroup, findings: &[Finding]) -> Result<bool> {
        let moves = findings.iter().map(|f| (f, Some(group.id))).collect();
        self.move_findings(group.product, group.test, moves).await?;
        self.touch_group(group.id).await
    }

    /// Takes findings of a test out of their groups, each as long as it is in the one it was read
    /// with. Groups that are empty then stay; see [`Store::remove_group`].
    pub async fn take_out_of_groups(
        &self,
        product: ProductId,
        test: TestId,
        findings: &[Finding],
    ) -> Result<()> {
        let moves = findings.iter().map(|f| (f, None)).collect();
        self.move_findings(product, test, moves).await.map(drop)
    }

    /// Removes a group, if it is empty or is to be dissolved: its findings stay. Says whether it's
    /// gone.
    pub async fn remove_group(&self, id: FindingGroupId, dissolve: bool) -> Result<bool> {
        self.remove_group_if(id, dissolve, |_| Ok(())).await
    }

    /// The same, if the group still is as `check` wants it when this begins to take it apart.
    pub async fn remove_group_if<E: From<StoreError>>(
        &self,
        id: FindingGroupId,
        dissolve: bool,
        check: impl Fn(&FindingGroup) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut begun = false;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some((item, group)) = self.stored::<FindingGroup>(id).await? else {
                return Ok(true);
            };
            if !begun {
                check(&group)?;
            }
            let mut members = self.findings_of(group.test).await?;
            members.retain(|finding| finding.group == Some(id));
            if !members.is_empty() {
                if !dissolve {
                    return Ok(false);
                }
                begun = true;
                self.take_out_of_groups(group.product, group.test, &members)
                    .await?;
            }
            // before the group goes, which alone knows of it
            if let Some(issue) = group.jira_issue {
                self.forget_jira_issue(issue).await?;
            }
            if self.remove(&item, &group).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Contention(format!("finding group {id}")).into())
    }

    /// Removes those of some groups of a test that were made and then got no findings.
    async fn remove_empty(&self, test: TestId, groups: &[(FindingGroupId, bool)]) -> Result<()> {
        let findings = self.findings_of(test).await?;
        let full: HashSet<FindingGroupId> = findings.iter().filter_map(|f| f.group).collect();
        for (group, made) in groups {
            if *made && !full.contains(group) {
                self.remove_group(*group, false).await?;
            }
        }
        Ok(())
    }

    /// Says whether the group is still there, and makes that those who are about to remove it look
    /// again. Its issue in JIRA is that of its new findings too.
    async fn touch_group(&self, id: FindingGroupId) -> Result<bool> {
        let touched = self
            .change_with(id, |group: &mut FindingGroup| {
                group.updated = Timestamp::now();
                let work = group.jira_issue.map(|_| OutboxWork::Jira {
                    product: group.product,
                    objects: vec![JiraObject::FindingGroup(id)],
                });
                Ok::<_, StoreError>(work.map(Follows::from).unwrap_or_default())
            })
            .await;
        match touched {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes new groups on findings, each as long as its group is the one it was read with; gives
    /// how many were written.
    async fn move_findings(
        &self,
        product: ProductId,
        test: TestId,
        mut moves: Vec<(&Finding, Option<FindingGroupId>)>,
    ) -> Result<u64> {
        moves.retain(|(finding, to)| finding.group != *to);
        moves.sort_by_key(|(finding, _)| finding.id);
        // the issue of a group is not that of those who leave it
        let left = moves.iter().filter(|(f, _)| f.jira.issue.is_some());
        let left: Vec<FindingGroupId> = left.filter_map(|(f, _)| f.group).collect();
        let left: Vec<FindingGroup> = if left.is_empty() {
            Vec::new()
        } else {
            self.get_all(left).await?
        };
        let mut written = 0;
        for some in moves.chunks(MOVE) {
            let some = some
                .iter()
                .map(|(finding, to)| (Finding::clone(finding), *to));
            written += self.move_some(product, test, some.collect(), &left).await?;
        }
        Ok(written)
    }

    async fn move_some(
        &self,
        product: ProductId,
        test: TestId,
        mut moves: Vec<(Finding, Option<FindingGroupId>)>,
        left: &[FindingGroup],
    ) -> Result<u64> {
        let keeps = |finding: &Finding| {
            let mut left = left.iter().filter(|group| Some(group.id) == finding.group);
            left.all(|group| group.jira_issue.is_none() || group.jira_issue != finding.jira.issue)
        };
        for attempt in 0..TRIES {
            if attempt > 0 {
                pause(attempt).await;
                let mut read: HashMap<FindingId, _> = (moves.into_iter())
                    .map(|(finding, to)| (finding.id, (finding.group, to)))
                    .collect();
                let fresh = self.findings(read.keys().copied()).await?;
                moves = (fresh.into_iter())
                    .filter_map(|finding| {
                        let (from, to) = read.remove(&finding.id)?;
                        (finding.group == from).then_some((finding, to))
                    })
                    .collect();
                moves.sort_by_key(|(finding, _)| finding.id);
            }
            let Some((first, _)) = moves.first() else {
                return Ok(0);
            };
            // nobody else makes the same version of the same finding
            let unique = format!("G{}.{}", first.id, first.version);
            let changes = (moves.iter())
                .map(|(old, to)| Change::Update {
                    old: Box::new(old.clone()),
                    new: Box::new(Finding {
                        group: *to,
                        jira: if keeps(old) {
                            old.jira
                        } else {
                            FindingJira::default()
                        },
                        ..old.clone()
                    }),
                })
                .collect();
            let commit = Commit {
                product,
                changes,
                claims: Vec::new(),
                notes: Vec::new(),
                events: Vec::new(),
                marker: None,
                unique,
            };
            if self.commit(&commit).await? == Committed::Yes {
                return Ok(moves.len() as u64);
            }
        }
        Err(StoreError::Contention(format!("findings of test {test}")))
    }
}

/// What a grouping wants of each group that it has to do with. Pure.
fn plan<'f>(
    grouping: &Grouping<'_>,
    findings: &'f [Finding],
    groups: &[FindingGroup],
) -> Vec<Wanted<'f>> {
    #[derive(Default)]
    struct Found<'f> {
        name: String,
        asked: Vec<&'f Finding>,
        others: Vec<&'f Finding>,
        /// One that was asked for is in the group already, maybe by a try that broke off.
        inside: bool,
    }
    let ids: HashSet<FindingGroupId> = groups.iter().map(|group| group.id).collect();
    let by_name: HashMap<String, &FindingGroup> =
        groups.iter().map(|g| (folded(&g.name), g)).collect();
    let mut found: BTreeMap<String, Found<'f>> = BTreeMap::new();
    for finding in findings {
        let Some(name) = grouping.by.group_of(finding).map(fitting) else {
            continue;
        };
        let asked = grouping.findings.is_none_or(|set| set.contains(finding.id));
        let key = folded(&name);
        let group = by_name.get(&key).map(|group| group.id);
        let known = finding.group.filter(|id| ids.contains(id));
        let of_name = found.entry(key).or_default();
        if of_name.name.is_empty() {
            of_name.name = name;
        }
        match known {
            Some(_) if asked && known == group => of_name.inside = true,
            Some(_) => {}
            None if asked => of_name.asked.push(finding),
            None => of_name.others.push(finding),
        }
    }
    let wanted = found.into_iter().filter_map(|(key, found)| {
        if found.asked.is_empty() && !found.inside {
            return None;
        }
        let group = by_name.get(&key);
        let several = found.asked.len() + found.others.len() > 1;
        if group.is_none() && !several && !grouping.singles {
            return None;
        }
        let is_new = group.is_none_or(|g| g.import.is_some() && g.import == grouping.import);
        let mut new = found.asked;
        if is_new {
            new.extend(found.others);
        }
        Some(Wanted {
            name: found.name,
            group: group.map(|group| group.id),
            new,
        })
    });
    wanted.collect()
}

/// A name of no more than the longest length. One that is cut keeps a hash of all of it, so that two
/// long names stay two.
fn fitting(name: String) -> String {
    const HASH: usize = 12;
    if name.chars().count() <= FindingGroup::MAX_NAME {
        return name;
    }
    let hash = Sha256::digest(folded(&name).as_bytes());
    let digits = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
    let start = name.chars().take(FindingGroup::MAX_NAME - HASH - 2);
    start.chain("… ".chars()).chain(digits.take(HASH)).collect()
}

async fn pause(attempt: u32) {
    if attempt == 0 {
        return;
    }
    let most = 20u64 << attempt.min(6);
    let millis = most / 2 + rand::random_range(0..=most / 2);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: u64, component: &str, group: u64) -> Finding {
        Finding {
            id: FindingId(id),
            component_name: Some(component.into()),
            group: Some(FindingGroupId(group)).filter(|g| g.0 > 0),
            ..Finding::default()
        }
    }

    fn group(id: u64, component: &str, import: Option<u64>) -> FindingGroup {
        FindingGroup {
            id: FindingGroupId(id),
            name: format!("Findings in: {component}"),
            import: import.map(ImportId),
            ..FindingGroup::default()
        }
    }

    /// Component, group and new findings of each group that is wanted.
    fn planned(
        asked: Option<&[u64]>,
        singles: bool,
        findings: &[Finding],
        groups: &[FindingGroup],
    ) -> Vec<(String, Option<u64>, Vec<u64>)> {
        let test = Test::default();
        let asked: Option<IdSet> = asked.map(|ids| ids.iter().copied().map(FindingId).collect());
        let grouping = Grouping {
            test: &test,
            by: GroupBy::ComponentName,
            singles,
            findings: asked.as_ref(),
            creator: None,
            import: Some(ImportId(7)),
        };
        (plan(&grouping, findings, groups).into_iter())
            .map(|wanted| {
                let name = wanted.name.replace("Findings in: ", "");
                let mut ids: Vec<u64> = wanted.new.iter().map(|f| f.id.0).collect();
                ids.sort_unstable();
                (name, wanted.group.map(|g| g.0), ids)
            })
            .collect()
    }

    #[test]
    fn findings_of_one_name_make_a_group_whatever_its_case() {
        let findings = [
            finding(1, "Log4j", 0),
            finding(2, "zlib", 0),
            finding(3, "log4j", 0),
            finding(4, "", 0),
        ];
        let log4j = ("Log4j".to_owned(), None, vec![1, 3]);
        let zlib = ("zlib".to_owned(), None, vec![2]);
        assert_eq!(
            planned(None, true, &findings, &[]),
            [log4j.clone(), zlib.clone()]
        );
        assert_eq!(planned(None, false, &findings, &[]), [log4j]);
        assert_eq!(planned(Some(&[2]), true, &findings, &[]), [zlib]);
    }

    #[test]
    fn a_new_group_takes_older_findings_in_and_one_that_was_there_does_not() {
        let findings = [finding(1, "a", 0), finding(2, "a", 0)];
        let new = Some(&[2][..]);
        let both = |group| [("a".to_owned(), group, vec![1, 2])];
        assert_eq!(planned(new, false, &findings, &[]), both(None));
        let by_hand = [group(5, "a", None)];
        assert_eq!(
            planned(new, false, &findings, &by_hand),
            [("a".to_owned(), Some(5), vec![2])]
        );
        let by_this_import = [group(5, "a", Some(7))];
        assert_eq!(
            planned(new, false, &findings, &by_this_import),
            both(Some(5))
        );
    }

    #[test]
    fn who_is_in_a_group_stays_there_unless_it_is_gone() {
        let findings = [
            finding(1, "a", 4),
            finding(2, "a", 5),
            finding(3, "a", 99),
            finding(4, "b", 4),
        ];
        let groups = [group(4, "other", None), group(5, "A", None)];
        assert_eq!(
            planned(None, true, &findings, &groups),
            [("a".to_owned(), Some(5), vec![3])]
        );
        // a try that broke off after its writing is only to say so on the group
        assert_eq!(
            planned(Some(&[2]), true, &findings, &groups),
            [("a".to_owned(), Some(5), vec![])]
        );
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let long = |end: &str| format!("Findings in: Filepath {}{end}", "ä/".repeat(200));
        let (a, b) = (fitting(long("a")), fitting(long("b")));
        assert_eq!(a.chars().count(), FindingGroup::MAX_NAME);
        assert_ne!(a, b);
        assert_eq!(a, fitting(long("a")));
        assert_eq!(fitting("short".into()), "short");
    }
}
