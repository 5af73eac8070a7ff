//! What is said of a URL before anybody is asked, and of addresses that a resolver gives.

use std::net::IpAddr;

use tatami_outbound::{Outbound, OutboundError};

use crate::{Names, get, kind, strict};

const REFUSED_V4: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.255",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    // metadata
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
];

const REFUSED_V6: &[&str] = &[
    "::",
    "::1",
    "::2",
    "::7f00:1",
    "::808:808",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.1.2.3",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:808:808::f5ff:fffe",
    "2001:0:a00:1::f7f7:f7f7",
    "2001:2::1",
    "2001:10::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a01:203::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fdff:ffff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:0:808:808::f7f7:f7f7",
    "2002:808:808::1",
    "2606:4700:4700::1111",
    "3ffe::1",
    "64:ff9b::8.8.8.8",
];

/// Hosts that aren't written as addresses usually are, and some that are none.
const WRITTEN: &[(&str, &str)] = &[
    ("a.example", "Ok"),
    ("A.Example.", "Ok"),
    ("bücher.example", "Ok"),
    ("xn--bcher-kva.example:8443", "Ok"),
    ("jira", "Ok"),
    ("134744072", "Ok"), // 8.8.8.8
    ("2130706433", "NotAllowed"),
    ("017700000001", "NotAllowed"),
    ("0x7f000001", "NotAllowed"),
    ("0X7F000001", "NotAllowed"),
    ("0177.0.0.1", "NotAllowed"),
    ("0x7f.1", "NotAllowed"),
    ("0x7f.0.0x0.01", "NotAllowed"),
    ("127.1", "NotAllowed"),
    ("127.0.1", "NotAllowed"),
    ("127.0.0.1.", "NotAllowed"),
    ("127.0.0.1:8080", "NotAllowed"),
    ("0", "NotAllowed"),
    ("0x", "NotAllowed"),
    ("10.1", "NotAllowed"),
    ("012.0.0.1", "NotAllowed"),
    ("2852039166", "NotAllowed"), // 169.254.169.254
    ("4294967295", "NotAllowed"),
    ("１２７.０.０.１", "NotAllowed"),
    ("127。0。0。1", "NotAllowed"),
    ("①②⑦.0.0.1", "NotAllowed"),
    ("%31%32%37.0.0.1", "NotAllowed"),
    ("localhost", "NotAllowed"),
    ("LocalHost.", "NotAllowed"),
    ("x.localhost", "NotAllowed"),
    ("ⓛocalhost", "NotAllowed"),
    ("%6c%6fcalhost", "NotAllowed"),
    ("[0:0:0:0:0:0:0:1]", "NotAllowed"),
    ("[::FFFF:7F00:1]", "NotAllowed"),
    ("metadata.google.internal", "Metadata"),
    ("Metadata.Google.Internal.", "Metadata"),
    ("metadata.goog:8080", "Metadata"),
    ("4294967296", "BadUrl"),
    ("256.0.0.1", "BadUrl"),
    ("1.2.3.4.5", "BadUrl"),
    ("09.0.0.1", "BadUrl"),
    ("0x7g.1", "BadUrl"), // what ends in a number is an address
    ("a.example:0", "BadUrl"),
    ("a.example:65536", "BadUrl"),
    ("a.example:x", "BadUrl"),
    ("u@a.example", "BadUrl"),
    ("u:p@a.example", "BadUrl"),
    (":p@a.example", "BadUrl"),
    ("a.example@127.0.0.1", "BadUrl"),
    ("a.example\\@127.0.0.1", "BadUrl"),
    ("a..example", "BadUrl"),
    ("a.example..", "BadUrl"),
    (".a.example", "BadUrl"),
    ("a_b<c.example", "BadUrl"),
    ("a b.example", "BadUrl"),
    ("a\t.example", "BadUrl"),
    ("a%00.example", "BadUrl"),
    ("a%2eexample", "Ok"),
    ("", "BadUrl"),
    (":443", "BadUrl"),
    ("[fe80::1%25eth0]", "BadUrl"),
    ("[fe80::1%eth0]", "BadUrl"),
    ("[::1", "BadUrl"),
    ("::1", "BadUrl"),
    ("[127.0.0.1]", "BadUrl"),
];

#[test]
fn hosts_as_they_are_written() {
    let client = strict(&Names::default());
    for (host, expected) in WRITTEN {
        let found = kind(client.check(&format!("https://{host}/x?y")));
        assert_eq!(&found, expected, "{host:?}");
    }
}

#[test]
fn addresses_that_are_written() {
    let client = strict(&Names::default());
    let url = |ip: &&str| match ip.parse().unwrap() {
        IpAddr::V4(ip) => format!("https://{ip}/"),
        IpAddr::V6(ip) => format!("https://[{ip}]/"),
    };
    for ip in REFUSED_V4.iter().chain(REFUSED_V6) {
        match client.check(&url(ip)) {
            Err(OutboundError::NotAllowed { address, .. }) => {
                assert_eq!(address, ip.parse::<IpAddr>().unwrap());
            }
            other => panic!("{ip}: {other:?}"),
        }
    }
    for ip in PUBLIC {
        assert!(client.check(&url(ip)).is_ok(), "{ip}");
    }
}

#[tokio::test]
async fn addresses_that_names_have() {
    for ip in REFUSED_V4.iter().chain(REFUSED_V6) {
        let names = Names::default().with("a.example", &[&[ip]]);
        match get(&strict(&names), "https://a.example/").await {
            Err(OutboundError::NotAllowed { host, address }) => {
                assert_eq!(host, "a.example");
                assert_eq!(address, ip.parse::<IpAddr>().unwrap());
            }
            other => panic!("{ip}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn one_address_that_is_refused_refuses_all() {
    for answer in [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]] {
        let names = Names::default().with("a.example", &[&answer]);
        let result = get(&strict(&names), "https://a.example/").await;
        assert_eq!(kind(result), "NotAllowed", "{answer:?}");
    }
    // also behind those that the client would ever try
    let mut many = vec!["8.8.8.8"; 40];
    many.push("127.0.0.1");
    let names = Names::default().with("a.example", &[&many]);
    let result = get(&strict(&names), "https://a.example/").await;
    assert_eq!(kind(result), "NotAllowed");
}

#[test]
fn schemes_and_forms() {
    let client = Outbound::new("a.example, 10.0.0.0/8".parse().unwrap());
    for (url, expected) in [
        ("https://a.example", "Ok"),
        ("HTTPS://a.example/", "Ok"),
        ("http://a.example/", "Ok"),
        ("http://a.example.:80/", "Ok"),
        ("http://10.1.2.3/", "Ok"),
        ("http://b.example/", "PlainHttp"),
        ("http://8.8.8.8/", "PlainHttp"),
        ("http://11.0.0.1/", "PlainHttp"),
        ("http://192.168.0.1/", "NotAllowed"),
        ("ftp://a.example/", "BadUrl"),
        ("file:///etc/passwd", "BadUrl"),
        ("gopher://a.example/", "BadUrl"),
        ("javascript:alert(1)", "BadUrl"),
        ("data:text/plain,x", "BadUrl"),
        ("a.example", "BadUrl"),
        ("a.example:443/x", "BadUrl"),
        ("//a.example/", "BadUrl"),
        ("/x", "BadUrl"),
        ("", "BadUrl"),
        ("https:a.example", "BadUrl"),
        ("https:/a.example", "BadUrl"),
        ("https:///a.example", "BadUrl"),
        (" https://a.example", "BadUrl"),
        ("https://a.example/\r\nX: y", "BadUrl"),
        ("https://a.example/a b", "BadUrl"),
    ] {
        assert_eq!(kind(client.check(url)), expected, "{url:?}");
    }
}

#[test]
fn a_url_becomes_what_a_request_takes() {
    let client = strict(&Names::default());
    for (url, expected) in [
        (
            "HTTPS://Bücher.Example.:443/ä?q=ö#x",
            "https://xn--bcher-kva.example/%C3%A4?q=%C3%B6",
        ),
        ("https://a.example:8443", "https://a.example:8443/"),
        ("https://0x8.0x8.0x8.0x8/a/../b", "https://8.8.8.8/b"),
    ] {
        assert_eq!(client.uri(url).unwrap().to_string(), expected);
    }
    assert_eq!(kind(client.uri("https://127.1/")), "NotAllowed");
}
