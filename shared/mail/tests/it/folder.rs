//! Mails in a folder, and none at all.

use std::fs;

use mail_parser::MessageParser;
use tatami_mail::{Mail, MailError, Mailer};

use crate::{from, mail};

#[tokio::test]
async fn each_mail_is_a_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/mails");
    let mailer = Mailer::folder(&path, from());
    assert_eq!(mailer.from(), Some("tatami@sender.example"));
    mailer.test_connection().await.unwrap();
    let other = Mail {
        message_id: "other".into(),
        ..mail()
    };
    for mail in [&mail(), &mail(), &other] {
        let sent = mailer.send(mail).await.unwrap();
        assert!(
            sent.reply.ends_with(&format!("{}.eml", mail.message_id)),
            "{sent:?}"
        );
    }
    let files = fs::read_dir(&path).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["import-17.user-4.eml", "other.eml"]);
    let mime = fs::read(path.join("other.eml")).unwrap();
    let message = MessageParser::new().parse(&mime).unwrap();
    assert_eq!(message.subject(), Some("Three new findings in Loom"));
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mailer = Mailer::folder(file.path().join("mails"), from());
    let tried = mailer.test_connection().await.unwrap_err();
    for error in [tried, mailer.send(&mail()).await.unwrap_err()] {
        assert!(matches!(error, MailError::Setup { .. }), "{error}");
        assert!(error.to_string().contains("mails"), "{error}");
    }
}

#[tokio::test]
async fn nothing_passes_for_sent_where_mail_is_off() {
    let mailer = Mailer::off();
    assert_eq!(mailer.from(), None);
    let sent = mailer.send(&mail()).await;
    assert!(matches!(sent, Err(MailError::Setup { .. })), "{sent:?}");
    let tried = mailer.test_connection().await;
    assert!(matches!(tried, Err(MailError::Setup { .. })), "{tried:?}");
}
