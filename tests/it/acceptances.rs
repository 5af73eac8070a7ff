//! Risk acceptances with the daily run: each expires once and each finding is told of it once, however often
//! the schedule fires, however late, and wherever it's cut off.

use std::collections::BTreeSet;

use axum::http::Method;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tatami_domain::{
    AcceptanceState, Ending, Event, EventKind, Finding, JobId, JobState, Owner, RiskAcceptance,
    TestId,
};
use tatami_queue::{FindingsMessage, Outgoing};
use tatami_store::{Change, Commit, Committed};
use tatami_tests::{Death, Lab, Queue, generic_report};

async fn report(lab: &Lab, findings: usize) -> TestId {
    lab.upload("Shop", "Nightly", &[], generic_report(0, findings))
        .await;
    lab.settle().await;
    let product = lab.product("Shop").await.unwrap().id;
    lab.tests(product).await.values().next().unwrap().id
}

async fn ids(lab: &Lab, test: TestId) -> Vec<u64> {
    lab.findings(test).await.iter().map(|f| f.id.0).collect()
}

async fn get(lab: &Lab, path: &str) -> Value {
    lab.call(Method::GET, path, None).await.expect(200)
}

fn days_from(time: Timestamp, days: i64) -> Timestamp {
    time + SignedDuration::from_hours(24 * days)
}

/// Accepts findings until a day from now.
async fn accept(lab: &Lab, name: &str, findings: &[u64]) -> RiskAcceptance {
    let body = json!({
        "name": name, "accepted_findings": findings, "restart_sla_expired": true,
        "expiration_date": days_from(Timestamp::now(), 1),
    });
    let made = lab.call(Method::POST, "risk_acceptance/", Some(body)).await;
    let id = made.expect(201)["id"].as_u64().unwrap();
    lab.settle().await;
    kept(lab, id).await
}

async fn kept(lab: &Lab, id: u64) -> RiskAcceptance {
    lab.services.store.get(id.into()).await.unwrap()
}

/// How many notes with these words each finding of a test has.
async fn noted(lab: &Lab, test: TestId, words: &str) -> BTreeSet<usize> {
    let mut counts = BTreeSet::new();
    for finding in lab.findings(test).await {
        let notes = lab.services.store.notes(finding.id).await.unwrap();
        counts.insert(notes.iter().filter(|note| note.entry == words).count());
    }
    counts
}

/// The events about an acceptance on the days around a moment.
async fn events(lab: &Lab, kind: EventKind, about: &RiskAcceptance, at: Timestamp) -> Vec<Event> {
    let mut all = Vec::new();
    for days in -1..=1 {
        let day = days_from(at, days).to_zoned(TimeZone::UTC).date();
        all.extend(lab.services.store.events(day).await.unwrap());
    }
    all.retain(|event| event.kind == kind && event.object == about.id.0);
    all
}

async fn daily(lab: &Lab, now: Timestamp) {
    Box::pin(tatami_sla::daily(&lab.services, now))
        .await
        .unwrap();
}

fn expired_note(acceptance: &RiskAcceptance) -> String {
    format!(
        "Risk acceptance {}, \"{}\", has expired.",
        acceptance.id, acceptance.name
    )
}

/// Lets jobs go on whose message isn't to come before a while.
async fn go_on(lab: &Lab) {
    for job in lab.services.store.jobs().await.unwrap() {
        if job.state == JobState::Running {
            let message = FindingsMessage::Job {
                job: job.id,
                step: job.step,
            };
            let body = tatami_queue::write(&message).unwrap();
            let sent = [Outgoing { body, import: None }];
            lab.services.findings.send(sent).await.unwrap();
        }
    }
    lab.settle().await;
}

fn all(findings: &[Finding], is: impl Fn(&Finding) -> bool) -> bool {
    !findings.is_empty() && findings.iter().all(is)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_expires_once_however_often_and_late_the_schedule_fires() {
    let lab = Lab::patient().await;
    let test = report(&lab, 150).await;
    let body = json!({
        "name": "All", "accepted_findings": ids(&lab, test).await, "restart_sla_expired": true,
        "expiration_date": days_from(Timestamp::now(), 30),
    });
    let made = lab.call(Method::POST, "risk_acceptance/", Some(body)).await;
    let made = made.expect(201);
    assert_eq!(
        get(&lab, "findings/?risk_accepted=true").await["count"],
        0,
        "a job does it"
    );
    lab.settle().await;
    let own = kept(&lab, made["id"].as_u64().unwrap()).await;
    let accepted = |f: &Finding| f.flags.risk_accepted && f.acceptance == Some(own.id);
    assert!(all(&lab.findings(test).await, accepted));
    let words = format!("Risk accepted: risk acceptance {}, \"All\".", own.id);
    assert_eq!(noted(&lab, test, &words).await, BTreeSet::from([1]));

    let end = own.expiration_date.unwrap();
    daily(&lab, days_from(end, -11)).await;
    assert_eq!(kept(&lab, own.id.0).await.expiration_date_warned, None);
    let warned = days_from(end, -9);
    for now in [warned, warned, days_from(end, -8)] {
        daily(&lab, now).await;
    }
    let told = events(&lab, EventKind::RiskAcceptanceExpiring, &own, warned).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        kept(&lab, own.id.0).await.expiration_date_warned,
        Some(warned)
    );
    lab.settle().await;
    assert!(all(&lab.findings(test).await, accepted), "not yet");

    // for a week nothing ran; then it ran twice at once, and again while the job was under way
    let late = days_from(end, 7);
    tokio::join!(Box::pin(daily(&lab, late)), Box::pin(daily(&lab, late)));
    daily(&lab, days_from(end, 8)).await;
    for message in lab.take(Queue::Findings).await {
        let (a, b) = tokio::join!(
            Box::pin(lab.deliver(&message, 1)),
            Box::pin(lab.deliver(&message, 1))
        );
        assert!(a && b);
    }
    lab.settle().await;
    for days in [7, 8, 9] {
        daily(&lab, days_from(end, days)).await;
        lab.settle().await;
    }
    let own = kept(&lab, own.id.0).await;
    assert_eq!(own.state(), AcceptanceState::Expired);
    assert_eq!((own.expired_at, own.ending), (Some(late), None));
    assert_eq!(own.expiration_date, Some(end), "as agreed");
    let told = events(&lab, EventKind::RiskAcceptanceExpired, &own, late).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].data["findings"], 150);
    let day = late.to_zoned(TimeZone::UTC).date();
    let open = |f: &Finding| {
        f.flags.active
            && !f.flags.risk_accepted
            && f.acceptance == Some(own.id)
            && f.sla_start_date == Some(day)
    };
    assert!(all(&lab.findings(test).await, open));
    assert_eq!(
        noted(&lab, test, &expired_note(&own)).await,
        BTreeSet::from([1])
    );
    let times = |event: &str| {
        let entries = serde_json::to_value(&own.history).unwrap();
        let entries = entries.as_array().unwrap().clone();
        entries
            .iter()
            .filter(|entry| entry["event"] == event)
            .count()
    };
    assert_eq!((times("warned"), times("expired")), (1, 1));
    lab.holdings("Shop").await;

    // and back: those that the end opened
    let path = format!("risk_acceptance/{}/reinstate/", own.id);
    lab.call(Method::POST, &path, Some(json!({})))
        .await
        .expect(200);
    lab.settle().await;
    assert!(all(&lab.findings(test).await, accepted));
    // the whole story is in the audit log, also what nobody did
    let entries = get(&lab, "audit/?method=JOB&limit=1000").await;
    let entries = entries["results"].as_array().unwrap();
    let by_nobody = |path: &str| {
        let of = |entry: &&Value| entry["path"].as_str().unwrap().starts_with(path);
        entries
            .iter()
            .filter(of)
            .any(|entry| entry["user"] == Value::Null)
    };
    assert!(by_nobody("/api/v2/risk_acceptance/") && by_nobody("/api/v2/jobs/"));
    let jobs = get(&lab, "jobs/?limit=100").await;
    let jobs = jobs["results"].as_array().unwrap();
    assert!(jobs.iter().all(|job| job["state"] == "done"));
    assert!(jobs.iter().any(|job| job["by"] == Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_accepted_and_opened_by_jobs() {
    let lab = Lab::patient().await;
    let test = report(&lab, 130).await;
    let body = json!({
        "filter": {"test": test}, "justification": "all of it", "never": true,
    });
    let path = "risk_acceptance/bulk/";
    let done = lab.call(Method::POST, path, Some(body)).await.expect(202);
    assert_eq!(done["results"], json!([]));
    let job = format!("jobs/{}/", done["jobs"][0]);
    assert_eq!(get(&lab, &job).await["state"], "running");
    let path = format!("risk_acceptance/{}/", done["acceptances"][0]["id"]);
    lab.settle().await;
    assert_eq!(get(&lab, &job).await["state"], "done");
    let results = get(&lab, &format!("{job}results/?result=changed&limit=1000")).await;
    assert_eq!(results["count"], 130);
    let made = get(&lab, &path).await;
    assert_eq!(made["accepted_findings"].as_array().unwrap().len(), 130);
    assert!(all(&lab.findings(test).await, |f| f.flags.risk_accepted));

    lab.call(Method::DELETE, &path, None).await.expect(204);
    let removed = get(&lab, &path).await;
    assert_eq!(removed["state"], "removed");
    let job = format!("jobs/{}/", removed["job"]);
    assert_eq!(get(&lab, &job).await["state"], "running");
    assert_eq!(lab.call(Method::DELETE, &path, None).await.status, 409);
    lab.settle().await;
    assert_eq!(get(&lab, &path).await["job"], Value::Null);
    assert!(all(&lab.findings(test).await, |f| f.flags.active));
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_run_or_its_job_is_cut_off_the_next_goes_on() {
    let lab = Lab::patient().await;
    let test = report(&lab, 3).await;
    let findings = ids(&lab, test).await;
    let mut places = BTreeSet::new();
    for of_job in [false, true] {
        for nth in 0.. {
            let mut died = false;
            for death in [Death::Before, Death::After] {
                let own = accept(&lab, &format!("{of_job} {nth} {death:?}"), &findings).await;
                assert!(all(&lab.findings(test).await, |f| f.flags.risk_accepted));
                let now = days_from(Timestamp::now(), 2);
                if of_job {
                    daily(&lab, now).await;
                    let messages = lab.take(Queue::Findings).await;
                    assert_eq!(messages.len(), 1);
                    lab.wire.die_at(nth, death);
                    lab.deliver(&messages[0], 1).await;
                } else {
                    lab.wire.die_at(nth, death);
                    let _ = Box::pin(tatami_sla::daily(&lab.services, now)).await;
                }
                if let Some(place) = lab.wire.live() {
                    died = true;
                    places.insert((of_job, place.call));
                }
                daily(&lab, days_from(now, 1)).await;
                lab.settle().await;
                let ended = kept(&lab, own.id.0).await;
                let name = &own.name;
                assert_eq!(ended.state(), AcceptanceState::Expired, "{name}");
                assert_eq!(ended.ending, None, "{name}");
                let told = events(&lab, EventKind::RiskAcceptanceExpired, &own, now).await;
                assert_eq!(told.len(), 1, "{name}: {told:?}");
                assert!(all(&lab.findings(test).await, |f| f.flags.active), "{name}");
                let notes = noted(&lab, test, &expired_note(&own)).await;
                assert_eq!(notes, BTreeSet::from([1]), "{name}");
            }
            if !died {
                assert!(nth > 4, "{nth} writes are too few");
                break;
            }
        }
    }
    for call in [
        (false, "PutItem"),
        (false, "s3 PUT"),
        (false, "SendMessageBatch"),
        (true, "TransactWriteItems"),
        (true, "PutItem"),
    ] {
        let call = (call.0, call.1.to_owned());
        assert!(
            places.contains(&call),
            "nobody died at {call:?}: {places:?}"
        );
    }
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_is_written_with_its_event_or_not_at_all() {
    let lab = Lab::patient().await;
    let test = report(&lab, 1).await;
    let findings = ids(&lab, test).await;
    let own = accept(&lab, "A", &findings).await;
    let now = Timestamp::now();
    for nth in 0.. {
        let mut died = false;
        for death in [Death::Before, Death::After] {
            lab.wire.die_at(nth, death);
            let _ = Box::pin(tatami_sla::daily(&lab.services, now)).await;
            died |= lab.wire.live().is_some();
            let told = events(&lab, EventKind::RiskAcceptanceExpiring, &own, now).await;
            let warned = kept(&lab, own.id.0).await.expiration_date_warned;
            assert_eq!(told.len(), usize::from(warned.is_some()), "{nth} {death:?}");
        }
        if !died {
            break;
        }
    }
    assert!(kept(&lab, own.id.0).await.expiration_date_warned.is_some());
    // another date is warned of anew
    let path = format!("risk_acceptance/{}/", own.id);
    let change = json!({"expiration_date": days_from(now, 5)});
    let changed = lab
        .call(Method::PATCH, &path, Some(change))
        .await
        .expect(200);
    assert_eq!(changed["expiration_date_warned"], Value::Null);
    daily(&lab, now).await;
    daily(&lab, now).await;
    let told = events(&lab, EventKind::RiskAcceptanceExpiring, &own, now).await;
    assert_eq!(told.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_dies_at_any_write_is_done_whole_or_not_at_all() {
    let lab = Lab::patient().await;
    let test = report(&lab, 3).await;
    let findings = ids(&lab, test).await;
    let (mut whole, mut none) = (0, 0);
    for nth in 0.. {
        let mut died = false;
        for death in [Death::Before, Death::After] {
            let name = format!("{nth} {death:?}");
            let body = json!({"name": name, "accepted_findings": findings});
            lab.wire.die_at(nth, death);
            lab.call(Method::POST, "risk_acceptance/", Some(body)).await;
            died |= lab.wire.live().is_some();
            go_on(&lab).await;
            let page = get(
                &lab,
                &format!("risk_acceptance/?name={}", name.replace(' ', "%20")),
            )
            .await;
            let now = lab.findings(test).await;
            if page["count"] == 0 {
                none += 1;
                assert!(
                    all(&now, |f| f.flags.active && f.acceptance.is_none()),
                    "{name}"
                );
                continue;
            }
            whole += 1;
            let id = page["results"][0]["id"].as_u64().unwrap();
            assert!(all(&now, |f| f.flags.risk_accepted), "{name}");
            assert!(
                all(&now, |f| f.acceptance.is_some_and(|own| own.0 == id)),
                "{name}"
            );
            // its removal as well, which dies at the same write
            lab.wire.die_at(nth, death);
            let path = format!("risk_acceptance/{id}/");
            lab.call(Method::DELETE, &path, None).await;
            died |= lab.wire.live().is_some();
            daily(&lab, Timestamp::now()).await;
            go_on(&lab).await;
            let own = kept(&lab, id).await;
            assert_eq!(own.ending, None, "{name}");
            let removed = own.state() == AcceptanceState::Removed;
            let now = lab.findings(test).await;
            assert!(all(&now, |f| f.flags.active == removed), "{name}");
            assert!(all(&now, |f| f.acceptance.is_none() == removed), "{name}");
            if !removed {
                lab.call(Method::DELETE, &path, None).await.expect(204);
            }
        }
        if !died {
            break;
        }
    }
    assert!(whole > 5 && none > 2, "{whole} {none}");
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_comes_under_an_acceptance_whose_end_has_begun() {
    let lab = Lab::patient().await;
    let test = report(&lab, 2).await;
    let findings = lab.findings(test).await;
    let own = accept(&lab, "A", &[findings[0].id.0]).await;
    let store = &lab.services.store;
    let commit = |finding: &Finding| {
        let mut new = finding.clone();
        new.flags.active = false;
        new.flags.risk_accepted = true;
        new.acceptance = Some(own.id);
        Commit {
            product: finding.product,
            changes: vec![Change::Update {
                old: Box::new(finding.clone()),
                new: Box::new(new),
            }],
            claims: Vec::new(),
            notes: Vec::new(),
            events: Vec::new(),
            marker: None,
            unique: "T1".into(),
        }
    };
    let ending = Ending {
        job: JobId(9_999),
        at: Timestamp::now(),
        by: None,
        removes: false,
    };
    let set = |ending: Option<Ending>| {
        store.change(own.id, move |acceptance: &mut RiskAcceptance| {
            acceptance.ending = ending;
            Ok::<_, tatami_store::StoreError>(())
        })
    };
    set(Some(ending)).await.unwrap();
    let refused = store.commit(&commit(&findings[1])).await.unwrap();
    assert_eq!(refused, Committed::Conflict);
    set(None).await.unwrap();
    assert_eq!(
        store.commit(&commit(&findings[1])).await.unwrap(),
        Committed::Yes
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_meanwhile_neither_opens_what_is_accepted_nor_is_undone_by_the_end() {
    let lab = Lab::patient().await;
    let test = report(&lab, 20).await;
    let own = accept(&lab, "A", &ids(&lab, test).await).await;
    let again = [("mode", "reimport".to_owned())];
    // the same report once more changes nothing
    lab.upload("Shop", "Nightly", &again, generic_report(0, 20))
        .await;
    lab.settle().await;
    assert!(all(&lab.findings(test).await, |f| f.flags.risk_accepted
        && f.acceptance == Some(own.id)));
    // one that has five of them no longer comes while the acceptance expires
    lab.upload("Shop", "Nightly", &again, generic_report(5, 20))
        .await;
    daily(&lab, days_from(Timestamp::now(), 2)).await;
    lab.work_off(4).await;
    lab.settle().await;
    assert_eq!(kept(&lab, own.id.0).await.state(), AcceptanceState::Expired);
    let now = lab.findings(test).await;
    assert_eq!(now.len(), 25);
    assert!(all(&now, |f| !f.flags.risk_accepted));
    let closed: Vec<&Finding> = now.iter().filter(|f| f.flags.is_mitigated).collect();
    assert_eq!(closed.len(), 5);
    assert!(closed.iter().all(|f| !f.flags.active));
    assert_eq!(now.iter().filter(|f| f.flags.active).count(), 20);
    lab.holdings("Shop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_that_takes_the_place_of_its_original_takes_its_acceptance_over() {
    let lab = Lab::patient().await;
    let test = report(&lab, 3).await;
    let findings = ids(&lab, test).await;
    let link = json!({"original": findings[0], "findings": [findings[1]]});
    let link = lab.call(Method::POST, "findings/link/", Some(link)).await;
    link.expect(200);
    let own = accept(&lab, "A", &findings).await;
    // the job's list has what is under it now, and that changes before the job comes to it
    daily(&lab, days_from(Timestamp::now(), 2)).await;
    let path = format!("findings/{}/original/{}/", findings[0], findings[1]);
    let swapped = lab.call(Method::POST, &path, Some(json!({}))).await;
    assert!(swapped.status < 300, "{swapped:?}");
    let now = lab.findings(test).await;
    let new = now.iter().find(|f| f.id.0 == findings[1]).unwrap();
    assert!(!new.flags.duplicate && new.flags.risk_accepted, "{new:?}");
    assert_eq!(new.acceptance, Some(own.id));
    let path = format!("findings/{}/", findings[2]);
    let by_hand = Some(json!({"status": "Open"}));
    lab.call(Method::PATCH, &path, by_hand).await.expect(200);
    lab.settle().await;
    assert_eq!(kept(&lab, own.id.0).await.state(), AcceptanceState::Expired);
    let now = lab.findings(test).await;
    assert!(all(&now, |f| !f.flags.risk_accepted), "{now:?}");
    assert!(all(&now, |f| f.flags.active != f.flags.duplicate));
    let words = expired_note(&own);
    for (finding, told) in findings.iter().zip([true, true, false]) {
        let notes = lab.services.store.notes(tatami_domain::FindingId(*finding));
        let notes = notes.await.unwrap();
        assert_eq!(
            notes.iter().any(|note| note.entry == words),
            told,
            "{finding}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_product_goes_all_of_an_acceptance() {
    let lab = Lab::patient().await;
    let test = report(&lab, 2).await;
    let own = accept(&lab, "A", &ids(&lab, test).await).await;
    let note = json!({"entry": "a word"});
    let path = format!("risk_acceptance/{}/notes/", own.id);
    lab.call(Method::POST, &path, Some(note)).await.expect(201);
    let file = tatami_domain::Attachment {
        id: 0.into(),
        owner: Owner::RiskAcceptance(own.id),
        title: "t".into(),
        file_name: "t.txt".into(),
        size: 1,
        created: Timestamp::now(),
        by: own.owner,
    };
    let file = lab.services.store.create(file).await.unwrap();
    let bytes = bytes::Bytes::from_static(b"x");
    lab.services
        .blobs
        .put_attachment(file.id, bytes)
        .await
        .unwrap();
    let left = |all: &std::collections::BTreeMap<String, String>| -> Vec<String> {
        let own = ["ACCEPTANCE#", "N#R", "FILE#"];
        let is =
            |key: &&String| own.iter().any(|start| key.starts_with(start)) || key.contains(" f/");
        all.keys().filter(is).cloned().collect()
    };
    assert_eq!(
        left(&lab.everything().await).len(),
        5,
        "{:?}",
        left(&lab.everything().await)
    );
    let path = format!("products/{}/", own.product);
    let preview = get(&lab, &format!("{path}delete_preview/")).await;
    let models: BTreeSet<&str> = (preview["results"].as_array().unwrap().iter())
        .map(|row| row["model"].as_str().unwrap())
        .collect();
    assert!(
        models.contains("Risk_Acceptance") && models.contains("FileUpload"),
        "{models:?}"
    );
    lab.call(Method::DELETE, &path, None).await.expect(204);
    lab.settle().await;
    assert_eq!(left(&lab.everything().await), Vec::<String>::new());
    // and the daily run has nothing to do with it
    daily(&lab, days_from(Timestamp::now(), 2)).await;
}
