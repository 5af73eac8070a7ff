//! Merging findings into one of them.

use jiff::Timestamp;
use tatami_blobs::Blobs;
use tatami_dedup_rules::endpoint_places;
use tatami_domain::{Endpoint, Finding, FindingId, Flags, Texts};
use tatami_store::{Committed, StoreError};

use crate::{
    DuplicateError, Duplicates, Held, Result, TRIES, contention, fitting, pause, same_product,
    update,
};

/// What becomes of the findings that are merged into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkAs {
    /// They stay, but not active.
    Inactive,
    /// They become duplicates of the other.
    Duplicate,
    /// They are deleted; duplicates of theirs become the other's.
    Delete,
}

/// What to merge, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The finding that stays.
    pub primary: FindingId,
    /// Those that are merged into it.
    pub findings: Vec<FindingId>,
    /// Are their descriptions appended to its own?
    pub append_description: bool,
    /// Are their references appended?
    pub append_references: bool,
    /// Does it get their endpoints?
    pub add_endpoints: bool,
    /// Does it get their tags?
    pub add_tags: bool,
    /// What becomes of them.
    pub mark_as: MarkAs,
}

impl Merge {
    /// So many findings are merged at once: each is made inactive, and gets a note, in one
    /// transaction with the primary.
    pub const MAX: usize = 48;
}

impl Duplicates<'_> {
    /// Merges findings into one of them and gives that one. Its own texts are written first and name
    /// what they come from, so that the same call again appends nothing twice.
    pub async fn merge(&self, blobs: &Blobs, merge: &Merge) -> Result<Finding> {
        self.check_merge(merge).await?;
        self.write_primary(blobs, merge).await?;
        if merge.mark_as != MarkAs::Inactive {
            for finding in &merge.findings {
                self.link(*finding, merge.primary).await?;
            }
        }
        if merge.mark_as == MarkAs::Delete {
            for finding in &merge.findings {
                self.delete(*finding).await?;
            }
        }
        Ok(self.store.finding(merge.primary).await?)
    }

    /// Nothing is written before everything is known to go well.
    async fn check_merge(&self, merge: &Merge) -> Result<()> {
        let primary = self.store.finding(merge.primary).await?;
        for finding in self.all(&merge.findings).await? {
            if finding.id == primary.id {
                return Err(DuplicateError::Itself(primary.id));
            }
            same_product(&finding, &primary)?;
            if merge.mark_as != MarkAs::Inactive {
                self.check_link(finding.id, primary.id).await?;
            }
        }
        Ok(())
    }

    /// The findings, all of them, in the order asked for.
    async fn all(&self, ids: &[FindingId]) -> Result<Vec<Finding>> {
        let mut found = self.store.findings(ids.iter().copied()).await?;
        found.sort_by_key(|finding| ids.iter().position(|id| *id == finding.id));
        if let Some(id) = ids.iter().find(|id| found.iter().all(|f| f.id != **id)) {
            let (kind, id) = ("finding", id.to_string());
            return Err(StoreError::NotFound { kind, id }.into());
        }
        Ok(found)
    }

    /// Writes what the primary gets; what becomes inactive does so in the same transaction.
    async fn write_primary(&self, blobs: &Blobs, merge: &Merge) -> Result<()> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let old = self.store.finding(merge.primary).await?;
            let mut others = Vec::new();
            for finding in self.all(&merge.findings).await? {
                let texts = texts_of(blobs, &finding).await?;
                others.push((finding, texts));
            }
            let before = texts_of(blobs, &old).await?;
            let (mut new, texts) = merged(&old, &before, &others, merge);
            if texts != before {
                let unique = uuid::Uuid::new_v4().simple().to_string();
                new.texts = Some(blobs.put_own_texts(&unique, texts).await?);
            }
            let now = Timestamp::now();
            let mut notes = Vec::new();
            let mut changes = Vec::new();
            if new != old {
                let ids: Vec<String> = others.iter().map(|(f, _)| f.id.to_string()).collect();
                notes.push((old.id, format!("Merged with findings {}.", ids.join(", "))));
                changes.push(update(&old, new));
            }
            let inactive = others.iter().filter(|(f, _)| {
                merge.mark_as == MarkAs::Inactive && (f.flags.active || f.flags.verified)
            });
            for (finding, _) in inactive {
                let mut new = finding.clone();
                let flags = Flags {
                    active: false,
                    ..finding.flags
                };
                new.set_flags(flags, self.by, now);
                notes.push((finding.id, format!("Merged into finding {}.", old.id)));
                changes.push(update(finding, new));
            }
            if changes.is_empty() {
                return Ok(());
            }
            let notes = self.notes(old.product, &notes, now).await?;
            let commit = fitting(old.product, &Held::default(), &changes, &[], notes);
            if self.store.commit(&commit).await? == Committed::Yes {
                return Ok(());
            }
        }
        Err(contention(merge.primary))
    }
}

async fn texts_of(blobs: &Blobs, finding: &Finding) -> Result<Texts> {
    Ok(match &finding.texts {
        Some(at) => blobs.texts(at).await?,
        None => Texts::default(),
    })
}

/// The primary with what it gets from the others.
fn merged(
    primary: &Finding,
    texts: &Texts,
    others: &[(Finding, Texts)],
    merge: &Merge,
) -> (Finding, Texts) {
    let (mut new, mut texts) = (primary.clone(), texts.clone());
    let mut urls = primary.all_endpoints(&texts).to_vec();
    for (other, its) in others {
        let section = |text: &str| format!("From finding {}, {}:\n\n{text}", other.id, other.title);
        if merge.append_description && !its.description.is_empty() {
            append(&mut texts.description, &section(&its.description));
        }
        if merge.append_references
            && let Some(references) = its.references.as_deref().filter(|text| !text.is_empty())
        {
            let own = texts.references.get_or_insert_default();
            append(own, &section(references));
        }
        if merge.add_endpoints {
            for url in other.all_endpoints(its) {
                if !urls.contains(url) {
                    urls.push(url.clone());
                }
            }
            for (_, id) in other.endpoints_with_places() {
                new.add_endpoint(id);
            }
        }
        if merge.add_tags {
            for tag in &other.tags {
                if !new.tags.contains(tag) {
                    new.tags.push(tag.clone());
                }
            }
        }
    }
    if urls.len() > primary.all_endpoints(&texts).len() {
        let endpoints: Vec<Endpoint> = (urls.iter())
            .filter_map(|url| Endpoint::parse(url).ok())
            .collect();
        new.endpoint_places.extend(endpoint_places(&endpoints));
        new.endpoint_places.sort_unstable();
        new.endpoint_places.dedup();
        new.endpoints = urls
            .iter()
            .take(Finding::INLINE_ENDPOINTS)
            .cloned()
            .collect();
        if urls.len() > Finding::INLINE_ENDPOINTS {
            texts.endpoints = urls;
        }
    }
    (new, texts)
}

/// Appends a section that isn't there yet.
fn append(text: &mut String, section: &str) {
    if text.contains(section) {
        return;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(section);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_gets_what_was_asked_for_and_never_twice() {
        let primary = Finding {
            id: FindingId(1),
            tags: vec!["a".into()],
            endpoints: vec!["https://a.example/x".into()],
            ..Finding::default()
        };
        let texts = Texts {
            description: "one".into(),
            ..Texts::default()
        };
        let other = |id: u64| {
            let finding = Finding {
                id: FindingId(id),
                title: format!("t{id}"),
                tags: vec!["a".into(), format!("b{id}")],
                endpoints: vec![
                    "https://a.example/x".into(),
                    format!("https://b.example/{id}"),
                ],
                ..Finding::default()
            };
            let texts = Texts {
                description: "two".into(),
                references: Some("https://r.example".into()),
                ..Texts::default()
            };
            (finding, texts)
        };
        let others = [other(2), other(3), other(4)];
        let mut merge = Merge {
            primary: FindingId(1),
            findings: Vec::new(),
            append_description: true,
            append_references: true,
            add_endpoints: true,
            add_tags: true,
            mark_as: MarkAs::Duplicate,
        };
        let (new, written) = merged(&primary, &texts, &others, &merge);
        assert!(
            written
                .description
                .starts_with("one\n\nFrom finding 2, t2:\n\ntwo\n\nFrom finding 3")
        );
        assert!(written.references.as_deref().unwrap().contains("r.example"));
        assert_eq!(new.tags, ["a", "b2", "b3", "b4"]);
        assert_eq!(written.endpoints.len(), 4);
        assert_eq!(new.endpoints.len(), Finding::INLINE_ENDPOINTS);
        assert_eq!(new.endpoint_places.len(), 4);
        assert_eq!(
            merged(&new, &written, &others, &merge),
            (new.clone(), written.clone()),
            "a second time nothing is added"
        );
        merge.append_description = false;
        merge.append_references = false;
        merge.add_endpoints = false;
        merge.add_tags = false;
        assert_eq!(
            merged(&primary, &texts, &others, &merge),
            (primary.clone(), texts.clone())
        );
    }
}
