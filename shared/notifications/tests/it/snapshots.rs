//! What an invented event of each topic looks like on each channel.

use tatami_notifications::{Reason, Topic, alert, mail, sample, slack, teams, webhook};

use crate::options;

fn each(suffix: &str, show: impl Fn(Topic) -> String) {
    for topic in Topic::ALL {
        insta::assert_snapshot!(format!("{}.{suffix}", topic.name()), show(*topic));
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn alerts() {
    each("alert", |topic| pretty(&alert(&sample(topic).1)));
}

#[test]
fn texts_of_mails() {
    each("mail.txt", |topic| {
        let mail = mail(&sample(topic).1, &options());
        format!("Subject: {}\n\n{}", mail.subject, mail.text)
    });
}

#[test]
fn mails() {
    each("mail.html", |topic| mail(&sample(topic).1, &options()).html);
}

#[test]
fn messages_for_slack() {
    each("slack", |topic| pretty(&slack(&sample(topic).1)));
}

#[test]
fn messages_for_teams() {
    each("teams", |topic| pretty(&teams(&sample(topic).1)));
}

#[test]
fn bodies_for_webhooks() {
    each("webhook", |topic| {
        let (event, message) = sample(topic);
        pretty(&webhook(&message, &event))
    });
}

#[test]
fn a_mail_says_why_one_gets_it() {
    let (_, message) = sample(Topic::Other);
    let said = [
        Reason::Settings,
        Reason::Product,
        Reason::Superuser,
        Reason::Named,
        Reason::System,
    ]
    .map(|reason| {
        let options = tatami_notifications::Options {
            reason,
            ..tatami_notifications::Options::default()
        };
        let text = mail(&message, &options).text;
        assert!(!text.contains("Stop mails"), "there is no address for it");
        text.lines().last().unwrap().to_owned()
    });
    insta::assert_snapshot!(said.join("\n"));
}
