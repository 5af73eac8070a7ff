use http::Method;
use tatami_outbound::Limits;

use crate::{Names, Server, client, get, get_within, kind, ok, redirect, request, two_hosts};

#[tokio::test]
async fn get_and_head_follow() {
    let (client, _) = two_hosts();
    for status in [301, 302, 303, 307, 308] {
        let server = Server::http(move |request| {
            if request.contains(" /new?x=1 ") {
                ok("")
            } else {
                redirect(status, "new?x=1#y")
            }
        });
        for method in [Method::GET, Method::HEAD] {
            let sent = request(method.clone(), &server.url("a.example", "/old"), "");
            let answer = client.send(sent, Limits::default()).await.unwrap();
            assert_eq!(answer.status(), 200);
            let last = server.seen().pop().unwrap();
            assert!(last.starts_with(&format!("{method} /new?x=1 ")), "{last}");
        }
        assert_eq!(server.seen().len(), 4);
    }
}

#[tokio::test]
async fn to_what_may_not_be_called() {
    for (location, expected) in [
        ("http://169.254.169.254/latest/", "NotAllowed"),
        ("//169.254.169.254/latest/", "NotAllowed"),
        ("https://127.0.0.1/", "NotAllowed"),
        ("http://2130706433/", "NotAllowed"),
        ("//0x7f.1/", "NotAllowed"),
        ("https://[::1]/", "NotAllowed"),
        ("https://[::ffff:10.0.0.1]/", "NotAllowed"),
        ("https://localhost/", "NotAllowed"),
        ("https://192.168.1.1/", "NotAllowed"),
        ("https://inside.example/", "NotAllowed"),
        ("http://metadata.google.internal/", "Metadata"),
        ("http://c.example/", "PlainHttp"),
        ("file:///etc/passwd", "BadRedirect"),
        ("ftp://a.example/", "BadRedirect"),
        ("https://u:p@a.example/", "BadRedirect"),
        ("https://a.example:0/", "BadRedirect"),
        ("https://[fe80::1%25eth0]/", "BadRedirect"),
        ("https://a..example/", "BadRedirect"),
        ("https://a.example\\@127.0.0.1:1/", "Connect"), // a.example, whose port 443 is closed
    ] {
        let server = Server::http(move |_| redirect(302, location));
        let names = Names::default()
            .with("a.example", &[&["127.0.0.1"]])
            .with("inside.example", &[&["10.0.0.7"]]);
        let client = client("a.example", &names);
        let result = get(&client, &server.url("a.example", "/")).await;
        assert_eq!(kind(result), expected, "{location}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn the_same_host_is_resolved_and_judged_again() {
    let server = Server::http(|_| redirect(302, "/again"));
    let rebinding: &[&[&str]] = &[&["127.0.0.1"], &["169.254.169.254"]];
    let names = Names::default().with("a.example", rebinding);
    let result = get(&client("a.example", &names), &server.url("a.example", "/")).await;
    assert_eq!(kind(result), "NotAllowed");
    assert_eq!((server.seen().len(), names.asked().len()), (1, 2));
}

#[tokio::test]
async fn loops_end() {
    let server = Server::http(|_| redirect(302, "/"));
    let (client, _) = two_hosts();
    let url = server.url("a.example", "/");
    for redirects in [1, 3] {
        let before = server.seen().len();
        let limits = Limits {
            redirects,
            ..Limits::default()
        };
        let result = get_within(&client, &url, limits).await;
        assert_eq!(kind(result), "Redirects");
        assert_eq!(server.seen().len() - before, redirects as usize + 1);
    }
    let limits = Limits {
        redirects: 0,
        ..Limits::default()
    };
    let answer = get_within(&client, &url, limits).await.unwrap();
    assert_eq!(answer.status(), 302);
}

#[tokio::test]
async fn redirects_up_to_the_limit() {
    let server = Server::http(|request| match request.split(' ').nth(1) {
        Some("/0") => redirect(301, "/1"),
        Some("/1") => redirect(301, "/2"),
        Some("/2") => redirect(301, "/3"),
        _ => ok("end"),
    });
    let (client, _) = two_hosts();
    let answer = get(&client, &server.url("a.example", "/0")).await.unwrap();
    assert_eq!(answer.body(), b"end");
}

#[tokio::test]
async fn secrets_stay_at_their_origin() {
    let other = Server::http(|_| ok(""));
    // the same host at another port is another origin, too
    for host in ["a.example", "b.example"] {
        let location = other.url(host, "/");
        let server = Server::http(move |_| redirect(307, &location));
        let (client, _) = two_hosts();
        let mut sent = request(Method::GET, &server.url("a.example", "/"), "text");
        for name in ["authorization", "cookie", "x-api-key", "private-token"] {
            sent.headers_mut().insert(name, "SECRET".parse().unwrap());
        }
        sent.headers_mut()
            .insert("accept", "text/x".parse().unwrap());
        client.send(sent, Limits::default()).await.unwrap();
        let first = &server.seen()[0];
        assert_eq!(first.matches("SECRET").count(), 4);
        let second = other.seen().pop().unwrap();
        assert!(!second.contains("SECRET"), "{second}");
        assert!(!second.contains("\r\n\r\ntext"), "{second}");
        assert!(second.contains("text/x"), "{second}");
    }
}

#[tokio::test]
async fn secrets_do_not_come_back() {
    let (client, _) = two_hosts();
    // from a to b and back to a, which then could be anybody's redirect
    let back = Server::http(|_| ok(""));
    let here = back.url("a.example", "/");
    let middle = Server::http(move |_| redirect(302, &here));
    let there = middle.url("b.example", "/");
    let first = Server::http(move |_| redirect(302, &there));
    let mut sent = request(Method::GET, &first.url("a.example", "/"), "");
    sent.headers_mut()
        .insert("authorization", "SECRET".parse().unwrap());
    client.send(sent, Limits::default()).await.unwrap();
    assert!(first.seen()[0].contains("SECRET"));
    assert!(!middle.seen()[0].contains("SECRET"));
    assert!(!back.seen()[0].contains("SECRET"));
}

#[tokio::test]
async fn secrets_stay_with_a_redirect_within_the_origin() {
    let server = Server::http(|request| {
        if request.contains(" /new ") {
            ok("")
        } else {
            redirect(302, "/new")
        }
    });
    let (client, _) = two_hosts();
    let mut sent = request(Method::GET, &server.url("a.example", "/"), "");
    sent.headers_mut()
        .insert("authorization", "SECRET".parse().unwrap());
    client.send(sent, Limits::default()).await.unwrap();
    assert!(server.seen()[1].contains("SECRET"));
}

#[tokio::test]
async fn a_post_is_sent_again_only_where_the_redirect_says_so() {
    let (client, _) = two_hosts();
    for (status, sent_again) in [
        (301, false),
        (302, false),
        (303, false),
        (307, true),
        (308, true),
    ] {
        let server = Server::http(move |request| {
            if request.contains(" /new ") {
                ok("")
            } else {
                redirect(status, "/new")
            }
        });
        let sent = request(Method::POST, &server.url("a.example", "/"), "text");
        let answer = client.send(sent, Limits::default()).await.unwrap();
        assert_eq!(answer.status() == 200, sent_again, "{status}");
        let seen = server.seen();
        assert_eq!(seen.len() == 2, sent_again, "{status}");
        let last = seen.last().unwrap();
        assert!(last.starts_with("POST ") && last.ends_with("\r\n\r\ntext"));
    }
}

#[tokio::test]
async fn a_post_does_not_leave_its_origin() {
    let other = Server::http(|_| ok(""));
    let location = other.url("b.example", "/");
    let server = Server::http(move |_| redirect(307, &location));
    let (client, _) = two_hosts();
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let sent = request(method, &server.url("a.example", "/"), "text");
        let answer = client.send(sent, Limits::default()).await.unwrap();
        assert_eq!(answer.status(), 307);
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn without_a_location_it_is_an_answer() {
    let server = Server::http(|_| "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhi".to_owned());
    let (client, _) = two_hosts();
    let answer = get(&client, &server.url("a.example", "/")).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.body()[..]),
        (302, &b"hi"[..])
    );
}
