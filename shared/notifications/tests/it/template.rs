use std::time::{Duration, Instant};

use tatami_notifications::{
    Channel, Message, Options, Template, TemplateError, Topic, alert, mail, sample, slack, teams,
};

use crate::options;

fn body(body: &str) -> Template {
    Template {
        subject: None,
        body: body.to_owned(),
    }
}

fn check(text: &str) -> Result<(), TemplateError> {
    body(text).check(Topic::ScanAdded, Channel::Slack)
}

fn hostile() -> Message {
    Message {
        title: "<b>*x*</b> & [a](https://evil.example) \"' <!channel>".into(),
        ..sample(Topic::Other).1
    }
}

#[test]
fn the_default_mail_is_a_template_that_makes_the_default_mail() {
    let template = Template::of_mails();
    for topic in Topic::ALL {
        assert_eq!(template.check(*topic, Channel::Mail), Ok(()));
        let (_, message) = sample(*topic);
        assert_eq!(
            template.mail(&message, &options()).unwrap(),
            mail(&message, &options())
        );
    }
}

#[test]
fn a_template_takes_the_place_of_subject_and_body() {
    let template = Template {
        subject: Some("{{ product.name }}:\n{{ title }}".into()),
        body: "{% for fact in facts %}{{ fact.label }}={{ fact.value }}\n{% endfor %}\
            {{ sections[0].items|length }} of {{ sections[0].more|number }}, {{ sections[0].more|more }}"
            .into(),
    };
    let (_, message) = sample(Topic::ScanAdded);
    let made = template
        .render(&message, Channel::Alert, &Options::default())
        .unwrap();
    assert_eq!(
        made.subject,
        "Web shop: Trivy, main branch in Web shop: 24 new findings"
    );
    assert_eq!(
        made.body,
        "Product=Web shop\nEngagement=Nightly scans\nTest=Trivy, main branch\nScan type=Trivy Scan\n\
         New findings=1 Critical, 1 High, 22 Medium\n3 of 22, and 22 more"
    );
    assert_eq!(template.alert(&message).unwrap().title, made.subject);
    assert_eq!(template.alert(&message).unwrap().url, alert(&message).url);
    assert_eq!(
        template.mail(&message, &options()).unwrap().subject,
        format!("[Security team] {}", made.subject)
    );
    let sent = template.slack(&message).unwrap();
    assert_eq!(sent["blocks"][0]["text"]["text"], made.subject);
    assert_eq!(sent["blocks"][1]["text"]["text"], made.body);
    assert_eq!(
        sent["blocks"][2],
        slack(&message)["blocks"][4],
        "the button stays"
    );
    let card = &template.teams(&message).unwrap()["attachments"][0]["content"];
    assert_eq!(card["body"][1]["text"], made.body);
    assert_eq!(
        card["actions"],
        teams(&message)["attachments"][0]["content"]["actions"]
    );
}

#[test]
fn values_are_escaped_for_the_channel_whatever_the_template_says() {
    let made = |text: &str, channel| {
        let made = body(text).render(&hostile(), channel, &Options::default());
        made.unwrap().body
    };
    let html =
        "&lt;b&gt;*x*&lt;/b&gt; &amp; [a](https://evil.example) &quot;&#39; &lt;!channel&gt;";
    let slack = "&lt;b&gt;*x*&lt;/b&gt; &amp; [a](https://evil.example) \"' &lt;!channel&gt;";
    let teams = r#"\<b>\*x\*\</b> & \[a\](https://evil.example) "' \<!channel>"#;
    for text in [
        "{{ title }}",
        "{% autoescape false %}{{ title }}{% endautoescape %}",
    ] {
        assert_eq!(made(text, Channel::Mail), html);
        assert_eq!(made(text, Channel::Slack), slack);
        assert_eq!(made(text, Channel::MsTeams), teams);
        assert_eq!(made(text, Channel::Alert), hostile().title);
    }
    assert_eq!(
        made("<b>{{ title }}</b>", Channel::Mail),
        format!("<b>{html}</b>")
    );
    assert_eq!(
        made("{% set t %}{{ title }}{% endset %}{{ t }}", Channel::Mail),
        html
    );
    assert_eq!(
        made("[{{ product }}{{ severity }}]", Channel::Mail),
        "[]",
        "none is nothing"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let error = |text: &str| check(text).unwrap_err().to_string();
    insta::assert_snapshot!([
        error("{{ title }}\n{{ titel }}"),
        error("\n{% if severity %}"),
        error("{{ title|shout }}"),
        error("{{ title|safe }}"),
        error("{{ debug() }}"),
        error("{{ sections[0].items[0].name.x }}"),
        error("{% include 'mail.html' %}"),
        error("{% import 'a' as b %}"),
        error("{% extends 'a' %}"),
        error("{% macro a() %}{% endmacro %}"),
        error("{% if not title %}a{% endif %}  \n "),
        error(&"a".repeat(40_000)),
        error("{% for a in title|list %}{% for b in title|list %}{% for c in title|list %}{% endfor %}{% endfor %}{% endfor %}"),
        error("{{ sections }}"),
        error("{{ title }}\n{{ 'a' * 3 }}"),
        error("{% set a = [title] %}"),
    ]
    .join("\n"));
    let template = Template {
        subject: Some("{{ nobody }}".into()),
        body: "a".into(),
    };
    let wrong = template.check(Topic::Other, Channel::Mail).unwrap_err();
    assert!(
        wrong
            .to_string()
            .starts_with("the subject of the template is wrong in line 1:"),
        "{wrong}"
    );
    assert!(
        template.mail(&hostile(), &options()).is_err(),
        "the caller takes the default then"
    );
    assert_eq!(
        body("a").check(Topic::Other, Channel::Webhooks),
        Err(TemplateError::Channel(Channel::Webhooks))
    );
    let blank = Template {
        subject: Some("{# nothing #}".into()),
        body: "a".into(),
    };
    assert_eq!(
        blank.check(Topic::Other, Channel::Mail),
        Err(TemplateError::Empty { part: "subject" })
    );
}

/// Each of these would take for ever, or all of the memory.
#[test]
fn a_template_that_never_ends_or_grows_is_stopped() {
    let doubling = format!(
        "{{% set a = 'aaaaaaaa' %}}{}{{{{ a }}}}",
        "{% set a = a ~ a %}".repeat(60)
    );
    let captured = format!(
        "{{% set a = 'aaaaaaaa' %}}{}{{{{ a }}}}",
        "{% set a %}{{ a }}{{ a }}{% endset %}".repeat(60)
    );
    let nested = format!(
        "{}x{}",
        "{% for a in topic_label|list %}".repeat(20),
        "{% endfor %}".repeat(20)
    );
    let lists = format!("{}{{{{ a }}}}", "{% set a = [a, a] %}".repeat(60));
    let maps = format!("{}{{{{ a }}}}", "{% set a = {'a': a, 'b': a} %}".repeat(60));
    let tuples = format!("{}{{{{ a }}}}", "{% set a = (a, a) %}".repeat(60));
    let deep = format!("{}{{{{ a }}}}", "{% set a = [a] %}".repeat(1_500));
    let inside = format!("{{{{ {}1{} }}}}", "(".repeat(10_000), ")".repeat(10_000));
    for text in [
        &*doubling,
        &captured,
        &nested,
        &lists,
        &maps,
        &tuples,
        &deep,
        &inside,
        "{{ '%999999999d' % 1 }}",
        "{{ sections }}",
        "{{ product }}",
        "{% raw %}{{ ' {% endraw %}{{ [1] * 99999999 }} ' }}",
        "{{ 'a' * 99999999 }}",
        "{{ 'a' * 999999999999 }}",
        "{{ [1] * 99999999 }}",
        "{{ ([1] * 99999999)|length }}",
        "{% for a in [1] * 99999999 %}{% endfor %}",
        "{{ ([1] * 99999999)|string }}",
        "{{ ([1] * 99999999) ~ 'a' }}",
        "{{ ([1] * 99999999)|list }}",
        "{{ ([1] * 99999999)|sort }}",
        "{{ ([1] * 99999999)|join }}",
        "{{ ([1] * 99999999)|upper }}",
        "{{ ([1] * 99999999)|replace('1', '2') }}",
        "{{ ([1] * 99999999)|unique|list }}",
        "{{ ([1] * 99999999)|sum }}",
        "{{ ([1] * 99999999)|last }}",
        "{{ ([1] * 99999999)|min }}",
        "{{ ([1] * 99999999)|reverse|first }}",
        "{{ ([1] * 99999999)|map('upper')|list }}",
        "{{ ([1] * 99999999)|pprint }}",
        "{{ ([1] * 99999999)|escape }}",
        "{{ '%s'|format([1] * 99999999) }}",
        "{{ ([1] * 99999999) == ([1] * 99999999) }}",
        "{{ 2 in ([1] * 99999999) }}",
        "{{ (([1] * 9999) * 9999)|string }}",
        "{{ range(100000)|join('a' * 100000) }}",
        "{{ range(999999999999) }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ title|indent(999999999, true) }}",
        "{{ title|replace('', title * 10000)|replace('', title * 10000) }}",
        "{{ [1]|batch(999999999, 1)|list }}",
        "{{ [1]|slice(999999999)|list }}",
        "{{ 2 ** 999999 }}",
        "{% for a in sections recursive %}{{ loop(sections) }}{% endfor %}",
        "{% for a in topic_label|list recursive %}{{ loop(topic_label|list) }}{% endfor %}",
    ] {
        let begun = Instant::now();
        let made = check(text);
        let shown = text.chars().take(60).collect::<String>();
        assert!(made.is_err(), "{shown}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{shown}: {:?}",
            begun.elapsed()
        );
    }
}
