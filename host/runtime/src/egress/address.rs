//! What an IP address is: public, special, or the door to a machine's credentials. Pure; no lookups.
//!
//! An IPv6 address that carries an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by what it carries as well: the network
//! may translate it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A destination on the internet.
    Public,
    /// A range for local or particular use; the name says which.
    Special(&'static str),
    /// A cloud's metadata service.
    Metadata,
    /// No destination at all: unspecified, multicast, broadcast.
    Unusable,
}

/// Networks that are not public, from the registries of special-purpose addresses (RFC 6890 and its successors).
const SPECIAL_V4: [(Ipv4Addr, u8, &str); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared (carrier NAT)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

const SPECIAL_V6: [(Ipv6Addr, u8, &str); 11] = [
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "local NAT64"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discard"),
    (Ipv6Addr::new(0x2001, 0x2, 0, 0, 0, 0, 0, 0), 48, "benchmarking"),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28, "orchid"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "segment routing"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "unique local"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
];

/// Metadata services of the large clouds.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// What an address is.
pub fn classify(ip: IpAddr) -> Class {
    match ip {
        IpAddr::V4(ip) => classify_v4(ip),
        IpAddr::V6(ip) => classify_v6(ip),
    }
}

fn classify_v4(ip: Ipv4Addr) -> Class {
    if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
        return Class::Unusable;
    }
    if METADATA_V4.contains(&ip) {
        return Class::Metadata;
    }
    SPECIAL_V4
        .iter()
        .find(|(network, prefix, _)| within(IpAddr::V4(ip), IpAddr::V4(*network), *prefix))
        .map_or(Class::Public, |(_, _, name)| Class::Special(name))
}

fn classify_v6(ip: Ipv6Addr) -> Class {
    if ip.is_unspecified() || ip.is_multicast() {
        return Class::Unusable;
    }
    if METADATA_V6.contains(&ip) {
        return Class::Metadata;
    }
    if let Some(own) =
        SPECIAL_V6.iter().find(|(network, prefix, _)| bits_match(ip.to_bits(), network.to_bits(), *prefix, 128))
    {
        return Class::Special(own.2);
    }
    match carried(ip) {
        Some((inner, name)) => match classify_v4(inner) {
            // A mapped address is that IPv4 address; the other wrappings are no plain destination even around a public one.
            Class::Public if name == MAPPED => Class::Public,
            Class::Public => Class::Special(name),
            other => other,
        },
        None => Class::Public,
    }
}

const MAPPED: &str = "IPv4-mapped";

/// The IPv4 address inside an IPv6 one, and the way it is wrapped.
fn carried(ip: Ipv6Addr) -> Option<(Ipv4Addr, &'static str)> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) => Some((join(g, h), MAPPED)),
        (0, 0, 0, 0, 0, 0) => Some((join(g, h), "IPv4-compatible")),
        (0, 0, 0, 0, 0xffff, 0) => Some((join(g, h), "IPv4-translated")),
        (0x64, 0xff9b, 0, 0, 0, 0) => Some((join(g, h), "NAT64")),
        (0x2002, ..) => Some((join(b, c), "6to4")),
        // Teredo hides the client's address inverted.
        (0x2001, 0, ..) => Some((join(!g, !h), "Teredo")),
        // ISATAP: 0:5efe or 200:5efe before the address, under any prefix.
        (_, _, _, _, 0 | 0x200, 0x5efe) => Some((join(g, h), "ISATAP")),
        _ => None,
    }
}

/// An IPv4-mapped address as the IPv4 address it is, all others as they are.
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Whether an address is in a network, mapped ones by what they are.
pub fn within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (canonical(ip), canonical(network)) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            bits_match(u128::from(ip.to_bits()), u128::from(network.to_bits()), prefix.min(32), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => bits_match(ip.to_bits(), network.to_bits(), prefix.min(128), 128),
        _ => false,
    }
}

fn bits_match(left: u128, right: u128, prefix: u8, width: u32) -> bool {
    let rest = width.saturating_sub(u32::from(prefix));
    left.checked_shr(rest).unwrap_or(0) == right.checked_shr(rest).unwrap_or(0)
}
