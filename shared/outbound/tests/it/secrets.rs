//! What is shown, and what isn't.

use http::Method;
use tatami_outbound::{Limits, shown};

use crate::{Names, Server, client, redirect, request, strict, two_hosts};

#[test]
fn a_url_is_shown_without_secrets() {
    for (url, expected) in [
        ("https://a.example/x.gz", "https://a.example/x.gz"),
        ("https://u:p@a.example/x?token=1#y", "https://a.example/x"),
        ("https://u:p@q@a.example/", "https://a.example/"),
        ("http://a.example?key=1", "http://a.example"),
        ("https://a.example/@x", "https://a.example/@x"),
        ("https://a.example#u:p@b", "https://a.example"),
        ("https://u:p@a.example\\x@y", "https://a.example\\x@y"),
        ("u:p@a.example/x", "a.example/x"),
        ("?x://u@y", ""),
        ("", ""),
    ] {
        assert_eq!(shown(url), expected);
    }
}

#[tokio::test]
async fn errors_do_not_tell_secrets() {
    let names = Names::default()
        .with("a.example", &[&["127.0.0.1"]])
        .with("inside.example", &[&["10.0.0.1"]]);
    let client = client("a.example", &names);
    let away = |location: &'static str| Server::http(move |_| redirect(302, location));
    let servers = [
        away("https://inside.example/SECRET?SECRET"),
        away("ftp://a.example/SECRET?SECRET"),
        away("https://SECRET:SECRET@a.example/"),
        away("/SECRET?SECRET"),
        Server::http(|_| "SECRET".to_owned()),
        Server::http(|_| "HTTP/1.1 200 SECRET\r\nSECRET\r\n\r\n".to_owned()),
        Server::http(|_| "HTTP/1.1 200 OK\r\nContent-Length: SECRET\r\n\r\n".to_owned()),
    ];
    let mut urls = servers.map(|server| server.url("a.example", "/SECRET?SECRET"));
    let others = [
        "https://inside.example/SECRET?SECRET",
        "https://unknown.example/SECRET?SECRET",
        "http://b.example/SECRET?SECRET",
        "https://SECRET:SECRET@a.example/SECRET",
        "http://a.example:1/SECRET",
    ];
    for url in urls.iter_mut().map(|url| url.as_str()).chain(others) {
        let mut sent = request(Method::GET, url, "SECRET");
        sent.headers_mut().insert("x-a", "SECRET".parse().unwrap());
        let error = client.send(sent, Limits::default()).await.unwrap_err();
        let texts = format!("{error} {error:?}");
        assert!(!texts.contains("SECRET"), "{texts}");
        assert!(!error.to_string().ends_with('.'));
    }
    for url in [
        "https://SECRET SECRET",
        "SECRET",
        "https://a.example:SECRET/",
        "SECRET://SECRET@x",
    ] {
        let error = strict(&names).check(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
    }
}

#[test]
fn the_client_shows_what_it_allows() {
    let (client, _) = two_hosts();
    let shown = format!("{client:?}");
    assert!(shown.starts_with("Outbound { allow: "), "{shown}");
    assert!(shown.contains("a.example"));
}
