use jiff::Span;
use jiff::civil::Date;

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Days from one day to another; negative where that is earlier.
pub(crate) fn days_between(from: Date, to: Date) -> i64 {
    // civil days have 24 hours: nothing here knows of time zones
    to.duration_since(from).as_hours() / 24
}

/// Days since 1970, as they are stored.
pub(crate) fn to_number(day: Date) -> i64 {
    days_between(EPOCH, day)
}

/// The day with this number; `None` outside the years -9999 to 9999.
pub(crate) fn from_number(number: i64) -> Option<Date> {
    let days = Span::new().try_days(number).ok()?;
    EPOCH.checked_add(days).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_are_numbered_from_1970_and_back() {
        for (day, number) in [
            (date(1970, 1, 1), 0),
            (date(1969, 12, 31), -1),
            (date(2000, 2, 29), 11_016),
            (date(2026, 1, 1), 20_454),
        ] {
            assert_eq!(to_number(day), number);
            assert_eq!(from_number(number), Some(day));
        }
        for day in [Date::MIN, Date::MAX] {
            assert_eq!(from_number(to_number(day)), Some(day));
        }
        assert_eq!(from_number(to_number(Date::MAX) + 1), None);
        assert_eq!(from_number(to_number(Date::MIN) - 1), None);
        assert_eq!(from_number(i64::MAX), None);
        assert_eq!(from_number(i64::MIN), None);
    }

    #[test]
    fn leap_days_and_changes_of_the_clock_are_days_as_others() {
        assert_eq!(days_between(date(2024, 2, 28), date(2024, 3, 1)), 2);
        assert_eq!(days_between(date(2026, 2, 28), date(2026, 3, 1)), 1);
        // clocks go forward on 29 March 2026 in Europe and back on 25 October
        assert_eq!(days_between(date(2026, 3, 28), date(2026, 3, 30)), 2);
        assert_eq!(days_between(date(2026, 10, 24), date(2026, 10, 26)), 2);
        assert_eq!(days_between(date(2026, 10, 26), date(2026, 10, 24)), -2);
    }
}
