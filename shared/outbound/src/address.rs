//! Which addresses can be reached from everywhere, and which ones hand out a cloud's credentials.
//!
//! After IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Everything in IPv4 that isn't globally reachable, and multicast.
const SPECIAL_V4: [Ipv4Net; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// The only part of IPv6 out of which global unicast addresses are given.
const UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);
/// Protocol assignments, which aren't for servers. Teredo is a part of them.
const PROTOCOLS: Ipv6Net = v6([0x2001, 0, 0, 0], 23);
const DOCUMENTATION: [Ipv6Net; 2] = [v6([0x2001, 0xdb8, 0, 0], 32), v6([0x3fff, 0, 0, 0], 20)];
/// Address ranges that carry an IPv4 address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0], 32);

/// Services that hand out credentials, or settings, to whoever asks from within a cloud.
const METADATA: [IpAddr; 10] = [
    // AWS, Google Cloud, Azure and many others
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    // tasks of ECS, pods of EKS
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    // Alibaba Cloud, Oracle Cloud, Azure's host, which has a public address
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Scaleway
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),
];

/// Names of such services.
pub(crate) const METADATA_NAMES: [&str; 2] = ["metadata.google.internal", "metadata.goog"];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b, c, d]: [u16; 4], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

/// Whether it can be reached from everywhere, as far as its number says. An address that carries an
/// IPv4 address for a gateway is as that one is; the forms that only stand for IPv4 within a machine aren't.
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            let unicast = UNICAST.contains(&address)
                && (!PROTOCOLS.contains(&address) || TEREDO.contains(&address))
                && !DOCUMENTATION.iter().any(|net| net.contains(&address));
            let carried = carried(address);
            (unicast || NAT64.contains(&address)) && carried.iter().all(|&v4| is_global(v4.into()))
        }
    }
}

/// Whether it's that of a cloud's metadata, or carries one that is.
pub(crate) fn is_metadata(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || matches!(address, IpAddr::V6(v6) if carried(v6).iter().any(|&v4| METADATA.contains(&v4.into())))
}

/// The IPv4 addresses in an IPv6 address: mapped and compatible ones, NAT64 (RFC 6052), 6to4 (RFC 3056),
/// Teredo's server and client (RFC 4380).
fn carried(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let segments = address.segments();
    let join = |at: usize| {
        let [high, low] = [segments[at], segments[at + 1]].map(u32::from);
        Ipv4Addr::from(high << 16 | low)
    };
    if NAT64.contains(&address) {
        vec![join(6)]
    } else if SIX_TO_FOUR.contains(&address) {
        vec![join(1)]
    } else if TEREDO.contains(&address) {
        vec![join(2), !join(6)]
    } else {
        address.to_ipv4().into_iter().collect()
    }
}
