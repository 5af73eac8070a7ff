use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use serde_json::{Value, json};
use tatami_threat_intel::{Kev, KevEntry, KevError, read_kev};

use crate::{CATALOGUE, catalogue, cve};

fn entry(id: &str) -> Value {
    json!({"cveID": id, "dateAdded": "2024-01-31", "dueDate": "2024-02-29"})
}

/// As many good entries, then others.
fn file(good: usize, others: &[Value]) -> Value {
    let mut entries: Vec<_> = (0..good)
        .map(|n| entry(&format!("CVE-2023-{:04}", n + 1)))
        .collect();
    entries.extend_from_slice(others);
    json!({"catalogVersion": "1", "dateReleased": "2024-01-31", "vulnerabilities": entries})
}

fn read(file: &Value) -> Result<Kev, KevError> {
    read_kev(file.to_string().as_bytes())
}

fn error(file: &str) -> String {
    read_kev(file.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_catalogue_is_read() {
    let kev = catalogue();
    assert_eq!((kev.warnings.bad, kev.warnings.first.len()), (0, 0));
    let kev = kev.catalogue;
    assert_eq!((kev.len(), kev.version()), (4, "2026.11.28"));
    let released = "2026-11-28T16:59:23Z".parse::<Timestamp>().unwrap();
    assert_eq!(kev.released(), Some(released));
    assert_eq!(
        kev.get(cve("CVE-2021-44228")),
        Some(KevEntry {
            added: Some(date(2021, 12, 10)),
            due: Some(date(2021, 12, 24)),
            ransomware: true,
        })
    );
    assert_eq!(
        kev.get(cve("CVE-2026-20316")),
        Some(KevEntry {
            added: Some(date(2026, 11, 28)),
            due: Some(date(2026, 12, 1)),
            ransomware: false,
        })
    );
    // it says nothing of ransomware
    assert!(!kev.get(cve("CVE-2014-0160")).unwrap().ransomware);
    assert_eq!(kev.get(cve("CVE-2009-3129")).unwrap().due, None);
    assert_eq!(kev.get(cve("CVE-2024-3094")), None);
}

#[test]
fn a_few_bad_entries_are_told() {
    let mut bad_date = entry("CVE-2024-0002");
    bad_date["dateAdded"] = json!("31.01.2024");
    let mut bad_due = entry("CVE-2024-0003");
    bad_due["dueDate"] = json!("soon");
    let mut no_date = entry("CVE-2024-0004");
    no_date["dateAdded"] = json!({"year": [2024]});
    let bad = [
        entry("CVE-2024-1"),
        json!({}),
        bad_date,
        bad_due,
        json!(5),
        no_date,
    ];
    let kev = read(&file(594, &bad)).unwrap();
    assert_eq!(kev.warnings.bad, 6);
    assert_eq!(
        kev.warnings.first,
        [
            "entry 595: no CVE id: \"CVE-2024-1\"",
            "entry 596: no CVE id: \"\"",
            "entry 597, CVE-2024-0002: no date: \"31.01.2024\"",
            "entry 598, CVE-2024-0003: no date: \"soon\"",
            "entry 599 is no object",
        ]
    );
    let kev = kev.catalogue;
    assert_eq!(kev.len(), 597);
    // that it's exploited is known all the same
    let entry = kev.get(cve("CVE-2024-0002")).unwrap();
    assert_eq!((entry.added, entry.due), (None, Some(date(2024, 2, 29))));
    let entry = kev.get(cve("CVE-2024-0003")).unwrap();
    assert_eq!((entry.added, entry.due), (Some(date(2024, 1, 31)), None));
    assert_eq!(kev.get(cve("CVE-2024-0004")).unwrap().added, None);
    assert_eq!(
        read(&file(593, &bad)).unwrap_err().to_string(),
        "KEV catalogue: 6 of 599 entries are bad; entry 594: no CVE id: \"CVE-2024-1\""
    );
}

#[test]
fn entries_of_any_shape_do_not_end_the_file() {
    for odd in [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("CVE-2024-0001"),
        json!([["CVE-2024-0001"]]),
        json!({"cveID": ["CVE-2024-0001"]}),
        json!({"cveID": {"cveID": "CVE-2024-0001"}}),
    ] {
        let kev = read(&file(99, std::slice::from_ref(&odd))).unwrap();
        assert_eq!((kev.warnings.bad, kev.catalogue.len()), (1, 99), "{odd}");
    }
}

#[test]
fn ransomware_is_what_is_known() {
    for (text, known) in [
        (json!("Known"), true),
        (json!(" known "), true),
        (json!("Unknown"), false),
        (json!(""), false),
        (json!(null), false),
        (json!(true), false),
    ] {
        let mut entry = entry("CVE-2024-0001");
        entry["knownRansomwareCampaignUse"] = text.clone();
        let kev = read(&file(0, &[entry])).unwrap().catalogue;
        let read = kev.get(cve("CVE-2024-0001")).unwrap().ransomware;
        assert_eq!(read, known, "{text}");
    }
}

#[test]
fn of_equal_cves_the_last_one_counts() {
    let mut later = entry(" cve-2024-0001 ");
    later["dateAdded"] = json!("2025-01-31");
    let kev = read(&file(0, &[entry("CVE-2024-0001"), later])).unwrap();
    assert_eq!(kev.catalogue.len(), 1);
    let entry = kev.catalogue.get(cve("CVE-2024-0001")).unwrap();
    assert_eq!(entry.added, Some(date(2025, 1, 31)));
}

#[test]
fn another_count_is_told() {
    let mut file = file(3, &[]);
    file["count"] = json!(4);
    let kev = read(&file).unwrap();
    assert_eq!(kev.warnings.bad, 0);
    assert_eq!(kev.warnings.first, ["4 entries by its own count, 3 in it"]);
    file["count"] = json!(3);
    assert_eq!(read(&file).unwrap().warnings.first, [""; 0]);
}

#[test]
fn what_is_no_catalogue_is_an_error() {
    assert_eq!(
        error("<!DOCTYPE html>"),
        "KEV catalogue: expected value at line 1 column 1"
    );
    assert_eq!(
        error("{\n\"count\": 1}"),
        "KEV catalogue: missing field `vulnerabilities` at line 2 column 11"
    );
    assert!(error("").starts_with("KEV catalogue: EOF while parsing"));
    assert!(error(r#"{"vulnerabilities": {}}"#).contains("a list of vulnerabilities"));
    assert!(error(r#"{"vulnerabilities": []} x"#).contains("trailing characters"));
    assert_eq!(
        error(r#"{"vulnerabilities": []}"#),
        "KEV catalogue: no entry with a CVE id, 0 without; "
    );
    assert_eq!(
        error(r#"{"vulnerabilities": [{"cveID": "x"}]}"#),
        "KEV catalogue: no entry with a CVE id, 1 without; entry 1: no CVE id: \"x\""
    );
    let deep = format!(
        r#"{{"vulnerabilities": [{}"#,
        r#"{"cveID":"#.repeat(100_000)
    );
    assert!(error(&deep).contains("recursion limit"));
    let deep = format!(r#"{{"vulnerabilities": {}"#, "[".repeat(100_000));
    assert!(error(&deep).contains("EOF while parsing"));
}

#[test]
fn a_catalogue_that_is_cut_off_is_an_error() {
    let whole = CATALOGUE.trim_end();
    for length in 0..whole.len() {
        let bytes = &whole.as_bytes()[..length];
        assert!(read_kev(bytes).is_err(), "{length}");
    }
}

#[test]
fn entries_have_a_limit() {
    let list = |count: usize| format!(r#"{{"vulnerabilities": [0{}]}}"#, ",0".repeat(count - 1));
    assert!(error(&list(100_000)).contains("100000 without"));
    assert!(error(&list(100_001)).contains("more than 100000 entries"));
}

#[test]
fn bytes_have_a_limit() {
    let spaces = |count: usize| format!("{}{CATALOGUE}", " ".repeat(count - CATALOGUE.len()));
    assert!(read_kev(spaces(64 << 20).as_bytes()).is_ok());
    let error = error(&spaces((64 << 20) + 1));
    assert_eq!(error, "KEV catalogue: more than 67108864 bytes");
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(at in 0..CATALOGUE.len(), byte: u8) {
        let mut file = CATALOGUE.as_bytes().to_vec();
        file[at] = byte;
        let _ = read_kev(file.as_slice());
    }
}
