//! Reading a report again with today's parser: what it makes of a finding now takes the place of what it
//! made of it then.
//!
//! A replay goes into the test of its import and looks only at the findings that the import saw. It
//! changes what the report says of them; what people and later imports made of them stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tatami_blobs::{BlobError, Blobs};
use tatami_dedup_rules::{combine, read_again, replaced};
use tatami_domain::{Algorithm, Finding, FindingId, IdSet, ReplayCounts, Test, TestTypeId, Texts};
use tatami_queue::Reported;
use tatami_store::{Sight, Store, StoreError};
use tokio::runtime::Handle;

use crate::keyed::Keyed;

/// So many findings are named in a difference; all are counted.
const NAMED: usize = 10_000;

/// What a finding was, and what it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `changed`, `new` or `gone`.
    pub change: Change,
    /// Which finding; none for a new one.
    pub finding: Option<FindingId>,
    /// Its title, as it is read now.
    pub title: String,
    /// For a changed one: the fields that differ, with what they were and what they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, [Value; 2]>,
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Change {
    Changed,
    New,
    Gone,
}

/// The findings that an import saw, and what its report makes of them now.
#[derive(Debug)]
pub struct Replay {
    test_type: TestTypeId,
    algorithm: Algorithm,
    findings: Keyed,
    seen: Vec<bool>,
    /// For a re-import, which has each key once, a second finding of a key is the first one.
    merges: bool,
    same: u64,
    differences: Vec<Difference>,
    texts: OldTexts,
}

#[derive(Debug)]
struct OldTexts {
    blobs: Blobs,
    runtime: Handle,
}

impl OldTexts {
    /// The long texts of a finding. To be called outside of the runtime.
    fn of(&self, finding: &Finding) -> Result<Texts, BlobError> {
        match &finding.texts {
            Some(at) => self.runtime.block_on(self.blobs.texts(at)),
            None => Ok(Texts::default()),
        }
    }
}

impl Replay {
    /// Reads the findings of a test that an import has seen.
    pub async fn load(
        store: &Store,
        blobs: &Blobs,
        test: &Test,
        algorithm: Algorithm,
        seen: &IdSet,
        merges: bool,
    ) -> Result<Self, StoreError> {
        let mut findings = Keyed::default();
        let all = Sight::Test(test.product, test.id);
        let of_import = |finding: &Arc<Finding>| {
            if seen.contains(finding.id) {
                findings.push(Arc::clone(finding));
            }
        };
        store.sweep(all, of_import).await?;
        Ok(Self {
            test_type: test.test_type,
            algorithm,
            seen: vec![false; findings.len()],
            findings,
            merges,
            same: 0,
            differences: Vec::new(),
            texts: OldTexts {
                blobs: blobs.clone(),
                runtime: Handle::current(),
            },
        })
    }

    /// Holds a finding as it is read now against what it was: completes its keys, and gives it back
    /// unless it is the same.
    pub fn hold(
        &mut self,
        mut finding: Box<Finding>,
        texts: &Texts,
    ) -> Result<Option<Box<Reported>>, BlobError> {
        let hash = finding.keys.pop().unwrap_or_default();
        let unique = finding.unique_id_from_tool.as_deref();
        finding.keys = combine(self.algorithm, unique, hash, self.test_type);
        let places = (finding.keys.iter()).flat_map(|key| self.findings.places(key));
        let mut known = false;
        let mut free = None;
        for place in places {
            known = true;
            if !self.seen[place] {
                free = Some(place);
                break;
            }
        }
        let Some(place) = free else {
            let reported = Box::new(Reported::from(*finding));
            return Ok(Some(reported).filter(|_| !(known && self.merges)));
        };
        self.seen[place] = true;
        let old = Arc::clone(self.findings.shared(place));
        let old_texts = self.texts.of(&old)?;
        let fields = differences(&old, &finding, Some((&old_texts, texts)));
        if fields.is_empty() {
            self.same += 1;
            return Ok(None);
        }
        self.name(Change::Changed, Some(old.id), &finding.title, fields);
        Ok(Some(Box::new(Reported {
            finding: *finding,
            matched: vec![old.id],
            replaces: true,
        })))
    }

    fn name(
        &mut self,
        change: Change,
        finding: Option<FindingId>,
        title: &str,
        fields: BTreeMap<String, [Value; 2]>,
    ) {
        self.differences.push(Difference {
            change,
            finding,
            title: title.to_owned(),
            fields,
        });
    }

    /// Pairs what has other keys now with what it was, and says what is gone and all that differs.
    pub fn finish(&mut self, reported: &mut [Box<Reported>]) -> Outcome {
        let left: Vec<usize> = (0..self.findings.len())
            .filter(|at| !self.seen[*at])
            .collect();
        let new: Vec<usize> = (0..reported.len())
            .filter(|at| reported[*at].matched.is_empty())
            .collect();
        let old: Vec<&Finding> = left.iter().map(|at| self.findings.at(*at)).collect();
        let fresh: Vec<&Finding> = new.iter().map(|at| &reported[*at].finding).collect();
        let pairs: Vec<(usize, usize)> = (read_again(&old, &fresh).into_iter())
            .map(|(was, is)| (left[was], new[is]))
            .collect();
        for (was, is) in pairs {
            self.seen[was] = true;
            let old = Arc::clone(self.findings.shared(was));
            reported[is].matched = vec![old.id];
            reported[is].replaces = true;
            let finding = &reported[is].finding;
            let fields = differences(&old, finding, None);
            let title = finding.title.clone();
            self.name(Change::Changed, Some(old.id), &title, fields);
        }
        let mut counts = ReplayCounts {
            same: self.same,
            changed: self.differences.len() as u64,
            ..ReplayCounts::default()
        };
        for new in reported.iter().filter(|r| r.matched.is_empty()) {
            counts.new += 1;
            let title = new.finding.title.clone();
            self.name(Change::New, None, &title, BTreeMap::new());
        }
        let mut gone = IdSet::default();
        for place in left {
            let finding = Arc::clone(self.findings.shared(place));
            if !self.seen[place] && !finding.flags.is_mitigated {
                counts.gone += 1;
                gone.insert(finding.id);
                self.name(
                    Change::Gone,
                    Some(finding.id),
                    &finding.title,
                    BTreeMap::new(),
                );
            }
        }
        let mut differences = std::mem::take(&mut self.differences);
        differences.truncate(NAMED);
        Outcome {
            counts,
            gone,
            differences,
        }
    }
}

/// What a replay comes to.
#[derive(Debug)]
pub struct Outcome {
    /// In numbers.
    pub counts: ReplayCounts,
    /// The findings that the report doesn't have any more.
    pub gone: IdSet,
    /// One by one, as far as they are named.
    pub differences: Vec<Difference>,
}

/// The fields in which a finding is read otherwise now. What is not the report's word (status, dates,
/// tags and the like) is the same on both sides by then. Texts count where they are given.
fn differences(
    old: &Finding,
    reported: &Finding,
    texts: Option<(&Texts, &Texts)>,
) -> BTreeMap<String, [Value; 2]> {
    let new = replaced(old, reported);
    let mut fields = BTreeMap::new();
    let mut compare = |old: Map<String, Value>, mut new: Map<String, Value>| {
        for (name, was) in &old {
            let is = new.remove(name).unwrap_or(Value::Null);
            if *was != is {
                fields.insert(name.clone(), [was.clone(), is]);
            }
        }
        for (name, is) in new {
            if !is.is_null() {
                fields.insert(name, [Value::Null, is]);
            }
        }
    };
    compare(content(old), content(&new));
    if let Some((old, new)) = texts {
        let object = |texts: &Texts| match json!(texts) {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        compare(object(old), object(new));
    }
    fields
}

/// What a report says of a finding, under the names that the REST API has for it.
fn content(f: &Finding) -> Map<String, Value> {
    let content = json!({
        "title": f.title,
        "severity": f.severity.name(),
        "cwe": f.cwe,
        "cwes": f.extra_cwes,
        "vulnerability_ids": f.vulnerability_ids,
        "cvssv3": f.cvssv3,
        "cvssv3_score": f.cvssv3_score,
        "cvssv4": f.cvssv4,
        "cvssv4_score": f.cvssv4_score,
        "epss_score": f.epss_score,
        "epss_percentile": f.epss_percentile,
        "known_exploited": f.known_exploited,
        "ransomware_used": f.ransomware_used,
        "kev_date": f.kev_date,
        "component_name": f.component_name,
        "component_version": f.component_version,
        "fix_available": f.fix_available,
        "fix_version": f.fix_version,
        "file_path": f.file_path,
        "line": f.line,
        "sast_source_object": f.sast_source_object,
        "sast_source_file_path": f.sast_source_file_path,
        "sast_source_line": f.sast_source_line,
        "sast_sink_object": f.sast_sink_object,
        "endpoints": f.endpoints,
        "param": f.param,
        "service": f.service,
        "unique_id_from_tool": f.unique_id_from_tool,
        "vuln_id_from_tool": f.vuln_id_from_tool,
        "publish_date": f.publish_date,
        "nb_occurences": f.nb_occurences,
        "scanner_confidence": f.scanner_confidence,
        "tags": f.tags,
        "static_finding": f.static_finding,
        "dynamic_finding": f.dynamic_finding,
        "hash_code": f.hash_code,
    });
    match content {
        Value::Object(content) => content,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_report_says_differs() {
        let old = Finding {
            id: FindingId(7),
            title: "SQL injection".into(),
            flags: tatami_domain::Flags {
                is_mitigated: true,
                ..tatami_domain::Flags::default()
            },
            tags: vec!["mine".into()],
            ..Finding::default()
        };
        let mut read = Finding {
            title: "SQL injection".into(),
            flags: tatami_domain::Flags::OPEN,
            ..Finding::default()
        };
        let texts = Texts::default();
        assert!(differences(&old, &read, Some((&texts, &texts))).is_empty());
        read.line = Some(3);
        let with_impact = Texts {
            impact: Some("high".into()),
            ..Texts::default()
        };
        let fields = differences(&old, &read, Some((&texts, &with_impact)));
        assert_eq!(fields["line"], [Value::Null, json!(3)]);
        assert_eq!(fields["impact"], [Value::Null, json!("high")]);
        assert_eq!(fields.len(), 2);
    }
}
