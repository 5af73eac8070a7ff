//! Metrics of findings with random histories, held against what plain code makes of the findings themselves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests"
)]

mod history;
mod naive;

use proptest::prelude::*;
use tatami_domain::{Exploitation, SlaConfiguration};
use tatami_metrics::{Fact, Facts, Measure, Metrics, Range, Step};

use crate::history::{Day, Pieces};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sums_kept_piece_by_piece_are_a_recount(
        turns in prop::collection::vec(history::turn(), 0..60),
        today in history::day(),
    ) {
        let pieces = Pieces::of(&turns, today);
        let recount: Facts = pieces.findings.iter().collect();
        let mut sum = pieces.sum();
        prop_assert_eq!(&sum, &recount);
        let numbers: i64 = sum.iter().map(|(_, n)| n).sum();
        prop_assert_eq!(numbers, i64::try_from(pieces.findings.len()).unwrap());
        sum.subtract(&recount);
        prop_assert!(sum.is_empty());
    }

    #[test]
    fn metrics_are_those_of_the_findings(
        turns in prop::collection::vec(history::turn(), 0..60),
        today in history::day(),
        from in prop::option::of(history::day()),
        to in prop::option::of(history::day()),
        weeks in any::<bool>(),
        high_has_sla in any::<bool>(),
    ) {
        let today = today.before(history::TODAY);
        let pieces = Pieces::of(&turns, Day::Edge(today));
        let range = Range {
            from: from.map(|day| day.before(today)),
            to: to.map(|day| day.before(today)),
        };
        let step = if weeks { Step::Week } else { Step::Month };
        let sla = SlaConfiguration { enforce_high: high_has_sla, ..SlaConfiguration::default() };

        let mut measure = Measure::new(range, step, today);
        for (fact, n) in pieces.sum().iter() {
            measure.add(fact, due(&sla, fact), u64::try_from(n).unwrap());
        }
        let of_sum = measure.finish();
        let expected = naive::metrics(&pieces.findings, range, weeks, today, &sla);
        if let Err(difference) = naive::compare(&to_json(&of_sum), &expected) {
            prop_assert!(false, "{}", difference);
        }

        // one by one they give the same as in rows
        let mut measure = Measure::new(range, step, today);
        for finding in &pieces.findings {
            measure.add(&Fact::of(finding), sla.due(finding, &Exploitation::of(finding)), 1);
        }
        prop_assert_eq!(measure.finish(), of_sum);
    }
}

/// The due day of a fact.
fn due(sla: &SlaConfiguration, fact: &Fact) -> Option<jiff::civil::Date> {
    sla.due_from(fact.severity, fact.sla_start, &Exploitation::default())
}

fn to_json(metrics: &Metrics) -> serde_json::Value {
    serde_json::to_value(metrics).unwrap()
}
