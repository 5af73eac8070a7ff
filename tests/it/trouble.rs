//! DynamoDB throttles, SQS takes half of what it is sent, a message cannot be handled: nothing is lost,
//! nothing is called done before it is.

use std::collections::BTreeSet;

use tatami_domain::{ImportId, ImportState};
use tatami_tests::model::{Model, Reported};
use tatami_tests::play::Report;
use tatami_tests::{Lab, Message, Queue, seed};

fn report(again: bool, weaknesses: std::ops::Range<u8>) -> Report {
    Report {
        again,
        engagement: 0,
        into: None,
        findings: weaknesses.map(Reported::open).collect(),
        asked: tatami_tests::model::Asked::default(),
    }
}

/// Those of the imports that say they are done.
async fn done(lab: &Lab) -> BTreeSet<ImportId> {
    let mut done = BTreeSet::new();
    for id in (1..).map(ImportId) {
        match lab.services.store.import(id).await {
            Ok(import) if import.state == ImportState::Done => done.insert(id),
            Ok(_) => continue,
            Err(_) => return done,
        };
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_complete_although_every_fifth_call_fails() {
    let lab = Lab::patient().await;
    for seed in seed::seeds(12) {
        let _witness = seed::Witness::new("every_fifth_call_fails", seed);
        let product = format!("Product {seed}");
        let mut model = Model::default();
        for step in [
            report(false, 0..60),
            report(true, 0..60),
            report(true, 20..80),
        ] {
            step.upload(&lab, &product, &model).await;
            step.tell(&mut model);
            let before = done(&lab).await;
            let mut pool: Vec<(Message, u32)> = Vec::new();
            let mut round = 0;
            loop {
                pool.extend(lab.take_all().await.into_iter().map(|m| (m, 0)));
                if pool.is_empty() {
                    break;
                }
                round += 1;
                assert!(round < 500, "no end of it");
                let (message, receives) = pool.remove(0);
                lab.wire.trouble(seed * 1_000 + round, 0.2);
                // after five tries it lies in the dead-letter queue, and is redriven
                let handled = lab.deliver(&message, receives % 5 + 1).await;
                lab.wire.calm();
                if !handled {
                    pool.push((message, receives + 1));
                }
                if done(&lab).await != before {
                    assert_eq!(
                        lab.holdings(&product).await,
                        model.holdings(),
                        "done too early"
                    );
                }
            }
            assert_eq!(lab.holdings(&product).await, model.holdings());
            assert_eq!(done(&lab).await.len(), before.len() + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poison_chunk_fails_its_import_until_it_is_redriven() {
    let lab = Lab::start().await;
    let mut models = [Model::default(), Model::default()];
    let names = ["Good", "Bad"];
    for (name, model) in names.iter().zip(&mut models) {
        let step = report(true, 0..30);
        step.upload(&lab, name, model).await;
        step.tell(model);
    }
    let bad = |message: &Message| message.body.contains("\"p\":2");
    for message in lab.take(Queue::Uploads).await {
        assert!(lab.deliver(&message, 1).await);
    }
    let bad_product = lab.product("Bad").await.unwrap().id;
    assert_eq!(bad_product.0, 2, "the message names it");
    // DynamoDB takes no transaction in which this finding of the second product is.
    lab.wire.poison(Some("Weakness 007"));
    let (mut dead, mut fine) = (Vec::new(), Vec::new());
    for message in lab.take(Queue::Findings).await {
        if bad(&message) {
            let mut handled = false;
            for receives in 1..=5 {
                handled = lab.deliver(&message, receives).await;
            }
            if !handled {
                dead.push(message);
            }
        } else {
            fine.push(message);
        }
    }
    assert_eq!(dead.len(), 1, "one part has the poison");
    lab.wire.poison(None);
    let good = lab.product("Good").await.unwrap().id;
    for message in fine {
        assert!(lab.deliver(&message, 1).await);
    }
    lab.settle().await;
    let failed = &lab.imports(bad_product).await[0];
    assert_eq!(failed.state, ImportState::Failed);
    let error = failed.error.clone().expect("a reason");
    assert!(error.message.contains("poison"), "{}", error.message);
    assert!(error.hint.expect("a hint").contains("dead-letter queue"));
    assert_eq!(lab.imports(good).await[0].state, ImportState::Done);
    assert_eq!(lab.holdings("Good").await, models[0].holdings());
    // The cause is gone, the message is sent again.
    assert!(lab.deliver(&dead[0], 1).await);
    lab.settle().await;
    let import = &lab.imports(bad_product).await[0];
    assert_eq!((import.state, &import.error), (ImportState::Done, &None));
    assert_eq!(import.counts.created, 30);
    assert_eq!(lab.holdings("Bad").await, models[1].holdings());
    assert_eq!(lab.holdings("Good").await, models[0].holdings());
}
