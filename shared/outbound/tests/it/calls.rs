use std::io::Write;
use std::net::TcpListener;

use http::header::{HOST, USER_AGENT};
use http::{Method, Request};
use tatami_outbound::{Limits, Outbound};

use crate::{Names, Server, client, get, kind, ok, request, strict, two_hosts, variant};

#[tokio::test]
async fn every_status_is_an_answer() {
    let (client, _) = two_hosts();
    for status in [200, 201, 204, 300, 304, 400, 401, 404, 429, 500, 503] {
        let server = Server::http(move |_| {
            format!(
                "HTTP/1.1 {status} X\r\nRetry-After: 7\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n"
            )
        });
        let answer = get(&client, &server.url("a.example", "/")).await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["retry-after"], "7");
        assert_eq!(answer.headers().get_all("x-a").iter().count(), 2);
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let server = Server::http(|_| ok(""));
    let (client, _) = two_hosts();
    let mut sent = request(Method::POST, &server.url("a.example", "/x/y?z=1"), "body");
    let headers = sent.headers_mut();
    headers.insert("x-secret", "s".parse().unwrap());
    headers.insert(HOST, "internal.example".parse().unwrap());
    headers.insert("content-length", "2".parse().unwrap());
    headers.insert("transfer-encoding", "chunked".parse().unwrap());
    client.send(sent, Limits::default()).await.unwrap();
    let seen = &server.seen()[0];
    assert!(seen.starts_with("POST /x/y?z=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nbody"), "{seen}");
    let lower = seen.to_ascii_lowercase();
    for line in [
        &format!("host: a.example:{}", server.port),
        "x-secret: s",
        "content-length: 4",
        "connection: close",
        &format!("user-agent: tatami/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(lower.contains(&format!("\r\n{line}\r\n")), "{line}: {seen}");
    }
    for absent in ["internal.example", "transfer-encoding", "cookie"] {
        assert!(!lower.contains(absent), "{absent}: {seen}");
    }
}

#[tokio::test]
async fn any_method_with_a_body_or_without() {
    let server = Server::http(|_| ok(""));
    let (client, _) = two_hosts();
    for (method, body, length) in [
        ("GET", "", None),
        ("GET", "x", Some("1")),
        ("DELETE", "", None),
        ("DELETE", "xy", Some("2")),
        ("POST", "", Some("0")),
        ("PUT", "x", Some("1")),
        ("PATCH", "x", Some("1")),
        ("PROPFIND", "x", Some("1")),
    ] {
        let url = server.url("a.example", "/");
        let method = method.parse().unwrap();
        let sent = request(method, &url, body);
        client.send(sent, Limits::default()).await.unwrap();
        let seen = server.seen().pop().unwrap().to_ascii_lowercase();
        let found = seen.split("content-length: ").nth(1);
        let found = found.and_then(|rest| rest.split("\r\n").next());
        assert_eq!(found, length, "{seen}");
        assert!(seen.ends_with(&format!("\r\n\r\n{body}")));
    }
}

#[tokio::test]
async fn the_head_of_something_large() {
    let server = Server::http(|_| "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_owned());
    let (client, _) = two_hosts();
    let sent = request(Method::HEAD, &server.url("a.example", "/"), "");
    let answer = client.send(sent, Limits::default()).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "1000");
    assert!(answer.body().is_empty());
}

#[tokio::test]
async fn cookies_of_an_answer_do_not_come_back() {
    let server = Server::http(|_| {
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let (client, _) = two_hosts();
    for _ in 0..2 {
        let answer = get(&client, &server.url("a.example", "/")).await.unwrap();
        assert_eq!(answer.headers()["set-cookie"], "a=b");
    }
    assert!(!server.seen()[1].to_ascii_lowercase().contains("cookie"));
}

#[tokio::test]
async fn an_address_is_judged_and_not_resolved() {
    let server = Server::http(|_| ok("here"));
    let names = Names::default();
    let numeral = server.url("2130706433", "/");
    for url in [
        server.url("127.0.0.1", "/"),
        server.url("127.1", "/"),
        numeral.clone(),
    ] {
        assert_eq!(kind(get(&strict(&names), &url).await), "NotAllowed");
        let answer = get(&client("127.0.0.1", &names), &url).await.unwrap();
        assert_eq!(answer.body(), b"here");
    }
    assert_eq!(server.seen().len(), 3);
    assert!(names.asked().is_empty());
    // what was judged is what the server is told
    assert!(server.seen()[2].contains(&format!("127.0.0.1:{}", server.port)));
}

#[tokio::test]
async fn ipv6_too() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return; // this machine has none
    };
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://[::1]:{port}/");
    let names = Names::default();
    assert_eq!(kind(get(&strict(&names), &url).await), "NotAllowed");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        crate::read_request(&stream).unwrap();
        stream.write_all(ok("six").as_bytes())
    });
    let answer = get(&client("[::1]", &names), &url).await.unwrap();
    assert_eq!(answer.body(), b"six");
}

#[tokio::test]
async fn a_name_is_resolved_once_for_each_connection() {
    let server = Server::http(|_| ok(""));
    let rebinding: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"]];
    let names = Names::default().with("a.example", rebinding);
    let client = client("a.example", &names);
    let url = server.url("a.example", "/");
    assert_eq!(kind(get(&client, &url).await), "Ok");
    assert_eq!(names.asked(), ["a.example"]);
    assert_eq!(kind(get(&client, &url).await), "NotAllowed");
    assert_eq!(names.asked().len(), 2);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_judged_address_is_connected_to_by_https() {
    let server = Server::deaf();
    let rebinding: &[&[&str]] = &[&["127.0.0.1"], &["127.0.0.2"]];
    let names = Names::default().with("a.example", rebinding);
    let client = client("127.0.0.1", &names);
    let url = server.url("a.example", "/").replace("http:", "https:");
    assert_eq!(kind(get(&client, &url).await), "BrokenOff");
    assert_eq!((server.seen().len(), names.asked().len()), (1, 1));
    assert_eq!(kind(get(&client, &url).await), "NotAllowed");
    assert_eq!((server.seen().len(), names.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_server_without_tls() {
    let server = Server::start(|mut stream, _| {
        let mut first = [0; 64];
        std::io::Read::read_exact(&mut stream, &mut first)?;
        stream.write_all(ok("plain").as_bytes())
    });
    let names = Names::default().with("a.example", &[&["127.0.0.1"]]);
    let url = server.url("a.example", "/").replace("http:", "https:");
    let result = get(&client("a.example", &names), &url).await;
    let error = result.unwrap_err();
    assert!(!error.is_passing());
    assert_eq!(variant(&error), "Tls");
}

#[tokio::test]
async fn the_next_address_is_tried() {
    let server = Server::http(|_| ok("here"));
    let names = Names::default().with("a.example", &[&["127.0.0.9", "127.0.0.1"]]);
    let answer = get(&client("a.example", &names), &server.url("a.example", "/")).await;
    assert_eq!(answer.unwrap().body(), b"here");
}

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (client, _) = two_hosts();
    let error = get(&client, &format!("http://a.example:{port}/"))
        .await
        .unwrap_err();
    assert!(error.is_passing());
    assert_eq!(variant(&error), "Connect");
}

#[tokio::test]
async fn nobody_knows_the_name() {
    let names = Names::default().with("empty.example", &[&[]]);
    for url in ["https://nobody.example/", "https://empty.example/"] {
        let error = get(&strict(&names), url).await.unwrap_err();
        assert!(error.is_passing());
        assert_eq!(variant(&error), "Resolve");
    }
    // by the system's resolver, for a name that RFC 6761 keeps from existing
    let client = Outbound::new("x.invalid".parse().unwrap());
    assert_eq!(kind(get(&client, "http://x.invalid/").await), "Resolve");
}

#[tokio::test]
async fn a_request_without_a_host_is_none() {
    let client = strict(&Names::default());
    for uri in ["/x", "*", "a.example:443"] {
        let sent = Request::builder().uri(uri).header(USER_AGENT, "x");
        let sent = sent.body(Vec::new()).unwrap();
        let result = client.send(sent, Limits::default()).await;
        assert_eq!(kind(result), "BadUrl", "{uri}");
    }
}
