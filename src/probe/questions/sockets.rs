//! The kernel's lists of sockets, /proc/net/{tcp,tcp6,udp,udp6} (proc_net_tcp in the kernel's documentation):
//! addresses in hexadecimal, each 32-bit word in the host's byte order.

use std::net::{Ipv4Addr, Ipv6Addr};

/// TCP_LISTEN and TCP_CLOSE of the kernel's net/tcp_states.h; an unconnected UDP socket is in the latter.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

/// The local addresses, in the list's order without repeats, of the sockets in `table` that listen on `port`. `family`
/// is tcp, tcp6, udp or udp6. Lines that cannot be read are left out.
pub(super) fn listening(table: &str, family: &str, port: u16) -> Vec<String> {
    let state = if family.starts_with("tcp") { LISTEN } else { UNCONNECTED };
    let mut found = Vec::new();
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, this_state, ..] = words.as_slice() else { continue };
        let Some((address, this_port)) = local.split_once(':') else { continue };
        if !this_state.eq_ignore_ascii_case(state) || u16::from_str_radix(this_port, 16) != Ok(port) {
            continue;
        }
        let address = if family.ends_with('6') { ipv6(address) } else { ipv4(address) };
        found.extend(address.filter(|a| !found.contains(a)));
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
    Some(Ipv6Addr::from(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000\n   1: 0100007F:0016 00000000:0000 0A 0\n   2: 0100007F:0016 0100007F:D1A2 01 0\n   3: 0100007F:0017 00000000:0000 0A 0\n   4: 0100007F:0016 00000000:0000 0A 0\n   5: XYZ\n   6: 01:0016 0:0 0A\n";
    const TCP6: &str = "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n   1: 00000000000000000000000001000000:0016 0:0 0A 0\n   2: 0000000000000000FFFF00000100007F:0016 0:0 0A 0\n";

    #[test]
    fn only_what_listens_on_that_port() {
        assert_eq!(listening(TCP, "tcp", 22), ["0.0.0.0", "127.0.0.1"]);
        assert_eq!(listening(TCP, "tcp", 23), ["127.0.0.1"]);
        assert!(listening(TCP, "tcp", 24).is_empty());
        assert!(listening(TCP, "udp", 22).is_empty());
        assert_eq!(listening(TCP6, "tcp6", 22), ["::", "::1", "::ffff:127.0.0.1"]);
        assert_eq!(listening("  9: 0100007F:0035 00000000:0000 07 0\n", "udp", 53), ["127.0.0.1"]);
    }
}
