//! Spellings of hosts that must not lead inside, and some that are public. Pure: nothing is dialled.

use runtime::address::{Class, classify};
use std::net::IpAddr;

fn check(host: &str, expected: &str) {
    let url = url::Url::parse(&format!("http://{host}/")).unwrap_or_else(|error| panic!("{host}: {error}"));
    let ip = match url.host() {
        Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip),
        other => panic!("{host} was read as {other:?}"),
    };
    let found = match classify(ip) {
        Class::Public => "public",
        Class::Special(name) => name,
        Class::Metadata => "metadata",
        Class::Unusable => "unusable",
    };
    assert_eq!(found, expected, "{host} is {ip}");
}

#[test]
fn all_spellings_are_seen_through() {
    for (host, expected) in [
        // Loopback in every base and length.
        ("127.0.0.1", "loopback"),
        ("127.0.0.1.", "loopback"),
        ("127.1", "loopback"),
        ("127.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f000001", "loopback"),
        ("0x7f.1", "loopback"),
        ("0X7F.0.0.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("017700000001", "loopback"),
        ("%31%32%37.0.0.1", "loopback"),
        ("１２７.０.０.１", "loopback"),
        ("127。0。0。1", "loopback"),
        ("[::1]", "loopback"),
        ("[0:0:0:0:0:0:0:1]", "loopback"),
        ("[0000:0000:0000:0000:0000:0000:0000:0001]", "loopback"),
        ("[::0.0.0.1]", "loopback"),
        ("[::ffff:127.0.0.1]", "loopback"),
        ("[::ffff:7f00:1]", "loopback"),
        ("[::127.0.0.1]", "loopback"),
        ("[64:ff9b::127.0.0.1]", "loopback"),
        ("[64:ff9b::7f00:1]", "loopback"),
        ("[2002:7f00:1::]", "loopback"),
        ("[2001:0:0:0:0:0:80ff:fffe]", "loopback"),
        ("[::ffff:0:127.0.0.1]", "loopback"),
        ("[2001:470::5efe:127.0.0.1]", "loopback"),
        ("[2001:470::200:5efe:127.0.0.1]", "loopback"),
        // Private and shared.
        ("10.0.0.1", "private"),
        ("10.255.255.255", "private"),
        ("0xa000001", "private"),
        ("012.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("192.168.257", "private"),
        ("3232235777", "private"),
        ("100.64.0.1", "shared (carrier NAT)"),
        ("100.127.255.255", "shared (carrier NAT)"),
        ("[::ffff:10.0.0.1]", "private"),
        ("[64:ff9b::10.0.0.1]", "private"),
        ("[2002:c0a8:101::1]", "private"),
        ("[fc00::1]", "unique local"),
        ("[fdff:ffff::1]", "unique local"),
        ("[64:ff9b:1::1]", "local NAT64"),
        // Link-local.
        ("169.254.0.1", "link-local"),
        ("[fe80::1]", "link-local"),
        ("[febf::1]", "link-local"),
        ("[fec0::1]", "site-local"),
        ("[::ffff:169.254.1.1]", "link-local"),
        // Metadata services.
        ("169.254.169.254", "metadata"),
        ("2852039166", "metadata"),
        ("0xa9fea9fe", "metadata"),
        ("0251.0376.0251.0376", "metadata"),
        ("[::ffff:169.254.169.254]", "metadata"),
        ("[64:ff9b::169.254.169.254]", "metadata"),
        ("[2002:a9fe:a9fe::]", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("192.0.0.192", "metadata"),
        ("[fd00:ec2::254]", "metadata"),
        ("[fd20:ce::254]", "metadata"),
        // No destination.
        ("0.0.0.0", "unusable"),
        ("0", "unusable"),
        ("0x0", "unusable"),
        ("[::]", "unusable"),
        ("[::ffff:0.0.0.0]", "unusable"),
        ("224.0.0.1", "unusable"),
        ("239.255.255.255", "unusable"),
        ("255.255.255.255", "unusable"),
        ("[ff02::1]", "unusable"),
        // Set apart.
        ("0.1.2.3", "this network"),
        ("192.0.0.1", "protocol assignments"),
        ("192.0.2.1", "documentation"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("192.88.99.1", "6to4 relay"),
        ("240.0.0.1", "reserved"),
        ("[2001:db8::1]", "documentation"),
        ("[3fff::1]", "documentation"),
        ("[100::1]", "discard"),
        ("[2001:2::1]", "benchmarking"),
        ("[5f00::1]", "segment routing"),
        ("[2002:808:808::1]", "6to4"),
        ("[64:ff9b::8.8.8.8]", "NAT64"),
        // Public, next to the edges.
        ("8.8.8.8", "public"),
        ("126.255.255.255", "public"),
        ("128.0.0.1", "public"),
        ("172.15.255.255", "public"),
        ("172.32.0.1", "public"),
        ("100.63.255.255", "public"),
        ("100.128.0.1", "public"),
        ("169.253.0.1", "public"),
        ("169.255.0.1", "public"),
        ("192.169.0.1", "public"),
        ("11.0.0.1", "public"),
        ("[2606:4700::1111]", "public"),
        ("[2a00:1450::1]", "public"),
        ("[::ffff:8.8.8.8]", "public"),
    ] {
        check(host, expected);
    }
}
