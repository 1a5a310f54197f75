//! A name of DNS: by the host's own resolver, or by a server that the suite names (goss, system/dns.go).

use std::fmt::Write as _;

use super::{QuestionKind, SeenProperty, addr::host_and_port, dns_message as message, quote, text};
use crate::frames::AnswerFrame;
use assay_suite::Check;

/// See the file.
pub(super) const KIND: QuestionKind = QuestionKind { shell: &[include_str!("dns.sh")], ask, observe: dns, slow: true };

fn ask(check: &Check) -> String {
    let (kind, name) = kind_and_name(check.subject());
    if name.starts_with('-') {
        return "begin; a='.x name'; answer".to_owned();
    }
    let Some((server, port)) = server(check) else {
        return format!("ask_dns {}", quote(name));
    };
    let packets: Option<Vec<Vec<u8>>> = wanted(kind).iter().map(|kind| message::query(name, *kind)).collect();
    let Some(packets) = packets.filter(|_| !server.starts_with('-') && !port.starts_with('-')) else {
        return "begin; a='.x name'; answer".to_owned();
    };
    let mut line = format!("ask_dns_server {} {}", quote(server), quote(port));
    for packet in packets {
        write!(line, " '{}'", octal(&packet)).expect("writing to a String cannot fail");
    }
    line
}

/// `MX:example.org` into the kind of record and the name; without a server goss overlooks the kind.
fn kind_and_name(subject: &str) -> (&str, &str) {
    match subject.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_uppercase()) => (kind, name),
        _ => ("", subject),
    }
}

/// What is asked of a server: a kind that goss does not know is asked as no kind, for addresses of both sorts.
fn wanted(kind: &str) -> &'static [message::RecordKind] {
    use message::RecordKind::{A, Aaaa, Caa, Cname, Mx, Ns, Ptr, Srv, Txt};
    match kind {
        "A" => &[A],
        "AAAA" => &[Aaaa],
        "PTR" => &[Ptr],
        "CNAME" => &[Cname],
        "MX" => &[Mx],
        "NS" => &[Ns],
        "SRV" => &[Srv],
        "TXT" => &[Txt],
        "CAA" => &[Caa],
        _ => &[A, Aaaa],
    }
}

/// The server's host and port.
fn server(check: &Check) -> Option<(&str, &str)> {
    let server = text(check, "server")?;
    Some(host_and_port(server).unwrap_or_else(|| (server.trim_matches(['[', ']']), "53")))
}

fn octal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:03o}").expect("writing to a String cannot fail");
        text
    })
}

fn dns(check: &Check, property: &str, frame: &AnswerFrame) -> SeenProperty {
    let found = match frame.word('x') {
        Some("name") => return SeenProperty::Nothing("it is no name of DNS".into()),
        Some("none") => {
            return SeenProperty::unknown(
                "the host has neither a bash with /dev/udp, python3, perl nor nc to ask a server with",
            );
        }
        Some(_) => from_server(check, frame),
        None => from_resolver(frame),
    };
    match (property, found) {
        (_, Err(seen)) => seen,
        ("resolvable", Ok(addresses)) => SeenProperty::Value((!addresses.is_empty()).into()),
        (_, Ok(addresses)) => SeenProperty::Value(addresses.into()),
    }
}

/// The addresses, one a line; getent adds words after each.
fn from_resolver(frame: &AnswerFrame) -> Result<Vec<String>, SeenProperty> {
    let output = frame.text('o').unwrap_or_default();
    match frame.word('s') {
        Some("0") => {
            let first = output.lines().filter_map(|l| l.split_whitespace().next());
            // getent shows IPv4 addresses in IPv6 form where IPv6 ones are asked for.
            let mut found = sorted(first.filter(|a| !a.starts_with("::ffff:")).map(str::to_owned).collect());
            // … and each address once for each kind of socket.
            found.dedup();
            Ok(found)
        }
        Some("2") => Ok(Vec::new()),
        Some("124" | "137" | "143") => Err(SeenProperty::Nothing("no answer within its timeout".into())),
        Some("none") => {
            Err(SeenProperty::unknown("the host has neither python3, perl nor getent to ask its resolver with"))
        }
        Some(status) => Err(SeenProperty::unknown(format!("the host's resolver could not be asked (status {status})"))),
        None => Err(SeenProperty::unknown("the answer is missing")),
    }
}

fn from_server(check: &Check, frame: &AnswerFrame) -> Result<Vec<String>, SeenProperty> {
    let (kind, name) = kind_and_name(check.subject());
    let kinds = wanted(kind);
    let mut found = Vec::new();
    let mut silent = 0;
    for (kind, letter) in kinds.iter().zip(['q', 'w']) {
        match frame.bytes(letter) {
            Some([]) | None => silent += 1,
            Some(bytes) => match message::answers(bytes, name, *kind) {
                Some(records) => found.extend(records),
                None => return Err(SeenProperty::unknown("the server's answer cannot be read")),
            },
        }
    }
    if silent == kinds.len() {
        return Err(SeenProperty::Nothing("no answer from the server within its timeout".into()));
    }
    Ok(sorted(found))
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_stands_before_the_name() {
        assert_eq!(kind_and_name("MX:example.org"), ("MX", "example.org"));
        assert_eq!(kind_and_name("PTR:::1"), ("PTR", "::1"));
        for name in ["example.org", "mx:example.org", "::1", "M1:x"] {
            assert_eq!(kind_and_name(name), ("", name));
        }
        assert_eq!(octal(b"\0%a\xff"), r"\000\045\141\377");
    }
}
