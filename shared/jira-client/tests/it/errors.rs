//! Every way in which JIRA says no, and what it should never make of it.

use std::time::Duration;

use serde_json::json;
use tatami_jira_client::{Auth, Deployment, Jira, JiraError};

use crate::recorded::{BASE, Recorded, SECRET, basic};

async fn error(status: u16, headers: &[(&str, &str)], body: &[u8]) -> JiraError {
    let transport = Recorded::default().raw(status, headers, body);
    let error = transport
        .jira(Deployment::DataCenter)
        .myself()
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.chars().count() <= 500,
        "{} characters",
        message.chars().count()
    );
    assert!(!message.contains(['\n', '\r', '\t']), "{message:?}");
    assert!(!message.contains(SECRET), "{message}");
    error
}

#[tokio::test]
async fn statuses() {
    let said = json!({ "errorMessages": ["Sorry,\n no."], "errors": {} }).to_string();
    let message = "Sorry, no.".to_owned();
    let expected = [
        (
            401,
            JiraError::Unauthorised {
                message: message.clone(),
            },
        ),
        (
            403,
            JiraError::Forbidden {
                message: message.clone(),
            },
        ),
        (
            404,
            JiraError::NotFound {
                message: message.clone(),
            },
        ),
        (
            410,
            JiraError::Gone {
                message: message.clone(),
            },
        ),
        (429, JiraError::RateLimited { retry_after: None }),
        (
            500,
            JiraError::Server {
                status: 500,
                message: message.clone(),
            },
        ),
        (
            503,
            JiraError::Server {
                status: 503,
                message: message.clone(),
            },
        ),
        (
            405,
            JiraError::Unexpected {
                status: 405,
                message,
            },
        ),
    ];
    for (status, expected) in expected {
        let found = error(status, &[], said.as_bytes()).await;
        assert_eq!(found, expected);
        assert_eq!(
            found.is_passing(),
            status == 429 || status >= 500,
            "{status}"
        );
    }
    assert!(error(408, &[], b"").await.is_passing());
}

#[tokio::test]
async fn refused_fields_are_named() {
    let body =
        json!({ "errorMessages": ["all"], "errors": { "priority": "none such", "x": { "a": 1 } } });
    let found = error(400, &[], body.to_string().as_bytes()).await;
    let JiraError::Invalid { messages, fields } = &found else {
        panic!("{found:?}");
    };
    assert_eq!(
        (messages.as_slice(), fields["priority"].as_str()),
        (["all".to_owned()].as_slice(), "none such")
    );
    assert_eq!(
        found.to_string(),
        r#"JIRA refuses the request: all; priority: none such; x: {"a":1}"#
    );
    assert!(!found.is_passing());
    let found = error(400, &[], b"").await;
    assert_eq!(
        found.to_string(),
        "JIRA refuses the request: status 400 without a reason"
    );
    let null = error(400, &[], br#"{"errorMessages":["a"],"errors":null}"#).await;
    assert_eq!(null.to_string(), "JIRA refuses the request: a");
    let message = error(404, &[], br#"{"message":"null for uri","status-code":404}"#).await;
    assert!(message.to_string().ends_with(": null for uri"), "{message}");
}

#[tokio::test]
async fn logins_that_failed() {
    let captcha = [("X-Seraph-LoginReason", "AUTHENTICATION_DENIED")];
    for status in [401, 403] {
        let found = error(status, &captcha, b"<html>").await;
        assert!(
            matches!(&found, JiraError::Forbidden { message } if message.contains("CAPTCHA")),
            "{found}"
        );
    }
    let challenge = [(
        "X-Authentication-Denied-Reason",
        "CAPTCHA_CHALLENGE; login-url=https://x",
    )];
    assert!(matches!(
        error(403, &challenge, b"").await,
        JiraError::Forbidden { .. }
    ));
    // To nobody the issue isn't there, but it is.
    let failed = [("X-Seraph-LoginReason", "AUTHENTICATED_FAILED")];
    let transport = Recorded::default().raw(404, &failed, b"{}");
    let found = transport
        .jira(Deployment::Cloud)
        .issue("SEC-1", &["status"])
        .await;
    assert!(
        matches!(found, Err(JiraError::Unauthorised { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn when_to_come_back() {
    let cases = [
        (429, "30", Some(30)),
        (503, "0", Some(0)),
        (429, "Wed, 21 Oct 2026 07:28:30 GMT", Some(30)),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", Some(0)),
        (429, "soon", None),
        (429, "-5", None),
    ];
    for (status, text, seconds) in cases {
        let headers = [
            ("Retry-After", text),
            ("Date", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ];
        let found = error(status, &headers, b"").await;
        let retry_after = seconds.map(Duration::from_secs);
        assert_eq!(found, JiraError::RateLimited { retry_after }, "{text}");
        assert!(found.is_passing());
    }
    // Without its own clock the machine's counts.
    let found = error(
        429,
        &[("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")],
        b"",
    )
    .await;
    let JiraError::RateLimited {
        retry_after: Some(long),
    } = found
    else {
        panic!("{found:?}");
    };
    assert!(long > Duration::from_hours(8760));
}

#[tokio::test]
async fn pages_of_html() {
    let page = format!(
        "<!doctype html>\n<html><head><TITLE>Bad\n gateway</title>{}",
        "x".repeat(100_000)
    );
    let found = error(502, &[], page.as_bytes()).await;
    assert_eq!(
        found.to_string(),
        "JIRA failed with status 502: a page \"Bad gateway\""
    );
    let found = error(500, &[], b"<html>no title").await;
    assert_eq!(found.to_string(), "JIRA failed with status 500");
    let found = error(500, &[], b"\xff\xfe upstream timed out").await;
    assert!(found.to_string().ends_with("upstream timed out"), "{found}");
    // A login page with status 200.
    let found = error(200, &[], page.as_bytes()).await;
    assert!(matches!(found, JiraError::Unreadable { .. }), "{found:?}");
    assert!(
        found
            .to_string()
            .starts_with("the answer of JIRA to \"myself\" cannot be read: ")
    );
    let to = [("Location", "https://sso.example.com/login?token=abc")];
    let found = error(302, &to, b"").await;
    assert!(
        found
            .to_string()
            .ends_with(": it points to https://sso.example.com/login"),
        "{found}"
    );
}

#[tokio::test]
async fn half_an_answer() {
    for body in [
        &b""[..],
        b"{\"displayName\": \"Mi",
        b"[3]",
        b"3",
        b"{\"active\": \"yes\"}",
    ] {
        let found = error(200, &[], body).await;
        assert!(matches!(found, JiraError::Unreadable { .. }), "{found:?}");
        assert!(!found.is_passing());
    }
    let long = format!("{{\"active\": \"{}\"}}", "é".repeat(10_000));
    error(200, &[], long.as_bytes()).await;
    let long = json!({ "errorMessages": vec!["é".repeat(9000); 900] }).to_string();
    error(400, &[], long.as_bytes()).await;
}

#[tokio::test]
async fn no_answer() {
    for passing in [true, false] {
        let message = format!("connect to {BASE} as {SECRET}\nfailed");
        let transport = Recorded::default().fails(&message, passing);
        let found = transport
            .jira(Deployment::Cloud)
            .myself()
            .await
            .unwrap_err();
        assert_eq!(found.is_passing(), passing);
        assert_eq!(
            found.to_string(),
            format!("JIRA cannot be reached: connect to {BASE} as *** failed")
        );
    }
}

#[tokio::test]
async fn secrets_stay() {
    let encoded = "cm9ib3RAZXhhbXBsZS5jb206czNjcjN0LXRva2Vu";
    let body = json!({ "errorMessages": [format!("Basic {encoded}")], "errors": { "a": SECRET } });
    let found = error(400, &[], body.to_string().as_bytes()).await;
    let text = format!("{found:?} {found}");
    assert!(!text.contains(encoded) && !text.contains(SECRET), "{text}");
    let transport = Recorded::default().json(200, &json!({}));
    let jira = transport.jira(Deployment::Cloud);
    jira.myself().await.unwrap();
    let header = transport.requests()[0].headers()["authorization"].clone();
    assert_eq!(header, format!("Basic {encoded}"));
    assert!(header.is_sensitive());
    assert!(!format!("{:?}", basic()).contains(SECRET));
}

#[test]
fn settings_that_cannot_work() {
    let new = |url: &str, auth: Auth| {
        let transport = Recorded::default();
        Jira::new(url, Deployment::Cloud, auth, &transport)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    for url in [
        "",
        "jira.example.com",
        "ftp://x",
        "https://",
        "https://a:b@x",
        "https://x/?a",
        "https://x/#a",
        "https://x y",
    ] {
        let error = new(url, basic()).unwrap_err();
        assert!(
            error.starts_with("the address of JIRA is not usable: "),
            "{url}: {error}"
        );
    }
    for url in [
        "https://x.atlassian.net",
        "http://127.0.0.1:8080/",
        "https://x/jira/",
    ] {
        assert_eq!(new(url, basic()), Ok(()), "{url}");
    }
    let error = new(BASE, Auth::Bearer("a\nb".into())).unwrap_err();
    assert_eq!(
        error,
        "the token of JIRA is not usable: it has characters that no header can hold"
    );
    let colon = Auth::Basic {
        user: "a:b".to_owned(),
        secret: "x".into(),
    };
    assert!(
        new(BASE, colon)
            .unwrap_err()
            .starts_with("the user of JIRA")
    );
}
