use jiff::civil::date;
use tatami_domain::{Exploitation, Finding, SlaConfiguration};
use tatami_threat_intel::{Intel, read_epss, read_kev};

use crate::{catalogue, cve, scores};

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn nothing_is_known_of_what_is_in_no_table() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    let nothing = Exploitation::default();
    assert_eq!(intel.exploitation(&[]), nothing);
    let unknown = ids(&["GHSA-jfh8-c2jp-5v3q", "CVE-2021-1", "", "CVE-2020-0001"]);
    assert_eq!(intel.exploitation(&unknown), nothing);
    let known = ids(&["CVE-2021-44228"]);
    assert_eq!(Intel::default().exploitation(&known), nothing);
}

#[test]
fn one_cve() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    assert_eq!(
        intel.exploitation(&ids(&["cve-2021-44228"])),
        Exploitation {
            epss_score: Some(0.94358),
            epss_percentile: Some(0.9996),
            known_exploited: true,
            ransomware_used: true,
            kev_date: Some(date(2021, 12, 10)),
        }
    );
    assert_eq!(
        intel.exploitation(&ids(&["CVE-2024-3094"])),
        Exploitation {
            epss_score: Some(0.84217),
            epss_percentile: Some(0.99291),
            ..Exploitation::default()
        }
    );
    // in the catalogue, without a score
    assert_eq!(
        intel.exploitation(&ids(&["CVE-2009-3129"])),
        Exploitation {
            known_exploited: true,
            kev_date: Some(date(2022, 3, 3)),
            ..Exploitation::default()
        }
    );
    assert_eq!(
        intel.exploitation(&ids(&["CVE-2026-0001"])).epss_score,
        Some(0.0)
    );
}

#[test]
fn of_several_the_highest_score_and_the_earliest_day() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    let mut list = ids(&[
        "CVE-2014-0160",
        "CVE-1999-0001",
        "CVE-2021-44228",
        "GHSA-jfh8-c2jp-5v3q",
        "CVE-2020-0001",
    ]);
    let expected = Exploitation {
        epss_score: Some(0.94464),
        epss_percentile: Some(0.99996),
        known_exploited: true,
        ransomware_used: true,
        kev_date: Some(date(2021, 12, 10)),
    };
    for _ in 0..list.len() {
        list.rotate_left(1);
        assert_eq!(intel.exploitation(&list), expected, "{list:?}");
    }
}

#[test]
fn the_percentile_is_that_of_the_highest_score() {
    let file = "cve,epss,percentile\nCVE-2024-0001,0.2,0.3\nCVE-2024-0002,0.1,0.4\n";
    let intel = Intel::new(Some(read_epss(file.as_bytes()).unwrap()), None);
    let found = intel.exploitation(&ids(&["CVE-2024-0001", "CVE-2024-0002"]));
    assert_eq!(
        (found.epss_score, found.epss_percentile),
        (Some(0.2), Some(0.3))
    );
}

#[test]
fn an_entry_without_its_day_does_not_hide_that_of_another() {
    let file = r#"{"vulnerabilities": [{"cveID": "CVE-2024-0001", "dateAdded": "2024-02-01"}"#;
    let good: String = (2..=200)
        .map(|n| format!(r#",{{"cveID": "CVE-2024-{n:04}", "dateAdded": "2024-01-01"}}"#))
        .collect();
    let file = format!(r#"{file}{good},{{"cveID": "CVE-2023-0001"}}]}}"#);
    let intel = Intel::new(None, Some(read_kev(file.as_bytes()).unwrap()));
    let intel = Intel::from_bytes(&intel.to_bytes().unwrap()).unwrap();
    let found = intel.exploitation(&ids(&["CVE-2023-0001"]));
    assert_eq!((found.known_exploited, found.kev_date), (true, None));
    for list in [
        ["CVE-2023-0001", "CVE-2024-0001"],
        ["CVE-2024-0001", "CVE-2023-0001"],
    ] {
        let found = intel.exploitation(&ids(&list));
        assert_eq!(found.kev_date, Some(date(2024, 2, 1)));
    }
}

#[test]
fn one_half_is_replaced_and_the_other_stays() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    let file = "cve,epss,percentile\nCVE-2024-0001,0.2,0.3\n";
    let other = intel.clone().with_epss(read_epss(file.as_bytes()).unwrap());
    assert_eq!(other.epss().unwrap().len(), 1);
    assert_eq!(other.kev(), intel.kev());

    let file = r#"{"vulnerabilities": [{"cveID": "CVE-2024-0001", "dateAdded": "2024-02-01"}]}"#;
    let other = intel.clone().with_kev(read_kev(file.as_bytes()).unwrap());
    assert!(other.kev().unwrap().get(cve("CVE-2024-0001")).is_some());
    assert_eq!(other.kev().unwrap().len(), 1);
    assert_eq!(other.epss(), intel.epss());

    let halves = [
        (intel.clone().without_epss(), intel.clone().without_kev()),
        (
            Intel::new(None, Some(catalogue())),
            Intel::new(Some(scores()), None),
        ),
    ];
    assert_eq!(halves[0], halves[1]);

    let built = Intel::default().with_kev(catalogue()).with_epss(scores());
    assert_eq!(built, intel);
    let none = Intel::new(None, None);
    assert_eq!((none.epss(), none.kev()), (None, None));
}

#[test]
fn a_finding_is_joined_and_what_it_says_itself_stays_where_the_tables_have_nothing() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    let finding = |list: &[&str]| Finding {
        vulnerability_ids: ids(list),
        epss_score: Some(0.5),
        epss_percentile: Some(0.6),
        kev_date: Some(date(2021, 12, 1)),
        ..Finding::default()
    };
    let joined = intel.of(&finding(&["CVE-2021-44228"]));
    assert_eq!(
        joined,
        Exploitation {
            epss_score: Some(0.94358),
            epss_percentile: Some(0.9996),
            known_exploited: true,
            ransomware_used: true,
            kev_date: Some(date(2021, 12, 1)),
        }
    );
    let unknown = finding(&["CVE-2020-0001"]);
    assert_eq!(intel.of(&unknown), Exploitation::of(&unknown));
}

#[test]
fn a_configuration_without_tiers_asks_for_nothing() {
    let intel = Intel::new(Some(scores()), Some(catalogue()));
    let finding = Finding {
        vulnerability_ids: ids(&["CVE-2021-44228"]),
        ..Finding::default()
    };
    let mut sla = SlaConfiguration::default();
    assert_eq!(intel.for_sla(&sla, &finding), Exploitation::default());
    sla.likely_exploited_days = Some(3);
    assert_eq!(intel.for_sla(&sla, &finding), intel.of(&finding));
}
