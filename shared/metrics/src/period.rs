use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;
use tatami_domain::Severity;

use crate::BySeverity;

/// How many periods a trend has at most.
pub const MAX_PERIODS: usize = 120;

/// Days from one to another, both included; `None` has no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Range {
    /// The first day.
    pub from: Option<Date>,
    /// The last day.
    pub to: Option<Date>,
}

impl Range {
    /// Is the day in it?
    pub fn contains(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A calendar month.
    #[default]
    Month,
    /// An ISO 8601 week, Monday to Sunday.
    Week,
}

impl Step {
    /// The first day of the period in which a day lies.
    fn first(self, day: Date) -> Date {
        match self {
            Self::Month => day.first_of_month(),
            Self::Week => {
                let since_monday = i32::from(day.weekday().to_monday_zero_offset());
                day.saturating_sub(since_monday.days())
            }
        }
    }

    /// The last day of the period that starts on `first`.
    fn last(self, first: Date) -> Date {
        match self {
            Self::Month => first.last_of_month(),
            Self::Week => first.saturating_add(6.days()),
        }
    }
}

/// Findings opened and closed in each period of a range, without gaps, earliest first.
///
/// Where the range has no first day it starts with the first period that has something, where it has no last
/// day it ends with the last such period. It has [`MAX_PERIODS`] at most: the latest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Trend {
    /// How long a period is.
    pub step: Step,
    /// Were periods before the first one left out, because there are too many?
    pub earlier_left_out: bool,
    /// The periods.
    pub periods: Vec<Period>,
}

/// What happened in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its first day; that of the range where the range starts later.
    pub from: Date,
    /// Its last day, still included; that of the range where the range ends earlier.
    pub to: Date,
    /// Findings discovered in it that are no duplicates now.
    pub opened: BySeverity<u64>,
    /// Findings mitigated in it that are fixed now.
    pub closed: BySeverity<u64>,
}

/// Collects a trend.
#[derive(Debug, Clone)]
pub(crate) struct Periods {
    range: Range,
    step: Step,
    /// Those that have something, by their first day.
    found: BTreeMap<Date, Period>,
}

impl Periods {
    pub(crate) const fn new(range: Range, step: Step) -> Self {
        Self {
            range,
            step,
            found: BTreeMap::new(),
        }
    }

    /// Counts `n` findings in that were discovered on a day.
    pub(crate) fn opened(&mut self, day: Date, severity: Severity, n: u64) {
        if self.range.contains(day) {
            self.period(day).opened.add(severity, n);
        }
    }

    /// Counts `n` findings in that were fixed on a day.
    pub(crate) fn closed(&mut self, day: Date, severity: Severity, n: u64) {
        if self.range.contains(day) {
            self.period(day).closed.add(severity, n);
        }
    }

    fn period(&mut self, day: Date) -> &mut Period {
        let first = self.step.first(day);
        let empty = self.empty(first);
        self.found.entry(first).or_insert(empty)
    }

    /// The period that starts on `first`, with nothing in it.
    fn empty(&self, first: Date) -> Period {
        let last = self.step.last(first);
        Period {
            from: self.range.from.map_or(first, |from| from.max(first)),
            to: self.range.to.map_or(last, |to| to.min(last)),
            opened: BySeverity::default(),
            closed: BySeverity::default(),
        }
    }

    pub(crate) fn finish(&self) -> Trend {
        let mut trend = Trend {
            step: self.step,
            ..Trend::default()
        };
        let Some((earliest, latest)) = self.bounds() else {
            return trend;
        };
        let mut next = Some(latest);
        while let Some(first) = next.filter(|first| *first >= earliest) {
            if trend.periods.len() == MAX_PERIODS {
                trend.earlier_left_out = true;
                break;
            }
            let found = self.found.get(&first).copied();
            trend
                .periods
                .push(found.unwrap_or_else(|| self.empty(first)));
            next = first.yesterday().ok().map(|day| self.step.first(day));
        }
        trend.periods.reverse();
        trend
    }

    /// The first days of the first and the last period.
    fn bounds(&self) -> Option<(Date, Date)> {
        let Range { from, to } = self.range;
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return None;
        }
        let first = |day| self.step.first(day);
        let found_first = self.found.first_key_value().map(|(first, _)| *first);
        let found_last = self.found.last_key_value().map(|(first, _)| *first);
        Some((
            from.map(first).or(found_first)?,
            to.map(first).or(found_last)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn range(from: Date, to: Date) -> Range {
        Range {
            from: Some(from),
            to: Some(to),
        }
    }

    fn days(trend: &Trend) -> Vec<(Date, Date)> {
        (trend.periods.iter()).map(|p| (p.from, p.to)).collect()
    }

    #[test]
    fn months_are_cut_to_the_range_and_have_their_own_lengths() {
        let trend = Periods::new(range(date(2024, 1, 31), date(2024, 4, 1)), Step::Month).finish();
        assert_eq!(
            days(&trend),
            [
                (date(2024, 1, 31), date(2024, 1, 31)),
                (date(2024, 2, 1), date(2024, 2, 29)),
                (date(2024, 3, 1), date(2024, 3, 31)),
                (date(2024, 4, 1), date(2024, 4, 1)),
            ]
        );
    }

    #[test]
    fn weeks_start_on_monday_and_week_53_is_one_week() {
        // 2020 had a week 53, 28 December to 3 January; 2021-01-04 is week 1
        let trend = Periods::new(range(date(2020, 12, 25), date(2021, 1, 4)), Step::Week).finish();
        assert_eq!(
            days(&trend),
            [
                (date(2020, 12, 25), date(2020, 12, 27)),
                (date(2020, 12, 28), date(2021, 1, 3)),
                (date(2021, 1, 4), date(2021, 1, 4)),
            ]
        );
        let week = trend.periods[1];
        assert_eq!(week.from.iso_week_date().week(), 53);
        assert_eq!(week.to.iso_week_date().week(), 53);
        assert_eq!(week.to.iso_week_date().year(), 2020);
    }

    #[test]
    fn the_days_at_a_border_count_on_their_side() {
        let mut periods = Periods::new(range(date(2026, 2, 28), date(2026, 3, 31)), Step::Month);
        for day in [
            date(2026, 2, 27), // before the range
            date(2026, 2, 28),
            date(2026, 3, 1),
            date(2026, 3, 29), // clocks change
            date(2026, 3, 31),
            date(2026, 4, 1), // after the range
        ] {
            periods.opened(day, Severity::High, 1);
            periods.closed(day, Severity::Low, 2);
        }
        let trend = periods.finish();
        let numbers: Vec<_> = (trend.periods.iter())
            .map(|p| (p.opened.all, p.opened.high, p.closed.all, p.closed.low))
            .collect();
        assert_eq!(numbers, [(1, 1, 2, 2), (3, 3, 6, 6)]);
    }

    #[test]
    fn without_bounds_it_goes_from_the_first_to_the_last_that_has_something() {
        let mut periods = Periods::new(Range::default(), Step::Month);
        assert_eq!(periods.finish().periods, []);
        periods.closed(date(2026, 3, 31), Severity::High, 1);
        periods.opened(date(2025, 12, 31), Severity::High, 1);
        let trend = periods.finish();
        assert_eq!(trend.periods.len(), 4);
        assert_eq!(trend.periods[0].from, date(2025, 12, 1));
        assert_eq!(trend.periods[3].to, date(2026, 3, 31));
        assert!(!trend.earlier_left_out);
    }

    #[test]
    fn one_bound_is_enough() {
        let from = Range {
            from: Some(date(2026, 1, 15)),
            to: None,
        };
        let mut periods = Periods::new(from, Step::Month);
        assert_eq!(periods.finish().periods, []);
        periods.opened(date(2026, 2, 3), Severity::Info, 1);
        periods.opened(date(2026, 1, 14), Severity::Info, 1);
        let trend = periods.finish();
        assert_eq!(
            days(&trend),
            [
                (date(2026, 1, 15), date(2026, 1, 31)),
                (date(2026, 2, 1), date(2026, 2, 28)),
            ]
        );
        assert_eq!(trend.periods[0].opened.all, 0);
    }

    #[test]
    fn a_range_that_ends_before_it_starts_has_no_periods() {
        let backwards = range(date(2026, 1, 20), date(2026, 1, 10));
        assert!(!backwards.contains(date(2026, 1, 15)));
        let trend = Periods::new(backwards, Step::Month).finish();
        assert_eq!(trend.periods, []);
    }

    #[test]
    fn the_latest_periods_are_kept_and_it_says_so() {
        let ten_years = range(date(2016, 1, 1), date(2025, 12, 31));
        let trend = Periods::new(ten_years, Step::Month).finish();
        assert_eq!(trend.periods.len(), 120);
        assert!(!trend.earlier_left_out);
        let a_day_more = range(date(2015, 12, 31), date(2025, 12, 31));
        let trend = Periods::new(a_day_more, Step::Month).finish();
        assert_eq!(trend.periods.len(), 120);
        assert_eq!(trend.periods[0].from, date(2016, 1, 1));
        assert!(trend.earlier_left_out);
    }

    #[test]
    fn the_ends_of_the_calendar_do_no_harm() {
        for step in [Step::Month, Step::Week] {
            for day in [Date::MIN, Date::MAX] {
                let mut periods = Periods::new(Range::default(), step);
                periods.opened(day, Severity::Low, 1);
                let trend = periods.finish();
                assert_eq!(trend.periods.len(), 1);
                assert!(trend.periods[0].from <= day && day <= trend.periods[0].to);
            }
            let ever = range(Date::MIN, Date::MAX);
            assert_eq!(Periods::new(ever, step).finish().periods.len(), 120);
        }
    }
}
