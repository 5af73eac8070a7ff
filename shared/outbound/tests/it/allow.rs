use tatami_outbound::{AllowList, AllowListError, Outbound};

use crate::{Names, Server, client, get, kind, ok};

fn check(allow: &str, url: &str) -> String {
    kind(Outbound::new(allow.parse().unwrap()).check(url))
}

#[test]
fn names() {
    for (allow, url, expected) in [
        ("a.example", "http://a.example/", "Ok"),
        ("a.example", "http://a.example:8080/", "Ok"),
        ("a.example", "http://A.EXAMPLE./", "Ok"),
        ("A.Example.", "http://a.example/", "Ok"),
        ("bücher.example", "http://xn--bcher-kva.example/", "Ok"),
        ("XN--BCHER-KVA.example", "http://bücher.example/", "Ok"),
        ("a.example", "http://b.a.example/", "PlainHttp"),
        ("a.example", "http://xa.example/", "PlainHttp"),
        ("a.example", "http://a.example.evil.example/", "PlainHttp"),
        ("a.example:8080", "http://a.example:8080/", "Ok"),
        ("a.example:8080", "http://a.example/", "PlainHttp"),
        ("a.example:80", "http://a.example/", "Ok"),
        ("*.a.example", "http://b.a.example/", "Ok"),
        ("*.a.example", "http://c.b.a.example/", "Ok"),
        ("*.a.example", "http://a.example/", "PlainHttp"),
        ("*.a.example", "http://ba.example/", "PlainHttp"),
        ("*.A.example.:81", "http://b.a.example:81/", "Ok"),
        ("*.a.example:81", "http://b.a.example/", "PlainHttp"),
        ("x.example,\n a.example\t", "http://a.example/", "Ok"),
        ("localhost", "http://localhost:3000/", "Ok"),
        ("localhost", "http://127.0.0.1/", "NotAllowed"),
        ("", "http://a.example/", "PlainHttp"),
    ] {
        assert_eq!(check(allow, url), expected, "{allow:?} {url}");
    }
}

#[test]
fn addresses_and_networks() {
    for (allow, url, expected) in [
        ("10.1.2.3", "http://10.1.2.3/", "Ok"),
        ("10.1.2.3", "https://0xa010203/", "Ok"),
        ("10.1.2.3", "http://10.1.2.4/", "NotAllowed"),
        ("10.1.2.3:8080", "http://10.1.2.3:8080/", "Ok"),
        ("10.1.2.3:8080", "http://10.1.2.3/", "NotAllowed"),
        ("10.1.0.0/16", "http://10.1.255.255/", "Ok"),
        ("10.1.0.0/16", "http://10.2.0.0/", "NotAllowed"),
        ("10.1.2.3/16", "http://10.1.9.9/", "Ok"),
        ("10.0.0.0/8", "https://[::ffff:10.0.0.1]/", "NotAllowed"),
        ("10.0.0.0/8", "https://[64:ff9b::10.0.0.1]/", "NotAllowed"),
        ("fd00::7", "http://[fd00::7]/", "Ok"),
        ("[fd00::7]", "http://[fd00:0::7]:99/", "Ok"),
        ("[fd00::7]:99", "http://[fd00::7]:99/", "Ok"),
        ("[fd00::7]:99", "http://[fd00::7]/", "NotAllowed"),
        ("[fd00::]/8", "http://[fdab::1]/", "Ok"),
        ("fd00::/8", "http://[fdab::1]/", "Ok"),
        ("[fd00::]/8", "http://[fc00::1]/", "NotAllowed"),
        ("127.0.0.0/8", "https://localhost/", "Ok"),
    ] {
        assert_eq!(check(allow, url), expected, "{allow:?} {url}");
    }
}

#[test]
fn metadata_is_only_allowed_by_itself() {
    let url = "http://169.254.169.254/latest/meta-data/";
    for (allow, expected) in [
        ("169.254.0.0/16", "NotAllowed"),
        ("169.254.169.254/31", "NotAllowed"),
        ("0.0.0.0/0", "NotAllowed"),
        ("169.254.169.254", "Ok"),
        ("169.254.169.254/32", "Ok"),
        ("169.254.169.254:80", "Ok"),
        ("169.254.169.254:81", "NotAllowed"),
    ] {
        assert_eq!(check(allow, url), expected, "{allow}");
    }
    for allow in ["::/0", "[fd00::]/8", "[64:ff9b::]/96"] {
        for host in ["fd00:ec2::254", "64:ff9b::169.254.169.254"] {
            let found = check(allow, &format!("https://[{host}]/"));
            assert_eq!(found, "NotAllowed", "{allow} {host}");
        }
    }
    let url = "http://metadata.google.internal/";
    assert_eq!(check("*.google.internal", url), "Metadata");
    assert_eq!(check("metadata.google.internal", url), "Ok");
}

#[test]
fn bad_entries_are_named() {
    for entry in [
        "*",
        "*foo.example",
        "a.*.example",
        "*.10.0.0.1",
        "a..b",
        "a@b",
        "[fd00::7",
        "*.",
        "a%00",
    ] {
        let expected = AllowListError::Host {
            entry: entry.to_owned(),
        };
        let text = format!("good.example {entry}");
        assert_eq!(text.parse::<AllowList>(), Err(expected), "{entry}");
    }
    for entry in [
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:x",
        "fd00::x",
    ] {
        let expected = AllowListError::Port {
            entry: entry.to_owned(),
        };
        assert_eq!(entry.parse::<AllowList>(), Err(expected), "{entry}");
    }
    for entry in [
        "10.0.0.0/33",
        "10.0.0.0/",
        "a.example/8",
        "https://a.example",
        "[fd00::/8",
        "10.0.0.0/8:80",
    ] {
        let error = entry.parse::<AllowList>().unwrap_err();
        let expected = AllowListError::Network {
            entry: entry.to_owned(),
        };
        assert_eq!(error, expected, "{entry}");
        assert!(error.to_string().contains(entry));
    }
    assert_eq!(" , ,".parse(), Ok(AllowList::default()));
}

#[tokio::test]
async fn an_allowed_name_is_called_wherever_it_is_but_at_metadata() {
    let server = Server::http(|_| ok("hello"));
    let names = Names::default()
        .with("a.corp.example", &[&["127.0.0.1"]])
        .with("b.corp.example", &[&["127.0.0.1", "169.254.169.254"]])
        .with("c.corp.example", &[&["::ffff:100.100.100.200"]]);
    let client = client("*.corp.example", &names);
    let answer = get(&client, &server.url("a.corp.example", "/")).await;
    assert_eq!(answer.unwrap().body(), b"hello");
    for host in ["b.corp.example", "c.corp.example"] {
        let result = get(&client, &server.url(host, "/")).await;
        assert_eq!(kind(result), "NotAllowed", "{host}");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_name_in_an_allowed_network_is_called_by_https() {
    let server = Server::deaf();
    let names = Names::default().with("a.example", &[&["127.0.0.1"]]);
    let client = client("127.0.0.0/8", &names);
    let url = server.url("a.example", "/");
    assert_eq!(kind(get(&client, &url).await), "PlainHttp");
    let result = get(&client, &url.replace("http:", "https:")).await;
    assert_eq!(kind(result), "BrokenOff");
    // a record of TLS that begins a handshake
    assert_eq!(server.seen(), ["0x16"]);
}
