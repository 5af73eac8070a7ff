use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use flate2::read::GzDecoder;
use jiff::civil::Date;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;
use tatami_threat_intel::{FormatError, Intel, read_epss, read_kev};

use crate::{catalogue, cve, gzip, scores};

const V1: &[u8] = include_bytes!("../compat/intel-v1.bin");

fn intel() -> Intel {
    Intel::new(Some(scores()), Some(catalogue()))
}

fn content(object: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut unpacked = GzDecoder::new(&object[4..]);
    unpacked.read_to_end(&mut content).unwrap();
    content
}

/// An object of this version with a content of our own.
fn object(content: &[u8]) -> Vec<u8> {
    [b"TTI\x01".as_slice(), &gzip(content)].concat()
}

/// What is wrong with a content.
fn wrong(content: &[u8]) -> &'static str {
    match Intel::from_bytes(&object(content)) {
        Err(FormatError::Content { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn halves_round_trip() {
    for intel in [
        intel(),
        Intel::new(Some(scores()), None),
        Intel::new(None, Some(catalogue())),
        Intel::default(),
    ] {
        let bytes = intel.to_bytes().unwrap();
        assert_eq!(Intel::from_bytes(&bytes).unwrap(), intel);
        assert_eq!(intel.to_bytes().unwrap(), bytes);
    }
}

#[test]
fn a_stored_object_is_still_read() {
    assert_eq!(Intel::from_bytes(V1).unwrap(), intel());
    // another content needs another version, and a sample of its own
    assert_eq!(content(&intel().to_bytes().unwrap()), content(V1));
}

#[test]
fn other_objects_and_versions_are_known() {
    let read = |bytes: &[u8]| Intel::from_bytes(bytes).unwrap_err();
    assert!(matches!(read(b""), FormatError::Magic));
    assert!(matches!(read(b"TTI"), FormatError::Magic));
    assert!(matches!(read(b"<html>"), FormatError::Magic));
    let mut bytes = V1.to_vec();
    bytes[3] = 2;
    assert!(matches!(read(&bytes), FormatError::Version(2)));
    let more = [V1, b"x"].concat();
    assert!(matches!(read(&more), FormatError::Content { .. }));
    let twice = [V1, &V1[4..]].concat();
    assert!(matches!(read(&twice), FormatError::Content { .. }));
}

#[test]
fn a_cut_off_object_is_an_error() {
    for length in 0..V1.len() {
        assert!(Intel::from_bytes(&V1[..length]).is_err(), "{length}");
    }
}

/// Contents with a right checksum that nobody wrote like this.
#[test]
fn every_part_is_checked() {
    let head = |there: u8| {
        let mut content = vec![there];
        content.extend(i64::MIN.to_le_bytes());
        content.push(0);
        content
    };
    let ids = |years: &[(u16, &[u32])]| {
        let mut content = u16::try_from(years.len()).unwrap().to_le_bytes().to_vec();
        for (year, ids) in years {
            content.extend(year.to_le_bytes());
            content.extend(u32::try_from(ids.len()).unwrap().to_le_bytes());
        }
        for difference in years.iter().flat_map(|(_, ids)| *ids) {
            content.extend(difference.to_le_bytes());
        }
        content
    };
    let scores =
        |years: &[(u16, &[u32])], scores: &[u8]| [head(1).as_slice(), &ids(years), scores].concat();
    let good = scores(&[(2023, &[1, 1]), (2024, &[0])], &[0; 18]);
    let intel = Intel::from_bytes(&object(&good)).unwrap();
    let table = intel.epss().unwrap();
    assert_eq!(table.len(), 3);
    assert!(table.get(cve("CVE-2023-0002")).is_some());
    assert!(table.get(cve("CVE-2024-0000")).is_some());

    assert_eq!(wrong(b""), "end");
    assert_eq!(wrong(&[4]), "unknown parts");
    assert_eq!(wrong(&[0, 0]), "something after the last part");
    assert_eq!(
        wrong(&[good.as_slice(), b"x"].concat()),
        "something after the last part"
    );
    assert_eq!(wrong(&good[..good.len() - 1]), "end");
    assert_eq!(wrong(&scores(&[], &[])), "no ids");
    let order = "ids out of order before";
    assert_eq!(wrong(&scores(&[(2024, &[1, 0])], &[0; 12])), order);
    assert_eq!(
        wrong(&scores(&[(2024, &[1]), (2023, &[1])], &[0; 12])),
        order
    );
    assert_eq!(
        wrong(&scores(&[(2024, &[1]), (2024, &[1])], &[0; 12])),
        order
    );
    let no_id = "no CVE id before";
    assert_eq!(wrong(&scores(&[(10_000, &[1])], &[0; 6])), no_id);
    assert_eq!(wrong(&scores(&[(2024, &[1_000_000_000])], &[0; 6])), no_id);
    assert_eq!(wrong(&scores(&[(2024, &[1, u32::MAX])], &[0; 12])), no_id);
    // 100,001 hundred-thousandths
    let above = "a score above 1 before";
    let number = 100_001_u32.to_le_bytes();
    let (score, none) = (&number[..3], &[0; 3]);
    assert_eq!(
        wrong(&scores(&[(2024, &[1])], &[score, none].concat())),
        above
    );
    assert_eq!(
        wrong(&scores(&[(2024, &[1])], &[none, score].concat())),
        above
    );

    let mut no_time = good.clone();
    no_time[1..9].copy_from_slice(&i64::MAX.to_le_bytes());
    assert_eq!(wrong(&no_time), "no point in time");
    let mut no_text = good;
    no_text[9] = 1;
    no_text.insert(10, 0xff);
    assert_eq!(wrong(&no_text), "no UTF-8");

    let catalogue = |added: u32, due: u32, ransomware: u8| {
        let days = [added.to_le_bytes(), due.to_le_bytes()].concat();
        [
            head(2).as_slice(),
            &ids(&[(2024, &[1])]),
            &days,
            &[ransomware],
        ]
        .concat()
    };
    assert!(Intel::from_bytes(&object(&catalogue(20_240_229, 0, 1))).is_ok());
    assert_eq!(wrong(&catalogue(20_230_229, 0, 1)), "no date before");
    assert_eq!(wrong(&catalogue(0, u32::MAX, 1)), "no date before");
    assert_eq!(
        wrong(&catalogue(0, 0, 2)),
        "neither ransomware nor not before"
    );

    // counts far beyond what is there ask for no memory
    let mut many = head(1);
    many.extend(1_u16.to_le_bytes());
    many.extend(2024_u16.to_le_bytes());
    many.extend(u32::MAX.to_le_bytes());
    assert_eq!(wrong(&many), "end");
}

#[test]
fn a_huge_content_is_not_unpacked() {
    assert_eq!(wrong(&vec![0; (64 << 20) + 1]), "more than 64 MB");
}

/// Numbers that look random and are always the same (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const MANY: usize = 300_000;

/// Ids as they are given out: more each year, four of five numbers in use.
fn many_ids(numbers: &mut Numbers) -> Vec<String> {
    let mut ids = Vec::with_capacity(MANY);
    for age in 0..28 {
        let share = (age + 1) * (age + 1);
        let mut number = 0;
        for _ in 0..MANY * share / 7714 {
            number += 1 + u64::from(numbers.next().is_multiple_of(5));
            ids.push(format!("CVE-{}-{number:04}", 1999 + age));
        }
    }
    for number in 0..MANY - ids.len() {
        ids.push(format!("CVE-2027-{:04}", number + 1));
    }
    ids
}

fn bytes_of(ids: &[String], scores: &[(f64, f64)]) -> usize {
    let mut file = "cve,epss,percentile\n".to_owned();
    for (id, (score, percentile)) in ids.iter().zip(scores) {
        writeln!(file, "{id},{score:.5},{percentile:.5}").unwrap();
    }
    let intel = Intel::new(Some(read_epss(file.as_bytes()).unwrap()), Some(catalogue()));
    assert_eq!(intel.epss().unwrap().len(), MANY);
    let bytes = intel.to_bytes().unwrap();
    assert_eq!(Intel::from_bytes(&bytes).unwrap(), intel);
    println!(
        "{MANY} CVEs: {} bytes, {:.2} a CVE; the file packed {}, plain {}",
        bytes.len(),
        bytes.len() as f64 / MANY as f64,
        gzip(file.as_bytes()).len(),
        file.len()
    );
    bytes.len()
}

#[test]
fn all_cves_make_a_small_object() {
    let mut numbers = Numbers(1);
    let ids = many_ids(&mut numbers);

    // most of them low, as they are, and percentiles by rank
    let mut scores: Vec<_> = (0..MANY)
        .map(|_| {
            let bell: f64 = (0..12).map(|_| numbers.share()).sum::<f64>() - 6.0;
            let score = 10_f64.powf(0.75 * bell - 2.6).clamp(0.00001, 0.99999);
            (score * 100_000.0).round() / 100_000.0
        })
        .collect();
    let unsorted = scores.clone();
    scores.sort_by(f64::total_cmp);
    let usual: Vec<_> = unsorted
        .into_iter()
        .map(|score| {
            let rank = scores.partition_point(|other| *other <= score);
            (score, rank as f64 / MANY as f64)
        })
        .collect();
    let bytes = bytes_of(&ids, &usual);
    assert!(bytes <= 4 * MANY, "{bytes}");

    // nothing in them that packs
    let worst: Vec<_> = (0..MANY)
        .map(|_| (numbers.share(), numbers.share()))
        .collect();
    let bytes = bytes_of(&ids, &worst);
    assert!(bytes <= 4_000_000, "{bytes}");
}

type Row = (u16, u32);
type Dates = (u16, Option<u16>, bool);

fn rows() -> impl Strategy<Value = BTreeMap<Row, (u32, u32)>> {
    let number = prop_oneof![0..100_u32, 0..1_000_000_u32, 0..=999_999_999_u32];
    let score = (0..=100_000_u32, 0..=100_000_u32);
    btree_map((1999..2030_u16, number), score, 1..60)
}

fn entries() -> impl Strategy<Value = BTreeMap<Row, Dates>> {
    let due = proptest::option::of(0..20_000_u16);
    let dates = (0..20_000_u16, due, any::<bool>());
    btree_map((1999..2030_u16, 0..200_000_u32), dates, 1..60)
}

fn id((year, number): Row) -> String {
    format!("CVE-{year}-{number:04}")
}

fn day(days: u16) -> Date {
    let first = jiff::civil::date(1999, 1, 1);
    first.checked_add(jiff::Span::new().days(days)).unwrap()
}

fn decimal(units: u32) -> f64 {
    format!("{units}e-5").parse().unwrap()
}

proptest! {
    #[test]
    fn every_table_round_trips(
        rows in rows(),
        entries in entries(),
        version in "[a-z0-9.]{0,12}",
        others in vec((1999..2030_u16, 0..100_u32), 0..20),
        shuffled: bool,
    ) {
        let mut file: Vec<_> = rows
            .iter()
            .map(|(row, (score, percentile))| {
                format!("{},{},{}\n", id(*row), decimal(*score), decimal(*percentile))
            })
            .collect();
        if shuffled {
            file.reverse();
        }
        let head = format!("#model_version:{version},score_date:2026-11-29T12:00:00Z\ncve,epss,percentile\n");
        let file = head + &file.concat();
        let epss = read_epss(file.as_bytes()).unwrap();

        let list: Vec<_> = entries.iter().map(|(row, (added, due, ransomware))| json!({
            "cveID": id(*row),
            "dateAdded": day(*added).to_string(),
            "dueDate": due.map(|days| day(days).to_string()),
            "knownRansomwareCampaignUse": if *ransomware { "Known" } else { "Unknown" },
        })).collect();
        let kev = read_kev(json!({"vulnerabilities": list}).to_string().as_bytes());
        let intel = Intel::new(Some(epss), Some(kev.unwrap()));

        let stored = Intel::from_bytes(&intel.to_bytes().unwrap()).unwrap();
        prop_assert_eq!(&stored, &intel);
        prop_assert_eq!(stored.epss().unwrap().model_version(), version);
        let all = rows.keys().chain(entries.keys()).chain(&others);
        for row in all {
            let found = stored.exploitation(&[id(*row)]);
            let score = rows.get(row);
            prop_assert_eq!(found.epss_score, score.map(|(score, _)| decimal(*score)));
            prop_assert_eq!(found.epss_percentile, score.map(|(_, rank)| decimal(*rank)));
            let entry = entries.get(row);
            prop_assert_eq!(found.known_exploited, entry.is_some());
            prop_assert_eq!(found.ransomware_used, entry.is_some_and(|(.., used)| *used));
            prop_assert_eq!(found.kev_date, entry.map(|(added, ..)| day(*added)));
            let due = stored.kev().unwrap().get(cve(&id(*row))).and_then(|entry| entry.due);
            prop_assert_eq!(due, entry.and_then(|(_, due, _)| due.map(day)));
        }
    }

    #[test]
    fn changed_objects_are_errors_or_the_same(changes in vec((0..V1.len(), any::<u8>()), 1..4)) {
        let mut bytes = V1.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Ok(read) = Intel::from_bytes(&bytes) {
            prop_assert_eq!(read, intel());
        }
    }

    #[test]
    fn changed_contents_never_panic(changes in vec((0..400_usize, any::<u8>()), 1..6), cut in 0..500_usize) {
        let mut content = content(V1);
        for (at, byte) in changes {
            if let Some(place) = content.get_mut(at) {
                *place = byte;
            }
        }
        content.truncate(cut);
        if let Ok(read) = Intel::from_bytes(&object(&content)) {
            // what can be read can be written, and is the same again
            prop_assert_eq!(Intel::from_bytes(&read.to_bytes().unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Intel::from_bytes(&object(&bytes));
        let _ = Intel::from_bytes(&bytes);
        let _ = Intel::from_bytes(&[b"TTI\x01".as_slice(), &bytes].concat());
        let _ = read_epss(bytes.as_slice());
    }
}
