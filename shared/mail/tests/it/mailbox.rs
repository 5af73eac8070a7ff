//! Addresses, good and bad.

use tatami_mail::{MailError, Mailbox};

#[test]
fn addresses_that_mail_can_go_to() {
    let longest = format!("{}@{}.example", "l".repeat(64), "d".repeat(63));
    for (text, address, name) in [
        ("ada@example.com", "ada@example.com", ""),
        (" ada@example.com ", "ada@example.com", ""),
        ("<ada@example.com>", "ada@example.com", ""),
        ("ada@EXAMPLE.com", "ada@example.com", ""),
        ("a.b+c_d-e/f=g!@x-y.co", "a.b+c_d-e/f=g!@x-y.co", ""),
        ("root@localhost", "root@localhost", ""),
        ("Ada <ada@example.com>", "ada@example.com", "Ada"),
        (
            "\"Lovelace, Ada\" <a@b.example>",
            "a@b.example",
            "Lovelace, Ada",
        ),
        ("A < B <a@b.example>", "a@b.example", "A < B"),
        ("jürg@bücher.example", "", ""),
        ("info@bücher.example", "info@xn--bcher-kva.example", ""),
        (
            "漏洞 <info@例え.テスト>",
            "info@xn--r8jz45g.xn--zckzah",
            "漏洞",
        ),
        (&longest, &longest, ""),
    ] {
        let mailbox = text.parse::<Mailbox>();
        if address.is_empty() {
            assert!(mailbox.is_err(), "{text}: {mailbox:?}");
            continue;
        }
        let mailbox = mailbox.unwrap();
        assert_eq!(
            (mailbox.address(), mailbox.name()),
            (address, name),
            "{text}"
        );
        assert_eq!(mailbox.to_string().parse(), Ok(mailbox));
    }
}

#[test]
fn addresses_that_it_cannot() {
    let long_local = format!("{}@example.com", "l".repeat(65));
    let long_label = format!("a@{}.example", "d".repeat(64));
    let long = format!("a@{}", format!("{}.", "d".repeat(60)).repeat(5) + "example");
    for (address, reason) in [
        ("", "no @"),
        ("ada", "no @"),
        ("@example.com", "before its @"),
        (".ada@example.com", "before its @"),
        ("ada.@example.com", "before its @"),
        ("a..b@example.com", "before its @"),
        ("a b@example.com", "before its @"),
        ("\"a b\"@example.com", "before its @"),
        ("a@b@example.com", "before its @"),
        ("a,b@example.com", "before its @"),
        ("a\r\nBcc: x@evil.example", "before its @"),
        ("a>@example.com", "before its @"),
        ("jürg@example.com", "before its @"),
        (&long_local, "before its @"),
        ("ada@", "no domain"),
        ("ada@intranet", "without a dot"),
        ("ada@example.com.", "no domain"),
        ("ada@.example.com", "no domain"),
        ("ada@-a.example", "no domain"),
        ("ada@a_b.example", "no domain"),
        ("ada@exa mple.com", "no domain"),
        (
            "ada@example.com\r\nRCPT TO:<x@evil.example>",
            "before its @",
        ),
        ("ada@example.com\r\nDATA", "no domain"),
        ("ada@example.com\n", "no domain"),
        ("ada@[127.0.0.1]", "no domain"),
        ("ada@127.0.0.1", "no domain"),
        (&long_label, "no domain"),
        (&long, "no domain"),
    ] {
        let error = Mailbox::new("Ada", address).unwrap_err();
        assert!(error.to_string().contains(reason), "{address}: {error}");
        assert!(matches!(error, MailError::Address { .. }), "{error}");
        assert!(!error.is_passing());
        assert!(!error.to_string().contains(['\r', '\n']), "{error}");
    }
    let open = "Ada <ada@example.com".parse::<Mailbox>().unwrap_err();
    assert!(open.to_string().contains("without a >"), "{open}");
}

#[test]
fn a_name_is_one_short_line() {
    let mailbox = Mailbox::new("Ada\r\nBcc: x@evil.example\0", "ada@example.com").unwrap();
    assert_eq!(mailbox.name(), "Ada Bcc: x@evil.example");
    let mailbox = Mailbox::new(&"é".repeat(999), "ada@example.com").unwrap();
    assert_eq!(mailbox.name().chars().count(), Mailbox::MAX_NAME);
}
