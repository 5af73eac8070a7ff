//! Cutting the findings of a report into messages: chunks that each fit into one transaction, parts
//! that each fit into one message. The cut depends on the findings alone, not on their order in the
//! report, so that a second run makes the same parts.

use serde::Serialize as _;
use tatami_domain::Finding;
use tatami_queue::Reported;
use tatami_runtime::Cut;

use crate::read::Findings;

/// A finding has at most so many keys.
const MAX_KEYS: usize = 2;

/// Cuts findings (sorted here) into parts of chunks.
pub fn cut(mut findings: Findings, most: Cut) -> Vec<Vec<Findings>> {
    findings.sort_by(|a, b| {
        let (a, b) = (&a.finding, &b.finding);
        a.keys.cmp(&b.keys).then_with(|| rank(a).cmp(&rank(b)))
    });
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut part_bytes = 0;
    let mut chunk: Findings = Vec::new();
    let mut chunk_items = 0;
    for finding in findings {
        let mut items = items_after(chunk.last().map(AsRef::as_ref), &finding);
        if chunk_items + items > most.chunk_items {
            // Keys stay together: the run of this key moves on to the next chunk, unless it fills
            // one alone.
            let start = chunk
                .iter()
                .position(|f| f.finding.keys.first() == finding.finding.keys.first());
            let moved = match start {
                Some(start) if start > 0 => chunk.split_off(start),
                _ => Vec::new(),
            };
            part.push(std::mem::replace(&mut chunk, moved));
            let before = std::iter::once(None).chain(chunk.iter().map(|f| Some(f.as_ref())));
            chunk_items = before
                .zip(&chunk)
                .map(|(last, next)| items_after(last, next))
                .sum();
            items = items_after(chunk.last().map(AsRef::as_ref), &finding);
            if part_bytes > most.part_bytes {
                parts.push(std::mem::take(&mut part));
                part_bytes = 0;
            }
        }
        chunk_items += items;
        part_bytes += json_bytes(&finding);
        chunk.push(finding);
    }
    if !chunk.is_empty() {
        part.push(chunk);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// The order of findings with the same keys: the first becomes the original, or the one that there is.
/// Open ones come first, so that open is what the report says where it says closed too.
fn rank(finding: &Finding) -> impl Ord + '_ {
    (
        finding.flags.is_closed(),
        finding.severity,
        u16::from(finding.flags),
        &finding.endpoint_places,
        &finding.component_name,
        &finding.component_version,
        &finding.title,
    )
}

/// How many items a finding adds to a chunk whose last finding is `last`: itself, and a claim for each
/// key that the last one hasn't got; where it replaces another, the claims of that one's keys and a
/// note too.
fn items_after(last: Option<&Reported>, reported: &Reported) -> usize {
    let keys = &reported.finding.keys;
    let known = |key: &&String| last.is_some_and(|last| last.finding.keys.contains(key));
    let replaced = if reported.replaces { MAX_KEYS + 1 } else { 0 };
    1 + keys.iter().filter(|key| !known(key)).count() + replaced
}

/// How many bytes a finding takes as JSON, counted without building it.
fn json_bytes(finding: &Reported) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Writing into a counter cannot fail; a finding that cannot be written fails when it is sent.
    let _ = finding.serialize(&mut serde_json::Serializer::new(&mut count));
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(findings: Findings) -> Vec<Vec<Findings>> {
        super::cut(findings, Cut::default())
    }

    fn findings(keys: impl IntoIterator<Item = String>) -> Findings {
        (keys.into_iter())
            .map(|key| {
                let finding = Finding {
                    title: format!("finding with the key {key}"),
                    keys: vec![key],
                    ..Finding::default()
                };
                Box::new(Reported::from(finding))
            })
            .collect()
    }

    fn check(parts: &[Vec<Findings>], n: usize) {
        let chunks: Vec<_> = parts.iter().flatten().collect();
        assert_eq!(chunks.iter().map(|c| c.len()).sum::<usize>(), n);
        for chunk in chunks {
            let mut keys: Vec<_> = chunk.iter().flat_map(|f| &f.finding.keys).collect();
            keys.sort();
            keys.dedup();
            assert!(
                chunk.len() + keys.len() <= Cut::default().chunk_items,
                "{} + {}",
                chunk.len(),
                keys.len()
            );
            assert!(!chunk.is_empty());
        }
    }

    #[test]
    fn distinct_keys_go_48_to_a_chunk() {
        let parts = cut(findings((0..1000).map(|n| format!("h{n:05}"))));
        check(&parts, 1000);
        assert_eq!(parts[0][0].len(), 48);
    }

    #[test]
    fn one_key_is_not_split_over_chunks() {
        let keys = (0..300).map(|n| format!("h{:05}", n / 7));
        let parts = cut(findings(keys));
        check(&parts, 300);
        let mut seen = std::collections::HashSet::new();
        for chunk in parts.iter().flatten() {
            let mut keys: Vec<_> = chunk.iter().map(|f| f.finding.keys[0].clone()).collect();
            keys.dedup();
            for key in keys {
                assert!(seen.insert(key));
            }
        }
    }

    #[test]
    fn a_key_with_more_findings_than_a_chunk_is_split() {
        check(&cut(findings((0..500).map(|_| "h".to_owned()))), 500);
    }

    #[test]
    fn two_keys_each_take_more_room() {
        let mut two = findings((0..200).map(|n| format!("u{n:05}")));
        for (n, finding) in two.iter_mut().enumerate() {
            finding.finding.keys.push(format!("h{n:05}"));
        }
        check(&cut(two), 200);
    }

    #[test]
    fn one_id_with_many_hashes_still_fits_a_transaction() {
        let mut same_id = findings((0..300).map(|_| "u".to_owned()));
        for (n, finding) in same_id.iter_mut().enumerate() {
            finding.finding.keys.push(format!("h{n:05}"));
        }
        check(&cut(same_id), 300);
    }

    #[test]
    fn the_order_of_the_report_does_not_matter() {
        let forward = findings((0..500).map(|n| format!("h{n:05}")));
        let mut backward = forward.clone();
        backward.reverse();
        assert_eq!(cut(forward), cut(backward));
    }

    #[test]
    fn nothing_makes_no_parts() {
        assert!(cut(Vec::new()).is_empty());
    }
}
