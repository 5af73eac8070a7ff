//! Findings and what happens to them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tatami_domain::{Finding, FlagChange, Flags, Severity, ShortStatus, TestId};
use tatami_metrics::Facts;

/// Where days are counted back from, unless a test says otherwise.
pub const TODAY: Date = Date::constant(2026, 3, 31);

/// Days at which something could go wrong.
const EDGES: [Date; 16] = [
    Date::constant(2019, 12, 30), // week 1 of 2020
    Date::constant(2020, 2, 29),
    Date::constant(2020, 12, 28), // week 53
    Date::constant(2020, 12, 31),
    Date::constant(2021, 1, 3), // week 53
    Date::constant(2021, 1, 4), // week 1
    Date::constant(2024, 2, 28),
    Date::constant(2024, 2, 29),
    Date::constant(2024, 3, 1),
    Date::constant(2025, 10, 26), // clocks go back
    Date::constant(2025, 12, 31),
    Date::constant(2026, 1, 31),
    Date::constant(2026, 2, 28),
    Date::constant(2026, 3, 29), // clocks go forward
    Date::constant(2026, 3, 31),
    Date::constant(2026, 4, 30),
];

/// A day, or a number of days before today.
#[derive(Debug, Clone, Copy)]
pub enum Day {
    Edge(Date),
    Back(i32),
}

impl Day {
    pub fn before(self, today: Date) -> Date {
        match self {
            Self::Edge(day) => day,
            Self::Back(days) => today - days.days(),
        }
    }
}

pub fn day() -> impl Strategy<Value = Day> {
    prop_oneof![
        2 => select(&EDGES[..]).prop_map(Day::Edge),
        3 => (-3..130).prop_map(Day::Back),
        2 => select(&[0, 7, 29, 30, 31, 59, 60, 61, 89, 90, 91][..]).prop_map(Day::Back),
        // due in four and three days, today, and yesterday
        2 => select(&[3, 4, 7, 8, 26, 27, 30, 31, 56, 57, 86, 87][..]).prop_map(Day::Back),
        1 => (-10..2500).prop_map(Day::Back),
    ]
}

/// A moment of a day, often its first or last second.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Day, i64);

impl Moment {
    fn at(self, today: Date) -> Timestamp {
        let midnight = self.0.before(today).to_zoned(TimeZone::UTC).unwrap();
        midnight.timestamp() + self.1.seconds()
    }
}

fn moment() -> impl Strategy<Value = Moment> {
    let second = prop_oneof![Just(0), Just(86_399), 0..86_400i64];
    (day(), second).prop_map(|(day, second)| Moment(day, second))
}

/// What happens to a finding.
#[derive(Debug, Clone)]
pub enum Event {
    Created(u64),
    Severity(Severity),
    Status(ShortStatus, Moment),
    /// Fixed so many days after its SLA started: around the due days.
    FixedAfter(i32),
    Verified(bool),
    /// Flags as an import may write them, whatever the rules say of them.
    Flags(u16, Option<Moment>),
    Retagged(Vec<&'static str>),
    Redated(Day, Option<Day>),
    Scored(Option<u8>, Option<u8>),
    Moved(u64),
    Deleted,
}

/// An event, to which finding (and to all that are equal to it?), and in which piece the sums note it.
#[derive(Debug, Clone)]
pub struct Turn {
    event: Event,
    finding: Index,
    all_equal: bool,
    piece: usize,
}

pub fn turn() -> impl Strategy<Value = Turn> {
    let severity = || select(&Severity::ALL[..]);
    let tags = prop::collection::vec(select(&["web", "Web", "ci", "CI", "ü", ""][..]), 0..4);
    let score = || prop::option::of(0..=100u8);
    let event = prop_oneof![
        6 => (1..4u64).prop_map(Event::Created),
        3 => severity().prop_map(Event::Severity),
        8 => (select(&ShortStatus::ALL[..]), moment()).prop_map(|(s, at)| Event::Status(s, at)),
        8 => moment().prop_map(|at| Event::Status(ShortStatus::Fixed, at)),
        4 => select(&[0, 6, 7, 8, 29, 30, 31, 60, 61, 90, 91][..]).prop_map(Event::FixedAfter),
        1 => any::<bool>().prop_map(Event::Verified),
        2 => (0..512u16, prop::option::of(moment())).prop_map(|(f, at)| Event::Flags(f, at)),
        2 => tags.prop_map(Event::Retagged),
        6 => (day(), prop::option::of(day())).prop_map(|(day, start)| Event::Redated(day, start)),
        3 => (score(), score()).prop_map(|(v3, v4)| Event::Scored(v3, v4)),
        1 => (1..4u64).prop_map(Event::Moved),
        1 => Just(Event::Deleted),
    ];
    (event, any::<Index>(), any::<bool>(), 0..4usize).prop_map(
        |(event, finding, all_equal, piece)| Turn {
            event,
            finding,
            all_equal,
            piece,
        },
    )
}

/// Findings after their histories, and sums of what changed in pieces.
pub struct Pieces {
    pub findings: Vec<Finding>,
    sums: [Facts; 4],
}

impl Pieces {
    pub fn of(turns: &[Turn], today: Day) -> Self {
        let today = today.before(TODAY);
        let mut pieces = Self {
            findings: Vec::new(),
            sums: Default::default(),
        };
        for turn in turns {
            pieces.take(turn, today);
        }
        pieces
    }

    /// All pieces, each read from what was written of it.
    pub fn sum(&self) -> Facts {
        let mut sum = Facts::default();
        for piece in &self.sums {
            let stored = serde_json::to_string(piece).unwrap();
            let read: Facts = serde_json::from_str(&stored).unwrap();
            assert_eq!(&read, piece);
            sum.merge(&read);
        }
        sum
    }

    fn take(&mut self, turn: &Turn, today: Date) {
        let sum = &mut self.sums[turn.piece];
        if let Event::Created(test) = turn.event {
            let finding = Finding {
                test: TestId(test),
                severity: Severity::High,
                flags: Flags::OPEN,
                date: today,
                ..Finding::default()
            };
            // more than one, so that there are facts with a number above 1
            for _ in 0..3 {
                sum.add(&finding);
                self.findings.push(finding.clone());
            }
            return;
        }
        if self.findings.is_empty() {
            return;
        }
        let one = turn.finding.index(self.findings.len());
        let before = self.findings[one].clone();
        for place in (0..self.findings.len()).rev() {
            let meant = place == one || (turn.all_equal && self.findings[place] == before);
            if !meant {
                continue;
            }
            sum.remove(&self.findings[place]);
            if matches!(turn.event, Event::Deleted) {
                self.findings.remove(place);
            } else {
                change(&mut self.findings[place], &turn.event, today);
                sum.add(&self.findings[place]);
            }
        }
    }
}

fn change(finding: &mut Finding, event: &Event, today: Date) {
    let to_score = |tenths: u8| f64::from(tenths) / 10.0;
    // a change that the rules refuse leaves it as it is
    match event {
        Event::Created(_) | Event::Deleted => {}
        Event::Severity(severity) => finding.severity = *severity,
        Event::Status(status, at) => {
            let change = FlagChange::to_status(*status);
            let _ = finding.change_flags(&change, true, None, at.at(today));
        }
        Event::FixedAfter(days) => {
            let on = finding.sla_start() + days.days();
            let at = Moment(Day::Edge(on), 86_399).at(today);
            let _ = finding.change_flags(&FlagChange::to_status(ShortStatus::Open), true, None, at);
            let _ =
                finding.change_flags(&FlagChange::to_status(ShortStatus::Fixed), true, None, at);
        }
        Event::Verified(verified) => {
            let change = FlagChange {
                verified: Some(*verified),
                ..FlagChange::default()
            };
            let _ = finding.change_flags(&change, true, None, Timestamp::UNIX_EPOCH);
        }
        Event::Flags(bits, at) => {
            finding.flags = Flags::from(*bits);
            finding.mitigated = at.map(|at| at.at(today));
        }
        Event::Retagged(tags) => finding.tags = tags.iter().map(ToString::to_string).collect(),
        Event::Redated(day, start) => {
            finding.date = day.before(today);
            finding.sla_start_date = start.map(|start| start.before(today));
        }
        Event::Scored(v3, v4) => {
            finding.cvssv3_score = v3.map(to_score);
            finding.cvssv4_score = v4.map(to_score);
        }
        Event::Moved(test) => finding.test = TestId(*test),
    }
}
