//! Re-imports of one test, side by side and finished in any order: the latest report's word counts.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tatami_tests::model::{Asked, Model, Reported, Word};
use tatami_tests::play::Report;
use tatami_tests::{Holdings, Lab, Message, Queue, seed};

/// How many reports there are.
const REPORTS: usize = 4;

/// So many ways there are in which four reports can have a weakness open, closed, or not at all.
const WAYS: u8 = 81;
/// How many random orders of single messages are tried.
const RUNS: u64 = 25;

/// What report `n` says of each weakness: over all weaknesses, every way.
fn report(n: usize) -> Report {
    let words = [Some(Word::Open), Some(Word::Mitigated), None];
    let findings = (0..WAYS).filter_map(|weakness| {
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
        asked: Asked::default(),
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

/// What comes of the reports one after the other.
fn in_turn() -> Holdings {
    let mut model = Model::default();
    for n in 0..REPORTS {
        report(n).tell(&mut model);
    }
    model.holdings()
}

fn difference(is: &Holdings, wanted: &Holdings) -> Option<String> {
    let other: Vec<String> = (is.rows.iter())
        .filter(|row| !wanted.rows.contains(row))
        .map(|row| format!("{} is {}", row.title, row.flags))
        .collect();
    (is != wanted).then(|| format!("of {} findings {other:?}", is.rows.len()))
}

/// What a message is about, for the story of a failure.
fn telling(message: &Message) -> String {
    let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    let part = &body["message"]["part"];
    let findings = part["chunks"].as_array().into_iter().flatten();
    let findings: Vec<String> = findings
        .flat_map(|chunk| chunk.as_array().into_iter().flatten())
        .map(|f| {
            f["n"]
                .as_str()
                .or(f["f"]["n"].as_str())
                .unwrap_or("?")
                .replace("Weakness ", "")
        })
        .collect();
    if part.is_null() {
        return format!("{:?} {}", message.queue, body["message"]);
    }
    format!(
        "import {} part {}: {}",
        part["import"],
        part["part"],
        findings.join(" ")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_report_counts_in_whatever_order_they_are_finished() {
    let lab = Lab::patient().await;
    let wanted = in_turn();
    let all = schedules();
    assert_eq!(all.len(), 105);
    let mut wrong = Vec::new();
    for (n, schedule) in all.iter().enumerate() {
        let product = format!("Product {n}");
        happen(&lab, &product, schedule).await;
        if let Some(text) = difference(&lab.holdings(&product).await, &wanted) {
            wrong.push(format!("{schedule:?}: {text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} orders end otherwise than one after the other: {wrong:#?}",
        wrong.len(),
        all.len(),
    );
}

/// All messages of all four on their way at once, taken in any order: the parts of several imports
/// lie between each other, and reports are read while others are being stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_report_counts_in_whatever_order_messages_come() {
    let lab = Lab::start().await;
    let wanted = in_turn();
    for seed in seed::seeds(RUNS) {
        let _witness = seed::Witness::new("in_whatever_order_messages_come", seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let product = format!("Product {seed}");
        let model = Model::default();
        let mut read = 0;
        let mut story = Vec::new();
        let mut pool: Vec<Message> = Vec::new();
        loop {
            if read < REPORTS && (pool.is_empty() || rng.random_bool(0.1)) {
                report(read).upload(&lab, &product, &model).await;
                read += 1;
                story.push(format!("report {read} is read"));
                for message in lab.take(Queue::Uploads).await {
                    assert!(lab.deliver(&message, 1).await);
                }
            }
            pool.extend(lab.take_all().await);
            if pool.is_empty() {
                break;
            }
            let message = pool.swap_remove(rng.random_range(0..pool.len()));
            story.push(telling(&message));
            assert!(lab.deliver(&message, 1).await, "{}", message.body);
        }
        let text = difference(&lab.holdings(&product).await, &wanted);
        assert_eq!(text, None, "seed {seed}: {story:#?}");
    }
}
