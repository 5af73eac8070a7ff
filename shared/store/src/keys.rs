//! Every key of every table, one function for each kind of item.

use crate::JiraComment;
use jiff::civil::Date;
use tatami_domain::{
    AlertId, BlockId, DedupeScope, DeliveryId, EngagementId, FindingId, ImportId, JiraInstanceId,
    JiraIssueId, JiraObject, JobId, NoteId, Owner, ProductId, RehashJobId, RiskAcceptanceId,
    StatusPlace, TestId, TestTypeId, UserId,
};

/// Partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub pk: String,
    pub sk: String,
}

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// Numbers in sort keys have ten digits, so that text order is their order.
fn digits(n: u64) -> String {
    format!("{n:010}")
}

/// Within what findings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All findings of a product.
    Product(ProductId),
    /// Only those of one engagement (deduplication on engagement).
    Engagement(EngagementId),
}

// catalog

/// Entities lie in partitions of 1,024 ids, so that none grows without bound.
pub(crate) const CATALOG_BLOCK: u64 = 1024;

pub(crate) fn entity(kind: &str, id: u64) -> Key {
    key(entity_block(kind, id / CATALOG_BLOCK), digits(id))
}

pub(crate) fn entity_block(kind: &str, block: u64) -> String {
    format!("{kind}#{block}")
}

pub(crate) fn entity_blocks(last_id: u64) -> std::ops::RangeInclusive<u64> {
    0..=last_id / CATALOG_BLOCK
}

pub(crate) fn counter(kind: &str) -> Key {
    key("COUNTER".into(), kind)
}

/// A name is held by at most one entity of its kind within its parent (0: everywhere).
pub(crate) fn name(kind: &str, parent: u64, folded: &str) -> Key {
    key(format!("NAME#{kind}#{parent}#{folded}"), NAME)
}

pub(crate) fn child(parent_kind: &str, parent: u64, kind: &str, id: u64) -> Key {
    key(
        children(parent_kind, parent),
        format!("{kind}#{}", digits(id)),
    )
}

pub(crate) fn children(parent_kind: &str, parent: u64) -> String {
    format!("{parent_kind}#{parent}#CHILDREN")
}

pub(crate) fn children_prefix(kind: &str) -> String {
    format!("{kind}#")
}

pub(crate) fn child_id(sk: &str) -> Option<u64> {
    sk.rsplit('#').next()?.parse().ok()
}

/// What is being deleted; there is little of it at a time.
pub(crate) const GONE: &str = "GONE";

pub(crate) fn gone(kind: &str, id: u64) -> Key {
    key(GONE.into(), format!("{kind}#{}", digits(id)))
}

/// Kind and id of a child, from the sort key.
pub(crate) fn child_of(sk: &str) -> Option<(&str, u64)> {
    let (kind, id) = sk.rsplit_once('#')?;
    Some((kind, id.parse().ok()?))
}

/// The sort key of every name.
pub(crate) const NAME: &str = "NAME";

/// A key that an item of the catalog names by its partition.
pub(crate) fn name_at(pk: &str) -> Key {
    key(pk.to_owned(), NAME)
}

/// Blocks and re-import numbers of a test; apart from the test itself, since imports write here.
pub(crate) fn test_state(test: TestId) -> Key {
    key(format!("TEST#{test}#STATE"), "STATE")
}

/// Where deduplication settings lie: those that count for every product, and those of products.
pub(crate) const DEDUPE_PARTITIONS: [&str; 2] = ["DEDUPE", "DEDUPE#PRODUCT"];

const DEDUPE_SYSTEM: &str = "SYSTEM";
const DEDUPE_TEST_TYPE: &str = "TTYPE#";

pub(crate) fn dedupe(scope: DedupeScope) -> Key {
    let [common, products] = DEDUPE_PARTITIONS.map(str::to_owned);
    match scope {
        DedupeScope::System => key(common, DEDUPE_SYSTEM),
        DedupeScope::TestType(id) => key(common, format!("{DEDUPE_TEST_TYPE}{}", digits(id.0))),
        DedupeScope::Product(id) => key(products, digits(id.0)),
    }
}

pub(crate) fn dedupe_scope(pk: &str, sk: &str) -> Option<DedupeScope> {
    if pk == DEDUPE_PARTITIONS[1] {
        return Some(DedupeScope::Product(ProductId(sk.parse().ok()?)));
    }
    match sk.strip_prefix(DEDUPE_TEST_TYPE) {
        Some(id) => Some(DedupeScope::TestType(TestTypeId(id.parse().ok()?))),
        None if sk == DEDUPE_SYSTEM => Some(DedupeScope::System),
        None => None,
    }
}

/// Counts the changes of something that readers keep.
pub(crate) fn stamp(name: &str) -> Key {
    key("STAMP".into(), name)
}

/// The key of secrets, as KMS encrypted it.
pub(crate) fn secret_key() -> Key {
    key("SECRETKEY".into(), "KEY")
}

/// The system's settings as they are.
pub(crate) fn settings() -> Key {
    key("SETTINGS".into(), "CURRENT")
}

/// Where all their versions lie.
pub(crate) const SETTINGS_VERSIONS: &str = "SETTINGS#VERSIONS";

pub(crate) fn settings_version(version: u64) -> Key {
    key(SETTINGS_VERSIONS.into(), digits(version))
}

/// The head of the audit log's chain, and the entries that aren't in it yet.
pub(crate) const AUDIT_OPEN: &str = "AUDIT#OPEN";

/// The head sorts before all times.
pub(crate) fn audit_head() -> Key {
    key(AUDIT_OPEN.into(), "0HEAD")
}

/// An entry that isn't in the chain yet.
pub(crate) fn audit_open(time: jiff::Timestamp, request_id: &str) -> Key {
    key(AUDIT_OPEN.into(), format!("{time:.6}#{request_id}"))
}

/// Entries of the audit log lie in partitions of 1,024.
pub(crate) fn audit_entry(id: u64) -> Key {
    key(audit_block(id / CATALOG_BLOCK), digits(id))
}

pub(crate) fn audit_block(block: u64) -> String {
    format!("AUDIT#{block}")
}

// findings

pub(crate) fn block(block: BlockId) -> String {
    format!("B#{block}")
}

pub(crate) fn finding(id: FindingId) -> Key {
    key(block(id.block()), digits(id.0))
}

pub(crate) fn claim(scope: Scope, dedupe_key: &str) -> Key {
    let scope = match scope {
        Scope::Product(id) => format!("P{id}"),
        Scope::Engagement(id) => format!("E{id}"),
    };
    key(format!("K#{scope}#{dedupe_key}"), "K")
}

pub(crate) fn notes(of: Owner) -> String {
    format!("N#{}", owner(of))
}

/// What something is called in keys of its notes.
pub(crate) fn owner(of: Owner) -> String {
    match of {
        Owner::Finding(id) => id.to_string(),
        Owner::Engagement(id) => format!("E{id}"),
        Owner::Test(id) => format!("T{id}"),
        Owner::RiskAcceptance(id) => format!("R{id}"),
    }
}

pub(crate) fn note(of: Owner, note: NoteId) -> Key {
    key(notes(of), digits(note.0))
}

/// Whose notes got ids that were taken at once, from this one on; in partitions of 1,024 ids.
pub(crate) fn note_owners(first: NoteId) -> Key {
    key(note_owners_block(id_block(first.0)), digits(first.0))
}

pub(crate) fn note_owners_block(block: u64) -> String {
    format!("NO#{block}")
}

/// The ids from `first` on to before `end`, cut where partitions end.
pub(crate) fn id_runs(first: u64, end: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let blocks = first / CATALOG_BLOCK..end.div_ceil(CATALOG_BLOCK);
    blocks.map(move |block| {
        let start = block * CATALOG_BLOCK;
        start.max(first)..end.min(start + CATALOG_BLOCK)
    })
}

/// The partition of 1,024 ids that an id is in.
pub(crate) fn id_block(id: u64) -> u64 {
    id / CATALOG_BLOCK
}

pub(crate) fn owner_of(text: &str) -> Option<Owner> {
    Some(match text.split_at_checked(1)? {
        ("E", id) => Owner::Engagement(EngagementId(id.parse().ok()?)),
        ("T", id) => Owner::Test(TestId(id.parse().ok()?)),
        ("R", id) => Owner::RiskAcceptance(RiskAcceptanceId(id.parse().ok()?)),
        _ => Owner::Finding(FindingId(text.parse().ok()?)),
    })
}

/// The log of a product's endpoints.
pub(crate) fn endpoint_log(product: ProductId) -> String {
    format!("EP#{product}")
}

pub(crate) fn endpoint_entry(product: ProductId, place: u64) -> Key {
    key(endpoint_log(product), digits(place))
}

/// Whose endpoints got ids that were taken at once, from this one on; in partitions of 1,024 ids.
pub(crate) fn endpoint_owner(first: u64) -> Key {
    key(endpoint_owners(id_block(first)), digits(first))
}

pub(crate) fn endpoint_owners(block: u64) -> String {
    format!("EO#{block}")
}

/// What people said about endpoints of findings of a product.
pub(crate) fn endpoint_statuses(product: ProductId) -> String {
    format!("ES#{product}")
}

pub(crate) fn endpoint_statuses_of(finding: FindingId) -> String {
    format!("{}#", digits(finding.0))
}

pub(crate) fn endpoint_status(product: ProductId, of: StatusPlace) -> Key {
    let sk = format!("{}{}", endpoint_statuses_of(of.finding), digits(of.place));
    key(endpoint_statuses(product), sk)
}

pub(crate) fn status_place(sk: &str) -> Option<StatusPlace> {
    let (finding, place) = sk.split_once('#')?;
    Some(StatusPlace {
        finding: FindingId(finding.parse().ok()?),
        place: place.parse().ok()?,
    })
}

pub(crate) fn allocation(product: ProductId) -> Key {
    key(format!("A#{product}"), "A")
}

/// Counts of all products lie in this many partitions, so that one look at few partitions tells what
/// has changed anywhere.
pub(crate) const COUNT_SHARDS: u64 = 4;

pub(crate) fn count_shard(shard: u64) -> String {
    format!("C#{shard}")
}

fn count_partition(product: ProductId) -> String {
    count_shard(product.0 % COUNT_SHARDS)
}

pub(crate) fn count_prefix(product: ProductId) -> Key {
    key(count_partition(product), format!("{}#", digits(product.0)))
}

pub(crate) fn count_base(product: ProductId) -> Key {
    key(count_partition(product), format!("{}#B", digits(product.0)))
}

pub(crate) fn count_delta(product: ProductId, delta: &str) -> Key {
    key(
        count_partition(product),
        format!("{}#D#{delta}", digits(product.0)),
    )
}

/// What a sort key of a count partition stands for.
pub(crate) enum CountItem<'a> {
    Base(ProductId),
    Delta(ProductId, &'a str),
}

pub(crate) fn count_item(sk: &str) -> Option<CountItem<'_>> {
    let (product, rest) = sk.split_once('#')?;
    let product = ProductId(product.parse().ok()?);
    match rest.strip_prefix("D#") {
        Some(delta) => Some(CountItem::Delta(product, delta)),
        None if rest == "B" => Some(CountItem::Base(product)),
        None => None,
    }
}

/// What changed on which day in a product.
pub(crate) fn days(product: ProductId) -> String {
    format!("D#{product}")
}

/// The sort keys of a day's items; of each earlier day they sort before these.
pub(crate) fn day_prefix(day: Date) -> String {
    format!("{day}#")
}

/// A part of what changed on a day.
pub(crate) fn day(product: ProductId, day: Date, part: u64) -> Key {
    key(days(product), format!("{day}#{part:04}"))
}

/// Day and part of a sort key.
pub(crate) fn day_of(sk: &str) -> Option<(Date, u64)> {
    let (day, part) = sk.split_once('#')?;
    Some((day.parse().ok()?, part.parse().ok()?))
}

pub(crate) fn test_counts(test: TestId) -> Key {
    key(format!("T#{test}"), "COUNTS")
}

pub(crate) fn sla_summary(product: ProductId) -> Key {
    key(format!("S#{product}"), "SLA")
}

/// The product of a summary's partition.
pub(crate) fn product_of_summary(pk: &str) -> Option<ProductId> {
    Some(ProductId(pk.strip_prefix("S#")?.parse().ok()?))
}

// jobs

pub(crate) fn import_partition(import: ImportId) -> String {
    format!("I#{import}")
}

pub(crate) fn import(import: ImportId) -> Key {
    key(import_partition(import), "IMPORT")
}

/// Which parts are done and how many there are; apart from the record, to keep updates small.
pub(crate) fn import_progress(import: ImportId) -> Key {
    key(import_partition(import), "PROGRESS")
}

pub(crate) fn import_part(import: ImportId, part: u64) -> Key {
    key(
        import_partition(import),
        format!("{PART_PREFIX}{}", digits(part)),
    )
}

pub(crate) const PART_PREFIX: &str = "PART#";

pub(crate) fn import_chunk(import: ImportId, part: u64, chunk: u32) -> Key {
    key(
        import_partition(import),
        format!("{CHUNK_PREFIX}{}#{}", digits(part), digits(chunk.into())),
    )
}

pub(crate) const CHUNK_PREFIX: &str = "CHUNK#";

/// The part of a chunk.
pub(crate) fn chunk_part(sk: &str) -> Option<u64> {
    sk.strip_prefix(CHUNK_PREFIX)?
        .split('#')
        .next()?
        .parse()
        .ok()
}

pub(crate) fn import_closing(import: ImportId, unique: &str) -> Key {
    key(
        import_partition(import),
        format!("{CLOSING_PREFIX}{unique}"),
    )
}

pub(crate) const CLOSING_PREFIX: &str = "CLOSING#";

pub(crate) fn imports_of_test(test: TestId) -> String {
    format!("T#{test}#IMPORTS")
}

/// The imports of a test lie in the order in which they took their places.
pub(crate) fn import_of_test(test: TestId, sequence: u64) -> Key {
    key(imports_of_test(test), digits(sequence))
}

/// Those that were only noted by hand lie before all others.
pub(crate) fn noted_import_of_test(test: TestId, import: ImportId) -> Key {
    key(
        imports_of_test(test),
        format!("{}#{}", digits(0), digits(import.0)),
    )
}

/// What lists need of the imports that are done, in partitions of 1,024 ids.
pub(crate) fn import_line(import: ImportId) -> Key {
    key(import_lines(import.0 / CATALOG_BLOCK), digits(import.0))
}

pub(crate) fn import_lines(block: u64) -> String {
    format!("IMPORTS#{block}")
}

/// Jobs that work off what requests began, in partitions of 1,024 ids.
pub(crate) fn job(job: JobId) -> Key {
    key(jobs(job.0 / CATALOG_BLOCK), digits(job.0))
}

pub(crate) fn jobs(block: u64) -> String {
    format!("JOBS#{block}")
}

/// What happened on a day that others may want to be told of.
pub(crate) fn events(day: Date) -> String {
    format!("EVENTS#{day}")
}

pub(crate) fn event(day: Date, kind: &str, object: u64, occasion: &str) -> Key {
    key(events(day), format!("{kind}#{}#{occasion}", digits(object)))
}

/// Over so many partitions the outbox lies.
const OUTBOX_SHARDS: u64 = 4;

/// Names an entry of the outbox: when it was written, in milliseconds, and a random number.
pub(crate) fn outbox_id(at_ms: i64, random: u64) -> String {
    format!("{at_ms:013}-{random:016x}")
}

/// When an entry of the outbox was written, in milliseconds.
pub(crate) fn outbox_time(id: &str) -> Option<i64> {
    id.split_once('-')?.0.parse().ok()
}

pub(crate) fn outbox(id: &str) -> Key {
    let last = id.as_bytes().last().copied().unwrap_or_default();
    key(outbox_shard(u64::from(last) % OUTBOX_SHARDS), id)
}

fn outbox_shard(shard: u64) -> String {
    format!("OUTBOX#{shard}")
}

pub(crate) fn outbox_partitions() -> Vec<String> {
    (0..OUTBOX_SHARDS).map(outbox_shard).collect()
}

/// What one process alone works on.
pub(crate) fn lease(name: &str) -> Key {
    key(format!("LEASE#{name}"), "LEASE")
}

/// The delivery that a key names, so that the same message isn't made twice.
pub(crate) fn delivery_name(name: &str) -> Key {
    key(format!("DELIVERED#{name}"), NAME)
}

pub(crate) fn delivery(id: DeliveryId) -> Key {
    key(deliveries(id.0 / CATALOG_BLOCK), digits(id.0))
}

pub(crate) fn deliveries(block: u64) -> String {
    format!("DELIVERIES#{block}")
}

/// Over so many partitions lies what waits.
const WAITING_SHARDS: u64 = 4;

/// A delivery that waits for a try.
pub(crate) fn waiting(id: DeliveryId) -> Key {
    key(waiting_shard(id.0 % WAITING_SHARDS), digits(id.0))
}

fn waiting_shard(shard: u64) -> String {
    format!("WAITING#{shard}")
}

pub(crate) fn waiting_partitions() -> Vec<String> {
    (0..WAITING_SHARDS).map(waiting_shard).collect()
}

/// A delivery that waits for its user's digest.
pub(crate) fn collected(user: UserId, id: DeliveryId) -> Key {
    key(all_collected(user), digits(id.0))
}

pub(crate) fn all_collected(user: UserId) -> String {
    format!("COLLECTED#{user}")
}

/// The users who collect messages.
pub(crate) const COLLECTING: &str = "COLLECTING";

pub(crate) fn collecting(user: UserId) -> Key {
    key(COLLECTING.into(), digits(user.0))
}

pub(crate) fn alert(user: UserId, alert: AlertId) -> Key {
    key(alerts(user), digits(alert.0))
}

pub(crate) fn alerts(user: UserId) -> String {
    format!("ALERTS#{user}")
}

/// How it stands with a JIRA.
pub(crate) fn jira_state(instance: JiraInstanceId) -> Key {
    key(format!("JIRA#{instance}"), "STATE")
}

/// That an issue is about to be made of something.
pub(crate) fn jira_attempt(object: JiraObject) -> Key {
    let object = match object {
        JiraObject::Finding(id) => format!("F{id}"),
        JiraObject::FindingGroup(id) => format!("G{id}"),
        JiraObject::Engagement(id) => format!("E{id}"),
    };
    key(format!("JIRAA#{object}"), "ATTEMPT")
}

/// What tells this installation from others.
pub(crate) fn installation() -> Key {
    key("INSTALLATION".into(), "INSTALLATION")
}

/// The comments of an issue that came over, either way.
pub(crate) fn jira_comments(issue: JiraIssueId) -> String {
    format!("JIRAC#{issue}")
}

pub(crate) fn jira_comment(issue: JiraIssueId, comment: &JiraComment) -> Key {
    let place = match comment {
        JiraComment::In(id) => format!("IN#{id}"),
        JiraComment::Out(note) => format!("OUT#{note}"),
        JiraComment::Event(event) => format!("EVENT#{event}"),
    };
    key(jira_comments(issue), place)
}

/// The comment at a sort key.
pub(crate) fn jira_comment_at(sk: &str) -> Option<JiraComment> {
    match sk.split_once('#')? {
        ("IN", id) => Some(JiraComment::In(id.to_owned())),
        ("OUT", note) => note.parse().ok().map(JiraComment::Out),
        ("EVENT", event) => Some(JiraComment::Event(event.to_owned())),
        _ => None,
    }
}

/// The jobs that give findings new keys; there are few of them.
pub(crate) const REHASH_JOBS: &str = "REHASH";

pub(crate) fn rehash_job(job: RehashJobId) -> Key {
    key(REHASH_JOBS.into(), digits(job.0))
}

/// Which of them is under way.
pub(crate) fn rehash_active() -> Key {
    key(format!("{REHASH_JOBS}#ACTIVE"), "ACTIVE")
}

/// Failed sign-ins of a window of time.
pub(crate) fn attempts(who: &str, window: i64) -> Key {
    key(format!("ATTEMPTS#{who}"), window.to_string())
}

/// How full a client's bucket is.
pub(crate) fn rate(who: &str) -> Key {
    key(format!("RATE#{who}"), "RATE")
}

/// A request of a user that comes under a key, and a piece of its answer.
pub(crate) fn idempotent(user: u64, hash: &str) -> Key {
    key(format!("ONCE#{user}#{hash}"), "ONCE")
}

pub(crate) fn idempotent_piece(user: u64, hash: &str, piece: usize) -> Key {
    key(format!("ONCE#{user}#{hash}"), format!("PIECE#{piece:04}"))
}

/// One S3 event of one object, so that the second delivery finds the first one's import.
pub(crate) fn upload_event(bucket: &str, object: &str, event: &str) -> Key {
    key(upload_events(bucket, object), event)
}

pub(crate) fn upload_events(bucket: &str, object: &str) -> String {
    format!("S3#{bucket}/{object}")
}

/// An item under the key that it was read with.
pub(crate) fn same(pk: &str, sk: &str) -> Key {
    key(pk.to_owned(), sk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_partition() {
        let first = finding(FindingId(2048));
        assert_eq!(first.pk, "B#2");
        assert_eq!(first.pk, finding(FindingId(3071)).pk);
        assert_ne!(first.pk, finding(FindingId(3072)).pk);
        assert!(first.sk < finding(FindingId(3071)).sk);
    }

    #[test]
    fn owners_of_notes_are_told_by_their_names() {
        for of in [
            Owner::Finding(FindingId(7)),
            Owner::Engagement(EngagementId(7)),
            Owner::Test(TestId(7)),
            Owner::RiskAcceptance(RiskAcceptanceId(7)),
        ] {
            assert_eq!(owner_of(&owner(of)), Some(of));
        }
        for text in ["", "E", "x", "é7"] {
            assert_eq!(owner_of(text), None, "{text}");
        }
    }

    #[test]
    fn runs_of_ids_end_where_partitions_do() {
        let runs = |first, end| -> Vec<(u64, u64)> {
            let runs = id_runs(first, end);
            runs.map(|run| (run.start, run.end)).collect()
        };
        assert_eq!(runs(5, 9), [(5, 9)]);
        assert_eq!(runs(1000, 1024), [(1000, 1024)]);
        assert_eq!(runs(1000, 2050), [(1000, 1024), (1024, 2048), (2048, 2050)]);
    }

    #[test]
    fn levels_are_told_by_their_keys() {
        for scope in [
            DedupeScope::System,
            DedupeScope::TestType(TestTypeId(3)),
            DedupeScope::Product(ProductId(3)),
        ] {
            let key = dedupe(scope);
            assert_eq!(dedupe_scope(&key.pk, &key.sk), Some(scope));
        }
        assert_eq!(dedupe_scope("DEDUPE", "OTHER"), None);
    }

    #[test]
    fn count_items_are_told_apart() {
        let base = count_base(ProductId(7));
        assert!(matches!(
            count_item(&base.sk),
            Some(CountItem::Base(ProductId(7)))
        ));
        let delta = count_delta(ProductId(7), "I1.0.2");
        assert!(delta.sk.starts_with(&count_prefix(ProductId(7)).sk));
        assert!(matches!(
            count_item(&delta.sk),
            Some(CountItem::Delta(ProductId(7), "I1.0.2"))
        ));
    }
}
