//! Whatever a message says, no channel gets more than it takes, or anything that acts.

use proptest::prelude::*;
use serde_json::Value;
use tatami_domain::{ProductId, Severity};
use tatami_notifications::{
    Digest, Fact, Item, MAX_TEAMS_BYTES, Message, ProductName, Section, Template, Topic, alert,
    digest, mail, sample, slack, teams,
};

use crate::options;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ".{0,60}",
        2 => any::<String>(),
        1 => "[\\x00-\\x20\\x7f-\\x9f\\u{2028}\\u{202A}-\\u{202E}\\u{2066}-\\u{2069}a]{0,80}",
        1 => "[\u{5d0}-\u{5ea}\u{627}-\u{64a} \u{202e}]{0,300}",
        1 => "(👩‍👩‍👧‍👦|🏳️‍🌈|😀|é|字){0,200}",
        1 => prop::sample::select(vec![
            "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<!channel> <@U1> <#C1>",
            "{{ 7 * 7 }} {% include 'x' %}", "&lt;b&gt; &amp;amp;", "](https://evil.example) [x", "\r\nBcc: a@b.example",
            "</td></tr></table>", "javascript:alert(1)", "https://evil.example/<>|x", "]]><!--", "",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["&", "<", "字", "😀", "\"", "\\", "a ", "\n", "\u{202e}"])
            .prop_map(|part| part.repeat(10_000)),
    ]
}

fn url() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        text().prop_map(Some),
        (0_usize..3_000).prop_map(|n| Some(format!("https://a.example/?{}", "&".repeat(n)))),
    ]
}

fn severity() -> impl Strategy<Value = Option<Severity>> {
    prop::option::of(prop::sample::select(Severity::ALL.to_vec()))
}

prop_compose! {
    fn item()(text in text(), url in url(), severity in severity()) -> Item {
        Item { text, url, severity }
    }
}

prop_compose! {
    fn section()(
        heading in text(), items in prop::collection::vec(item(), 0..25), more in any::<u64>(),
    ) -> Section {
        Section { heading, items, more }
    }
}

prop_compose! {
    fn message()(
        topic in prop::sample::select(Topic::ALL.to_vec()),
        title in text(),
        summary in text(),
        url in url(),
        name in prop::option::of(text()),
        facts in prop::collection::vec((text(), text()), 0..12),
        sections in prop::collection::vec(section(), 0..6),
        severity in severity(),
    ) -> Message {
        Message {
            title, summary, url, sections, severity, topic,
            product: name.map(|name| ProductName { id: ProductId(7), name }),
            facts: facts.into_iter().map(|(label, value)| Fact { label, value }).collect(),
            ..sample(Topic::Other).1
        }
    }
}

fn units(text: &Value) -> usize {
    text.as_str().unwrap().encode_utf16().count()
}

/// The same with texts that say nothing.
fn harmless(message: &Message) -> Message {
    let plain = |text: &mut String| {
        if !text.is_empty() {
            *text = "a".into();
        }
    };
    let link = |url: &mut Option<String>| {
        if let Some(url) = url {
            *url = "https://a.example/".into();
        }
    };
    let mut message = message.fit();
    plain(&mut message.title);
    plain(&mut message.summary);
    link(&mut message.url);
    message
        .product
        .iter_mut()
        .for_each(|product| plain(&mut product.name));
    for fact in &mut message.facts {
        plain(&mut fact.label);
        plain(&mut fact.value);
    }
    for section in &mut message.sections {
        plain(&mut section.heading);
        for item in &mut section.items {
            plain(&mut item.text);
            link(&mut item.url);
        }
    }
    message
}

fn blocks_are_within_limits(sent: &Value) {
    let blocks = sent["blocks"].as_array().unwrap();
    assert!((2..=50).contains(&blocks.len()), "{}", blocks.len());
    let mut mrkdwn = vec![&sent["text"]];
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "header" => assert!((1..=150).contains(&units(&block["text"]["text"]))),
            "section" => {
                if let Some(fields) = block["fields"].as_array() {
                    assert!((1..=10).contains(&fields.len()));
                    for field in fields {
                        assert!((1..=2_000).contains(&units(&field["text"])));
                        mrkdwn.push(&field["text"]);
                    }
                } else {
                    assert!((1..=3_000).contains(&units(&block["text"]["text"])));
                    mrkdwn.push(&block["text"]["text"]);
                }
            }
            "actions" => assert!(units(&block["elements"][0]["url"]) <= 3_000),
            "context" => assert!((1..=3_000).contains(&units(&block["elements"][0]["text"]))),
            other => panic!("{other}"),
        }
    }
    for text in mrkdwn {
        let text = text.as_str().unwrap();
        // what opens is an address that is closed again, and nothing is cut within an escaped character
        for (at, _) in text.match_indices('<') {
            assert!(
                text[at..].starts_with("<http") && text[at..].contains('>'),
                "{text}"
            );
        }
        assert_eq!(
            text.matches('<').count(),
            text.matches('>').count(),
            "{text}"
        );
        for (at, _) in text.match_indices('&') {
            let whole = ["&amp;", "&lt;", "&gt;"]
                .iter()
                .any(|entity| text[at..].starts_with(entity));
            assert!(whole, "{text}");
        }
    }
}

fn no_control_characters(text: &str) {
    let found = text
        .chars()
        .find(|c| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(found, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_fits(message in message()) {
        let fitted = message.fit();
        prop_assert_eq!(&fitted.fit(), &fitted, "once is enough");
        prop_assert!((1..=150).contains(&fitted.title.encode_utf16().count()));
        prop_assert!(!fitted.title.contains('\n'));
        prop_assert!(fitted.summary.chars().count() <= 1_000);
        no_control_characters(&fitted.title);
        no_control_characters(&fitted.summary);
    }

    #[test]
    fn slack_takes_it(message in message()) {
        blocks_are_within_limits(&slack(&message));
        let template = Template { subject: None, body: "{{ summary }} {{ title }}{% for s in sections %}{% for i in s.items %} {{ i.text }}{% endfor %}{% endfor %}".into() };
        blocks_are_within_limits(&template.slack(&message).unwrap());
    }

    #[test]
    fn teams_takes_it(message in message()) {
        let template = Template { subject: None, body: "{{ summary }}.{% for s in sections %}{% for i in s.items %} {{ i.text }}{% endfor %}{% endfor %}".into() };
        for card in [teams(&message), template.teams(&message).unwrap()] {
            let body = serde_json::to_vec(&card).unwrap();
            prop_assert!(body.len() <= MAX_TEAMS_BYTES, "{}", body.len());
            prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), card.clone());
            let card = &card["attachments"][0]["content"];
            prop_assert!(card["body"].as_array().unwrap().len() >= 2);
            for action in card["actions"].as_array().unwrap() {
                prop_assert!(action["url"].as_str().unwrap().starts_with("http"));
            }
        }
    }

    #[test]
    fn a_mail_has_no_markup_but_its_own(message in message()) {
        let sent = mail(&message, &options());
        let plain = mail(&harmless(&message), &options());
        for mark in ['<', '>', '"', '\''] {
            prop_assert_eq!(sent.html.matches(mark).count(), plain.html.matches(mark).count());
        }
        for (at, _) in sent.html.match_indices("href=\"") {
            prop_assert!(sent.html[at..].starts_with("href=\"http"));
        }
        no_control_characters(&sent.html);
        no_control_characters(&sent.text);
        prop_assert!(!sent.subject.contains('\n') && sent.subject.chars().count() <= 200);
        prop_assert_ne!(sent.html.find("<table"), None, "the fallback is never taken");
        prop_assert!(sent.html.len() < 300_000, "{}", sent.html.len());
    }

    #[test]
    fn an_alert_is_short(message in message()) {
        let alert = alert(&message);
        prop_assert!((1..=250).contains(&alert.title.chars().count()));
        prop_assert!(alert.description.chars().count() <= 2_000);
        prop_assert!(alert.source.len() <= 100);
    }

    #[test]
    fn a_digest_has_no_markup_but_its_own(messages in prop::collection::vec(message(), 0..12)) {
        let numbered: Vec<Message> = (messages.into_iter().enumerate())
            .map(|(n, message)| Message { id: n.to_string(), product: None, ..message })
            .collect();
        let plain: Vec<Message> = numbered.iter().map(harmless).collect();
        let sent = digest(&numbered, Digest::Daily, &options());
        let plain = digest(&plain, Digest::Daily, &options());
        for mark in ['<', '>', '"', '\''] {
            prop_assert_eq!(sent.html.matches(mark).count(), plain.html.matches(mark).count());
        }
        no_control_characters(&sent.html);
    }
}
