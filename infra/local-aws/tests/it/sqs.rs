use std::time::{Duration, Instant};

use aws_sdk_sqs::error::ProvideErrorMetadata as _;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::Stack;

impl Stack {
    async fn queue(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
        let mut create = self.sqs.create_queue().queue_name(name);
        for (attribute, value) in attributes {
            create = create.attributes(attribute.clone(), *value);
        }
        create.send().await.unwrap().queue_url.unwrap()
    }

    async fn send(&self, queue: &str, body: &str) {
        let send = self.sqs.send_message().queue_url(queue);
        send.message_body(body).send().await.unwrap();
    }

    async fn receive(&self, queue: &str, wait_s: i32) -> Vec<Message> {
        let receive = self
            .sqs
            .receive_message()
            .queue_url(queue)
            .wait_time_seconds(wait_s);
        receive
            .max_number_of_messages(10)
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .unwrap()
            .messages
            .unwrap_or_default()
    }

    /// Visible, in flight and delayed messages.
    async fn counts(&self, queue: &str) -> (i64, i64, i64) {
        let name = queue.rsplit('/').next().unwrap();
        let (_, counts) = self.local.queues().describe(name).await.unwrap();
        (counts.visible, counts.in_flight, counts.delayed)
    }
}

#[tokio::test]
async fn a_message_travels() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let queue = stack.queue("work", &[]).await;
    let text = MessageAttributeValue::builder()
        .data_type("String")
        .string_value("é");
    let bytes = MessageAttributeValue::builder()
        .data_type("Binary")
        .binary_value(b"\0\x01".to_vec().into());
    // The SDK checks the digests of what it sends and receives.
    let send = stack
        .sqs
        .send_message()
        .queue_url(&queue)
        .message_body("hello ü");
    send.message_attributes("text", text.build().unwrap())
        .message_attributes("bytes", bytes.build().unwrap())
        .send()
        .await
        .unwrap();
    let messages = stack.receive(&queue, 0).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(message.body(), Some("hello ü"));
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["text"].string_value(), Some("é"));
    assert_eq!(
        attributes["bytes"].binary_value().unwrap().as_ref(),
        b"\0\x01"
    );
    let system = message.attributes().unwrap();
    assert_eq!(
        system[&MessageSystemAttributeName::ApproximateReceiveCount],
        "1"
    );
    assert_eq!(stack.counts(&queue).await, (0, 1, 0));

    let delete = stack.sqs.delete_message().queue_url(&queue);
    let delete = delete.receipt_handle(message.receipt_handle().unwrap());
    delete.clone().send().await.unwrap();
    delete.send().await.unwrap();
    assert_eq!(stack.counts(&queue).await, (0, 0, 0));
}

#[tokio::test]
async fn batches_have_outcomes() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let queue = stack.queue("work", &[]).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder()
            .id(id)
            .message_body(body)
            .build()
            .unwrap()
    };
    let batch = |entries| {
        stack
            .sqs
            .send_message_batch()
            .queue_url(&queue)
            .set_entries(Some(entries))
            .send()
    };
    let sent = batch(vec![entry("a", "1"), entry("b", "2"), entry("c", "")])
        .await
        .unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (2, 1));
    let long = "x".repeat(600 * 1024);
    let error = batch(vec![entry("a", &long), entry("b", &long)])
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_batch_request_too_long());
    let error = batch(vec![entry("a", "1"), entry("a", "2")])
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_batch_entry_ids_not_distinct());

    let messages = stack.receive(&queue, 0).await;
    let mut entries: Vec<_> = messages
        .iter()
        .map(|message| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(message.message_id().unwrap());
            entry
                .receipt_handle(message.receipt_handle().unwrap())
                .build()
                .unwrap()
        })
        .collect();
    let wrong = DeleteMessageBatchRequestEntry::builder()
        .id("wrong")
        .receipt_handle("nonsense");
    entries.push(wrong.build().unwrap());
    let delete = stack
        .sqs
        .delete_message_batch()
        .queue_url(&queue)
        .set_entries(Some(entries));
    let deleted = delete.send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (2, 1));
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(stack.counts(&queue).await, (0, 0, 0));
}

#[tokio::test]
async fn an_unhandled_message_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let queue = stack
        .queue("work", &[(QueueAttributeName::VisibilityTimeout, "1")])
        .await;
    stack.send(&queue, "x").await;
    let first = stack.receive(&queue, 0).await.remove(0);
    assert!(stack.receive(&queue, 0).await.is_empty());
    // The long poll ends as soon as the second is over.
    let started = Instant::now();
    let again = stack.receive(&queue, 10).await.remove(0);
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(
        again.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount],
        "2"
    );

    // The first handle is outdated; the second gives the message back at once.
    let delete = stack.sqs.delete_message().queue_url(&queue);
    delete
        .receipt_handle(first.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    let change = |handle: &str| {
        let change = stack.sqs.change_message_visibility().queue_url(&queue);
        change.receipt_handle(handle).visibility_timeout(0).send()
    };
    let error = change(first.receipt_handle().unwrap()).await.unwrap_err();
    assert!(error.into_service_error().is_message_not_inflight());
    change(again.receipt_handle().unwrap()).await.unwrap();
    assert_eq!(stack.receive(&queue, 0).await.len(), 1);
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letters_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let dead = stack.queue("dead", &[]).await;
    let arn = stack.local.queues().arn("dead");
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"5"}}"#);
    let attributes = [
        (QueueAttributeName::VisibilityTimeout, "0"),
        (QueueAttributeName::RedrivePolicy, policy.as_str()),
    ];
    let queue = stack.queue("work", &attributes).await;
    stack.send(&queue, "poison").await;
    for _ in 0..5 {
        assert_eq!(stack.receive(&queue, 0).await.len(), 1);
    }
    let (waiting, none) = tokio::join!(stack.receive(&dead, 10), stack.receive(&queue, 0));
    assert!(none.is_empty());
    let source = MessageSystemAttributeName::DeadLetterQueueSourceArn;
    assert_eq!(
        waiting[0].attributes().unwrap()[&source],
        stack.local.queues().arn("work")
    );
    let give_back = stack
        .sqs
        .change_message_visibility()
        .queue_url(&dead)
        .visibility_timeout(0);
    give_back
        .receipt_handle(waiting[0].receipt_handle().unwrap())
        .send()
        .await
        .unwrap();

    stack
        .sqs
        .start_message_move_task()
        .source_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(stack.counts(&dead).await, (0, 0, 0));
    let back = stack.receive(&queue, 0).await;
    assert_eq!(back[0].body(), Some("poison"));
    assert_eq!(
        back[0].attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount],
        "1"
    );
}

#[tokio::test]
async fn a_long_poll_wakes_up() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let queue = stack.queue("work", &[]).await;
    let started = Instant::now();
    let (messages, ()) = tokio::join!(stack.receive(&queue, 10), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stack.send(&queue, "x").await;
    });
    assert_eq!(messages.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(2));

    let send = stack
        .sqs
        .send_message()
        .queue_url(&queue)
        .message_body("later")
        .delay_seconds(1);
    send.send().await.unwrap();
    assert_eq!(stack.counts(&queue).await, (0, 1, 1));
    assert!(stack.receive(&queue, 0).await.is_empty());
    assert_eq!(stack.receive(&queue, 10).await.len(), 1);
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn messages_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let queue = stack
        .queue("work", &[(QueueAttributeName::VisibilityTimeout, "900")])
        .await;
    stack.send(&queue, "in flight").await;
    assert_eq!(stack.receive(&queue, 0).await.len(), 1);
    stack.send(&queue, "waiting").await;
    drop(stack);

    let stack = Stack::start(dir.path()).await;
    let queue = stack
        .sqs
        .get_queue_url()
        .queue_name("work")
        .send()
        .await
        .unwrap();
    let queue = queue.queue_url().unwrap();
    // Nobody of the last run still works on a message: what was in flight comes at once.
    let mut bodies = Vec::new();
    for _ in 0..2 {
        for message in stack.receive(queue, 1).await {
            bodies.push(message.body().unwrap_or_default().to_owned());
        }
    }
    bodies.sort();
    assert_eq!(bodies, ["in flight", "waiting"]);
}

#[tokio::test]
async fn queues_are_created_once() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let delay = [(QueueAttributeName::DelaySeconds, "5")];
    let queue = stack.queue("work", &delay).await;
    stack.queue("work", &delay).await;
    let other = stack.sqs.create_queue().queue_name("work");
    let other = other
        .attributes(QueueAttributeName::DelaySeconds, "6")
        .send()
        .await
        .unwrap_err();
    assert!(other.into_service_error().is_queue_name_exists());
    let missing = stack
        .sqs
        .get_queue_url()
        .queue_name("nope")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        missing.code(),
        Some("AWS.SimpleQueueService.NonExistentQueue")
    );

    let set = stack.sqs.set_queue_attributes().queue_url(&queue);
    set.attributes(QueueAttributeName::DelaySeconds, "0")
        .send()
        .await
        .unwrap();
    stack.send(&queue, "x").await;
    let attributes = stack.sqs.get_queue_attributes().queue_url(&queue);
    let attributes = attributes
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .unwrap();
    let attributes = attributes.attributes().unwrap();
    assert_eq!(
        attributes[&QueueAttributeName::ApproximateNumberOfMessages],
        "1"
    );
    assert_eq!(attributes[&QueueAttributeName::DelaySeconds], "0");
    assert!(attributes[&QueueAttributeName::QueueArn].ends_with(":work"));
    stack
        .sqs
        .purge_queue()
        .queue_url(&queue)
        .send()
        .await
        .unwrap();
    assert_eq!(stack.counts(&queue).await, (0, 0, 0));
    let list = stack
        .sqs
        .list_queues()
        .queue_name_prefix("wo")
        .send()
        .await
        .unwrap();
    assert_eq!(list.queue_urls(), [queue]);
}
