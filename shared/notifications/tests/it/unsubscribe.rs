use proptest::prelude::*;
use tatami_domain::UserId;
use tatami_notifications::unsubscribe::{BadToken, read, token};
use tatami_notifications::{Channel, Topic};

const KEY: &[u8] = b"a key of the server's";

#[test]
fn every_topic_and_channel_is_read_back() {
    for topic in Topic::ALL {
        for channel in Channel::ALL {
            let token = token(KEY, UserId(u64::MAX), *topic, *channel);
            assert!(
                token
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            );
            assert_eq!(read(KEY, &token), Ok((UserId(u64::MAX), *topic, *channel)));
        }
    }
}

/// Mails are kept for years: what was sent holds.
#[test]
fn a_token_stays_what_it_is() {
    let token = token(KEY, UserId(7), Topic::ScanAdded, Channel::Mail);
    insta::assert_snapshot!(token);
}

#[test]
fn a_token_of_another_key_or_of_the_bare_key_is_none() {
    let token = token(KEY, UserId(7), Topic::ScanAdded, Channel::Mail);
    assert_eq!(read(b"another", &token), Err(BadToken));
    // the signature of a webhook with the same secret is none either
    let signed = tatami_notifications::sign(KEY, jiff::Timestamp::UNIX_EPOCH, b"7.scan_added.mail");
    assert_eq!(read(KEY, &signed), Err(BadToken));
}

proptest! {
    #[test]
    fn a_changed_token_is_none(at in 0_usize..70, to in "[A-Za-z0-9_-]") {
        let right = token(KEY, UserId(7), Topic::ScanAdded, Channel::Mail);
        let at = at % right.len();
        let mut changed = right.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != right);
        prop_assert_eq!(read(KEY, &changed), Err(BadToken));
    }

    #[test]
    fn any_text_may_come(text in ".*") {
        prop_assert_eq!(read(KEY, &text), Err(BadToken));
    }
}
