//! What kind of address a server has. Pure: nothing is looked up, nothing is dialled.
//!
//! The table is that of IANA's special-purpose registries (RFC 6890 and its updates), with the
//! addresses at which clouds tell machines their keys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who may dial an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Anybody: it is of the public internet.
    Public,
    /// Who asks for a server that the operator lists.
    Private,
    /// Who asks for it by the address itself, which the operator lists: here a machine is told its
    /// keys, and a name can be made to point anywhere.
    Metadata,
    /// Nobody: there is no one server there.
    Never,
}

const METADATA_V4: [Ipv4Addr; 7] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Who may dial `address`.
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    if METADATA_V4.contains(&address) {
        return Reach::Metadata;
    }
    match address.octets() {
        // This network; multicast; reserved, and the broadcast address among them.
        [0, ..] | [224..=255, ..] => Reach::Never,
        // Private (RFC 1918), loopback, link-local.
        [10, ..] | [127, ..] | [169, 254, ..] | [192, 168, ..] => Reach::Private,
        [172, second, ..] if second & 0xf0 == 16 => Reach::Private,
        // Shared by carriers (RFC 6598).
        [100, second, ..] if second & 0xc0 == 64 => Reach::Private,
        // Protocol assignments, documentation, benchmarking, the relay of 6to4.
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if METADATA_V6.contains(&address) {
        return Reach::Metadata;
    }
    if address.is_unspecified() || address.is_multicast() {
        return Reach::Never;
    }
    if address.is_loopback() {
        return Reach::Private;
    }
    if let Some(embedded) = embedded(address) {
        // Never public: who means an IPv4 server says so. Where the operator lists the server, it
        // is as far as what is embedded.
        return reach_v4(embedded).max(Reach::Private);
    }
    match address.segments() {
        // Unique local, link-local and what was site-local.
        [first, ..]
            if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0 =>
        {
            Reach::Private
        }
        // Protocol assignments (Teredo, benchmarking, ORCHID among them) and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => Reach::Private,
        [0x3fff, second, ..] if second < 0x1000 => Reach::Private,
        // Global unicast; what lies beyond is not assigned to servers.
        [first, ..] if first & 0xe000 == 0x2000 => Reach::Public,
        _ => Reach::Never,
    }
}

/// The IPv4 address that an IPv6 address stands for, to a system or to a gateway.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match [a, b, c, d, e, f] {
        // Compatible, mapped, translated (RFC 4291, RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            Some(v4(g, h))
        }
        // NAT64 of one's own (RFC 8215), whose tail depends on its gateway.
        [0x64, 0xff9b, 1, ..] => Some(v4(g, h)),
        // 6to4 (RFC 3056).
        [0x2002, ..] => Some(v4(b, c)),
        // Teredo (RFC 4380): the client's, with every bit turned.
        [0x2001, 0, ..] => Some(v4(!g, !h)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_address_has_its_reach() {
        use Reach::{Metadata, Never, Private, Public};
        for (text, expected) in [
            ("8.8.8.8", Public),
            ("1.1.1.1", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("192.0.1.1", Public),
            ("198.17.255.255", Public),
            ("198.20.0.0", Public),
            ("223.255.255.255", Public),
            ("0.0.0.0", Never),
            ("0.1.2.3", Never),
            ("10.0.0.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("127.0.0.1", Private),
            ("127.255.255.254", Private),
            ("169.254.0.1", Private),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("100.100.100.200", Metadata),
            ("168.63.129.16", Metadata),
            ("169.254.0.23", Metadata),
            ("169.254.0.22", Private),
            ("192.0.0.192", Metadata),
            ("192.0.0.191", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.0.0.8", Private),
            ("192.0.2.1", Private),
            ("192.88.99.1", Private),
            ("192.168.1.1", Private),
            ("198.18.0.1", Private),
            ("198.19.255.255", Private),
            ("198.51.100.7", Private),
            ("203.0.113.7", Private),
            ("224.0.0.1", Never),
            ("239.255.255.255", Never),
            ("240.0.0.1", Never),
            ("255.255.255.255", Never),
            ("2606:4700:4700::1111", Public),
            ("2a00:1450:4001::1", Public),
            ("2001:4860:4860::8888", Public),
            ("::", Never),
            ("::1", Private),
            ("::ffff:127.0.0.1", Private),
            ("::ffff:8.8.8.8", Private),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:192.0.0.192", Metadata),
            ("::ffff:0.0.0.0", Never),
            ("::127.0.0.1", Private),
            ("::2", Never),
            ("::ffff:0:10.0.0.1", Private),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::8.8.8.8", Private),
            ("64:ff9b::a9fe:a9fe", Metadata),
            ("64:ff9b:1::1", Never),
            ("64:ff9b:1::a00:1", Private),
            ("2002:7f00:1::", Private),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Private),
            ("2001:2::1", Private),
            ("2001:10::1", Private),
            ("2001:db8::1", Private),
            ("3fff:fff::1", Private),
            ("3fff:1000::1", Public),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("fe80::1", Private),
            ("febf::1", Private),
            ("fec0::1", Private),
            ("ff02::1", Never),
            ("100::1", Never),
            ("4000::1", Never),
            ("5f00::1", Never),
        ] {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }

    proptest! {
        /// However an IPv4 address is dressed up, it is never more reachable than it is plain, and
        /// never public.
        #[test]
        fn what_is_embedded_is_never_public(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            for dressed in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 1, 2, 3, 4, !high, !low),
            ] {
                let reach = reach(dressed.into());
                prop_assert!(reach >= Reach::Private && reach >= reach_v4(v4), "{dressed} as {v4}");
            }
        }
    }
}
