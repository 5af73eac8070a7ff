//! Functions die at their writes, messages come up to five times, late and in any order: the end is
//! that of a run in which nothing happened.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tatami_domain::{ImportCounts, ImportState, SeverityCounts};
use tatami_tests::model::{Asked, Model, Reported, Word};
use tatami_tests::play::Report;
use tatami_tests::{Death, Holdings, Lab, Message, Queue, seed};

/// Runs in CI, and those of the long test.
const RUNS: u64 = 2_000;
const LONG: u64 = 10_000;
/// Seeds of the long test that failed once.
const FOUND: [u64; 2] = [7_882, 8_039];
/// How many different imports they are about.
const SCENARIOS: u64 = 40;
/// Most deliveries of one message.
const DELIVERIES: u32 = 5;

/// One or two reports for one product.
fn scenario(number: u64) -> Vec<Report> {
    let mut rng = StdRng::seed_from_u64(number);
    let most = if number.is_multiple_of(8) { 40 } else { 12 };
    let first = report(&mut rng, most, !number.is_multiple_of(3), false);
    if number % 5 < 2 {
        return vec![first];
    }
    let again = rng.random_bool(0.7);
    let second = report(&mut rng, most, again, !again);
    vec![first, second]
}

fn report(rng: &mut StdRng, most: u8, again: bool, closes: bool) -> Report {
    let count = rng.random_range(5..=most);
    let mut weaknesses: Vec<u8> = (0..most + most / 4).collect();
    weaknesses.shuffle(rng);
    weaknesses.truncate(count.into());
    let words = [
        Word::Open,
        Word::Open,
        Word::Open,
        Word::Open,
        Word::Mitigated,
        Word::Accepted,
    ];
    let findings = weaknesses.into_iter().map(|weakness| Reported {
        word: words[rng.random_range(0..words.len())],
        ..Reported::open(weakness)
    });
    Report {
        again,
        engagement: 0,
        into: None,
        findings: findings.collect(),
        asked: Asked {
            close_old_findings: closes.then_some(true),
            do_not_reactivate: again && rng.random_bool(0.2),
            ..Asked::default()
        },
    }
}

/// What must not depend on how messages are delivered.
#[derive(Debug, Clone, PartialEq)]
struct End {
    holdings: Holdings,
    imports: Vec<(ImportState, ImportCounts, u64, Option<SeverityCounts>)>,
    /// How many notes there are and how long the texts: a look at every finding, and not always had.
    details: Option<(usize, usize)>,
}

async fn end(lab: &Lab, name: &str, detailed: bool) -> End {
    let product = lab.product(name).await.expect("the product").id;
    let imports = lab.imports(product).await.into_iter();
    let mut details = None;
    if detailed {
        let (notes, texts) = details.get_or_insert((0, 0));
        for test in lab.tests(product).await.into_values() {
            for finding in lab.findings(test.id).await {
                *notes += lab.services.store.notes(finding.id).await.unwrap().len();
                let at = finding.texts.expect("a place for its texts");
                let found = lab.services.blobs.texts(&at).await.unwrap();
                *texts += found.description.len();
            }
        }
    }
    End {
        holdings: lab.holdings(name).await,
        imports: imports
            .map(|i| (i.state, i.counts, i.findings, i.after))
            .collect(),
        details,
    }
}

async fn clean(lab: &Lab, name: &str, reports: &[Report]) -> End {
    let mut model = Model::default();
    for report in reports {
        report.upload(lab, name, &model).await;
        lab.settle().await;
        report.tell(&mut model);
    }
    let end = end(lab, name, true).await;
    assert_eq!(end.holdings, model.holdings());
    end
}

/// Where functions died: which one, at which call, before or after.
type Deaths = BTreeSet<(Queue, String, Death)>;

struct Waiting {
    message: Message,
    deliveries: u32,
}

async fn storm(lab: &Lab, name: &str, reports: &[Report], rng: &mut StdRng) -> Deaths {
    let mut deaths = Deaths::new();
    let mut model = Model::default();
    let mut late: Vec<Message> = Vec::new();
    for report in reports {
        report.upload(lab, name, &model).await;
        report.tell(&mut model);
        let waiting = |message| Waiting {
            message,
            deliveries: 0,
        };
        // Some of what was delivered long ago comes once more.
        let mut pool: Vec<Waiting> = (late.iter())
            .filter(|_| rng.random_bool(0.3))
            .cloned()
            .map(waiting)
            .collect();
        loop {
            pool.extend(lab.take_all().await.into_iter().map(waiting));
            if pool.is_empty() {
                break;
            }
            let mut next = pool.swap_remove(rng.random_range(0..pool.len()));
            next.deliveries += 1;
            let queue = next.message.queue;
            if next.deliveries < DELIVERIES && rng.random_bool(0.4) {
                let writes = match queue {
                    Queue::Uploads => 14,
                    Queue::Findings => 12,
                    Queue::Sla | Queue::Jira | Queue::Notify => 1,
                };
                let death = [Death::Before, Death::After][rng.random_range(0..2)];
                lab.wire.die_at(rng.random_range(0..writes), death);
            }
            let handled = lab.deliver(&next.message, next.deliveries).await;
            if let Some(place) = lab.wire.live() {
                deaths.insert((queue, place.call, place.death));
                pool.push(next);
            } else {
                assert!(handled, "{queue:?} fails: {}", next.message.body);
                if next.deliveries < DELIVERIES && rng.random_bool(0.2) {
                    pool.push(next);
                } else {
                    late.push(next.message);
                }
            }
        }
    }
    late.shuffle(rng);
    for message in late {
        assert!(lab.deliver(&message, 1).await, "{}", message.body);
    }
    lab.settle().await;
    deaths
}

/// Runs the seeds on all cores, each core with a laboratory of its own.
fn run(test: &'static str, seeds: &[u64]) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let all = std::thread::scope(|scope| {
        let cores: Vec<_> = (0..cores)
            .map(|core| {
                let own = seeds
                    .iter()
                    .copied()
                    .filter(move |seed| seed % cores == core);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(run_some(test, own.collect()))
                })
            })
            .collect();
        let join = |core: std::thread::ScopedJoinHandle<'_, Deaths>| core.join().expect("its runs");
        cores.into_iter().flat_map(join).collect::<Deaths>()
    });
    println!("died at {all:?}");
    if seeds.len() >= 500 {
        for death in [Death::Before, Death::After] {
            for (queue, calls) in [
                (
                    Queue::Uploads,
                    ["PutItem", "UpdateItem", "SendMessageBatch", "s3 PUT"].as_slice(),
                ),
                (
                    Queue::Findings,
                    &[
                        "TransactWriteItems",
                        "PutItem",
                        "UpdateItem",
                        "SendMessageBatch",
                    ],
                ),
                (Queue::Sla, &["UpdateItem"]),
            ] {
                for call in calls {
                    let place = (queue, (*call).to_owned(), death);
                    assert!(all.contains(&place), "nobody died at {place:?}");
                }
            }
        }
    }
}

async fn run_some(test: &'static str, seeds: Vec<u64>) -> Deaths {
    let lab = Lab::start().await;
    let mut deaths = Deaths::new();
    let mut known: BTreeMap<u64, End> = BTreeMap::new();
    for seed in seeds {
        let _witness = seed::Witness::new(test, seed);
        let number = seed % SCENARIOS;
        let reports = scenario(number);
        let mut wanted = match known.get(&number) {
            Some(end) => end.clone(),
            None => clean(&lab, &format!("Clean {number}"), &reports).await,
        };
        known.entry(number).or_insert_with(|| wanted.clone());
        let name = format!("Product {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        deaths.extend(storm(&lab, &name, &reports, &mut rng).await);
        let detailed = (seed / SCENARIOS).is_multiple_of(4);
        wanted.details = wanted.details.filter(|_| detailed);
        assert_eq!(end(&lab, &name, detailed).await, wanted, "seed {seed}");
    }
    deaths
}

#[test]
fn the_end_is_that_of_a_clean_run() {
    let mut seeds: Vec<u64> = seed::seeds(RUNS).collect();
    if seeds.len() > 1 {
        seeds.extend(FOUND);
    }
    run("the_end_is_that_of_a_clean_run", &seeds);
}

#[test]
#[ignore = "takes long: see docs/testing.md"]
fn the_end_is_that_of_a_clean_run_ten_thousand_times() {
    let seeds: Vec<u64> = seed::seeds(LONG).collect();
    run("the_end_is_that_of_a_clean_run_ten_thousand_times", &seeds);
}
