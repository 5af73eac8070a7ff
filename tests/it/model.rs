//! Any sequence of imports, re-imports and judgements leaves what the rules say, step by step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tatami_tests::model::{Asked, Edit, Model, Reported, Word};
use tatami_tests::play::{Report, Step, make_product};
use tatami_tests::{Lab, seed};

/// How many sequences are tried.
const RUNS: u64 = 60;
/// The longest of them.
const STEPS: usize = 9;

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        6 => Just(Word::Open),
        1 => Just(Word::Inactive),
        2 => Just(Word::Mitigated),
        1 => Just(Word::FalsePositive),
        1 => Just(Word::OutOfScope),
        1 => Just(Word::Accepted),
    ]
}

fn some_of(n: u8) -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 1 => (0..n).prop_map(Some)]
}

fn reported() -> impl Strategy<Value = Reported> {
    let service = prop_oneof![5 => Just(None), 1 => Just(Some(0))];
    (
        0u8..6,
        0u8..5,
        word(),
        any::<bool>(),
        service,
        some_of(2),
        some_of(3),
    )
        .prop_map(
            |(weakness, severity, word, verified, service, endpoint, component)| Reported {
                weakness,
                severity,
                word,
                verified,
                service,
                endpoint,
                component,
            },
        )
}

/// A report that names a weakness several times says the same of it each time: which of two
/// contradicting words counts is another question.
fn consistent(findings: &[Reported]) -> Vec<Reported> {
    let mut first = BTreeMap::new();
    for finding in findings {
        let known = first.entry(finding.weakness);
        known.or_insert_with(|| finding.clone());
    }
    (findings.iter())
        .map(|f| first[&f.weakness].clone())
        .collect()
}

fn asked(again: bool) -> impl Strategy<Value = Asked> {
    // a re-import that makes all findings inactive is not in the table
    let active = if again {
        prop_oneof![4 => Just(None), 1 => Just(Some(true))].boxed()
    } else {
        prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)].boxed()
    };
    let maybe = || prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let rarely = || prop::bool::weighted(0.25);
    let service = prop_oneof![4 => Just(None), 1 => Just(Some(0))];
    let minimum = prop_oneof![3 => Just(None), 1 => (0u8..5).prop_map(Some)];
    (
        active,
        maybe(),
        rarely(),
        maybe(),
        rarely(),
        service,
        minimum,
    )
        .prop_map(
            |(active, verified, keep, close, wide, service, minimum)| Asked {
                active,
                verified,
                do_not_reactivate: keep,
                close_old_findings: close,
                close_old_findings_product_scope: wide,
                service,
                minimum_severity: minimum,
            },
        )
}

fn a_report() -> impl Strategy<Value = Report> {
    any::<bool>().prop_flat_map(|again| {
        let into = if again { 0.5 } else { 0.15 };
        let into = (prop::bool::weighted(into), 0usize..8)
            .prop_map(|(named, which)| named.then_some(which));
        let findings = prop::collection::vec(reported(), 0..10).prop_map(move |mut findings| {
            for finding in &mut findings {
                if again && finding.word == Word::Inactive {
                    finding.word = Word::Open;
                }
            }
            consistent(&findings)
        });
        (0usize..3, into, findings, asked(again)).prop_map(
            move |(engagement, into, findings, asked)| Report {
                again,
                engagement,
                into,
                findings,
                asked,
            },
        )
    })
}

fn step() -> impl Strategy<Value = Step> {
    let edit = prop_oneof![
        Just(Edit::Fix),
        Just(Edit::FalsePositive),
        Just(Edit::OutOfScope),
        Just(Edit::Accept),
        Just(Edit::Open),
        Just(Edit::Verify),
    ];
    prop_oneof![
        3 => a_report().prop_map(Step::Report),
        1 => (0usize..64, edit).prop_map(|(which, edit)| Step::Edit(which, edit)),
    ]
}

async fn agrees(lab: &Lab, product: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    make_product(lab, product).await;
    let mut model = Model::default();
    for (n, step) in steps.iter().enumerate() {
        step.take(lab, product, &mut model).await;
        let (stored, told) = (lab.holdings(product).await, model.holdings());
        if stored != told {
            let extra: Vec<_> = stored
                .rows
                .iter()
                .filter(|r| !told.rows.contains(r))
                .collect();
            let missing: Vec<_> = told
                .rows
                .iter()
                .filter(|r| !stored.rows.contains(r))
                .collect();
            return Err(TestCaseError::fail(format!(
                "after step {n} the store has {extra:#?} where the rules say {missing:#?}; \
                 {} and {} rows, tests {:?} and {:?}",
                stored.rows.len(),
                told.rows.len(),
                stored.tests,
                told.tests
            )));
        }
    }
    Ok(())
}

#[test]
fn the_store_is_what_the_rules_say() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let lab = runtime.block_on(Lab::start());
    let mut product = 0;
    for seed in seed::seeds(RUNS) {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_iters: 400,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let product = std::cell::RefCell::new(&mut product);
        let result = runner.run(&prop::collection::vec(step(), 1..=STEPS), |steps| {
            let name = {
                let mut product = product.borrow_mut();
                **product += 1;
                format!("Product {}", **product)
            };
            runtime.block_on(agrees(&lab, &name, &steps))
        });
        if let Err(error) = result {
            panic!("{error}\n{}", seed::again("model", seed));
        }
    }
}
