use std::io::{self, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use tatami_outbound::{Limits, Outbound, Resolve};

use crate::{Server, get, get_within, kind, ok, redirect, two_hosts, variant, within};

const LONG: Duration = Duration::from_secs(20);

/// Asks, and expects no answer within 300 ms.
async fn times_out(client: &Outbound, url: &str) {
    let start = Instant::now();
    let error = get_within(client, url, within(300)).await.unwrap_err();
    assert!(error.is_passing());
    assert_eq!(variant(&error), "Timeout");
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(250) && took < LONG / 4,
        "{took:?}"
    );
}

fn trickle(stream: &mut impl Write, text: &str) -> io::Result<()> {
    for byte in text.as_bytes().iter().cycle() {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_answered() {
    let server = Server::streaming(|_, _| {
        thread::sleep(LONG);
        Ok(())
    });
    let (client, _) = two_hosts();
    times_out(&client, &server.url("a.example", "/")).await;
}

#[tokio::test]
async fn the_headers_trickle() {
    let server = Server::streaming(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-A: ")?;
        trickle(stream, "a")
    });
    let (client, _) = two_hosts();
    times_out(&client, &server.url("a.example", "/")).await;
}

#[tokio::test]
async fn the_body_trickles() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    ] {
        let server = Server::streaming(move |_, stream| {
            stream.write_all(head.as_bytes())?;
            trickle(stream, "a")
        });
        let (client, _) = two_hosts();
        times_out(&client, &server.url("a.example", "/")).await;
    }
    let server = Server::streaming(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        trickle(stream, "1\r\na\r\n")
    });
    let (client, _) = two_hosts();
    times_out(&client, &server.url("a.example", "/")).await;
}

#[tokio::test]
async fn the_redirects_take_too_long_together() {
    let server = Server::http(|_| {
        thread::sleep(Duration::from_millis(120));
        redirect(302, "/")
    });
    let (client, _) = two_hosts();
    times_out(&client, &server.url("a.example", "/")).await;
}

#[tokio::test]
async fn the_handshake_takes_too_long() {
    let server = Server::start(|_stream, _| {
        thread::sleep(LONG);
        Ok(())
    });
    let (client, _) = two_hosts();
    let url = server.url("a.example", "/").replace("http:", "https:");
    times_out(&client, &url).await;
}

#[tokio::test]
async fn the_resolver_takes_too_long_or_breaks() {
    struct Slow;
    impl Resolve for Slow {
        fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            thread::sleep(LONG);
            Ok(Vec::new())
        }
    }
    struct Broken;
    impl Resolve for Broken {
        fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            panic!("as it shall")
        }
    }
    let slow = Outbound::with_resolver("a.example".parse().unwrap(), Slow);
    times_out(&slow, "http://a.example/").await;
    let broken = Outbound::with_resolver("a.example".parse().unwrap(), Broken);
    assert_eq!(kind(get(&broken, "http://a.example/").await), "Resolve");
}

#[tokio::test]
async fn no_time_at_all_and_all_the_time_of_the_world() {
    let server = Server::http(|_| ok(""));
    let (client, _) = two_hosts();
    let url = server.url("a.example", "/");
    assert_eq!(kind(get_within(&client, &url, within(0)).await), "Timeout");
    assert!(server.seen().is_empty());
    let for_ever = Limits {
        timeout: Duration::MAX,
        bytes: u64::MAX,
        redirects: u32::MAX,
    };
    assert_eq!(kind(get_within(&client, &url, for_ever).await), "Ok");
}

async fn with_bytes(url: &str, bytes: u64) -> String {
    let limits = Limits {
        bytes,
        ..Limits::default()
    };
    let (client, _) = two_hosts();
    kind(get_within(&client, url, limits).await)
}

#[tokio::test]
async fn a_length_that_is_too_large_is_not_read() {
    let server = Server::streaming(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")?;
        thread::sleep(LONG);
        Ok(())
    });
    let start = Instant::now();
    let url = server.url("a.example", "/");
    assert_eq!(with_bytes(&url, 10).await, "TooLarge");
    assert!(start.elapsed() < LONG / 4);
}

#[tokio::test]
async fn a_body_up_to_the_limit() {
    let counted = Server::http(|_| ok("0123456789"));
    let chunked = Server::http(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"
            .to_owned()
    });
    let open = Server::http(|_| "HTTP/1.1 200 OK\r\n\r\n0123456789".to_owned());
    for server in [&counted, &chunked, &open] {
        let url = server.url("a.example", "/");
        assert_eq!(with_bytes(&url, 10).await, "Ok");
        assert_eq!(with_bytes(&url, 9).await, "TooLarge");
        assert_eq!(with_bytes(&url, 0).await, "TooLarge");
    }
    let empty = Server::http(|_| ok(""));
    assert_eq!(with_bytes(&empty.url("a.example", "/"), 0).await, "Ok");
}

#[tokio::test]
async fn a_body_without_an_end() {
    let server = Server::streaming(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
        loop {
            stream.write_all(chunk.as_bytes())?;
        }
    });
    assert_eq!(
        with_bytes(&server.url("a.example", "/"), 1 << 20).await,
        "TooLarge"
    );
}

#[tokio::test]
async fn headers_without_an_end() {
    let server = Server::streaming(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-A: ")?;
        loop {
            stream.write_all(&[b'a'; 1024])?;
        }
    });
    assert_eq!(
        with_bytes(&server.url("a.example", "/"), 1 << 20).await,
        "TooLarge"
    );
}

#[tokio::test]
async fn half_answers() {
    for half in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
    ] {
        let server = Server::http(move |_| half.to_owned());
        let (client, _) = two_hosts();
        let error = get(&client, &server.url("a.example", "/"))
            .await
            .unwrap_err();
        assert!(error.is_passing(), "{half:?}: {error}");
        assert_eq!(variant(&error), "BrokenOff", "{half:?}");
    }
}

#[tokio::test]
async fn what_is_no_http() {
    for noise in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ] {
        let server = Server::http(move |_| noise.to_owned());
        let (client, _) = two_hosts();
        let error = get(&client, &server.url("a.example", "/"))
            .await
            .unwrap_err();
        assert!(!error.is_passing(), "{noise:?}: {error}");
        assert_eq!(variant(&error), "NotHttp", "{noise:?}");
    }
}
