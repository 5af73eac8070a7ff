//! The functions without the loops that call them: a test takes their messages out of the queues and
//! delivers them as often, as late and in whatever order it likes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tatami_domain::{
    Engagement, Finding, FindingId, Import, ImportId, Product, ProductId, SeverityCounts, Test,
    TestId,
};
use tatami_local_aws::sqs::QueueSettings;
use tatami_local_aws::{BucketNotification, Config, LocalAws};
use tatami_runtime::{Cut, Services, Settings};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{Answer, Wire};

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";
const REGION: &str = "eu-west-1";

/// The queues, each with the function that it feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Queue {
    /// Feeds the parser.
    Uploads,
    /// Feeds dedup.
    Findings,
    /// Feeds sla.
    Sla,
    /// Feeds jira.
    Jira,
    /// Feeds notify.
    Notify,
}

impl Queue {
    /// All of them, in the order of a report's journey.
    pub const ALL: [Self; 5] = [
        Self::Uploads,
        Self::Findings,
        Self::Sla,
        Self::Jira,
        Self::Notify,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Findings => "findings",
            Self::Sla => "sla",
            Self::Jira => "jira",
            Self::Notify => "notify",
        }
    }
}

/// A message that was taken out of its queue.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it lay.
    pub queue: Queue,
    /// What was sent.
    pub body: String,
    attributes: Value,
}

/// Storage, queues and functions, with a wire between them that a test can cut.
pub struct Lab {
    /// What the functions work with.
    pub services: Services,
    /// Between them and AWS.
    pub wire: Wire,
    aws: Arc<LocalAws>,
    api: Router,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
    uploads: AtomicU64,
    days_ago: Arc<AtomicU64>,
    _data: TempDir,
}

/// A finding in words that hold in every run: no ids, no times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Name of its engagement, and the how manyth test of that it is in.
    pub test: (String, usize),
    /// Its title.
    pub title: String,
    /// Its service, empty where it has none.
    pub service: String,
    /// Its endpoints.
    pub endpoints: Vec<String>,
    /// Its severity.
    pub severity: String,
    /// Its component, empty where it has none.
    pub component: String,
    /// The flags that are set, as words.
    pub flags: String,
    /// Is the time of its mitigation known?
    pub mitigated: bool,
    /// Where it is a duplicate: the original's test and endpoints.
    pub original: Option<((String, usize), Vec<String>)>,
}

/// What a product holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holdings {
    /// How many tests each engagement has.
    pub tests: BTreeMap<String, usize>,
    /// The findings, sorted.
    pub rows: Vec<Row>,
}

impl Lab {
    /// Starts one in which few findings make many parts and chunks, and in which the SDK doesn't try
    /// again when a call fails: what is done about it, the functions do.
    pub async fn start() -> Self {
        let small = Cut {
            chunk_items: 14,
            part_bytes: 7 * 1024,
        };
        Self::start_with(false, small).await
    }

    /// Starts one that is as patient as in the cloud, and cuts as there.
    pub async fn patient() -> Self {
        Self::start_with(true, Cut::default()).await
    }

    async fn start_with(patient: bool, cut: Cut) -> Self {
        let data = TempDir::new().expect("a folder");
        let mut settings = Settings {
            admin_password: Some("correct horse battery".into()),
            admin_token: Some(TOKEN.into()),
            cut,
            ..Settings::local().expect("settings")
        };
        let aws = LocalAws::start(Config {
            data_dir: data.path().to_owned(),
            credentials: tatami_local_aws::Credentials {
                access_key: "tatami".into(),
                secret_key: "tatami-local".into(),
            },
            region: REGION.into(),
            notifications: vec![BucketNotification {
                bucket: settings.uploads_bucket.clone(),
                prefix: String::new(),
                queue: Queue::Uploads.name().into(),
            }],
        })
        .await
        .expect("the local AWS starts");
        let aws = Arc::new(aws);
        for queue in Queue::ALL {
            let made = aws.queues().ensure(queue.name(), QueueSettings::default());
            made.await.expect("a queue");
        }
        let url = |queue: Queue| format!("{}/000000000000/{}", aws.endpoint(), queue.name());
        settings.findings_queue_url = url(Queue::Findings);
        settings.sla_queue_url = url(Queue::Sla);
        settings.jira_queue_url = url(Queue::Jira);
        settings.notify_queue_url = url(Queue::Notify);
        for bucket in [&settings.uploads_bucket, &settings.data_bucket] {
            aws.ensure_bucket(bucket).await.expect("a bucket");
        }
        let wire = Wire::new(Arc::clone(&aws));
        let credentials = Credentials::new("tatami", "tatami-local", None, None, "lab");
        let retries = if patient {
            RetryConfig::standard().with_initial_backoff(Duration::from_millis(1))
        } else {
            RetryConfig::disabled()
        };
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(aws.endpoint())
            .http_client(wire.clone())
            .retry_config(retries)
            .load()
            .await;
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        let mut services = Services::new(&config, settings);
        let days_ago = Arc::new(AtomicU64::new(0));
        let ago = Arc::clone(&days_ago);
        services.store = services.store.with_clock(move || {
            let hours = 24 * ago.load(Ordering::Relaxed);
            Timestamp::now() - Duration::from_hours(hours)
        });
        let store = &services.store;
        store.create_tables().await.expect("tables");
        let seeded = store.seed(["Generic Findings Import", "SARIF"]);
        seeded.await.expect("seeds");
        services.ensure_admin().await.expect("an admin");
        wire.take_calls();
        Self {
            api: tatami_api::router(services.clone()),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            services,
            wire,
            aws,
            uploads: AtomicU64::new(0),
            days_ago,
            _data: data,
        }
    }

    /// Lets what follows be done so many days ago, as far as the store says on which day something was
    /// done; gives that day.
    pub fn go_back(&self, days: u64) -> Date {
        self.days_ago.store(days, Ordering::Relaxed);
        let then = Timestamp::now() - Duration::from_hours(24 * days);
        then.to_zoned(TimeZone::UTC).date()
    }

    /// Puts a report into the bucket, for the product and engagement that the key names and with
    /// these options; its event lies in the queue then.
    pub async fn upload(
        &self,
        product: &str,
        engagement: &str,
        options: &[(&str, String)],
        report: impl Into<Vec<u8>>,
    ) {
        let n = self.uploads.fetch_add(1, Ordering::Relaxed);
        let key = format!("inbox/{product}/{engagement}/{n}.json");
        let metadata: HashMap<String, String> = (options.iter())
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let put = (self.services.blobs).put_upload(&key, report.into(), metadata);
        put.await.expect("the report is stored");
    }

    /// Takes everything out of a queue.
    pub async fn take(&self, queue: Queue) -> Vec<Message> {
        let mut taken = Vec::new();
        loop {
            let queues = self.aws.queues();
            let wait = Some(Duration::ZERO);
            let some = queues.receive(queue.name(), 10, None, wait).await;
            let some = some.expect("the queue can be read");
            if some.is_empty() {
                return taken;
            }
            let handles = some.iter().map(|m| m.receipt_handle.clone()).collect();
            let deleted = queues.delete(queue.name(), handles).await;
            deleted.expect("the messages are deleted");
            taken.extend(some.into_iter().map(|message| Message {
                queue,
                body: message.body,
                attributes: lambda_attributes(message.attributes.as_ref()),
            }));
        }
    }

    /// Takes everything out of all queues.
    pub async fn take_all(&self) -> Vec<Message> {
        let mut taken = Vec::new();
        for queue in Queue::ALL {
            taken.extend(self.take(queue).await);
        }
        taken
    }

    /// Hands a message to its function, as the `receives`th delivery. Says whether it was handled.
    pub async fn deliver(&self, message: &Message, receives: u32) -> bool {
        let event = json!({"Records": [{
            "messageId": "m", "body": message.body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": receives.to_string()},
            "messageAttributes": message.attributes}]});
        let services = &self.services;
        let answer = match message.queue {
            Queue::Uploads => tatami_parser::handle(services, event).await.ok(),
            Queue::Findings => tatami_dedup::handle(services, event).await.ok(),
            Queue::Sla => tatami_sla::handle(services, event).await.ok(),
            Queue::Jira => tatami_jira::handle(services, event).await.ok(),
            Queue::Notify => tatami_notify::handle(services, event).await.ok(),
        };
        answer.is_some_and(|answer| answer["batchItemFailures"] == json!([]))
    }

    /// Delivers each message once, until there are none left.
    pub async fn settle(&self) {
        self.settle_some(&Queue::ALL).await;
    }

    /// The same for the messages of reports alone: what is told of them waits.
    pub async fn settle_reports(&self) {
        self.settle_some(&[Queue::Uploads, Queue::Findings, Queue::Sla])
            .await;
    }

    async fn settle_some(&self, queues: &[Queue]) {
        loop {
            let mut messages = Vec::new();
            for queue in queues {
                messages.extend(self.take(*queue).await);
            }
            if messages.is_empty() {
                return;
            }
            for message in messages {
                assert!(
                    self.deliver(&message, 1).await,
                    "{:?} fails: {}",
                    message.queue,
                    message.body
                );
            }
        }
    }

    /// Works off all queues, up to `at_once` messages side by side; what fails comes again, at most
    /// five times in all.
    pub async fn work_off(&self, at_once: usize) {
        let mut waiting: Vec<(Message, u32)> = Vec::new();
        loop {
            waiting.extend(
                self.take_all()
                    .await
                    .into_iter()
                    .map(|message| (message, 1)),
            );
            if waiting.is_empty() {
                return;
            }
            let deliveries: Vec<_> = (waiting.drain(..))
                .map(|(message, receives)| async move {
                    let handled = self.deliver(&message, receives).await;
                    (!handled).then_some((message, receives + 1))
                })
                .collect();
            let answers = futures::stream::iter(deliveries).buffer_unordered(at_once);
            waiting = answers.filter_map(std::future::ready).collect().await;
            for (message, receives) in &waiting {
                assert!(
                    *receives <= 5,
                    "a dead letter: {:?} {}",
                    message.queue,
                    message.body
                );
            }
        }
    }

    /// A call of the REST API as its admin; the path is below `/api/v2/`.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v2/{path}"))
            .header("host", "tatami.test")
            .header("authorization", format!("Token {TOKEN}"))
            .header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = request.body(body).expect("a request");
        let answer = self.api.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        Answer {
            status,
            body: serde_json::from_slice(&bytes.expect("a body")).unwrap_or(Value::Null),
        }
    }

    /// The product of this name, if there is one.
    pub async fn product(&self, name: &str) -> Option<Product> {
        let found = self.services.store.find::<Product>(name).await;
        found.expect("the catalog can be read")
    }

    /// The tests of a product, by their engagement's name and their place in it.
    pub async fn tests(&self, product: ProductId) -> BTreeMap<(String, usize), Test> {
        let store = &self.services.store;
        let mut all = BTreeMap::new();
        let engagements: Vec<Engagement> = store.engagements_of(product).await.expect("a list");
        for engagement in engagements {
            let tests = store.tests_of(engagement.id).await.expect("a list");
            for (n, test) in tests.into_iter().enumerate() {
                all.insert((engagement.name.clone(), n), test);
            }
        }
        all
    }

    /// The findings of a test, by ascending id, from the table itself.
    pub async fn findings(&self, test: TestId) -> Vec<Finding> {
        let store = &self.services.store;
        let blocks = store.test_blocks(test).await.expect("the blocks");
        let mut findings = store.findings_in(&blocks).await.expect("the findings");
        findings.retain(|finding| finding.test == test);
        findings
    }

    /// A finding that is no duplicate, by what is known of it.
    pub async fn find(&self, product: &str, wanted: &Row) -> FindingId {
        let product = self.product(product).await.expect("the product");
        let test = self.tests(product.id).await[&wanted.test].id;
        let findings = self.findings(test).await;
        let same = |f: &&Finding| row(wanted.test.clone(), f, None) == *wanted;
        findings.iter().find(same).expect("the finding").id
    }

    /// What the product of this name holds; on the way, every count is held against a recount and
    /// every duplicate against its original.
    pub async fn holdings(&self, product: &str) -> Holdings {
        let Some(product) = self.product(product).await else {
            return Holdings::default();
        };
        let store = &self.services.store;
        let mut holdings = Holdings::default();
        let mut findings: BTreeMap<FindingId, ((String, usize), Finding)> = BTreeMap::new();
        for (name, test) in self.tests(product.id).await {
            *holdings.tests.entry(name.0.clone()).or_default() += 1;
            let own = self.findings(test.id).await;
            let counted = store.test_counts(product.id, test.id).await;
            let recount: SeverityCounts = own.iter().collect();
            assert_eq!(counted.expect("counts"), recount, "counts of test {name:?}");
            findings.extend(own.into_iter().map(|f| (f.id, (name.clone(), f))));
        }
        let counted = store.product_counts(product.id).await.expect("counts");
        let recount: SeverityCounts = findings.values().map(|(_, f)| f).collect();
        assert_eq!(counted, recount, "counts of the product");
        for (test, finding) in findings.values() {
            let original = finding.duplicate_finding.map(|id| {
                let (test, original) = findings.get(&id).expect("the original exists");
                assert!(!original.flags.duplicate, "a chain: {finding:?}");
                (test.clone(), original.endpoints.clone())
            });
            assert_eq!(original.is_some(), finding.flags.duplicate, "{finding:?}");
            holdings.rows.push(row(test.clone(), finding, original));
        }
        holdings.rows.sort();
        holdings
    }

    /// Everything there is: each item of each table and each object, by its key, with its document.
    pub async fn everything(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let tables = &self.services.settings.tables;
        for table in [&tables.catalog, &tables.findings, &tables.jobs] {
            let mut start = None;
            loop {
                let page = self.dynamodb.scan().table_name(table);
                let page = page.set_exclusive_start_key(start).send().await;
                let page = page.expect("a page");
                for item in page.items() {
                    let text = |name: &str| {
                        let value = item.get(name).and_then(|value| value.as_s().ok());
                        value.cloned().unwrap_or_default()
                    };
                    all.insert(format!("{} {}", text("pk"), text("sk")), text("d"));
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        let settings = &self.services.settings;
        for bucket in [&settings.uploads_bucket, &settings.data_bucket] {
            let objects = self.s3.list_objects_v2().bucket(bucket).send().await;
            for object in objects.expect("a list").contents() {
                let key = object.key().unwrap_or_default();
                all.insert(format!("s3 {bucket} {key}"), String::new());
            }
        }
        all
    }

    /// The imports of a product by ascending id.
    pub async fn imports(&self, product: ProductId) -> Vec<Import> {
        let mut ids: BTreeSet<ImportId> = BTreeSet::new();
        let store = &self.services.store;
        let mut imports = Vec::new();
        for test in self.tests(product).await.into_values() {
            for import in store.imports_of(test.id).await.expect("the imports") {
                if ids.insert(import.id) {
                    imports.push(import);
                }
            }
        }
        imports.sort_by_key(|import| import.id);
        imports
    }
}

fn row(
    test: (String, usize),
    finding: &Finding,
    original: Option<((String, usize), Vec<String>)>,
) -> Row {
    let f = finding.flags;
    let flags = [
        (f.active, "active"),
        (f.verified, "verified"),
        (f.false_p, "false_p"),
        (f.duplicate, "duplicate"),
        (f.out_of_scope, "out_of_scope"),
        (f.risk_accepted, "risk_accepted"),
        (f.is_mitigated, "is_mitigated"),
    ];
    Row {
        test,
        title: finding.title.clone(),
        service: finding.service.clone().unwrap_or_default(),
        endpoints: finding.endpoints.clone(),
        severity: finding.severity.name().to_owned(),
        component: finding.component_name.clone().unwrap_or_default(),
        flags: words(&flags),
        mitigated: finding.mitigated.is_some(),
        original,
    }
}

/// The words whose flag is set.
pub fn words(flags: &[(bool, &str)]) -> String {
    let set: Vec<&str> = (flags.iter().filter(|(set, _)| *set))
        .map(|(_, word)| *word)
        .collect();
    set.join(" ")
}

/// Message attributes as Lambda writes them.
fn lambda_attributes(attributes: Option<&serde_json::Map<String, Value>>) -> Value {
    let written = attributes.into_iter().flatten().map(|(name, value)| {
        let value = json!({"stringValue": value["StringValue"], "dataType": value["DataType"],
                           "stringListValues": [], "binaryListValues": []});
        (name.clone(), value)
    });
    Value::Object(written.collect())
}
