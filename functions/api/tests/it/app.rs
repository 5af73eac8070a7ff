//! The router on services of its own, in a temporary directory.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tatami_local_aws::{Config, LocalAws};
use tatami_runtime::{SecretKey, Services, Settings};
use tower::ServiceExt as _;

/// The password and token of the first admin.
pub const PASSWORD: &str = "correct horse battery";
/// The token of the first admin.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// The key of secrets.
const SECRET_KEY: &str = "dGhpcnR5LXR3byBieXRlcyB0aGF0IGFyZSBhIGtleSE=";

/// The API as a client sees it.
pub struct TestApp {
    pub services: Services,
    router: Router,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub local: LocalAws,
    _directory: tempfile::TempDir,
}

/// A status and a JSON body; null where there is none.
pub type Answer = (StatusCode, Value);

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalAws::start(Config {
            data_dir: directory.path().to_owned(),
            credentials: tatami_local_aws::Credentials {
                access_key: "tatami".into(),
                secret_key: "tatami-local".into(),
            },
            region: "eu-central-1".into(),
            notifications: Vec::new(),
        })
        .await
        .unwrap();
        let credentials =
            aws_credential_types::Credentials::new("tatami", "tatami-local", None, None, "test");
        let config = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(
                aws_credential_types::provider::SharedCredentialsProvider::new(credentials),
            )
            .region(aws_config::Region::new("eu-central-1"))
            .endpoint_url(local.endpoint())
            .build();
        let queues = local.queues();
        for queue in ["findings", "jira", "notify"] {
            let made = queues.ensure(queue, tatami_local_aws::sqs::QueueSettings::default());
            made.await.unwrap();
        }
        let mut settings = Settings {
            findings_queue_url: format!("{}/000000000000/findings", local.endpoint()),
            jira_queue_url: format!("{}/000000000000/jira", local.endpoint()),
            notify_queue_url: format!("{}/000000000000/notify", local.endpoint()),
            admin_password: Some(PASSWORD.into()),
            admin_token: Some(TOKEN.into()),
            secret_key: Some(SecretKey::parse(SECRET_KEY).unwrap()),
            max_report_bytes: 3 * 1024 * 1024,
            public_url: None,
            ..Settings::local().unwrap()
        };
        change(&mut settings);
        let services = Services::new(&config, settings);
        services.store.create_tables().await.unwrap();
        services.blobs.create_buckets().await.unwrap();
        assert_eq!(services.ensure_admin().await.unwrap(), None);
        let scan_types = ["Generic Findings Import", "Trivy Scan"];
        services.store.seed(scan_types).await.unwrap();
        Self {
            router: tatami_api::router(services.clone()),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            services,
            local,
            _directory: directory,
        }
    }

    /// Starts the API again with other settings.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.services.settings);
        self.router = tatami_api::router(self.services.clone());
    }

    /// Sends a request as it is, for an answer that isn't JSON.
    pub async fn response(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.response(request).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// Sends JSON with the admin's token. Paths are under `/api/v2/`.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v2/{path}"))
            .header("host", "tatami.test")
            .header("authorization", format!("Token {TOKEN}"));
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Sends a multipart form: fields, and a file where there is one.
    pub async fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file: Option<(&str, &str)>,
    ) -> Answer {
        let mut body = String::new();
        for (name, value) in fields {
            let _ = write!(
                body,
                "--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        if let Some((name, content)) = file {
            let _ = write!(
                body,
                "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n{content}\r\n"
            );
        }
        body += "--xx--\r\n";
        let request = Request::post(format!("/api/v2/{path}"))
            .header("host", "tatami.test")
            .header("authorization", format!("Token {TOKEN}"))
            .header("content-type", "multipart/form-data; boundary=xx")
            .body(Body::from(body))
            .unwrap();
        self.send(request).await
    }

    /// Takes out of a queue what was sent to it.
    pub async fn sent(&self, queue: &str) -> Vec<String> {
        let (queues, wait) = (self.local.queues(), Some(Duration::ZERO));
        let mut bodies = Vec::new();
        loop {
            let some = queues.receive(queue, 10, None, wait).await.unwrap();
            if some.is_empty() {
                return bodies;
            }
            bodies.extend(some.into_iter().map(|message| message.body));
        }
    }

    /// Writes over a document in the catalog's table, as somebody with access to it could.
    pub async fn overwrite_document(&self, pk: &str, sk: &str, document: &str) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        (self.dynamodb.put_item())
            .table_name(&self.services.settings.tables.catalog)
            .item("pk", text(pk))
            .item("sk", text(sk))
            .item("d", text(document))
            .send()
            .await
            .unwrap();
    }

    /// A product, an engagement and a test; gives the ids.
    pub async fn tree(&self) -> [u64; 3] {
        let (status, kind) = self.post("product_types/", json!({"name": "Shops"})).await;
        assert_eq!(status, 201, "{kind}");
        let product = json!({"name": "Shop", "description": "d", "prod_type": kind["id"]});
        let (status, product) = self.post("products/", product).await;
        assert_eq!(status, 201, "{product}");
        let engagement = json!({
            "name": "CI", "product": product["id"],
            "target_start": "2026-01-01", "target_end": "2026-12-31",
        });
        let (status, engagement) = self.post("engagements/", engagement).await;
        assert_eq!(status, 201, "{engagement}");
        let test = json!({
            "engagement": engagement["id"], "test_type": 1, "title": "t", "environment": 1,
            "target_start": "2026-01-01", "target_end": "2026-01-02T10:00:00Z",
        });
        let (status, test) = self.post("tests/", test).await;
        assert_eq!(status, 201, "{test}");
        [&product, &engagement, &test].map(|thing| thing["id"].as_u64().unwrap())
    }

    /// A finding made by hand; gives its id.
    pub async fn finding(&self, test: u64, more: Value) -> u64 {
        let mut body = json!({
            "test": test, "title": "SQL injection", "severity": "High", "description": "in login",
            "found_by": [1], "active": true, "verified": false, "date": "2026-01-05",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let (status, finding) = self.post("findings/", body).await;
        assert_eq!(status, 201, "{finding}");
        finding["id"].as_u64().unwrap()
    }
}
