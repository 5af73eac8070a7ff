use axum::body::Body;
use http::Request;

use crate::app::TestApp;

#[tokio::test]
async fn the_document_is_there_for_everybody_and_its_lists_can_be_read() {
    let app = TestApp::start().await;
    let request = Request::get("/api/v2/oa3/schema/?format=json")
        .body(Body::empty())
        .unwrap();
    let (status, document) = app.send(request).await;
    assert_eq!(
        (status.as_u16(), document["openapi"].as_str()),
        (200, Some("3.0.3"))
    );
    for (path, operations) in document["paths"].as_object().unwrap() {
        let list = operations["get"].is_object() && !path.contains('{') && path.ends_with("s/");
        if list {
            let (status, page) = app.get(path.trim_start_matches("/api/v2/")).await;
            assert_eq!(status, 200, "{path}");
            assert!(page["results"].is_array(), "{path}");
        }
    }
}
