//! Properties of every address, against the predicates of the standard library.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tatami_outbound::{AllowList, Outbound, shown};

use crate::{Names, strict};

fn client() -> Outbound {
    strict(&Names::default())
}

fn refused(host: &str) -> bool {
    client().check(&format!("https://{host}/")).is_err()
}

fn special_v4(ip: Ipv4Addr) -> bool {
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
}

/// Any address, and such ones often that the predicates are about.
fn v4() -> impl Strategy<Value = Ipv4Addr> {
    let first = prop_oneof![
        Just([10, 0]),
        Just([127, 0]),
        Just([169, 254]),
        Just([172, 16]),
        Just([172, 31]),
        Just([192, 168]),
        Just([192, 0]),
        Just([198, 51]),
        Just([224, 0]),
        any::<[u8; 2]>(),
    ];
    (first, any::<[u8; 2]>()).prop_map(|([a, b], [c, d])| Ipv4Addr::new(a, b, c, d))
}

fn special() -> impl Strategy<Value = Ipv4Addr> {
    v4().prop_filter("special addresses only", |ip| special_v4(*ip))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    let prefix = prop_oneof![
        Just(0),
        Just(0xfc00),
        Just(0xfdff),
        Just(0xfe80),
        Just(0xfebf),
        Just(0xff02),
        any::<u16>(),
    ];
    (prefix, any::<[u16; 7]>())
        .prop_map(|(a, [b, c, d, e, f, g, h])| Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

fn halves(ip: Ipv4Addr) -> [u16; 2] {
    let [a, b, c, d] = ip.octets();
    [[a, b], [c, d]].map(u16::from_be_bytes)
}

proptest! {
    #[test]
    fn special_addresses_are_refused_however_they_are_written(ip in special()) {
        let [a, b, c, d] = ip.octets();
        let number = u32::from(ip);
        for host in [
            ip.to_string(),
            format!("{number}"),
            format!("{number:#x}"),
            format!("0{number:o}"),
            format!("{a:#x}.{b}.{c:#x}.0{d:o}"),
            format!("{a}.{}", number & 0xff_ffff),
            format!("{a}.{b}.{}", number & 0xffff),
            format!("{ip}."),
        ] {
            prop_assert!(refused(&host), "{host}");
        }
    }

    #[test]
    fn special_addresses_are_refused_inside_of_others(ip in special(), other in any::<Ipv4Addr>(), bits in any::<u16>()) {
        let [high, low] = halves(ip);
        let [x, y] = halves(other);
        for v6 in [
            ip.to_ipv6_mapped(),
            ip.to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, bits, bits, bits, high, low),
            Ipv6Addr::new(0x2002, high, low, bits, bits, bits, bits, bits),
            Ipv6Addr::new(0x2001, 0, high, low, bits, bits, x, y),
            Ipv6Addr::new(0x2001, 0, x, y, bits, bits, !high, !low),
        ] {
            let host = format!("[{v6}]");
            prop_assert!(refused(&host), "{host} carries {ip}");
        }
    }

    #[test]
    fn special_addresses_of_ipv6_are_refused(ip in v6()) {
        let special = ip.is_loopback() || ip.is_unspecified() || ip.is_multicast()
            || ip.is_unique_local() || ip.is_unicast_link_local()
            || ip.to_ipv4().is_some();
        if special {
            let host = format!("[{ip}]");
            prop_assert!(refused(&host), "{host}");
        }
    }

    #[test]
    fn most_of_the_public_network_is_not(a in 1..=223_u8, rest in any::<[u8; 3]>()) {
        let [b, c, d] = rest;
        let ip = Ipv4Addr::new(a, b, c, d);
        // the first octets in which nothing is special
        prop_assume!(![10, 100, 127, 168, 169, 172, 192, 198, 203].contains(&a));
        prop_assert!(!refused(&ip.to_string()));
    }

    #[test]
    fn any_text_may_come(text in ".*", host in "[a-z0-9.:@\\[\\]%_*-]{0,40}") {
        let url = format!("https://{host}/");
        for url in [&text, &host, &url] {
            let canonical = client().uri(url).map(|uri| uri.to_string());
            if let Ok(canonical) = canonical {
                prop_assert_eq!(client().uri(&canonical).unwrap().to_string(), canonical);
            }
            prop_assert!(!shown(url).contains(['?', '#']));
            let list = url.parse::<AllowList>();
            prop_assert!(list.is_ok() || !list.unwrap_err().to_string().is_empty());
        }
    }
}
