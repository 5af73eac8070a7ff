use std::net::SocketAddr;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use axum::extract::ConnectInfo;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::{Stack, dynamodb_client, s3::http, s3_client, sqs_client};

#[tokio::test]
async fn app_and_services_share_a_port() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().route(
        "/hello",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = stack.local.serve(listener, app, async move {
        let _ = stopped.await;
    });
    let asking = async {
        assert_eq!(
            http("GET", &format!("{endpoint}/hello"), &[], "").await,
            (200, "127.0.0.1".into())
        );
        assert_eq!(
            http("GET", &format!("{endpoint}/nothing"), &[], "").await.0,
            404
        );
        let s3 = s3_client(&endpoint, "tatami-local");
        let put = s3
            .put_object()
            .bucket("reports")
            .key("k")
            .body(ByteStream::from_static(b"x"));
        put.send().await.unwrap();
        let sqs = sqs_client(&endpoint, "tatami-local");
        let queue = sqs
            .get_queue_url()
            .queue_name("events")
            .send()
            .await
            .unwrap();
        assert!(queue.queue_url().unwrap().starts_with(&endpoint));
        dynamodb_client(&endpoint, "tatami-local")
            .list_tables()
            .send()
            .await
            .unwrap();
        stop.send(()).unwrap();
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_wrong_secret_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let endpoint = stack.local.endpoint();
    let error = s3_client(&endpoint, "wrong")
        .list_buckets()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    let error = sqs_client(&endpoint, "wrong")
        .list_queues()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
    let error = dynamodb_client(&endpoint, "wrong")
        .list_tables()
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
}

#[tokio::test]
async fn a_data_directory_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let second = tatami_local_aws::LocalAws::start(tatami_local_aws::Config {
        data_dir: dir.path().to_owned(),
        credentials: tatami_local_aws::Credentials {
            access_key: "a".into(),
            secret_key: "b".into(),
        },
        region: "eu-central-1".into(),
        notifications: Vec::new(),
    });
    assert!(matches!(
        second.await,
        Err(tatami_local_aws::Error::InUse(_))
    ));
    drop(stack);
}
