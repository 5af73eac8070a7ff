//! What there is to tell of findings that become open and Critical, and of those who are named in notes
//! about many at once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tatami_blobs::{BlobError, Blobs, told_key};
use tatami_domain::{
    BulkChange, CriticalFinding, Event, EventData, Finding, FindingId, ImportId, Job, MentionedIn,
    NamedFinding, NoteId, Product, ProductId, Severity, Test, TestId, TestType, UserId,
    UserMentioned, Work,
};
use tatami_store::{Change, Store, StoreError};

use crate::Result;
use crate::bulk::Listed;

/// What there is to tell once a job is done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct JobTold {
    /// What its change makes open and Critical, and that wasn't so before.
    pub critical: Vec<FindingId>,
    /// Who is named in its note.
    pub mentioned: Vec<UserId>,
}

impl JobTold {
    /// Of a change of these findings, as they are before.
    pub fn new(
        findings: &[Finding],
        change: &BulkChange,
        by: UserId,
        mentioned: &[UserId],
    ) -> Self {
        let now = Timestamp::now();
        let turns = |old: &&Finding| {
            // what is accepted is not open, whether simply or not
            let new = change.apply(old, false, Some(by), now);
            new.is_ok_and(|new| is_critical(&new) && !is_critical(old))
        };
        let critical = findings.iter().filter(|_| !change.delete).filter(turns);
        Self {
            critical: critical.map(|finding| finding.id).collect(),
            mentioned: mentioned.to_vec(),
        }
    }
}

/// Is a finding what people want to know of at once?
pub fn is_critical(finding: &Finding) -> bool {
    finding.flags.is_open() && finding.severity == Severity::Critical
}

/// The findings that changes make open and Critical, and that weren't so before.
pub fn turned_critical(changes: &[Change]) -> Vec<&Finding> {
    let sides = changes.iter().map(Change::sides);
    sides
        .filter(|(old, _)| !old.is_some_and(is_critical))
        .filter_map(|(_, new)| new.filter(|new| is_critical(new)))
        .collect()
}

/// What lists call a test: its title, or else its type.
pub async fn title_of_test(store: &Store, test: &Test) -> Result<String, StoreError> {
    if let Some(title) = test.title.as_ref().or(test.scan_type.as_ref()) {
        return Ok(title.clone());
    }
    match store.get::<TestType>(test.test_type).await {
        Err(error) if error.is_not_found() => Ok(String::new()),
        kind => Ok(kind?.name),
    }
}

/// The event that findings of a product are new or open again, of whom all are told that want to be. None
/// where there are no findings, or their test is gone.
pub async fn critical_event(
    store: &Store,
    findings: &[&Finding],
    import: Option<ImportId>,
    occasion: &str,
    time: Timestamp,
) -> Result<Option<Event>, StoreError> {
    let Some(first) = findings.first() else {
        return Ok(None);
    };
    let named = NamedFinding::worst(findings.iter().map(|finding| named(finding)));
    let (test, product) = (first.test, first.product);
    let about = About {
        product,
        test,
        import,
    };
    about
        .event(store, named, findings.len() as u64, occasion, time)
        .await
}

/// A finding as events name it.
pub fn named(finding: &Finding) -> NamedFinding {
    NamedFinding {
        id: finding.id,
        title: finding.title.clone(),
        severity: finding.severity,
    }
}

/// Where Critical findings are, and what brought them.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Their product.
    pub product: ProductId,
    /// The test of the first of them.
    pub test: TestId,
    /// The import that brought them.
    pub import: Option<ImportId>,
}

impl About {
    /// The event of so many findings, of which these are named.
    pub async fn event(
        self,
        store: &Store,
        findings: Vec<NamedFinding>,
        count: u64,
        occasion: &str,
        time: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        let read = tokio::try_join!(store.get::<Test>(self.test), store.get(self.product));
        let (test, product): (Test, Product) = match read {
            Err(error) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        let data = EventData::CriticalFinding(CriticalFinding {
            import: self.import,
            test: test.id,
            test_title: title_of_test(store, &test).await?,
            product_name: product.name,
            findings,
            count,
        });
        let object = self.import.map_or(test.id.0, |import| import.0);
        let product = Some(product.id);
        Ok(Some(Event::new(&data, object, occasion, product, time)))
    }
}

/// The event that people are named in a note on a finding.
pub fn mention(
    by: UserId,
    finding: &Finding,
    note: NoteId,
    entry: &str,
    to: &[UserId],
    time: Timestamp,
) -> Option<Event> {
    let place = MentionedIn::Finding(finding.id);
    let data = UserMentioned::new(by, place, &finding.title, entry);
    let data = EventData::UserMentioned(data);
    let product = Some(finding.product);
    let event = Event::new(&data, note, "written", product, time).to(to.to_vec());
    Some(event).filter(|_| !to.is_empty())
}

/// Keeps what there is to tell once a job is done.
pub async fn keep_told(blobs: &Blobs, list: &str, told: &JobTold) -> Result<()> {
    if *told != JobTold::default() {
        blobs.put_json(&told_key(list), told).await?;
    }
    Ok(())
}

/// Tells, of a job that is through, what was kept for that: once, however often it's called.
pub async fn tell_of_job(store: &Store, blobs: &Blobs, job: &Job) -> Result<()> {
    let Work::Bulk { change, list } = &job.work else {
        return Ok(());
    };
    if change.acceptance.is_some() || change.delete {
        return Ok(());
    }
    let told: JobTold = match blobs.json(&told_key(list)).await {
        Err(BlobError::NotFound { .. }) => return Ok(()),
        told => told?,
    };
    if let (false, Some(entry)) = (told.mentioned.is_empty(), &change.note) {
        let listed: Vec<Listed> = blobs.json(&tatami_blobs::list_key(list)).await?;
        let first = listed.iter().find_map(|(id, note)| Some((*id, (*note)?)));
        if let Some((finding, note)) = first
            && let Some(finding) = store.findings([finding]).await?.first()
        {
            let event = mention(job.by, finding, note, entry, &told.mentioned, job.created);
            if let Some(event) = event {
                store.tell(&event).await?;
            }
        }
    }
    let mut by_product: BTreeMap<ProductId, Vec<Finding>> = BTreeMap::new();
    for finding in store.findings(told.critical).await? {
        if is_critical(&finding) {
            by_product.entry(finding.product).or_default().push(finding);
        }
    }
    let occasion = format!("job-{}", job.id);
    for findings in by_product.into_values() {
        let findings: Vec<&Finding> = findings.iter().collect();
        let event = critical_event(store, &findings, None, &occasion, job.created).await?;
        if let Some(event) = event {
            store.tell(&event).await?;
        }
    }
    Ok(())
}
