//! From a report to those who are told of it, and out of a mail by its link.

use axum::body::Body;
use axum::http::Request;
use tatami_domain::DeliveryState;
use tatami_tests::generic_report;
use tower::ServiceExt as _;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_500_findings_is_one_message_for_each_receiver() {
    let stage = Stage::start().await;
    stage.silence().await;
    let [ada, bob] = [stage.user("ada").await, stage.user("bob").await];
    for user in [ada, bob] {
        stage
            .wants(Some(user), "scan_added", &["alert", "mail"])
            .await;
    }
    let lab = &stage.lab;
    lab.upload("Shop", "Nightly", &[], generic_report(0, 500))
        .await;
    lab.settle().await;
    for user in [ada, bob] {
        let alerts = lab.services.store.alerts(user).await.unwrap();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert!(alerts[0].title.contains("500 new findings"), "{alerts:?}");
    }
    let mails = stage.mails();
    assert_eq!(mails.len(), 2);
    let deliveries = stage.deliveries().await;
    assert_eq!(deliveries.len(), 4);
    assert!(deliveries.iter().all(|d| d.state == DeliveryState::Sent));
    // the same file again changes nothing, and is told under another topic
    lab.upload("Shop", "Nightly", &[], generic_report(0, 500))
        .await;
    lab.settle().await;
    assert_eq!(stage.deliveries().await.len(), 4);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_in_a_mail_ends_mails_of_its_topic() {
    let stage = Stage::start().await;
    stage.silence().await;
    let ada = stage.user("ada").await;
    stage
        .wants(Some(ada), "scan_added", &["alert", "mail"])
        .await;
    stage.tell_scan().await;
    let mails = stage.mails();
    let (_, rest) = mails[0]
        .split_once("List-Unsubscribe: <https://tatami.example.com")
        .unwrap();
    let (path, _) = rest.split_once('>').unwrap();
    assert!(mails[0].contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"));
    let api = tatami_api::router(stage.lab.services.clone());
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("List-Unsubscribe=One-Click"))
        .unwrap();
    let answer = api.oneshot(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    stage.tell_scan().await;
    assert_eq!(stage.mails().len(), 1);
    let alerts = stage.lab.services.store.alerts(ada).await.unwrap();
    assert_eq!(alerts.len(), 2);
}
