//! Who is told of what: rows, rights, and names.

use std::collections::BTreeSet;

use tatami_domain::{
    EngagementId, Event, EventData, ImportFailed, Membership, ProductTypeAdded, Receiver, Role,
    ScanAdded, User, UserId, UserMentioned,
};

use super::stage::Stage;

/// The channels and receivers of all deliveries, in words.
async fn told(stage: &Stage) -> BTreeSet<String> {
    let deliveries = stage.deliveries().await;
    let all: BTreeSet<String> = (deliveries.iter())
        .map(|delivery| {
            let receiver = match delivery.receiver {
                Receiver::User(id) => format!("u{id}"),
                Receiver::System => "system".into(),
                Receiver::Webhook(id) => format!("w{id}"),
            };
            format!("{} {receiver}", delivery.channel)
        })
        .collect();
    assert_eq!(all.len(), deliveries.len(), "nobody is told twice");
    all
}

fn wanted(all: &[(&str, UserId)]) -> BTreeSet<String> {
    let all = all.iter();
    all.map(|(channel, user)| format!("{channel} u{user}"))
        .collect()
}

/// Gives a user a role that may look, somewhere.
async fn member(stage: &Stage, user: UserId, place: impl FnOnce(&mut Membership)) {
    let store = &stage.lab.services.store;
    let role = store.find::<Role>("Reporter").await.unwrap().unwrap().id;
    let mut member = Membership {
        user: Some(user),
        role,
        ..Membership::default()
    };
    place(&mut member);
    member.key = member.key_of();
    store.create(member).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_and_rights_say_who_is_told_and_where() {
    let stage = Stage::start().await;
    let store = &stage.lab.services.store;
    let admin = store.find::<User>("admin").await.unwrap().unwrap().id;
    let topic = "scan_added";
    // the system's row counts for superusers too, beside the template that they have without a row
    stage
        .row(None, None, false, topic, &["alert", "mail"])
        .await;
    stage.row(None, None, true, topic, &["alert"]).await;
    let [own, product, neither, stranger, engagement, gone, robot] = [
        stage.somebody("own").await,
        stage.somebody("product").await,
        stage.somebody("neither").await,
        stage.somebody("stranger").await,
        stage.somebody("engagement").await,
        stage.somebody("gone").await,
        stage.somebody("robot").await,
    ];
    for user in [own, product, neither, gone, robot] {
        member(&stage, user, |member| member.product = Some(stage.product)).await;
    }
    member(&stage, engagement, |member| {
        member.product = Some(stage.product);
        member.engagement = Some(EngagementId(5));
    })
    .await;
    stage.wants(Some(own), topic, &["mail"]).await;
    stage.wants(Some(product), topic, &[]).await;
    let only = Some(stage.product);
    stage
        .row(Some(product), only, false, topic, &["alert"])
        .await;
    stage.wants(Some(stranger), topic, &["alert", "mail"]).await;
    let off = |user: &mut User| {
        user.is_active = false;
        Ok::<_, tatami_store::StoreError>(())
    };
    store.change(gone, off).await.unwrap();
    let service = |user: &mut User| {
        user.is_service_account = true;
        Ok::<_, tatami_store::StoreError>(())
    };
    store.change(robot, service).await.unwrap();
    stage.tell_scan().await;
    let expected = wanted(&[
        ("alert", admin),
        ("mail", admin),
        ("mail", own),
        ("alert", product),
        ("alert", neither),
    ]);
    assert_eq!(told(&stage).await, expected);
    // who sees the engagement alone is told of what happens there
    let data = EventData::ScanAdded(ScanAdded {
        engagement: EngagementId(5),
        ..ScanAdded::default()
    });
    let event = Event::new(&data, 7_u64, "1", Some(stage.product), stage.now());
    stage.tell(&event).await;
    stage.settle().await;
    let mut expected = expected;
    expected.extend(wanted(&[("alert", engagement)]));
    let now: BTreeSet<String> = (stage.deliveries().await.iter())
        .map(|d| match d.receiver {
            Receiver::User(id) => format!("{} u{id}", d.channel),
            _ => String::new(),
        })
        .collect();
    assert_eq!(now, expected);
    stage.assert_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_names_users_is_for_them_alone() {
    let stage = Stage::start().await;
    stage
        .settings(|s| s.mail_notifications_to = "ops@example.com".into())
        .await;
    let [ada, bob] = [stage.user("ada").await, stage.user("bob").await];
    let blind = stage.somebody("blind").await;
    let data = EventData::UserMentioned(UserMentioned {
        by: bob,
        title: "SQL injection".into(),
        text: "@ada see this".into(),
        ..UserMentioned::default()
    });
    let event = Event::new(&data, 3_u64, "1", Some(stage.product), stage.now());
    stage.tell(&event.to(vec![ada, blind])).await;
    stage.settle().await;
    assert_eq!(told(&stage).await, wanted(&[("alert", ada), ("mail", ada)]));
    let alerts = stage.lab.services.store.alerts(ada).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].topic, "user_mentioned");
    assert!(alerts[0].title.contains("bob"), "{alerts:?}");
    let mails = stage.mails();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("To: ada@example.com"), "{}", mails[0]);
    assert!(mails[0].contains("List-Unsubscribe: <https://tatami.example.com/notifications/"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_of_no_product_is_for_those_who_see_everything_or_its_type() {
    let stage = Stage::start().await;
    stage.silence().await;
    let store = &stage.lab.services.store;
    let product = store.get::<tatami_domain::Product>(stage.product).await;
    let product_type = product.unwrap().prod_type;
    let [all, one, kind] = [
        stage.user("all").await,
        stage.somebody("one").await,
        stage.somebody("kind").await,
    ];
    member(&stage, one, |member| member.product = Some(stage.product)).await;
    member(&stage, kind, |member| {
        member.product_type = Some(product_type);
    })
    .await;
    for user in [all, one, kind] {
        let mut row = tatami_domain::NotificationRow {
            user: Some(user),
            ..tatami_domain::NotificationRow::default()
        };
        for topic in ["import_failed", "product_type_added"] {
            row.topics.insert(topic.into(), vec!["alert".into()]);
        }
        store.create(row).await.unwrap();
    }
    let failed = EventData::ImportFailed(ImportFailed {
        error: "the report is empty".into(),
        ..ImportFailed::default()
    });
    stage
        .tell(&Event::new(&failed, 1_u64, "1", None, stage.now()))
        .await;
    stage.settle().await;
    assert_eq!(told(&stage).await, wanted(&[("alert", all)]));
    let added = EventData::ProductTypeAdded(ProductTypeAdded {
        product_type,
        name: "Web".into(),
        by: None,
    });
    stage
        .tell(&Event::new(&added, product_type, "1", None, stage.now()))
        .await;
    stage.settle().await;
    let number = |user| async move { store.alerts(user).await.unwrap().len() };
    let numbers = [number(all).await, number(one).await, number(kind).await];
    assert_eq!(numbers, [2, 0, 1]);
}
