//! What both readers share: a limit on bytes, warnings, points in time.

use std::io::{self, Read};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Rows of a file that could not be used, or not in full.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings {
    /// How many rows were bad.
    pub bad: usize,
    /// What is wrong with the first [`Warnings::KEPT`] of them, and where; then what is odd about the
    /// file as a whole.
    pub first: Vec<String>,
}

impl Warnings {
    /// As many are told in words.
    pub const KEPT: usize = 5;
    /// Longer excerpts of a file are cut, in characters.
    const EXCERPT: usize = 80;

    pub(crate) fn add(&mut self, place: impl FnOnce() -> String) {
        self.bad += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(place());
        }
    }

    /// Something about the file as a whole.
    pub(crate) fn note(&mut self, what: String) {
        self.first.push(what);
    }

    /// More than one row in a hundred is bad: the format isn't what it was.
    pub(crate) const fn too_many(&self, rows: usize) -> bool {
        self.bad.saturating_mul(100) > rows
    }

    pub(crate) fn first(&self) -> String {
        self.first.first().cloned().unwrap_or_default()
    }
}

/// A piece of a file for a message: quoted, control characters escaped, cut.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(Warnings::EXCERPT) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A reader that fails with `FileTooLarge` where there are more bytes than it may give.
pub(crate) struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R> Capped<R> {
    pub(crate) const fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(io::ErrorKind::FileTooLarge.into()),
        }
        Ok(read)
    }
}

/// A point in time, to the second, as the two files have had it over the years:
/// `2026-11-29T12:00:00Z`, `2026-11-29T16:59:23.0688Z`, `2026-11-29T00:00:00+0000` or `2026-11-29`.
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let at = text.parse().or_else(|_| {
        let midnight = text.parse::<Date>()?.to_zoned(TimeZone::UTC)?;
        Ok::<_, jiff::Error>(midnight.timestamp())
    });
    Timestamp::from_second(at.ok()?.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let noon = Timestamp::from_second(1_795_953_600).unwrap();
        assert_eq!(instant("2026-11-29T12:00:00Z"), Some(noon));
        assert_eq!(instant("2026-11-29T12:00:00.9999Z"), Some(noon));
        assert_eq!(instant("2026-11-29T12:00:00+0000"), Some(noon));
        assert_eq!(instant("2026-11-29T14:00:00+02:00"), Some(noon));
        let midnight = Timestamp::from_second(1_795_953_600 - 43_200).unwrap();
        assert_eq!(instant("2026-11-29"), Some(midnight));
        assert_eq!(instant("yesterday"), None);
        assert_eq!(instant(""), None);
    }

    #[test]
    fn excerpts_are_cut_and_escaped() {
        assert_eq!(excerpt("a\n\u{1b}"), r#""a\n\u{1b}""#);
        let cut = excerpt(&"é".repeat(81));
        assert_eq!(cut, format!("\"{}\"…", "é".repeat(80)));
        assert_eq!(excerpt(&"é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
    }

    #[test]
    fn as_much_as_the_limit_and_not_a_byte_more() {
        let read = |bytes: &[u8]| {
            let mut out = Vec::new();
            Capped::new(bytes, 4).read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(b"1234").unwrap(), b"1234");
        assert_eq!(
            read(b"12345").unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn one_in_a_hundred_is_not_too_many() {
        let warnings = |bad| Warnings {
            bad,
            ..Warnings::default()
        };
        assert!(!warnings(1).too_many(100));
        assert!(warnings(1).too_many(99));
        assert!(warnings(2).too_many(199));
        assert!(!warnings(0).too_many(0));
    }
}
