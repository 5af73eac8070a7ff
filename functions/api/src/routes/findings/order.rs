//! The order of lists of findings.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::{Value, json};
use tatami_domain::{Exploitation, Finding, FindingId, ProductId};

use crate::error::Result;
use crate::page::{Sorting, missing_last, ordering};
use crate::query::Query;
use crate::view::finding::Clock;

type Compare<T = Finding> = fn(&T, &T) -> Ordering;

/// The columns to order by.
const COLUMNS: &[(&str, Compare)] = &[
    ("id", |a, b| a.id.cmp(&b.id)),
    ("severity", |a, b| a.severity.cmp(&b.severity)),
    ("numerical_severity", |a, b| a.severity.cmp(&b.severity)),
    ("date", |a, b| a.date.cmp(&b.date)),
    ("created", |a, b| a.created.cmp(&b.created)),
    ("title", |a, b| a.title.cmp(&b.title)),
    ("cwe", |a, b| a.cwe.cmp(&b.cwe)),
    ("active", |a, b| a.flags.active.cmp(&b.flags.active)),
    ("verified", |a, b| a.flags.verified.cmp(&b.flags.verified)),
    ("false_p", |a, b| a.flags.false_p.cmp(&b.flags.false_p)),
    ("duplicate", |a, b| {
        a.flags.duplicate.cmp(&b.flags.duplicate)
    }),
    ("out_of_scope", |a, b| {
        a.flags.out_of_scope.cmp(&b.flags.out_of_scope)
    }),
    ("risk_accepted", |a, b| {
        a.flags.risk_accepted.cmp(&b.flags.risk_accepted)
    }),
    ("under_review", |a, b| {
        a.flags.under_review.cmp(&b.flags.under_review)
    }),
    ("under_defect_review", |a, b| {
        a.flags
            .under_defect_review
            .cmp(&b.flags.under_defect_review)
    }),
    ("is_mitigated", |a, b| {
        a.flags.is_mitigated.cmp(&b.flags.is_mitigated)
    }),
    ("static_finding", |a, b| {
        a.static_finding.cmp(&b.static_finding)
    }),
    ("dynamic_finding", |a, b| {
        a.dynamic_finding.cmp(&b.dynamic_finding)
    }),
    ("found_by", |a, b| a.test_type.cmp(&b.test_type)),
    ("test", |a, b| a.test.cmp(&b.test)),
    ("engagement", |a, b| a.engagement.cmp(&b.engagement)),
    ("product", |a, b| a.product.cmp(&b.product)),
    ("component_name", |a, b| {
        missing_last(a.component_name.as_deref(), b.component_name.as_deref())
    }),
    ("component_version", |a, b| {
        missing_last(
            a.component_version.as_deref(),
            b.component_version.as_deref(),
        )
    }),
    ("file_path", |a, b| {
        missing_last(a.file_path.as_deref(), b.file_path.as_deref())
    }),
    ("line", |a, b| missing_last(a.line, b.line)),
    ("service", |a, b| {
        missing_last(a.service.as_deref(), b.service.as_deref())
    }),
    ("mitigated", |a, b| missing_last(a.mitigated, b.mitigated)),
    ("last_status_update", |a, b| {
        missing_last(a.last_status_update, b.last_status_update)
    }),
    ("planned_remediation_date", |a, b| {
        missing_last(a.planned_remediation_date, b.planned_remediation_date)
    }),
    ("publish_date", |a, b| {
        missing_last(a.publish_date, b.publish_date)
    }),
    ("cvssv3_score", |a, b| {
        missing_last(a.cvssv3_score, b.cvssv3_score)
    }),
    ("cvssv4_score", |a, b| {
        missing_last(a.cvssv4_score, b.cvssv4_score)
    }),
    // nobody reviews here yet
    ("reviewers", |_, _| Ordering::Equal),
    ("last_reviewed", |_, _| Ordering::Equal),
];

/// Those for which is looked up what is known of the exploitation of findings.
const EXPLOITATION: &[(&str, Compare<Exploitation>)] = &[
    ("epss_score", |a, b| {
        missing_last(a.epss_score, b.epss_score)
    }),
    ("epss_percentile", |a, b| {
        missing_last(a.epss_percentile, b.epss_percentile)
    }),
    ("known_exploited", |a, b| {
        a.known_exploited.cmp(&b.known_exploited)
    }),
    ("ransomware_used", |a, b| {
        a.ransomware_used.cmp(&b.ransomware_used)
    }),
    ("kev_date", |a, b| missing_last(a.kev_date, b.kev_date)),
];

const DUE: &str = "sla_expiration_date";
/// The column for which products must be looked up.
pub const PRODUCT_NAME: &str = "test__engagement__product__name";

enum Column<'q> {
    Plain(Compare),
    Exploitation(Compare<Exploitation>),
    Due,
    ProductName(&'q HashMap<ProductId, String>),
}

/// A finding in an order, with what was looked up for it.
pub struct Ranked {
    /// The finding.
    pub finding: Arc<Finding>,
    /// As much as the order asks for.
    exploitation: Exploitation,
}

/// How much an order asks for of the exploitation of findings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    /// What their due dates depend on.
    ForDue,
    Everything,
}

/// The order that a query asks for.
pub struct Order<'q> {
    columns: Vec<(Column<'q>, bool)>,
    asks: Asks,
    clock: &'q Clock,
}

fn column<T: Copy>(columns: &[(&str, T)], name: &str) -> Option<T> {
    let found = columns.iter().find(|(known, _)| *known == name);
    found.map(|(_, compare)| *compare)
}

impl<'q> Order<'q> {
    /// Reads a query. `names` are the products' where the query asks for them.
    pub fn read(
        query: &Query,
        clock: &'q Clock,
        names: &'q HashMap<ProductId, String>,
    ) -> Result<Self> {
        let column_of = |name: &str| match name {
            DUE => Some(Column::Due),
            PRODUCT_NAME => Some(Column::ProductName(names)),
            _ => column(COLUMNS, name)
                .map(Column::Plain)
                .or_else(|| column(EXPLOITATION, name).map(Column::Exploitation)),
        };
        let columns = ordering(query, |name| column_of(name).is_some())?.into_iter();
        let columns: Vec<(Column<'q>, bool)> = columns
            .filter_map(|(name, down)| Some((column_of(name)?, down)))
            .collect();
        let has = |wanted: fn(&Column<'q>) -> bool| columns.iter().any(|(c, _)| wanted(c));
        let asks = if has(|c| matches!(c, Column::Exploitation(_))) {
            Asks::Everything
        } else if has(|c| matches!(c, Column::Due)) {
            Asks::ForDue
        } else {
            Asks::Nothing
        };
        Ok(Self {
            columns,
            asks,
            clock,
        })
    }

    /// A finding with what the order asks for, which is looked up once.
    pub fn ranked(&self, finding: &Arc<Finding>) -> Ranked {
        Ranked {
            finding: Arc::clone(finding),
            exploitation: match self.asks {
                Asks::Nothing => Exploitation::default(),
                Asks::ForDue => self.clock.exploitation_for_sla(finding),
                Asks::Everything => self.clock.exploitation(finding),
            },
        }
    }
}

impl Sorting<Ranked> for Order<'_> {
    /// Compares two findings. What the columns leave equal is in the usual order: worst first, then
    /// latest, then by title.
    fn compare(&self, one: &Ranked, other: &Ranked) -> Ordering {
        let (a, b) = (&*one.finding, &*other.finding);
        let due = |ranked: &Ranked| self.clock.due_by(&ranked.finding, &ranked.exploitation);
        for (column, down) in &self.columns {
            let order = match column {
                Column::Plain(compare) => compare(a, b),
                Column::Exploitation(compare) => compare(&one.exploitation, &other.exploitation),
                Column::Due => missing_last(due(one), due(other)),
                Column::ProductName(names) => names.get(&a.product).cmp(&names.get(&b.product)),
            };
            let order = if *down { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
        }
        (a.severity.cmp(&b.severity))
            .then_with(|| b.date.cmp(&a.date))
            .then_with(|| a.title.cmp(&b.title))
            .then_with(|| a.id.cmp(&b.id))
    }

    /// The finding without what no column looks at and what is long, and with what was known of it when
    /// it was looked up: that may be another thing by the next page.
    fn place(&self, item: &Ranked) -> Value {
        let known = item.exploitation;
        let bare = Finding {
            keys: Vec::new(),
            hash_code: String::new(),
            endpoints: Vec::new(),
            endpoint_places: Vec::new(),
            tags: Vec::new(),
            vulnerability_ids: Vec::new(),
            texts: None,
            epss_score: known.epss_score,
            epss_percentile: known.epss_percentile,
            known_exploited: Some(known.known_exploited),
            ransomware_used: Some(known.ransomware_used),
            kev_date: known.kev_date,
            ..Finding::clone(&item.finding)
        };
        json!([item.finding.id, bare])
    }

    fn stand_in(&self, place: &Value) -> Option<Ranked> {
        let mut finding = Finding::deserialize(&place[1]).ok()?;
        finding.id = FindingId::deserialize(&place[0]).ok()?;
        Some(Ranked {
            exploitation: Exploitation::of(&finding),
            finding: Arc::new(finding),
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use tatami_domain::Severity;

    use super::*;

    fn finding(id: u64, severity: Severity, day: i8, title: &str) -> Finding {
        Finding {
            id: FindingId(id),
            severity,
            date: date(2026, 3, day),
            title: title.into(),
            ..Finding::default()
        }
    }

    fn ordered(query: &str) -> Vec<u64> {
        let findings = [
            finding(1, Severity::Low, 1, "b"),
            finding(2, Severity::High, 1, "b"),
            finding(3, Severity::High, 2, "c"),
            finding(4, Severity::High, 1, "a"),
            Finding {
                component_name: Some("x".into()),
                ..finding(5, Severity::Info, 9, "z")
            },
        ];
        let (clock, names) = (clock(), HashMap::new());
        let query = Query::parse(query);
        let order = Order::read(&query, &clock, &names).unwrap();
        let ranked = |finding| order.ranked(&Arc::new(finding));
        let mut ranked: Vec<Ranked> = findings.into_iter().map(ranked).collect();
        ranked.sort_by(|a, b| order.compare(a, b));
        ranked.iter().map(|r| r.finding.id.0).collect()
    }

    fn clock() -> Clock {
        Clock {
            today: date(2026, 3, 31),
            slas: Arc::default(),
            intel: Arc::default(),
        }
    }

    #[test]
    fn the_usual_order_is_worst_latest_title() {
        assert_eq!(ordered(""), [3, 4, 2, 1, 5]);
    }

    #[test]
    fn columns_come_first_and_may_descend() {
        assert_eq!(ordered("o=-id"), [5, 4, 3, 2, 1]);
        assert_eq!(ordered("o=title,-date"), [4, 2, 1, 3, 5]);
        assert_eq!(ordered("o=component_name")[0], 5);
        assert_eq!(ordered("o=sla_expiration_date"), [4, 2, 3, 1, 5]);
        assert_eq!(ordered("o=-severity")[0], 5);
    }

    #[test]
    fn an_unknown_column_is_an_error() {
        let (clock, names) = (clock(), HashMap::new());
        assert!(Order::read(&Query::parse("o=-nonsense"), &clock, &names).is_err());
    }
}
