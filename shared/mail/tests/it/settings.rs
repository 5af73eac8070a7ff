//! The URL of an SMTP server.

use tatami_mail::{MailError, Mailer, Security, SmtpSettings};

use crate::from;

const PASSWORD: &str = "s3cret";

fn parse(url: &str) -> Result<SmtpSettings, MailError> {
    SmtpSettings::from_url(url, from())
}

#[test]
fn urls_that_are_understood() {
    for (url, security, host, port, user) in [
        (
            "smtps://u:s3cret@mail.example",
            Security::Tls,
            "mail.example",
            465,
            Some("u"),
        ),
        (
            "smtps://mail.example:2465/",
            Security::Tls,
            "mail.example",
            2465,
            None,
        ),
        (
            "smtp://a%40b.example:s3cret%2F%3A@mail.example",
            Security::StartTls,
            "mail.example",
            587,
            Some("a@b.example"),
        ),
        (
            " smtp://MAIL.example:25 ",
            Security::StartTls,
            "mail.example",
            25,
            None,
        ),
        (
            "smtp://bücher.example",
            Security::StartTls,
            "xn--bcher-kva.example",
            587,
            None,
        ),
        (
            "smtp+plain://127.0.0.1",
            Security::Plain,
            "127.0.0.1",
            25,
            None,
        ),
        (
            "smtp+plain://[::1]:1025",
            Security::Plain,
            "::1",
            1025,
            None,
        ),
        (
            "smtp+plain://mailpit:1025",
            Security::Plain,
            "mailpit",
            1025,
            None,
        ),
    ] {
        let settings = parse(url).unwrap();
        assert_eq!(settings.security(), security, "{url}");
        assert_eq!(
            (settings.host(), settings.port(), settings.user()),
            (host, port, user)
        );
        assert!(!format!("{settings:?}").contains(PASSWORD), "{settings:?}");
    }
}

#[test]
fn other_urls_say_what_to_write_and_nothing_secret() {
    for (url, reason) in [
        ("", "smtps://user:password@host:465"),
        ("mail.example", "smtps://user:password@host:465"),
        ("mail.example:587", "smtps://user:password@host:465"),
        (
            "https://u:s3cret@mail.example",
            "does not begin with https:",
        ),
        ("smtp://u:s3cret@", "host"),
        ("smtp://u:s3cret@mail.example:99999", "port"),
        ("smtp://u:a/s3cret@mail.example", "percent-encoded"),
        ("smtp://u:a#s3cret@mail.example", "percent-encoded"),
        ("smtp://mail.example/?password=s3cret", "percent-encoded"),
        ("smtp://mail.example/s3cret", "percent-encoded"),
        ("smtp://u@mail.example", "no password"),
        ("smtp://u:@mail.example", "no password"),
        ("smtp://:s3cret@mail.example", "no user"),
        ("smtp://u:s3cret%ff@mail.example", "UTF-8"),
        ("smtp://u:s3cret@a_b.example", "host"),
        ("smtp+plain://u:s3cret@mail.example", "without TLS"),
    ] {
        let error = parse(url).unwrap_err();
        assert!(matches!(error, MailError::Setup { .. }), "{url}: {error}");
        assert!(error.to_string().contains(reason), "{url}: {error}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains(PASSWORD), "{url}: {shown}");
        }
    }
}

#[test]
fn a_root_certificate_must_be_one() {
    for pem in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let settings = parse("smtps://mail.example").unwrap();
        let Err(error) = Mailer::smtp(settings.with_root_certificate(pem)) else {
            panic!("{pem:?} is taken");
        };
        assert!(matches!(error, MailError::Setup { .. }), "{error}");
    }
}
