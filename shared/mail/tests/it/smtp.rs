//! A real SMTP server: aiosmtpd, started by the tests.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use rcgen::CertifiedKey;
use serde_json::Value;
use tatami_mail::{Mail, MailError, Mailer, SmtpSettings};
use tatami_test_python::{Server, free_port, python, script};
use tempfile::TempDir;

use crate::{from, mail};

/// A running server and, where it has one, its certificate.
struct Smtp {
    server: Server,
    certificate: String,
    _folder: TempDir,
}

impl Smtp {
    /// None where there is no Python for it.
    fn start(options: &[&str]) -> Option<Self> {
        let python = python()?;
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("server.pem");
        std::fs::write(&pem, cert.pem() + &signing_key.serialize_pem()).unwrap();
        let mut command = Command::new(python);
        command.arg(script("smtp_server.py")).args(options);
        let server = Server::start(command.arg("--certificate").arg(pem)).unwrap();
        Some(Self {
            server,
            certificate: cert.pem(),
            _folder: folder,
        })
    }

    /// Settings for it; `start` is the URL up to the host.
    fn settings(&self, start: &str) -> SmtpSettings {
        let url = format!("{start}localhost:{}", self.server.port());
        SmtpSettings::from_url(&url, from()).unwrap()
    }

    fn plain(&self) -> Mailer {
        Mailer::smtp(self.settings("smtp+plain://")).unwrap()
    }

    fn trusted(&self, start: &str) -> Mailer {
        let settings = self.settings(start);
        Mailer::smtp(settings.with_root_certificate(self.certificate.as_str())).unwrap()
    }

    /// The next message that it took.
    fn message(&self) -> Value {
        let line = self.server.next_line(Duration::from_secs(20)).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn assert_nothing_came(&self) {
        let line = self.server.next_line(Duration::from_millis(200));
        assert_eq!(line, None);
    }
}

fn numbered(number: usize) -> Mail {
    Mail {
        message_id: format!("mail-{number}"),
        ..mail()
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_made() {
    let Some(smtp) = Smtp::start(&[]) else { return };
    let mailer = smtp.plain();
    assert_eq!(mailer.from(), Some("tatami@sender.example"));
    let sent = mailer.send(&mail()).await.unwrap();
    assert_eq!(sent.reply, "250 2.0.0 OK: taken");
    let message = smtp.message();
    assert_eq!(message["sender"], "tatami@sender.example");
    assert_eq!(
        message["recipients"],
        serde_json::json!(["ada@example.com"])
    );
    assert_eq!(message["helo"], "sender.example");
    assert_eq!(message["tls"], false);
    let data = message["data"].as_str().unwrap();
    let parsed = MessageParser::new().parse(data.as_bytes()).unwrap();
    assert_eq!(parsed.subject(), Some("Three new findings in Loom"));
    // a line of one dot ends a message, unless it is doubled on the way
    let text = parsed.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), mail().text.trim_end());
}

#[tokio::test]
async fn starttls_and_a_password() {
    let Some(smtp) = Smtp::start(&["--tls", "starttls", "--login", "ada:p@ss/1"]) else {
        return;
    };
    let mailer = smtp.trusted("smtp://ada:p%40ss%2F1@");
    mailer.test_connection().await.unwrap();
    mailer.send(&mail()).await.unwrap();
    let message = smtp.message();
    assert_eq!(
        (&message["tls"], &message["user"]),
        (&true.into(), &"ada".into())
    );
    assert_eq!(
        message["connection"], 1,
        "that of the connection test is used"
    );

    let wrong = smtp.trusted("smtp://ada:secret-guess@");
    let tried = wrong.test_connection().await.unwrap_err();
    for error in [tried, wrong.send(&mail()).await.unwrap_err()] {
        assert!(matches!(error, MailError::Setup { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("535") && !shown.contains("guess"), "{shown}");
    }
    let nobody = smtp.trusted("smtp://");
    let error = nobody.send(&mail()).await.unwrap_err();
    assert!(matches!(error, MailError::Setup { .. }), "{error}");
    smtp.assert_nothing_came();
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let Some(smtp) = Smtp::start(&["--tls", "implicit"]) else {
        return;
    };
    smtp.trusted("smtps://").send(&mail()).await.unwrap();
    assert_eq!(smtp.message()["tls"], true);
}

#[tokio::test]
async fn nothing_goes_over_a_connection_that_is_not_safe() {
    let Some(without) = Smtp::start(&[]) else {
        return;
    };
    let Some(starttls) = Smtp::start(&["--tls", "starttls"]) else {
        return;
    };
    let Some(implicit) = Smtp::start(&["--tls", "implicit"]) else {
        return;
    };
    let by_address = format!("smtp://127.0.0.1:{}", starttls.server.port());
    let by_address = SmtpSettings::from_url(&by_address, from()).unwrap();
    let by_address = by_address.with_root_certificate(starttls.certificate.as_str());
    for (what, mailer, reason) in [
        (
            "no STARTTLS",
            without.trusted("smtp://"),
            "offers no STARTTLS",
        ),
        ("no TLS", without.trusted("smtps://"), ""),
        (
            "unknown issuer",
            Mailer::smtp(starttls.settings("smtp://")).unwrap(),
            "certificate",
        ),
        (
            "unknown issuer of smtps",
            Mailer::smtp(implicit.settings("smtps://")).unwrap(),
            "certificate",
        ),
        (
            "another name",
            Mailer::smtp(by_address).unwrap(),
            "certificate",
        ),
    ] {
        let error = mailer.send(&mail()).await.unwrap_err();
        assert!(matches!(error, MailError::Setup { .. }), "{what}: {error}");
        assert!(error.to_string().contains(reason), "{what}: {error}");
    }
    for server in [without, starttls, implicit] {
        server.assert_nothing_came();
    }
}

#[tokio::test]
async fn a_password_is_not_given_to_a_server_that_wants_none() {
    let Some(smtp) = Smtp::start(&["--tls", "starttls"]) else {
        return;
    };
    let error = smtp
        .trusted("smtp://ada:x@")
        .send(&mail())
        .await
        .unwrap_err();
    assert!(matches!(error, MailError::Setup { .. }), "{error}");
    assert!(error.to_string().contains("takes no password"), "{error}");
}

#[tokio::test]
async fn a_recipient_that_is_refused_is_refused() {
    let Some(smtp) = Smtp::start(&["--refuse", "ada@example.com"]) else {
        return;
    };
    let mailer = smtp.plain();
    let error = mailer.send(&mail()).await.unwrap_err();
    assert!(matches!(error, MailError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("no such user here"), "{error}");
    let other = Mail {
        to: "bob@example.com".parse().unwrap(),
        ..mail()
    };
    mailer.send(&other).await.unwrap();
    assert_eq!(smtp.message()["recipients"][0], "bob@example.com");
}

#[tokio::test]
async fn a_busy_server_takes_it_later() {
    let Some(smtp) = Smtp::start(&["--busy", "1"]) else {
        return;
    };
    let mailer = smtp.plain();
    let error = mailer.send(&mail()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert!(error.to_string().contains("451"), "{error}");
    mailer.send(&mail()).await.unwrap();
    smtp.message();
}

#[tokio::test]
async fn a_timeout_is_passing_and_its_connection_is_not_used_again() {
    let Some(smtp) = Smtp::start(&["--slow", "30"]) else {
        return;
    };
    let hurried = smtp
        .settings("smtp+plain://")
        .with_timeout(Duration::from_millis(1500));
    let mailer = Mailer::smtp(hurried).unwrap();
    let start = Instant::now();
    for connection in [1, 2] {
        let error = mailer.send(&mail()).await.unwrap_err();
        assert!(error.is_passing(), "{error}");
        assert!(error.to_string().contains("1.5s"), "{error}");
        assert_eq!(smtp.message()["connection"], connection);
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_data_is_passing() {
    let Some(smtp) = Smtp::start(&["--drop"]) else {
        return;
    };
    let error = smtp.plain().send(&mail()).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
    smtp.message();
}

#[tokio::test]
async fn nobody_there_is_passing() {
    let url = format!("smtp+plain://127.0.0.1:{}", free_port().unwrap());
    let mailer = Mailer::smtp(SmtpSettings::from_url(&url, from()).unwrap()).unwrap();
    let tried = mailer.test_connection().await.unwrap_err();
    for error in [tried, mailer.send(&mail()).await.unwrap_err()] {
        assert!(error.is_passing(), "{error}");
    }
}

/// A server that says what it is told to, each time the client has said something.
fn scripted(replies: &'static [&'static str]) -> Mailer {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("smtp+plain://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for reply in replies {
            stream.write_all(reply.as_bytes()).unwrap();
            let mut said = Vec::new();
            // the end of a mail, or of a command
            let end: &[u8] = if reply.starts_with("354") {
                b"\r\n.\r\n"
            } else {
                b"\r\n"
            };
            while !said.ends_with(end) {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or_default() == 0 {
                    return;
                }
                said.extend(byte);
            }
        }
    });
    Mailer::smtp(SmtpSettings::from_url(&url, from()).unwrap()).unwrap()
}

#[tokio::test]
async fn what_a_server_says_decides() {
    const OK: &str = "250 OK\r\n";
    let cases: [(&[&str], &str); 10] = [
        (&["220 hello\r\n", OK, OK, OK, "354 go\r\n", OK], "sent"),
        (
            &[
                "220 hello\r\n",
                OK,
                OK,
                OK,
                "354 go\r\n",
                "354 out of step\r\n",
            ],
            "passing",
        ),
        (
            &[
                "220 hello\r\n",
                OK,
                OK,
                OK,
                "354 go\r\n",
                "552 too large\r\n",
            ],
            "refused",
        ),
        (
            &["220 hello\r\n", OK, OK, OK, "354 go\r\n", "452 full\r\n"],
            "passing",
        ),
        (
            &["220 hello\r\n", OK, "553 not as this sender\r\n"],
            "refused",
        ),
        (&["220 hello\r\n", OK, "530 5.7.0 log in\r\n"], "setup"),
        (&["220 hello\r\n", OK, OK, "421 later\r\n"], "passing"),
        (&["554 no service for you\r\n"], "setup"),
        (&["421 too many connections\r\n"], "passing"),
        (&["HTTP/1.1 400 Bad Request\r\n"], "passing"),
    ];
    for (replies, expected) in cases {
        let sent = scripted(replies).send(&mail()).await;
        let kind = match &sent {
            Ok(_) => "sent",
            Err(MailError::Passing { .. }) => "passing",
            Err(MailError::Refused { .. }) => "refused",
            Err(MailError::Setup { .. }) => "setup",
            Err(MailError::Address { .. } | MailError::Content { .. }) => "ours",
        };
        assert_eq!(kind, expected, "{replies:?}: {sent:?}");
    }
}

#[tokio::test]
async fn many_mails_go_over_one_connection() {
    let Some(smtp) = Smtp::start(&[]) else { return };
    let mailer = smtp.plain();
    for number in 0..30 {
        mailer.clone().send(&numbered(number)).await.unwrap();
        let message = smtp.message();
        assert_eq!(message["connection"], 1);
        let id = format!("Message-ID: <mail-{number}@sender.example>\r\n");
        assert!(message["data"].as_str().unwrap().contains(&id), "{message}");
    }
}

#[tokio::test]
async fn a_server_may_end_a_connection_after_its_share() {
    let Some(smtp) = Smtp::start(&["--share", "3"]) else {
        return;
    };
    let mailer = smtp.plain();
    let mut connections = Vec::new();
    for number in 0..8 {
        mailer.send(&numbered(number)).await.unwrap();
        connections.push(smtp.message()["connection"].as_u64().unwrap());
    }
    assert_eq!(connections, [1, 1, 1, 2, 2, 2, 3, 3]);
}

#[tokio::test]
async fn mails_at_once_do_not_wait_for_each_other() {
    let Some(smtp) = Smtp::start(&["--slow", "2"]) else {
        return;
    };
    let mailer = smtp.plain();
    let sending: Vec<_> = (0..5)
        .map(|number| {
            let mailer = mailer.clone();
            tokio::spawn(async move { mailer.send(&numbered(number)).await })
        })
        .collect();
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    let mut connections: Vec<_> = (0..5)
        .map(|_| smtp.message()["connection"].as_u64().unwrap())
        .collect();
    connections.sort_unstable();
    assert_eq!(connections, [1, 2, 3, 4, 5]);
}
