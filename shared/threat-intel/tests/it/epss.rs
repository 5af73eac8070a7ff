use std::io::{self, Read};

use jiff::Timestamp;
use tatami_threat_intel::{EpssError, read_epss};

use crate::{SCORES, cve, gzip, rows, scores};

const HEAD: &str = "#model_version:v2025.03.14,score_date:2025-03-17T12:55:00Z\n\
                    cve,epss,percentile\n";

fn error(file: impl AsRef<[u8]>) -> EpssError {
    read_epss(file.as_ref()).unwrap_err()
}

#[test]
fn a_file_is_read() {
    let epss = scores();
    assert_eq!((epss.warnings.bad, epss.warnings.first.len()), (0, 0));
    let scores = epss.scores;
    assert_eq!(scores.len(), 9);
    assert_eq!(scores.model_version(), "v2026.06.15");
    let noon = "2026-11-29T12:00:27Z".parse::<Timestamp>().unwrap();
    assert_eq!(scores.score_date(), Some(noon));
    let score = |id| {
        let score = scores.get(cve(id)).unwrap();
        (score.score(), score.percentile())
    };
    assert_eq!(score("CVE-1999-0001"), (0.03351, 0.87435));
    assert_eq!(score("CVE-2014-0160"), (0.94464, 0.99996));
    assert_eq!(score("CVE-2021-44228"), (0.94358, 0.9996));
    assert_eq!(score("CVE-2026-0001"), (0.0, 0.0));
    assert_eq!(score("CVE-2026-1000123"), (0.00004, 0.00132));
    assert_eq!(score("CVE-2026-20316"), (1.0, 1.0));
    assert_eq!(scores.get(cve("CVE-1999-0003")), None);
}

#[test]
fn packed_it_is_the_same() {
    assert_eq!(
        read_epss(gzip(SCORES.as_bytes()).as_slice()).unwrap(),
        scores()
    );
    // the comment in a member of its own
    let (comment, rest) = SCORES.split_at(SCORES.find('\n').unwrap() + 1);
    let members = [gzip(comment.as_bytes()), gzip(rest.as_bytes())].concat();
    assert_eq!(read_epss(members.as_slice()).unwrap(), scores());
}

#[test]
fn it_may_come_a_byte_at_a_time() {
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = buffer.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    let packed = gzip(SCORES.as_bytes());
    assert_eq!(read_epss(Slow(&packed)).unwrap(), scores());
    assert_eq!(read_epss(Slow(SCORES.as_bytes())).unwrap(), scores());
}

#[test]
fn files_of_former_years_and_other_writers() {
    let file = "\u{feff}#model_version:v2022.01.01,score_date:2022-02-04T00:00:00+0000\r\n\
                \"Percentile\",\"cve\",\"x\",\"epss\"\r\n";
    assert!(matches!(error(file), EpssError::Columns { line: 2, .. }));
    let file = file.replace("Percentile", "percentile");
    let file = format!("{file}\"0.5\",\"cve-2021-44228\",\"\",\"0.25\"\r\n\r\n");
    let scores = read_epss(file.as_bytes()).unwrap().scores;
    assert_eq!(scores.model_version(), "v2022.01.01");
    let midnight = "2022-02-04T00:00:00Z".parse::<Timestamp>().unwrap();
    assert_eq!(scores.score_date(), Some(midnight));
    let score = scores.get(cve("CVE-2021-44228")).unwrap();
    assert_eq!((score.score(), score.percentile()), (0.25, 0.5));
}

#[test]
fn it_may_not_say_its_date() {
    let file = format!("cve,epss,percentile\n{}", rows(1));
    let scores = read_epss(file.as_bytes()).unwrap().scores;
    assert_eq!((scores.score_date(), scores.model_version()), (None, ""));
}

#[test]
fn of_equal_cves_the_last_one_counts() {
    let file = format!("{HEAD}CVE-2024-0001,0.9,0.9\nCVE-2024-0001,0.1,0.2\n");
    let scores = read_epss(file.as_bytes()).unwrap().scores;
    assert_eq!(scores.len(), 1);
    let score = scores.get(cve("CVE-2024-0001")).unwrap();
    assert_eq!((score.score(), score.percentile()), (0.1, 0.2));
}

#[test]
fn a_few_bad_rows_are_left_out_and_told() {
    let bad = "CVE-2024-1,0.1,0.2\n\
               CVE-2024-0001,1.1,0.2\n\
               CVE-2024-0002,0.1,-0.2\n\
               CVE-2024-0003,0.1\n\
               CVE-2024-0004,high,0.2\n\
               CVE-2024-0005,nan,0.2\n";
    let file = format!("{HEAD}{}{bad}", rows(594));
    let epss = read_epss(file.as_bytes()).unwrap();
    assert_eq!(epss.scores.len(), 594);
    assert_eq!(epss.warnings.bad, 6);
    assert_eq!(
        epss.warnings.first,
        [
            "line 597: no CVE id: \"CVE-2024-1,0.1,0.2\"",
            "line 598: no score from 0 to 1: \"CVE-2024-0001,1.1,0.2\"",
            "line 599: no percentile from 0 to 1: \"CVE-2024-0002,0.1,-0.2\"",
            "line 600: no percentile from 0 to 1: \"CVE-2024-0003,0.1\"",
            "line 601: no score from 0 to 1: \"CVE-2024-0004,high,0.2\"",
        ]
    );
    let error = error(format!("{HEAD}{}{bad}", rows(593)));
    assert_eq!(
        error.to_string(),
        "EPSS scores: 6 of 599 rows are bad; line 596: no CVE id: \"CVE-2024-1,0.1,0.2\""
    );
}

#[test]
fn bytes_that_are_no_text_are_a_bad_row() {
    let file = [HEAD.as_bytes(), rows(99).as_bytes(), b"CVE-2024-\xff\n"].concat();
    let warnings = read_epss(file.as_slice()).unwrap().warnings;
    assert_eq!(
        warnings.first,
        ["line 102: not UTF-8: \"CVE-2024-\u{fffd}\""]
    );
}

#[test]
fn other_columns_are_an_error() {
    for columns in ["cve,epss", "cve,score,percentile", "CVE-2024-0001,0.1,0.2"] {
        let file = format!("#model_version:v1\n{columns}\n{}", rows(3));
        assert_eq!(
            error(file).to_string(),
            format!(
                "EPSS scores: line 2 should name the columns cve, epss and percentile: {columns:?}"
            )
        );
    }
}

#[test]
fn an_error_page_is_an_error() {
    let page = "\n<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>\n";
    assert_eq!(
        error(page).to_string(),
        "EPSS scores: line 2 should name the columns cve, epss and percentile: \
         \"<!DOCTYPE html>\""
    );
    assert!(matches!(
        error(gzip(page.as_bytes())),
        EpssError::Columns { line: 2, .. }
    ));
    let one_line = format!("<html>{}</html>", "x".repeat(5000));
    assert!(matches!(
        error(one_line),
        EpssError::LongLine { line: 1, .. }
    ));
}

#[test]
fn nothing_is_an_error() {
    for file in [
        Vec::new(),
        b"\n\n".to_vec(),
        gzip(b""),
        b"#model_version:v1".to_vec(),
    ] {
        let error = error(file).to_string();
        assert!(error.ends_with("no line names the columns"), "{error}");
    }
    assert!(matches!(
        error(HEAD),
        EpssError::Empty {
            lines: 2,
            bad: 0,
            ..
        }
    ));
    assert_eq!(
        error(format!("{HEAD}a\nb\n")).to_string(),
        "EPSS scores: none in 4 lines, 2 bad ones; line 3: no CVE id: \"a\""
    );
    assert!(matches!(error(b"\x1f"), EpssError::Columns { .. }));
}

#[test]
fn a_packed_file_that_is_cut_off_is_an_error() {
    let packed = gzip(SCORES.as_bytes());
    for length in 2..packed.len() {
        let error = error(&packed[..length]);
        assert!(matches!(error, EpssError::Read { .. }), "{length}: {error}");
    }
    let more = [packed.as_slice(), b"<html>"].concat();
    assert!(matches!(error(more), EpssError::Read { line: 12, .. }));
}

#[test]
fn a_packed_file_that_is_changed_is_an_error() {
    let packed = gzip(format!("{HEAD}{}", rows(1000)).as_bytes());
    for at in [packed.len() / 2, packed.len() - 8, packed.len() - 1] {
        let mut changed = packed.clone();
        changed[at] ^= 0x10;
        read_epss(changed.as_slice()).unwrap_err();
    }
}

#[test]
fn a_reader_that_fails_is_an_error_with_its_line() {
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let error = read_epss(SCORES.as_bytes().chain(Broken)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "EPSS scores: cannot read line 12: connection reset"
    );
}

#[test]
fn a_small_file_that_unpacks_to_a_huge_one_is_an_error() {
    let head = gzip(format!("{HEAD}{}", rows(1)).as_bytes());
    let member = gzip(format!("#{}\n", "x".repeat(4094)).repeat(256).as_bytes());
    let file = |members| [head.clone(), member.repeat(members)].concat();
    assert!(read_epss(file(255).as_slice()).is_ok());
    let bomb = file(256);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let error = error(bomb);
    assert!(
        matches!(
            error,
            EpssError::TooLarge {
                limit: 268_435_456,
                ..
            }
        ),
        "{error}"
    );
}
