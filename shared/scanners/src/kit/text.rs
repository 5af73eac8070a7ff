//! What reports write as text and a finding holds in a field of its own: weaknesses, vulnerability
//! ids, dates, short titles.

use jiff::Timestamp;
use jiff::civil::Date;
use memchr::memchr2_iter;

/// The first CWE in a text: `CWE-79: ...` is 79.
pub fn cwe(text: &str) -> Option<u32> {
    cwes(text).next()
}

/// All CWEs in a text, in its order. `CWE-079`, `cwe_79`, `CWE 79`, `CWE79` and `CWE:79` count too.
pub fn cwes(text: &str) -> impl Iterator<Item = u32> {
    let bytes = text.as_bytes();
    memchr2_iter(b'c', b'C', bytes).filter_map(move |at| {
        let inside_a_word = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
        let word = text.get(at..at + 3)?;
        if inside_a_word || !word.eq_ignore_ascii_case("cwe") {
            return None;
        }
        let rest = &text[at + 3..];
        let rest = rest.strip_prefix(['-', '_', ' ', ':']).unwrap_or(rest);
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|cwe| *cwe > 0)
    })
}

/// The CVE and GHSA ids in a text, in its order, without doubles. CVE ids come in capitals.
pub fn vulnerability_ids(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = text;
    while let Some(at) = rest
        .as_bytes()
        .iter()
        .position(|b| matches!(b, b'C' | b'c' | b'G' | b'g'))
    {
        rest = &rest[at..];
        let id = cve_at_start(rest).or_else(|| ghsa_at_start(rest));
        rest = &rest[id.as_ref().map_or(1, String::len)..];
        if let Some(id) = id {
            push_new(&mut ids, id);
        }
    }
    ids
}

/// The first CVE in a text.
pub fn cve(text: &str) -> Option<String> {
    memchr2_iter(b'c', b'C', text.as_bytes()).find_map(|at| cve_at_start(&text[at..]))
}

fn cve_at_start(text: &str) -> Option<String> {
    let word = text.get(..4).filter(|w| w.eq_ignore_ascii_case("CVE-"))?;
    let rest = &text[word.len()..];
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let year = digits(rest);
    let number = digits(rest[year..].strip_prefix('-')?);
    let length = word.len() + year + 1 + number;
    (year == 4 && number >= 1).then(|| text[..length].to_ascii_uppercase())
}

fn ghsa_at_start(text: &str) -> Option<String> {
    let id = text.get(..19)?;
    let mut parts = id.split('-');
    let named = parts.next()?.eq_ignore_ascii_case("GHSA");
    let short = |part: &str| part.len() == 4 && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let ends = !text[19..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let parts: Vec<_> = parts.collect();
    let whole = named && ends && parts.len() == 3 && parts.into_iter().all(short);
    whole.then(|| format!("GHSA{}", id[4..].to_ascii_lowercase()))
}

/// Adds a value that isn't in the list yet.
pub fn push_new<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// How long a text may grow that many records add to, in bytes.
pub const MAX_JOINED: usize = 256 * 1024;

/// Adds a piece to a text that many records add to, such as the output of one check on ten thousand
/// hosts. What goes beyond [`MAX_JOINED`] is left out, which the text says at its end: the report has
/// it, and nobody reads that far.
pub fn join(text: &mut String, piece: &str) {
    let room = MAX_JOINED.saturating_sub(text.len());
    if piece.len() <= room {
        text.push_str(piece);
    } else if room > 0 {
        text.push_str(&piece[..piece.floor_char_boundary(room)]);
        text.push_str("\n\n[... the report has more of this]\n");
    }
}

/// A text on one line of at most `width` characters. A longer one is cut behind a word, or behind a
/// hyphen between words, and ends with ` [...]`.
pub fn shorten(text: &str, width: usize) -> String {
    const MARK: &str = " [...]";
    let line: Vec<char> = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .collect();
    if line.len() <= width {
        return line.into_iter().collect();
    }
    let room = width.saturating_sub(MARK.len());
    let is_end = |at: &usize| line[*at] == ' ' || parts_after(&line, at - 1);
    let end = (1..=room).rev().find(is_end).unwrap_or(room);
    line[..end]
        .iter()
        .chain(&MARK.chars().collect::<Vec<_>>())
        .collect()
}

/// Is this a hyphen behind which a line may break: between two words of at least two letters (a word
/// may be a hyphenated letter)?
fn parts_after(line: &[char], hyphen: usize) -> bool {
    let is = |at: Option<usize>, wanted: char| at.and_then(|at| line.get(at)) == Some(&wanted);
    let letter = |at: Option<usize>| {
        (at.and_then(|at| line.get(at))).is_some_and(|c| c.is_alphabetic() || *c == '_')
    };
    let before = |n| hyphen.checked_sub(n);
    let after = |n| hyphen.checked_add(n);
    let word_before = letter(before(2)) || is(before(2), '-') && letter(before(3));
    let word_after = letter(after(2)) || is(after(2), '-') && letter(after(3));
    let between = letter(before(1)) && letter(after(1));
    is(Some(hyphen), '-') && between && word_before && word_after
}

/// The name of the test type for a report that names its own tool.
pub fn test_type(tool: &str, scan_type: &str) -> String {
    let own = format!("{tool} Scan");
    if tool == scan_type || tool.ends_with(&format!("({scan_type})")) {
        tool.to_owned()
    } else if own == scan_type {
        own
    } else {
        format!("{own} ({scan_type})")
    }
}

/// The day in a date or time as reports write it: ISO 8601, `01/30/2018` (the month first, unless
/// only the other way round makes a date), `30.01.2018`, `30 Jan 2018`, `Jan 30, 2018 10:00 AM`,
/// `Tue Jan 30 10:00:00 UTC 2018`, or seconds or milliseconds since 1970.
pub fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    let number = |part: &str| part.parse::<i16>().ok();
    if text.bytes().all(|b| b.is_ascii_digit()) && matches!(text.len(), 9..=13) {
        let since: i64 = text.parse().ok()?;
        let seconds = if text.len() > 10 { since / 1000 } else { since };
        let time = Timestamp::from_second(seconds).ok()?;
        return Some(time.to_zoned(jiff::tz::TimeZone::UTC).date());
    }
    let first = text.split([' ', 'T', ',']).next()?;
    if first.len() == 8 && first.bytes().all(|b| b.is_ascii_digit()) {
        return day(
            number(&first[..4])?,
            number(&first[4..6])?,
            number(&first[6..])?,
        );
    }
    for separator in ['-', '/', '.'] {
        let parts: Option<Vec<i16>> = first.split(separator).map(number).collect();
        if let Some(&[a, b, c]) = parts.as_deref() {
            let short_year = |year: i16| {
                if (0..100).contains(&year) {
                    2000 + year
                } else {
                    year
                }
            };
            let year_first = first.find(separator) == Some(4);
            return match (year_first, separator) {
                (true, _) => day(a, b, c),
                (false, '.') => day(short_year(c), b, a),
                (false, _) => day(short_year(c), a, b).or_else(|| day(short_year(c), b, a)),
            };
        }
    }
    let words = || {
        text.split([' ', ',', '-', '/', 'T'])
            .filter(|w| !w.is_empty())
    };
    let month = words().find_map(month_of)?;
    let year = words().filter(|w| w.len() == 4).find_map(number)?;
    let ordinal = |word: &str| number(word.trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']));
    let day_of_month = words()
        .filter(|w| w.len() <= 4)
        .find_map(|w| ordinal(w).filter(|d| *d < 32))?;
    day(year, month, day_of_month)
}

fn day(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn month_of(word: &str) -> Option<i16> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    let at = MONTHS
        .iter()
        .position(|m| word.len() >= 3 && m.starts_with(&word))?;
    i16::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weaknesses_are_found() {
        assert_eq!(cwe("CWE-79"), Some(79));
        assert_eq!(cwe("external/cwe/cwe-022"), Some(22));
        assert_eq!(cwe("xCWE-1, CWE-0, CWE"), None);
        let all: Vec<_> = cwes("CWE-79: a, cwe_80 CWE 81 CWE:82 CWE83é").collect();
        assert_eq!(all, [79, 80, 81, 82, 83]);
    }

    #[test]
    fn vulnerability_ids_are_found() {
        assert_eq!(
            vulnerability_ids("cve-2021-44228 (GHSA-jfh8-C2JP-5v3q), CVE-2021-44228-x CVE-20-1 é"),
            ["CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"]
        );
        assert_eq!(vulnerability_ids("GHSA-jfh8-c2jp-5v3qq ghsa"), [""; 0]);
        assert_eq!(
            cve("java-CVE-2008-0732-x").as_deref(),
            Some("CVE-2008-0732")
        );
        assert_eq!(cve("CVE-1999-"), None);
    }

    #[test]
    fn a_text_that_many_records_add_to_stays_readable() {
        let mut text = "a".repeat(MAX_JOINED - 3);
        for piece in ["b", "éé", "d"] {
            join(&mut text, piece);
        }
        assert_eq!(
            &text[MAX_JOINED - 3..],
            "bé\n\n[... the report has more of this]\n"
        );
    }

    #[test]
    fn titles_are_cut_at_a_word() {
        assert_eq!(shorten("a  b\n c", 10), "a b c");
        assert_eq!(shorten("aaaa bbbb cccc dddd", 19), "aaaa bbbb cccc dddd");
        assert_eq!(shorten("aaaa bbbb cccc dddd", 18), "aaaa bbbb [...]");
        assert_eq!(shorten("aaaa (java-archive) dd", 21), "aaaa (java- [...]");
        assert_eq!(shorten("aaaa 2020-1234567890 dd", 21), "aaaa [...]");
        assert_eq!(shorten(&"x".repeat(30), 10), "xxxx [...]");
        assert_eq!(shorten("aaaa", 2), " [...]");
    }

    #[test]
    fn test_types_carry_the_scan_type() {
        let name = |tool| test_type(tool, "Flawfinder Scan");
        assert_eq!(name("Flawfinder"), "Flawfinder Scan");
        assert_eq!(name("Other"), "Other Scan (Flawfinder Scan)");
        assert_eq!(name("X (Flawfinder Scan)"), "X (Flawfinder Scan)");
        assert_eq!(name("Flawfinder Scan"), "Flawfinder Scan");
    }

    #[test]
    fn dates_are_read_as_reports_write_them() {
        for text in [
            "2018-01-30",
            "2018-01-30T11:02:11Z",
            "2018-01-30 11:02:11+02:00",
            "2018/01/30",
            "01/30/2018",
            "30/01/2018",
            "1/30/18 10:00",
            "30.01.2018",
            "30 Jan 2018",
            "Jan 30, 2018 10:00 AM",
            "January 30th, 2018",
            "Tue Jan 30 10:00:00 UTC 2018",
            "Tue, 30 Jan 2018 10:00:00 GMT",
            "30-Jan-2018",
            "20180130",
            "20180130T110211Z",
            "1517306531",
            "1517306531000",
        ] {
            assert_eq!(date(text), day(2018, 1, 30), "{text}");
        }
        for text in [
            "",
            "N/A",
            "2018-13-45",
            "soon",
            "99/99/2018",
            "20189999",
            "May",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
