//! Everything that listens beyond loopback, against a list of what may. It owns the form of that list: `tcp:22`,
//! `udp:67-68`, `tcp:*`; TCP over IPv6 is TCP.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::Value;

use super::{QuestionKind, SeenProperty, sockets};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// The function that asks; the inventory asks for it too.
pub(crate) const SHELL: &str = include_str!("listening.sh");
/// See the file.
pub(super) const KIND: QuestionKind = QuestionKind { shell: &[SHELL], ask, observe, slow: false };

/// Each list of the kernel's, by the letter of its field.
const TABLES: [(char, &str, bool); 4] =
    [('t', "tcp", false), ('T', "tcp", true), ('u', "udp", false), ('U', "udp", true)];

fn ask(_: &Check) -> String {
    "ask_listening".to_owned()
}

/// One port that something listens on.
#[derive(Debug, Default)]
struct ListeningPort {
    addresses: Vec<String>,
    processes: Vec<String>,
}

/// One socket that listens, or takes datagrams from anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListeningSocket {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// As an address is written, in capitals.
    pub address: String,
    /// Its number.
    pub port: u16,
    /// The names of the processes that hold it; none where nobody can tell.
    pub processes: Vec<String>,
}

/// Every socket of an answer, those on loopback too. The error says why they are not known.
pub(crate) fn listeners(frame: &AnswerFrame) -> Result<Vec<ListeningSocket>, &'static str> {
    if frame.word('x') != Some("1") {
        return Err("the host does not show its sockets in /proc/net");
    }
    let owners = owners(frame);
    let mut found = Vec::new();
    for (letter, protocol, six) in TABLES {
        // grep's status where it finds nothing is 1.
        let table =
            frame.whole(letter, &[0, 1]).map_err(|_| "the host's list of sockets could not be read to its end")?;
        for line in table.lines() {
            let Some((address, port, inode)) = socket(line, six) else { continue };
            let processes = owners.get(inode).cloned().unwrap_or_default();
            found.push(ListeningSocket { protocol, address, port, processes });
        }
    }
    Ok(found)
}

fn observe(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let ports = match listeners(frame) {
        Ok(listeners) => ports(listeners),
        Err(why) => return SeenProperty::unknown(why),
    };
    if property == "ports" {
        return SeenProperty::Value(ports.keys().map(|(protocol, port)| format!("{protocol}:{port}")).collect());
    }
    let allow: Vec<&str> = check
        .parameters
        .get("allow")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let unexpected = ports.iter().filter(|((protocol, port), _)| !allow.iter().any(|a| allows(a, protocol, *port)));
    SeenProperty::Value(unexpected.map(|((protocol, port), it)| describe(protocol, *port, it)).collect())
}

fn describe(protocol: &str, port: u16, it: &ListeningPort) -> String {
    let whose = if it.processes.is_empty() { String::new() } else { format!(" ({})", it.processes.join(", ")) };
    format!("{protocol}:{port} on {}{whose}", it.addresses.join(", "))
}

/// Whether `tcp:22`, `tcp:8000-8100` or `tcp:*` means this port.
fn allows(pattern: &str, protocol: &str, port: u16) -> bool {
    let Some((family, ports)) = pattern.split_once(':') else { return false };
    if family.trim_end_matches('6') != protocol {
        return false;
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    ports == "*" || matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(a), Ok(b)) if (a..=b).contains(&port))
}

/// By port, without what listens on loopback only.
fn ports(listeners: Vec<ListeningSocket>) -> BTreeMap<(&'static str, u16), ListeningPort> {
    let mut ports: BTreeMap<(&'static str, u16), ListeningPort> = BTreeMap::new();
    for one in listeners.into_iter().filter(|one| !is_loopback(&one.address)) {
        let it = ports.entry((one.protocol, one.port)).or_default();
        it.addresses.extend(Some(one.address).filter(|a| !it.addresses.contains(a)));
        for name in one.processes {
            it.processes.extend(Some(name).filter(|n| !it.processes.contains(n)));
        }
    }
    ports
}

/// The local address and port, and the inode (tenth word), of a line of /proc/net/tcp and its like.
fn socket(line: &str, six: bool) -> Option<(String, u16, &str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    let address = if six { sockets::ipv6(address) } else { sockets::ipv4(address) }?;
    Some((address, u16::from_str_radix(port, 16).ok()?, words.get(9).copied().unwrap_or_default()))
}

/// Whether an address is reached from the host itself only.
pub(crate) fn is_loopback(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
        Err(_) => false,
    }
}

/// Names of processes by the sockets that they hold: `ls -l /proc/*/fd` says which, `comm` how they are called.
fn owners(frame: &AnswerFrame) -> BTreeMap<String, Vec<String>> {
    let names = frame.text('n').unwrap_or_default();
    let names: BTreeMap<&str, &str> =
        names.lines().filter_map(|line| line.strip_prefix("/proc/")?.split_once("/comm:")).collect();
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = frame.text('f').unwrap_or_default();
    let mut process = "";
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("/proc/").and_then(|l| l.strip_suffix("/fd:")) {
            process = of;
        } else if let Some(inode) = line.rsplit_once("socket:[").and_then(|(_, rest)| rest.strip_suffix(']')) {
            let holders = owners.entry(inode.to_owned()).or_default();
            let name = names.get(process).map_or_else(|| format!("process {process}"), |name| (*name).to_owned());
            holders.extend(Some(name).filter(|n| !holders.contains(n)));
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::questions::tests::{check, frame};

    const TCP: &str = "  0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 101 1\n  1: 0100007F:0019 00000000:0000 0A 0:0 0:0 0 0 0 102 1\n  2: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 33 0 103 1\n";
    const TCP6: &str = "  0: 00000000000000000000000000000000:1F90 0:0 0A 0:0 0:0 0 33 0 104 1\n  1: 00000000000000000000000001000000:0019 0:0 0A 0:0 0:0 0 0 0 105 1\n";
    const UDP: &str = "  0: 00000000:0044 00000000:0000 07 0:0 0:0 0 0 0 106 1\n";
    const HELD: &str = "/proc/7/fd:\nlrwx------ 1 root root 64 Nov 23 01:10 6 -> socket:[103]\nlrwx------ 1 root root 64 Nov 23 01:10 7 -> socket:[104]\n/proc/8/fd:\nlrwx------ 1 root root 64 Nov 23 01:10 6 -> socket:[103]\n";

    fn see(block: &str, property: &str) -> SeenProperty {
        see_tables(
            block,
            property,
            &[TCP, TCP6, UDP, ""].map(|table| format!("{table}end {}", u8::from(table.is_empty()))),
        )
    }

    fn see_tables(block: &str, property: &str, tables: &[String; 4]) -> SeenProperty {
        let [t, tcp6, u, udp6] = tables;
        let fields =
            [("x 1", ""), ("t", t), ("T", tcp6), ("u", u), ("U", udp6), ("f", HELD), ("n", "/proc/7/comm:nginx\n")];
        observe(&check(&format!("listening \"ports\" {{\n{block}\n}}")), property, &frame(&fields))
    }

    #[test]
    fn whatever_is_not_on_the_list() {
        assert_eq!(
            see("allow = [\"tcp:22\", \"udp:67-68\"]", "unexpected"),
            SeenProperty::Value(json!(["tcp:8080 on 0.0.0.0, :: (nginx, process 8)"]))
        );
        assert_eq!(see("allow = [\"tcp:*\", \"udp:*\"]", "unexpected"), SeenProperty::Value(json!([])));
        assert_eq!(
            see("allow = [\"tcp6:8080\", \"udp:22\", \"tcp\", \"x:68\", \"udp:x\"]", "unexpected"),
            SeenProperty::Value(json!(["tcp:22 on 0.0.0.0", "udp:68 on 0.0.0.0"]))
        );
        assert_eq!(see("ports = []", "ports"), SeenProperty::Value(json!(["tcp:22", "tcp:8080", "udp:68"])));
    }

    #[test]
    fn no_property_means_that_nothing_is_unexpected() {
        let check = check("listening \"ports\" { allow = [\"tcp:22\"] }");
        assert_eq!(check.properties.len(), 1);
        assert_eq!(check.properties[0].name, "unexpected");
        assert!(matches!(observe(&check, "unexpected", &frame(&[("x ?", "")])), SeenProperty::Unknown(_)));
        for broken in ["", "end 2", "  0: 00000000:0016 00000000:0000 0A"] {
            let tables = [broken, "end 1", "end 1", "end 1"].map(str::to_owned);
            assert!(
                matches!(see_tables("allow = [\"tcp:*\"]", "unexpected", &tables), SeenProperty::Unknown(_)),
                "{broken:?}"
            );
        }
    }
}
