//! What an import tells when it's through: one digest, and one event of what is Critical.
//!
//! Both are written before the import is done, under keys that are the same whenever that is tried again:
//! so they are told once, and never not at all. Their time is that of the upload.

use std::collections::BTreeMap;

use tatami_domain::{
    Engagement, Event, Finding, FindingId, Import, ImportActions, ImportCounts, MAX_NAMED_FINDINGS,
    NamedFinding, Product, ProductId, ScanAdded, Severity, Test, TestId,
};
use tatami_duplicates::{About, is_critical, named, title_of_test};
use tatami_store::{Store, StoreError};

use crate::DedupError;

/// So many findings are read at once.
const AT_ONCE: usize = 1_000;
/// An import is through once.
const OCCASION: &str = "done";

/// Tells of an import with these counts.
pub async fn run(
    store: &Store,
    import: &Import,
    actions: &ImportActions,
    product: ProductId,
    test: TestId,
) -> Result<(), DedupError> {
    let about = About {
        product,
        test,
        import: Some(import.id),
    };
    let read = tokio::try_join!(store.get::<Test>(test), store.get::<Product>(product));
    let (test, product) = match read {
        // whoever finishes an import looks afterwards whether its place is still there
        Err(error) if error.is_not_found() => return Ok(()),
        read => read?,
    };
    let engagement: Engagement = store.get(test.engagement).await?;
    let seen = Seen::read(store, actions).await?;
    let ImportCounts {
        created,
        closed,
        reactivated,
        untouched,
        ..
    } = import.counts;
    let scan = ScanAdded {
        import: import.id,
        test: test.id,
        test_title: title_of_test(store, &test).await?,
        engagement: engagement.id,
        engagement_name: engagement.name,
        product_name: product.name,
        scan_type: import.scan_type.clone().unwrap_or_default(),
        new: created,
        closed,
        reactivated,
        left_untouched: untouched,
        new_by_severity: seen.new_by_severity,
        findings: seen.worst,
        warnings: import.warnings_total,
    };
    let place = Some(product.id);
    let event = Event::new(
        &scan.into_data(),
        import.id,
        OCCASION,
        place,
        import.created,
    );
    store.tell(&event).await?;
    if seen.critical_count > 0 {
        let (named, count) = (seen.critical, seen.critical_count);
        let event = about.event(store, named, count, OCCASION, import.created);
        if let Some(event) = event.await? {
            store.tell(&event).await?;
        }
    }
    Ok(())
}

/// What is new and what is open again.
#[derive(Default)]
struct Seen {
    new_by_severity: BTreeMap<Severity, u64>,
    /// Of those that are open.
    worst: Vec<NamedFinding>,
    critical: Vec<NamedFinding>,
    critical_count: u64,
}

impl Seen {
    async fn read(store: &Store, actions: &ImportActions) -> Result<Self, StoreError> {
        let mut all = actions.created.clone();
        all.extend(&actions.reactivated);
        let ids: Vec<FindingId> = all.iter().collect();
        let mut seen = Self::default();
        for some in ids.chunks(AT_ONCE) {
            for finding in store.findings(some.iter().copied()).await? {
                seen.add(&finding, actions.created.contains(finding.id));
            }
            seen.worst = NamedFinding::worst(std::mem::take(&mut seen.worst));
        }
        Ok(seen)
    }

    fn add(&mut self, finding: &Finding, new: bool) {
        if new {
            *self.new_by_severity.entry(finding.severity).or_default() += 1;
        }
        if finding.flags.is_open() {
            self.worst.push(named(finding));
        }
        if is_critical(finding) {
            self.critical_count += 1;
            if self.critical.len() < MAX_NAMED_FINDINGS {
                self.critical.push(named(finding));
            }
        }
    }
}
