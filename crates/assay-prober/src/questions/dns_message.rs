//! Messages of DNS (RFC 1035 section 4): a question as bytes, and what a server's answer says. It owns the wording of
//! records, goss's (system/dns.go); every byte of an answer may be anything.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The kinds of records, with their numbers (IANA, DNS Resource Record types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    A = 1,
    Ns = 2,
    Cname = 5,
    Ptr = 12,
    Mx = 15,
    Txt = 16,
    Aaaa = 28,
    Srv = 33,
    Caa = 257,
}

/// Any number does: whoever could answer before the server could answer in its place.
const ID: [u8; 2] = [0x61, 0x73];
/// Section 4.1.1: a standard query, recursion desired, one question.
const HEAD: [u8; 10] = [0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const CLASS_IN: u16 = 1;
/// As many jumps in one name as no honest server needs.
const MAX_JUMPS: usize = 32;
/// The longest name (section 2.3.4).
const MAX_NAME: usize = 255;

/// A question for `name`; for [`RecordKind::Ptr`] the name is an address. `None`: it is neither.
pub(super) fn query(name: &str, kind: RecordKind) -> Option<Vec<u8>> {
    let reverse;
    let name = match kind {
        RecordKind::Ptr => {
            reverse = reversed(name.parse().ok()?);
            reverse.as_str()
        }
        _ => name,
    };
    let mut packet = [&ID[..], &HEAD].concat();
    for label in name.strip_suffix('.').unwrap_or(name).split('.').filter(|_| !matches!(name, "." | "")) {
        let length = u8::try_from(label.len()).ok().filter(|l| (1..=63).contains(l))?;
        packet.push(length);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    if packet.len() - ID.len() - HEAD.len() > MAX_NAME {
        return None;
    }
    packet.extend_from_slice(&(kind as u16).to_be_bytes());
    packet.extend_from_slice(&CLASS_IN.to_be_bytes());
    Some(packet)
}

/// The name under which an address has its own name (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(it) => {
            let mut name = String::new();
            for byte in it.octets().iter().rev() {
                write!(name, "{:x}.{:x}.", byte & 15, byte >> 4).expect("writing to a String cannot fail");
            }
            name + "ip6.arpa"
        }
    }
}

/// The records of `kind` in an answer to [`query`] of the same, as goss words them; none where the server says that
/// there are none. `None`: this is no answer to that question.
pub(super) fn answers(packet: &[u8], name: &str, kind: RecordKind) -> Option<Vec<String>> {
    let asked = query(name, kind)?;
    let mut reader = MessageReader { packet, at: 2 };
    let flags = reader.number()?;
    let (questions, count) = (reader.number()?, reader.number()?);
    if packet.get(..2) != Some(&ID[..]) || flags & 0x8000 == 0 || questions > 1 {
        return None;
    }
    reader.at = 12;
    if questions == 1 {
        let same = packet.get(12..asked.len()).is_some_and(|q| q.eq_ignore_ascii_case(&asked[12..]));
        if !same {
            return None;
        }
        reader.at = asked.len();
    }
    let mut found = Vec::new();
    for _ in 0..count {
        reader.name()?;
        let (this, class) = (reader.number()?, reader.number()?);
        reader.take(4)?;
        let length = usize::from(reader.number()?);
        let end = reader.at.checked_add(length).filter(|end| *end <= packet.len())?;
        if this == kind as u16 && class == CLASS_IN {
            // What a name points at may stand before, but nothing of a record goes past its end.
            let mut data = MessageReader { packet: &packet[..end], at: reader.at };
            data.record(kind, &mut found)?;
        }
        reader.at = end;
    }
    Some(found)
}

struct MessageReader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> MessageReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.packet.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = self.packet.get(self.at..).unwrap_or_default();
        self.at = self.packet.len();
        rest
    }

    /// A name with its last dot; characters that a dot or a quote could be confused with are escaped (section 5.1).
    fn name(&mut self) -> Option<String> {
        let mut text = String::new();
        let (mut jumps, mut behind) = (0, None);
        loop {
            let length = self.byte()?;
            match length {
                0 => break,
                1..=63 => {
                    for byte in self.take(usize::from(length))? {
                        push(&mut text, *byte, b".()@;'\" \\");
                    }
                    text.push('.');
                }
                192.. => {
                    let to = usize::from(length & 63) << 8 | usize::from(self.byte()?);
                    behind.get_or_insert(self.at);
                    self.at = to;
                    jumps += 1;
                }
                _ => return None,
            }
            if jumps > MAX_JUMPS || text.len() > 4 * MAX_NAME {
                return None;
            }
        }
        self.at = behind.unwrap_or(self.at);
        Some(if text.is_empty() { ".".into() } else { text })
    }

    /// One record's data.
    fn record(&mut self, kind: RecordKind, found: &mut Vec<String>) -> Option<()> {
        match kind {
            RecordKind::A => found.push(Ipv4Addr::from(<[u8; 4]>::try_from(self.rest()).ok()?).to_string()),
            RecordKind::Aaaa => found.push(Ipv6Addr::from(<[u8; 16]>::try_from(self.rest()).ok()?).to_string()),
            RecordKind::Ns | RecordKind::Cname | RecordKind::Ptr => found.push(self.name()?),
            RecordKind::Mx => found.push(format!("{} {}", self.number()?, self.name()?)),
            RecordKind::Srv => {
                let (priority, weight, port) = (self.number()?, self.number()?, self.number()?);
                found.push(format!("{priority} {weight} {port} {}", self.name()?));
            }
            RecordKind::Txt => {
                while self.at < self.packet.len() {
                    let length = self.byte()?;
                    found.push(plain(self.take(usize::from(length))?));
                }
            }
            RecordKind::Caa => {
                let (flags, length) = (self.byte()?, self.byte()?);
                let tag = plain(self.take(usize::from(length))?);
                found.push(format!("{flags} {tag} {}", String::from_utf8_lossy(self.rest())));
            }
        }
        Some(())
    }
}

/// A text of a record: bytes that are no visible characters as `\DDD`, a quote and a backslash with one before.
fn plain(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        push(&mut text, *byte, b"\"\\");
        text
    })
}

fn push(text: &mut String, byte: u8, marked: &[u8]) {
    match byte {
        _ if marked.contains(&byte) => {
            text.push('\\');
            text.push(char::from(byte));
        }
        b' '..=b'~' => text.push(char::from(byte)),
        _ => write!(text, "\\{byte:03}").expect("writing to a String cannot fail"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to the question for `name`, with these records: their kind and their data. Names in data may point
    /// at offset 12, the question's name.
    fn answer(name: &str, kind: RecordKind, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut packet = query(name, kind).expect("a name");
        packet[2] = 0x81;
        packet[3] = 0x80;
        packet[7] = u8::try_from(records.len()).expect("few");
        for (kind, data) in records {
            packet.extend_from_slice(&[0xc0, 12]);
            packet.extend_from_slice(&kind.to_be_bytes());
            packet.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            packet.extend_from_slice(&u16::try_from(data.len()).expect("short").to_be_bytes());
            packet.extend_from_slice(data);
        }
        packet
    }

    #[test]
    fn questions_are_what_rfc_1035_says() {
        assert_eq!(
            query("a.bc", RecordKind::Mx).expect("a name"),
            b"as\x01\0\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x0f\0\x01"
        );
        assert_eq!(query("a.bc.", RecordKind::Mx), query("a.bc", RecordKind::Mx));
        assert_eq!(query(".", RecordKind::Ns).expect("the root").len(), 17);
        assert!(query(&"a".repeat(64), RecordKind::A).is_none() && query("a..b", RecordKind::A).is_none());
        assert!(query(&"a.".repeat(200), RecordKind::A).is_none() && query("no address", RecordKind::Ptr).is_none());
        assert_eq!(reversed("10.0.0.1".parse().expect("one")), "1.0.0.10.in-addr.arpa");
        assert!(
            reversed("2001:db8::1".parse().expect("one")).starts_with("1.0.0.0.")
                && query("::1", RecordKind::Ptr).is_some()
        );
    }

    #[test]
    fn records_are_worded_as_goss_words_them() {
        let one = |kind: RecordKind, data: &[u8]| answers(&answer("a.bc", kind, &[(kind as u16, data)]), "A.bc", kind);
        assert_eq!(one(RecordKind::A, &[10, 0, 0, 1]), Some(vec!["10.0.0.1".into()]));
        assert_eq!(one(RecordKind::Aaaa, &[0; 16]), Some(vec!["::".into()]));
        assert_eq!(one(RecordKind::Cname, b"\x01x\xc0\x0c"), Some(vec!["x.a.bc.".into()]));
        assert_eq!(one(RecordKind::Ns, b"\x03n.s\x00"), Some(vec!["n\\.s.".into()]));
        assert_eq!(one(RecordKind::Mx, b"\0\x0a\x04mail\xc0\x0c"), Some(vec!["10 mail.a.bc.".into()]));
        assert_eq!(one(RecordKind::Mx, b"\0\0\0"), Some(vec!["0 .".into()]));
        assert_eq!(one(RecordKind::Srv, b"\0\x01\0\x02\0\x50\x01x\0"), Some(vec!["1 2 80 x.".into()]));
        assert_eq!(one(RecordKind::Txt, b"\x03a b\x02\"\xff"), Some(vec!["a b".into(), "\\\"\\255".into()]));
        assert_eq!(one(RecordKind::Caa, b"\0\x05issueca.org"), Some(vec!["0 issue ca.org".into()]));
        let other = answer("a.bc", RecordKind::A, &[(5, b"\x01x\0"), (1, &[1, 2, 3, 4])]);
        assert_eq!(answers(&other, "a.bc", RecordKind::A), Some(vec!["1.2.3.4".into()]), "an alias before it");
        assert_eq!(answers(&answer("a.bc", RecordKind::A, &[]), "a.bc", RecordKind::A), Some(vec![]));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let good = answer("a.bc", RecordKind::A, &[(1, &[1, 2, 3, 4])]);
        for cut in 0..good.len() {
            assert_eq!(answers(&good[..cut], "a.bc", RecordKind::A), None, "{cut}");
        }
        assert_eq!(answers(&good, "a.bd", RecordKind::A), None, "another name");
        assert_eq!(answers(&good, "a.bc", RecordKind::Aaaa), None, "another kind");
        assert_eq!(answers(&query("a.bc", RecordKind::A).expect("a name"), "a.bc", RecordKind::A), None, "a question");
        let circle = answer("a.bc", RecordKind::Cname, &[(5, &[0xc0, 34])]);
        assert_eq!(answers(&circle, "a.bc", RecordKind::Cname), None, "a name that points at itself");
        for data in [&b""[..], b"\x05ab", b"\x40", b"\xc0"] {
            assert_eq!(
                answers(&answer("a.bc", RecordKind::Cname, &[(5, data)]), "a.bc", RecordKind::Cname),
                None,
                "{data:?}"
            );
        }
        assert_eq!(answers(&answer("a.bc", RecordKind::Txt, &[(16, b"\x09x")]), "a.bc", RecordKind::Txt), None);
        assert_eq!(answers(&answer("a.bc", RecordKind::A, &[(1, &[1, 2, 3])]), "a.bc", RecordKind::A), None);
    }
}
