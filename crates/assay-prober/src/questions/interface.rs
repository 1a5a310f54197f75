//! A network interface: /sys/class/net, and its addresses as `ip` tells them.

use std::net::IpAddr;

use super::{QuestionKind, SeenProperty, first_line, quote, wants};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("interface.sh")], ask, observe: interface, slow: false };

fn ask(check: &Check) -> String {
    let addresses = if wants(check, "addrs") { "a" } else { "" };
    // A name with a slash is no interface (dev_valid_name of the kernel), and would be a path in the script.
    let name = if check.subject().contains('/') || check.subject().starts_with('.') { "" } else { check.subject() };
    match name {
        "" => "begin; a='.x 0'; answer".to_owned(),
        name => format!("ask_interface {} '{addresses}'", quote(name)),
    }
}

fn interface(_: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    match (frame.word('x'), property) {
        (Some("1"), "exists") => SeenProperty::Value(true.into()),
        (Some("0"), "exists") => SeenProperty::Value(false.into()),
        (Some("0"), _) => SeenProperty::Nothing("there is no such interface".into()),
        (Some("1"), "mtu") => match frame.word('m').and_then(|m| m.parse::<u32>().ok()) {
            Some(mtu) => SeenProperty::Value(mtu.into()),
            None => SeenProperty::unknown("/sys/class/net does not tell its mtu"),
        },
        (Some("1"), _) => {
            let output = frame.text('o').unwrap_or_default();
            match frame.word('s') {
                Some("0") => SeenProperty::Value(addresses(&output).into()),
                Some("none") => SeenProperty::unknown("the host has no ip (iproute2 or busybox) to tell addresses"),
                _ => SeenProperty::unknown(format!("ip said: {}", first_line(&output))),
            }
        }
        _ => SeenProperty::unknown("the host does not show its interfaces in /sys/class/net"),
    }
}

/// `ip addr show`: lines of `inet 10.0.0.5/24 …`, or of `inet 10.0.0.5 peer 10.0.0.6/32 …`, where the length stands at the
/// other end's address. In goss's words: the own address and the length of the prefix.
fn addresses(output: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (own, with_length) = match words.as_slice() {
            ["inet" | "inet6", own, "peer", peer, ..] => (*own, *peer),
            ["inet" | "inet6", own, ..] => (*own, *own),
            _ => continue,
        };
        let address = own.split('/').next().and_then(|a| a.parse::<IpAddr>().ok());
        let length = with_length.split_once('/').and_then(|(_, l)| l.parse::<u8>().ok()).filter(|l| *l <= 128);
        if let (Some(address), Some(length)) = (address, length) {
            found.push(format!("{address}/{length}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_goss_form() {
        let output = "2: eth0: <BROADCAST,MULTICAST,UP> mtu 9001 qdisc fq state UP\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n    altname enp0s5\n    inet 10.0.0.5/24 metric 100 brd 10.0.0.255 scope global dynamic eth0\n       valid_lft 3000sec preferred_lft 3000sec\n    inet 10.9.0.1 peer 10.9.0.2/32 scope global eth0\n    inet6 fe80::0:1/64 scope link\n    inet6 nonsense/64\n    inet 10.0.0.9/999\n    inet\n";
        assert_eq!(addresses(output), ["10.0.0.5/24", "10.9.0.1/32", "fe80::1/64"]);
    }
}
