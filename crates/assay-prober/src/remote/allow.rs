//! What a remote prober may dial. It owns the list that the operator wrote, and the addresses that no list can allow: the server itself and what is only near
//! to it (loopback, link-local with the metadata service, multicast), in every spelling. Names are never resolved here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use assay_config::settings::CidrBlock;

/// The targets that a server takes.
#[derive(Debug, Clone)]
pub struct AllowedTargets {
    /// At least one.
    pub blocks: Vec<CidrBlock>,
    /// At least one.
    pub ports: Vec<u16>,
    /// `--allow-loopback-for-tests`: this machine itself may be dialled where `blocks` hold the address.
    pub own_machine: bool,
}

impl AllowedTargets {
    /// Whether `address` at `port` may be dialled; the error says why not.
    pub fn check(&self, address: &str, port: u32) -> Result<(), String> {
        let ip: IpAddr =
            address.parse().map_err(|_| "the target is no IP address; names are not resolved here".to_owned())?;
        if let Some(kind) = never(ip) {
            let own = matches!(kind, AddressKind::Loopback);
            if !(own && self.own_machine) {
                return Err(format!("{ip} may not be dialled: it is {}", kind.words()));
            }
        }
        if !self.own_machine && is_own(ip) {
            return Err(format!("{ip} may not be dialled: it is the prober's own address"));
        }
        if !self.blocks.iter().any(|block| contains(block, ip)) {
            return Err(format!("{ip} is in no block of --allow-target"));
        }
        if !self.ports.iter().any(|allowed| u32::from(*allowed) == port) {
            return Err(format!("port {port} is not in --allow-port"));
        }
        Ok(())
    }
}

/// Whether this machine takes any address for its own (sysctl `net.ipv4.ip_nonlocal_bind`): then its own ones cannot be told from others.
pub(super) fn takes_any_address() -> bool {
    // TEST-NET-1 (RFC 5737) and the documentation prefix (RFC 3849) are nobody's.
    is_own(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
        || is_own(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))
}

/// Whether the address is one of this machine's: only those can be bound to. Asked each time, since addresses come and go.
fn is_own(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Addresses that are never a machine to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressKind {
    Loopback,
    LinkLocal,
    Metadata,
    Multicast,
    Nowhere,
    Disguised,
}

impl AddressKind {
    fn words(self) -> &'static str {
        match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address, where the metadata service is",
            Self::Metadata => "an address of the VPC's own services",
            Self::Multicast => "a multicast or broadcast address",
            Self::Nowhere => "no address of a machine",
            Self::Disguised => "an IPv4 address written as IPv6; write it as IPv4",
        }
    }
}

fn never(ip: IpAddr) -> Option<AddressKind> {
    match ip {
        IpAddr::V4(ip) => never_v4(ip),
        IpAddr::V6(ip) => never_v6(ip),
    }
}

/// IANA's special-purpose registry (RFC 6890), as far as it is about this machine and its link.
fn never_v4(ip: Ipv4Addr) -> Option<AddressKind> {
    let first = ip.octets()[0];
    if ip.is_loopback() {
        Some(AddressKind::Loopback)
    } else if ip.is_link_local() {
        Some(AddressKind::LinkLocal)
    } else if ip.is_multicast() || ip.is_broadcast() {
        Some(AddressKind::Multicast)
    } else if first == 0 || first >= 240 {
        Some(AddressKind::Nowhere)
    } else {
        None
    }
}

fn never_v6(ip: Ipv6Addr) -> Option<AddressKind> {
    let parts = ip.segments();
    match parts {
        _ if ip.is_loopback() => Some(AddressKind::Loopback),
        _ if ip.is_unspecified() => Some(AddressKind::Nowhere),
        // Mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1), translated (RFC 2765), NAT64 (RFC 6052, RFC 8215), Teredo (RFC 4380), 6to4 (RFC 3056): each ends
        // up at an IPv4 address that the list did not see.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => {
            Some(AddressKind::Disguised)
        }
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] | [0x2002, ..] => Some(AddressKind::Disguised),
        // EC2's metadata, resolver and clock over IPv6 (EC2 User Guide, "Instance metadata").
        [0xfd00, 0xec2, ..] => Some(AddressKind::Metadata),
        _ if ip.is_multicast() => Some(AddressKind::Multicast),
        // Link-local, and site-local, which was withdrawn (RFC 3879).
        [first, ..] if first & 0xff80 == 0xfe80 => Some(AddressKind::LinkLocal),
        _ => None,
    }
}

fn contains(block: &CidrBlock, ip: IpAddr) -> bool {
    let (network, address, width) = match (block.address, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (u128::from(u32::from(network)), u128::from(u32::from(ip)), 32),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (u128::from(network), u128::from(ip), 128),
        _ => return false,
    };
    let rest = width - u32::from(block.prefix).min(width);
    // Shifting by the whole width is no shift at all.
    network.checked_shr(rest).unwrap_or(0) == address.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_config::units::cidr;

    fn targets(blocks: &[&str]) -> AllowedTargets {
        AllowedTargets {
            blocks: blocks.iter().filter_map(|b| cidr(b)).collect(),
            ports: vec![22, 2222],
            own_machine: false,
        }
    }

    #[test]
    fn only_what_the_blocks_hold() {
        let targets = targets(&["10.20.0.0/16", "2001:db8:1::/48", "192.0.2.7/32"]);
        for good in ["10.20.0.1", "10.20.255.255", "2001:db8:1:ffff::1", "192.0.2.7"] {
            assert_eq!(targets.check(good, 22), Ok(()), "{good}");
        }
        for bad in ["10.21.0.1", "192.0.2.8", "2001:db8:2::1", "8.8.8.8"] {
            assert!(targets.check(bad, 22).expect_err("refused").contains("--allow-target"), "{bad}");
        }
        assert_eq!(targets.check("10.20.0.1", 2222), Ok(()));
        for port in [23, 0, 65_558] {
            assert!(targets.check("10.20.0.1", port).expect_err("refused").contains("--allow-port"), "{port}");
        }
        for name in ["", "localhost", "host.example", "10.20.1", "0x7f000001", "10.20.0.1:22", "fe80::1%eth0"] {
            assert!(targets.check(name, 22).expect_err("refused").contains("no IP address"), "{name}");
        }
    }

    #[test]
    fn no_list_allows_what_is_never_a_target() {
        let everything = targets(&["0.0.0.0/0", "::/0"]);
        for (address, why) in [
            ("127.0.0.1", "loopback"),
            ("127.255.0.9", "loopback"),
            ("::1", "loopback"),
            ("0.0.0.0", "no address"),
            ("0.1.2.3", "no address"),
            ("::", "no address"),
            ("169.254.169.254", "metadata"),
            ("169.254.1.1", "link-local"),
            ("fd00:ec2::254", "VPC"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "link-local"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("255.255.255.255", "multicast"),
            ("240.0.0.1", "no address"),
            ("ff02::1", "multicast"),
            ("::ffff:127.0.0.1", "written as IPv6"),
            ("::ffff:169.254.169.254", "written as IPv6"),
            ("::ffff:a9fe:a9fe", "written as IPv6"),
            ("::ffff:8.8.8.8", "written as IPv6"),
            ("::127.0.0.1", "written as IPv6"),
            ("::ffff:0:127.0.0.1", "written as IPv6"),
            ("64:ff9b::7f00:1", "written as IPv6"),
            ("2002:7f00:1::", "written as IPv6"),
            ("2001:0:7f00:1::", "written as IPv6"),
        ] {
            let refused = everything.check(address, 22).expect_err(address);
            assert!(refused.contains(why), "{address}: {refused}");
        }
        assert_eq!(everything.check("8.8.8.8", 22), Ok(()));
        assert_eq!(everything.check("2600:1f18::1", 22), Ok(()));
    }

    #[test]
    fn the_own_machine_only_by_its_flag_and_the_list() {
        let tests = AllowedTargets { own_machine: true, ..targets(&["127.0.0.0/8"]) };
        assert_eq!(tests.check("127.0.0.1", 22), Ok(()));
        assert!(tests.check("::1", 22).is_err(), "not in the list");
        assert!(tests.check("::ffff:127.0.0.1", 22).is_err(), "still disguised");
        assert!(tests.check("169.254.169.254", 22).is_err());
        assert!(is_own(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!is_own(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))), "needs net.ipv4.ip_nonlocal_bind = 0");
        assert!(!takes_any_address());
    }
}
