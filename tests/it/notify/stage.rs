//! A laboratory with a product, users, and ways to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tatami_domain::{
    Delivery, DeliveryState, Event, EventData, NotificationRow, NotificationWebhook, Product,
    ProductId, ProductType, ScanAdded, SystemSettings, User, UserId,
};
use tatami_mail::Mailer;
use tatami_outbound::Outbound;
use tatami_runtime::SecretKey;
use tatami_tests::{Lab, Message, Queue};
use tempfile::TempDir;

/// The laboratory, whose clock only goes on when it's told.
pub struct Stage {
    pub lab: Lab,
    pub product: ProductId,
    pub mails: TempDir,
    /// Seconds that have gone by.
    gone: Arc<AtomicU64>,
    told: AtomicU64,
}

impl Stage {
    /// With the local network allowed, mails written into a folder, and a key of secrets.
    pub async fn start() -> Self {
        let mut lab = Lab::start().await;
        let gone = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&gone);
        let begin = Timestamp::now();
        lab.services.store = lab
            .services
            .store
            .clone()
            .with_clock(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
        let mails = TempDir::new().unwrap();
        let from = "Tatami <tatami@example.com>".parse().unwrap();
        lab.services.mailer = Mailer::folder(mails.path(), from);
        lab.services.outbound = Outbound::new("127.0.0.1".parse().unwrap());
        lab.services.settings.secret_key = Some(SecretKey::from_bytes(&[7; 32]).unwrap());
        lab.services.settings.public_url = Some("https://tatami.example.com".into());
        let store = &lab.services.store;
        let kind = ProductType {
            name: "Web".into(),
            ..ProductType::default()
        };
        let prod_type = store.create(kind).await.unwrap().id;
        let product = Product {
            name: "Shop".into(),
            prod_type,
            ..Product::default()
        };
        let product = store.create(product).await.unwrap().id;
        Self {
            lab,
            product,
            mails,
            gone,
            told: AtomicU64::new(0),
        }
    }

    /// Lets time go by.
    pub fn wait(&self, time: Duration) {
        self.gone.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    pub fn now(&self) -> Timestamp {
        self.lab.services.store.now()
    }

    /// A user who may see everything, but who isn't told what superusers are.
    pub async fn user(&self, name: &str) -> UserId {
        let user = self.somebody(name).await;
        let store = &self.lab.services.store;
        let admin = store.find::<tatami_domain::Role>("Admin").await.unwrap();
        let member = tatami_domain::Membership {
            user: Some(user),
            role: admin.unwrap().id,
            key: format!("u{user}"),
            ..tatami_domain::Membership::default()
        };
        store.create(member).await.unwrap();
        user
    }

    /// A user who may see nothing yet.
    pub async fn somebody(&self, name: &str) -> UserId {
        let user = User {
            username: name.into(),
            email: format!("{name}@example.com"),
            is_active: true,
            ..User::default()
        };
        self.lab.services.store.create(user).await.unwrap().id
    }

    /// Says of one topic where a user is told of it, and of all others that they aren't told.
    pub async fn wants(&self, user: Option<UserId>, topic: &str, channels: &[&str]) {
        self.row(user, None, false, topic, channels).await;
    }

    pub async fn row(
        &self,
        user: Option<UserId>,
        product: Option<ProductId>,
        template: bool,
        topic: &str,
        channels: &[&str],
    ) {
        let mut row = NotificationRow {
            user,
            product,
            template,
            ..NotificationRow::default()
        };
        for other in tatami_notifications::Topic::NAMES {
            row.topics.insert((*other).to_owned(), vec![]);
        }
        let channels = channels.iter().map(|name| (*name).to_owned());
        row.topics.insert(topic.into(), channels.collect());
        self.lab.services.store.create(row).await.unwrap();
    }

    /// Nobody is told of anything but what later rows say: neither the admin nor the system.
    pub async fn silence(&self) {
        self.row(None, None, false, "other", &[]).await;
        self.row(None, None, true, "other", &[]).await;
    }

    pub async fn webhook(
        &self,
        name: &str,
        url: &str,
        owner: Option<UserId>,
    ) -> NotificationWebhook {
        let webhook = NotificationWebhook {
            name: name.into(),
            url: url.into(),
            status: "active".into(),
            owner,
            ..NotificationWebhook::default()
        };
        self.lab.services.store.create(webhook).await.unwrap()
    }

    pub async fn webhook_now(&self, webhook: &NotificationWebhook) -> NotificationWebhook {
        self.lab.services.store.get(webhook.id).await.unwrap()
    }

    pub fn encrypted(&self, purpose: &str, text: &str) -> String {
        let key = self.lab.services.secret_key().unwrap();
        key.encrypt(purpose, &SecretString::from(text)).unwrap()
    }

    pub async fn settings(&self, change: impl FnOnce(&mut SystemSettings)) {
        let store = &self.lab.services.store;
        let old = store.system_settings().await.unwrap();
        let mut new = old.clone();
        change(&mut new);
        store.put_system_settings(&old, new).await.unwrap().unwrap();
    }

    /// An event of an import.
    pub fn scan(&self) -> Event {
        let n = self.told.fetch_add(1, Ordering::Relaxed);
        let data = EventData::ScanAdded(ScanAdded {
            test_title: "Nightly".into(),
            product_name: "Shop".into(),
            scan_type: "SARIF".into(),
            new: n + 1,
            ..ScanAdded::default()
        });
        Event::new(&data, 100 + n, "1", Some(self.product), self.now())
    }

    /// Tells of an event; its work is in the queue then.
    pub async fn tell(&self, event: &Event) {
        assert!(self.lab.services.store.tell(event).await.unwrap());
        self.lab.services.relay().await;
    }

    /// Tells of an import, and delivers all messages.
    pub async fn tell_scan(&self) {
        let scan = self.scan();
        self.tell(&scan).await;
        self.settle().await;
    }

    /// Delivers what is in the queue, until there is no more.
    pub async fn settle(&self) {
        loop {
            let messages = self.lab.take(Queue::Notify).await;
            if messages.is_empty() {
                return;
            }
            for message in messages {
                assert!(self.lab.deliver(&message, 1).await, "{}", message.body);
            }
        }
    }

    /// Runs the schedule, and delivers what it sends.
    pub async fn schedule(&self) {
        assert!(self.run_schedule().await);
        self.settle().await;
    }

    /// Runs the schedule alone; did it work?
    pub async fn run_schedule(&self) -> bool {
        let event = json!({"source": "aws.events"});
        let ran = tatami_notify::handle(&self.lab.services, event).await;
        ran.is_ok_and(|answer| answer == Value::Null)
    }

    /// Every delivery, oldest first.
    pub async fn deliveries(&self) -> Vec<Delivery> {
        let mut all = self.lab.services.store.deliveries().await.unwrap();
        all.reverse();
        all
    }

    /// The last delivery.
    pub async fn last(&self) -> Delivery {
        self.deliveries().await.pop().unwrap()
    }

    /// The state and the error of the last delivery.
    pub async fn end(&self) -> (DeliveryState, String) {
        let last = self.last().await;
        (last.state, last.error.unwrap_or_default())
    }

    /// The messages in the queue.
    pub async fn queued(&self) -> Vec<Message> {
        self.lab.take(Queue::Notify).await
    }

    /// The mails that were written, as they are.
    pub fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.mails.path()).unwrap();
        let mut mails: Vec<String> = files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        mails.sort();
        mails
    }

    /// Nothing waits and nothing is left to do.
    pub async fn assert_quiet(&self) {
        let store = &self.lab.services.store;
        let left = store.outbox(jiff::SignedDuration::ZERO).await.unwrap();
        assert_eq!(left, []);
        let everything = self.lab.everything().await;
        let waiting: Vec<&String> = (everything.keys())
            .filter(|key| key.starts_with("WAITING#") || key.starts_with("COLLECT"))
            .collect();
        assert_eq!(waiting, Vec::<&String>::new());
    }
}
