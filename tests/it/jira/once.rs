//! Exactly one issue, wherever the function dies, however often and by how many a message is handled.

use axum::http::Method;
use jiff::SignedDuration;
use tatami_domain::FindingId;
use tatami_tests::jira::Fault;
use tatami_tests::{Death, Message, Queue};

use super::World;

impl World {
    /// What was never heard of is sent again, and time goes by, until all is done.
    async fn in_the_end(&self) {
        for days in (0..5).rev() {
            // leases of those who died run out
            self.lab.go_back(days);
            let sweep = self.lab.services.sweep_outbox_after(SignedDuration::ZERO);
            sweep.await.unwrap();
            self.settle().await;
        }
        let waiting = self.lab.services.store.outbox(SignedDuration::ZERO).await;
        assert!(waiting.unwrap().is_empty(), "work is left");
    }

    async fn check(&self, finding: FindingId, what: &str) {
        let issues = self.jira.issues();
        assert_eq!(issues.len(), 1, "{what}: {issues:#?}");
        let mappings = self.mappings().await;
        assert_eq!(mappings.len(), 1, "{what}: {mappings:#?}");
        assert_eq!(mappings[0].jira_id, issues[0].id.to_string(), "{what}");
        let finding = self.finding(finding).await;
        assert_eq!(finding.jira.issue, Some(mappings[0].id), "{what}");
        assert!(!finding.jira.push, "{what}");
        let told = self.told().await;
        assert_eq!(
            told.iter().filter(|what| *what == "created").count(),
            1,
            "{what}: {told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_function_dies_there_is_one_issue() {
    let mut deaths = 0;
    let world = World::new(100).await;
    let findings = world.findings().await;
    let mut nth = 0;
    'runs: for (n, finding) in findings.iter().enumerate() {
        let death = if n % 2 == 0 {
            Death::Before
        } else {
            Death::After
        };
        // each finding is a run of its own
        for issue in world.jira.issues() {
            world.jira.delete(issue.id);
        }
        for mapping in world.mappings().await {
            world
                .lab
                .services
                .store
                .forget_jira_issue(mapping.id)
                .await
                .unwrap();
        }
        world.lab.go_back(5);
        world.push(finding.id).await;
        let messages = world.messages().await;
        assert_eq!(messages.len(), 1);
        world.lab.wire.die_at(nth, death);
        world.lab.deliver(&messages[0], 1).await;
        let died = world.lab.wire.live();
        let Some(place) = died else {
            assert!(nth > 10, "it has more writes than that");
            break 'runs;
        };
        deaths += 1;
        world.in_the_end().await;
        let issues = world.jira.issues();
        assert_eq!(issues.len(), 1, "{place:?}: {issues:#?}");
        let now = world.finding(finding.id).await;
        let mapping = world.mapping(finding.id).await;
        assert_eq!(mapping.jira_id, issues[0].id.to_string(), "{place:?}");
        assert!(!now.jira.push, "{place:?}");
        nth += u64::from(n % 2 == 1);
    }
    assert!(deaths > 20, "{deaths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_asked_and_by_two_at_once_there_is_one_issue() {
    for round in 0..6 {
        let world = World::new(1).await;
        let finding = world.first().await.id;
        world.push(finding).await;
        world
            .change(finding, |finding| finding.tags = vec!["again".into()])
            .await;
        let mut messages = world.messages().await;
        messages.extend(messages.clone());
        assert_eq!(messages.len(), 4);
        messages.rotate_left(round % 4);
        let all = messages.iter().map(|message| world.lab.deliver(message, 1));
        futures::future::join_all(all).await;
        world.in_the_end().await;
        world.check(finding, &format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_heard_is_no_second_issue() {
    for fault in [Fault::Lost, Fault::Half] {
        let world = World::new(1).await;
        let finding = world.first().await.id;
        world.push(finding).await;
        let messages = world.messages().await;
        world.jira.fail(Method::POST, "/issue", fault);
        // JIRA has it, and doesn't find it yet
        world.jira.lag(true);
        assert!(deliver(&world, &messages).await);
        assert_eq!(world.jira.issues().len(), 1);
        assert!(deliver(&world, &messages).await);
        assert_eq!(world.jira.issues().len(), 1, "it comes back instead");
        assert!(world.mappings().await.is_empty());
        world.jira.lag(false);
        world.in_the_end().await;
        world.check(finding, "lost").await;
    }
}

async fn deliver(world: &World, messages: &[Message]) -> bool {
    for message in messages.iter().filter(|m| m.queue == Queue::Jira) {
        if !world.lab.deliver(message, 1).await {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_are_posted_once_wherever_the_function_dies() {
    let world = World::new(1).await;
    let finding = world.first().await;
    let store = &world.lab.services.store;
    world.lab.go_back(5);
    world.push(finding.id).await;
    world.settle().await;
    let mut expected = 0;
    for nth in 0..14 {
        world.lab.go_back(5);
        let entry = format!("note number {nth}");
        let author = Some(tatami_domain::UserId(1));
        let note =
            tatami_domain::Note::new(tatami_domain::NoteId::default(), entry, author, store.now());
        store
            .add_note(finding.product, finding.id, note, |_| {
                tatami_store::Follows::default()
            })
            .await
            .unwrap();
        world
            .jira
            .comment(world.jira.only().id, "ada", &format!("comment {nth}"));
        expected += 2;
        let tag = format!("t{nth}");
        world
            .change(finding.id, |finding| finding.tags = vec![tag.clone()])
            .await;
        let messages = world.messages().await;
        let death = if nth % 2 == 0 {
            Death::Before
        } else {
            Death::After
        };
        world.lab.wire.die_at(nth, death);
        deliver(&world, &messages).await;
        world.lab.wire.live();
        world.in_the_end().await;
        let issue = world.jira.only();
        assert_eq!(
            issue.comments.len(),
            expected,
            "{nth}: {:#?}",
            issue.comments
        );
        let notes = world.notes(finding.id).await;
        let n = usize::try_from(nth).unwrap() + 1;
        let came = notes.iter().filter(|note| note.entry.contains("comment "));
        assert_eq!(came.count(), n, "{nth}: {notes:#?}");
    }
}
