//! What operators do: reset a password, verify the audit log.

use super::server::serve;
use super::{code, stderr, stdout, tatami};

/// The password that a reset prints.
fn password_in(text: &str) -> String {
    let (_, rest) = text.split_once("the password ").unwrap();
    rest.split(' ').next().unwrap().to_owned()
}

fn sign_in(url: &str, password: &str) -> u16 {
    let body = serde_json::json!({"username": "admin", "password": password});
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = agent.build().new_agent();
    let answer = agent
        .post(format!("{url}/api/v2/api-token-auth/"))
        .send_json(body);
    answer.unwrap().status().as_u16()
}

#[test]
fn a_password_is_reset_whether_the_server_runs_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let (served, url) = serve(folder.path());
    let reset = tatami(folder.path(), &["admin", "reset-password", "--url", &url]);
    assert_eq!(code(&reset), Some(0), "{}", stderr(&reset));
    let first = password_in(&stdout(&reset));
    // right, but it has to be changed
    assert_eq!(sign_in(&url, &first), 403);
    assert_eq!(sign_in(&url, "another"), 400);
    drop(served);

    let reset = tatami(folder.path(), &["admin", "reset-password", "admin"]);
    assert_eq!(code(&reset), Some(0), "{}", stderr(&reset));
    let second = password_in(&stdout(&reset));
    let nobody = tatami(folder.path(), &["admin", "reset-password", "nobody"]);
    assert_eq!(code(&nobody), Some(1));
    assert!(
        stderr(&nobody).contains("no user \"nobody\""),
        "{}",
        stderr(&nobody)
    );

    let (_served, url) = serve(folder.path());
    assert_eq!(sign_in(&url, &first), 400);
    assert_eq!(sign_in(&url, &second), 403);
    let anchor = ["audit", "verify", "--url", &url, "--anchor", "anchor"];
    for _ in 0..2 {
        let verified = tatami(folder.path(), &anchor);
        assert_eq!(code(&verified), Some(0), "{}", stderr(&verified));
        let text = stdout(&verified);
        assert!(text.starts_with("2 entries, unbroken"), "{text}");
    }
    std::fs::write(folder.path().join("anchor"), "1 0000\n").unwrap();
    let anew = tatami(folder.path(), &anchor);
    assert_eq!(code(&anew), Some(1));
    assert!(stderr(&anew).contains("written anew"), "{}", stderr(&anew));
    let lines = tatami(folder.path(), &["audit", "export", "--url", &url]);
    std::fs::write(folder.path().join("audit.ndjson"), &lines.stdout).unwrap();
    let file = ["audit", "verify", "--file", "audit.ndjson"];
    assert_eq!(code(&tatami(folder.path(), &file)), Some(0));
}

#[test]
fn where_no_tatami_is_nothing_is_reset() {
    let folder = tempfile::tempdir().unwrap();
    let reset = tatami(folder.path(), &["admin", "reset-password"]);
    assert_eq!(code(&reset), Some(1));
    assert!(stderr(&reset).contains("--data"), "{}", stderr(&reset));
    assert!(!folder.path().join(".tatami").exists());
}
