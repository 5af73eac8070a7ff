//! CVE ids and tables that are sorted by them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A CVE id, as year and number, in eight bytes. The order is that of years, then of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cve {
    year: u16,
    number: u32,
}

/// A text is no CVE id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no CVE id")]
pub struct NoCve;

impl Cve {
    pub(crate) const MAX_YEAR: u16 = 9_999;
    pub(crate) const MAX_NUMBER: u32 = 999_999_999;

    /// Reads `CVE-2024-12345`, in capitals or not: a year of four digits and a number of four to nine,
    /// where only a number of four digits may begin with 0. Nothing for anything else.
    ///
    /// The schema of CVE records allows up to 19 digits; none with more than seven has been given out.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.as_bytes().split_at_checked(4)?;
        let (year, rest) = rest.split_at_checked(4)?;
        let (dash, number) = rest.split_at_checked(1)?;
        let zero = number.len() > 4 && number.starts_with(b"0");
        if !word.eq_ignore_ascii_case(b"CVE-")
            || dash != b"-"
            || zero
            || !(4..=9).contains(&number.len())
        {
            return None;
        }
        Some(Self {
            year: decimal(year)?.try_into().ok()?,
            number: decimal(number)?,
        })
    }

    /// None where the year or the number has more digits than an id that is read.
    pub(crate) fn new(year: u16, number: u32) -> Option<Self> {
        (year <= Self::MAX_YEAR && number <= Self::MAX_NUMBER).then_some(Self { year, number })
    }

    /// The year in the id, which is when it was reserved.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The number within the year.
    pub const fn number(self) -> u32 {
        self.number
    }
}

/// At most nine digits, so that it cannot overflow.
fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |n, digit| {
        digit
            .is_ascii_digit()
            .then(|| n * 10 + u32::from(digit - b'0'))
    })
}

impl FromStr for Cve {
    type Err = NoCve;

    fn from_str(text: &str) -> Result<Self, NoCve> {
        Self::parse(text).ok_or(NoCve)
    }
}

impl fmt::Display for Cve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVE-{:04}-{:04}", self.year, self.number)
    }
}

/// Values by CVE: ids in ascending order, each once, and their values in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CveTable<V> {
    pub(crate) cves: Vec<Cve>,
    pub(crate) values: Vec<V>,
}

impl<V> CveTable<V> {
    /// Of rows with the same CVE the last one counts.
    pub(crate) fn from_rows(mut rows: Vec<(Cve, V)>) -> Self {
        // the sort is stable: the last of equal ones comes first, and the first one stays
        rows.reverse();
        rows.sort_by_key(|(cve, _)| *cve);
        rows.dedup_by_key(|(cve, _)| *cve);
        let (cves, values) = rows.into_iter().unzip();
        let mut table = Self { cves, values };
        table.cves.shrink_to_fit();
        table.values.shrink_to_fit();
        table
    }

    pub(crate) fn get(&self, cve: Cve) -> Option<&V> {
        let at = self.cves.binary_search(&cve).ok()?;
        self.values.get(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_read() {
        let cve = Cve::parse("CVE-2021-44228").unwrap();
        assert_eq!((cve.year(), cve.number()), (2021, 44_228));
        assert_eq!(Cve::parse("cve-2021-44228"), Some(cve));
        assert_eq!("Cve-2014-0160".parse(), Ok(Cve::new(2014, 160).unwrap()));
        let longest = Cve::parse("CVE-9999-999999999").unwrap();
        assert_eq!(
            (longest.year, longest.number),
            (Cve::MAX_YEAR, Cve::MAX_NUMBER)
        );
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "CVE",
            "CVE-",
            "CVE-2021",
            "CVE-2021-",
            "CVE-2021-1",
            "CVE-2021-123",
            "CVE-2021-1234567890",
            "CVE-2021-01234",
            "CVE-202-12345",
            "CVE-20211-2345",
            "CVE-2021-4422x",
            "CVE-2021-44228 ",
            " CVE-2021-44228",
            "CVE-2021-44228-x",
            "CVE_2021-44228",
            "CVE-2021_44228",
            "CVE-2021-+4228",
            "CVE-2021-44é28",
            "CVE-20é1-44228",
            "CVÉ2021-44228",
            "CVE-２０２１-4422",
            "GHSA-jfh8-c2jp-5v3q",
        ] {
            assert_eq!(Cve::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn eight_bytes() {
        assert_eq!(size_of::<Cve>(), 8);
    }

    #[test]
    fn the_last_of_equal_ones_counts() {
        let cve = |number| Cve::new(2024, number).unwrap();
        let table = CveTable::from_rows(vec![
            (cve(2), 'a'),
            (cve(1), 'b'),
            (cve(2), 'c'),
            (cve(2), 'd'),
        ]);
        assert_eq!(table.cves, [cve(1), cve(2)]);
        assert_eq!(table.values, ['b', 'd']);
        assert_eq!(table.get(cve(3)), None);
    }

    proptest! {
        #[test]
        fn texts_round_trip(year in 0..=Cve::MAX_YEAR, number in 0..=Cve::MAX_NUMBER) {
            let cve = Cve::new(year, number).unwrap();
            prop_assert_eq!(Cve::parse(&cve.to_string()), Some(cve));
        }

        #[test]
        fn any_text_may_come(text in ".*") {
            if let Some(cve) = Cve::parse(&text) {
                prop_assert_eq!(cve.to_string(), text.to_ascii_uppercase());
            }
        }

        #[test]
        fn the_order_is_that_of_the_parts(a: (u16, u16), b: (u16, u16)) {
            let cve = |(year, number): (u16, u16)| Cve::new(year % 10_000, number.into()).unwrap();
            let key = |(year, number): (u16, u16)| (year % 10_000, number);
            prop_assert_eq!(cve(a).cmp(&cve(b)), key(a).cmp(&key(b)));
        }
    }
}
