//! A second telling of what imports, re-imports and people do to findings: the rules of the field over
//! plain lists, as slow and as simple as can be. It knows nothing of the pipeline, which is held
//! against it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{Holdings, Row, words};

/// The engagement within which deduplication stays; the others share their product.
pub const OWN: &str = "Own";
/// The title of the test that re-imports go into where they name none.
pub const TITLE: &str = "Nightly";
const SEVERITIES: [&str; 5] = ["Critical", "High", "Medium", "Low", "Info"];

/// What a report says of the state of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Word {
    Open,
    Inactive,
    Mitigated,
    FalsePositive,
    OutOfScope,
    Accepted,
}

/// One finding of a report. Numbers stand for names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reported {
    /// Which weakness; with the service it is what findings are recognised by.
    pub weakness: u8,
    /// 0 is the worst, 4 the least.
    pub severity: u8,
    pub word: Word,
    pub verified: bool,
    pub service: Option<u8>,
    pub endpoint: Option<u8>,
    pub component: Option<u8>,
}

impl Reported {
    /// An open finding.
    pub fn open(weakness: u8) -> Self {
        Self {
            weakness,
            severity: weakness % 5,
            word: Word::Open,
            verified: false,
            service: None,
            endpoint: None,
            component: None,
        }
    }
}

/// A report in the generic format.
pub fn report(findings: &[Reported]) -> String {
    let one = |r: &Reported| {
        let mut finding = json!({
            "title": title(r.weakness),
            "severity": SEVERITIES[usize::from(r.severity)],
            "description": "What can be done with it, and how it was found.",
            "active": r.word == Word::Open,
            "verified": r.verified,
            "is_mitigated": r.word == Word::Mitigated,
            "false_p": r.word == Word::FalsePositive,
            "out_of_scope": r.word == Word::OutOfScope,
            "risk_accepted": r.word == Word::Accepted,
            "endpoints": endpoints(r.endpoint),
        });
        if let Some(n) = r.service {
            finding["service"] = service(n).into();
        }
        if let Some(n) = r.component {
            finding["component_name"] = component(n).into();
        }
        finding
    };
    let findings: Vec<Value> = findings.iter().map(one).collect();
    json!({ "findings": findings }).to_string()
}

fn title(n: u8) -> String {
    format!("Weakness {n:03}")
}
fn service(n: u8) -> String {
    format!("service-{n}")
}
fn component(n: u8) -> String {
    format!("component-{n}")
}
fn endpoints(n: Option<u8>) -> Vec<String> {
    n.map(|n| format!("https://host{n}.example/login"))
        .into_iter()
        .collect()
}

/// Where a report goes: an engagement's name, and which of its tests (from 0).
pub type Place = (String, usize);

/// What the sender of a report asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names are the API's")]
pub struct Asked {
    pub active: Option<bool>,
    pub verified: Option<bool>,
    pub do_not_reactivate: bool,
    pub close_old_findings: Option<bool>,
    pub close_old_findings_product_scope: bool,
    pub service: Option<u8>,
    pub minimum_severity: Option<u8>,
}

impl Asked {
    /// The same as fields of the API.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("do_not_reactivate", self.do_not_reactivate.to_string()),
            (
                "close_old_findings_product_scope",
                self.close_old_findings_product_scope.to_string(),
            ),
        ];
        for (name, value) in [
            ("active", self.active),
            ("verified", self.verified),
            ("close_old_findings", self.close_old_findings),
        ] {
            fields.extend(value.map(|value| (name, value.to_string())));
        }
        fields.extend(self.service.map(|n| ("service", service(n))));
        let minimum = self.minimum_severity;
        fields.extend(minimum.map(|n| ("minimum_severity", SEVERITIES[usize::from(n)].to_owned())));
        fields
    }
}

/// What a person does with a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Edit {
    Fix,
    FalsePositive,
    OutOfScope,
    Accept,
    Open,
    Verify,
}

impl Edit {
    /// The body of its PATCH.
    pub fn body(self) -> Value {
        match self {
            Self::Fix => json!({"status": "Fixed"}),
            Self::FalsePositive => json!({"status": "FalsePositive"}),
            Self::OutOfScope => json!({"status": "OutOfScope"}),
            Self::Accept => json!({"status": "Accepted"}),
            Self::Open => json!({"status": "Open"}),
            Self::Verify => json!({"verified": true}),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "so is a finding")]
struct State {
    active: bool,
    verified: bool,
    false_p: bool,
    duplicate: bool,
    out_of_scope: bool,
    risk_accepted: bool,
    is_mitigated: bool,
}

impl State {
    fn judged(self) -> bool {
        self.false_p || self.out_of_scope || self.risk_accepted
    }
}

#[derive(Debug, Clone)]
struct Known {
    test: Place,
    reported: Reported,
    state: State,
    /// The place of the original in the list, where it is a duplicate.
    original: Option<usize>,
}

impl Known {
    fn is_same(&self, reported: &Reported) -> bool {
        let key = |r: &Reported| (r.weakness, r.service);
        key(&self.reported) == key(reported)
    }
}

/// All findings of one product, in the order in which they came.
#[derive(Debug, Default)]
pub struct Model {
    tests: BTreeMap<String, usize>,
    titled: BTreeMap<String, Place>,
    findings: Vec<Known>,
}

impl Model {
    /// The tests there are.
    pub fn tests(&self) -> Vec<Place> {
        let all = self.tests.iter();
        all.flat_map(|(engagement, n)| (0..*n).map(move |n| (engagement.clone(), n)))
            .collect()
    }

    /// The findings that a person may judge: those that are no duplicates.
    pub fn judgeable(&self) -> Vec<usize> {
        (0..self.findings.len())
            .filter(|n| !self.findings[*n].state.duplicate)
            .collect()
    }

    fn new_test(&mut self, engagement: &str) -> Place {
        let count = self.tests.entry(engagement.to_owned()).or_default();
        *count += 1;
        (engagement.to_owned(), *count - 1)
    }

    /// An import: into a test of its own, or added to a given one.
    pub fn import(
        &mut self,
        engagement: &str,
        into: Option<Place>,
        all: &[Reported],
        asked: &Asked,
    ) {
        let added = into.is_some();
        let test = into.unwrap_or_else(|| self.new_test(engagement));
        for reported in counted(all, asked) {
            self.create(&test, &reported, asked);
        }
        if asked.close_old_findings == Some(true) && !added {
            let own: Vec<Known> = (self.findings.iter())
                .filter(|f| f.test == test)
                .cloned()
                .collect();
            for f in &mut self.findings {
                let near = asked.close_old_findings_product_scope || f.test.0 == test.0;
                let open = (f.state.active || f.state.risk_accepted) && !f.state.is_mitigated;
                let gone = !own.iter().any(|own| own.is_same(&f.reported));
                if f.test != test && near && open && gone && f.reported.service == asked.service {
                    close(f);
                }
            }
        }
    }

    /// A re-import: into a given test, or that of the engagement with the usual title.
    pub fn reimport(
        &mut self,
        engagement: &str,
        into: Option<Place>,
        all: &[Reported],
        asked: &Asked,
    ) {
        let test = match (into, self.titled.get(engagement)) {
            (Some(test), _) => test,
            (None, Some(test)) => test.clone(),
            (None, None) => {
                let test = self.new_test(engagement);
                self.titled.insert(engagement.to_owned(), test.clone());
                test
            }
        };
        let mut seen = BTreeSet::new();
        for reported in counted(all, asked) {
            let same: Vec<usize> = (0..self.findings.len())
                .filter(|n| self.findings[*n].test == test && self.findings[*n].is_same(&reported))
                .collect();
            if same.is_empty() {
                seen.insert(self.findings.len());
                self.create(&test, &reported, asked);
            }
            for n in same {
                if seen.insert(n) {
                    hold_against(&mut self.findings[n], &reported, asked);
                }
            }
        }
        if asked.close_old_findings != Some(false) {
            for (n, f) in self.findings.iter_mut().enumerate() {
                let service = f.reported.service == asked.service;
                if f.test == test && f.state.active && !seen.contains(&n) && service {
                    close(f);
                }
            }
        }
    }

    fn create(&mut self, test: &Place, reported: &Reported, asked: &Asked) {
        let scope = |engagement: &str| (engagement == OWN).then(|| engagement.to_owned());
        let original = self.findings.iter().position(|f| {
            let history = f.state.is_mitigated && !f.state.false_p && !f.state.out_of_scope;
            scope(&f.test.0) == scope(&test.0)
                && f.is_same(reported)
                && f.reported.endpoint == reported.endpoint
                && !f.state.duplicate
                && !history
        });
        let mut state = stated(reported, asked);
        if original.is_some() {
            state.duplicate = true;
            state.active = false;
            state.verified = false;
        }
        self.findings.push(Known {
            test: test.clone(),
            reported: reported.clone(),
            state,
            original,
        });
    }

    /// A person's word on a finding that is no duplicate.
    pub fn edit(&mut self, finding: usize, edit: Edit) {
        let state = &mut self.findings[finding].state;
        let verified = state.verified;
        let closed = State {
            is_mitigated: true,
            ..State::default()
        };
        *state = match edit {
            Edit::Fix => State { verified, ..closed },
            Edit::FalsePositive => State {
                false_p: true,
                ..closed
            },
            Edit::OutOfScope => State {
                out_of_scope: true,
                ..closed
            },
            Edit::Accept => State {
                risk_accepted: true,
                verified,
                ..State::default()
            },
            Edit::Open => State {
                active: true,
                verified,
                ..State::default()
            },
            // a false positive cannot be verified: the API refuses it
            Edit::Verify => State {
                verified: verified || !state.false_p,
                ..*state
            },
        };
    }

    /// A finding as [`crate::Lab::holdings`] gives it.
    pub fn row(&self, finding: usize) -> Row {
        let f = &self.findings[finding];
        let s = f.state;
        let flags = [
            (s.active, "active"),
            (s.verified, "verified"),
            (s.false_p, "false_p"),
            (s.duplicate, "duplicate"),
            (s.out_of_scope, "out_of_scope"),
            (s.risk_accepted, "risk_accepted"),
            (s.is_mitigated, "is_mitigated"),
        ];
        let original = f.original.map(|n| &self.findings[n]);
        Row {
            test: f.test.clone(),
            title: title(f.reported.weakness),
            service: f.reported.service.map(service).unwrap_or_default(),
            endpoints: endpoints(f.reported.endpoint),
            severity: SEVERITIES[usize::from(f.reported.severity)].to_owned(),
            component: f.reported.component.map(component).unwrap_or_default(),
            flags: words(&flags),
            mitigated: s.is_mitigated,
            original: original.map(|f| (f.test.clone(), endpoints(f.reported.endpoint))),
        }
    }

    /// Everything, as [`crate::Lab::holdings`] gives it.
    pub fn holdings(&self) -> Holdings {
        let mut rows: Vec<Row> = (0..self.findings.len()).map(|n| self.row(n)).collect();
        rows.sort();
        Holdings {
            tests: self.tests.clone(),
            rows,
        }
    }
}

/// The findings that count, with the service that the sender gives all of them.
fn counted(all: &[Reported], asked: &Asked) -> Vec<Reported> {
    let severe = |r: &&Reported| {
        asked
            .minimum_severity
            .is_none_or(|least| r.severity <= least)
    };
    (all.iter().filter(severe))
        .map(|r| Reported {
            service: asked.service.or(r.service),
            ..r.clone()
        })
        .collect()
}

/// The state of a finding if it's new.
fn stated(reported: &Reported, asked: &Asked) -> State {
    let verified = asked.verified.unwrap_or(reported.verified);
    let closed = State {
        is_mitigated: true,
        ..State::default()
    };
    match reported.word {
        Word::Open | Word::Inactive => State {
            active: asked.active.unwrap_or(reported.word == Word::Open),
            verified,
            ..State::default()
        },
        Word::Mitigated => State { verified, ..closed },
        Word::FalsePositive => State {
            false_p: true,
            ..closed
        },
        Word::OutOfScope => State {
            out_of_scope: true,
            ..closed
        },
        Word::Accepted => State {
            risk_accepted: true,
            verified,
            ..State::default()
        },
    }
}

/// The table of re-imports.
fn hold_against(known: &mut Known, reported: &Reported, asked: &Asked) {
    let says = stated(reported, asked);
    let closes = says.is_mitigated || says.judged();
    let state = &mut known.state;
    if state.duplicate || state.judged() {
        // somebody decided, or its original speaks for it
    } else if state.is_mitigated {
        if !closes && !asked.do_not_reactivate {
            state.is_mitigated = false;
            state.active = true;
        }
    } else if state.active {
        if closes {
            *state = says;
        } else if known.reported.component.is_none() {
            known.reported.component = reported.component;
        }
    }
}

fn close(known: &mut Known) {
    known.state.active = false;
    known.state.is_mitigated = true;
}
