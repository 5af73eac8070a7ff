//! Mails parsed back by another implementation.

use mail_parser::{Message, MessageParser, MessagePart};
use proptest::prelude::*;
use tatami_mail::{Mail, MailError, Mailbox};

use crate::{from, mail};

/// The names of all header fields that a mail of [`mail`] has.
const FIELDS: [&str; 12] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Precedence",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "X-Tatami-Event",
    "MIME-Version",
    "Content-Type",
];

/// Checks what holds of every mail, then parses it.
fn parse(mime: &[u8]) -> Message<'_> {
    assert!(mime.is_ascii());
    for line in mime.split_inclusive(|&byte| byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        assert!(line.ends_with(b"\r\n"), "a lone LF, or no end: {text:?}");
        let line = &line[..line.len() - 2];
        assert!(line.len() <= 998 && !line.contains(&b'\r'), "{text:?}");
        assert!(!line.contains(&0), "{text:?}");
    }
    MessageParser::new().parse(mime).unwrap()
}

fn names(message: &Message<'_>) -> Vec<String> {
    let raw = message.headers_raw();
    raw.map(|(name, _)| name.to_owned()).collect()
}

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end_matches('\n').to_owned()
}

#[test]
fn all_that_a_mail_says_is_read_back() {
    let before = jiff::Timestamp::now().as_second();
    let mime = mail().to_mime(&from()).unwrap();
    let message = parse(&mime);
    assert_eq!(names(&message), FIELDS);
    let to = message.to().unwrap().first().unwrap();
    assert_eq!(
        (to.name(), to.address()),
        (Some("Ada Lovelace"), Some("ada@example.com"))
    );
    let sender = message.from().unwrap().first().unwrap();
    assert_eq!(
        (sender.name(), sender.address()),
        (Some("Tatami"), Some("tatami@sender.example"))
    );
    assert_eq!(message.subject(), Some("Three new findings in Loom"));
    assert_eq!(
        message.message_id(),
        Some("import-17.user-4@sender.example")
    );
    let date = message.date().unwrap().to_timestamp();
    assert!((before..before + 60).contains(&date), "{date} is not now");
    let raw = |name: &str| message.header_raw(name.to_owned()).map(str::trim);
    assert_eq!(raw("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(raw("Precedence"), Some("bulk"));
    let url = "<https://tatami.example/unsubscribe?token=a,b&user=4>";
    assert_eq!(raw("List-Unsubscribe"), Some(url));
    assert_eq!(
        raw("List-Unsubscribe-Post"),
        Some("List-Unsubscribe=One-Click")
    );
    assert_eq!(raw("X-Tatami-Event"), Some("scan_added"));
    assert!(
        raw("Content-Type")
            .unwrap()
            .starts_with("multipart/alternative;")
    );
    let parts: Vec<_> = message
        .parts
        .iter()
        .map(MessagePart::is_text_html)
        .collect();
    assert_eq!(parts, [false, false, true], "the last part is the best one");
    assert_eq!(lines(&message.body_text(0).unwrap()), lines(&mail().text));
    assert_eq!(message.body_html(0).unwrap(), "<p>Three new findings.</p>");
}

#[test]
fn a_mail_to_one_alone_is_not_bulk() {
    let mail = Mail {
        html: None,
        list_unsubscribe: None,
        headers: Vec::new(),
        ..mail()
    };
    let mime = mail.to_mime(&from()).unwrap();
    let message = parse(&mime);
    let names = names(&message);
    for absent in ["Precedence", "List-Unsubscribe", "List-Unsubscribe-Post"] {
        assert!(!names.iter().any(|name| name == absent), "{names:?}");
    }
    assert_eq!(message.parts.len(), 1);
    assert_eq!(lines(&message.body_text(0).unwrap()), lines(&mail.text));
}

#[test]
fn one_click_needs_https() {
    let mail = Mail {
        list_unsubscribe: Some("http://127.0.0.1:8080/unsubscribe/x".into()),
        ..mail()
    };
    let mime = mail.to_mime(&from()).unwrap();
    let names = names(&parse(&mime));
    assert!(names.iter().any(|name| name == "List-Unsubscribe"));
    assert!(!names.iter().any(|name| name == "List-Unsubscribe-Post"));
}

#[test]
fn any_script_is_read_back() {
    for text in [
        "Sicherheitslücken in Bücher & Söhne",
        "新しい脆弱性が見つかりました",
        "ثغرات جديدة في المنتج",
        "Новые уязвимости: 3",
        "नई कमजोरियाँ",
        "👩‍👩‍👧‍👦 family, e\u{301} combined",
    ] {
        let long = [text; 60].join(" ");
        let mail = Mail {
            to: Mailbox::new(text, "ada@bücher.example").unwrap(),
            subject: long.clone(),
            text: format!("{text}\n\n{long}\n"),
            html: Some(format!("<p lang=x>{long}</p>")),
            headers: vec![("X-Product".into(), text.into())],
            ..mail()
        };
        let mime = mail.to_mime(&from()).unwrap();
        let message = parse(&mime);
        let to = message.to().unwrap().first().unwrap();
        assert_eq!(to.name(), Some(text));
        assert_eq!(to.address(), Some("ada@xn--bcher-kva.example"));
        assert_eq!(message.subject(), Some(long.as_str()));
        assert_eq!(lines(&message.body_text(0).unwrap()), lines(&mail.text));
        assert_eq!(
            Some(message.body_html(0).unwrap().as_ref()),
            mail.html.as_deref()
        );
    }
}

/// What tries to get out of a field.
const ATTACKS: [&str; 9] = [
    "x\r\nBcc: victim@evil.example",
    "x\nBcc: victim@evil.example",
    "x\rBcc: victim@evil.example",
    "x\r\n\r\n<script>",
    "x\u{2028}Bcc: victim@evil.example\u{85}Cc: y@evil.example\u{b}\u{c}",
    "x\" <victim@evil.example>, \"y",
    "x\0\u{1b}[31m",
    "x\r\n.\r\nMAIL FROM:<evil@evil.example>\r\n",
    "=?utf-8?q?x=0D=0ABcc:_victim@evil.example?=",
];

#[test]
fn nothing_gets_out_of_its_field() {
    for attack in ATTACKS {
        let mail = Mail {
            to: Mailbox::new(attack, "ada@example.com").unwrap(),
            subject: attack.into(),
            text: attack.into(),
            html: Some(attack.into()),
            headers: vec![("X-Tatami-Event".into(), attack.into())],
            ..mail()
        };
        let sender = Mailbox::new(attack, "tatami@sender.example").unwrap();
        let mime = mail.to_mime(&sender).unwrap();
        let message = parse(&mime);
        assert_eq!(names(&message), FIELDS, "{attack:?}");
        assert_eq!(message.parts.len(), 3, "{attack:?}");
        for field in [message.to(), message.from()] {
            let addresses: Vec<_> = field.unwrap().iter().collect();
            assert_eq!(addresses.len(), 1, "{attack:?}: {addresses:?}");
        }
        assert_eq!(
            message.to().unwrap().first().unwrap().address(),
            Some("ada@example.com")
        );
        let subject = message.subject().unwrap();
        assert!(
            !subject.contains(char::is_control),
            "{attack:?}: {subject:?}"
        );
        let body = message.body_text(0).unwrap();
        assert!(body.starts_with(&attack[..1]), "{attack:?}: {body:?}");
    }
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    for attack in ATTACKS
        .into_iter()
        .chain(["", ".", "a..b", "../x", "a@b", "a b", "é"])
    {
        let mail = Mail {
            message_id: attack.into(),
            ..mail()
        };
        assert_content(&mail, "message id");
    }
    for url in [
        "",
        "unsubscribe",
        "mailto:x@example.com",
        "javascript:alert(1)",
        "https://",
        &format!("https://a.example/{}", "x".repeat(900)),
    ] {
        let mail = Mail {
            list_unsubscribe: Some(url.into()),
            ..mail()
        };
        assert_content(&mail, "list unsubscribe URL");
    }
    for name in [
        "",
        "Bcc",
        "sUbject",
        "X-A: b\r\nBcc",
        "X A",
        "X-é",
        "message-id",
        "X\n",
    ] {
        let mail = Mail {
            headers: vec![(name.into(), "x".into())],
            ..mail()
        };
        assert_content(&mail, "header name");
    }
}

fn assert_content(mail: &Mail, expected: &str) {
    let error = mail.to_mime(&from()).unwrap_err();
    let MailError::Content { field, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*field, expected, "{error}");
    assert!(!error.to_string().contains(['\r', '\n']), "{error}");
}

#[test]
fn an_unsubscribe_url_cannot_end_its_field() {
    let mail = Mail {
        list_unsubscribe: Some("https://a.example/x?a=<b>\r\nBcc: x@evil.example&é".into()),
        ..mail()
    };
    let mime = mail.to_mime(&from()).unwrap();
    let message = parse(&mime);
    assert_eq!(names(&message), FIELDS);
    let raw = message.header_raw("List-Unsubscribe").unwrap().trim();
    let url = raw.strip_prefix('<').unwrap().strip_suffix('>').unwrap();
    assert!(!url.contains(['<', '>', ' ', '\r']), "{url}");
}

#[test]
fn references_stay_as_they_are() {
    let references = "<product-1@tatami.example> <engagement-22@tatami.example> \
        <a-rather-long-identifier-of-a-test-in-an-engagement-of-a-product-333@tatami.example>";
    let mail = Mail {
        headers: vec![("References".into(), references.into())],
        ..mail()
    };
    let mime = mail.to_mime(&from()).unwrap();
    let message = parse(&mime);
    let list: Vec<_> = references
        .split(' ')
        .map(|id| id.trim_matches(['<', '>']))
        .collect();
    assert_eq!(message.references().as_text_list().unwrap(), list);
}

#[test]
fn long_texts_are_broken_into_lines() {
    let mail = Mail {
        subject: "s".repeat(10_000),
        text: "t".repeat(100_000),
        html: Some(format!("<p>{}</p>", "h".repeat(100_000))),
        ..mail()
    };
    let mime = mail.to_mime(&from()).unwrap();
    let message = parse(&mime);
    assert_eq!(message.subject(), Some(mail.subject.as_str()));
    assert_eq!(message.body_text(0).unwrap().trim_end(), mail.text);
    assert_eq!(
        Some(message.body_html(0).unwrap().trim_end()),
        mail.html.as_deref()
    );
}

proptest! {
    #[test]
    fn subjects_and_names_round_trip(subject in ".{0,300}", name in "\\PC{0,60}", plain in "[ -~]{0,300}") {
        for subject in [subject, plain] {
            let to = Mailbox::new(&name, "ada@example.com").unwrap();
            let mail = Mail { to, subject, ..mail() };
            let mime = mail.to_mime(&from()).unwrap();
            let message = parse(&mime);
            prop_assert_eq!(names(&message), FIELDS);
            let words = mail.subject.split(|c: char| c.is_control() || " \u{2028}\u{2029}".contains(c));
            let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
            prop_assert_eq!(message.subject().unwrap_or_default(), words.join(" "));
            let to = message.to().unwrap().first().unwrap();
            prop_assert_eq!(to.address(), Some("ada@example.com"));
            prop_assert_eq!(to.name().unwrap_or_default(), mail.to.name());
        }
    }

    #[test]
    fn bodies_round_trip(text in "(?s).{0,400}", html in "[ -~\n\r\u{0}é漏.=]{0,400}") {
        let mail = Mail { text, html: Some(html), ..mail() };
        let mime = mail.to_mime(&from()).unwrap();
        let message = parse(&mime);
        prop_assert_eq!(names(&message), FIELDS);
        prop_assert_eq!(message.parts.len(), 3);
        let cleaned = |text: &str| {
            let text = text.replace("\r\n", "\n").replace('\r', "\n");
            text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "")
        };
        let part = |place: usize| {
            let part = &message.parts[place];
            part.text_contents().unwrap().replace("\r\n", "\n")
        };
        prop_assert_eq!(part(1), cleaned(&mail.text));
        prop_assert_eq!(part(2), cleaned(mail.html.as_deref().unwrap()));
    }
}
