use jiff::{Timestamp, ToSpan as _};
use tatami_domain::ProductId;
use tatami_notifications::{
    Digest, DigestSchedule, Message, ProductName, Topic, UnknownTimeZone, digest, sample,
};

use crate::options;

fn next(digest: Digest, hour: u8, zone: &str, after: &str) -> Option<String> {
    let schedule = DigestSchedule {
        digest,
        hour,
        time_zone: zone.into(),
    };
    let next = schedule.next(after.parse().unwrap()).unwrap();
    next.map(|time| time.to_string())
}

#[test]
fn what_was_collected_is_sent_at_the_hour_of_the_user() {
    use Digest::{Daily, Off, Weekly};
    // 30 November 2026 is a Monday
    for (digest, hour, zone, after, told) in [
        (Off, 8, "UTC", "2026-11-30T07:00:00Z", None),
        (
            Daily,
            8,
            "utc",
            "2026-11-30T07:59:59Z",
            Some("2026-11-30T08:00:00Z"),
        ),
        (
            Daily,
            8,
            "UTC",
            "2026-11-30T08:00:00Z",
            Some("2026-12-01T08:00:00Z"),
        ),
        (
            Daily,
            8,
            "Europe/Berlin",
            "2026-11-30T06:59:00Z",
            Some("2026-11-30T07:00:00Z"),
        ),
        (
            Daily,
            8,
            "Europe/Berlin",
            "2026-07-30T06:59:00Z",
            Some("2026-07-31T06:00:00Z"),
        ),
        (
            Daily,
            8,
            "Pacific/Auckland",
            "2026-11-30T20:00:00Z",
            Some("2026-12-01T19:00:00Z"),
        ),
        (
            Daily,
            99,
            "UTC",
            "2026-11-30T07:00:00Z",
            Some("2026-11-30T23:00:00Z"),
        ),
        // there is no 2 o'clock on that night
        (
            Daily,
            2,
            "Europe/Berlin",
            "2027-03-27T12:00:00Z",
            Some("2027-03-28T01:00:00Z"),
        ),
        (
            Weekly,
            8,
            "UTC",
            "2026-11-30T07:00:00Z",
            Some("2026-11-30T08:00:00Z"),
        ),
        (
            Weekly,
            8,
            "UTC",
            "2026-11-30T09:00:00Z",
            Some("2026-12-07T08:00:00Z"),
        ),
        (
            Weekly,
            8,
            "UTC",
            "2026-12-06T23:00:00Z",
            Some("2026-12-07T08:00:00Z"),
        ),
        (
            Weekly,
            8,
            "UTC",
            "2026-12-03T23:00:00Z",
            Some("2026-12-07T08:00:00Z"),
        ),
    ] {
        assert_eq!(
            next(digest, hour, zone, after).as_deref(),
            told,
            "{digest:?} {zone} {after}"
        );
    }
}

#[test]
fn a_time_zone_that_is_none_is_an_error() {
    let schedule = DigestSchedule {
        digest: Digest::Daily,
        time_zone: "Europe/Atlantis".into(),
        ..DigestSchedule::default()
    };
    assert_eq!(
        schedule.next(Timestamp::UNIX_EPOCH),
        Err(UnknownTimeZone("Europe/Atlantis".into()))
    );
    assert_eq!(schedule_at_the_end(), Ok(None));
}

fn schedule_at_the_end() -> Result<Option<Timestamp>, UnknownTimeZone> {
    let schedule = DigestSchedule {
        digest: Digest::Weekly,
        ..DigestSchedule::default()
    };
    schedule.next(Timestamp::MAX)
}

fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> = Topic::ALL.iter().map(|topic| sample(*topic).1).collect();
    let (_, scan) = sample(Topic::ScanAdded);
    for n in 0..14 {
        let mut another = scan.clone();
        another.id = format!("f{n:031}");
        another.title = format!("Trivy in Another & other: {n} new findings");
        another.time = scan.time - i64::from(n).hours();
        another.product = Some(ProductName {
            id: ProductId(9),
            name: "Another & other".into(),
        });
        messages.push(another);
    }
    messages
}

#[test]
fn a_digest_is_by_product_and_topic_newest_first() {
    let mail = digest(&messages(), Digest::Daily, &options());
    assert_eq!(
        mail.subject,
        "[Security team] Your day in Tatami: 34 notifications"
    );
    insta::assert_snapshot!("digest.txt", mail.text);
    insta::assert_snapshot!("digest.html", mail.html);
}

#[test]
fn what_is_there_twice_counts_once_and_a_huge_digest_is_capped() {
    let (_, scan) = sample(Topic::ScanAdded);
    let twice = digest(&[scan.clone(), scan.clone()], Digest::Weekly, &options());
    assert_eq!(
        twice.subject,
        "[Security team] Your week in Tatami: 1 notification"
    );
    let many: Vec<Message> = (0..5_000_u64)
        .map(|n| Message {
            id: n.to_string(),
            product: Some(ProductName {
                id: ProductId(n % 100),
                name: format!("Product {}", n % 100),
            }),
            ..scan.clone()
        })
        .collect();
    let mail = digest(&many, Digest::Daily, &options());
    assert!(mail.subject.contains("5,000 notifications"));
    assert_eq!(mail.text.matches("  - Trivy").count(), 200);
    assert_eq!(mail.text.matches("and 40 more").count(), 20);
    assert_eq!(mail.text.matches("and 50 more").count(), 80);
    assert!(mail.html.len() < 300_000, "{}", mail.html.len());
}
