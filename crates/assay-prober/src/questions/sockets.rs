//! The kernel's lists of sockets, /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp in the kernel's documentation):
//! addresses in hexadecimal, each 32-bit word in the host's byte order.

use std::net::{Ipv4Addr, Ipv6Addr};

/// TCP_LISTEN of the kernel's net/tcp_states.h.
const LISTEN: &str = "0A";

/// The local addresses, in the list's order, of the sockets in `table` that listen on `port`; for UDP, of all sockets
/// of that port. `family` is tcp, tcp6, udp or udp6. Addresses are worded as goss words them: in capitals, and an IPv4
/// address in an IPv6 one as the former. Lines that cannot be read are left out.
pub(super) fn listening(table: &str, family: &str, port: u16) -> Vec<String> {
    let tcp = family.starts_with("tcp");
    let mut found = Vec::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, this_state, ..] = words.as_slice() else { continue };
        let Some((address, this_port)) = local.split_once(':') else { continue };
        if (tcp && !this_state.eq_ignore_ascii_case(LISTEN)) || u16::from_str_radix(this_port, 16) != Ok(port) {
            continue;
        }
        let address = if family.ends_with('6') { ipv6(address) } else { ipv4(address) };
        found.extend(address);
    }
    found
}

/// An IPv4 address from one word.
pub(super) fn ipv4(hex: &str) -> Option<String> {
    let word = Some(hex).filter(|h| h.len() == 8)?;
    Some(Ipv4Addr::from(u32::from_str_radix(word, 16).ok()?.to_le_bytes()).to_string())
}

/// An IPv6 address from four words.
pub(super) fn ipv6(hex: &str) -> Option<String> {
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
        let word = u32::from_str_radix(&hex[at * 8..at * 8 + 8], 16).ok()?;
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    let address = Ipv6Addr::from(bytes);
    Some(address.to_ipv4_mapped().map_or_else(|| address.to_string().to_ascii_uppercase(), |mapped| mapped.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000\n   1: 0100007F:0016 00000000:0000 0A 0\n   2: 0100007F:0016 0100007F:D1A2 01 0\n   3: 0100007F:0017 00000000:0000 0A 0\n   4: 0100007F:0016 00000000:0000 0A 0\n   5: XYZ\n   6: 01:0016 0:0 0A\n";
    const TCP6: &str = "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n   1: 00000000000000000000000001000000:0016 0:0 0A 0\n   2: 0000000000000000FFFF00000100007F:0016 0:0 0A 0\n";

    #[test]
    fn only_what_listens_on_that_port() {
        assert_eq!(listening(TCP, "tcp", 22), ["0.0.0.0", "127.0.0.1", "127.0.0.1"]);
        assert_eq!(listening(TCP, "tcp", 23), ["127.0.0.1"]);
        assert!(listening(TCP, "tcp", 24).is_empty());
        assert_eq!(listening(TCP6, "tcp6", 22), ["::", "::1", "127.0.0.1"]);
        assert_eq!(listening("  9: 0100007F:0035 00000000:0000 07 0\n", "udp", 53), ["127.0.0.1"]);
        assert_eq!(listening("  9: 0100007F:0035 0100007F:0036 01 0\n", "udp", 53), ["127.0.0.1"], "connected");
        let link = "  1: 000080FE00000000FF005450000000FE:0016 0:0 0A 0\n";
        assert_eq!(listening(link, "tcp6", 22), ["FE80::5054:FF:FE00:0"]);
    }
}
