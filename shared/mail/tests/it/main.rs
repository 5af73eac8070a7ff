//! Mails parsed back, and sent to an SMTP server, an endpoint that speaks SES, and a folder.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]

mod folder;
mod mailbox;
mod mime;
mod ses;
mod settings;
mod smtp;

use tatami_mail::{Mail, Mailbox};

fn from() -> Mailbox {
    Mailbox::new("Tatami", "tatami@sender.example").unwrap()
}

fn mail() -> Mail {
    Mail {
        to: Mailbox::new("Ada Lovelace", "ada@example.com").unwrap(),
        subject: "Three new findings in Loom".into(),
        text: "Three new findings.\n.\nhttps://tatami.example/finding/1\n".into(),
        html: Some("<p>Three new findings.</p>".into()),
        message_id: "import-17.user-4".into(),
        list_unsubscribe: Some("https://tatami.example/unsubscribe?token=a,b&user=4".into()),
        headers: vec![("X-Tatami-Event".into(), "scan_added".into())],
    }
}
