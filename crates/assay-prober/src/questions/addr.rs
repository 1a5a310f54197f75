//! Whether a connection to an address can be made from the host.

use super::{QuestionKind, SeenProperty, quote, text};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind =
    QuestionKind { shell: &[include_str!("addr.sh")], ask, observe: addr, slow: true };

/// Networks that Go dials and goss gives a fitting local address (goss, system/addr.go).
const NETWORKS: [&str; 4] = ["tcp", "tcp4", "tcp6", "udp"];

fn ask(check: &Check) -> String {
    let Some((network, host, port)) = parts(check.subject()) else {
        return "begin; a='.x form'; answer".to_owned();
    };
    let local = text(check, "local-address").unwrap_or_default();
    let timeout = check.timeout.as_secs_f64();
    format!("ask_addr {network} {} {} {} {timeout}", quote(host), quote(port), quote(local))
}

/// `tcp://[::1]:80` into network, host and port; without a network it is tcp.
fn parts(address: &str) -> Option<(&str, &str, &str)> {
    let (network, address) = address.split_once("://").unwrap_or(("tcp", address));
    let (host, port) = host_and_port(address)?;
    (NETWORKS.contains(&network) && !host.starts_with('-') && !port.starts_with('-')).then_some((network, host, port))
}

/// `host:port` or `[host]:port` (Go, net.SplitHostPort): a host with colons needs its brackets.
pub(super) fn host_and_port(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.is_empty()).then_some((host, port))
}

fn addr(check: &Check, _: &str, frame: &AnswerFrame) -> SeenProperty {
    // Python looks after the time itself, to the millisecond; the others are only ended after whole seconds.
    let late = frame.word('t') != Some("python3") && frame.elapsed.is_some_and(|elapsed| elapsed > check.timeout);
    match frame.word('x') {
        Some("1") if !late => SeenProperty::Value(true.into()),
        // What takes longer than its time is not reachable: that is what the time is for.
        Some("0" | "1") => SeenProperty::Value(false.into()),
        Some("form") => SeenProperty::unknown("only tcp://HOST:PORT, tcp4://, tcp6:// and udp:// can be asked about"),
        Some("none") => SeenProperty::unknown(
            "the host has neither python3, perl, a bash with /dev/tcp, nc nor curl that could try this connection",
        ),
        _ => SeenProperty::unknown("the answer is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_splits_them() {
        assert_eq!(parts("tcp://10.0.0.1:443"), Some(("tcp", "10.0.0.1", "443")));
        assert_eq!(parts("example.org:http"), Some(("tcp", "example.org", "http")));
        assert_eq!(parts("udp://[fe80::1%eth0]:53"), Some(("udp", "fe80::1%eth0", "53")));
        assert_eq!(parts("tcp6://[::1]:80"), Some(("tcp6", "::1", "80")));
        assert_eq!(parts(":80"), Some(("tcp", "", "80")));
        for wrong in ["10.0.0.1", "::1:80", "[::1]", "unix:///x", "tcp://-x:1", "tcp://x:", "x[y]:1"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }
}
