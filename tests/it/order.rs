//! Re-imports of one test, side by side and finished in any order: the latest report's word counts.

use tatami_tests::model::{Model, Reported, Word};
use tatami_tests::play::Report;
use tatami_tests::{Lab, Message, Queue};

/// How many reports there are.
const REPORTS: usize = 4;

/// What report `n` says of each weakness: over all weaknesses, every way in which four reports can
/// have it open, closed, or not at all.
fn report(n: usize) -> Report {
    let words = [Some(Word::Open), Some(Word::Mitigated), None];
    let findings = (0..81u8).filter_map(|weakness| {
        let word = words[usize::from(weakness) / 3usize.pow(n.try_into().unwrap()) % 3]?;
        Some(Reported {
            word,
            severity: 1,
            ..Reported::open(weakness)
        })
    });
    Report {
        again: true,
        engagement: 0,
        into: None,
        findings: findings.collect(),
        asked: tatami_tests::model::Asked::default(),
    }
}

/// One thing that happens: the parser reads a report, or dedup takes all its parts and finishes it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Read(usize),
    Store(usize),
}

/// Every order in which the reports are read one after the other and stored some time later.
fn schedules() -> Vec<Vec<Event>> {
    fn go(read: usize, open: &mut Vec<usize>, so_far: &mut Vec<Event>, all: &mut Vec<Vec<Event>>) {
        if read == REPORTS && open.is_empty() {
            all.push(so_far.clone());
        }
        if read < REPORTS {
            so_far.push(Event::Read(read));
            open.push(read);
            go(read + 1, open, so_far, all);
            open.pop();
            so_far.pop();
        }
        for at in 0..open.len() {
            let n = open.remove(at);
            so_far.push(Event::Store(n));
            go(read, open, so_far, all);
            so_far.pop();
            open.insert(at, n);
        }
    }
    let mut all = Vec::new();
    go(0, &mut Vec::new(), &mut Vec::new(), &mut all);
    all
}

async fn happen(lab: &Lab, product: &str, schedule: &[Event]) {
    let model = Model::default();
    let mut parts: Vec<Vec<Message>> = vec![Vec::new(); REPORTS];
    for event in schedule {
        match *event {
            Event::Read(n) => {
                report(n).upload(lab, product, &model).await;
                for message in lab.take(Queue::Uploads).await {
                    assert!(lab.deliver(&message, 1).await);
                }
                parts[n] = lab.take(Queue::Findings).await;
            }
            Event::Store(n) => {
                for message in std::mem::take(&mut parts[n]) {
                    assert!(lab.deliver(&message, 1).await, "{}", message.body);
                }
                lab.settle().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_report_counts_in_whatever_order_they_are_finished() {
    let lab = Lab::start().await;
    let mut model = Model::default();
    for n in 0..REPORTS {
        report(n).tell(&mut model);
    }
    let wanted = model.holdings();
    let all = schedules();
    assert_eq!(all.len(), 105);
    let mut wrong = Vec::new();
    for (n, schedule) in all.iter().enumerate() {
        let product = format!("Product {n}");
        happen(&lab, &product, schedule).await;
        let holdings = lab.holdings(&product).await;
        if holdings != wanted {
            let other = holdings.rows.iter().filter(|row| !wanted.rows.contains(row));
            wrong.push((schedule, holdings.rows.len(), other.count()));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} orders end otherwise than one after the other ({} rows): {wrong:#?}",
        wrong.len(),
        all.len(),
        wanted.rows.len()
    );
}
