//! A proxy would resolve names by itself, and reach what it likes.

use std::process::Command;

use http::Method;
use tatami_outbound::Limits;
use ureq::{Agent, Proxy};

use crate::{Names, Server, client, get, ok, request};

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let proxy = Server::http(|_| ok("proxy"));
    let url = proxy.url("127.0.0.1", "");
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "proxy::as_if_there_were_none", "--ignored"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        child.env(name, &url).env(name.to_ascii_lowercase(), &url);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
#[ignore = "the test above runs it, with a proxy in its environment"]
async fn as_if_there_were_none() {
    let server = Server::http(|_| ok("server"));
    let client = client("127.0.0.1", &Names::default());
    let answer = get(&client, &server.url("127.0.0.1", "/")).await.unwrap();
    assert_eq!(answer.body(), b"server");
}

#[tokio::test]
async fn a_request_cannot_bring_one_along() {
    let proxy = Server::http(|_| ok("proxy"));
    let server = Server::http(|_| ok("server"));
    let client = client("127.0.0.1", &Names::default());
    let sent = request(Method::GET, &server.url("127.0.0.1", "/"), "");
    let url = proxy.url("127.0.0.1", "");
    let agent = Agent::new_with_defaults();
    let configured = agent.configure_request(sent);
    let sent = configured.proxy(Some(Proxy::new(&url).unwrap())).build();
    let answer = client.send(sent, Limits::default()).await.unwrap();
    assert_eq!(answer.body(), b"server");
    assert!(proxy.seen().is_empty());
}
