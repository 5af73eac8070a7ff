use jiff::{Timestamp, ToSpan as _};
use tatami_notifications::{SignatureError, sign, sign_all, verify};

const BODY: &[u8] = br#"{"version":1,"event":"scan_added"}"#;

fn at() -> Timestamp {
    Timestamp::from_second(1_796_047_500).unwrap()
}

/// Made with `openssl dgst -sha256 -hmac SECRET` over `TIMESTAMP.BODY`.
#[test]
fn signatures_are_those_that_openssl_makes() {
    assert_eq!(
        sign(b"whsec_first", at(), BODY),
        "v1=699ce05d03e13c6b3c213e097ad2f34f86d683f607cfec1668e6d3eaeca17c21"
    );
    assert_eq!(
        sign(b"", at(), b""),
        "v1=005c33a6120817b4e1f5393db1d9819d46ae4f5283c288f9ae5035eef626a201"
    );
    let long = [b'k'; 100];
    assert_eq!(
        sign(&long, at(), BODY),
        "v1=33e83cbc252f71846189b851476a0b27ed78b842424260267bcec3946353ff0e"
    );
}

#[test]
fn a_signature_is_believed_for_its_body_secret_and_time_only() {
    let header = sign(b"secret", at(), BODY);
    let check = |secret: &[u8], header: &str, body: &[u8], at: Timestamp, now: Timestamp| {
        verify(secret, header, at, body, now, 300)
    };
    assert_eq!(check(b"secret", &header, BODY, at(), at()), Ok(()));
    assert_eq!(
        check(b"other", &header, BODY, at(), at()),
        Err(SignatureError::Wrong)
    );
    assert_eq!(
        check(b"secret", &header, b"{}", at(), at()),
        Err(SignatureError::Wrong)
    );
    let later = at() + 1.second();
    assert_eq!(
        check(b"secret", &header, BODY, later, at()),
        Err(SignatureError::Wrong)
    );
    for span in [300.seconds(), -300.seconds()] {
        assert_eq!(check(b"secret", &header, BODY, at(), at() + span), Ok(()));
    }
    for span in [301.seconds(), -301.seconds()] {
        assert_eq!(
            check(b"secret", &header, BODY, at(), at() + span),
            Err(SignatureError::Timestamp(301))
        );
    }
}

#[test]
fn while_a_secret_is_replaced_both_are_believed() {
    let header = sign_all(["new", "old"], at(), BODY);
    assert_eq!(header.matches("v1=").count(), 2);
    for secret in ["new", "old"] {
        assert_eq!(
            verify(secret.as_bytes(), &header, at(), BODY, at(), 1),
            Ok(())
        );
    }
    assert_eq!(
        verify(b"older", &header, at(), BODY, at(), 1),
        Err(SignatureError::Wrong)
    );
    let spaced = header.replace(',', " , v2=ffff, ");
    assert_eq!(verify(b"old", &spaced, at(), BODY, at(), 1), Ok(()));
}

#[test]
fn a_header_that_is_none_is_an_error() {
    let right = sign(b"s", at(), BODY);
    for (header, error) in [
        ("", SignatureError::Missing),
        ("v0=00", SignatureError::Missing),
        (&right["v1=".len()..], SignatureError::Missing),
        ("v1=", SignatureError::Wrong),
        ("v1=0", SignatureError::Wrong),
        ("v1=é0", SignatureError::Wrong),
        (&right[..right.len() - 1], SignatureError::Wrong),
        (&right[..right.len() - 2], SignatureError::Wrong),
        (&format!("{right}00"), SignatureError::Wrong),
    ] {
        assert_eq!(
            verify(b"s", header, at(), BODY, at(), 1),
            Err(error),
            "{header:?}"
        );
    }
    let capitals = right.to_uppercase().replace("V1=", "v1=");
    assert_eq!(verify(b"s", &capitals, at(), BODY, at(), 1), Ok(()));
}
